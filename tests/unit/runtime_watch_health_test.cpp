#include <catch2/catch.hpp>

#include "operator/runtime/watch_health.h"

using namespace mo;
using namespace std::chrono_literals;

namespace {
// A watch that works and brought its last line at `now`.
WatchHealth working(Duration now) {
  WatchHealth health;
  health.opened(now - 10s);
  health.heard(now);
  return health;
}
}  // namespace

TEST_CASE("watch health: a failure is forgiven until the last good news is 95 s old") {
  WatchHealth health = working(1000s);
  CHECK(health.alive(1059s));
  health.failed(1060s, "cut", false);
  CHECK(health.alive(1094s));
  CHECK(health.problem(1094s) == "cut");
  CHECK_FALSE(health.alive(1095s));
  health.heard(1096s);
  CHECK(health.alive(1096s));
  CHECK(health.problem(1096s).empty());
}

// It used to stay not ready until the next line, which may be a bookmark a minute away.
TEST_CASE("watch health: a stream that is open again for a second is good news") {
  WatchHealth health = working(1000s);
  health.failed(1001s, "refused", false);
  REQUIRE_FALSE(health.alive(1200s));
  health.opened(1200s);
  CHECK_FALSE(health.alive(1200s));
  CHECK(health.alive(1201s));
  CHECK(health.problem(1201s).empty());
  // And it is the news that the next failure is measured from.
  health.failed(1230s, "cut", false);
  CHECK(health.alive(1295s));
  CHECK_FALSE(health.alive(1296s));
}

TEST_CASE("watch health: streams that are closed as soon as they were opened are no good news") {
  WatchHealth health = working(1000s);
  Duration now = 1010s;
  for (; now < 1200s; now += 10s) {
    health.opened(now);
    health.ended(now + 10ms);
    CHECK(health.alive(now + 1s) == (now + 1s < 1095s));
  }
  CHECK(health.problem(now) == "closed at once");
  health.opened(now);
  health.ended(now + 400s);
  CHECK(health.alive(now + 400s));
}

TEST_CASE("watch health: a black hole is noticed when the next try is not answered, and an answer mends it") {
  WatchHealth health = working(1000s);
  CHECK(health.alive(1089s));
  health.failed(1090s, "silent for 90s", false);
  CHECK(health.alive(1094s));  // it is asked how far it is, which takes its time
  CHECK_FALSE(health.alive(1095s));
  health.failed(1120s, "no answer", false);
  CHECK_FALSE(health.alive(1120s));
  health.heard(1240s);
  CHECK(health.alive(1240s));
}

// A kind of which nothing changed had no bookmark in the first 90 s of a stream, and the operator was not ready until there was one: for
// up to ten minutes, where etcd reports progress no more often.
TEST_CASE("watch health: a stream that is accepted and says nothing is no problem, however often it is renewed") {
  WatchHealth health = working(1000s);
  Duration now = 1000s;
  for (int renewals = 0; renewals < 5; ++renewals) {
    health.opened(now);
    for (int s = 1; s <= 90; ++s) CHECK(health.alive(now + std::chrono::seconds(s)));
    now += 90s;
    health.failed(now, "silent for 90s", false);
    CHECK(health.alive(now + 1s));
    now += 2s;  // it is asked how far it is
  }
}

TEST_CASE("watch health: a refusal is believed after 15 s") {
  WatchHealth health = working(1000s);
  health.failed(1060s, "cut", false);
  health.failed(1061s, "forbidden", true);
  CHECK(health.alive(1075s));
  health.failed(1070s, "forbidden", true);
  CHECK_FALSE(health.alive(1076s));
  health.opened(1080s);
  CHECK(health.alive(1081s));
}

// An operator of one namespace may not look at ModelRuntimes, is told to do without, and was not ready after
// 90 s all the same.
TEST_CASE("watch health: a kind that there is no right to and no need for is no problem") {
  WatchHealth health;
  health.failed(1000s, "forbidden", true);
  health.absent(1000s);
  CHECK(health.alive(5000s));
  CHECK(health.problem(5000s).empty());
}

// The first time-out after that made the operator not ready at once: a kind that was never there had never brought good news.
TEST_CASE("watch health: that a kind is not there is an answer, which counts as the last good news") {
  WatchHealth health;
  health.absent(1000s);
  health.failed(1030s, "timeout", false);
  CHECK(health.alive(1094s));
  CHECK_FALSE(health.alive(1095s));
}
