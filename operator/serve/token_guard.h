// Lets in whoever Kubernetes lets in: a Guard that has bearer tokens reviewed, on a thread of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "operator/core/result.h"
#include "operator/serve/http_server.h"

namespace mo::serve {

enum class Access { Granted, Unauthenticated, Forbidden };
// What Kubernetes says of a token; an Error if it cannot be asked. Called on the guard's thread; may block for
// seconds, and returns soon after a stop.
using Review = std::function<Result<Access>(const std::string& token, std::stop_token stop)>;

struct TokenGuardOptions {
  std::chrono::milliseconds granted{60'000};  // for so long a verdict is used again
  std::chrono::milliseconds refused{10'000};
  size_t remembered = 128;     // verdicts of each sort; the oldest goes
  size_t waiting = 64;         // requests; one more is answered with 503
  size_t token_bytes = 4096;   // a longer one is none of Kubernetes'
  std::function<std::chrono::steady_clock::time_point()> now = std::chrono::steady_clock::now;
};

// Thread-safe. 401 without a token or for one that nobody has, 403 for somebody who has no right, 503 while
// Kubernetes cannot be asked: no failure lets anybody in. The destructor ends a review and answers whoever waits.
class TokenGuard {
 public:
  explicit TokenGuard(Review review, TokenGuardOptions options = {});
  ~TokenGuard();

  // As a Guard. Decides at once what is remembered.
  void ask(std::string authorization, Decided decided);

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Verdict {
    Access access;
    Time until;
  };
  struct Waiting {
    std::string token;
    Decided decided;
  };
  // The verdicts of one sort by token, and the tokens by age. What is refused can push out nothing that is granted.
  struct Memory {
    std::map<std::string, Verdict> verdicts;
    std::deque<std::string> order;
  };

  std::optional<Access> recall(const std::string& token);
  void remember(const std::string& token, Access access);
  void run(std::stop_token stop);
  void refuse_all();

  const Review review_;
  const TokenGuardOptions options_;
  std::mutex mutex_;  // guards the memories and the queue
  Memory granted_, refused_;
  std::deque<Waiting> queue_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

}  // namespace mo::serve
