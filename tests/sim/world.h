// A Kubernetes that fits in memory: an API server with UIDs, resourceVersions, preconditions and a log of
// changes to watch. Single-threaded.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "operator/core/plan.h"
#include "operator/core/result.h"
#include "operator/json/json.h"
#include "operator/store/store.h"

namespace mo::sim {

struct Print;

// A rule of faults.md or api.md was broken, or an object is not what the CRD allows.
struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// One version of an object as it was stored. Immutable, and shared by whoever saw it.
struct Stored {
  ObjectRef ref;
  Json json;
  std::string uid, manager;                // who owns spec, "" once several
  int64_t version = 0;                     // its resourceVersion
  std::vector<ObjectKey> models;           // whom it concerns
  std::function<bool(Stores&)> put, drop;  // into a store and out of it; false if that knew it
  // Made when they are first asked for.
  mutable std::shared_ptr<const Print> print;
  mutable std::string template_hash;  // of a Deployment
};
using StoredPtr = std::shared_ptr<const Stored>;

// By ref, each at most once.
using StoredSet = std::vector<StoredPtr>;

// What a watch would tell.
struct Change {
  StoredPtr object;
  bool deleted = false;
  const ObjectRef& ref() const { return object->ref; }
  bool take(Stores& stores) const { return deleted ? object->drop(stores) : object->put(stores); }
};

// Brings `objects` to what `wanted` holds, and `stores` with them.
void become(const StoredSet& wanted, StoredSet& objects, Stores& stores);
StoredPtr find(const StoredSet& objects, const ObjectRef& ref);
void put(StoredSet& objects, const StoredPtr& object);
void drop(StoredSet& objects, const ObjectRef& ref);

inline constexpr const char* kNamespace = "ns";

class World {
 public:
  // All that makes a difference from now on; the log only as far as somebody has yet to read it.
  struct State {
    TimePoint now{};
    StoredSet objects;
    std::map<ObjectRef, int64_t> gone;  // the last version of names that are free again
    std::map<Kind, int64_t> made;
    bool owner_went = false;
    std::map<std::string, Json> words_read;
    bool has_engine = true;
  };
  State save() const { return {now, objects_, gone_, made_, owner_went_, words_read, has_engine}; }
  // The log is left empty.
  void load(const State& state);

  TimePoint now = *parse_time("2026-11-22T09:00:00Z");
  Stores truth;             // every object as it is, parsed
  std::vector<Change> log;  // until the operator's watches have read it
  int64_t changes = 0;
  std::map<std::string, Json> words_read;  // the specs of ModelApprovals, by UID, that a quorum read has found
  bool traced = true;
  bool has_gateway = false;  // somebody takes up HTTPRoutes
  bool gateway_mirrors = true;
  bool has_engine = true;  // it serves the kind that a Model's spec.retraining.workload names
  std::vector<std::string> trace;

  // ---- for everybody ----
  const Json* find(const ObjectRef& ref) const;
  const Json& get(const ObjectRef& ref) const;
  StoredPtr stored(const ObjectRef& ref) const { return sim::find(objects_, ref); }
  const StoredSet& objects() const { return objects_; }
  // Whether something that may own others was ever deleted.
  bool owner_went() const { return owner_went_; }
  std::vector<ObjectRef> all(Kind kind) const;
  // `object` needs kind, metadata.name and spec; a name that is taken is a Violation.
  void create(Json object, const std::string& manager);
  // Changes any part; generation moves when spec does.
  void update(const ObjectRef& ref, const std::function<void(Json&)>& edit, const std::string& manager);
  void remove(const ObjectRef& ref);
  // The engine's CRD is deleted, and all its objects with it.
  void remove_engine();
  // How many objects of a kind were ever made.
  int64_t made(Kind kind) const;

  // ---- the verbs of the executor ----
  Result<void> apply(const Apply& apply);
  Result<void> make_workload(const Apply& apply);
  Result<void> scale(const Scale& scale);
  Result<void> set_finalizers(const SetFinalizers& set);
  Result<void> remove(const Delete& removal);
  Result<void> write_status(const WriteStatus& write);
  // Answers "no" to applies of these, as admission or quota would.
  std::function<std::optional<Error>(const Apply&)> admission;

  void say(const std::string& line);

 private:
  void create(const ObjectRef& ref, Json object, const std::string& manager);
  void store(const ObjectRef& ref, Json object, const std::string& manager);
  // `whole`: the manager owns all of spec from now on.
  void update(const ObjectRef& ref, const std::function<void(Json&)>& edit, const std::string& manager,
              bool whole);
  void own_spec(const ObjectRef& ref, Json& object, const std::string& manager, bool alone) const;
  void take(StoredPtr object);
  std::string next_uid(const ObjectRef& ref);

  StoredSet objects_;
  std::map<ObjectRef, int64_t> gone_;
  std::map<Kind, int64_t> made_;
  bool owner_went_ = false;
};

ObjectRef ref_of(const Json& object);
ObjectRef ref(Kind kind, const std::string& name);  // in kNamespace; ModelRuntimes have none

}  // namespace mo::sim
