#include "tests/sim/world.h"

#include <algorithm>
#include <unordered_map>

#include "operator/api/parse.h"
#include "tests/sim/schema.h"

namespace mo::sim {
namespace {

constexpr int64_t kFirstVersion = 1000;
constexpr size_t kWritesKept = 20000;

// Finds a field that a writer and api::parse call by different names: what stands in a status of ours and
// nobody reads may only be what is there for people.
void complain_of_unread(const ObjectRef& ref, const std::vector<std::string>& unread) {
  static const std::vector<std::string> for_people = {
      "status.trafficSummary", "status.replicas",    "status.readyReplicas",    "status.ready",
      "status.selector",       "status.stepSummary", "status.from", "status.to", "status.step.description", "status.observedGeneration", "status.stage",
      "status.following", "status.updated", "status.waiting", "status.failed", "status.declined", "status.failures"};
  for (const std::string& path : unread)
    if (path.rfind("status.", 0) == 0 && path.rfind("status.policy.", 0) != 0 && path.rfind("status.failures[", 0) != 0 &&
        std::find(for_people.begin(), for_people.end(), path) == for_people.end())
      throw Violation("nobody reads " + path + " of " + ref.to_string());
}

Error conflict(const std::string& message) {
  return Error{ErrorKind::Conflict, message, 409, "Conflict", {}};
}

// The precondition on the resourceVersion, if there is one.
bool as_seen(const Stored& there, const std::string& resource_version) {
  return resource_version.empty() || std::to_string(there.version) == resource_version;
}

}  // namespace

ObjectRef ref(Kind kind, const std::string& name) {
  return {kind, {info(kind).namespaced ? kNamespace : "", name}};
}

ObjectRef ref_of(const Json& object) {
  for (Kind kind : kStoredKinds)
    if (object.at("kind") == info(kind).kind)
      return {kind,
              {object["metadata"].value("namespace", info(kind).namespaced ? kNamespace : ""),
               object["metadata"]["name"]}};
  throw std::logic_error("no such kind: " + object.dump());
}

namespace {

auto place(const StoredSet& objects, const ObjectRef& ref) {
  return std::lower_bound(objects.begin(), objects.end(), ref,
                          [](const StoredPtr& object, const ObjectRef& r) { return object->ref < r; });
}

}  // namespace

StoredPtr find(const StoredSet& objects, const ObjectRef& ref) {
  const auto it = place(objects, ref);
  return it == objects.end() || (*it)->ref != ref ? nullptr : *it;
}

void put(StoredSet& objects, const StoredPtr& object) {
  const auto it = place(objects, object->ref);
  if (it != objects.end() && (*it)->ref == object->ref)
    objects[it - objects.begin()] = object;
  else
    objects.insert(it, object);
}

void drop(StoredSet& objects, const ObjectRef& ref) {
  const auto it = place(objects, ref);
  if (it != objects.end() && (*it)->ref == ref) objects.erase(it);
}

void become(const StoredSet& wanted, StoredSet& objects, Stores& stores) {
  auto want = wanted.begin();
  auto have = objects.begin();
  while (want != wanted.end() || have != objects.end()) {
    if (want != wanted.end() && have != objects.end() && *want == *have) {
      ++want, ++have;
    } else if (want == wanted.end() || (have != objects.end() && !((*want)->ref < (*have)->ref))) {
      (*have++)->drop(stores);  // also where an older version is to come back
    } else {
      (*want++)->put(stores);
    }
  }
  objects = wanted;
}

void World::say(const std::string& line) {
  if (traced) trace.push_back(format_time(now).substr(11, 8) + " " + line);
}

void World::load(const State& state) {
  now = state.now;
  become(state.objects, objects_, truth);
  gone_ = state.gone;
  made_ = state.made;
  owner_went_ = state.owner_went;
  words_read = state.words_read;
  has_engine = state.has_engine;
  log.clear();
}

const Json* World::find(const ObjectRef& ref) const {
  const auto it = place(objects_, ref);
  return it == objects_.end() || (*it)->ref != ref ? nullptr : &(*it)->json;
}

const Json& World::get(const ObjectRef& ref) const {
  const Json* object = find(ref);
  if (object == nullptr) throw Violation(ref.to_string() + " should be there");
  return *object;
}

std::vector<ObjectRef> World::all(Kind kind) const {
  std::vector<ObjectRef> found;
  for (auto it = place(objects_, ObjectRef{kind, {}}); it != objects_.end() && (*it)->ref.kind == kind; ++it)
    found.push_back((*it)->ref);
  return found;
}

namespace {

// Of equal texts one object is kept, for as long as anybody has it: who explores meets the same ones over and
// over.
StoredPtr intern(const ObjectRef& ref, Json object, const std::string& manager, int64_t version) {
  static std::unordered_map<std::string, std::weak_ptr<const Stored>> all;
  static size_t sweep_at = 1024;
  const std::string text = object.dump();
  std::weak_ptr<const Stored>& held = all[manager + text];
  if (StoredPtr there = held.lock()) return there;
  if (info(ref.kind).ours()) {
    const std::string complaint = Schema::of(ref.kind).complaint(object);
    if (!complaint.empty()) throw Violation(ref.to_string() + ": " + complaint);
  }
  auto stored = std::make_shared<Stored>();
  stored->ref = ref;
  stored->version = version;
  stored->manager = manager;
  stored->uid = object["metadata"]["uid"];
  stored->json = std::move(object);
  stored->put = stored->drop = [](Stores&) { return false; };  // of a Workload, which no store holds
  with_store_member(ref.kind, [&](auto member) {
    using T = decltype(object_type(member));
    api::Coverage coverage;
    auto parsed = api::parse<T>(text, info(ref.kind).ours() ? &coverage : nullptr);
    if (!parsed) throw Violation(ref.to_string() + ": " + parsed.error().message);
    complain_of_unread(ref, coverage.unread);
    const auto ptr = std::make_shared<const T>(std::move(*parsed));
    stored->models = models_of(*ptr);
    stored->put = [member, ptr](Stores& stores) { return (stores.*member).upsert(ptr); };
    stored->drop = [member, ptr](Stores& stores) {
      return (stores.*member).remove(ptr->meta.key, ptr->meta.uid);
    };
  });
  held = stored;
  if (all.size() > sweep_at) {
    std::erase_if(all, [](const auto& entry) { return entry.second.expired(); });
    sweep_at = 2 * all.size();
  }
  return stored;
}

}  // namespace

// Everything that is written goes through here: as text, as an API server would keep it, and back through
// api::parse.
void World::store(const ObjectRef& ref, Json object, const std::string& manager) {
  if (info(ref.kind).ours()) Schema::of(ref.kind).fill_defaults(object);
  const StoredPtr old = stored(ref);
  const auto gone = gone_.find(ref);
  const int64_t version = 1 + (old ? old->version : gone != gone_.end() ? gone->second : kFirstVersion);
  if (gone != gone_.end()) gone_.erase(gone);
  object["metadata"]["resourceVersion"] = std::to_string(version);
  take(intern(ref, std::move(object), manager, version));
}

void World::take(StoredPtr object) {
  const StoredPtr before = stored(object->ref);
  // To a watch by labels it is deleted that has lost them.
  const bool leaves = before && !before->models.empty() && object->models.empty();
  object->put(truth);
  put(objects_, object);
  if (leaves)
    log.push_back({before, true});
  else if (object->ref.kind != Kind::Workload)  // which nobody watches
    log.push_back({std::move(object), false});
  ++changes;
}

void World::own_spec(const ObjectRef& ref, Json& object, const std::string& manager, bool alone) const {
  if (ref.kind != Kind::Deployment && ref.kind != Kind::Service && ref.kind != Kind::HttpRoute) return;
  Json entry = {{"manager", manager},
                {"operation", "Update"},
                {"fieldsV1", {{"f:spec", {{"f:template", Json::object()}}}}}};
  // Nobody looks at others', and states stay alike.
  if (has_gateway || ref.kind == Kind::Service) entry["time"] = format_time(now);
  if (alone) object["metadata"]["managedFields"] = Json::array();
  object["metadata"]["managedFields"].push_back(entry);
}

// Numbers that do not depend on what else happened meanwhile, as far as that goes: equal situations then have
// equal objects.
std::string World::next_uid(const ObjectRef& ref) {
  const int64_t kinds = static_cast<int64_t>(ref.kind) * 1000000;
  if (ref.kind != Kind::Pod) return "uid-" + std::to_string(kinds + ++made_[ref.kind]);
  static std::map<std::pair<std::string, int64_t>, int64_t> pods;
  const auto gone = gone_.find(ref);
  const std::pair which{ref.key.name, gone == gone_.end() ? 0 : gone->second};
  return "uid-" + std::to_string(kinds + pods.try_emplace(which, pods.size() + 1).first->second);
}

void World::create(Json object, const std::string& manager) {
  const ObjectRef target = ref_of(object);
  object["apiVersion"] = info(target.kind).api_version();
  create(target, std::move(object), manager);
}

void World::create(const ObjectRef& target, Json object, const std::string& manager) {
  if (find(target)) throw Violation("created twice: " + target.to_string());
  Json& metadata = object["metadata"];
  if (info(target.kind).namespaced) metadata["namespace"] = target.key.ns;
  metadata["uid"] = next_uid(target);
  metadata["generation"] = 1;
  metadata["creationTimestamp"] = format_time(now);
  if (target.kind == Kind::Deployment && !object["spec"].contains("replicas")) object["spec"]["replicas"] = 1;
  own_spec(target, object, manager, true);
  store(target, std::move(object), manager);
}

void World::update(const ObjectRef& target, const std::function<void(Json&)>& edit,
                   const std::string& manager) {
  update(target, edit, manager, false);
}

void World::update(const ObjectRef& target, const std::function<void(Json&)>& edit,
                   const std::string& manager, bool whole) {
  get(target);
  const StoredPtr old = stored(target);
  const Json& before = old->json;
  Json object = before;
  edit(object);
  std::string owner = old->manager;
  const auto shape = [](Json spec) {
    if (spec.is_object()) spec.erase("replicas");
    return spec;
  };
  const bool another = object.value("spec", Json()) != before.value("spec", Json());
  const bool shaped = another && shape(object["spec"]) != shape(before["spec"]);
  if (another) object["metadata"]["generation"] = before["metadata"]["generation"].get<int64_t>() + 1;
  if (object == before && owner == manager) return;  // what is applied again as it is keeps its time
  if (whole || shaped) own_spec(target, object, manager, whole);
  if (whole)
    owner = manager;
  else if (shaped && owner != manager)
    owner.clear();
  if (object == before) return;
  store(target, std::move(object), owner);
}

void World::remove(const ObjectRef& target) {
  if (get(target)["metadata"].contains("finalizers"))  // it goes when the last of them does
    return update(
        target, [&](Json& o) { o["metadata"].emplace("deletionTimestamp", format_time(now)); }, "kubectl");
  const StoredPtr object = stored(target);
  drop(objects_, target);
  gone_[target] = object->version + 1;
  object->drop(truth);
  owner_went_ |= target.kind == Kind::Model || target.kind == Kind::Deployment || target.kind == Kind::Job ||
                 target.kind == Kind::TrainingRun || target.kind == Kind::Service;
  if (target.kind != Kind::Workload) log.push_back({object, true});
  ++changes;
}

void World::remove_engine() {
  has_engine = false;
  for (const ObjectRef& workload : all(Kind::Workload)) remove(workload);
}

int64_t World::made(Kind kind) const {
  const auto found = made_.find(kind);
  return found == made_.end() ? 0 : found->second;
}

// One that is there already stays as it is, as with the executor.
Result<void> World::make_workload(const Apply& apply) {
  if (!has_engine) return fail(ErrorKind::Forbidden, "the server could not find the requested resource");
  if (admission)
    if (auto error = admission(apply)) return fail(*error);
  if (!find(apply.target)) create(apply.target, Json::parse(apply.body), api::kFieldManager);
  return {};
}

Result<void> World::apply(const Apply& apply) {
  if (admission)
    if (auto error = admission(apply)) return fail(*error);
  Json body = Json::parse(apply.body);
  const StoredPtr there = stored(apply.target);
  if (!there) {
    if (!apply.uid.empty()) return fail(conflict("the object of UID " + apply.uid + " is gone"));
    if (!apply.hash.empty()) body["metadata"]["annotations"][api::kAnnotationApplied] = apply.hash;
    create(std::move(body), api::kFieldManager);
    return {};
  }
  if (apply.uid.empty())
    return fail(conflict(there->manager == api::kFieldManager
                             ? "the object has been modified"
                             : "Apply failed with 1 conflict: conflict with \"kubectl\": .spec"));
  if (apply.uid != there->uid) return fail(conflict("UID is " + there->uid + ", not " + apply.uid));
  if (!as_seen(*there, apply.resource_version)) return fail(conflict("the object has been modified"));
  update(
      apply.target,
      [&](Json& object) {
        object["spec"] = body["spec"];
        for (const char* part : {"labels", "ownerReferences"}) {
          object["metadata"].erase(part);
          if (body["metadata"].contains(part)) object["metadata"][part] = body["metadata"][part];
        }
        for (const char* ours : {api::kAnnotationApplied, api::kAnnotationNotSticky})
          if (object["metadata"].contains("annotations")) object["metadata"]["annotations"].erase(ours);
        if (body["metadata"].contains("annotations")) object["metadata"]["annotations"].update(body["metadata"]["annotations"]);
        if (!apply.hash.empty()) object["metadata"]["annotations"][api::kAnnotationApplied] = apply.hash;
      },
      api::kFieldManager, true);
  return {};
}

Result<void> World::scale(const Scale& scale) {
  const StoredPtr there = stored(scale.target);
  if (!there) return fail(ErrorKind::NotFound, scale.target.to_string() + " not found");
  if (there->uid != scale.uid) return fail(conflict("UID differs"));
  if (!as_seen(*there, scale.resource_version)) return fail(conflict("the object has been modified"));
  update(
      scale.target, [&](Json& object) { object["spec"]["replicas"] = scale.replicas; }, api::kFieldManager);
  return {};
}

Result<void> World::set_finalizers(const SetFinalizers& set) {
  const StoredPtr there = stored(set.target);
  if (!there) return fail(ErrorKind::NotFound, set.target.to_string() + " not found");
  if (there->uid != set.uid) return fail(conflict("UID differs"));
  if (!as_seen(*there, set.resource_version)) return fail(conflict("the object has been modified"));
  update(
      set.target,
      [&](Json& object) {
        object["metadata"].erase("finalizers");
        if (!set.finalizers.empty()) object["metadata"]["finalizers"] = set.finalizers;
      },
      api::kFieldManager);
  if (set.finalizers.empty() && get(set.target)["metadata"].contains("deletionTimestamp")) remove(set.target);
  return {};
}

Result<void> World::remove(const Delete& removal) {
  const StoredPtr there = stored(removal.target);
  if (!there) return {};
  if (there->uid != removal.uid) return fail(conflict("UID differs"));
  if (!as_seen(*there, removal.resource_version)) return fail(conflict("the object has been modified"));
  remove(removal.target);
  return {};
}

Result<void> World::write_status(const WriteStatus& write) {
  const StoredPtr there = stored(write.target);
  if (!there) return fail(ErrorKind::NotFound, write.target.to_string() + " not found");
  if (there->uid != write.uid || std::to_string(there->version) != write.resource_version)
    return fail(conflict(
        "the object has been modified; please apply your changes to the latest version and try again"));
  // The same write on the same object has the same outcome.
  static std::unordered_map<std::string, std::pair<StoredPtr, StoredPtr>> known;
  if (known.size() > kWritesKept) known.clear();
  auto& [before, after] = known[std::to_string(reinterpret_cast<uintptr_t>(there.get())) + write.status];
  if (before == there) {
    if (after != there) take(after);
    return {};
  }
  update(
      write.target, [&](Json& object) { object["status"] = Json::parse(write.status); }, api::kFieldManager);
  before = there;
  after = stored(write.target);
  return {};
}

}  // namespace mo::sim
