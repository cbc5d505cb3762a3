// One leader at a time, by a Lease. A Lease is no fence: whoever loses it must exit, and every write that
// matters carries a precondition.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "operator/core/ids.h"
#include "operator/core/result.h"
#include "operator/core/time.h"
#include "operator/kube/client.h"

namespace mo {

struct LeaderOptions {
  ObjectKey lease;       // namespace and name
  std::string identity;  // unique over all processes, "host_uuid"
  Duration lease_duration = std::chrono::seconds(15);
  Duration renew_deadline = std::chrono::seconds(10);
  Duration retry_period = std::chrono::seconds(2);
};

// What a Lease says. Its times are somebody else's clock: they are compared for equality only.
struct LeaseRecord {
  std::string holder;
  std::string acquire_time, renew_time;
  Duration duration = std::chrono::seconds(15);
  int transitions = 0;
  std::string resource_version;
};
Result<LeaseRecord> read_lease(const std::string& json);
std::string lease_body(const LeaseRecord& record, const ObjectKey& key);

// When somebody else's Lease has run out by our own monotonic clock: it did not change for its whole duration
// while we looked. Pure; not thread-safe.
class LeaseObserver {
 public:
  // Returns whether the lease may be taken over now.
  bool may_take(const LeaseRecord& seen, const std::string& identity, Duration monotonic_now);

 private:
  std::string last_;
  Duration since_{0};
};

// acquire() and hold() belong to one thread; leading() is thread-safe.
class LeaderElector {
 public:
  LeaderElector(kube::Client& client, LeaderOptions options)
      : client_(client), options_(std::move(options)) {}

  // Blocks until we lead (true) or `stop` (false).
  bool acquire(std::stop_token stop);
  // Renews until `stop` (true) or until the Lease is lost (false): the process must then end at once.
  bool hold(std::stop_token stop);
  // Hands the Lease back, so that the next leader need not wait for it to run out. After all workers have
  // finished.
  void release();

  // Whether we lead at this moment, by our own clock: false once the renew deadline has passed since the last
  // renewal was sent, also when this process was stopped in the meantime.
  bool leading() const;

 private:
  enum class Attempt { Held, NotOurs, Failed };
  Attempt attempt(std::stop_token stop);
  bool try_release();
  Attempt create(std::stop_token stop);
  Attempt write(LeaseRecord record, const std::string& old_holder, std::stop_token stop);
  Attempt held(const std::string& stored, Duration sent);  // `stored`: the Lease as the API server has it now
  static Duration monotonic();
  static TimePoint wall();

  kube::Client& client_;
  const LeaderOptions options_;
  LeaseObserver observer_;
  std::optional<LeaseRecord> held_;  // as we wrote it last: renewing it is one PUT, without a GET
  std::atomic<int64_t> leads_until_{0};  // monotonic milliseconds
};

}  // namespace mo
