#include "plugin/rollouts.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "operator/api/types.h"
#include "plugin/fields.h"
#include "reconcilers/rollout/advance.h"

namespace mo::plugin {
namespace {

// Newest first: those that have not begun are the newest of their second.
bool newer(const Json& a, const Json& b) {
  const auto key = [](const Json& r) {
    const std::string begun = text(r, "status.startedAt");
    return std::make_tuple(text(r, "metadata.creationTimestamp"), begun.empty() ? "9" : begun, name_of(r));
  };
  return key(a) > key(b);
}

std::string joined_names(const std::vector<const Json*>& rollouts) {
  std::string names;
  for (const Json* r : rollouts) names += (names.empty() ? "" : ", ") + name_of(*r);
  return names;
}

std::vector<const Json*> live(const Rollouts& rollouts) {
  std::vector<const Json*> found;
  for (const Json& r : rollouts.all)
    if (!over(r)) found.push_back(&r);
  return found;
}

bool ended_with(const Json& rollout, std::initializer_list<const char*> phases) {
  const std::string phase = text(rollout, "status.phase");
  return std::any_of(phases.begin(), phases.end(), [&](const char* p) { return phase == p; });
}

}  // namespace

std::string Rollouts::name() const { return name_of(model); }
std::string Rollouts::stable() const { return text(model, "status.stableVersion"); }

Result<Rollouts> read(Session& session, const std::string& model) {
  Rollouts out;
  auto found = get(session, Kind::Model, model);
  if (!found) return fail(found.error());
  out.model = std::move(*found);
  kube::ListOptions of_model;
  of_model.field_selector = "spec.modelRef.name=" + model;
  auto rollouts = list(session, Kind::ModelRollout, of_model);
  if (!rollouts) return fail(rollouts.error());
  out.all = std::move(*rollouts);
  sort_newest_first(out.all);
  auto versions = list(session, Kind::ModelVersion, of_model);
  if (!versions) return fail(versions.error());
  out.versions = std::move(*versions);
  return out;
}

void sort_newest_first(std::vector<Json>& rollouts) { std::sort(rollouts.begin(), rollouts.end(), newer); }

bool over(const Json& rollout) { return rollout::is_over(text(rollout, "status.phase")); }
bool started(const Json& rollout) { return field(rollout, "status.startedAt") != nullptr; }

std::string title(const Json& rollout) {
  const std::string from = from_text(rollout);
  return "ModelRollout " + name_of(rollout) + " (" + (from.empty() ? "" : from + " -> ") + to_text(rollout) + ")";
}

std::string from_text(const Json& rollout) {
  const std::string from = text(rollout, "status.from");
  return from.empty() ? text(rollout, "status.fromVersion") : from;
}

std::string to_text(const Json& rollout) {
  const std::string to = text(rollout, "status.to");
  return to.empty() ? text(rollout, "spec.version") : to;
}

bool any_live(const Rollouts& rollouts) { return !live(rollouts).empty(); }

Result<Json> the_rollout(const Rollouts& rollouts, const std::string& wanted) {
  if (!wanted.empty()) {
    for (const Json& r : rollouts.all) {
      if (name_of(r) != wanted) continue;
      if (over(r)) return refuse(title(r) + " is over: " + text(r, "status.phase"));
      return r;
    }
    return refuse("Model " + rollouts.name() + " has no ModelRollout " + wanted);
  }
  std::vector<const Json*> candidates = live(rollouts);
  if (candidates.empty()) {
    std::string last;
    if (!rollouts.all.empty())
      last = "; the last one, " + title(rollouts.all.front()) + ", " +
             (text(rollouts.all.front(), "status.phase") == "Succeeded" ? "succeeded" : "ended as ") +
             (text(rollouts.all.front(), "status.phase") == "Succeeded"
                  ? ""
                  : text(rollouts.all.front(), "status.phase"));
    return refuse("Model " + rollouts.name() + " has no rollout in progress" + last);
  }
  // Beside the one that the Model is at, others may wait, or may give their traffic back.
  const std::string intended = text(rollouts.model, "status.intent.rollout");
  for (const Json* r : candidates)
    if (name_of(*r) == intended) return *r;
  std::vector<const Json*> running;
  for (const Json* r : candidates)
    if (started(*r)) running.push_back(r);
  if (running.size() == 1) return *running.front();
  if (candidates.size() == 1) return *candidates.front();
  return refuse("Model " + rollouts.name() + " has several rollouts; choose one with --rollout: " +
                joined_names(running.empty() ? candidates : running));
}

Result<std::string> failed_last(const Rollouts& rollouts) {
  const std::string outcome = text(rollouts.model, "status.intent.outcome");
  const std::string version = text(rollouts.model, "status.intent.version");
  const std::string serving = text(rollouts.model, "status.stableRevision.name");
  // Another template of the version that serves is another thing to try.
  const auto serves = [&](const std::string& what, const std::string& revision) {
    return what == rollouts.stable() && (revision.empty() || revision == serving);
  };
  if (!outcome.empty() && outcome != "Succeeded" && outcome != "Superseded" &&
      !serves(version, text(rollouts.model, "status.intent.revision")))
    return version;
  for (const Json& r : rollouts.all) {
    if (!over(r) || ended_with(r, {"Superseded"})) continue;
    if (ended_with(r, {"Succeeded"}) || serves(text(r, "spec.version"), text(r, "status.revision.name"))) break;
    return text(r, "spec.version");
  }
  return refuse("nothing to retry: the last rollout of Model " + rollouts.name() + " did not fail" +
                (rollouts.stable().empty() ? "" : ", " + rollouts.stable() + " serves"));
}

Result<std::string> served_before(const Rollouts& rollouts) {
  std::vector<const Json*> done;
  for (const Json& r : rollouts.all)
    if (ended_with(r, {"Succeeded"})) done.push_back(&r);
  std::stable_sort(done.begin(), done.end(), [](const Json* a, const Json* b) {
    return text(*a, "status.finishedAt") > text(*b, "status.finishedAt");
  });
  std::vector<Move> moves;
  for (auto r = done.rbegin(); r != done.rend(); ++r) moves.push_back({text(**r, "status.fromVersion"), text(**r, "spec.version")});
  const std::string stable = rollouts.stable();
  for (const std::string& version : rollback_targets(moves, stable))
    if (is_version(rollouts, version)) return version;
  std::string others;
  std::set<std::string> told{"", stable};
  for (auto move = moves.rbegin(); move != moves.rend(); ++move)
    for (const std::string& version : {move->to, move->from})
      if (told.insert(version).second && is_version(rollouts, version)) others += (others.empty() ? "" : ", ") + version;
  return refuse("no version served before " + (stable.empty() ? "the first" : stable) +
                (others.empty() ? "" : " without a later rollback from it") + "; choose one with --to" +
                (others.empty() ? "" : ": " + others + " served once"));
}

Result<void> is_version(const Rollouts& rollouts, const std::string& version) {
  std::string known;
  for (const Json& v : rollouts.versions) {
    if (name_of(v) == version) return {};
    known += (known.empty() ? "" : ", ") + name_of(v);
  }
  return refuse("Model " + rollouts.name() + " has no ModelVersion " + version +
                (known.empty() ? "" : "; it has " + known));
}

bool has_passed(const Rollouts& rollouts, const std::string& version) {
  if (version == rollouts.stable()) return true;
  for (const Json& r : rollouts.all) {
    if (text(r, "status.fromVersion") == version) return true;
    if (text(r, "spec.version") == version && ended_with(r, {"Succeeded"})) return true;
  }
  for (const Json& v : rollouts.versions)
    if (name_of(v) == version) return ended_with(v, {"Superseded", "Serving"}) || text(v, "status.served") == "true";
  return false;
}

Json new_rollout(const Rollouts& rollouts, const std::string& version, const std::string& purpose) {
  const std::string prefix = version + "-" + purpose + "-";
  int last = 0;
  for (const Json& r : rollouts.all) {
    const std::string name = name_of(r);
    if (!name.starts_with(prefix)) continue;
    int n = 0;
    std::from_chars(name.data() + prefix.size(), name.data() + name.size(), n);
    last = std::max(last, n);
  }
  return {{"apiVersion", api::kApiVersion},
          {"kind", "ModelRollout"},
          {"metadata",
           {{"name", prefix + std::to_string(last + 1)},
            {"namespace", text(rollouts.model, "metadata.namespace")},
            {"labels", {{api::kLabelOrigin, api::kOriginPlugin}}}}},
          {"spec", {{"modelRef", {{"name", rollouts.name()}}}, {"version", version}}}};
}

}  // namespace mo::plugin
