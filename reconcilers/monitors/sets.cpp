#include "reconcilers/monitors/sets.h"

#include <algorithm>
#include <map>

namespace mo::monitors {
namespace {

std::string words(const ObjectRef& set) { return std::string(info(set.kind).kind) + " " + set.key.name; }
std::string mark(const ObjectRef& set) { return std::string(info(set.kind).kind) + "/" + set.key.name; }

class Gather {
 public:
  explicit Gather(const Observed& o) : o_(o), m_(*o.model) {}

  Watched run() {
    find_sets();
    for (const auto& [ref, set] : sets_)
      if (ref.kind == Kind::ClusterModelGateSet) take_required(ref, *set);
    for (const api::Monitor& own : m_.monitors) add(own);
    for (const auto& [ref, set] : sets_)
      for (const api::Monitor& monitor : set->monitors) add(of_set(ref, monitor));
    if (left_out_ > 0)
      blame("TooManyMonitors", "the Model and its sets have " + std::to_string(kMostMonitors + left_out_) + " monitors, and only the first " +
                                   std::to_string(kMostMonitors) + " are watched: take sets out of spec.monitorSets of Model " + o_.key.name);
    check_triggers();
    take_policies();
    return std::move(out_);
  }

 private:
  struct Required {
    ObjectRef set;
    api::Monitor monitor;
  };

  // The first trouble is told; the next one once that is mended.
  void blame(const std::string& reason, const std::string& message) {
    if (out_.problem_reason.empty()) out_.problem_reason = reason, out_.problem = message;
  }

  void find_sets() {
    for (const api::GateSetRef& named : m_.monitor_sets) {
      const ObjectRef ref = named.from(o_.key.ns);
      const auto found = o_.gate_sets.find(ref);
      if (found != o_.gate_sets.end() && found->second->problem.empty()) {
        sets_.push_back({ref, found->second});
        continue;
      }
      out_.unread.insert(mark(ref));
      if (found == o_.gate_sets.end())
        miss(ref);
      else
        blame("InvalidGateSet", words(ref) + ": " + found->second->problem);
    }
  }

  void miss(const ObjectRef& ref) {
    if (ref.kind == Kind::ClusterModelGateSet && o_.cluster_gate_sets_denied)
      return blame("GateSetForbidden", "an operator of one namespace may not read " + words(ref) +
                                           ": put its monitors into a ModelGateSet, or allow the operator's ServiceAccount to watch clustermodelgatesets");
    blame("GateSetNotFound", words(ref) + " does not exist" + (ref.key.ns.empty() ? "" : " in namespace " + ref.key.ns) +
                                 ": create it, or correct spec.monitorSets of Model " + o_.key.name);
  }

  void take_required(const ObjectRef& ref, const api::GateSet& set) {
    for (const api::Monitor& monitor : set.monitors) {
      if (!monitor.required) continue;
      const auto [other, first] = required_.try_emplace(monitor.figure.name, Required{ref, of_set(ref, monitor)});
      api::Monitor same = of_set(other->second.set, monitor);
      if (!first && same != other->second.monitor)
        blame("MonitorConflict", words(other->second.set) + " and " + words(ref) + " both require monitor " + monitor.figure.name +
                                     " and define it differently: rename one of them");
    }
  }

  static api::Monitor of_set(const ObjectRef& ref, api::Monitor monitor) {
    monitor.set = mark(ref);
    monitor.of_cluster = ref.kind == Kind::ClusterModelGateSet;
    return monitor;
  }

  // What comes first wins, but that a required one does in any case.
  void add(const api::Monitor& monitor) {
    const std::string& name = monitor.figure.name;
    if (names_.contains(name)) return;
    const auto required = required_.find(name);
    const api::Monitor& taken = required == required_.end() ? monitor : required->second.monitor;
    if (!taken.figure.measurable())
      return blame("MonitorUndefined", "monitor " + name + (taken.set.empty() ? "" : " of " + taken.set) + " has a kind that this operator does not support");
    names_.insert(name);
    if (out_.monitors.size() < kMostMonitors)
      out_.monitors.push_back(taken);
    else
      ++left_out_;
  }

  // While a set is missing it might define them.
  void check_triggers() {
    if (!m_.retraining || m_.monitor_sets.empty() || !out_.unread.empty()) return;
    for (const api::Trigger& trigger : m_.retraining->triggers) {
      if (!trigger.monitor || names_.contains(*trigger.monitor)) continue;
      std::string why = "trigger " + trigger.name + " names monitor " + *trigger.monitor + ", which neither spec.monitors nor";
      const char* before = " ";
      for (const auto& [ref, set] : sets_) {
        why += before + words(ref);
        before = " or ";
      }
      blame("MonitorUndefined", why + " defines: define it there or correct the name");
    }
  }

  // Beside the Model's own of that name. Of a policy that only warns, or of which it can't be told whom it is for, it alerts, and nothing follows from it.
  static api::Monitor of_policy(const api::ModelPolicy& policy, api::Monitor monitor) {
    monitor.policy = policy.meta.key.name;
    monitor.of_cluster = true;
    monitor.figure.name = monitor.policy + "/" + monitor.figure.name;
    if (!policy.enforced || !policy.problem.empty()) monitor.retrain = monitor.roll_back = monitor.hold = false;
    return monitor;
  }

  void take_policies() {
    size_t taken = 0;
    for (const auto& policy : o_.policies)
      for (const api::Monitor& monitor : policy->monitors)
        if (taken++ < kMostOfPolicies) out_.monitors.push_back(of_policy(*policy, monitor));
  }

  const Observed& o_;
  const api::Model& m_;
  std::vector<std::pair<ObjectRef, Ref<api::GateSet>>> sets_;  // those that can be read, in the Model's order
  std::map<std::string, Required> required_;                   // by name
  std::set<std::string> names_;
  size_t left_out_ = 0;
  Watched out_;
};

}  // namespace

Watched watched_of(const Observed& observed) { return Gather(observed).run(); }

}  // namespace mo::monitors
