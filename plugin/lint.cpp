#include "plugin/lint.h"

#include <algorithm>
#include <map>
#include <ostream>

#include "operator/api/parse.h"
#include "operator/core/cron.h"
#include "plugin/fields.h"
#include "plugin/schema.h"
#include "plugin/session.h"
#include "plugin/warnings.h"
#include "reconcilers/common/job.h"
#include "reconcilers/governance/freeze.h"
#include "reconcilers/governance/policies.h"
#include "reconcilers/model/intent.h"
#include "reconcilers/monitors/sets.h"
#include "reconcilers/training/job.h"
#include "reconcilers/training/workload.h"
#include "reconcilers/rollout/policy.h"
#include "reconcilers/serving/render.h"

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
    const std::string kind = text(found.object(), "kind");
    if (kind == "ModelGateSet") take_gate_set<api::ModelGateSet>(found.object(), sets);
    if (kind == "ClusterModelGateSet") take_gate_set<api::ClusterModelGateSet>(found.object(), sets);
  }
  return sets;
}

// Policies that are enforced, each name once.
std::vector<Ref<api::ModelPolicy>> policies_in(const Objects& objects) {
  std::map<std::string, Ref<api::ModelPolicy>> policies;
  for (const Found& found : objects.ours) {
    if (text(found.object(), "kind") != info(Kind::ModelPolicy).kind) continue;
    auto policy = api::parse<api::ModelPolicy>(found.object().dump());
    if (!policy || !policy->enforced) continue;
    const bool fresh = policies.try_emplace(policy->meta.key.name, std::make_shared<const api::ModelPolicy>(*policy)).second;
    if (!fresh) policies[policy->meta.key.name] = nullptr;
  }
  std::vector<Ref<api::ModelPolicy>> all;
  for (const auto& [name, policy] : policies)
    if (policy) all.push_back(policy);
  return all;
}

// What the schema lets pass and the operator says no to, in status, only later.
class OperatorsRules {
 public:
  OperatorsRules(const GateSets& sets, const std::vector<Ref<api::ModelPolicy>>& policies) : sets_(sets), policies_(policies) {}

  std::vector<Mistake> of(const Json& object) {
    const std::string kind = text(object, "kind");
    if (kind == "Model") check_model(object);
    if (kind == "ModelRuntime") check_runtime(object);
    if (kind == "ModelRollout") check_parsed<api::ModelRollout>(object);
    if (kind == "ModelPolicy") check_policy(object);
    if (kind == "ModelGateSet") check_gate_set<api::ModelGateSet>(object);
    if (kind == "ClusterModelGateSet") check_gate_set<api::ClusterModelGateSet>(object);
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
    check_templates(*model);
    if (const std::string why = model::weight_too_small(*model); !why.empty())
      wrong("/spec/rollout/steps", "spec.rollout.steps", why);
    check_names(*model);
    check_monitor_sets(*model);
    check_against_policies(*model);
  }

  // Of the same files. What is asked of versions is left out: which one is meant follows from what is in the cluster.
  void check_against_policies(const api::Model& model) {
    Observed o;
    o.key = model.meta.key;
    o.model = std::make_shared<const api::Model>(model);
    for (const auto& policy : policies_)
      if (!policy->namespace_selector && governance::applies(*policy, model))  // no file says which labels its namespace has
        for (const std::string& why : governance::objections(o, *policy, nullptr)) wrong("/spec", "spec", why);
  }

  void check_policy(const Json& object) {
    const auto policy = check_parsed<api::ModelPolicy>(object);
    if (!policy || !policy->problem.empty()) return;
    const TimePoint now = std::chrono::floor<Duration>(std::chrono::system_clock::now());
    for (size_t i = 0; i < policy->freeze.size(); ++i)
      if (const auto open = governance::open_until(policy->freeze[i], now); !open)
        wrong("/spec/freeze/" + std::to_string(i), "spec.freeze[" + std::to_string(i) + "]", open.error().message);
  }

  void check_runtime(const Json& object) {
    if (const auto runtime = api::parse<api::ModelRuntime>(object.dump()))
      told("/spec/template", serving::read_template(*runtime));
  }

  void check_templates(const api::Model& model) {
    told("/spec/serving/template", serving::read_template(model));
    if (model.retraining) check_training(*model.retraining);
    check_jobs(model.rollout.gates, model.monitors, "rollout");
  }

  template <class Set>
  void check_gate_set(const Json& object) {
    const auto set = check_parsed<Set>(object);
    if (set && set->problem.empty()) check_jobs(set->gates, set->monitors);
  }

  void check_jobs(const std::vector<api::Gate>& gates, const std::vector<api::Monitor>& monitors, const std::string& gates_under = "") {
    const auto check = [&](const api::Gate& figure, const std::string& list, size_t i) {
      if (!figure.job) return;
      std::string path = "spec." + list + "[" + std::to_string(i) + "].job.template", pointer = "/spec/" + list + "/" + std::to_string(i);
      std::replace(pointer.begin(), pointer.end(), '.', '/');
      told(pointer, read_job(figure.job->job_template, path));
    };
    for (size_t i = 0; i < gates.size(); ++i) check(gates[i], gates_under.empty() ? "gates" : gates_under + ".gates", i);
    for (size_t i = 0; i < monitors.size(); ++i) check(monitors[i].figure, "monitors", i);
  }

  void check_training(const api::Retraining& spec) {
    if (!spec.job_template.empty()) told("/spec/retraining/template", read_job(spec.job_template, training::kTemplate));
    if (spec.workload) told("/spec/retraining/workload", training::read_workload(*spec.workload));
    if (spec.validate) told("/spec/retraining/validate/template", read_job(spec.validate->job_template, training::kValidateTemplate));
    if (spec.evaluate) told("/spec/retraining/evaluate/template", read_job(spec.evaluate->job_template, training::kEvaluateTemplate));
    if (const auto sets = training::expand(spec.trials, {}, 0); !sets)
      wrong("/spec/retraining/trials/parameters", "spec.retraining.trials.parameters", sets.error().message);
  }
  void told(const std::string& pointer, const Result<Json>& read) {
    if (!read) wrong(pointer, "", read.error().message);
  }

  // With those sets, if all are at hand.
  std::optional<Observed> with_sets(const api::Model& model, const std::vector<api::GateSetRef>& sets) const {
    Observed o;
    o.key = model.meta.key;
    o.model = std::make_shared<const api::Model>(model);
    for (const api::GateSetRef& named : sets) {
      const auto set = sets_.find(named.from(o.key.ns));
      if (set == sets_.end() || !set->second || !set->second->problem.empty()) return {};
      o.gate_sets[set->first] = set->second;
    }
    return o;
  }

  void check_monitor_sets(const api::Model& model) {
    const auto o = with_sets(model, model.monitor_sets);
    if (!o) return;
    const monitors::Watched watched = monitors::watched_of(*o);
    if (!watched.problem.empty()) wrong("/spec/monitorSets", "spec.monitorSets", watched.problem);
  }

  // Of gates, where all sets that might define them are at hand.
  void check_names(const api::Model& model) {
    const auto seen = with_sets(model, model.rollout.gate_sets);
    if (!seen) return;
    const Observed& o = *seen;
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
              "\"" + text(triggers[i], "schedule.cron") + "\" has no occurrence within the next five years: correct its day and month");
    }
  }

  const GateSets& sets_;
  const std::vector<Ref<api::ModelPolicy>>& policies_;
  std::vector<Mistake> mistakes_;
};

std::string known_kinds() {
  std::string all;
  for (const Crd& crd : crds()) all += (all.empty() ? "" : ", ") + crd.kind;
  return all;
}

// With its defaults set in `object`.
std::vector<Mistake> mistakes_in(Json& object, const GateSets& sets, const std::vector<Ref<api::ModelPolicy>>& policies) {
  const Crd* crd = crd_of(text(object, "kind"));
  if (!crd)
    return {{"/kind", "kind",
             "not a kind of modelops.dev: \"" + text(object, "kind") + "\"; it is one of " + known_kinds()}};
  if (text(object, "apiVersion") != crd->api_version)
    return {{"/apiVersion", "apiVersion", "must be " + crd->api_version}};
  std::vector<Mistake> mistakes = check(*crd, object);
  give_generated_name(object);
  return mistakes.empty() ? OperatorsRules(sets, policies).of(object) : mistakes;
}

}  // namespace

std::vector<Complaint> lint(const Objects& objects) {
  std::vector<Complaint> complaints = objects.complaints;
  const GateSets sets = gate_sets_in(objects);
  const auto policies = policies_in(objects);
  std::map<std::string, std::string> seen;
  for (const Found& found : objects.ours) {
    Json object = found.object();
    const auto complain = [&](const std::vector<Mistake>& mistakes, bool warning) {
      for (const Mistake& mistake : mistakes)
        complaints.push_back({found.file, found.line(mistake.pointer), mistake.path, mistake.message, warning});
      return !mistakes.empty();
    };
    if (!complain(mistakes_in(object, sets, policies), false)) complain(warnings_of(object), true);
    const std::string name = name_of(found.object());
    // In one file: folders often hold variants of an object.
    const std::string id =
        found.file + " " + text(object, "kind") + " " + text(object, "metadata.namespace") + "/" + name;
    const std::string here = found.file + ":" + std::to_string(found.line());
    const auto [first, fresh] = seen.try_emplace(id, here);
    if (!fresh && !name.empty())
      complaints.push_back(
          {found.file, found.line("/metadata/name"), "metadata.name",
           text(object, "kind") + " " + name + " is defined twice; first at " + first->second});
  }
  return complaints;
}

size_t mistakes_among(const std::vector<Complaint>& complaints) {
  return std::count_if(complaints.begin(), complaints.end(), [](const Complaint& one) { return !one.warning; });
}

int lint_files(const Linting& linting, std::istream& in, std::ostream& out, std::ostream& err) {
  const auto objects = read_files(linting.sources, in);
  if (!objects) {
    err << "error: " << printable(objects.error().message) << "\n";
    return kTrouble;
  }
  const auto complaints = lint(*objects);
  for (const Complaint& complaint : complaints) out << complaint.to_string() << "\n";
  const size_t mistakes = mistakes_among(complaints), warnings = complaints.size() - mistakes;
  err << count_of(objects->ours.size(), "object") << " in " << count_of(objects->files, "file");
  if (objects->others > 0) err << ", " << objects->others << " of other kinds skipped";
  err << ": " << (mistakes ? count_of(mistakes, "mistake") : objects->ours.empty() ? "nothing to check" : "no mistakes");
  if (warnings > 0) err << ", " << count_of(warnings, "warning");
  err << "\n";
  return mistakes > 0 || (linting.strict && warnings > 0) ? kNo : kDone;
}

}  // namespace mo::plugin
