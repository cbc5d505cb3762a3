// Brings audit records to where --audit-export says. The queue are the ModelAudits themselves: each waits in the API server
// until its annotation modelops.dev/exported says that it has arrived, so a restart loses nothing, and memory holds one at a
// time. A crash between the two exports one again. Nothing waits for it: neither a reconcile nor an abort.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/export/sink.h"
#include "operator/kube/client.h"
#include "operator/store/store.h"

namespace mo::audit {

struct ExporterOptions {
  std::chrono::milliseconds look{5'000};         // how often it looks for new ones
  std::chrono::milliseconds first_retry{1'000};  // doubling, to `longest_retry`, while nothing passes
  std::chrono::milliseconds longest_retry{60'000};
  std::chrono::milliseconds refused_retry{
      600'000};  // of a trail whose lines are refused: those after them wait, other trails do not
  // So old a ModelAudit is when nobody waits any more for the installation that made it.
  Duration left_behind = std::chrono::hours(1);
};

// Which ModelAudits an installation exports: those that it made, whatever became of their Model, and those that another left
// behind of Models that it handles now. Two installations may have different sinks, so that none takes what the other is about to
// send.
struct Claim {
  std::string installation;  // its name
  // A Model of that name now; of one that is gone one installation says so. Asked for each ModelAudit.
  std::function<bool(const ObjectKey& model)> handles;
};
bool claims(const Claim& claim, const api::ModelAudit& audit, TimePoint now, Duration left_behind);

// run() belongs to one thread; the rest is thread-safe. What is given by reference must outlive it.
class Exporter {
 public:
  // `now`: the wall clock.
  Exporter(kube::Client& client, const Store<api::ModelAudit>& audits, std::unique_ptr<Sink> sink, Claim claim,
           std::function<TimePoint()> now, ExporterOptions options = {});

  // Until `stop`.
  void run(std::stop_token stop);

  struct Counts {
    uint64_t records = 0, failed = 0, refused = 0;  // attempts that did not arrive: nothing passed, or those lines did not
    size_t waiting = 0;                             // ModelAudits
    std::optional<TimePoint> oldest;                // when the first of those was made
  };
  Counts counts() const;

 private:
  using Audit = std::shared_ptr<const api::ModelAudit>;
  using Steady = std::chrono::steady_clock::time_point;
  enum class Came { Arrived, Refused, Nothing };
  std::vector<Audit> waiting() const;
  bool pass(std::stop_token stop);
  bool put_back(const Audit& audit, Came came, Steady started);
  void back_again(Steady started);
  Came bring(const Audit& audit, std::stop_token stop);
  Came mark(const Audit& audit, const std::string& note, std::stop_token stop);
  Came failed(Came came, const std::string& why, std::stop_token stop);

  kube::Client& client_;
  const Store<api::ModelAudit>& audits_;
  const std::unique_ptr<Sink> sink_;
  const Claim claim_;
  const std::function<TimePoint()> now_;
  const ExporterOptions options_;
  std::map<std::string, std::string> arrived_;  // by UID of the ModelAudit: the annotation that the store does not show yet
  std::map<ObjectKey, Steady> put_back_;        // Models whose lines do not pass, and until when
  // With which ModelAudit of a Model nothing passed, how often in a row, and in which pass last: either the sink is away, or it
  // is that one's fault.
  struct Trouble {
    std::string uid;
    int times = 0;
    Steady pass{};
  };
  std::map<ObjectKey, Trouble> trouble_;
  bool away_ = false;                                                    // nothing passed in the last pass
  std::string told_;                                                     // what the log said last, so that it says it once
  std::atomic<uint64_t> records_{0}, failed_{0}, refused_{0};
};

}  // namespace mo::audit
