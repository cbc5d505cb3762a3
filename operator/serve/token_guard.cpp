#include "operator/serve/token_guard.h"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace mo::serve {
namespace {

Reply text(int status, const char* body) { return {status, "text/plain; charset=utf-8", body}; }

Reply unauthenticated() { return text(401, "send a bearer token of this cluster in the header Authorization\n"); }

Reply unanswered() {
  return text(503, "Kubernetes cannot be asked whether this token may read this; the operator's log says why\n");
}

std::optional<Reply> reply_to(Access access) {
  if (access == Access::Granted) return {};
  if (access == Access::Unauthenticated) return unauthenticated();
  return text(403, "no right to get this path; the ClusterRole model-operator-metrics-reader gives it\n");
}

// RFC 6750's b64token: the API server takes nothing else, and would say so by an error, not by "nobody's".
bool is_token(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) || std::string_view("-._~+/=").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

// The token of "Bearer TOKEN"; empty if there is none.
std::string token_of(std::string_view authorization) {
  constexpr std::string_view scheme = "bearer ";
  if (authorization.size() < scheme.size()) return {};
  for (size_t i = 0; i < scheme.size(); ++i)
    if ((authorization[i] | 0x20) != (scheme[i] | 0x20)) return {};
  authorization.remove_prefix(scheme.size());
  while (authorization.starts_with(' ')) authorization.remove_prefix(1);
  return is_token(authorization) ? std::string(authorization) : "";
}

}  // namespace

TokenGuard::TokenGuard(Review review, TokenGuardOptions options)
    : review_(std::move(review)),
      options_(std::move(options)),
      thread_([this](std::stop_token stop) { run(stop); }) {}

TokenGuard::~TokenGuard() {
  thread_.request_stop();
  thread_.join();
  refuse_all();
}

void TokenGuard::ask(std::string authorization, Decided decided) {
  std::string token = token_of(authorization);
  if (token.empty() || token.size() > options_.token_bytes) return decided(unauthenticated());
  std::optional<Reply> now = unanswered();
  {
    std::lock_guard lock(mutex_);
    if (const auto known = recall(token)) {
      now = reply_to(*known);
    } else if (queue_.size() < options_.waiting) {
      queue_.push_back({std::move(token), std::move(decided)});
      wake_.notify_one();
      return;
    }
  }
  decided(std::move(now));
}

std::optional<Access> TokenGuard::recall(const std::string& token) {
  for (const Memory* memory : {&granted_, &refused_})
    if (const auto it = memory->verdicts.find(token);
        it != memory->verdicts.end() && options_.now() < it->second.until)
      return it->second.access;
  return {};
}

void TokenGuard::remember(const std::string& token, Access access) {
  const bool granted = access == Access::Granted;
  Memory& memory = granted ? granted_ : refused_;
  const Verdict verdict{access, options_.now() + (granted ? options_.granted : options_.refused)};
  if (memory.verdicts.insert_or_assign(token, verdict).second) memory.order.push_back(token);
  while (memory.order.size() > options_.remembered) {
    memory.verdicts.erase(memory.order.front());
    memory.order.pop_front();
  }
  // What was said before is no longer so.
  Memory& other = granted ? refused_ : granted_;
  if (const auto it = other.verdicts.find(token); it != other.verdicts.end()) it->second.until = {};
}

void TokenGuard::run(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (wake_.wait(lock, stop, [&] { return !queue_.empty(); })) {
    Waiting next = std::move(queue_.front());
    queue_.pop_front();
    auto access = recall(next.token);
    if (!access) {
      lock.unlock();
      const auto said = review_(next.token, stop);
      lock.lock();
      if (said) {
        remember(next.token, *said);
        access = *said;
      }
    }
    // Those who waited meanwhile would wait for the same failure, one after the other. Who comes after the answer is asked for anew.
    std::deque<Waiting> others;
    if (!access) others.swap(queue_);
    lock.unlock();
    next.decided(access ? reply_to(*access) : unanswered());
    for (const Waiting& each : others) each.decided(unanswered());
    lock.lock();
  }
}

void TokenGuard::refuse_all() {
  std::deque<Waiting> waiting;
  {
    std::lock_guard lock(mutex_);
    waiting.swap(queue_);
  }
  for (const Waiting& each : waiting) each.decided(unanswered());
}

}  // namespace mo::serve
