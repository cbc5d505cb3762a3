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

// A rule of faults.md or api.md was broken, or an object is not what the CRD allows.
struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What a watch would tell.
struct Change {
  Kind kind;
  ObjectKey key;
  bool deleted = false;
  std::vector<ObjectKey> models;      // whom it concerns
  std::function<bool(Stores&)> take;  // puts it into a store; false if that knew it
};

inline constexpr const char* kNamespace = "ns";

class World {
 public:
  TimePoint now = *parse_time("2026-11-22T09:00:00Z");
  Stores truth;  // every object as it is, parsed
  std::vector<Change> log;
  std::vector<std::string> trace;

  // ---- for everybody ----
  const Json* find(const ObjectRef& ref) const;
  const Json& get(const ObjectRef& ref) const;
  std::vector<ObjectRef> all(Kind kind) const;
  // `object` needs kind, metadata.name and spec; a name that is taken is a Violation.
  void create(Json object, const std::string& manager);
  // Changes any part; generation moves when spec does.
  void update(const ObjectRef& ref, const std::function<void(Json&)>& edit, const std::string& manager);
  void remove(const ObjectRef& ref);

  // ---- the verbs of the executor ----
  Result<Json> apply(const Apply& apply);
  Result<Json> scale(const Scale& scale);
  Result<void> remove(const Delete& removal);
  Result<Json> write_status(const WriteStatus& write);
  // Answers "no" to the first apply of these, as admission or quota would.
  std::function<std::optional<Error>(const Apply&)> admission;

  void say(const std::string& line);

 private:
  void store(const ObjectRef& ref, Json object);
  void own_spec(const ObjectRef& ref, Json& object, const std::string& manager, bool alone);
  std::string next_rv() { return std::to_string(++rv_); }

  std::map<ObjectRef, Json> objects_;
  std::map<std::string, std::string> managers_;  // UID -> who owns spec, "" once several
  int64_t rv_ = 1000, uid_ = 0;
};

ObjectRef ref_of(const Json& object);
ObjectRef ref(Kind kind, const std::string& name);  // in kNamespace; ModelRuntimes have none

}  // namespace mo::sim
