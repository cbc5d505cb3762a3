// Asks Prometheus what Models' figures were and what their pods use.
//
// Only queries of our own are asked, each for namespaces and names that the API server gave, of series that the operator, the kubelet,
// kube-state-metrics and OpenCost export. What a Model's author wrote as a query is never asked here: it would show its readers whatever Prometheus holds.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "operator/evidence/prometheus.h"
#include "report/figures.h"
#include "report/resources.h"

namespace mo::report {

struct PrometheusSource {
  std::string url;                                          // empty: there is none
  std::vector<std::pair<std::string, std::string>> labels;  // that tell this cluster's series from those of others
  bool opencost = false;                                    // costs are asked for
};
// "cluster=prod-eu". ErrorKind::Invalid if it is no label and its value.
Result<std::pair<std::string, std::string>> read_label(const std::string& text);

// Thread-safe.
class History {
 public:
  // `http` must outlive this.
  History(PrometheusSource source, kube::HttpTransport& http);

  bool configured() const { return !source_.url.empty(); }

  // What the operator recorded of this Model. Blocks for some seconds at most; answers are kept for a minute, and while Prometheus is away
  // nobody waits for it again for a while. `now` is the moment that the figures end at.
  Figures figures(const std::string& ns, const std::string& model, const Span& span, TimePoint now, std::stop_token stop);

  // Sets what each Deployment's pods used and ask for, and what they cost; why that is unknown, or nothing.
  std::string usage(std::vector<Workload>& workloads, std::stop_token stop);

 private:
  using Clock = std::chrono::steady_clock;
  struct Kept {
    Figures figures;
    Clock::time_point until;
  };

  std::string matchers() const;  // of all queries: `,cluster="prod-eu"`
  bool is_away();
  void keep(const std::string& key, const Figures& figures, std::chrono::seconds time);
  evidence::SeriesAnswer ask(const std::string& promql, const std::optional<evidence::Moments>& moments, std::stop_token stop);
  using ByName = std::map<std::string, Workload*>;  // "namespace/deployment"
  using Amount = std::optional<double> Workload::*;
  std::string take_sums(const std::string& promql, const ByName& by_name, Amount amount, std::stop_token stop);
  std::string use_in(const std::string& namespaces, const ByName& by_name, std::stop_token stop);
  std::string cost_in(const std::string& namespaces, const ByName& by_name, std::stop_token stop);

  const PrometheusSource source_;
  const evidence::Prometheus prometheus_;
  std::mutex mutex_;  // guards what follows
  std::map<std::string, Kept> kept_;
  Clock::time_point away_until_{};
};

}  // namespace mo::report
