// Carries out plans: the only place that writes to the API server on behalf of a reconciler.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <vector>

#include "operator/core/ids.h"
#include "operator/core/plan.h"
#include "operator/core/result.h"
#include "operator/kube/client.h"
#include "operator/store/ledger.h"
#include "operator/store/refusals.h"
#include "operator/store/store.h"

namespace mo {

// The outcome of executing a plan.
struct Outcome {
  enum class Kind {
    Done,       // all of them
    Conflict,   // decided on an older state than the API server's: look again once the watch has caught up
    Refused,    // rejected by the API server; kept in Refusals
    Retry,      // no answer, overloaded, failing
    Cancelled,  // we are stopping, or no longer lead
  };
  Kind kind = Kind::Done;
  std::string what;  // the action that failed, for the log: "apply Deployment a/b (first version)"
  std::optional<Error> error;
  bool fresh_refusal = false;  // Refused with another error than last time, so status changes
  std::optional<Duration> held;  // a status that may wait was held back for that long
  std::vector<ObjectRef> recorded = {};  // whose statuses were written, however it ended
  bool of_status = false;  // what failed was the writing of a status
};
const char* to_string(Outcome::Kind kind);

// The Events to send: those that a status records once it is written, even if later actions fail (the next plan
// does not repeat them), and all of them once the whole plan is done.
std::vector<Event> news_of(Plan& plan, const Outcome& outcome);

// Thread-safe. What is given by reference must outlive it.
class Executor {
 public:
  // `may_write` is asked before each write: with leader election, whether we lead at this moment by our own
  // clock.
  Executor(kube::Client& client, Stores& stores, Ledger& ledger, Refusals& refusals,
           std::function<bool()> may_write = {})
      : client_(client),
        stores_(stores),
        ledger_(ledger),
        refusals_(refusals),
        may_write_(std::move(may_write)) {}

  // Whether it is known how every write for this Model ended: reads what an unanswered one was about, since a
  // plan made on the state before it would undo it or build on what is gone; and what another made before us.
  // Before the Model is observed. What comes back is the news that such a status write recorded after all: the next
  // plan will not tell them.
  Result<std::vector<Event>> catch_up(const ObjectKey& model, std::stop_token stop);

  // In order, up to the first error. What the API server answers goes into the stores, so that the next
  // reconcile sees its own writes.
  Outcome run(const ObjectKey& model, const Plan& plan, TimePoint now, std::stop_token stop);

 private:
  Result<void> act(const Apply& apply, std::stop_token stop);
  Result<void> make_workload(const Apply& apply, std::stop_token stop);
  Result<void> act(const Scale& scale, std::stop_token stop);
  Result<void> act(const Delete& removal, std::stop_token stop);
  Result<void> act(const WriteStatus& write, std::stop_token stop);
  Result<void> act(const SetFinalizers& set, std::stop_token stop);
  Result<void> confirm_owner(const ObjectKey& model, std::stop_token stop);
  std::optional<Duration> hold(const Action& action);
  Outcome judge(const ObjectKey& model, const Action& action, const Error& error, TimePoint now);
  Outcome::Kind in_the_way(const ObjectKey& model, const ObjectRef& target);
  std::string orphan_at(const ObjectRef& target);
  void read_before_next(const ObjectKey& model, const ObjectRef& target);
  void remember_news(const ObjectKey& model, const WriteStatus& write, const Plan& plan);
  // The answer to a write of ours, or what was merely read.
  enum class Answer { Written, Read };
  Result<void> keep(const ObjectRef& target, const std::string& stored, const std::string& applied_hash,
                    Answer answer = Answer::Written);
  void drop(const ObjectRef& target, const std::string& uid);

  kube::Client& client_;
  Stores& stores_;
  Ledger& ledger_;
  Refusals& refusals_;
  std::function<bool()> may_write_;
  std::mutex statuses_mutex_;
  std::unordered_map<std::string, std::chrono::steady_clock::time_point>
      statuses_;  // by UID: when it was written last
  size_t statuses_sweep_at_ = 512;
  std::mutex unanswered_mutex_;
  struct Unanswered {
    ObjectRef target;         // what to read before the next plan
    RawJson status;           // as it was to be written; empty with another action
    std::vector<Event> news;  // what that status records
  };
  std::unordered_map<ObjectKey, Unanswered> unanswered_;  // by Model
};

// The bodies as sent, for tests.
// The plan's body with metadata.uid (if `uid` is set: the object to be changed and no other) and our
// annotation with `hash` (if set).
Result<std::string> apply_body(const std::string& body, const std::string& uid,
                               const std::string& resource_version, const std::string& hash);
std::string scale_body(const Scale& scale);
std::string status_body(const WriteStatus& write);
std::string finalizers_body(const SetFinalizers& set);

}  // namespace mo
