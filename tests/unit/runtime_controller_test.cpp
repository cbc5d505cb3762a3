#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "runtime_bench.h"

using namespace mo;
using namespace std::chrono_literals;

namespace {

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
  const ObjectKey model{"pay", "fraud"};
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
