#include "plugin/reproduce.h"

#include <algorithm>

#include "operator/api/types.h"
#include "plugin/fields.h"
#include "plugin/names.h"
#include "plugin/show.h"
#include "plugin/watching.h"

namespace mo::plugin {
namespace {

constexpr size_t kLongestTrigger = 63;

std::string run_of(const Json& version) { return text(version, "spec.lineage.run.name"); }
bool is_over(const Json& run) { return !text(run, "status.finishedAt").empty(); }

// What the trial was told whose result the run registered.
const Json* best_trial(const Json& run) {
  for (const Json& trial : items(run, "status.trials"))
    if (text(trial, "index") == text(run, "status.result.trial") && text(trial, "attempt") == text(run, "status.attempt"))
      return &trial;
  return nullptr;
}

// As a ModelVersion of it says it, without names that no two runs share.
Json version_made_by(const Json& run) {
  Json spec = {{"artifact", {{"digest", text(run, "status.result.artifact.digest")}}}};
  if (const Json* format = field(run, "status.result.artifact.format")) spec["artifact"]["format"] = *format;
  Json lineage = Json::object();
  for (const char* part : {"code", "data", "environment"})
    if (const Json* told = field(run, std::string("status.result.lineage.") + part)) lineage[part] = *told;
  const std::string image = text(run, "status.result.image");
  if (!lineage.contains("environment") && !image.empty()) lineage["environment"] = {{"image", image}};
  spec["lineage"] = std::move(lineage);
  const Json* figures = field(run, "status.result.metrics");
  for (const Json& stage : items(run, "status.stages"))
    if (text(stage, "name") == "evaluate" && field(stage, "metrics")) figures = field(stage, "metrics");
  if (figures) spec["metrics"] = *figures;
  return {{"spec", std::move(spec)}};
}

// The record, as far as version_made_by() can say the same.
Json without_names(const Json& version) {
  Json spec = {{"artifact", {{"digest", text(version, "spec.artifact.digest")}}}};
  if (const Json* format = field(version, "spec.artifact.format")) spec["artifact"]["format"] = *format;
  spec["lineage"] = Json::object();
  for (const char* part : {"code", "data", "environment"})
    if (const Json* told = field(version, std::string("spec.lineage.") + part)) spec["lineage"][part] = *told;
  if (const Json* figures = field(version, "spec.metrics")) spec["metrics"] = *figures;
  return {{"spec", std::move(spec)}};
}

Decimal absolute(const Decimal& d) { return d < Decimal() ? -d : d; }

// Nothing if one of them is missing on one side.
std::optional<Decimal> farthest_of(const std::vector<Difference>& differences) {
  Decimal most;
  for (const Difference& d : differences) {
    if (!d.field.starts_with("metrics.")) continue;
    const auto from = Decimal::parse(d.from), to = Decimal::parse(d.to);
    if (!from || !to) return {};
    most = std::max(most, absolute(*to - *from));
  }
  return most;
}

std::string sentence_of(const Comparison& c, const Json& version, const Json& run) {
  const std::string who = "TrainingRun " + name_of(run);
  const std::string digest = text(version, "spec.artifact.digest");
  const bool measured = field(version, "spec.metrics") != nullptr;
  const std::string figures = !measured                  ? ", and " + name_of(version) + " has no metrics to compare"
                              : !c.farthest              ? ", and not the same metrics were reported"
                              : *c.farthest == Decimal() ? ", metrics are the same"
                                                         : ", metrics within " + c.farthest->to_string();
  if (c.same_bits) return "same bits: " + who + " made " + digest + " again" + figures;
  return "other bytes: " + who + " made " + text(run, "status.result.artifact.digest") + " instead of " + digest + figures;
}

// ---- the cluster ----

struct Original {
  Json version, run;
};

Result<Original> original_of(Session& session, const std::string& word) {
  const auto name = name_as(Kind::ModelVersion, word);
  if (!name) return fail(name.error());
  auto version = get(session, Kind::ModelVersion, *name);
  if (!version) return fail(version.error());
  const std::string run = run_of(*version), kind = text(*version, "spec.lineage.run.kind");
  if (run.empty() || (!kind.empty() && kind != info(Kind::TrainingRun).kind))
    return refuse(
        "ModelVersion " + *name +
        (run.empty() ? " names no run in spec.lineage.run" : " was made by " + kind + " " + run + ", not by a TrainingRun") +
        ": its parameters are unknown, so it cannot be reproduced");
  auto found = get(session, Kind::TrainingRun, run);
  if (found) return Original{std::move(*version), std::move(*found)};
  if (found.error().kind != ErrorKind::NotFound) return fail(found.error());
  return refuse(
      "TrainingRun " + run + ", which made " + *name +
      ", does not exist any more, and its parameters are lost with it. See kubectl model lineage " + *name +
      " and create a TrainingRun with that seed and those parameters. spec.history.runs of the Model sets how many are kept");
}

// What the Model says now takes part, too.
Result<std::string> unlike_then(const Json& model, const Json& made) {
  if (!field(model, "spec.retraining"))
    return refuse("Model " + name_of(model) + " has no spec.retraining, so it cannot train");
  std::string open;
  const Json* choices = field(model, "spec.retraining.trials.parameters");
  if (choices && choices->is_object())
    for (const auto& [parameter, values] : choices->items())
      if (!field(made, "spec.parameters") || !made["spec"]["parameters"].contains(parameter))
        open += (open.empty() ? "" : ", ") + parameter;
  return open.empty() ? ""
                      : "spec.retraining.trials has new parameters (" + open +
                            "): the best of several trials is compared";
}

Result<Json> start(Session& session, const Original& original, bool only_show) {
  auto made = again(original.version, original.run);
  if (!made) return fail(made.error());
  const auto model = get(session, Kind::Model, text(*made, "spec.modelRef.name"));
  if (!model) return fail(model.error());
  const auto unlike = unlike_then(*model, *made);
  if (!unlike) return fail(unlike.error());
  if (const std::string kind = kind_to_name(*model); !kind.empty()) (*made)["spec"]["workload"] = kind;
  if (!unlike->empty()) session.err << "! " << printable(*unlike) << "\n";
  if (only_show) return *made;
  const auto stored = session.client.post(Kind::TrainingRun, session.ns, made->dump(), session.stop);
  if (!stored) return fail(stored.error());
  return parse_json(*stored, stored->size());
}

// Until the run is over, with a line on standard error wherever it gets.
class Waiting {
 public:
  Waiting(Session& session, std::string run) : session_(session), run_(std::move(run)) {}

  // Nothing if it takes longer than that.
  Result<std::optional<Json>> wait(const std::optional<Duration>& timeout) {
    Seen seen;
    const Watches watches(session_, seen, {{Kind::TrainingRun, ""}});
    const auto began = std::chrono::steady_clock::now();
    while (true) {
      seen.wait(std::chrono::steady_clock::now() + std::chrono::seconds(1));
      if (watches.listed()) {
        const auto run = find(seen);
        if (!run) return refuse("TrainingRun " + run_ + " was deleted, so there is no result to compare");
        tell(*run);
        if (is_over(*run)) return run;
      } else if (const std::string why = watches.problem(); !why.empty()) {
        return fail(ErrorKind::Transport, why);
      }
      if (timeout && std::chrono::steady_clock::now() >= began + *timeout) return std::nullopt;
    }
  }

 private:
  std::optional<Json> find(Seen& seen) const {
    for (Json& run : seen.all(Kind::TrainingRun))
      if (name_of(run) == run_) return std::move(run);
    return {};
  }
  void tell(const Json& run) {
    const std::string message = text(run, "status.message");
    std::string now = text(run, "status.phase") + (message.empty() ? "" : ": " + message);
    if (now == told_ || now.empty()) return;
    told_ = std::move(now);
    session_.err << printable(run_ + ": " + told_) << "\n";
  }

  Session& session_;
  const std::string run_;
  std::string told_;
};

int print_comparison(Session& session, const Json& version, const Json& run, const Reproducing& asked) {
  const auto found = compare(version, run, asked.within);
  if (!found) return complain(session, found.error());
  const int code = found->same_bits || found->same_figures ? kDone : kNo;
  if (!asked.output.empty()) {
    Json out = {{"version", name_of(version)},
                {"run", name_of(run)},
                {"sameBits", found->same_bits},
                {"sentence", found->sentence},
                {"differences", Json::array()}};
    if (found->farthest) out["metricsWithin"] = found->farthest->to_string();
    for (const Difference& d : found->differences)
      out["differences"].push_back({{"field", d.field}, {"from", d.from}, {"to", d.to}});
    session.out << out.dump(2) << "\n";
    return code;
  }
  session.out << printable(found->sentence) << "\n";
  std::vector<std::vector<std::string>> rows;
  for (const Difference& d : found->differences) rows.push_back({d.field, d.from, d.to});
  if (!rows.empty()) print_table(session.out, {"FIELD", printable(name_of(version)), printable(name_of(run))}, rows);
  return code;
}

int compare_with(Session& session, const Original& original, const std::string& run, const Reproducing& asked) {
  const auto name = name_as(Kind::TrainingRun, run);
  if (!name) return complain(session, name.error());
  auto found = get(session, Kind::TrainingRun, *name);
  if (!found) return complain(session, found.error());
  if (const std::string of = text(*found, "spec.modelRef.name"); of != text(original.version, "spec.modelRef.name"))
    return complain(session, refuse("TrainingRun " + *name + " belongs to Model " + of + ", not to " +
                                    text(original.version, "spec.modelRef.name"))
                                 .value());
  if (!is_over(*found) && asked.wait) {
    auto ended = Waiting(session, *name).wait(asked.timeout);
    if (!ended) return complain(session, ended.error());
    if (*ended) found = std::move(**ended);
  }
  if (is_over(*found)) return print_comparison(session, original.version, *found, asked);
  session.err << "TrainingRun " << printable(*name) << " is not over: " << printable(text(*found, "status.message")) << "\n";
  return kNotYet;
}

}  // namespace

Result<Json> again(const Json& version, const Json& run) {
  const std::string who = "TrainingRun " + name_of(run), name = name_of(version), model = text(run, "spec.modelRef.name");
  const Json* trial = best_trial(run);
  const Json* seed = field(run, "status.seed");
  if (text(run, "status.version") != name || model != text(version, "spec.modelRef.name"))
    return refuse(who + " did not make " + name +
                  ": a run of that name was created again since, and the parameters of the first one are lost");
  if (!trial || !seed || !seed->is_number_integer())
    return refuse(who + " recorded neither trial nor seed of its result: " + name + " cannot be reproduced from it");
  const std::string told = "spec.lineage.run.parameters.", imported = text(version, told + "mlflow_model"), number = text(version, told + "mlflow_version");
  if (!imported.empty() && !number.empty())
    return refuse("ModelVersion " + name + " was imported from MLflow (version " + number + " of " + imported +
                  "), not trained, so it cannot be reproduced: to import it again, create a TrainingRun with spec.trigger.name of the Model's "
                  "registry trigger and spec.parameters {mlflow_version: \"" + number + "\"}");
  Json spec = {{"modelRef", {{"name", model}}},
               {"trigger", {{"name", name.substr(0, kLongestTrigger)}, {"kind", "Reproduce"}}},
               {"seed", *seed},
               {"onSuccess", "Register"}};
  if (const Json* parameters = field(*trial, "parameters")) spec["parameters"] = *parameters;
  return Json{{"apiVersion", api::kApiVersion},
              {"kind", info(Kind::TrainingRun).kind},
              {"metadata", {{"generateName", model + "-again-"}, {"namespace", text(run, "metadata.namespace")}}},
              {"spec", std::move(spec)}};
}

std::string kind_to_name(const Json& model) {
  const std::string api_version = text(model, "spec.retraining.workload.object.apiVersion");
  return api_version.empty() ? "" : text(model, "spec.retraining.workload.resource") + "." + api_version.substr(0, api_version.find('/'));
}

Result<Comparison> compare(const Json& version, const Json& run, const std::optional<Decimal>& within) {
  if (text(run, "status.result.artifact.digest").empty())
    return refuse("TrainingRun " + name_of(run) + " has no result to compare: " + text(run, "status.phase") + ": " +
                  text(run, "status.message"));
  Comparison out;
  out.differences = version_differences(without_names(version), version_made_by(run));
  out.same_bits = std::none_of(out.differences.begin(), out.differences.end(),
                               [](const Difference& d) { return d.field == "artifact.digest"; });
  out.farthest = farthest_of(out.differences);
  out.same_figures = field(version, "spec.metrics") && out.farthest && *out.farthest <= within.value_or(Decimal());
  out.sentence = sentence_of(out, version, run);
  if (text(run, "status.attempt") != "1" && !text(run, "status.attempt").empty())
    out.sentence +=
        "; spec.retraining.retry made attempt " + text(run, "status.attempt") + " of it, with seed " + text(run, "status.seed");
  return out;
}

int reproduce(Session& session, const Reproducing& asked) {
  const auto original = original_of(session, asked.version);
  if (!original) return complain(session, original.error());
  if (!asked.run.empty()) return compare_with(session, *original, asked.run, asked);
  const auto started = start(session, *original, asked.only_show);
  if (!started) return complain(session, started.error());
  const std::string name = name_of(*started), version = name_of(original->version);
  const bool real = !asked.only_show && !asked.dry_run;
  if (real && asked.wait) {
    session.err << "TrainingRun " << printable(name) << " makes " << printable(version) << " again\n";
    const auto ended = Waiting(session, name).wait(asked.timeout);
    if (!ended) return complain(session, ended.error());
    if (*ended) return print_comparison(session, original->version, **ended, asked);
    session.err << "still in progress; kubectl model reproduce " << printable(version) << " --run " << printable(name)
                << " --wait compares after the run\n";
    return kNotYet;
  }
  if (!asked.output.empty()) {
    print_objects(session.out, {*started}, asked.output, false);
    return kDone;
  }
  const Json* told = field(*started, "spec.parameters");
  session.out << printable((real ? "TrainingRun " + name + " makes " : "a TrainingRun would make ") + version +
                           " again, with seed " + text(*started, "spec.seed") + (told ? " and " + told->dump() : ""))
              << "\n";
  if (real)
    session.err << "kubectl model reproduce " << printable(version) << " --run " << printable(name)
                << " --wait compares after the run\n";
  return kDone;
}

}  // namespace mo::plugin
