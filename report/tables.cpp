#include "report/tables.h"

#include <algorithm>
#include <cstdio>
#include <iterator>

#include "operator/core/text.h"
#include "operator/json/fields.h"
#include "report/findings.h"
#include "report/resource_tables.h"

namespace mo::report {
namespace {

const Column kNamespace = {"namespace", "Namespace", "The Kubernetes namespace."};
const Column kModel = {"model", "Model", "The Model's name."};
const Column kOwner = {"owner", "Owner", "spec.owner: the team that answers for it."};

Cell model_cell(const std::string& ns, const std::string& name) {
  Cell c = plain(name);
  if (!name.empty()) c.ns = ns, c.model = name;
  return c;
}
Cell model_cell(const Model& m) { return model_cell(m.ns, m.name); }

Tone tone_of_stage(const std::string& stage) {
  if (stage == "Retired") return Tone::Dim;
  return stage == "Deprecated" ? Tone::Warn : Tone::None;
}

Tone tone_of_state(const std::string& state) {
  if (state == "OK") return Tone::Good;
  if (state == "Breached") return Tone::Bad;
  return state.empty() ? Tone::None : Tone::Warn;
}

Cell span_cell(const std::optional<Duration>& d) {
  if (!d) return cell("");
  return {length(*d), std::chrono::duration_cast<std::chrono::seconds>(*d).count()};
}

Cell share_cell(const std::optional<double>& share) {
  if (!share) return cell("");
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", *share);
  return {percent(*share), std::string(text)};
}

Cell rate_cell(const std::optional<double>& rate) {
  if (!rate) return cell("");
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", *rate);
  return {text, std::string(text)};
}

std::string gates_in_words(const Rollout& r) {
  std::string text;
  for (const Gate& gate : r.gates) {
    text += (text.empty() ? "" : "; ") + gate.name + " " + (gate.verdict.empty() ? "not decided" : gate.verdict);
    if (!gate.value.empty()) text += " at " + gate.value;
  }
  return text;
}

}  // namespace

Tone tone_of_phase(const std::string& phase) {
  if (phase == "Ready" || phase == "Succeeded" || phase == "Serving") return Tone::Good;
  if (phase == "Degraded" || phase == "RolledBack" || phase == "Failed" || phase == "Rejected") return Tone::Bad;
  if (phase == "Paused" || phase == "Pending" || phase == "Baking" || phase == "Progressing") return Tone::Warn;
  return phase == "Retired" || phase == "Superseded" || phase == "Aborted" ? Tone::Dim : Tone::None;
}

std::string length(Duration d) {
  const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(d).count();
  const auto two = [](int64_t a, const char* x, int64_t b, const char* y) {
    return std::to_string(a) + " " + x + (b ? " " + std::to_string(b) + " " + y : std::string());
  };
  if (minutes < 1) return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(d).count()) + " s";
  if (minutes < 60) return std::to_string(minutes) + " min";
  if (minutes < 48 * 60) return two(minutes / 60, "h", minutes % 60, "min");
  return two(minutes / (24 * 60), "d", minutes / 60 % 24, "h");
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, share * 100 >= 10 || share == 0 ? "%.0f %%" : "%.1f %%", share * 100);
  return text;
}

std::vector<const Model*> all_of(const Portfolio& p) {
  std::vector<const Model*> all;
  for (const Model& m : p.models) all.push_back(&m);
  return all;
}

const std::vector<std::string>& table_names() {
  static const std::vector<std::string> names = {"models", "findings", "servers", "rollouts", "delivery", "compliance", "resources"};
  return names;
}

std::optional<Table> table_of(const Portfolio& p, const std::string& name) {
  if (name == "models") return models_table(all_of(p), p);
  if (name == "findings") return findings_table(p.findings);
  if (name == "servers") return servers_table(p);
  if (name == "delivery") return delivery_table(all_of(p), p.at);
  if (name == "resources") return resources_table(p, all_of(p));
  if (name == "compliance") return compliance_table(all_of(p));
  if (name != "rollouts") return {};
  std::vector<const Rollout*> rollouts;
  for (const Model& m : p.models)
    for (const Rollout& r : m.rollouts) rollouts.push_back(&r);
  return rollouts_table(rollouts, false);
}

Json to_json(const Portfolio& p) {
  Json out = {{"at", format_time(p.at)}, {"scope", p.scope}, {"gaps", p.gaps}};
  for (const std::string& name : table_names()) out[name] = to_json(*table_of(p, name));
  if (!p.servers_known) out["servers"] = nullptr;
  return out;
}

Table models_table(const std::vector<const Model*>& models, const Portfolio& p) {
  const TimePoint now = p.at;
  Table t{"models",
          "Models",
          "Each Model, what serves of it and who answers for it.",
          {kNamespace,
           kModel,
           kOwner,
           {"class", "Class", "spec.class: what kind of model it is."},
           {"tier", "Tier", "spec.riskTier: how much harm a wrong answer can do."},
           {"stage", "Stage", "spec.lifecycle: from Development to Retired."},
           {"phase", "Phase", "Where the Model stands, in one word."},
           {"version", "Version", "The version that serves."},
           {"since", "Since", "For how long that version has served."},
           {"evaluated", "Evaluated", "When figures of that version were last recorded.", true},
           {"breaches", "Breaches", "Monitors that are breached now."},
           {"rollbacks90d", "Rollbacks", "Rollouts that were rolled back within the last 90 days."},
           {"neverServed", "Never served", "Versions that never had traffic of their own.", true},
           {"compliant", "Compliant", "Whether the policies that apply are met.", true},
           {"contact", "Contact", "spec.owner.contact.", true},
           {"reviewBy", "Review by", "spec.lifecycle.reviewBy.", true},
           {"retiresAt", "Retires", "spec.lifecycle.retireAt.", true},
           {"cpu", "Cores", "That its pods ask for.", true},
           {"memoryGiB", "GiB", "Memory that its pods ask for.", true},
           {"costPerMonth", "A month", "What its pods cost, as OpenCost tells it or by the prices given.", true},
           {"findings", "Findings", "How many things need attention."}},
          {},
          "no Models"};
  for (const Model* m : models) {
    const Totals totals = totals_of(*m, p.prices);
    const bool late = m->review_by && *m->review_by < now && !m->retired();
    Cell review = moment(m->review_by);
    if (late) review.tone = Tone::Bad;
    const bool dates = m->review_by.has_value();
    if (!dates) review = plain("");
    t.rows.push_back({plain(m->ns), model_cell(*m), cell(m->team.empty() ? m->contact : m->team), cell(m->model_class), cell(m->tier),
                      cell(m->stage, tone_of_stage(m->stage)), cell(m->phase, tone_of_phase(m->phase)), m->retired() ? plain("") : cell(m->version),
                      m->retired() ? plain("") : age_of(m->since, now), age_of(m->evaluated, now), count(m->breaches, Tone::Bad), count(m->rolled_back, Tone::Warn),
                      count(m->never_served), cell(m->compliant, m->compliant == "False" ? Tone::Bad : Tone::None), cell(m->contact), review,
                      m->retire_at ? moment(m->retire_at) : plain(""), cores_cell(totals.cpu), gib_cell(totals.memory), money_cell(totals.cost, p), count(m->findings.size())});
  }
  return t;
}

Table findings_table(const std::vector<Finding>& findings) {
  Table t{"findings",
          "What needs attention",
          "The worst first.",
          {{"severity", "Severity", "high: people are or may be harmed; medium: somebody has to decide; low: worth knowing."},
           kNamespace,
           kModel,
           {"kind", "Kind", "What it is about, for scripts."},
           {"finding", "Finding", "What was found."}},
          {},
          "nothing needs attention"};
  for (const Finding& f : findings) {
    t.rows.push_back({cell(word(f.severity), f.severity == Severity::High ? Tone::Bad : f.severity == Severity::Medium ? Tone::Warn : Tone::Dim),
                      plain(f.ns), model_cell(f.ns, f.model), plain(f.kind), plain(f.text)});
  }
  return t;
}

Table servers_table(const Portfolio& p) {
  Table t{"servers",
          "Model servers that no Model knows",
          "Pods whose image or labels say that they serve models, and that belong to no Model.",
          {kNamespace,
           {"kind", "Kind", "The kind of the workload."},
           {"name", "Workload", "Its name."},
           {"product", "Looks like", "The server that it seems to be."},
           {"pods", "Pods", "How many pods of it there are."},
           {"why", "Known by", "What it was known by."}},
          {},
          p.servers_known ? "none were found" : "unknown: pods were not looked at"};
  for (const Server& s : p.servers)
    t.rows.push_back({plain(s.ns), plain(s.kind), plain(s.name), plain(s.product), count(static_cast<size_t>(s.pods)), plain(s.why)});
  return t;
}

Table rollouts_table(const std::vector<const Rollout*>& rollouts, bool of_one_model) {
  Table t{"rollouts",
          "Rollouts",
          "Each attempt to bring a version, the newest first.",
          {{"rollout", "Rollout", "The ModelRollout's name."},
           {"from", "From", "The version that served before."},
           {"to", "To", "The version that was to serve."},
           {"phase", "Phase", "How it ended, or where it is."},
           {"startedAt", "Started", "When it started (UTC)."},
           {"finishedAt", "Finished", "When it was over (UTC)."},
           {"took", "Took", "From start to end."},
           {"by", "Asked by", "Who or what asked for it."},
           {"gates", "Gates", "What its gates said, with the last value of each."},
           {"why", "Why", "Its own words."}},
          {},
          "no rollouts"};
  if (!of_one_model) t.columns.insert(t.columns.begin(), {kNamespace, kModel});
  for (const Rollout* r : rollouts) {
    std::vector<Cell> row;
    if (!of_one_model) row = {plain(r->ns), model_cell(r->ns, r->model)};
    const bool took = r->started && r->finished;
    row.insert(row.end(), {plain(r->name), plain(r->from), plain(r->to), cell(r->phase, tone_of_phase(r->phase)), moment(r->started),
                           r->finished ? moment(r->finished) : plain(""), took ? span_cell(*r->finished - *r->started) : plain(""),
                           plain(r->origin.empty() ? "a person or pipeline" : r->origin), plain(gates_in_words(*r)), plain(r->message)});
    t.rows.push_back(std::move(row));
  }
  return t;
}

Table versions_table(const Model& m) {
  Table t{"versions",
          "Versions",
          "What there is to serve, the newest first.",
          {{"version", "Version", "The ModelVersion's name."},
           {"phase", "Phase", "What became of it."},
           {"served", "Served", "Whether it ever had all traffic."},
           {"createdAt", "Registered", "When it was registered (UTC)."},
           {"evaluatedAt", "Evaluated", "When its figures were last recorded (UTC)."},
           {"metrics", "Figures", "Those that were recorded of it."},
           {"parent", "Parent", "The version that it was trained from."},
           {"run", "Run", "What made it."},
           {"digest", "Digest", "Of its artifact."}},
          {},
          "no versions"};
  for (const Version& v : m.versions) {
    std::string metrics;
    for (const auto& [name, value] : v.metrics) metrics += (metrics.empty() ? "" : ", ") + name + " " + value;
    Cell digest = cell(v.digest);
    if (v.digest.size() > 19) digest.text = whole_characters(v.digest, 19) + "…";
    t.rows.push_back({plain(v.name), cell(v.phase, tone_of_phase(v.phase)), {v.served ? "yes" : "never", v.served}, moment(v.created),
                      moment(v.evaluated), cell(metrics), plain(v.parent), plain(v.run), digest});
  }
  return t;
}

Table monitors_table(const Model& m, TimePoint now) {
  Table t{"monitors",
          "Monitors",
          "Figures that are watched on what serves.",
          {{"monitor", "Monitor", "Its name."},
           {"about", "About", "What the figure is about."},
           {"state", "State", "OK, Pending (bad, but not for long enough), Breached, or NoData."},
           {"value", "Value", "The last figure."},
           {"target", "Target", "The bounds within which it is good."},
           {"since", "Since", "For how long the state is this."},
           {"message", "Says", "What is to know about it."}},
          {},
          "no monitors: how good its answers are is unknown"};
  for (const Monitor& x : m.monitors)
    t.rows.push_back({plain(x.name), plain(x.about), cell(x.state, tone_of_state(x.state)), cell(x.value), plain(range(x.min, x.max)), age_of(x.since, now),
                      plain(x.message)});
  return t;
}

Table runs_table(const Model& m) {
  Table t{"runs",
          "Training runs",
          "The newest first.",
          {{"run", "Run", "The TrainingRun's name."},
           {"trigger", "Trigger", "What started it."},
           {"phase", "Phase", "How it ended, or where it is."},
           {"stage", "Stage", "Its last stage."},
           {"version", "Version", "What it made."},
           {"startedAt", "Started", "When it was made (UTC)."},
           {"finishedAt", "Finished", "When its last stage ended (UTC)."},
           {"message", "Says", "Its own words."}},
          {},
          "no training runs"};
  for (const Run& r : m.runs)
    t.rows.push_back({plain(r.name), plain(r.trigger), cell(r.phase, tone_of_phase(r.phase)), plain(r.stage), plain(r.version), moment(r.created),
                      r.finished ? moment(r.finished) : plain(""), plain(r.message)});
  return t;
}

Table delivery_table(const std::vector<const Model*>& models, TimePoint now, size_t most) {
  const auto& defined = delivery_definitions();
  Table t{"delivery",
          "Delivery by Model",
          "The last 90 days.",
          {kNamespace,
           kModel,
           kOwner,
           {"deployments", "Deployments", defined[0].meaning},
           {"perWeek", "Per week", defined[1].meaning},
           {"leadTimeSeconds", "Lead time", defined[2].meaning},
           {"changeFailureRate", "Change failure rate", defined[3].meaning},
           {"restoreSeconds", "Time to restore", defined[4].meaning}},
          {},
          "no rollout ended within the last 90 days"};
  std::vector<std::pair<const Model*, Delivery>> moved;
  for (const Model* m : models)
    if (const Delivery d = delivery_of({m}, now); d.deployments + d.failures > 0) moved.emplace_back(m, d);
  std::stable_sort(moved.begin(), moved.end(), [](const auto& a, const auto& b) { return a.second.failures > b.second.failures; });
  if (moved.size() > most) moved.resize(most);
  for (const auto& [m, d] : moved) {
    t.rows.push_back({plain(m->ns), model_cell(*m), cell(m->team), count(d.deployments), rate_cell(d.per_week), span_cell(d.lead_time),
                      share_cell(d.failure_rate), d.failures ? span_cell(d.restore) : plain("")});
  }
  return t;
}

Table compliance_table(const std::vector<const Model*>& models, size_t most) {
  Table t{"compliance",
          "Compliance",
          "What policies demand of each Model, and what people must know about it.",
          {kNamespace,
           kModel,
           {"tier", "Tier", "spec.riskTier."},
           {"compliant", "Compliant", "Whether the policies that apply are met; unknown where none applies."},
           {"policies", "Policies", "Those that hold for its last rollout under policies."},
           {"missing", "Missing", "What the Model does not say about itself."},
           {"why", "Why", "What a policy says."}},
          {},
          "no Models"};
  std::vector<const Model*> due;
  std::copy_if(models.begin(), models.end(), std::back_inserter(due), [](const Model* m) { return !m->retired(); });
  std::stable_partition(due.begin(), due.end(), [](const Model* m) { return m->compliant == "False"; });
  if (due.size() > most) due.resize(most);
  for (const Model* m : due) {
    std::string missing, policies;
    const auto lacks = [&](bool there, const char* what) {
      if (!there) missing += (missing.empty() ? "" : ", ") + std::string(what);
    };
    lacks(!m->team.empty() || !m->contact.empty(), "owner");
    lacks(!m->description.empty(), "description");
    lacks(!m->tier.empty(), "riskTier");
    for (const char* field : {"intendedUse", "limitations"}) lacks(m->card.count(field) > 0, (std::string("card.") + field).c_str());
    for (const std::string& policy : m->policies) policies += (policies.empty() ? "" : ", ") + policy;
    t.rows.push_back({plain(m->ns), model_cell(*m), cell(m->tier),
                      cell(m->compliant == "True" ? "yes" : m->compliant == "False" ? "no" : "", m->compliant == "False" ? Tone::Bad : Tone::Good),
                      plain(policies), plain(missing), plain(m->compliance)});
  }
  return t;
}

}  // namespace mo::report
