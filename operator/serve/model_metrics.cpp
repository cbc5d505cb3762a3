#include "operator/serve/model_metrics.h"

#include <cmath>
#include <cstdlib>

namespace mo::serve {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

ClientMetric of(const api::Model& model, double value) {
  ClientMetric metric;
  metric.gauge.value = value;
  metric.label = {{"namespace", model.meta.key.ns}, {"model", model.meta.key.name}};
  return metric;
}

double seconds_of(TimePoint at) { return static_cast<double>(std::chrono::duration_cast<std::chrono::seconds>(at.time_since_epoch()).count()); }

void put(MetricFamily& family, const std::string& value, std::vector<ClientMetric::Label> labels) {
  char* end = nullptr;
  const double number = std::strtod(value.c_str(), &end);
  if (value.empty() || *end != 0 || !std::isfinite(number)) return;
  ClientMetric metric;
  metric.gauge.value = number;
  metric.label = std::move(labels);
  family.metric.push_back(std::move(metric));
}

}  // namespace

std::vector<MetricFamily> figure_families(const Store<api::Model>& models, const Store<api::ModelRollout>& rollouts) {
  MetricFamily monitors{"modelops_monitor_value", "What a Model's monitor measured last, while it has a figure.", MetricType::Gauge, {}};
  for (const auto& model : models.all())
    for (const api::MonitorStatus& monitor : model->status.monitors)
      if (monitor.state != api::MonitorStatus::State::NoData)
        put(monitors, monitor.value,
            {{"namespace", model->meta.key.ns}, {"model", model->meta.key.name}, {"monitor", monitor.name}, {"version", monitor.version}});
  MetricFamily gates{"modelops_gate_value", "What a gate measured last, while its ModelRollout is under way.", MetricType::Gauge, {}};
  for (const auto& rollout : rollouts.all()) {
    if (rollout->status.finished) continue;
    for (const api::GateStatus& gate : rollout->status.gates)
      if (!gate.measurements.empty())
        put(gates, gate.measurements.back().value,
            {{"namespace", rollout->meta.key.ns}, {"model", rollout->model}, {"rollout", rollout->meta.key.name}, {"gate", gate.name}, {"version", rollout->version}});
  }
  return {monitors, gates};
}

std::vector<MetricFamily> model_families(const Store<api::Model>& models) {
  MetricFamily info{"modelops_model_info", "1 for each Model, labelled with what serves, its phase and its stage.", MetricType::Gauge, {}};
  MetricFamily deprecates{"modelops_model_deprecates_timestamp_seconds", "When a Model is to be Deprecated, where it says so.", MetricType::Gauge, {}};
  MetricFamily retires{"modelops_model_retires_timestamp_seconds", "When a Model is to be Retired, where it says so.", MetricType::Gauge, {}};
  MetricFamily review{"modelops_model_review_timestamp_seconds", "When a Model is to be reviewed, where it says so.", MetricType::Gauge, {}};
  MetricFamily compliant{"modelops_model_compliant", "1 if a Model meets its ModelPolicies, else 0; of Models that have some.", MetricType::Gauge, {}};
  MetricFamily evaluation{"modelops_model_evaluation_due", "1 while what a Model serves has to be evaluated anew soon, as maxAge of its ModelPolicies says, else 0.",
                          MetricType::Gauge, {}};
  for (const auto& model : models.all()) {
    ClientMetric one = of(*model, 1);
    const api::ModelStatus& s = model->status;
    one.label.push_back({"version", s.stable_version});
    one.label.push_back({"phase", s.phase.empty() ? "Pending" : s.phase});
    one.label.push_back({"stage", s.lifecycle.stage});
    info.metric.push_back(std::move(one));
    for (const api::Condition& condition : s.conditions)
      if (condition.type == "Compliant") {
        compliant.metric.push_back(of(*model, condition.status == "True" ? 1 : 0));
        evaluation.metric.push_back(of(*model, condition.reason == "EvaluationDue" ? 1 : 0));
      }
    // Of those that are retired nothing is due any more.
    if (!model->lifecycle || s.lifecycle.stage == "Retired") continue;
    const auto date = [&](MetricFamily& family, const std::optional<TimePoint>& at) {
      if (at) family.metric.push_back(of(*model, seconds_of(*at)));
    };
    if (s.lifecycle.stage != "Deprecated") date(deprecates, model->lifecycle->deprecate_at);
    date(retires, model->lifecycle->retire_at);
    date(review, model->lifecycle->review_by);
  }
  return {info, deprecates, retires, review, compliant, evaluation};
}

}  // namespace mo::serve
