// Who may read /metrics: verdicts that are remembered, refused, late or not to be had.
#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>

#include "operator/serve/token_guard.h"

namespace mo::serve {
namespace {

using namespace std::chrono_literals;

// Answers of a guard, waited for.
struct Asked {
  std::mutex mutex;
  std::condition_variable told;
  std::vector<int> statuses;  // 200: let in
  void ask(TokenGuard& guard, const std::string& authorization) {
    guard.ask(authorization, [this](std::optional<Reply> instead) {
      std::lock_guard lock(mutex);
      statuses.push_back(instead ? instead->status : 200);
      told.notify_all();
    });
  }
  std::vector<int> wait(size_t count) {
    std::unique_lock lock(mutex);
    told.wait_for(lock, 10s, [&] { return statuses.size() >= count; });
    return statuses;
  }
};

int ask(TokenGuard& guard, const std::string& authorization) {
  Asked asked;
  asked.ask(guard, authorization);
  const auto statuses = asked.wait(1);
  REQUIRE(statuses.size() == 1);
  return statuses[0];
}

struct Fixture {
  std::atomic<int> reviews{0};
  std::atomic<bool> down{false};
  std::atomic<int64_t> seconds{0};
  TokenGuardOptions options;
  Fixture() {
    options.now = [this] { return std::chrono::steady_clock::time_point(std::chrono::seconds(1'000 + seconds)); };
    options.remembered = 4;
  }
  Review review() {
    return [this](const std::string& token, std::stop_token) -> Result<Access> {
      ++reviews;
      if (down) return fail(ErrorKind::Transport, "connect: refused");
      return token == "prometheus" ? Access::Granted : token == "jane" ? Access::Forbidden : Access::Unauthenticated;
    };
  }
};

TEST_CASE("serve: a token guard lets in who may, and says what is missing") {
  Fixture f;
  TokenGuard guard(f.review(), f.options);
  CHECK(ask(guard, "Bearer prometheus") == 200);
  CHECK(ask(guard, "bearer  prometheus") == 200);
  CHECK(ask(guard, "Bearer jane") == 403);
  CHECK(ask(guard, "Bearer nobody") == 401);
  f.reviews = 0;
  for (const char* none : {"", "Bearer", "Bearer ", "Basic cHJvbQ==", "prometheus", "Bearer a b", "Bearer \xff\"}"}) CHECK(ask(guard, none) == 401);
  CHECK(ask(guard, "Bearer " + std::string(5'000, 'a')) == 401);
  CHECK(f.reviews == 0);
}

TEST_CASE("serve: a verdict is used again for a while, and no longer") {
  Fixture f;
  TokenGuard guard(f.review(), f.options);
  for (int i = 0; i < 3; ++i) CHECK(ask(guard, "Bearer prometheus") == 200);
  for (int i = 0; i < 3; ++i) CHECK(ask(guard, "Bearer jane") == 403);
  CHECK(f.reviews == 2);
  f.seconds = 11;
  CHECK(ask(guard, "Bearer jane") == 403);
  CHECK(ask(guard, "Bearer prometheus") == 200);
  CHECK(f.reviews == 3);
  f.seconds = 61;
  CHECK(ask(guard, "Bearer prometheus") == 200);
  CHECK(f.reviews == 4);
}

TEST_CASE("serve: while Kubernetes cannot be asked nobody new comes in") {
  Fixture f;
  TokenGuard guard(f.review(), f.options);
  CHECK(ask(guard, "Bearer prometheus") == 200);
  f.down = true;
  CHECK(ask(guard, "Bearer prometheus") == 200);
  f.seconds = 61;
  CHECK(ask(guard, "Bearer prometheus") == 503);
  f.down = false;
  CHECK(ask(guard, "Bearer prometheus") == 200);
}

TEST_CASE("serve: any number of made-up tokens pushes out nobody who was let in") {
  Fixture f;
  TokenGuard guard(f.review(), f.options);
  CHECK(ask(guard, "Bearer prometheus") == 200);
  for (int i = 0; i < 100; ++i) CHECK(ask(guard, "Bearer x" + std::to_string(i)) == 401);
  f.reviews = 0;
  CHECK(ask(guard, "Bearer prometheus") == 200);
  CHECK(f.reviews == 0);
}

TEST_CASE("serve: a review that hangs holds up nobody who is known, and fails those who wait together") {
  Fixture f;
  f.options.waiting = 2;
  std::atomic<int> hanging{0};
  const Review known = f.review();
  TokenGuard guard(
      [&](const std::string& token, std::stop_token stop) -> Result<Access> {
        if (token == "prometheus") return known(token, stop);
        ++hanging;
        while (!f.down && !stop.stop_requested()) std::this_thread::yield();
        return fail(ErrorKind::Transport, "headers: cut");
      },
      f.options);
  CHECK(ask(guard, "Bearer prometheus") == 200);
  Asked asked;
  asked.ask(guard, "Bearer a");
  while (hanging == 0) std::this_thread::yield();
  CHECK(ask(guard, "Bearer prometheus") == 200);
  for (const char* token : {"Bearer b", "Bearer c"}) asked.ask(guard, token);
  CHECK(ask(guard, "Bearer d") == 503);  // too many wait
  f.down = true;
  CHECK(asked.wait(3) == std::vector{503, 503, 503});
  CHECK(hanging == 1);
}

TEST_CASE("serve: a token guard that ends answers whoever waits") {
  Asked asked;
  std::atomic<bool> hangs{false};
  {
    TokenGuard guard([&](const std::string&, std::stop_token stop) -> Result<Access> {
      hangs = true;
      while (!stop.stop_requested()) std::this_thread::yield();
      return fail(ErrorKind::Cancelled, "cancelled");
    });
    asked.ask(guard, "Bearer a");
    asked.ask(guard, "Bearer b");
    while (!hangs) std::this_thread::yield();
  }
  CHECK(asked.wait(2) == std::vector{503, 503});
}

}  // namespace
}  // namespace mo::serve
