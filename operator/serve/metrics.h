// What the operator says about itself to Prometheus.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "operator/core/ids.h"
#include "operator/store/store.h"

namespace mo::serve {

struct Notified {
  std::string target, outcome;  // sent | failed | dropped
  uint64_t count = 0;
};

// Of --audit-export.
struct AuditExport {
  uint64_t records = 0, failed = 0, refused = 0;
  size_t waiting = 0;
  double oldest_seconds = 0;  // of those that wait; 0: none does
};

// Read at each scrape. Empty ones are left out.
struct Sources {
  std::function<size_t()> queue_depth;
  std::function<uint64_t()> events_dropped;
  std::function<bool()> leading;
  std::function<size_t()> models_of_others;
  std::function<std::vector<Notified>()> notifications = {};
  std::function<std::optional<AuditExport>()> audit_export = {};  // nothing: there is no export
  const Stores* stores = nullptr;  // Models and ModelRollouts by phase; must outlive Metrics
};

// Thread-safe. Label values are bounded: verbs, plurals, status codes, kinds, phases; never names.
class Metrics {
 public:
  Metrics(const std::string& version, Sources sources);
  ~Metrics();

  void api_call(std::string_view verb, std::string_view resource, int status, double seconds);
  void reconciled(std::string_view outcome, double seconds);
  void watch_restarted(Kind kind);
  void unreadable(Kind kind);

  // Prometheus' text format 0.0.4.
  std::string text() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mo::serve
