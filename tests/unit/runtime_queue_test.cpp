#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "operator/runtime/queue.h"

using namespace mo;
using namespace std::chrono_literals;

namespace {
ObjectKey key(const std::string& name) { return {"ns", name}; }
}  // namespace

TEST_CASE("queue: a key waits once, first come first served") {
  WorkQueue queue;
  queue.add(key("a"));
  queue.add(key("b"));
  queue.add(key("a"));
  REQUIRE(queue.depth() == 2);
  CHECK(queue.get({})->name == "a");
  CHECK(queue.get({})->name == "b");
}

TEST_CASE("queue: what is added while it is worked on comes again, and only after done") {
  WorkQueue queue;
  queue.add(key("a"));
  REQUIRE(queue.get({}));
  queue.add(key("a"));
  queue.add(key("a"));
  CHECK(queue.depth() == 0);
  queue.done(key("a"));
  CHECK(queue.depth() == 1);
  REQUIRE(queue.get({}));
  queue.done(key("a"));
  CHECK(queue.depth() == 0);
}

TEST_CASE("queue: the earliest of two timers wins, and a timer does not fire twice") {
  WorkQueue queue;
  queue.add_after(key("a"), 2h);
  queue.add_after(key("a"), 20ms);
  queue.add_after(key("a"), 1h);
  REQUIRE(queue.get({}));
  queue.done(key("a"));
  CHECK(queue.depth() == 0);
}

// A write was answered with 429 and Retry-After; the watch brought an event a millisecond later, and the
// write was repeated at once.
TEST_CASE("queue: a key that is held comes to nobody before its time, whoever adds it") {
  WorkQueue queue;
  const auto held_for = [&](Duration time) {
    queue.add(key("a"));
    REQUIRE(queue.get({}));
    queue.add(key("a"));
    queue.hold(key("a"), time);
    queue.retry(key("a"), time);
    queue.done(key("a"));
    queue.add(key("a"));
    queue.add_after(key("a"), 10ms);
  };
  SECTION("it comes when its time is over") {
    const auto began = std::chrono::steady_clock::now();
    held_for(100ms);
    CHECK(queue.get({})->name == "a");
    CHECK(std::chrono::steady_clock::now() - began >= 100ms);
    queue.done(key("a"));
    queue.add(key("a"));
    CHECK(queue.depth() == 1);
  }
  SECTION("others do not wait for it") {
    held_for(1h);
    CHECK(queue.depth() == 0);
    queue.add(key("b"));
    CHECK(queue.get({})->name == "b");
  }
}

TEST_CASE("queue: stop wakes a worker that waits for nothing, and one that waits for a timer") {
  for (const bool timer : {false, true}) {
    WorkQueue queue;
    if (timer) queue.add_after(key("a"), 1h);
    std::jthread worker([&](std::stop_token stop) { CHECK_FALSE(queue.get(stop)); });
    std::this_thread::sleep_for(10ms);
    worker.request_stop();
    worker.join();
  }
}

// A worker asleep until the next timer took another key instead, and nobody watched the timer until it was
// done.
TEST_CASE("queue: a timer rings although the worker that watched it is busy") {
  WorkQueue queue;
  std::stop_source stop;
  std::promise<void> rang;
  const auto ringing = rang.get_future().share();
  std::atomic<bool> while_slow = false;
  auto work = [&] {
    while (auto k = queue.get(stop.get_token())) {
      if (k->name == "slow") while_slow = ringing.wait_for(30s) == std::future_status::ready;
      if (k->name == "timer") rang.set_value();
      queue.done(*k);
      if (k->name == "slow") stop.request_stop();
    }
  };
  std::jthread first(work), second(work);
  std::this_thread::sleep_for(20ms);  // both wait, with no timer
  queue.add_after(key("timer"), 100ms);
  std::this_thread::sleep_for(20ms);
  queue.add(key("slow"));
  first.join();
  second.join();
  CHECK(while_slow);
}

TEST_CASE("queue: the backoff doubles from 5 ms to 30 s and starts small again") {
  CHECK(retry_delay(1, 0.0) == 3ms);
  CHECK(retry_delay(1, 0.999) == 5ms);
  CHECK(retry_delay(2, 0.999) == 10ms);
  CHECK(retry_delay(50, 0.999) <= 30s);
  CHECK(retry_delay(50, 0.0) == 15s);
  for (int n = 1; n < 20; ++n) CHECK(retry_delay(n, 0.5) <= retry_delay(n + 1, 0.5));
}

TEST_CASE("queue: one worker a key, no lost wake-up, under many threads") {
  WorkQueue queue;
  std::stop_source stop;
  std::map<std::string, std::atomic<int>> inside, wanted, seen;
  for (const char* name : {"a", "b", "c"}) inside[name] = wanted[name] = seen[name] = 0;
  std::atomic<bool> overlap = false;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      while (auto k = queue.get(stop.get_token())) {
        if (++inside.at(k->name) != 1) overlap = true;
        seen.at(k->name) = wanted.at(k->name).load();
        std::this_thread::yield();
        --inside.at(k->name);
        queue.done(*k);
      }
    });
  for (int i = 0; i < 3000; ++i)
    for (auto& [name, count] : wanted) {
      ++count;
      if (i % 7 == 0) queue.add_after(key(name), Duration(i % 3));
      queue.add(key(name));
    }
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  auto all_seen = [&] {
    for (auto& [name, count] : wanted)
      if (seen.at(name) != count) return false;
    return true;
  };
  while (!all_seen() && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(1ms);
  CHECK(all_seen());
  CHECK_FALSE(overlap);
  stop.request_stop();
}
