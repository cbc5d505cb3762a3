// What the API server refused for good, so that it shows in status word for word instead of only in the log.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "operator/core/ids.h"
#include "operator/core/result.h"
#include "operator/core/time.h"

namespace mo {

// Invalid (schema, admission), Forbidden (RBAC, quota, admission), or a Conflict on the first apply of an
// object that turned out to be somebody else's.
struct Refusal {
  ObjectRef target;
  Error error;
  std::string body_hash;  // Apply::hash of what was refused; empty for other actions
  TimePoint at{};         // when this same refusal first came
};

// Thread-safe. One refusal per target, kept until an action on the target succeeds, or may have (its answer was lost), or the Model is gone. A
// refusal whose body_hash is not that of what the plan would apply now speaks of an earlier wish and is to be
// passed over.
class Refusals {
 public:
  std::vector<Refusal> of(const ObjectKey& model) const;  // by target

  // Returns false if the same refusal (error and body) was there already; its `at` then stays.
  bool record(const ObjectKey& model, Refusal refusal);
  // An action on the target succeeded. `applied`: what a whole body was refused for (body_hash) is settled
  // too; a status write or a scale that went through says nothing about that. Returns whether there was one.
  bool clear(const ObjectKey& model, const ObjectRef& target, bool applied);
  void forget(const ObjectKey& model);

 private:
  mutable std::mutex mutex_;
  std::unordered_map<ObjectKey, std::map<ObjectRef, Refusal>> refusals_;
};

}  // namespace mo
