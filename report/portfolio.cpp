#include "report/portfolio.h"

#include <algorithm>
#include <tuple>

#include "operator/json/fields.h"
#include "report/findings.h"
#include "report/read.h"
#include "report/servers.h"

namespace mo::report {
namespace {

constexpr size_t kServersKept = 5000;

TimePoint when(const Rollout& r) { return r.finished.value_or(r.started.value_or(r.created.value_or(TimePoint{}))); }

// "by the spec", "by training", …
std::string brought_by(const Rollout& r) {
  if (r.origin == "spec") return "the spec asked for it";
  if (r.origin == "retraining") return "a training run made it";
  if (r.origin == "monitor") return "a monitor took the Model back to it";
  if (r.origin == "kubectl-model") return "a person asked for it by kubectl model";
  if (r.origin == "argocd") return "a person asked for it in Argo CD";
  return "a person or pipeline asked for it";
}

// Since when what serves does, and by what: its last rollout that succeeded. One that needed none serves since its record says so.
void tell_since(Model& m) {
  if (m.version.empty()) return;
  for (const Rollout& r : m.rollouts) {
    if (r.to != m.version || r.phase != "Succeeded" || !r.finished) continue;
    m.since = r.finished;
    m.why = brought_by(r) + ", ModelRollout " + r.name;
    return;
  }
}

}  // namespace

std::string range(const std::string& min, const std::string& max) {
  if (!min.empty() && !max.empty()) return min + " to " + max;
  return !min.empty() ? "at least " + min : max.empty() ? "" : "at most " + max;
}

const Version* Model::record() const {
  const auto it = std::find_if(versions.begin(), versions.end(), [&](const Version& v) { return v.name == version; });
  return it == versions.end() ? nullptr : &*it;
}

const Model* Portfolio::model(const std::string& ns, const std::string& name) const {
  const auto it = std::lower_bound(models.begin(), models.end(), std::tie(ns, name),
                                   [](const Model& m, const auto& key) { return std::tie(m.ns, m.name) < key; });
  return it != models.end() && it->ns == ns && it->name == name ? &*it : nullptr;
}

void Collector::add(const std::string& kind, const Json& object) {
  if (kind == "Model") {
    Model m = read_model(object);
    Key key{m.ns, m.name};
    models_[std::move(key)] = std::move(m);
  } else if (kind == "ModelVersion") {
    versions_.push_back(read_version(object));
  } else if (kind == "ModelRollout") {
    rollouts_.push_back(read_rollout(object));
  } else if (kind == "TrainingRun") {
    runs_.push_back(read_run(object));
  } else if (kind == "ModelApproval") {
    approvals_.push_back(read_approval(object));
  } else if (kind == "ModelPolicy") {
    policies_ = true;
  } else if (kind == "Pod") {
    const auto seen = model_server(object);
    if (!seen) return;
    auto [owner, name] = workload_of(object);
    Server server{fields::text(object, "metadata.namespace"), name, owner, seen->product, seen->why, model_of(object), 1};
    const std::string id = server.ns + "/" + owner + "/" + name + "/" + server.model;
    if (const auto known = servers_.find(id); known != servers_.end()) ++known->second.pods;
    else if (servers_.size() < kServersKept) servers_[id] = std::move(server);
  }
}

void Collector::hand_out_approvals() {
  std::map<Key, Key> models;  // of rollouts
  if (!approvals_.empty())
    for (const Rollout& r : rollouts_) models[{r.ns, r.name}] = {r.ns, r.model};
  for (Approval& a : approvals_) {
    const auto rollout = models.find({a.ns, a.rollout});
    const auto model = rollout == models.end() ? models_.end() : models_.find(rollout->second);
    if (model != models_.end()) model->second.approvals.push_back(std::move(a));
  }
  approvals_.clear();
}

Portfolio Collector::finish(TimePoint now, const std::string& scope) && {
  Portfolio p;
  p.at = now;
  p.scope = scope;
  p.gaps = std::move(gaps_);
  p.servers_known = pods_read_;
  p.policies_known = policies_;
  const auto model_of = [&](const std::string& ns, const std::string& name) -> Model* {
    const auto it = models_.find({ns, name});
    return it == models_.end() ? nullptr : &it->second;
  };
  hand_out_approvals();
  const auto hand_out = [&](auto& from, auto list) {
    for (auto& one : from)
      if (Model* m = model_of(one.ns, one.model)) (m->*list).push_back(std::move(one));
    from.clear();
  };
  hand_out(versions_, &Model::versions);
  hand_out(rollouts_, &Model::rollouts);
  hand_out(runs_, &Model::runs);
  for (auto& [id, server] : servers_) {
    const Model* owner = server.model.empty() ? nullptr : model_of(server.ns, server.model);
    const bool adopted = std::any_of(models_.begin(), models_.end(), [&](const auto& m) {
      return server.kind == "Deployment" && m.second.ns == server.ns && m.second.adopts == server.name;
    });
    if (!owner && !adopted) p.servers.push_back(std::move(server));
  }
  for (auto& [key, m] : models_) {
    std::stable_sort(m.rollouts.begin(), m.rollouts.end(), [](const Rollout& a, const Rollout& b) { return when(a) > when(b); });
    std::stable_sort(m.versions.begin(), m.versions.end(), [](const Version& a, const Version& b) { return a.created > b.created; });
    std::stable_sort(m.runs.begin(), m.runs.end(), [](const Run& a, const Run& b) { return a.created > b.created; });
    tell_since(m);
    const auto governed = std::find_if(m.rollouts.begin(), m.rollouts.end(), [](const Rollout& r) { return !r.policies.empty(); });
    if (governed != m.rollouts.end()) m.policies = governed->policies;
    if (const Version* record = m.record()) m.evaluated = record->evaluated;
    p.models.push_back(std::move(m));
  }
  find(p);
  return p;
}

Portfolio only(const Portfolio& whole, const std::set<std::string>& namespaces) {
  Portfolio p;
  p.at = whole.at;
  p.scope = whole.scope;
  p.gaps = whole.gaps;
  p.servers_known = whole.servers_known;
  p.policies_known = whole.policies_known;
  p.prices = whole.prices;
  p.usage_problem = whole.usage_problem;
  for (const Model& m : whole.models)
    if (namespaces.contains(m.ns)) p.models.push_back(m);
  for (const Server& s : whole.servers)
    if (namespaces.contains(s.ns)) p.servers.push_back(s);
  find(p);  // anew: duplicates in other namespaces are none of theirs
  return p;
}

}  // namespace mo::report
