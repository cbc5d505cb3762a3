#include <catch2/catch.hpp>
#include <functional>

#include "operator/runtime/watch_machine.h"

using namespace mo;
using namespace mo::watch;
using namespace std::chrono_literals;
using Type = Line::Type;

namespace {

// A machine with its clock.
struct Rig {
  Machine machine;
  Duration now{1000};
  double random = 0.5;
  explicit Rig(Options options = {}) : machine(options) { first = machine.start(now, random); }
  Command first;

  Step operator()(const Input& input) { return machine.step(input, now, random); }
  Step object(Type type, const std::string& rv) { return (*this)(Line{type, rv, false, 0, {}}); }
  Step bookmark(const std::string& rv, bool end) { return (*this)(Line{Type::Bookmark, rv, end, 0, {}}); }
  Step error_line(int code, const std::string& message = {}) {
    return (*this)(Line{Type::Error, {}, false, code, message});
  }
  Step failed(ErrorKind kind, int status, const std::string& message = {},
              std::optional<Duration> retry_after = {}) {
    return (*this)(Failed{Error{kind, message, status, {}, retry_after}});
  }
  void sync(const std::string& rv) { bookmark(rv, true); }
};

template <class T>
bool is(const Step& step) {
  return std::holds_alternative<T>(step.command);
}
Duration wait_of(const Step& step) { return std::get<Wait>(step.command).delay; }

}  // namespace

TEST_CASE("watch: a WatchList collects and swaps on the annotated bookmark only") {
  Rig rig;
  REQUIRE(std::holds_alternative<StartWatchList>(rig.first));
  CHECK(rig.object(Type::Added, "30").effect == Effect::Collect);
  CHECK(rig.object(Type::Added, "12").effect == Effect::Collect);
  CHECK(rig.object(Type::Deleted, "31").effect == Effect::Discard);
  CHECK(rig.machine.resource_version().empty());  // initial objects come in any order and prove nothing
  CHECK(rig.bookmark("35", false).effect == Effect::None);
  CHECK(rig.machine.resource_version().empty());
  const Step end = rig.bookmark("40", true);
  CHECK(end.effect == Effect::Swap);
  CHECK(end.resource_version == "40");
  CHECK(is<GoOn>(end));
  CHECK(rig.object(Type::Modified, "41").effect == Effect::Upsert);
  CHECK(rig.object(Type::Deleted, "42").effect == Effect::Remove);
  CHECK(rig.machine.resource_version() == "42");
}

TEST_CASE(
    "watch: a WatchList cut before its end bookmark begins anew, and a list gets its turn after three") {
  Rig rig;
  for (int i = 0; i < 3; ++i) {
    rig.object(Type::Added, "5");
    const Step cut = rig(Ended{});
    REQUIRE(is<Wait>(cut));
    CHECK(cut.effect == Effect::None);
    const Step next = rig(Waited{});
    CHECK(is<StartList>(next) == (i == 2));
  }
}

TEST_CASE("watch: a server that refuses sendInitialEvents is listed by pages, for good") {
  for (const int status : {400, 422}) {
    Rig rig;
    Step step = rig.failed(ErrorKind::Invalid, status, "sendInitialEvents is forbidden");
    REQUIRE(is<StartList>(step));
    CHECK(std::get<StartList>(step.command).limit == 500);
    step = rig(Page{"more", "50"});
    REQUIRE(is<StartList>(step));
    CHECK(std::get<StartList>(step.command).continue_token == "more");
    CHECK(step.effect == Effect::None);
    step = rig(Page{"", "50"});
    CHECK(step.effect == Effect::Swap);
    REQUIRE(is<StartWatch>(step));
    CHECK(std::get<StartWatch>(step.command).resource_version == "50");
    CHECK(is<StartList>(rig.error_line(410)));
  }
}

TEST_CASE("watch: 410 on a later page means a whole list without limit") {
  Rig rig;
  rig.failed(ErrorKind::Invalid, 422);
  rig(Page{"more", "50"});
  const Step step = rig.failed(ErrorKind::Gone, 410);
  REQUIRE(is<StartList>(step));
  CHECK(std::get<StartList>(step.command).limit == 0);
  CHECK(std::get<StartList>(step.command).continue_token.empty());
}

TEST_CASE("watch: 410 in the stream and as a status begin a new state, the second time with a wait") {
  for (const bool in_stream : {true, false}) {
    Rig rig;
    rig.sync("40");
    auto gone = [&] { return in_stream ? rig.error_line(410) : rig.failed(ErrorKind::Gone, 410); };
    CHECK(is<StartWatchList>(gone()));
    rig.sync("60");
    CHECK(is<Wait>(gone()));
    CHECK(is<StartWatchList>(rig(Waited{})));
    rig.sync("70");
    rig.now += 3min;
    CHECK(is<StartWatchList>(gone()));
  }
}

TEST_CASE("watch: bookmarks move the RV and nothing moves it back") {
  Rig rig;
  rig.sync("99");
  rig.bookmark("100", false);
  CHECK(rig.machine.resource_version() == "100");
  CHECK(rig.object(Type::Modified, "98").effect == Effect::Upsert);  // the store compares
  CHECK(rig.machine.resource_version() == "100");
  rig.object(Type::Modified, "");
  CHECK(rig.machine.resource_version() == "100");
}

TEST_CASE("watch: refused, 429, 5xx and in-stream errors retry the watch, not the list") {
  const std::vector<std::pair<ErrorKind, int>> errors = {{ErrorKind::Transport, 0},
                                                         {ErrorKind::TooManyRequests, 429},
                                                         {ErrorKind::ServerError, 503},
                                                         {ErrorKind::Forbidden, 403}};
  for (const auto& [kind, status] : errors) {
    Rig rig;
    rig.sync("40");
    for (int i = 0; i < 20; ++i) {
      const Step step = rig.failed(kind, status);
      REQUIRE(is<Wait>(step));
      CHECK(wait_of(step) <= 30s);
      Step next = rig(Waited{});
      if (kind == ErrorKind::Transport) next = rig(Probed{"40"});
      REQUIRE(is<StartWatch>(next));
      CHECK(std::get<StartWatch>(next.command).resource_version == "40");
    }
  }
  Rig rig;
  rig.sync("40");
  CHECK(is<Wait>(rig.error_line(500)));
  CHECK(is<StartWatch>(rig(Waited{})));
}

// Every kind of which nothing changed was without a watch for up to 30 s in each two minutes.
TEST_CASE("watch: a stream that is silent is renewed without delay, and after eleven minutes not believed") {
  Rig rig;
  rig.sync("100");
  for (int renewals = 0; renewals < 7; ++renewals) {
    rig.now += 90s;
    REQUIRE(is<StartProbe>(rig.failed(ErrorKind::Transport, 0, "silent")));
    const Step step = rig(Probed{"900"});
    REQUIRE(is<StartWatch>(step));
    CHECK(std::get<StartWatch>(step.command).resource_version == "100");
  }
  rig.now += 90s;
  REQUIRE(is<StartList>(rig.failed(ErrorKind::Transport, 0, "silent")));
  const Step listed = rig(Page{"", "950"});
  CHECK(listed.effect == Effect::Swap);
  REQUIRE(is<StartWatch>(listed));
  rig.now += 90s;
  CHECK(is<StartProbe>(rig.failed(ErrorKind::Transport, 0, "silent")));
  // An API server that does not answer then is not asked in a loop.
  CHECK(is<Wait>(rig.failed(ErrorKind::Transport, 0, "refused")));
}

TEST_CASE("watch: Retry-After is obeyed") {
  Rig rig;
  rig.sync("40");
  CHECK(wait_of(rig.failed(ErrorKind::TooManyRequests, 429, "", 7s)) >= 7s);
}

TEST_CASE("watch: the backoff grows with full jitter and starts small after two quiet minutes") {
  Options options;
  CHECK(backoff(options, 1, 1.0) == 800ms);
  CHECK(backoff(options, 2, 1.0) == 1600ms);
  CHECK(backoff(options, 30, 1.0) == 30s);
  CHECK(backoff(options, 30, 0.0) == 50ms);
  Rig rig;
  rig.random = 0.999;
  rig.sync("40");
  for (int i = 0; i < 10; ++i) rig.failed(ErrorKind::Transport, 0), rig(Waited{});
  CHECK(wait_of(rig.failed(ErrorKind::Transport, 0)) > 25s);
  rig(Waited{});
  rig.now += 3min;
  CHECK(wait_of(rig.failed(ErrorKind::Transport, 0)) < 1s);
}

TEST_CASE("watch: a stream of normal length goes on at once, one closed at once is backed off") {
  Rig rig;
  rig.sync("40");
  rig.now += 449s;  // what was asked for is 450 s
  CHECK(is<StartWatch>(rig(Ended{})));
  CHECK(is<Wait>(rig(Ended{})));
}

TEST_CASE(
    "watch: closed at once a hundred times running, it asks ever more seldom and always from the same RV") {
  Rig rig;
  rig.random = 0.999;
  rig.sync("40");
  Duration waited{0};
  for (int i = 0; i < 100; ++i) {
    const Step closed = rig(Ended{});
    REQUIRE(is<Wait>(closed));
    CHECK(wait_of(closed) <= 30s);
    waited += wait_of(closed);
    rig.now += wait_of(closed);
    Step next = rig(Waited{});
    if (is<StartProbe>(next)) next = rig(Probed{"45"});
    REQUIRE(is<StartWatch>(next));
    CHECK(std::get<StartWatch>(next.command).resource_version == "40");
  }
  CHECK(waited > 45min);
}

// A watch from an RV of the future is accepted, and silent until the future has come: a history other than
// ours. So after each cut, also in good order, somebody has to ask how far the API server is.
TEST_CASE("watch: an etcd restored to an older revision is noticed") {
  const std::vector<std::function<Step(Rig&)>> cuts = {
      [](Rig& rig) { return rig.failed(ErrorKind::Transport, 0, "cut"); },
      [](Rig& rig) { return rig(Ended{}); },
      [](Rig& rig) {
        return rig.failed(ErrorKind::ServerError, 504, "Too large resource version: 1000, current: 90");
      }};
  for (const auto& cut : cuts) {
    Rig rig;
    rig.sync("1000");
    rig.now += 1min;
    Step step = cut(rig);
    if (is<Wait>(step)) step = rig(Waited{});
    REQUIRE(is<StartProbe>(step));
    CHECK(is<Wait>(rig.failed(ErrorKind::Transport, 0, "refused")));
    REQUIRE(is<StartProbe>(rig(Waited{})));
    CHECK(rig(Probed{"90"}).effect == Effect::BackInTime);
  }
  Rig rig;  // by a list, where the watch was refused
  rig.sync("1000");
  REQUIRE(is<StartWatchList>(rig.failed(ErrorKind::Gone, 410, "Expired")));
  CHECK(rig.bookmark("95", true).effect == Effect::BackInTime);
}

TEST_CASE("watch: after a cut it goes on from the last RV once the API server is known to be as far") {
  for (const std::string there : {"1000", "1001", "20000"}) {
    Rig rig;
    rig.sync("1000");
    rig.failed(ErrorKind::Transport, 0, "cut");
    REQUIRE(is<StartProbe>(rig(Waited{})));
    const Step step = rig(Probed{there});
    REQUIRE(is<StartWatch>(step));
    CHECK(std::get<StartWatch>(step.command).resource_version == "1000");
    rig.now += 449s;
    CHECK(is<StartWatch>(rig(Ended{})));
  }
}

TEST_CASE(
    "watch: an API server whose cache lags refuses the WatchList within the stream, and is listed instead") {
  Rig rig;
  for (int i = 0; i < 3; ++i) {
    CHECK(is<Wait>(rig.error_line(504, "Too large resource version: 373, current: 363")));
    const Step next = rig(Waited{});
    CHECK(is<StartList>(next) == (i == 2));
  }
}

TEST_CASE("watch: unknown event types change nothing") {
  Rig rig;
  rig.sync("40");
  const Step step = rig.object(Type::Unknown, "50");
  CHECK(step.effect == Effect::None);
  CHECK(is<GoOn>(step));
  CHECK(rig.machine.resource_version() == "40");
}

TEST_CASE("watch: an optional kind that is forbidden counts as absent and is looked for again") {
  Options options;
  options.optional = true;
  Rig rig(options);
  const Step step = rig.failed(ErrorKind::Forbidden, 403);
  CHECK(step.effect == Effect::Absent);
  CHECK(wait_of(step) >= 30s);
  CHECK(is<StartWatchList>(rig(Waited{})));
  Rig needed;
  CHECK(needed.failed(ErrorKind::Forbidden, 403).effect == Effect::None);
}

// The Gateway API was uninstalled under a running operator: its watch was tried again for ever and the operator never ready.
TEST_CASE("watch: an optional kind that is uninstalled under its watch is listed, and so counts as absent") {
  Options options;
  options.optional = true;
  const bool probing = GENERATE(true, false);
  const auto not_found = [&](Rig& rig) {
    rig.sync("40");
    if (probing) {
      rig(Ended{});  // before its time
      REQUIRE(is<StartProbe>(rig(Waited{})));
    }
    const Step refused = rig.failed(ErrorKind::NotFound, 404);
    CHECK(refused.effect == Effect::None);
    REQUIRE(is<Wait>(refused));
    return rig(Waited{});
  };
  Rig rig(options);
  REQUIRE(is<StartWatchList>(not_found(rig)));
  CHECK(rig.failed(ErrorKind::NotFound, 404).effect == Effect::Absent);
  CHECK(is<StartWatchList>(rig(Waited{})));
  CHECK(rig.bookmark("50", true).effect == Effect::Swap);  // installed again

  Rig needed;
  CHECK_FALSE(is<StartWatchList>(not_found(needed)));
}

TEST_CASE("watch: streams last between five and ten minutes") {
  CHECK(watch_timeout(0.0) == 300s);
  CHECK(watch_timeout(0.9999) == 599s);
}
