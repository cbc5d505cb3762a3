#include "plugin/backtest.h"

#include <algorithm>
#include <cctype>

#include "operator/api/parse.h"
#include "operator/evidence/prometheus.h"
#include "plugin/crds.h"
#include "plugin/fields.h"
#include "plugin/lint.h"
#include "plugin/names.h"
#include "plugin/schema.h"
#include "reconcilers/governance/policies.h"
#include "reconcilers/measure/gates.h"
#include "reconcilers/monitors/sets.h"

namespace mo::plugin {
namespace {

using std::chrono::seconds;

constexpr int64_t kUsualMoments = 5'000;  // of each figure, where no --step is given
constexpr int64_t kMostOfFigure = 200'000;
constexpr int64_t kAtOnce = 10'000;
static_assert(kAtOnce <= evidence::kMostMoments);

// What is tested: a Model with what the cluster adds to it.
struct Subject {
  api::Model model;
  std::vector<api::ModelRollout> rollouts;
  Observed observed;
  bool policies_unseen = false;
};

// ---- what there is ----

template <class T>
Result<void> take_gate_sets(Session& session, Kind kind, const std::vector<Found>& files, Observed& o) {
  const auto take = [&](const Json& object, bool of_file) {
    auto set = api::parse<T>(object.dump());
    if (!set) return;
    if (info(kind).namespaced) set->meta.key.ns = o.key.ns;
    const ObjectRef ref{kind, set->meta.key};
    if (of_file || !o.gate_sets.contains(ref)) o.gate_sets[ref] = std::make_shared<const T>(std::move(*set));
  };
  const auto names_one = [&](const std::vector<api::GateSetRef>& named) {
    return std::any_of(named.begin(), named.end(), [&](const auto& ref) { return ref.kind == kind; });
  };
  if (!names_one(o.model->rollout.gate_sets) && !names_one(o.model->monitor_sets)) return {};
  for (const Found& found : files) {
    Json object = found.object();
    if (text(object, "kind") != info(kind).kind) continue;
    check(*crd_of(info(kind).kind), object);  // sets its defaults
    take(object, true);
  }
  const auto live = list(session, kind);
  if (!live) return fail(live.error());
  for (const Json& object : *live) take(object, false);
  return {};
}

// Whatever a rollout of it would be judged by.
Result<Subject> complete(Session& session, api::Model model, const std::vector<Found>& files) {
  Subject out;
  if (!model.problem.empty()) return fail(ErrorKind::Invalid, "Model " + model.meta.key.name + ": " + model.problem);
  out.model = std::move(model);
  Observed& o = out.observed;
  o.key = {session.ns, out.model.meta.key.name};
  out.model.meta.key = o.key;
  o.model = std::make_shared<const api::Model>(out.model);
  if (const auto done = take_gate_sets<api::ModelGateSet>(session, Kind::ModelGateSet, files, o); !done)
    return fail(done.error());
  if (const auto done = take_gate_sets<api::ClusterModelGateSet>(session, Kind::ClusterModelGateSet, files, o); !done)
    return fail(done.error());
  const auto policies = list_parsed<api::ModelPolicy>(session, Kind::ModelPolicy);
  out.policies_unseen = !policies;
  if (!policies && policies.error().kind != ErrorKind::Forbidden) return fail(policies.error());
  const auto ns = namespace_of(session);
  if (policies)
    for (const auto& policy : *policies)
      if (governance::applies(*policy, out.model, ns.get())) o.policies.push_back(policy);
  kube::ListOptions of_model;
  of_model.field_selector = "spec.modelRef.name=" + o.key.name;
  const auto rollouts = list(session, Kind::ModelRollout, of_model);
  if (!rollouts) return fail(rollouts.error());
  for (const Json& object : *rollouts)
    if (auto rollout = api::parse<api::ModelRollout>(object.dump())) out.rollouts.push_back(std::move(*rollout));
  return out;
}

Result<std::vector<Subject>> subject_of_cluster(Session& session, const std::string& word) {
  const auto name = name_as(Kind::Model, word);
  if (!name) return fail(name.error());
  const auto object = get(session, Kind::Model, *name);
  if (!object) return fail(object.error());
  auto model = api::parse<api::Model>(object->dump());
  if (!model) return fail(model.error());
  auto subject = complete(session, std::move(*model), {});
  if (!subject) return fail(subject.error());
  return std::vector<Subject>{std::move(*subject)};
}

// A file's Model; what serves is what serves under its name in the cluster, if anything does.
Result<Subject> subject_of_file(Session& session, const Found& found, const std::vector<Found>& files) {
  Json object = found.object();
  check(*crd_of("Model"), object);
  const auto live = get(session, Kind::Model, name_of(object));
  if (!live && live.error().kind != ErrorKind::NotFound) return fail(live.error());
  if (live && field(*live, "status")) object["status"] = live->at("status");
  auto model = api::parse<api::Model>(object.dump());
  if (!model) return fail(model.error());
  return complete(session, std::move(*model), files);
}

Result<std::vector<Subject>> subjects_of_files(Session& session, const Backtesting& asked, std::istream& in) {
  const auto files = read_files(asked.sources, in);
  if (!files) return fail(files.error());
  for (const Complaint& complaint : lint(*files))
    if (!complaint.warning) return fail(ErrorKind::Invalid, complaint.to_string());
  std::vector<Subject> all;
  for (const Found& found : files->ours) {
    if (text(found.object(), "kind") != "Model") continue;
    const std::string ns = text(found.object(), "metadata.namespace");
    if (asked.ns_given && !ns.empty() && ns != session.ns)
      return fail(ErrorKind::Invalid, found.file + ": namespace \"" + ns + "\" of Model " + name_of(found.object()) +
                                          " differs from -n " + session.ns + ": use -n " + ns);
    Session here = session;
    if (!ns.empty()) here.ns = ns;
    auto subject = subject_of_file(here, found, files->ours);
    if (!subject) return fail(subject.error());
    all.push_back(std::move(*subject));
  }
  if (all.empty()) return fail(ErrorKind::Invalid, "the files contain no Model to backtest");
  return all;
}

// ---- asking ----

bool names(const api::Gate& gate, const std::string& placeholder) {
  const auto in = [&](const std::string& query) { return query.find(placeholder) != std::string::npos; };
  return in(gate.prometheus_query.value_or("")) || (gate.samples && in(gate.samples->query)) ||
         (gate.versus_stable && in(gate.versus_stable->query.value_or("")));
}

std::string source_of(const api::Gate& gate) {
  return gate.version_metric ? "reads a metric of a ModelVersion" : gate.job ? "is measured by a Job" : "queries a web service";
}

Reading reading_at(const evidence::Past& past, int64_t moment) {
  const auto found = past.at.find(moment);
  return found == past.at.end() ? Reading{std::nullopt, "no data"} : found->second;
}

class Asking {
 public:
  Asking(const evidence::Prometheus& prometheus, const Report& report, std::stop_token stop)
      : prometheus_(prometheus), report_(report), stop_(stop) {}

  // Nothing more is to be asked: no answer came.
  bool is_gone() const { return gone_; }

  void test(Tested& tested) {
    const api::Gate& gate = tested.figure.gate();
    const Period& first = report_.periods.front();
    const std::string& candidate = tested.figure.is_monitor ? first.stable : first.candidate;
    if ((first.stable.empty() && names(gate, "{{stable")) || (candidate.empty() && names(gate, "{{candidate"))) {
      tested.problem = "its query contains a version, but none served in that time: set one with --stable";
      return;
    }
    std::vector<Recorded> past;
    for (const Period& period : report_.periods) {
      Recorded recorded{period, {}};
      if (!ask(tested, recorded)) return;
      past.push_back(std::move(recorded));
    }
    tested.played = tested.figure.is_monitor ? play(tested.figure.monitor, past) : play(tested.figure.gate(), past);
  }

 private:
  bool ask(Tested& tested, Recorded& into) {
    const Period& period = into.period;
    measure::GateContext context;
    context.ns = report_.ns;
    context.model = report_.model;
    context.stable = period.stable;
    context.stable_revision = period.stable_revision;
    context.candidate = tested.figure.is_monitor ? period.stable : period.candidate;
    context.candidate_revision = tested.figure.is_monitor ? period.stable_revision : period.candidate_revision;
    const auto question = std::get<AskPrometheus>(measure::ask_figure(tested.figure.gate(), context, "").question);
    const int64_t step = tested.step.count();
    const auto unix_seconds = [](TimePoint t) { return std::chrono::ceil<seconds>(t.time_since_epoch()).count(); };
    const int64_t first = (unix_seconds(period.from) + step - 1) / step * step;
    const int64_t end = unix_seconds(period.to);
    for (int64_t at = first; at < end; at += kAtOnce * step)
      if (!ask(tested, question, {at, std::min(end - 1, at + (kAtOnce - 1) * step), step}, into.answers)) return false;
    return true;
  }

  bool ask(Tested& tested, const AskPrometheus& question, const evidence::Moments& moments, std::vector<Answer>& into) {
    const std::optional<std::string> queries[] = {question.query, question.stable_query, question.samples_query,
                                                  question.stable_samples_query};
    evidence::Past past[4];
    for (size_t i = 0; i < 4; ++i) {
      if (!queries[i]) continue;
      auto queried = prometheus_.query_past(*queries[i], moments, stop_);
      if (!queried.past.problem.empty()) {
        tested.problem = queried.past.problem;
        gone_ = !queried.reached;
        return false;
      }
      past[i] = std::move(queried.past);
    }
    for (int64_t at = moments.first; at <= moments.last; at += moments.step) {
      Answer answer;
      answer.at = TimePoint(seconds(at));
      answer.value = reading_at(past[0], at);
      if (queries[1]) answer.stable = reading_at(past[1], at);
      if (queries[2]) answer.samples = reading_at(past[2], at);
      if (queries[3]) answer.stable_samples = reading_at(past[3], at);
      into.push_back(std::move(answer));
    }
    return true;
  }

  const evidence::Prometheus& prometheus_;
  const Report& report_;
  std::stop_token stop_;
  bool gone_ = false;
};

// ---- one Model ----

// Pods of that version bore it last, as far as anybody knows.
std::string revision_label(const Subject& subject, const std::string& version) {
  const auto& now = subject.model.status;
  if (now.stable_version == version && now.stable_revision) return now.stable_revision->label();
  std::string label;
  std::optional<TimePoint> newest;
  for (const api::ModelRollout& r : subject.rollouts)
    if (r.version == version && r.status.revision && (!newest || r.meta.created > *newest)) {
      label = r.status.revision->label();
      newest = r.meta.created;
    }
  return label;
}

std::vector<Period> periods_for(const Subject& subject, const Backtesting& asked, TimePoint from, TimePoint to) {
  std::vector<Period> all = periods_of(subject.model, subject.rollouts, from, to);
  if (!asked.stable.empty() || all.empty()) {
    const std::string label = revision_label(subject, asked.stable);
    all = {{asked.stable, label, asked.stable, label, from, to}};
  }
  if (!asked.candidate.empty())
    for (Period& period : all) {
      period.candidate = asked.candidate;
      period.candidate_revision = revision_label(subject, asked.candidate);
    }
  return all;
}

// How far its measurements are apart.
Result<void> choose_step(Tested& tested, seconds since, const std::optional<seconds>& given) {
  const seconds interval = std::max(std::chrono::ceil<seconds>(tested.figure.gate().interval), seconds(1));
  tested.step = given ? *given : std::max(interval, seconds((since.count() + kUsualMoments - 1) / kUsualMoments));
  if (!given && tested.step > std::chrono::minutes(1)) tested.step = std::chrono::ceil<std::chrono::minutes>(tested.step);
  tested.coarser = tested.step > interval;
  const int64_t moments = since / tested.step + 1;
  if (moments > kMostOfFigure)
    return fail(ErrorKind::Invalid, "--step " + format_duration(tested.step) + " over that time is " + std::to_string(moments) +
                                        " measurements of each figure; at most " + std::to_string(kMostOfFigure) +
                                        " are allowed: use a longer --step or a shorter --since");
  return {};
}

void choose_figures(const Subject& subject, const std::vector<api::Monitor>& monitors, const std::vector<api::Gate>& gates, Report& report) {
  const auto take = [&](const api::Gate& gate, const std::string& what, Figure figure) {
    if (gate.prometheus_query) {
      report.tested.emplace_back();
      report.tested.back().figure = std::move(figure);
    } else {
      report.left_out.push_back(what + " " + gate.name + " " + source_of(gate) +
                                ", which has no history in Prometheus: left out");
    }
  };
  for (const api::Monitor& monitor : monitors) take(monitor.figure, "monitor", {true, monitor});
  for (const api::Gate& gate : gates) {
    Figure figure;
    figure.monitor.figure = gate;
    take(gate, "gate", figure);
  }
  if (subject.policies_unseen) report.left_out.push_back("you may not list ModelPolicies: gates and monitors that they add are left out");
}

struct When {
  TimePoint from{}, to{};
  std::optional<seconds> step;
};

Result<Report> report_on(Session& session, const Subject& subject, const Backtesting& asked, const When& when,
                         kube::HttpTransport& http) {
  Report report{subject.observed.key.ns,
                subject.observed.key.name,
                when.from,
                when.to,
                periods_for(subject, asked, when.from, when.to),
                {},
                {}};
  const rollout::Policy policy = governance::resolve(subject.observed);
  if (!policy.rollouts.reason.empty()) return refuse(policy.rollouts.message);
  const monitors::Watched watched = monitors::watched_of(subject.observed);
  if (!watched.problem.empty()) return refuse(watched.problem);
  choose_figures(subject, watched.monitors, policy.policy->gates, report);
  if (report.tested.empty())
    return refuse("Model " + report.model + " has no gate or monitor that queries Prometheus: nothing to backtest");
  for (Tested& tested : report.tested)
    if (const auto done = choose_step(tested, std::chrono::floor<seconds>(when.to - when.from), when.step); !done)
      return fail(done.error());
  const evidence::Prometheus prometheus(asked.url, http);
  Asking asking(prometheus, report, session.stop);
  for (Tested& tested : report.tested) {
    asking.test(tested);
    if (asking.is_gone()) return fail(ErrorKind::Transport, tested.problem);
  }
  return report;
}

bool would_have_failed(const Tested& tested) {
  return !tested.played.breaches.empty() || tested.played.verdicts.contains("Failed");
}

int verdict_on(const Report& report) {
  int code = kDone;
  for (const Tested& tested : report.tested)
    code = worse(code, !tested.problem.empty() ? kTrouble : would_have_failed(tested) ? kNo : kDone);
  return code;
}

Result<When> when_of(const Backtesting& asked, TimePoint now) {
  const auto since = past_span(asked.since);
  if (!since) return fail(ErrorKind::Invalid, "--since " + asked.since + " is not a duration such as 30d or 12h");
  When when;
  when.to = std::chrono::floor<seconds>(now);
  when.from = when.to - *since;
  if (asked.step.empty()) return when;
  when.step = past_span(asked.step);
  if (!when.step) return fail(ErrorKind::Invalid, "--step " + asked.step + " is not a duration such as 5m, of at least a second");
  return when;
}

Result<void> check_url(const std::string& url) {
  if (url.empty())
    return fail(ErrorKind::Invalid,
                "set --prometheus-url or PROMETHEUS_URL, such as http://localhost:9090 after "
                "kubectl -n monitoring port-forward service/prometheus 9090");
  return {};
}

}  // namespace

std::optional<seconds> past_span(const std::string& text) {
  constexpr int64_t kDay = 86'400;
  int64_t days = 0;
  size_t at = 0;
  while (true) {
    size_t end = at;
    while (end < text.size() && std::isdigit(static_cast<unsigned char>(text[end]))) ++end;
    if (end == at || end - at > 4 || end == text.size() || (text[end] != 'd' && text[end] != 'w')) break;
    days += std::stoll(text.substr(at, end - at)) * (text[end] == 'w' ? 7 : 1);
    at = end + 1;
  }
  const auto rest = at == text.size() && at > 0 ? std::optional(Duration(0)) : parse_duration(text.substr(at));
  if (!rest || days > 3650) return {};
  const seconds all = std::chrono::floor<seconds>(*rest) + seconds(days * kDay);
  return all < seconds(1) ? std::nullopt : std::optional(all);
}

int backtest(Session& session, const Backtesting& asked, std::istream& in, kube::HttpTransport& http) {
  if (const auto known = check_url(asked.url); !known) return complain(session, known.error());
  const auto when = when_of(asked, session.now());
  if (!when) return complain(session, when.error());
  const auto subjects = asked.model.empty() ? subjects_of_files(session, asked, in) : subject_of_cluster(session, asked.model);
  if (!subjects) return complain(session, subjects.error());
  int code = kDone;
  Json all = Json::array();
  for (const Subject& subject : *subjects) {
    const auto report = report_on(session, subject, asked, *when, http);
    if (!report) {
      code = worse(code, complain(session, report.error()));
      if (report.error().kind == ErrorKind::Transport) break;
      continue;
    }
    code = worse(code, verdict_on(*report));
    if (!asked.output.empty()) {
      all.push_back(to_json(*report));
      continue;
    }
    if (subject.observed.key.name != subjects->front().observed.key.name) session.out << "\n";
    for (const std::string& line : lines_of(*report, session.display())) session.out << line << "\n";
  }
  if (!asked.output.empty()) session.out << all.dump(2) << "\n";
  return code;
}

}  // namespace mo::plugin
