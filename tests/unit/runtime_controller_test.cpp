#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

#include "operator/runtime/controller.h"
#include "runtime_fake_client.h"

using namespace mo;
using namespace std::chrono_literals;

namespace {

class NoAsker : public Asker {
 public:
  void ask(const ObjectKey&, std::vector<Ask>) override {}
};

}  // namespace

// A worker that outlasts the grace period ended after the mutex that it takes at its end had. ASan and TSan see it; without them the
// test only shows that nobody is left behind.
TEST_CASE("controller: a worker that outlasts the grace period uses nothing that has gone") {
  const ObjectKey model{"pay", "fraud"};
  FakeClient client;
  Stores stores;
  Ledger ledger;
  Refusals refusals;
  Executor executor{client, stores, ledger, refusals};
  WorkQueue queue;
  AnswerBook answers;
  NoAsker asker;
  EventSender events(client, "test");
  std::stop_source stop;
  std::atomic<bool> ended = false;
  const auto slow = [&](const ObjectKey&, TimePoint) {
    stop.request_stop();
    std::this_thread::sleep_for(100ms);
    ended = true;
    return Plan{};
  };
  Controller controller({stores, queue, executor, refusals, answers, asker, events, slow, {}});
  queue.add(model);
  controller.run(2, stop.get_token(), 1ms);
  CHECK(ended);
}
