// Who may roll out an edited ModelRuntime, and when that stops.
#include <catch2/catch.hpp>

#include "operator/json/json.h"
#include "reconcilers/runtimes/update.h"
#include "tests/unit/reconcilers_make.h"

using namespace mo;
using namespace mo::runtimes;
using State = Follower::State;
using mo::test::kNow;

namespace {

struct Setting {
  Setting() {
    runtime->meta.key = {"", "sklearn"};
    runtime->meta.generation = 2;
    runtime->update.automatic = true;
    runtime->update.max_concurrent = 2;
    fleet.key = runtime->meta.key;
    fleet.runtime = runtime;
  }
  void add(const std::string& name, State state, const std::string& tier = "") { fleet.followers.push_back({state, {"ns", name}, tier}); }
  Json status() {
    const Plan made = plan(fleet, kNow);
    events = made.events;
    if (made.actions.empty()) return nullptr;
    const std::string& text = std::get<WriteStatus>(made.actions.at(0)).status;
    return *parse_json(text, 1 << 20);
  }
  Json rolling() { return status()["rolling"]; }

  std::shared_ptr<api::ModelRuntime> runtime = std::make_shared<api::ModelRuntime>();
  Fleet fleet;
  std::vector<Event> events;
};

}  // namespace

TEST_CASE("as many begin as may, the least critical tier first", "[runtimes]") {
  Setting s;
  s.add("high", State::Waiting, "high");
  s.add("medium", State::Waiting, "medium");
  s.add("low", State::Waiting, "low");
  s.add("done", State::Updated);
  const Json status = s.status();
  CHECK(status["rolling"] == Json({"ns/low", "ns/medium"}));
  CHECK(status["following"] == 4);
  CHECK(status["updated"] == 1);
  CHECK(status["waiting"] == 3);
}

TEST_CASE("who may go on keeps that until it is done, whoever comes after", "[runtimes]") {
  Setting s;
  s.runtime->status.rolling = {"ns/gone", "ns/high", "ns/low"};
  s.add("high", State::Rolling, "high");
  s.add("low", State::Updated, "low");
  s.add("another", State::Waiting, "low");
  CHECK(s.rolling() == Json({"ns/another", "ns/high"}));
}

TEST_CASE("after maxFailures nobody begins, and what is under way ends", "[runtimes]") {
  Setting s;
  s.runtime->update.max_failures = 2;
  s.runtime->status.rolling = {"ns/granted", "ns/rolls"};
  s.add("granted", State::Waiting);
  s.add("rolls", State::Rolling);
  s.add("x", State::Failed);
  CHECK(s.rolling() == Json({"ns/granted", "ns/rolls"}));
  CHECK(s.events.empty());
  s.add("y", State::Failed);
  const Json status = s.status();
  CHECK(status["rolling"] == Json({"ns/rolls"}));
  CHECK(status["failures"] == Json({"ns/x", "ns/y"}));
  REQUIRE(s.events.size() == 1);
  CHECK(s.events[0].reason == "TooManyFailures");
  CHECK(s.events[0].note.find("the rollout of 2 of 4 Models failed (ns/x, ns/y), and update.maxFailures is 2") != std::string::npos);
}

TEST_CASE("who is busy, slow or was called off takes no place and stops nobody", "[runtimes]") {
  Setting s;
  s.runtime->status.rolling = {"ns/busy", "ns/slow"};
  s.add("busy", State::Busy);
  s.add("slow", State::Slow);
  s.add("aborted", State::Declined);
  s.add("x", State::Waiting);
  s.add("y", State::Waiting);
  s.add("z", State::Waiting);
  const Json status = s.status();
  CHECK(status["rolling"] == Json({"ns/x", "ns/y"}));
  CHECK(status["failed"] == 0);
  CHECK(status["declined"] == 1);
  CHECK(status["waiting"] == 5);
}

TEST_CASE("names in status are bounded, whoever goes on at once", "[runtimes]") {
  Setting s;
  for (int i = 0; i < 500; ++i) s.add("m" + std::to_string(i), i < 300 ? State::Rolling : State::Failed);
  const Json status = s.status();
  CHECK(status["rolling"].size() == 200);
  CHECK(status["failures"].size() == 20);
}

TEST_CASE("nothing is written that stands there, and nothing without the policy", "[runtimes]") {
  Setting s;
  s.add("a", State::Updated);
  s.runtime->status.raw = s.status().dump();
  CHECK(s.status().is_null());
  s.runtime->update.automatic = false;
  const Json off = s.status();
  CHECK_FALSE(off.contains("following"));
  CHECK(off["conditions"][0]["reason"] == "OnNextRollout");
  s.runtime->status.raw = "{}";
  CHECK(s.status().is_null());
  s.fleet.runtime = nullptr;
  CHECK(s.status().is_null());
}
