// How often the model was right, as far as anybody told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace model_server {

// Thread-safe. Bounded: the last `window` comparisons, and the predictions of the last `window` requests that
// had an id.
class Feedback {
 public:
  explicit Feedback(size_t window) : window_(window) {}

  struct Tally {
    uint64_t compared = 0;  // by this call
    uint64_t correct = 0;   // by this call
    double accuracy = 0;    // over the window, this call included
  };
  // Both as class texts and of the same length, which is not 0.
  Tally compare(const std::vector<std::string>& predictions, const std::vector<std::string>& labels);

  void remember(const std::string& id, std::vector<std::string> predictions);
  // Hands them out once, so that no request is counted twice.
  std::optional<std::vector<std::string>> take(const std::string& id);

 private:
  const size_t window_;
  std::mutex mutex_;
  std::deque<bool> outcomes_;
  size_t correct_ = 0;  // of outcomes_
  std::unordered_map<std::string, std::vector<std::string>> remembered_;
  std::deque<std::string> order_;  // of remembered_, oldest first; may name what was taken
};

}  // namespace model_server
