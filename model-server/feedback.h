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
// had an id, in no more than `max_bytes`: callers choose ids and how many rows they send.
class Feedback {
 public:
  explicit Feedback(size_t window, size_t max_bytes = 8u << 20) : window_(window), max_bytes_(max_bytes) {}

  struct Tally {
    uint64_t compared = 0;  // by this call
    uint64_t correct = 0;   // by this call
    double accuracy = 0;    // over the window, this call included
  };
  // Both as class texts and of the same length, which is not 0.
  Tally compare(const std::vector<std::string>& predictions, const std::vector<std::string>& labels);

  // The oldest go where there is no room; what would take more than a quarter of it by itself is not remembered.
  void remember(const std::string& id, std::vector<std::string> predictions);
  // Hands them out once, so that no request is counted twice.
  std::optional<std::vector<std::string>> take(const std::string& id);

  size_t remembered_bytes();  // an upper estimate, of allocations and bookkeeping too

 private:
  struct Remembered {
    uint64_t number = 0;
    std::vector<std::string> predictions;
  };
  std::optional<std::vector<std::string>> forget(const std::string& id);

  const size_t window_;
  const size_t max_bytes_;
  std::mutex mutex_;
  std::deque<bool> outcomes_;
  size_t correct_ = 0;  // of outcomes_
  std::unordered_map<std::string, Remembered> remembered_;
  struct Id {
    uint64_t number;
    std::string text;
  };
  std::deque<Id> order_;   // of remembered_, oldest first; may name what was taken, or came again with a later number
  uint64_t last_number_ = 0;
  size_t bytes_ = 0;               // of both
};

}  // namespace model_server
