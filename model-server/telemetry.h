// What Prometheus is told. Every series carries the labels model and version.
#pragma once

#include <prometheus/registry.h>

#include <chrono>
#include <mutex>
#include <set>
#include <string>

#include "model-server/feedback.h"

namespace model_server {

// Thread-safe.
class Telemetry {
 public:
  Telemetry(const std::string& model, const std::string& version);

  // An inference request was answered.
  void request(int http_status, std::chrono::duration<double> took);
  // One prediction. Beyond 100 different classes they are counted as "other".
  void prediction(const std::string& class_text);
  // model_accuracy appears with the first feedback: before that there is nothing to tell, which is not an
  // accuracy of 0.
  void feedback(const Feedback::Tally& tally);

  std::string text() const;  // Prometheus' text format

 private:
  prometheus::Registry registry_;
  prometheus::Family<prometheus::Counter>& requests_;
  prometheus::Family<prometheus::Counter>& predictions_;
  prometheus::Histogram& duration_;
  prometheus::Counter& feedback_;
  prometheus::Counter& correct_;
  prometheus::Family<prometheus::Gauge>& accuracy_;
  std::mutex mutex_;
  std::set<std::string> classes_;
};

}  // namespace model_server
