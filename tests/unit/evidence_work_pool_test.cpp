// Turns: no namespace and no Model delays another, and who waits too long is told.
#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>

#include "operator/evidence/work_pool.h"

namespace mo::evidence {
namespace {

using namespace std::chrono_literals;

// Who runs at the moment, until they are let go.
struct Hall {
  std::mutex mutex;
  std::condition_variable_any news;
  std::map<ObjectKey, int> inside;
  int all = 0, most = 0;
  std::vector<ObjectKey> order;

  WorkPool::Task visit(const ObjectKey& owner, bool stays = true) {
    return [this, owner, stays](std::stop_token stop) {
      std::unique_lock lock(mutex);
      order.push_back(owner);
      ++inside[owner];
      most = std::max(most, ++all);
      news.notify_all();
      if (stays) news.wait(lock, stop, [&] { return let_go.count(owner) > 0; });
      --inside[owner];
      --all;
      news.notify_all();
    };
  }
  void release(const ObjectKey& owner) {
    std::lock_guard lock(mutex);
    let_go.insert(owner);
    news.notify_all();
  }
  template <class Condition>
  bool wait(Condition condition) {
    std::unique_lock lock(mutex);
    return news.wait_for(lock, 20s, condition);
  }
  bool came(const ObjectKey& owner) {
    return wait([&] { return std::find(order.begin(), order.end(), owner) != order.end(); });
  }
  std::set<ObjectKey> let_go;
};

ObjectKey loud(int model) { return {"loud", "m" + std::to_string(model)}; }
const ObjectKey quiet{"quiet", "m"};

TEST_CASE("a namespace whose tasks hang never holds more than half of the threads", "[evidence]") {
  Hall hall;
  WorkPool pool({.threads = 8});
  for (int model = 0; model < 30; ++model)
    for (int i = 0; i < 10; ++i) pool.post(loud(model), hall.visit(loud(model)));
  REQUIRE(hall.wait([&] { return hall.all == 4; }));
  pool.post(quiet, hall.visit(quiet, false));
  CHECK(hall.came(quiet));
  for (int i = 0; i < 4; ++i) pool.post({"other", "m" + std::to_string(i)}, hall.visit({"other", "m" + std::to_string(i)}, false));
  for (int i = 0; i < 4; ++i) CHECK(hall.came({"other", "m" + std::to_string(i)}));
  std::lock_guard lock(hall.mutex);
  CHECK(hall.inside[loud(0)] <= 2);  // the first ones may begin before the others are there
}

TEST_CASE("one Model has two tasks under way at most, and the next Model its turn", "[evidence]") {
  Hall hall;
  WorkPool pool({.threads = 8});
  for (int i = 0; i < 10; ++i) pool.post(loud(1), hall.visit(loud(1)));
  REQUIRE(hall.wait([&] { return hall.all == 2; }));
  pool.post(loud(2), hall.visit(loud(2)));
  REQUIRE(hall.wait([&] { return hall.all == 3; }));
  CHECK(hall.inside[loud(1)] == 2);
  hall.release(loud(1));
  CHECK(hall.wait([&] { return std::count(hall.order.begin(), hall.order.end(), loud(1)) == 10; }));
}

TEST_CASE("a thread that is free goes to whom the fewest threads serve", "[evidence]") {
  Hall hall;
  WorkPool pool({.threads = 2});
  pool.post(loud(1), hall.visit(loud(1)));
  pool.post({"slow", "m"}, hall.visit({"slow", "m"}));
  REQUIRE(hall.wait([&] { return hall.all == 2; }));
  pool.post({"slow", "n"}, hall.visit({"slow", "n"}, false));
  pool.post(quiet, hall.visit(quiet, false));  // later, but nothing of it runs
  hall.release(loud(1));
  REQUIRE(hall.came(quiet));
  std::lock_guard lock(hall.mutex);
  CHECK(std::find(hall.order.begin(), hall.order.end(), ObjectKey{"slow", "n"}) == hall.order.end());
}

TEST_CASE("who waits too long for a turn is told, and not by a thread that hangs", "[evidence]") {
  Hall hall;
  WorkPool pool({.threads = 2, .patience = 1ms});
  pool.post(loud(1), hall.visit(loud(1)));
  REQUIRE(hall.came(loud(1)));
  std::atomic<int> told{0};
  for (int i = 0; i < 300; ++i)
    pool.post(loud(2), hall.visit(loud(2)), 0ms, [&](std::stop_token) {
      std::lock_guard lock(hall.mutex);
      ++told;
      hall.news.notify_all();
    });
  CHECK(hall.wait([&] { return told == 300; }));
}

TEST_CASE("a pool that ends asks what runs to stop, and drops what waits", "[evidence]") {
  Hall hall;
  {
    WorkPool pool({.threads = 4});
    for (int i = 0; i < 20; ++i) pool.post(loud(i), hall.visit(loud(i)));
    pool.post(quiet, hall.visit(quiet), std::chrono::hours(1));
    REQUIRE(hall.wait([&] { return hall.all == 2; }));
  }
  CHECK(hall.all == 0);
  CHECK(hall.order.size() == 2);
}

}  // namespace
}  // namespace mo::evidence
