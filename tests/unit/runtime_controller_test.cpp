#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "runtime_bench.h"

using namespace mo;
using namespace std::chrono_literals;

namespace {

const ObjectKey kModel{"pay", "fraud"};

// Answers nothing until it is cut off.
class DeafClient : public FakeClient {
 public:
  std::atomic<bool> cut_off = false;
  Result<std::string> get(const ObjectRef&, std::stop_token stop) override { return wait_for(stop); }
  Result<std::string> put(const ObjectRef&, const std::string&, const std::string&, std::stop_token stop) override {
    return wait_for(stop);
  }

 private:
  Result<std::string> wait_for(std::stop_token stop) {
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    never.wait(lock, stop, [] { return false; });
    cut_off = true;
    return fail(ErrorKind::Cancelled, "no answer");
  }
};

}  // namespace

// A worker that outlasts the grace period ended after the mutex that it takes at its end had. ASan and TSan see it; without them the
// test only shows that nobody is left behind.
TEST_CASE("controller: a worker that outlasts the grace period uses nothing that has gone") {
  const ObjectKey& model = kModel;
  DeafClient client;
  Stores stores;
  Ledger ledger;
  Refusals refusals;
  Executor executor{client, stores, ledger, refusals};
  WorkQueue queue;
  AnswerBook answers;
  NoAsker asker;
  EventSender events(client, "test");
  std::stop_source stop;
  const auto ends_meanwhile = [&](const ObjectKey&, TimePoint) {
    stop.request_stop();
    Plan plan;
    plan.actions.push_back(WriteStatus{{Kind::Model, model}, "m1", "11", "{}", ""});
    return plan;
  };
  Controller controller({stores, queue, executor, refusals, answers, asker, events, ends_meanwhile, {}});
  queue.add(model);
  controller.run(2, stop.get_token(), 1ms);
  CHECK(client.cut_off);
}

// A Job without quota beside a canary: its gates were looked at by the backoff of the refusal, every 30 s in the end, and what they had
// measured was kept for as long as there was no room.
TEST_CASE("controller: beside a refusal plans keep their times, and forget what is on record") {
  ExecutorBench rig;
  WorkQueue queue;
  AnswerBook answers;
  NoAsker asker;
  EventSender events(rig.client, "test");
  Plan next;
  next.actions.push_back(Delete{{Kind::Job, {"pay", "fraud-retrain-000001"}}, "u1", "not wanted"});
  next.at_once = true;
  Controller controller({rig.stores, queue, rig.executor, rig.refusals, answers, asker, events, [&](const ObjectKey&, TimePoint) { return next; }, {}});
  rig.client.answer = [](const FakeClient::Call&) -> Result<std::string> { return fail(Error{ErrorKind::Forbidden, "no", 403, {}, {}}); };
  for (int i = 0; i < 14; ++i) queue.retry(kModel);  // so long has it been refused that its own retry is 15 s away
  queue.get({});
  queue.done(kModel);
  answers.put(kModel, "measured", Answer{});
  next.requeue_after = 1ms;
  controller.work(kModel, TimePoint{}, {});
  CHECK(answers.of(kModel).empty());
  std::jthread patience([&](std::stop_token stop) {
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    never.wait_for(lock, stop, 10s, [] { return false; });
    queue.add({"never", "mind"});
  });
  CHECK(queue.get({}) == kModel);
}

// Rights that were missing for two minutes were missing until the operator was restarted.
TEST_CASE("answers: what could not be read is asked for again, and told meanwhile") {
  AnswerBook book;
  const TimePoint now = *parse_time("2026-11-22T09:00:00Z");
  const auto sent = [&](Duration later) { return book.begin(kModel, {Ask{"read", AskConfig{}}, Ask{"measured", AskPrometheus{}}}, now + later).size(); };
  CHECK(sent(0ms) == 2);
  Answer forbidden, no_data;
  forbidden.at = no_data.at = now;
  forbidden.problem = "forbidden";
  no_data.value.problem = "no data";
  book.put(kModel, "read", forbidden);
  book.put(kModel, "measured", no_data);
  CHECK(sent(29s) == 0);
  CHECK(sent(30s) == 1);
  CHECK(book.of(kModel).at("read").problem == "forbidden");
  CHECK(sent(31s) == 0);  // under way
}

TEST_CASE("controller: a plan that takes long is told while it is being made, and a wait for the API server is none") {
  FakeClient client;
  Stores stores;
  Ledger ledger;
  Refusals refusals;
  Executor executor{client, stores, ledger, refusals};
  WorkQueue queue;
  AnswerBook answers;
  NoAsker asker;
  EventSender events(client, "test");
  std::chrono::steady_clock::time_point clock{};
  Controller* self = nullptr;
  std::optional<Controller::Planning> seen, seen_later;
  const auto slow = [&](const ObjectKey& key, TimePoint) {
    seen = self->longest_planning();
    clock += 61s;
    seen_later = self->longest_planning();
    if (key.name == "bug") throw std::runtime_error("a bug");
    return Plan{};
  };
  Controller controller({stores, queue, executor, refusals, answers, asker, events, slow, {}, [&] { return clock; }});
  self = &controller;
  CHECK_FALSE(controller.longest_planning());
  for (const char* name : {"fraud", "bug"}) {
    controller.work({"pay", name}, TimePoint{}, {});
    REQUIRE((seen && seen_later));
    CHECK(seen->model == ObjectKey{"pay", name});
    CHECK(seen->taken == 0s);
    CHECK(seen_later->taken == 61s);
    CHECK_FALSE(controller.longest_planning());  // after an exception too
  }
}
