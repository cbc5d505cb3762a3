#include "reconcilers/measure/gates.h"

#include <algorithm>

#include "operator/api/run_result.h"
#include "operator/json/json.h"
#include "reconcilers/common/job.h"
#include "reconcilers/measure/compare.h"
#include "reconcilers/measure/job.h"

namespace mo::measure {
namespace {

constexpr size_t kMeasurementsKept = 5;
// Prometheus has figures some scrapes after the traffic that they are about.
constexpr int kPrometheusInconclusive = 5;

struct GateVerdict {
  std::string verdict;  // Passed | Failed | Inconclusive
  std::string value, stable_value, message;
};

GateVerdict inconclusive(std::string message) { return {"Inconclusive", "", "", std::move(message)}; }

// "0.85 is below min 0.92"; empty within the bounds.
std::string out_of_bounds(const api::Gate& gate, const Decimal& value) {
  if (gate.min && value < *gate.min) return value.to_string() + " is below min " + gate.min->to_string();
  if (gate.max && value > *gate.max) return value.to_string() + " is above max " + gate.max->to_string();
  return "";
}

// With only a max, less is better (latency, error rates); otherwise more is.
bool less_is_better(const api::Gate& gate) { return gate.max && !gate.min; }

// As a point against a point.
void compare_values(const api::Gate& gate, const Decimal& value, const Decimal& stable, const std::string& stable_name,
                    GateVerdict& out) {
  const Decimal worse_by = less_is_better(gate) ? value - stable : stable - value;
  if (worse_by <= gate.versus_stable->max_regression) return;
  out.verdict = "Failed";
  out.message = value.to_string() + " is worse than " + stable_name + "'s " + stable.to_string() + " by " +
                worse_by.to_string() + ", more than maxRegression " + gate.versus_stable->max_regression.to_string();
}

// As shares of so many samples each: what these do not prove either way is inconclusive.
void compare_shares(const api::Gate& gate, const Decimal& value, const Decimal& stable, const Answer& answer,
                    const std::string& stable_name, GateVerdict& out) {
  out.verdict = "Inconclusive";
  const std::string confidence = gate.versus_stable->confidence->to_string();
  const auto z = one_sided_z(*gate.versus_stable->confidence);
  if (!z) {
    out.message = "confidence " + confidence + " is not supported by this operator";
    return;
  }
  const auto take = [&](const Decimal& figure, const Reading& samples, const std::string& whose) {
    if (!samples.value) {
      out.message = whose + "samples: " + samples.problem;
      return std::optional<Share>();
    }
    const auto found = share(figure, *samples.value);
    if (!found)
      out.message = "confidence needs shares between 0 and 1 and at least one sample, but got " + whose +
                    figure.to_string() + " of " + samples.value->to_string() + " samples";
    return found;
  };
  const auto candidate = take(value, answer.samples, "");
  if (!candidate) return;
  const auto reference = take(stable, answer.stable_samples, stable_name + "'s ");
  if (!reference) return;
  const Interval worse = less_is_better(gate) ? difference(*candidate, *reference, *z)
                                              : difference(*reference, *candidate, *z);
  const double margin = to_double(gate.versus_stable->max_regression);
  out.verdict = worse.high <= margin ? "Passed" : worse.low > margin ? "Failed" : "Inconclusive";
  out.message = "worse than " + stable_name + " by " + rounded(worse.low).to_string() + " to " +
                rounded(worse.high).to_string() + " at confidence " + confidence + " (" +
                answer.samples.value->to_string() + " and " + answer.stable_samples.value->to_string() + " samples), " +
                (out.verdict == "Passed"   ? "within maxRegression "
                 : out.verdict == "Failed" ? "more than maxRegression "
                                           : "too few samples to decide about maxRegression ") +
                gate.versus_stable->max_regression.to_string();
}

GateVerdict judge(const api::Gate& gate, const Decimal& value, const Answer& answer, const GateContext& context) {
  GateVerdict out{"Passed", value.to_string(), "", ""};
  const auto& stable = answer.stable.value;
  if (stable) out.stable_value = stable->to_string();
  out.message = out_of_bounds(gate, value);
  if (!out.message.empty()) {
    out.verdict = "Failed";
  } else if (!gate.versus_stable || context.stable.empty()) {
    return out;
  } else if (!stable) {
    out.verdict = "Inconclusive";
    out.message = "no figure of stable version " + context.stable + " to compare with: " + answer.stable.problem;
  } else if (gate.versus_stable->confidence) {
    compare_shares(gate, value, *stable, answer, context.stable, out);
  } else {
    compare_values(gate, value, *stable, context.stable, out);
  }
  return out;
}

GateVerdict judge_answer(const api::Gate& gate, const Answer& answer, const GateContext& context) {
  if (gate.samples) {
    if (!answer.samples.value) return inconclusive("samples: " + answer.samples.problem);
    const auto wanted = Decimal::parse(std::to_string(gate.samples->min));
    if (*answer.samples.value < *wanted)
      return inconclusive("only " + answer.samples.value->to_string() + " of " +
                          std::to_string(gate.samples->min) + " samples so far");
  }
  if (!answer.value.value) return inconclusive(answer.value.problem);
  return judge(gate, *answer.value.value, answer, context);
}

std::optional<Decimal> recorded(const std::map<std::string, std::string>* metrics, const std::string& name) {
  if (!metrics) return {};
  auto it = metrics->find(name);
  return it == metrics->end() ? std::nullopt : Decimal::parse(it->second);
}

void take_in(const api::Gate& gate, const GateVerdict& outcome, TimePoint at, const GateContext& context,
             api::GateStatus& status) {
  status.measurements.push_back({at, outcome.value, outcome.verdict});
  if (status.measurements.size() > kMeasurementsKept) status.measurements.erase(status.measurements.begin());
  if (!outcome.value.empty()) status.value = outcome.value;
  if (!outcome.stable_value.empty()) status.stable_value = outcome.stable_value;
  status.message = outcome.message;
  if (outcome.verdict == "Inconclusive") {
    ++status.inconclusive;  // in a row
  } else {
    status.inconclusive = 0;
    ++(outcome.verdict == "Passed" ? status.passed : status.failed);
  }
  if (status.failed > gate.failure_limit)
    status.verdict = "Failed";
  else if (status.passed >= gate.count && !context.watching)
    status.verdict = "Passed";
  else if (status.inconclusive > inconclusive_limit(gate) &&
           ((gate.dry_run && !context.watching) ||
            on_inconclusive(gate, context.background) != api::Gate::OnInconclusive::Wait))
    status.verdict = "Inconclusive";
  else
    status.verdict = "Running";
  // Passed with a tolerated failure last: the message would read like a failure.
  if (status.verdict == "Passed" && outcome.verdict != "Passed") status.message.clear();
}

// The first of an attempt is named after no time: a pause moves the time when the attempt began.
std::string ask_id(const api::Gate& gate, const GateContext& context, const api::GateStatus& before) {
  const std::string id = context.id_prefix + "/" + gate.name + "/";
  if (before.measurements.empty()) return id + "first";
  return id + std::to_string(before.measurements.back().at.time_since_epoch().count()) + "-" +
         std::to_string(before.passed + before.failed + before.inconclusive);
}

// When to measure again. Statuses hold whole seconds, so that without this all gates of one interval would be due
// at once, and whichever of them fails would queue behind the others. Each has a moment of its own within the
// second; an answer that took less than kSlack doesn't make it miss its next one.
TimePoint next_due(const api::Gate& gate, const GateContext& context, TimePoint last) {
  using std::chrono::seconds;
  constexpr Duration kSlack{250};
  const unsigned long drawn = std::stoul(hash_of(context.id_prefix + "/" + gate.name).substr(0, 7), nullptr, 16);
  const Duration moment(static_cast<long>(drawn % static_cast<unsigned long>((Duration(seconds(1)) - kSlack).count())));
  const TimePoint earliest = last + gate.interval - kSlack;
  const TimePoint due = std::chrono::floor<seconds>(earliest) + moment;
  return due < earliest ? due + seconds(1) : due;
}

// When it is measured first. What is watched is measured since its rollout got there, not since the rollout began.
TimePoint first_due(const api::Gate& gate, const GateContext& context, TimePoint now, api::GateStatus& status) {
  if (gate.initial_delay == Duration(0)) return context.attempt_started;
  if (context.watching && !status.started) status.started = std::chrono::ceil<std::chrono::seconds>(now);
  const TimePoint due = status.started.value_or(context.attempt_started) + gate.initial_delay;
  if (now < due) status.message = "is measured from " + format_time(due) + ", after initialDelay " + format_duration(gate.initial_delay);
  return due;
}

// What a gate's Job reported, if it has.
GateVerdict judge_report(const api::Gate& gate, const Answer& answer, const api::Job& job, const GateContext& context) {
  const std::string who = "Job " + job.meta.key.name;
  const auto result = answer.text ? api::parse_run_result(*answer.text, true)
                                  : Result<api::RunResult>(fail(ErrorKind::NotFound, answer.problem));
  if (!result) return inconclusive(who + (job.failed ? " failed: " + job.failure_message + ": " : ": ") + result.error().message);
  const auto value = recorded(&result->metrics, gate.job->metric);
  if (!value) return inconclusive(who + " reported no metric " + gate.job->metric);
  return judge(gate, *value, {}, context);
}

Ask question(const api::Gate& gate, const GateContext& context, const std::string& id) {
  if (gate.web) return {id, AskWeb{expand(gate.web->url, context), gate.web->path, context.of_cluster}};
  AskPrometheus ask{expand(*gate.prometheus_query, context), {}, {}};
  if (gate.versus_stable && gate.versus_stable->query && !context.stable.empty()) {
    ask.stable_query = expand(*gate.versus_stable->query, context);
    if (gate.versus_stable->samples_query)
      ask.stable_samples_query = expand(*gate.versus_stable->samples_query, context);
  }
  if (gate.samples) ask.samples_query = expand(gate.samples->query, context);
  return {id, ask};
}

// What the Job does while it is not over.
std::string doing(const api::Job& job, const GateContext& context) {
  const std::string& name = job.meta.key.name;
  const auto trouble = context.job_troubles->find(name);
  return trouble == context.job_troubles->end() ? "Job " + name + " is running" : trouble->second;
}

// The Job that the measurement is made by, once it is over; until then status says what is waited for.
const api::Job* finished_job(const api::Gate& gate, const GateContext& context, const std::string& id, GateProgress& progress) {
  progress.job = gate_job_name(context.model, gate.name, id);
  const auto found = context.jobs->find(progress.job);
  if (found == context.jobs->end()) {
    progress.starts_job = true;
    progress.status.message = "Job " + progress.job + " is being created";
    return nullptr;
  }
  const api::Job& job = *found->second;
  progress.job_taken = job.gate_of != context.rollout_uid || job.gate != gate.name;
  if (progress.job_taken) {
    progress.status.message = taken_job(progress.job);
    return nullptr;
  }
  progress.status.message = doing(job, context);
  return ended(job) ? &job : nullptr;  // its watch tells
}

}  // namespace

std::string taken_job(const std::string& name) {
  return "Job " + name + " already exists and does not belong to the operator, so its result is ignored; delete it";
}

int inconclusive_limit(const api::Gate& gate) {
  if (gate.version_metric) return 0;  // a recorded value doesn't change
  if (gate.inconclusive_limit) return *gate.inconclusive_limit;
  return gate.prometheus_query ? std::max(gate.count - 1, kPrometheusInconclusive) : gate.count - 1;
}

api::Gate::OnInconclusive on_inconclusive(const api::Gate& gate, bool background) {
  using OnInconclusive = api::Gate::OnInconclusive;
  return gate.on_inconclusive.value_or(background ? OnInconclusive::Wait : OnInconclusive::Pause);
}

std::string expand(const std::string& query, const GateContext& context) {
  const std::pair<const char*, const std::string*> names[] = {{"{{model}}", &context.model},
                                                              {"{{namespace}}", &context.ns},
                                                              {"{{stable}}", &context.stable},
                                                              {"{{candidate}}", &context.candidate},
                                                              {"{{stableRevision}}", &context.stable_revision},
                                                              {"{{candidateRevision}}", &context.candidate_revision}};
  std::string out = query;
  for (const auto& [name, value] : names)
    for (size_t at = out.find(name); at != std::string::npos; at = out.find(name, at + value->size()))
      out.replace(at, std::string(name).size(), *value);
  return out;
}

Ask ask_figure(const api::Gate& figure, const GateContext& context, const std::string& id) {
  return question(figure, context, id);
}

namespace {
Measured as_figure(GateVerdict outcome) {
  using Verdict = Measured::Verdict;
  const Verdict verdict = outcome.verdict == "Passed" ? Verdict::Good : outcome.verdict == "Failed" ? Verdict::Bad : Verdict::None;
  return {verdict, std::move(outcome.value), std::move(outcome.message)};
}
}  // namespace

Measured judge_figure(const api::Gate& figure, const Answer& answer) { return as_figure(judge_answer(figure, answer, {})); }

Measured judge_report(const api::Gate& figure, const Answer& answer, const api::Job& job) {
  return as_figure(judge_report(figure, answer, job, GateContext{}));
}

api::GateStatus take_answer(const api::Gate& gate, const api::GateStatus& before, const Answer& answer, const GateContext& context) {
  api::GateStatus status = before;
  status.name = gate.name;
  take_in(gate, judge_answer(gate, answer, context), answer.at, context, status);
  return status;
}

api::GateStatus judge_recorded(const api::Gate& gate, const GateContext& context, TimePoint now) {
  api::GateStatus status;
  status.name = gate.name;
  const auto value = recorded(context.candidate_metrics, *gate.version_metric);
  Answer compared;
  compared.stable = {recorded(context.stable_metrics, *gate.version_metric), "no recorded metric " + *gate.version_metric};
  api::Gate once = gate;
  once.count = 1;
  once.failure_limit = 0;  // a recorded value doesn't change: measuring again tells nothing
  if (!value)
    take_in(once, inconclusive(context.candidate + " has no recorded metric " + *gate.version_metric), now,
            context, status);
  else
    take_in(once, judge(gate, *value, compared, context), now, context, status);
  return status;
}

GateProgress measure(const api::Gate& gate, const api::GateStatus& before, const GateContext& context,
                     TimePoint now) {
  GateProgress progress;
  progress.status = before;
  progress.status.name = gate.name;
  if (before.verdict == "Passed" || before.verdict == "Failed" || before.verdict == "Inconclusive")
    return progress;
  if (gate.version_metric) {
    api::GateStatus judged = judge_recorded(gate, context, now);
    // A wait on what cannot change is kept as it was first seen, so that status does not change with the
    // clock.
    if (!(judged.verdict == "Running" && before.verdict == "Running")) progress.status = std::move(judged);
    return progress;
  }
  if (progress.status.verdict.empty()) progress.status.verdict = "Running";
  const bool first = before.measurements.empty();
  const TimePoint last = first ? context.attempt_started : before.measurements.back().at;
  const TimePoint due = first ? first_due(gate, context, now, progress.status) : next_due(gate, context, last);
  // Written by a leader whose clock was ahead of ours: to wait for that time would be to wait out its
  // mistake.
  const bool ahead = last > now + gate.interval;
  if (now < due && !ahead) {
    progress.due = due;
    return progress;
  }
  Ask ask;
  const std::string id = ask_id(gate, context, before);
  const api::Job* job = nullptr;
  if (gate.job) {
    job = finished_job(gate, context, id, progress);
    if (!job) return progress;
    ask = {id, AskRunResult{job->meta.key, job->meta.uid}};
  } else {
    ask = question(gate, context, id);
  }
  auto answer = context.answers->find(ask.id);
  if (answer == context.answers->end()) {
    progress.ask = std::move(ask);
    return progress;
  }
  // At least a millisecond later than the last, so that every measurement has an id of its own.
  const TimePoint at = ahead ? answer->second.at : std::max(answer->second.at, last + Duration(1));
  take_in(gate, job ? judge_report(gate, answer->second, *job, context) : judge_answer(gate, answer->second, context),
          at, context, progress.status);
  if (progress.status.verdict == "Running")
    progress.due = next_due(gate, context, progress.status.measurements.back().at);
  return progress;
}

}  // namespace mo::measure
