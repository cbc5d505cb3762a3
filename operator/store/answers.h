// Answers to what plans asked, on their way from the evidence module back into the next Observed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "operator/core/ids.h"
#include "operator/core/plan.h"
#include "operator/core/time.h"

namespace mo {

// Whoever does the asking. `ask` never blocks: it queues. Every ask is answered exactly once by
// AnswerBook::put, also when the answer is that there is none (Answer::problem, Reading::problem).
class Asker {
 public:
  virtual ~Asker() = default;
  virtual void ask(const ObjectKey& model, std::vector<Ask> asks) = 0;
};

// What is asked is what objects say, with UIDs and resourceVersions that writes take as preconditions.
bool is_of_objects(const Ask& ask);

// Thread-safe. The life of an answer:
//   a plan asks an id that is neither answered nor under way    begin() hands it on, once
//   the answer comes                                            put() keeps it and wakes the Model
//   a reconcile sees it (of()) and its plan runs to the end     retain() drops it, unless that plan still
//   asks for it
//   a write meets another state than its plan knew              doubt() drops it if it is what an object said
// So a plan lists an id for as long as it wants the answer kept, and an answer is never lost before a plan
// that saw it was carried out: if writing the status fails, the next reconcile sees the same answer again.
// What is held is bounded by what the last plans asked and by what is under way. A plan ran to the end in this sense, too, if all that
// it did not write was refused and is no status: what it decided is on record.
class AnswerBook {
 public:
  // `wake` is called without locks held, on the thread that puts.
  explicit AnswerBook(std::function<void(const ObjectKey& model)> wake = {}) : wake_(std::move(wake)) {}

  // For reconcilers: all answers kept for this Model, by id.
  std::map<std::string, Answer> of(const ObjectKey& model) const;

  // For the evidence module.
  void put(const ObjectKey& model, const std::string& id, Answer answer);
  // All that came at once for one Model, by id, which wakes it once.
  void put(const ObjectKey& model, std::vector<std::pair<std::string, Answer>> answers);

  // For the worker loop. mark() is read before the reconcile observes; retain() is called after its plan ran
  // to the end, and drops the answers that were there at the mark (hence seen) and whose ids are not in
  // `asked`.
  uint64_t mark() const;
  void retain(const ObjectKey& model, const std::set<std::string>& asked, uint64_t mark);

  // A write of a plan was refused because its object is not as it was seen. What was read of objects apart from the stores may be what
  // was outdated: it goes, and the next plan reads it anew. Measurements stay.
  void doubt(const ObjectKey& model);

  // The asks that are to be sent now: those without an answer and not under way, and those whose answer is for 30 s that it
  // could not be read (Answer::problem), which is kept until the next one comes. An ask without answer for five minutes counts
  // as lost and is sent again.
  std::vector<Ask> begin(const ObjectKey& model, std::vector<Ask> asks, TimePoint now);

  // Answers kept and asks under way, over all Models.
  size_t size() const;

 private:
  struct Kept {
    uint64_t sequence = 0;
    Answer answer;
    bool of_objects = false;
  };
  struct Sent {
    TimePoint at;
    bool of_objects = false;
  };
  struct Page {
    std::map<std::string, Kept> answers;
    std::map<std::string, Sent> under_way;
  };
  void erase_if_empty(const ObjectKey& model);

  std::function<void(const ObjectKey&)> wake_;
  mutable std::mutex mutex_;
  std::unordered_map<ObjectKey, Page> pages_;
  uint64_t sequence_ = 0;
};

}  // namespace mo
