#include "tests/sim/world.h"

#include "operator/api/parse.h"
#include "tests/sim/schema.h"

namespace mo::sim {
namespace {

constexpr Kind kStored[] = {Kind::Model,        Kind::ModelVersion, Kind::ModelRollout,
                            Kind::ModelRuntime, Kind::Deployment,   Kind::Service,
                            Kind::Job,          Kind::Pod,          Kind::ConfigMap};

bool is_ours(Kind kind) {
  return kind == Kind::Model || kind == Kind::ModelVersion || kind == Kind::ModelRollout ||
         kind == Kind::ModelRuntime;
}

template <class F>
void with_store(Kind kind, F f) {
  switch (kind) {
    case Kind::Model:
      return f(&Stores::models);
    case Kind::ModelVersion:
      return f(&Stores::versions);
    case Kind::ModelRollout:
      return f(&Stores::rollouts);
    case Kind::ModelRuntime:
      return f(&Stores::runtimes);
    case Kind::Deployment:
      return f(&Stores::deployments);
    case Kind::Service:
      return f(&Stores::services);
    case Kind::Job:
      return f(&Stores::jobs);
    case Kind::Pod:
      return f(&Stores::pods);
    case Kind::ConfigMap:
      return f(&Stores::configmaps);
    case Kind::Lease:
    case Kind::Event:
      return;
  }
}

template <class T>
T object_type(Store<T> Stores::*);

// Finds a field that a writer and api::parse call by different names: what stands in a status of ours and
// nobody reads may only be what is there for people.
void complain_of_unread(const ObjectRef& ref, const std::vector<std::string>& unread) {
  static const std::vector<std::string> for_people = {
      "status.trafficSummary", "status.replicas",    "status.readyReplicas",    "status.ready",
      "status.selector",       "status.stepSummary", "status.step.description", "status.observedGeneration"};
  for (const std::string& path : unread)
    if (path.rfind("status.", 0) == 0 && path.rfind("status.policy.", 0) != 0 &&
        std::find(for_people.begin(), for_people.end(), path) == for_people.end())
      throw Violation("nobody reads " + path + " of " + ref.to_string());
}

Error conflict(const std::string& message) {
  return Error{ErrorKind::Conflict, message, 409, "Conflict", {}};
}

}  // namespace

ObjectRef ref(Kind kind, const std::string& name) {
  return {kind, {info(kind).namespaced ? kNamespace : "", name}};
}

ObjectRef ref_of(const Json& object) {
  for (Kind kind : kStored)
    if (object.at("kind") == info(kind).kind)
      return {kind,
              {object["metadata"].value("namespace", info(kind).namespaced ? kNamespace : ""),
               object["metadata"]["name"]}};
  throw std::logic_error("no such kind: " + object.dump());
}

void World::say(const std::string& line) { trace.push_back(format_time(now).substr(11, 8) + " " + line); }

const Json* World::find(const ObjectRef& ref) const {
  const auto it = objects_.find(ref);
  return it == objects_.end() ? nullptr : &it->second;
}

const Json& World::get(const ObjectRef& ref) const {
  const Json* object = find(ref);
  if (object == nullptr) throw Violation(ref.to_string() + " should be there");
  return *object;
}

std::vector<ObjectRef> World::all(Kind kind) const {
  std::vector<ObjectRef> found;
  for (auto it = objects_.lower_bound(ObjectRef{kind, {}}); it != objects_.end() && it->first.kind == kind;
       ++it)
    found.push_back(it->first);
  return found;
}

// Everything that is written goes through here: as text, as an API server would keep it, and back through
// api::parse.
void World::store(const ObjectRef& ref, Json object) {
  if (is_ours(ref.kind)) {
    Schema::of(ref.kind).fill_defaults(object);
    const std::string complaint = Schema::of(ref.kind).complaint(object);
    if (!complaint.empty()) throw Violation(ref.to_string() + ": " + complaint);
  }
  object["metadata"]["resourceVersion"] = next_rv();
  const std::string text = object.dump();
  with_store(ref.kind, [&](auto member) {
    using T = decltype(object_type(member));
    api::Coverage coverage;
    auto parsed = api::parse<T>(text, is_ours(ref.kind) ? &coverage : nullptr);
    if (!parsed) throw Violation(ref.to_string() + ": " + parsed.error().message);
    complain_of_unread(ref, coverage.unread);
    const auto ptr = std::make_shared<const T>(std::move(*parsed));
    (truth.*member).upsert(*ptr);
    log.push_back({ref.kind, ref.key, false, models_of(*ptr),
                   [member, ptr](Stores& stores) { return (stores.*member).upsert(*ptr); }});
  });
  objects_[ref] = std::move(object);
}

void World::own_spec(const ObjectRef& ref, Json& object, const std::string& manager, bool alone) {
  const std::string uid = object["metadata"]["uid"];
  if (alone) managers_[uid] = manager;
  if (managers_[uid] != manager) managers_[uid].clear();
  if (ref.kind != Kind::Deployment && ref.kind != Kind::Service) return;
  const Json entry = {{"manager", manager},
                      {"operation", "Update"},
                      {"fieldsV1", {{"f:spec", {{"f:template", Json::object()}}}}}};
  if (alone) object["metadata"]["managedFields"] = Json::array();
  object["metadata"]["managedFields"].push_back(entry);
}

void World::create(Json object, const std::string& manager) {
  const ObjectRef target = ref_of(object);
  if (objects_.count(target)) throw Violation("created twice: " + target.to_string());
  Json& metadata = object["metadata"];
  if (info(target.kind).namespaced) metadata["namespace"] = target.key.ns;
  object["apiVersion"] = info(target.kind).api_version();
  metadata["uid"] = "uid-" + std::to_string(++uid_);
  metadata["generation"] = 1;
  metadata["creationTimestamp"] = format_time(now);
  if (target.kind == Kind::Deployment && !object["spec"].contains("replicas")) object["spec"]["replicas"] = 1;
  own_spec(target, object, manager, true);
  store(target, std::move(object));
}

void World::update(const ObjectRef& target, const std::function<void(Json&)>& edit,
                   const std::string& manager) {
  Json object = get(target);
  const Json before = object;
  edit(object);
  if (object == before) return;
  const auto shape = [](Json spec) {
    if (spec.is_object()) spec.erase("replicas");
    return spec;
  };
  if (object.value("spec", Json()) != before.value("spec", Json())) {
    object["metadata"]["generation"] = before["metadata"]["generation"].get<int64_t>() + 1;
    if (shape(object["spec"]) != shape(before["spec"])) own_spec(target, object, manager, false);
  }
  store(target, std::move(object));
}

void World::remove(const ObjectRef& target) {
  const Json object = get(target);
  const std::string uid = object["metadata"]["uid"];
  objects_.erase(target);
  managers_.erase(uid);
  next_rv();
  with_store(target.kind, [&](auto member) {
    const auto ptr = (truth.*member).get(target.key);
    (truth.*member).remove(target.key, uid);
    log.push_back(
        {target.kind, target.key, true, models_of(*ptr),
         [member, key = target.key, uid](Stores& stores) { return (stores.*member).remove(key, uid); }});
  });
}

Result<Json> World::apply(const Apply& apply) {
  if (admission)
    if (auto error = admission(apply)) return fail(*error);
  Json body = Json::parse(apply.body);
  const auto it = objects_.find(apply.target);
  if (it == objects_.end()) {
    if (!apply.uid.empty()) return fail(conflict("the object of UID " + apply.uid + " is gone"));
    if (!apply.hash.empty()) body["metadata"]["annotations"][api::kAnnotationApplied] = apply.hash;
    create(std::move(body), api::kFieldManager);
    return get(apply.target);
  }
  const std::string uid = it->second["metadata"]["uid"];
  if (!apply.uid.empty() && apply.uid != uid) return fail(conflict("UID is " + uid + ", not " + apply.uid));
  // Without force: a repeat of our own write goes through, what is somebody else's doesn't.
  if (apply.uid.empty() && managers_[uid] != api::kFieldManager)
    return fail(conflict("Apply failed with 1 conflict: conflict with \"kubectl\": .spec"));
  update(
      apply.target,
      [&](Json& object) {
        object["spec"] = body["spec"];
        object["metadata"]["labels"] = body["metadata"]["labels"];
        object["metadata"]["ownerReferences"] = body["metadata"]["ownerReferences"];
        if (!apply.hash.empty()) object["metadata"]["annotations"][api::kAnnotationApplied] = apply.hash;
        own_spec(apply.target, object, api::kFieldManager, true);
      },
      api::kFieldManager);
  return get(apply.target);
}

Result<Json> World::scale(const Scale& scale) {
  const auto it = objects_.find(scale.target);
  if (it == objects_.end()) return fail(ErrorKind::NotFound, scale.target.to_string() + " not found");
  if (it->second["metadata"]["uid"] != scale.uid) return fail(conflict("UID differs"));
  update(
      scale.target, [&](Json& object) { object["spec"]["replicas"] = scale.replicas; }, api::kFieldManager);
  return get(scale.target);
}

Result<void> World::remove(const Delete& removal) {
  const auto it = objects_.find(removal.target);
  if (it == objects_.end()) return {};
  if (it->second["metadata"]["uid"] != removal.uid) return fail(conflict("UID differs"));
  remove(removal.target);
  return {};
}

Result<Json> World::write_status(const WriteStatus& write) {
  const auto it = objects_.find(write.target);
  if (it == objects_.end()) return fail(ErrorKind::NotFound, write.target.to_string() + " not found");
  const Json& metadata = it->second["metadata"];
  if (metadata["uid"] != write.uid || metadata["resourceVersion"] != write.resource_version)
    return fail(conflict(
        "the object has been modified; please apply your changes to the latest version and try again"));
  update(
      write.target, [&](Json& object) { object["status"] = Json::parse(write.status); }, api::kFieldManager);
  return get(write.target);
}

}  // namespace mo::sim
