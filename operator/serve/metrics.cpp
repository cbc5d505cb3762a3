#include "operator/serve/metrics.h"

#include "operator/serve/model_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

namespace mo::serve {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using prometheus::ClientMetric;
using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::MetricFamily;
using prometheus::MetricType;

const Histogram::BucketBoundaries kReconcileBuckets{0.001, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                    0.25,  0.5,   1,    2.5,   10,   30};
const Histogram::BucketBoundaries kCallBuckets{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};

ClientMetric gauge(double value, const char* label = nullptr, const std::string& text = {}) {
  ClientMetric metric;
  metric.gauge.value = value;
  if (label) metric.label = {{label, text}};
  return metric;
}

MetricFamily family(const char* name, const char* help, std::vector<ClientMetric> metrics) {
  return MetricFamily{name, help, MetricType::Gauge, std::move(metrics)};
}

// Every phase is always there: a gauge that vanishes at nought breaks alerts.
template <class T, class PhaseOf>
MetricFamily by_phase(const char* name, const char* help, const Store<T>& store,
                      std::initializer_list<const char*> phases, PhaseOf phase_of) {
  std::map<std::string, double> counts;
  for (const char* phase : phases) counts[phase] = 0;
  for (const auto& object : store.all()) {
    const std::string& phase = phase_of(*object);
    auto it = counts.find(phase.empty() ? "Pending" : phase);
    ++(it == counts.end() ? counts["Other"] : it->second);
  }
  std::vector<ClientMetric> metrics;
  for (const auto& [phase, count] : counts) metrics.push_back(gauge(count, "phase", phase));
  return family(name, help, std::move(metrics));
}

MetricFamily breached_monitors(const Store<api::Model>& models) {
  std::vector<ClientMetric> metrics;
  for (const auto& model : models.all())
    for (const api::MonitorStatus& monitor : model->status.monitors) {
      ClientMetric metric = gauge(monitor.state == api::MonitorStatus::State::Breached ? 1 : 0);
      metric.label = {{"namespace", model->meta.key.ns}, {"model", model->meta.key.name}, {"monitor", monitor.name}};
      metrics.push_back(std::move(metric));
    }
  return family("modelops_monitor_breached", "1 while a Model's monitor is breached.", std::move(metrics));
}

double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double cpu_seconds() {
  timespec spent{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
  return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) / 1e9;
}

double open_descriptors() {
  std::error_code error;
  double count = 0;
  for (std::filesystem::directory_iterator it("/proc/self/fd", error), end; !error && it != end;
       it.increment(error))
    ++count;
  return count;
}

}  // namespace

struct Metrics::Impl {
  prometheus::Registry registry;
  Sources sources;
  Family<Counter>& calls = BuildCounter()
                               .Name("model_operator_api_calls_total")
                               .Help("Requests to the API server; code 0: no answer.")
                               .Register(registry);
  Family<Histogram>& call_seconds = BuildHistogram()
                                        .Name("model_operator_api_call_seconds")
                                        .Help("Time of requests to the API server, watches left out.")
                                        .Register(registry);
  Family<Counter>& reconciles = BuildCounter()
                                    .Name("model_operator_reconciles_total")
                                    .Help("Reconciles by outcome.")
                                    .Register(registry);
  Histogram& reconcile_seconds = BuildHistogram()
                                     .Name("model_operator_reconcile_seconds")
                                     .Help("Time of a reconcile with its writes.")
                                     .Register(registry)
                                     .Add({}, kReconcileBuckets);
  Family<Counter>& restarts = BuildCounter()
                                  .Name("model_operator_watch_restarts_total")
                                  .Help("Watches that ended or failed, by kind.")
                                  .Register(registry);
  Family<Counter>& unreadable = BuildCounter()
                                    .Name("model_operator_unreadable_objects_total")
                                    .Help("Objects that could not be read and were passed over.")
                                    .Register(registry);
};

Metrics::Metrics(const std::string& version, Sources sources) : impl_(std::make_unique<Impl>()) {
  impl_->sources = std::move(sources);
  BuildGauge()
      .Name("model_operator_build_info")
      .Help("1, labelled with what runs.")
      .Register(impl_->registry)
      .Add({{"version", version}, {"compiler", "g++ " __VERSION__}})
      .Set(1);
  // From zero on: a counter that only shows with its first count hides that first count from rate().
  for (const Kind kind : kStoredKinds) {
    impl_->restarts.Add({{"kind", info(kind).kind}});
    impl_->unreadable.Add({{"kind", info(kind).kind}});
  }
}

Metrics::~Metrics() = default;

void Metrics::api_call(std::string_view verb, std::string_view resource, int status, double seconds) {
  const std::string verb_text(verb), resource_text(resource);
  impl_->calls.Add({{"verb", verb_text}, {"resource", resource_text}, {"code", std::to_string(status)}})
      .Increment();
  if (verb != "watch")
    impl_->call_seconds.Add({{"verb", verb_text}, {"resource", resource_text}}, kCallBuckets)
        .Observe(seconds);
}

void Metrics::reconciled(std::string_view outcome, double seconds) {
  impl_->reconciles.Add({{"outcome", std::string(outcome)}}).Increment();
  impl_->reconcile_seconds.Observe(seconds);
}

void Metrics::watch_restarted(Kind kind) { impl_->restarts.Add({{"kind", info(kind).kind}}).Increment(); }
void Metrics::unreadable(Kind kind) { impl_->unreadable.Add({{"kind", info(kind).kind}}).Increment(); }

std::string Metrics::text() const {
  const Sources& sources = impl_->sources;
  std::vector<MetricFamily> families = impl_->registry.Collect();
  auto add = [&](const char* name, const char* help, double value) {
    families.push_back(family(name, help, {gauge(value)}));
  };
  if (sources.queue_depth)
    add("model_operator_queue_depth", "Models waiting for a reconcile.",
        static_cast<double>(sources.queue_depth()));
  if (sources.leading) add("model_operator_leader", "1 while this process leads.", sources.leading() ? 1 : 0);
  if (sources.models_of_others)
    add("model_operator_models_of_others", "Models left alone because another installation of the operator handles them.",
        static_cast<double>(sources.models_of_others()));
  if (sources.stores) {
    families.push_back(by_phase("model_operator_models", "Models by phase.", sources.stores->models,
                                {"Pending", "Progressing", "Ready", "Paused", "Degraded", "Retired"},
                                [](const api::Model& m) -> const std::string& { return m.status.phase; }));
    families.push_back(breached_monitors(sources.stores->models));
    for (MetricFamily& of_models : model_families(sources.stores->models)) families.push_back(std::move(of_models));
    for (MetricFamily& figures : figure_families(sources.stores->models, sources.stores->rollouts)) families.push_back(std::move(figures));
    families.push_back(
        by_phase("model_operator_rollouts", "ModelRollouts by phase.", sources.stores->rollouts,
                 {"Pending", "Progressing", "Paused", "Baking", "Succeeded", "RolledBack", "Aborted", "Superseded", "Failed"},
                 [](const api::ModelRollout& r) -> const std::string& { return r.status.phase; }));
  }
  auto counter = [&](const char* name, const char* help, double value) {
    ClientMetric metric;
    metric.counter.value = value;
    families.push_back(MetricFamily{name, help, MetricType::Counter, {metric}});
  };
  if (sources.events_dropped)
    counter("model_operator_events_dropped_total", "Events not sent because too many waited.",
            static_cast<double>(sources.events_dropped()));
  if (sources.notifications) {
    MetricFamily told{"model_operator_notifications_total", "Messages by target (--notifications) and outcome.", MetricType::Counter, {}};
    for (const Notified& notified : sources.notifications()) {
      ClientMetric metric;
      metric.counter.value = static_cast<double>(notified.count);
      metric.label = {{"target", notified.target}, {"outcome", notified.outcome}};
      told.metric.push_back(std::move(metric));
    }
    families.push_back(std::move(told));
  }
  if (const auto exported = sources.audit_export ? sources.audit_export() : std::nullopt) {
    add("model_operator_audit_export_waiting", "ModelAudits that are not exported yet.", static_cast<double>(exported->waiting));
    add("model_operator_audit_export_oldest_seconds", "Age of the oldest ModelAudit that is not exported yet.", exported->oldest_seconds);
    counter("model_operator_audit_exported_records_total", "Audit records exported.", static_cast<double>(exported->records));
    MetricFamily failures{"model_operator_audit_export_failures_total",
                          "Attempts to export that failed. refused: the sink takes these records not; unreachable: it takes none now.",
                          MetricType::Counter, {}};
    for (const auto& [outcome, count] : {std::pair("refused", exported->refused), std::pair("unreachable", exported->failed)}) {
      ClientMetric metric;
      metric.counter.value = static_cast<double>(count);
      metric.label = {{"reason", outcome}};
      failures.metric.push_back(std::move(metric));
    }
    families.push_back(std::move(failures));
  }
  counter("process_cpu_seconds_total", "CPU time of this process.", cpu_seconds());
  add("process_resident_memory_bytes", "Resident memory of this process.", resident_bytes());
  add("process_open_fds", "Open file descriptors of this process.", open_descriptors());
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families);
  return out.str();
}

}  // namespace mo::serve
