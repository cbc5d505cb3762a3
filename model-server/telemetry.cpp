#include "model-server/telemetry.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/text_serializer.h>

namespace model_server {
namespace {

constexpr size_t kMaxClasses = 100;

prometheus::Family<prometheus::Counter>& counters(prometheus::Registry& registry, const char* name,
                                                  const char* help, const prometheus::Labels& labels) {
  return prometheus::BuildCounter().Name(name).Help(help).Labels(labels).Register(registry);
}

const prometheus::Histogram::BucketBoundaries& buckets() {
  static const prometheus::Histogram::BucketBoundaries bounds{
      0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1};
  return bounds;
}

}  // namespace

Telemetry::Telemetry(const std::string& model, const std::string& version)
    : requests_(counters(registry_, "model_requests_total", "Inference requests answered, by HTTP status",
                         {{"model", model}, {"version", version}})),
      predictions_(counters(registry_, "model_predictions_total", "Predictions made, by class",
                            {{"model", model}, {"version", version}})),
      duration_(prometheus::BuildHistogram()
                    .Name("model_request_duration_seconds")
                    .Help("Time from the complete inference request to its response")
                    .Labels({{"model", model}, {"version", version}})
                    .Register(registry_)
                    .Add({}, buckets())),
      feedback_(counters(registry_, "model_feedback_total", "Predictions whose right label was told",
                         {{"model", model}, {"version", version}})
                    .Add({})),
      correct_(counters(registry_, "model_correct_total", "Predictions that agreed with the label told",
                        {{"model", model}, {"version", version}})
                   .Add({})),
      accuracy_(prometheus::BuildGauge()
                    .Name("model_accuracy")
                    .Help("Share of right predictions among the last ones whose label was told")
                    .Labels({{"model", model}, {"version", version}})
                    .Register(registry_)) {
  requests_.Add({{"code", "200"}});  // so that a rate can be taken from the first request on
}

void Telemetry::request(int http_status, std::chrono::duration<double> took) {
  requests_.Add({{"code", std::to_string(http_status)}}).Increment();
  duration_.Observe(took.count());
}

void Telemetry::prediction(const std::string& class_text) {
  bool known = true;
  {
    std::lock_guard lock(mutex_);
    if (!classes_.count(class_text))
      known = classes_.size() < kMaxClasses && classes_.insert(class_text).second;
  }
  predictions_.Add({{"class", known ? class_text : "other"}}).Increment();
}

void Telemetry::feedback(const Feedback::Tally& tally) {
  feedback_.Increment(static_cast<double>(tally.compared));
  correct_.Increment(static_cast<double>(tally.correct));
  accuracy_.Add({}).Set(tally.accuracy);
}

std::string Telemetry::text() const { return prometheus::TextSerializer().Serialize(registry_.Collect()); }

}  // namespace model_server
