#include "model-server/feedback.h"

namespace model_server {

Feedback::Tally Feedback::compare(const std::vector<std::string>& predictions,
                                  const std::vector<std::string>& labels) {
  std::lock_guard lock(mutex_);
  Tally tally;
  for (size_t i = 0; i < predictions.size(); ++i) {
    const bool right = predictions[i] == labels[i];
    ++tally.compared;
    tally.correct += right;
    correct_ += right;
    outcomes_.push_back(right);
    if (outcomes_.size() <= window_) continue;
    correct_ -= outcomes_.front();
    outcomes_.pop_front();
  }
  tally.accuracy = static_cast<double>(correct_) / static_cast<double>(outcomes_.size());
  return tally;
}

void Feedback::remember(const std::string& id, std::vector<std::string> predictions) {
  std::lock_guard lock(mutex_);
  if (remembered_.insert_or_assign(id, std::move(predictions)).second) order_.push_back(id);
  while (order_.size() > window_) {
    remembered_.erase(order_.front());
    order_.pop_front();
  }
}

std::optional<std::vector<std::string>> Feedback::take(const std::string& id) {
  std::lock_guard lock(mutex_);
  auto node = remembered_.extract(id);
  return node ? std::optional(std::move(node.mapped())) : std::nullopt;
}

}  // namespace model_server
