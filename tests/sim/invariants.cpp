#include "tests/sim/invariants.h"

#include <algorithm>

#include "operator/audit/verify.h"
#include "reconcilers/common/names.h"
#include "reconcilers/common/side.h"
#include "reconcilers/rollout/advance.h"
#include "reconcilers/serving/route.h"

namespace mo::sim {
namespace {

[[noreturn]] void broken(const std::string& what) { throw Violation(what); }

int ceil_percent(int replicas, int weight) { return (replicas * weight + 99) / 100; }

std::string status_of(const Json& object, const char* type) {
  for (const Json& c : object.value("conditions", Json::array()))
    if (c["type"] == type) return c["status"];
  return "";
}

const Json* condition(const Json& status, const std::string& type) {
  if (!status.contains("conditions")) return nullptr;
  for (const Json& c : status["conditions"])
    if (c["type"] == type) return &c;
  return nullptr;
}

}  // namespace

Invariants::View Invariants::look(const api::Model& model) const {
  View view;
  view.model = w_.truth.models.get(model.meta.key);
  if (!view.model) return view;
  for (const auto& r : w_.truth.rollouts.of_model(model.meta.key)) {
    if (!r->status.started || rollout::is_over(r->status.phase)) continue;
    if (view.active)
      broken("I4: two rollouts at once: " + view.active->meta.key.name + " and " + r->meta.key.name);
    view.active = r;
  }
  view.stable = side_of(view.model->status.stable_version, view.model->status.stable_revision);
  if (view.active) view.candidate = side_of(view.active->version, view.active->status.revision);
  for (const auto& pod : w_.truth.pods.of_model(model.meta.key)) view.ready[side_of(*pod)] += pod->ready;
  const auto service = w_.truth.services.get(model.meta.key);
  const auto& adopted = view.model->status.adopted;
  const bool taken = service && adopted && adopted->service_uid == service->meta.uid && service->selector.count(api::kLabelModel);
  if (!service || (service->meta.controller_uid != view.model->meta.uid && !taken)) return view;
  view.side = side_of(service->selector);
  view.selected = view.side.empty() ? Selected::Everyone : Selected::One;
  // Without another label it leads to every pod of the version.
  if (view.selected == Selected::One && revision_of(view.side).empty() && !service->selector.count(api::kLabelTemplateHash))
    for (const auto& [side, ready] : view.ready)
      if (ready > 0 && side != view.side && version_of(side) == view.side) broken("I2: " + side + " gets requests for " + view.side);
  return view;
}

int Invariants::ready_of(const View& view, const std::string& side) const {
  const auto it = view.ready.find(side);
  return it == view.ready.end() ? 0 : it->second;
}

// ---- before each write of ours ----

namespace {

// Why a ModelAudit has to stay; empty: it may go.
std::string kept_yet(const World& world, const Delete& removal) {
  const Json* object = world.find(removal.target);
  if (!object || (*object)["metadata"]["uid"] != removal.uid) return "";
  if (!(*object)["metadata"].value("annotations", Json::object()).contains(api::kAnnotationExported)) return "and was not exported";
  for (const auto& model : world.truth.models.all()) {
    if (model->meta.uid != (*object)["spec"]["model"]["uid"]) continue;
    if (model->status.audit.pruned < (*object)["spec"]["last"].get<int64_t>()) return "and no record of its Model says so";
  }
  return "";
}

}  // namespace

void Invariants::before(const Action& action, const Ref<api::Model>& known) {
  if (const auto* write = std::get_if<WriteStatus>(&action)) return check_write(*write, known);
  if (const auto* removal = std::get_if<Delete>(&action); removal && removal->target.kind == Kind::ModelAudit) {
    if (const std::string why = kept_yet(w_, *removal); !why.empty()) broken("audit: " + removal->target.to_string() + " is deleted, " + why);
    return;
  }
  if (!known) broken("I4: writes for a Model that is not there");
  check_owner(action, *known);
  check_stable_capacity(action, *known);
  check_pods_without_word(action);
  if (const auto* apply = std::get_if<Apply>(&action)) check_template(*apply, *known);
  if (const auto* removal = std::get_if<Delete>(&action)) check_history(*removal, *known);
  if (const auto* apply = std::get_if<Apply>(&action)) check_not_again(*apply, *known);
}

// What is not the Model's own is touched only once it is on record how it was, and the Model cannot go without giving it back.
bool Invariants::adopts(const ObjectRef& target, const std::string& uid) const {
  for (const auto& model : w_.truth.models.all()) {
    if (!model->status.adopted || !model->meta.held()) continue;
    const api::Adopted& adopted = *model->status.adopted;
    if (target.kind == Kind::Deployment && target.key.name == adopted.deployment && uid == adopted.deployment_uid) return true;
    if (target.kind == Kind::Service && target.key == model->meta.key && uid == adopted.service_uid) return true;
  }
  return false;
}

// Callers of a Service that isn't ours find somebody.
void Invariants::check_foreign() const {
  if (disturbed) return;
  for (const auto& service : w_.truth.services.all()) {
    if (service->selector.count(api::kLabelModel)) continue;
    for (const auto& d : w_.truth.deployments.all()) {
      if (!d->meta.controller_uid.empty()) continue;
      if (w_.get({Kind::Deployment, d->meta.key})["spec"]["template"]["metadata"]["labels"] != Json(service->selector)) continue;
      if (d->ready_replicas == 0 || d->replicas == 0) broken("Service " + service->meta.key.name + " leads to Deployment " + d->meta.key.name + ", which has no pods");
    }
  }
}

void Invariants::check_owner(const Action& action, const api::Model& known) const {
  const ObjectRef& target = std::visit([](const auto& a) -> const ObjectRef& { return a.target; }, action);
  const std::string uid = std::visit(
      [](const auto& a) {
        if constexpr (requires { a.uid; }) return a.uid;
      },
      action);
  const auto* apply = std::get_if<Apply>(&action);
  if (std::holds_alternative<SetFinalizers>(action)) return;
  if (adopts(target, uid)) return;
  const bool changes_config = target.kind == Kind::ConfigMap && apply && !apply->uid.empty();  // copies are made once
  if (target.kind == Kind::Model || target.kind == Kind::ModelRuntime || target.kind == Kind::Pod ||
      target.kind == Kind::ModelGateSet || target.kind == Kind::ClusterModelGateSet || changes_config)
    broken("I4: writes " + target.to_string());
  const Json* object = w_.find(target);
  if (!object || uid.empty() || (*object)["metadata"]["uid"] != uid) return;  // the API server answers 409
  const Json owners = (*object)["metadata"].value("ownerReferences", Json::array());
  const auto runs = w_.truth.runs.of_model(known.meta.key);
  const bool ours = std::any_of(owners.begin(), owners.end(), [&](const Json& o) {
    return o["uid"] == known.meta.uid || std::any_of(runs.begin(), runs.end(), [&](const auto& run) { return o["uid"] == run->meta.uid; });
  });
  if (!ours) broken("I4: touches " + target.to_string() + ", which is not of " + known.meta.key.name);
}

void Invariants::check_not_again(const Apply& apply, const api::Model& known) const {
  if (apply.target.kind != Kind::ModelRollout || w_.find(apply.target)) return;
  const Json body = Json::parse(apply.body);
  if (body["metadata"]["labels"].value(api::kLabelOrigin, "") != "spec") return;
  const auto stopped = s_.stopped.find(known.meta.uid + "/" + body["spec"]["version"].get<std::string>());
  if (stopped != s_.stopped.end() && stopped->second == wish(known))
    broken("rule 2: " + stopped->first + " was stopped and is tried again although the spec wants nothing else to serve");
}

// Only what is over goes, and nothing that the Model still stands by.
void Invariants::check_history(const Delete& removal, const api::Model& known) const {
  const Json* object = w_.find(removal.target);
  if (!object || (*object)["metadata"]["uid"] != removal.uid) return;
  const View view = look(known);
  const std::string& name = removal.target.key.name;
  if (removal.target.kind == Kind::ModelRollout) {
    if (!rollout::is_over(object->value("status", Json::object()).value("phase", "")))
      broken("deletes ModelRollout " + name + ", which is not over");
    if (view.model && view.model->status.intent.rollout == name) broken("deletes ModelRollout " + name + ", which the intent names");
  }
  if (removal.target.kind == Kind::TrainingRun) {
    if (!object->value("status", Json::object()).contains("finishedAt")) broken("deletes TrainingRun " + name + ", which is not over");
    if (view.model && view.model->status.retraining.run && view.model->status.retraining.run->name == name)
      broken("deletes TrainingRun " + name + ", which is running");
  }
  if (removal.target.kind == Kind::ModelVersion && view.model &&
      (view.model->status.stable_version == name || (view.active && view.active->version == name)))
    broken("deletes ModelVersion " + name + ", which serves or is being rolled out");
}

// ---- rule 6 ----

void Invariants::check_stable_capacity(const Action& action, const api::Model& known) const {
  const View view = look(known);
  if (view.model && view.model->route) return;  // check_gateway sees what comes of it
  if (known.rollout.strategy == api::RolloutPolicy::Strategy::Recreate) return;  // it is meant to
  if (view.model && view.model->status.lifecycle.stage == "Retired") return;  // on record before anything is taken down
  if (!view.model || view.model->status.stable_version.empty() || view.model->meta.uid != known.meta.uid)
    return;
  if (!view.model->status.stable_revision) return;
  const ObjectRef stable{Kind::Deployment, {known.meta.key.ns, view.model->status.stable_revision->deployment}};
  if (const auto* scale = std::get_if<Scale>(&action); scale && scale->target == stable)
    check_scale_down(view, known, scale->replicas);
  if (const auto* removal = std::get_if<Delete>(&action)) {
    if (removal->target == stable) check_scale_down(view, known, 0);
    check_removal(view, *removal);
  }
  const auto* apply = std::get_if<Apply>(&action);
  if (!apply) return;
  const Json body = Json::parse(apply->body);
  if (apply->target == stable && w_.find(stable)) check_scale_down(view, known, body["spec"]["replicas"]);
  if (apply->target == ObjectRef{Kind::Service, known.meta.key} && view.selected != Selected::Nobody)
    check_turn(view, known, side_of(body["spec"]["selector"].get<std::map<std::string, std::string>>()));
}

void Invariants::check_scale_down(const View& view, const api::Model& known, int replicas) const {
  const std::string& stable = view.stable;
  const auto deployment = w_.truth.deployments.get({known.meta.key.ns, view.model->status.stable_revision->deployment});
  if (!deployment || replicas >= deployment->replicas) return;
  if (known.max_surge) return check_gap(view, known, replicas);
  int need = 0;
  if (view.selected == Selected::Everyone && view.active) {
    const int weight = view.active->status.candidate_weight;
    need = ceil_percent(known.replicas, 100 - weight);
    if (!disturbed && ready_of(view, view.candidate) < ceil_percent(known.replicas, weight))
      broken("rule 6: stable shrinks to " + std::to_string(replicas) +
             " before the candidate carries its part");
  } else if (view.selected == Selected::One && view.side == stable) {
    need = known.replicas;
  }
  if (replicas < need)
    broken("rule 6: " + stable + " shrinks to " + std::to_string(replicas) + ", its weight needs " +
           std::to_string(need));
}

// Whoever passes requests on goes by what the Service selected before for some seconds more.
void Invariants::check_removal(const View& view, const Delete& removal) const {
  const auto service = w_.truth.services.get(view.model->meta.key);
  const auto deployment = w_.truth.deployments.get(removal.target.key);
  if (removal.target.kind != Kind::Deployment || !service || !service->applied_at || !deployment) return;
  if (ready_of(view, side_of(*deployment)) > 0 && w_.now < *service->applied_at + serving::kGatewayLag)
    broken("rule 6: " + deployment->version + " goes while some may still go by what the Service said before");
}

// Where room is scarce a pod goes before one comes, and no more than that is missing.
void Invariants::check_gap(const View& view, const api::Model& known, int replicas) const {
  const std::string& stable = view.stable;
  if (disturbed || (view.selected == Selected::One && view.side != stable)) return;
  int serving = std::min(replicas, ready_of(view, stable));
  if (view.selected == Selected::Everyone && view.active) serving += ready_of(view, view.candidate);
  const int gap = *known.max_surge == 0 ? 1 : 0;
  if (serving < known.replicas - gap)
    broken("rule 6: " + stable + " shrinks to " + std::to_string(replicas) + ", so that " + std::to_string(serving) +
           " of " + std::to_string(known.replicas) + " pods serve");
}

// Rule 12: what serves keeps its template, be it that of an operator before this one, until a rollout brings another revision. One that people
// have changed comes back to what is on record.
void Invariants::check_template(const Apply& apply, const api::Model& known) const {
  const Json* there = apply.target.kind == Kind::Deployment && !apply.uid.empty() ? w_.find(apply.target) : nullptr;
  if (!there || (*there)["metadata"]["uid"] != apply.uid) return;
  const View view = look(known);
  if (!view.model || view.model->status.stable_version.empty()) return;
  const std::string side = side_of(*w_.truth.deployments.get(apply.target.key));
  const bool selected = view.selected == Selected::Everyone || view.side == side || view.model->route;
  if (ready_of(view, side) == 0 || !selected) return;
  const Json body = Json::parse(apply.body);
  const Json &before = (*there)["spec"]["template"], &after = body["spec"]["template"];
  const auto on_record = [&](const std::optional<api::Revision>& revision) {
    return revision && !revision->pod_template.empty() && Json::parse(revision->pod_template) == after;
  };
  if (before == after || on_record(view.model->status.stable_revision) || (view.active && on_record(view.active->status.revision))) return;
  broken("rule 12: " + apply.target.key.name + " serves, and gets another template");
}

// `to`: the side that alone gets traffic from now on; empty: all do.
void Invariants::check_turn(const View& view, const api::Model& known, const std::string& to) const {
  if (to.empty() || disturbed || (view.selected == Selected::One && view.side == to)) return;
  int size = 0;
  for (const auto& d : w_.truth.deployments.of_model(known.meta.key))
    if (side_of(*d) == to) size = d->replicas;
  const int carries = std::min(ready_of(view, to), size);
  if (carries >= known.replicas) return;
  int others = 0;
  for (const auto& [side, ready] : view.ready)
    if (side != to && (view.selected == Selected::Everyone || side == view.side)) others += ready;
  if (others == 0) return;
  const api::RolloutStatus* status = view.active ? &view.active->status : nullptr;
  if (status && status->ending && w_.now >= status->ending->at + rollout::kDrainLimit) return;
  broken("rule 6: all traffic turns to " + to + " with " + std::to_string(carries) + " of " +
         std::to_string(known.replicas) + " pods ready");
}

// ---- statuses ----

void Invariants::check_write(const WriteStatus& write, const Ref<api::Model>& known) {
  const Json* object = w_.find(write.target);
  if (!object || (*object)["metadata"]["resourceVersion"] != write.resource_version) return;  // 409
  const Json before = object->value("status", Json::object()), after = Json::parse(write.status);
  if (after.at("observedGeneration") > (*object)["metadata"]["generation"])
    broken("observedGeneration runs ahead on " + write.target.to_string());
  check_conditions(write.target, before, after);
  check_recorded(write, before, after);
  if (write.target.kind == Kind::ModelRollout) {
    check_rollout_status(write.target, before, after);
    if (after["phase"] == "RolledBack" || after["phase"] == "Failed" || after["phase"] == "Aborted")
      remember_failure(write.target.key.name, w_.truth.rollouts.get(write.target.key)->version, known);
  }
  if (write.target.kind == Kind::Model && after.contains("intent")) {
    const Json& intent = after["intent"];
    const std::string outcome = intent.value("outcome", "");
    if (outcome == "RolledBack" || outcome == "Failed" || outcome == "Aborted")
      remember_failure(intent["rollout"], intent["version"], known);
  }
  if (write.target.kind == Kind::Model && after.contains("traffic")) {
    int sum = 0;
    for (const Json& share : after["traffic"]) sum += share["weight"].get<int>();
    if (sum != 100 && !after["traffic"].empty())
      broken("I3: status.traffic adds up to " + std::to_string(sum) + ": " + after["traffic"].dump());
  }
}

void Invariants::check_conditions(const ObjectRef& ref, const Json& before, const Json& after) const {
  int standing = 0;
  for (const char* type : {"Ready", "Reconciling", "Stalled"}) standing += status_of(after, type) == "True";
  const bool over = ref.kind == Kind::ModelRollout && rollout::is_over(after["phase"]);
  if (standing != 1 && !(over && standing == 0))
    broken("Ready, Reconciling and Stalled do not exclude each other on " + ref.to_string() + ": " +
           after["conditions"].dump());
  for (const Json& c : after["conditions"]) {
    const Json* old = condition(before, c["type"]);
    if (old && (*old)["status"] == c["status"] && (*old)["lastTransitionTime"] != c["lastTransitionTime"])
      broken("lastTransitionTime of " + c["type"].get<std::string>() + " moves without its status on " +
             ref.to_string());
    const std::string reason = c["reason"];
    if (reason.empty() ||
        !std::all_of(reason.begin(), reason.end(), [](unsigned char ch) { return std::isalnum(ch); }))
      broken("reason \"" + reason + "\" is no CamelCase word on " + ref.to_string());
  }
}

void Invariants::check_rollout_status(const ObjectRef& ref, const Json& before, const Json& after) {
  if (before.contains("finishedAt") && before["phase"] != after["phase"])
    broken(ref.to_string() + " was over as " + before["phase"].dump() + " and is now " +
           after["phase"].dump());
  if (!after.contains("weights")) return;
  const auto rollout = w_.truth.rollouts.get(ref.key);
  check_word(ref, rollout->version, after);
  const int stable = after["weights"]["stable"], candidate = after["weights"]["candidate"];
  const bool first = !after.contains("fromVersion");
  if (stable + candidate != 100 && !(first && stable == 0))
    broken("I3: weights of " + ref.to_string() + " are " + after["weights"].dump());
  const bool over = rollout::is_over(after["phase"]);
  if (!over || after["phase"] == "Succeeded") {
    int& highest = s_.weight[rollout->meta.uid];
    if (candidate < highest && !after.contains("ending"))
      broken("I2: the weight of " + ref.to_string() + " goes back to " + std::to_string(candidate));
    highest = std::max(highest, candidate);
    const int index = after["step"]["index"], count = after["step"]["count"];
    int allowed = index > count || after["phase"] == "Succeeded" ? 100 : 0;
    const Json steps = after["policy"].value("steps", Json::array());
    for (int i = 0; i < std::min(index, count); ++i)
      if (steps[i].contains("weight")) allowed = std::max(allowed, steps[i]["weight"].get<int>());
    if (candidate > allowed)
      broken("I2: " + ref.to_string() + " has weight " + std::to_string(candidate) + " at step " +
             std::to_string(index));
    const int was = before.contains("step") ? before["step"]["index"].get<int>() : 1;
    const bool skipped = rollout->desired_state == "Promoted" || first;
    for (int i = was; i < std::min(index, count + 1) && !skipped; ++i)
      for (const Json& gate : steps[i - 1].value("gates", Json::array()))
        if (must_not_pass.count(gate.get<std::string>() + "/" + rollout->version))
          broken("I2: " + ref.to_string() + " goes past gate " + gate.get<std::string>() + ", which " +
                 rollout->version + " cannot pass");
  }
}

// What gives a version requests, and what ends a rollout, is in the trail before it is written where anything follows from it.
void Invariants::check_recorded(const WriteStatus& write, const Json& before, const Json& after) const {
  if (!audited) return;
  if (write.target.kind == Kind::Model) {
    const auto number = [](const Json& status) { return status.value("audit", Json::object()).value("seq", int64_t{0}); };
    if (before.value("stableVersion", "") != after.value("stableVersion", "") && number(after) <= number(before))
      broken("audit: another version serves, and no record says so: " + after.dump());
    return;
  }
  if (write.target.kind != Kind::ModelRollout || !after.contains("weights")) return;
  const auto rollout = w_.truth.rollouts.get(write.target.key);
  const auto model = w_.truth.models.get({write.target.key.ns, rollout->model});
  if (!model || rollout_deleted) return;
  // Of a Model that was deleted and made again since the plan: the new one's trail knows nothing of it.
  if (!rollout->meta.controller_uid.empty() && rollout->meta.controller_uid != model->meta.uid) return;
  const api::AuditedRollout& told = model->status.audit.rollout;
  const bool known = told.uid == rollout->meta.uid;
  if (after["weights"]["candidate"] > 0 && !after.contains("ending") &&
      !(known && (told.weight >= after["weights"]["candidate"].get<int>() || told.ended == "Succeeded")))
    broken("audit: " + write.target.to_string() + " gets weight " + after["weights"]["candidate"].dump() + " without a record: " +
           w_.get({Kind::Model, model->meta.key})["status"].value("audit", Json()).dump());
  if (after.contains("ending") && !before.contains("ending") && after.contains("startedAt") && !(known && !told.ended.empty()))
    broken("audit: " + write.target.to_string() + " ends without a record");
}

// The trail of each Model, from its first record to the last, whole.
void Invariants::check_trail(const api::Model& model) {
  const api::AuditStatus& audit = model.status.audit;
  const auto objects = w_.truth.audits.of_model(model.meta.key);
  auto& checked = trails_[model.meta.uid];
  const std::pair now(audit.head + std::to_string(audit.records.size()), objects.size());
  if (!audited || audit.seq == 0 || checked == now) return;
  checked = now;
  std::vector<audit::Segment> segments;
  int64_t sealed = 0;
  for (const auto& object : objects) {
    const Json& spec = w_.get({Kind::ModelAudit, object->meta.key})["spec"];
    if (spec["model"]["uid"] != model.meta.uid) continue;
    segments.push_back({false, object->meta.key.name, model.meta.key.to_string(), spec["model"]["uid"], spec["first"], spec["last"], spec["prev"], spec["head"],
                        spec["records"].get<std::vector<std::string>>(), "", ""});
    sealed = std::max<int64_t>(sealed, spec["last"]);
  }
  std::vector<std::string> pending = audit.records;
  const int64_t twice = std::clamp<int64_t>(sealed - audit.first() + 1, 0, static_cast<int64_t>(pending.size()));
  pending.erase(pending.begin(), pending.begin() + twice);
  if (!pending.empty())
    segments.push_back({true, "", model.meta.key.to_string(), model.meta.uid, audit.first() + twice, audit.seq, audit::prev_in(pending.front()), audit.head,
                        pending, "", ""});
  const auto verified = audit::verify(segments, {model.meta.key.to_string(), model.meta.uid, audit.seq, audit.head});
  if (!verified->findings.empty()) broken("audit: " + verified->findings[0].what);
}

void Invariants::check_word(const ObjectRef& ref, const std::string& version, const Json& status) const {
  const bool over = rollout::is_over(status["phase"]) && status["phase"] != "Succeeded";
  const bool served = status["weights"]["candidate"] > 0 || status.contains("mirroringSince");
  if (!needs_word.count(version) || over || !served) return;
  const Json cleared = status.value("governance", Json::object()).value("cleared", Json::array());
  if (cleared.empty()) broken("policy: " + ref.to_string() + " lets " + version + " have requests, and nobody has approved it");
  for (const Json& clearance : cleared) {
    if (clearance["approvals"].empty()) broken("policy: " + ref.to_string() + " was cleared without an approval");
    for (const Json& used : clearance["approvals"]) {
      const auto word = w_.words_read.find(used["uid"]);
      if (word == w_.words_read.end()) broken("policy: approval " + used["name"].get<std::string>() + " was not read from the API server");
      if (word->second["decision"] != "Approved" || word->second["subject"] != clearance["subject"])
        broken("policy: " + word->second.dump() + " is no approval of " + clearance["subject"].get<std::string>());
      for (const Json& author : status["governance"].value("authors", Json::array()))
        if (word->second["approver"] == author) broken("policy: " + author.get<std::string>() + " approved the change that is their own");
    }
  }
}

// The pods of a first version get requests as soon as they are ready.
void Invariants::check_pods_without_word(const Action& action) const {
  const auto* apply = std::get_if<Apply>(&action);
  if (!apply || apply->target.kind != Kind::Deployment || needs_word.empty()) return;
  for (const auto& model : w_.truth.models.all())
    for (const auto& r : w_.truth.rollouts.of_model(model->meta.key))
      if (model->status.stable_version.empty() && needs_word.count(r->version) && apply->target.key.name == deployment_name(model->meta.key.name, r->version) &&
          (!r->status.governance || r->status.governance->cleared.empty()))
        broken("policy: pods of first version " + r->version + " start, and nobody has approved it");
}

// When it was decided: by the Model's status or the rollout's, whichever came first.
void Invariants::remember_failure(const std::string& rollout, const std::string& version,
                                  const Ref<api::Model>& known) {
  if (known && s_.failed.insert(rollout).second)
    s_.stopped[known->meta.uid + "/" + version] = wish(*known);
}

// All but how to get there.
std::string Invariants::wish(const api::Model& model) {
  Json wish = {model.version.value_or(""), model.runtime.value_or(""), model.template_overlay};
  if (model.artifact) wish.insert(wish.end(), {model.artifact->uri, model.artifact->digest});
  return hash_of(wish.dump());
}

// Who asks for another version and then for this one again asks for it by name.
void Invariants::forget_other_wishes() {
  for (const auto& model : w_.truth.models.all())
    std::erase_if(s_.stopped, [&](const auto& stopped) {
      return model->version && stopped.first.starts_with(model->meta.uid + "/") && stopped.first != model->meta.uid + "/" + *model->version;
    });
}

// ---- after every step ----

void Invariants::after_step() {
  check_foreign();
  forget_other_wishes();
  if (checked_ == w_.changes) return;
  checked_ = w_.changes;
  for (const auto& model : w_.truth.models.all()) {
    check_trail(*model);
    const View view = look(*model);
    check_room(view);
    if (view.model && view.model->route)
      check_route(view), check_gateway(view);
    else
      check_traffic(view);
  }
}

void Invariants::check_room(const View& view) const {
  if (most_pods == 0 || !view.model) return;
  const auto pods = w_.truth.pods.of_model(view.model->meta.key).size();
  if (pods > static_cast<size_t>(most_pods))
    broken("there are " + std::to_string(pods) + " pods, and room for " + std::to_string(most_pods));
}

// I2 where a route says who gets what: each version by the Service that it is behind.
void Invariants::check_route(const View& view) const {
  const ObjectKey key = view.model->meta.key;
  const auto route = w_.truth.routes.get(key);
  if (!route || rollout_deleted || disturbed) return;  // people may have written it
  const api::ModelStatus& status = view.model->status;
  check_apart(view, *route);
  for (const auto& [service, weight] : route->weights) {
    const auto there = w_.truth.services.get({key.ns, service});
    if (weight == 0 || !there) continue;
    const std::string side = side_of(there->selector);
    if (side.empty()) broken("I2: " + service + " selects everybody");
    if (side == view.stable || ready_of(view, side) == 0) continue;
    const bool first = status.stable_version.empty() && status.intent.version == version_of(side);
    const bool rolling = view.active && view.candidate == side;
    if (first || (rolling && view.active->status.from_version.empty())) continue;
    // What was stable a moment ago, as long as its successor has all of the route.
    const int allowed = rolling ? view.active->status.candidate_weight : 0;
    if (weight > allowed && service != key.name)
      broken("I2: " + side + " gets " + std::to_string(weight) + "% by the route, its weight is " +
             std::to_string(allowed));
  }
}

// I2 for chosen callers, and for copies: as a step that is on record says, and to nobody but the candidate.
void Invariants::check_apart(const View& view, const api::HttpRoute& route) const {
  if (route.chosen.empty() && !route.mirrored) return;
  const auto side = w_.truth.services.get({view.model->meta.key.ns, view.model->meta.key.name + "-candidate"});
  const bool to_candidate = side && view.active && side_of(side->selector) == view.candidate;
  if (!to_candidate) {
    // Copies may go on for a moment after the end: they are in nobody's way.
    if (!disturbed && !route.chosen.empty()) broken("I2: callers are chosen for no candidate");
    return;
  }
  const api::RolloutStatus& status = view.active->status;
  if (route.mirrored && !status.mirroring_since) broken("I2: requests are copied, nobody found out whether they can be");
  if (route.chosen.empty()) return;
  bool stepped = false;
  for (int i = 0; i < std::min<int>(status.step_index, static_cast<int>(status.policy->steps.size())); ++i)
    stepped |= status.policy->steps[i].match.has_value();
  if (!stepped && status.step_index <= static_cast<int>(status.policy->steps.size()) && !disturbed)
    broken("I2: callers are chosen before the step that says so");
}

// No request fails: what the gateway does now, however late it is, leads to pods that are ready, and that it knows of.
void Invariants::check_gateway(const View& view) const {
  const ObjectKey key = view.model->meta.key;
  const Json* route = w_.find({Kind::HttpRoute, key});
  if (!route || disturbed || view.model->replicas == 0 || view.model->status.stable_version.empty()) return;
  const Json programmed = route->value("status", Json::object()).value("programmed", Json::object());
  for (const auto& [service, weight] : programmed.items()) {
    if (weight == 0) continue;
    const auto there = w_.truth.services.get({key.ns, service});
    if (!there) broken("the gateway sends requests to Service " + service + ", which is gone");
    const std::string side = side_of(there->selector);
    if (side.empty()) continue;
    if (ready_of(view, side) == 0)
      broken("the gateway sends requests to " + service + ", but no pod of " + side + " is ready");
    const auto slice = w_.truth.slices.get({key.ns, service + "-1"});
    if (service == key.name && (!slice || slice->pods.empty())) continue;  // nobody was promised anything yet
    const auto of_side = [&](const std::string& name) {
      const auto pod = w_.truth.pods.get({key.ns, name});
      return pod && side_of(*pod) == side;
    };
    if (!slice || std::none_of(slice->pods.begin(), slice->pods.end(), of_side))
      broken("the gateway sends requests to " + service + ", whose endpoints name no pod of " + side);
  }
}

// I2, I3: who gets traffic, against what the persisted statuses allow.
void Invariants::check_traffic(const View& view) const {
  if (view.selected == Selected::Nobody || !view.model) return;
  const api::ModelStatus& status = view.model->status;
  if (view.selected == Selected::Everyone) return check_share(view);
  if (ready_of(view, view.side) == 0 || view.side == view.stable) return;
  const bool candidate = view.active && view.candidate == view.side;
  const bool first = status.stable_version.empty() && (status.intent.version == version_of(view.side) || candidate);
  const bool all_of_it = candidate && view.active->status.candidate_weight == 100;
  if (!first && !all_of_it && !rollout_deleted)
    broken("I2: " + view.side + " gets all traffic, stable is " + view.stable);
}

void Invariants::check_share(const View& view) const {
  int all = 0;
  for (const auto& [side, ready] : view.ready) all += ready;
  for (const auto& [side, ready] : view.ready) {
    if (side == view.stable || ready == 0 || rollout_deleted) continue;
    if (!view.active || view.candidate != side)
      broken("I2: " + side + " gets traffic without a rollout");
    const int weight = view.active->status.candidate_weight;
    if (weight == 0 || (!disturbed && ready * 100 > all * weight))
      broken("I2: " + side + " gets " + std::to_string(ready) + " of " + std::to_string(all) +
             " shares, its weight is " + std::to_string(weight));
  }
}

// ---- at rest ----

void Invariants::at_rest(const std::string& still_to_write) {
  if (!still_to_write.empty()) broken("I5: at rest, but the plan still writes: " + still_to_write);
  for (const auto& model : w_.truth.models.all()) check_model_at_rest(look(*model));
  for (const auto& r : w_.truth.rollouts.all())
    if (r->status.observed_generation != r->meta.generation)
      broken("at rest, ModelRollout " + r->meta.key.name + " was not observed");
}

// What a Model says of its rollout is what that says of itself.
void Invariants::check_agreement(const View& view) const {
  const api::Model& m = *view.model;
  const Json& status = w_.get({Kind::Model, m.meta.key})["status"];
  const auto says = [&](const char* type) { return status_of(status, type) == "True"; };
  const std::string told = "the Model says " + m.status.phase + ", " + status.value("message", "");
  for (const auto& r : w_.truth.rollouts.of_model(m.meta.key)) {
    if (rollout::is_over(r->status.phase)) continue;
    const std::string itself = "; ModelRollout " + r->meta.key.name + " says " + r->status.phase + ", " + r->status.message;
    // One that cannot start by itself, as it asks for what cannot be had, is no matter of the Model's spec.
    const bool stuck = status_of(w_.get({Kind::ModelRollout, r->meta.key})["status"], "Stalled") == "True";
    if (says("Ready") && !stuck) broken("contradiction: " + told + itself);
    if (r != view.active || says("Stalled")) continue;
    const bool paused = r->status.phase == "Paused";
    if (paused != (m.status.phase == "Paused") || m.status.message.find(r->status.message) == std::string::npos)
      broken("contradiction: " + told + itself);
    if (status_of(w_.get({Kind::ModelRollout, r->meta.key})["status"], "Stalled") == "True") broken("contradiction: " + told + itself + " and is Stalled");
  }
  const auto named = w_.truth.rollouts.get({m.meta.key.ns, m.status.intent.rollout});
  const Json* stalled = condition(status, "Stalled");
  if (!named || !stalled) return;
  constexpr std::pair<const char*, const char*> kEnds[] = {{"RolledBack", "RolledBack"}, {"RolloutAborted", "Aborted"}, {"RolloutFailed", "Failed"}};
  for (const auto& [reason, phase] : kEnds)
    if ((*stalled)["reason"] == reason && says("Stalled") &&
        (named->status.phase != phase || m.status.message.find(named->status.message) == std::string::npos))
      broken("contradiction: " + told + "; ModelRollout " + named->meta.key.name + " says " + named->status.phase + ", " + named->status.message);
}

void Invariants::check_retired(const View& view) const {
  if (view.active) broken("retired, but ModelRollout " + view.active->meta.key.name + " runs");
  for (const auto& [version, ready] : view.ready)
    if (ready > 0) broken("retired, but pods of " + version + " are ready");
  if (view.selected != Selected::Nobody) broken("retired, but the Service is there");
}

void Invariants::check_model_at_rest(const View& view) const {
  const api::Model& m = *view.model;
  if (m.status.observed_generation != m.meta.generation) broken("at rest, the spec was not observed");
  if (m.status.lifecycle.stage == "Retired") return check_retired(view);
  check_agreement(view);
  const Json& status = w_.get({Kind::Model, m.meta.key})["status"];
  const bool ready = status_of(status, "Ready") == "True";
  const auto ready_of_version = [&](const std::string& version) {
    int ready = 0;
    for (const auto& [side, count] : view.ready) ready += version_of(side) == version ? count : 0;
    return ready;
  };
  for (const auto& share : m.status.traffic)
    if (share.weight > 0 && m.replicas > 0 && ready_of_version(share.version) == 0 && !disturbed)
      broken("I3: status says that " + share.version + " serves, but no pod of it is ready");
  if (!view.active && !m.status.stable_version.empty())
    for (const auto& d : w_.truth.deployments.of_model(m.meta.key))
      if (d->meta.controller_uid == m.meta.uid && side_of(*d) != view.stable &&
          std::find(m.status.warm.begin(), m.status.warm.end(), d->version) == m.status.warm.end())
        broken("I4: Deployment " + d->meta.key.name + " is left over");
  if (!ready) return;
  const int serving = ready_of(view, view.stable);
  if (serving != m.replicas)
    broken("Ready with " + std::to_string(serving) + " of " + std::to_string(m.replicas) + " pods");
  if (view.selected != Selected::One || view.side != view.stable)
    broken("Ready, but the Service does not select " + view.stable);
  if (m.track != "Promoted" && m.version && *m.version != m.status.stable_version)
    broken("Ready, but the spec asks for " + *m.version);
}

}  // namespace mo::sim
