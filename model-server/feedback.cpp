#include "model-server/feedback.h"

namespace model_server {
namespace {

constexpr size_t kNode = 64;  // of a map or an allocation, generously

size_t bytes_of(const std::string& text) { return sizeof text + text.size() + kNode; }
size_t bytes_of(const std::string& id, const std::vector<std::string>& predictions) {
  size_t bytes = bytes_of(id) + sizeof predictions + kNode;
  for (const std::string& prediction : predictions)
    bytes += prediction.size() < 16 ? sizeof prediction : bytes_of(prediction);
  return bytes;
}

}  // namespace

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
  const size_t bytes = bytes_of(id, predictions);
  std::lock_guard lock(mutex_);
  forget(id);
  if (bytes > max_bytes_ / 4) return;
  predictions.shrink_to_fit();
  remembered_[id] = {++last_number_, std::move(predictions)};
  order_.push_back({last_number_, id});
  bytes_ += bytes + bytes_of(id);
  while (order_.size() > window_ || bytes_ > max_bytes_) {
    const Id& oldest = order_.front();
    if (const auto it = remembered_.find(oldest.text); it != remembered_.end() && it->second.number == oldest.number)
      forget(oldest.text);
    bytes_ -= bytes_of(oldest.text);
    order_.pop_front();
  }
}

std::optional<std::vector<std::string>> Feedback::forget(const std::string& id) {
  auto node = remembered_.extract(id);
  if (!node) return std::nullopt;
  bytes_ -= bytes_of(node.key(), node.mapped().predictions);
  return std::move(node.mapped().predictions);
}

std::optional<std::vector<std::string>> Feedback::take(const std::string& id) {
  std::lock_guard lock(mutex_);
  return forget(id);
}

size_t Feedback::remembered_bytes() {
  std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace model_server
