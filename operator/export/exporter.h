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
};

// run() belongs to one thread; the rest is thread-safe. What is given by reference must outlive it.
class Exporter {
 public:
  // `ours`: whether this installation handles the Model of that name; asked for each ModelAudit. `now`: the wall clock.
  Exporter(kube::Client& client, const Store<api::ModelAudit>& audits, std::unique_ptr<Sink> sink,
           std::function<bool(const ObjectKey& model)> ours, std::function<TimePoint()> now, ExporterOptions options = {});

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
  enum class Came { Arrived, Refused, Nothing };
  std::vector<Audit> waiting() const;
  bool pass(std::stop_token stop);
  Came bring(const Audit& audit, std::stop_token stop);
  Came mark(const Audit& audit, const std::string& note, std::stop_token stop);
  Came failed(Came came, const std::string& why, std::stop_token stop);

  kube::Client& client_;
  const Store<api::ModelAudit>& audits_;
  const std::unique_ptr<Sink> sink_;
  const std::function<bool(const ObjectKey&)> ours_;
  const std::function<TimePoint()> now_;
  const ExporterOptions options_;
  std::map<std::string, std::string> arrived_;  // by UID of the ModelAudit: the annotation that the store does not show yet
  std::map<ObjectKey, std::chrono::steady_clock::time_point> put_back_;  // Models whose lines were refused, and until when
  std::string told_;                                                     // what the log said last, so that it says it once
  std::atomic<uint64_t> records_{0}, failed_{0}, refused_{0};
};

}  // namespace mo::audit
