#include "plugin/lint.h"

#include <map>
#include <ostream>

#include "operator/api/parse.h"
#include "operator/core/cron.h"
#include "plugin/fields.h"
#include "plugin/schema.h"
#include "plugin/session.h"
#include "reconcilers/model/intent.h"
#include "reconcilers/rollout/policy.h"

namespace mo::plugin {
namespace {

// Those among the objects that are looked at. Null: there are several of that name, as where a folder holds
// variants of an object.
using GateSets = std::map<ObjectRef, Ref<api::GateSet>>;

template <class Set>
void take_gate_set(const Json& object, GateSets& sets) {
  auto set = api::parse<Set>(object.dump());
  if (!set) return;
  const ObjectRef ref{api::KindOf<Set>::value, set->meta.key};
  const bool fresh = sets.try_emplace(ref, std::make_shared<const Set>(std::move(*set))).second;
  if (!fresh) sets[ref] = nullptr;
}

GateSets gate_sets_in(const Objects& objects) {
  GateSets sets;
  for (const Found& found : objects.ours) {
    const std::string kind = text(found.document.value, "kind");
    if (kind == "ModelGateSet") take_gate_set<api::ModelGateSet>(found.document.value, sets);
    if (kind == "ClusterModelGateSet") take_gate_set<api::ClusterModelGateSet>(found.document.value, sets);
  }
  return sets;
}

// What the schema lets pass and the operator says no to, in status, only later.
class OperatorsRules {
 public:
  explicit OperatorsRules(const GateSets& sets) : sets_(sets) {}

  std::vector<Mistake> of(const Json& object) {
    const std::string kind = text(object, "kind");
    if (kind == "Model") check_model(object);
    if (kind == "ModelRollout") check_parsed<api::ModelRollout>(object);
    return std::move(mistakes_);
  }

 private:
  void wrong(const std::string& pointer, const std::string& path, const std::string& message) {
    mistakes_.push_back({pointer, path, message});
  }

  template <class T>
  std::optional<T> check_parsed(const Json& object) {
    auto parsed = api::parse<T>(object.dump());
    if (!parsed) {
      wrong("", "", parsed.error().message);
      return {};
    }
    if (!parsed->problem.empty()) wrong("/spec", "", parsed->problem);
    return std::move(*parsed);
  }

  void check_model(const Json& object) {
    const auto model = check_parsed<api::Model>(object);
    if (!model || !model->problem.empty()) return;
    check_schedules(object);
    if (const std::string why = model::weight_too_small(*model); !why.empty())
      wrong("/spec/rollout/steps", "spec.rollout.steps", why);
    check_names(*model);
  }

  // Of gates, where all sets that might define them are at hand.
  void check_names(const api::Model& model) {
    Observed o;
    o.key = model.meta.key;
    o.model = std::make_shared<const api::Model>(model);
    for (const api::GateSetRef& named : model.rollout.gate_sets) {
      const auto set = sets_.find(named.from(o.key.ns));
      if (set == sets_.end() || !set->second || !set->second->problem.empty()) return;
      o.gate_sets[set->first] = set->second;
    }
    const rollout::Policy policy = rollout::resolve(o);
    if (!policy.rollouts.reason.empty()) wrong("/spec/rollout", "spec.rollout", policy.rollouts.message);
    if (!policy.retraining.reason.empty())
      wrong("/spec/retraining/gates", "spec.retraining.gates", policy.retraining.message);
  }

  void check_schedules(const Json& object) {
    const Json& triggers = items(object, "spec.retraining.triggers");
    for (size_t i = 0; i < triggers.size(); ++i) {
      if (!field(triggers[i], "schedule")) continue;
      const auto cron =
          CronSchedule::parse(text(triggers[i], "schedule.cron"), text(triggers[i], "schedule.timeZone"));
      if (!cron)
        wrong("/spec/retraining/triggers/" + std::to_string(i) + "/schedule",
              "spec.retraining.triggers[" + std::to_string(i) + "].schedule", cron.error().message);
      else if (!cron->next(std::chrono::floor<Duration>(std::chrono::system_clock::now())))
        wrong("/spec/retraining/triggers/" + std::to_string(i) + "/schedule",
              "spec.retraining.triggers[" + std::to_string(i) + "].schedule.cron",
              "\"" + text(triggers[i], "schedule.cron") + "\" has no time within the next five years: correct its day and month");
    }
  }

  const GateSets& sets_;
  std::vector<Mistake> mistakes_;
};

std::string known_kinds() {
  std::string all;
  for (const Crd& crd : crds()) all += (all.empty() ? "" : ", ") + crd.kind;
  return all;
}

std::vector<Mistake> mistakes_in(const Found& found, const GateSets& sets) {
  Json object = found.document.value;
  const Crd* crd = crd_of(text(object, "kind"));
  if (!crd)
    return {{"/kind", "kind",
             "no kind of modelops.dev: \"" + text(object, "kind") + "\"; it is one of " + known_kinds()}};
  if (text(object, "apiVersion") != crd->api_version)
    return {{"/apiVersion", "apiVersion", "must be " + crd->api_version}};
  std::vector<Mistake> mistakes = check(*crd, object);
  return mistakes.empty() ? OperatorsRules(sets).of(object) : mistakes;
}

}  // namespace

std::vector<Complaint> lint(const Objects& objects) {
  std::vector<Complaint> complaints = objects.complaints;
  const GateSets sets = gate_sets_in(objects);
  std::map<std::string, std::string> seen;
  for (const Found& found : objects.ours) {
    for (const Mistake& mistake : mistakes_in(found, sets))
      complaints.push_back({found.file, found.line(mistake.pointer), mistake.path, mistake.message});
    const Json& object = found.document.value;
    const std::string name = text(object, "metadata.name");
    // In one file: folders often hold variants of an object.
    const std::string id =
        found.file + " " + text(object, "kind") + " " + text(object, "metadata.namespace") + "/" + name;
    const std::string here = found.file + ":" + std::to_string(found.line());
    const auto [first, fresh] = seen.try_emplace(id, here);
    if (!fresh && !name.empty())
      complaints.push_back(
          {found.file, found.line("/metadata/name"), "metadata.name",
           text(object, "kind") + " " + name + " is there twice; first at " + first->second});
  }
  return complaints;
}

int lint_files(const std::vector<std::string>& names, std::istream& in, std::ostream& out,
               std::ostream& err) {
  const auto objects = read_files(names, in);
  if (!objects) {
    err << "error: " << objects.error().message << "\n";
    return kTrouble;
  }
  const auto complaints = lint(*objects);
  for (const Complaint& complaint : complaints) out << complaint.to_string() << "\n";
  const auto count = [](size_t n, const char* what) {
    return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
  };
  err << count(objects->ours.size(), "object") << " in " << count(objects->files, "file") << ": "
      << (complaints.empty() ? "no mistakes" : count(complaints.size(), "mistake")) << "\n";
  return complaints.empty() ? kDone : kNo;
}

}  // namespace mo::plugin
