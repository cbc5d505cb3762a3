#include "operator/store/answers.h"

namespace mo {
namespace {
constexpr Duration kLostAfter = std::chrono::minutes(5);
// What could not be read is asked for again: rights come back. Until then the problem stands.
constexpr Duration kProblemKept = std::chrono::seconds(30);
}

bool is_of_objects(const Ask& ask) {
  return std::holds_alternative<AskAdopted>(ask.question) || std::holds_alternative<AskWorkload>(ask.question);
}

std::map<std::string, Answer> AnswerBook::of(const ObjectKey& model) const {
  std::lock_guard lock(mutex_);
  std::map<std::string, Answer> found;
  if (auto page = pages_.find(model); page != pages_.end())
    for (const auto& [id, kept] : page->second.answers) found.emplace(id, kept.answer);
  return found;
}

void AnswerBook::put(const ObjectKey& model, const std::string& id, Answer answer) {
  std::vector<std::pair<std::string, Answer>> one;
  one.emplace_back(id, std::move(answer));
  put(model, std::move(one));
}

void AnswerBook::put(const ObjectKey& model, std::vector<std::pair<std::string, Answer>> answers) {
  {
    std::lock_guard lock(mutex_);
    Page& page = pages_[model];
    for (auto& [id, answer] : answers) {
      const auto sent = page.under_way.find(id);
      const bool of_objects = sent != page.under_way.end() && sent->second.of_objects;
      if (sent != page.under_way.end()) page.under_way.erase(sent);
      page.answers[id] = Kept{++sequence_, std::move(answer), of_objects};
    }
  }
  if (wake_) wake_(model);
}

uint64_t AnswerBook::mark() const {
  std::lock_guard lock(mutex_);
  return sequence_;
}

void AnswerBook::retain(const ObjectKey& model, const std::set<std::string>& asked, uint64_t mark) {
  std::lock_guard lock(mutex_);
  auto page = pages_.find(model);
  if (page == pages_.end()) return;
  std::erase_if(page->second.answers, [&](const auto& entry) {
    return entry.second.sequence <= mark && !asked.count(entry.first);
  });
  erase_if_empty(model);
}

void AnswerBook::doubt(const ObjectKey& model) {
  std::lock_guard lock(mutex_);
  const auto page = pages_.find(model);
  if (page == pages_.end()) return;
  std::erase_if(page->second.answers, [](const auto& entry) { return entry.second.of_objects; });
  erase_if_empty(model);
}

std::vector<Ask> AnswerBook::begin(const ObjectKey& model, std::vector<Ask> asks, TimePoint now) {
  if (asks.empty()) return asks;
  std::lock_guard lock(mutex_);
  Page& page = pages_[model];
  std::erase_if(asks, [&](const Ask& ask) {
    const auto answered = page.answers.find(ask.id);
    if (answered != page.answers.end() &&
        (answered->second.answer.problem.empty() || now - answered->second.answer.at < kProblemKept))
      return true;
    auto [under_way, fresh] = page.under_way.try_emplace(ask.id, Sent{now, is_of_objects(ask)});
    if (!fresh && now - under_way->second.at < kLostAfter) return true;
    under_way->second.at = now;
    return false;
  });
  // Lost asks that no plan repeats must not pile up.
  std::erase_if(page.under_way, [&](const auto& entry) { return now - entry.second.at >= 2 * kLostAfter; });
  erase_if_empty(model);
  return asks;
}

size_t AnswerBook::size() const {
  std::lock_guard lock(mutex_);
  size_t total = 0;
  for (const auto& [model, page] : pages_) total += page.answers.size() + page.under_way.size();
  return total;
}

void AnswerBook::erase_if_empty(const ObjectKey& model) {
  auto page = pages_.find(model);
  if (page != pages_.end() && page->second.answers.empty() && page->second.under_way.empty())
    pages_.erase(page);
}

}  // namespace mo
