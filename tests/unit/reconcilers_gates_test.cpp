// Gates as tables: measurements in, verdict out.
#include <catch2/catch.hpp>
#include <set>

#include "reconcilers/measure/gates.h"

namespace mo::measure {
namespace {

const TimePoint kStart = *parse_time("2026-11-22T09:00:00Z");

Decimal dec(const char* text) { return *Decimal::parse(text); }

api::Gate gate() {
  api::Gate g;
  g.name = "accuracy";
  g.prometheus_query = "acc{v=\"{{candidate}}\"}";
  g.min = dec("0.9");
  g.inconclusive_limit = 0;  // the first look decides
  return g;
}

// Feeds answers one interval after another until the gate has decided or they run out.
struct Bench {
  explicit Bench(api::Gate g) : gate(std::move(g)) {
    context.id_prefix = "gate/u/1/0";
    context.ns = "ns";
    context.model = "m";
    context.stable = "m-v1";
    context.candidate = "m-v2";
    context.answers = &answers;
    context.attempt_started = kStart;
  }

  Bench& answer(const Answer& given) {
    GateProgress asked = measure(gate, status, context, now);
    REQUIRE(asked.ask);
    REQUIRE(asked_ids.insert(asked.ask->id).second);
    status = asked.status;
    Answer at_now = given;
    at_now.at = now;
    answers = {{asked.ask->id, at_now}};
    const GateProgress taken = measure(gate, status, context, now);
    CHECK_FALSE(taken.ask);
    status = taken.status;
    answers.clear();
    if (taken.due) now = *taken.due;
    return *this;
  }
  Bench& value(const char* text) { return answer({{}, {dec(text), ""}, {}, {}, {}, {}}); }
  Bench& no_data() { return answer({{}, {{}, "no data"}, {}, {}, {}, {}}); }

  api::Gate gate;
  GateContext context;
  std::map<std::string, Answer> answers;
  std::set<std::string> asked_ids;
  api::GateStatus status;
  TimePoint now = kStart;
};

TEST_CASE("a web gate's question says whether it is a ClusterModelGateSet's", "[gates]") {
  for (const bool of_cluster : {false, true}) {
    api::Gate web = gate();
    web.prometheus_query.reset();
    web.web = api::Gate::Web{"https://audit.example/{{model}}", "score"};
    Bench b(web);
    b.context.of_cluster = of_cluster;
    const GateProgress asked = measure(b.gate, b.status, b.context, b.now);
    REQUIRE(asked.ask);
    CHECK(std::get<AskWeb>(asked.ask->question).url == "https://audit.example/m");
    CHECK(std::get<AskWeb>(asked.ask->question).of_cluster == of_cluster);
  }
}

TEST_CASE("a gate passes once count measurements passed") {
  api::Gate g = gate();
  g.count = 3;
  Bench b(g);
  CHECK(b.value("0.95").status.verdict == "Running");
  CHECK(b.value("0.95").status.verdict == "Running");
  CHECK(b.value("0.95").status.verdict == "Passed");
  CHECK(b.status.passed == 3);
  CHECK(b.now >= kStart + 2 * g.interval);
}

TEST_CASE("a gate fails once more than failureLimit measurements failed") {
  for (const int limit : {0, 1, 2}) {
    api::Gate g = gate();
    g.count = 5;
    g.failure_limit = limit;
    Bench b(g);
    for (int i = 0; i < limit; ++i) CHECK(b.value("0.5").value("0.95").status.verdict == "Running");
    CHECK(b.value("0.5").status.verdict == "Failed");
    CHECK(b.status.message == "0.5 is below min 0.9");
    CHECK(b.status.value == "0.5");
  }
}

TEST_CASE("tolerated failures do not make a pass read like a failure") {
  api::Gate g = gate();
  g.failure_limit = 1;
  Bench b(g);
  b.value("0.5").value("0.95");
  CHECK(b.status.verdict == "Passed");
  CHECK(b.status.message == "");
}

TEST_CASE("no data is inconclusive in a row, never a pass and never a failure") {
  api::Gate g = gate();
  g.count = 2;
  g.inconclusive_limit = 1;
  SECTION("more than inconclusiveLimit in a row decide") {
    Bench b(g);
    CHECK(b.no_data().status.verdict == "Running");
    CHECK(b.no_data().status.verdict == "Inconclusive");
    CHECK(b.status.message == "no data");
    CHECK((b.status.passed == 0 && b.status.failed == 0));
  }
  SECTION("left out, figures have some time to come") {
    g.inconclusive_limit.reset();
    Bench b(g);
    for (int i = 0; i < 5; ++i) CHECK(b.no_data().status.verdict == "Running");
    CHECK(b.no_data().status.verdict == "Inconclusive");
  }
  SECTION("a value between starts the row anew") {
    Bench b(g);
    b.no_data().value("0.95").no_data();
    CHECK(b.status.verdict == "Running");
    CHECK(b.value("0.95").status.verdict == "Passed");
  }
  SECTION("with Wait it goes on") {
    g.on_inconclusive = api::Gate::OnInconclusive::Wait;
    Bench b(g);
    for (int i = 0; i < 10; ++i) CHECK(b.no_data().status.verdict == "Running");
    CHECK(b.status.measurements.size() == 5);
    b.value("0.95").value("0.95");
    CHECK(b.status.verdict == "Passed");
  }
  // It ended at its first measurement, before the candidate had a caller, and never saw what the real one would have failed for.
  SECTION("with Wait a dry run that is watched goes on, too") {
    g.on_inconclusive = api::Gate::OnInconclusive::Wait;
    g.dry_run = true;
    Bench b(g);
    b.context.watching = true;
    for (int i = 0; i < 3; ++i) CHECK(b.no_data().status.verdict == "Running");
    CHECK(b.value("0.5").status.verdict == "Failed");
  }
}

TEST_CASE("how many inconclusive measurements a gate tolerates if it does not say") {
  api::Gate prometheus = gate(), web, job, recorded;
  prometheus.inconclusive_limit.reset();
  web.web.emplace();
  job.job.emplace();
  recorded.version_metric = "f1";
  for (api::Gate* g : {&prometheus, &web, &job, &recorded}) g->count = 3;
  CHECK(inconclusive_limit(prometheus) == 5);
  CHECK(inconclusive_limit(web) == 2);
  CHECK(inconclusive_limit(job) == 2);
  CHECK(inconclusive_limit(recorded) == 0);
  prometheus.count = 9;
  CHECK(inconclusive_limit(prometheus) == 8);
  prometheus.inconclusive_limit = 0;
  CHECK(inconclusive_limit(prometheus) == 0);
}

TEST_CASE("a gate is first measured its initialDelay after it begins") {
  api::Gate g = gate();
  g.initial_delay = std::chrono::seconds(30);
  Bench b(g);
  const GateProgress waits = measure(g, {}, b.context, b.now);
  CHECK_FALSE(waits.ask);
  CHECK(waits.due == b.context.attempt_started + std::chrono::seconds(30));
  CHECK(measure(g, waits.status, b.context, *waits.due).ask);
}

TEST_CASE("every measurement asks under an id of its own") {
  api::Gate g = gate();
  g.count = 4;
  g.failure_limit = 9;
  g.on_inconclusive = api::Gate::OnInconclusive::Wait;
  Bench b(g);  // answer() requires that no id comes twice
  b.no_data().value("0.95").value("0.1").no_data().no_data().value("0.95").value("0.95").value("0.95");
  CHECK(b.status.verdict == "Passed");
}

TEST_CASE("a decided gate is left alone") {
  for (const char* verdict : {"Passed", "Failed", "Inconclusive"}) {
    Bench b(gate());
    b.status.name = "accuracy";
    b.status.verdict = verdict;
    const GateProgress p = measure(b.gate, b.status, b.context, kStart + std::chrono::hours(1));
    CHECK_FALSE(p.ask);
    CHECK(p.status == b.status);
  }
}

TEST_CASE("nothing is asked before the interval is over") {
  api::Gate g = gate();
  g.count = 2;
  Bench b(g);
  b.value("0.95");
  const GateProgress early = measure(b.gate, b.status, b.context, b.now - Duration(1));
  CHECK_FALSE(early.ask);
  CHECK(early.due == b.now);
  CHECK(measure(b.gate, b.status, b.context, b.now).ask);
}

// Gates of one interval were all asked at the beginning of a second, since statuses hold whole ones: one that failed
// waited for the others.
TEST_CASE("gates of one interval are due at moments of their own, whatever is stored of their last") {
  std::set<int64_t> moments;
  for (int i = 0; i < 50; ++i) {
    Bench b(gate());
    b.gate.count = 3;
    b.gate.interval = std::chrono::seconds(3);
    b.context.id_prefix = "gate/" + std::to_string(i) + "/1/0";
    b.value("0.95");
    const TimePoint second = b.now;
    CHECK(second >= kStart + b.gate.interval);
    CHECK(second < kStart + b.gate.interval + std::chrono::milliseconds(750));
    moments.insert((second - kStart).count());
    b.now += std::chrono::milliseconds(40);  // the answer
    b.value("0.95");
    CHECK(b.now == second + b.gate.interval);
    // Read back from its status.
    TimePoint& stored = b.status.measurements.back().at;
    stored = std::chrono::floor<std::chrono::seconds>(stored);
    const GateProgress read = measure(b.gate, b.status, b.context, second + std::chrono::seconds(1));
    CHECK(read.due == b.now);
  }
  CHECK(moments.size() > 40);
}

// A leader's clock was an hour ahead; the next one waited that hour for the next measurement.
TEST_CASE("a measurement from the future holds nothing up, and the next ones keep their interval") {
  api::Gate g = gate();
  g.count = 3;
  Bench b(g);
  b.value("0.95");
  b.now -= std::chrono::hours(1);
  const TimePoint ours = b.now;
  b.value("0.95");
  CHECK(b.now >= ours + g.interval - std::chrono::milliseconds(250));
  CHECK(b.now < ours + g.interval + std::chrono::milliseconds(750));
  CHECK(b.status.measurements.back().at == ours);
  b.value("0.95");
  CHECK(b.status.verdict == "Passed");
  Bench first(gate());
  first.context.attempt_started = kStart + std::chrono::hours(1);
  CHECK(measure(first.gate, first.status, first.context, kStart).ask);
}

TEST_CASE("fewer samples than wanted are inconclusive whatever the value") {
  api::Gate g = gate();
  g.samples = api::Gate::Samples{"n{v=\"{{candidate}}\"}", 200};
  const auto with_samples = [](const char* value, const char* samples) {
    return Answer{{}, {dec(value), ""}, {}, {dec(samples), ""}, {}, {}};
  };
  CHECK(Bench(g).answer(with_samples("0.1", "199")).status.message == "only 199 of 200 samples so far");
  CHECK(Bench(g).answer(with_samples("0.1", "199")).status.verdict == "Inconclusive");
  CHECK(Bench(g).answer(with_samples("0.95", "200")).status.verdict == "Passed");
  CHECK(Bench(g).answer(with_samples("0.1", "200.5")).status.verdict == "Failed");
  CHECK(Bench(g).answer({{}, {dec("0.95"), ""}, {}, {{}, "NaN"}, {}, {}}).status.message == "samples: NaN");
}

TEST_CASE("versus stable, in both directions") {
  api::Gate more = gate();  // min: more is better
  more.versus_stable = api::Gate::VersusStable{"acc{v=\"{{stable}}\"}", dec("0.01"), {}, {}};
  api::Gate less = gate();  // only a max: less is better
  less.min.reset();
  less.max = dec("100");
  less.versus_stable = api::Gate::VersusStable{"lat{v=\"{{stable}}\"}", dec("5"), {}, {}};
  struct Row {
    const api::Gate& gate;
    const char *value, *stable, *verdict;
  };
  const Row rows[] = {
      {more, "0.95", "0.95", "Passed"}, {more, "0.94", "0.95", "Passed"}, {more, "0.9399", "0.95", "Failed"},
      {more, "0.99", "0.95", "Passed"}, {less, "20", "20", "Passed"},     {less, "25", "20", "Passed"},
      {less, "25.1", "20", "Failed"},   {less, "10", "20", "Passed"},     {less, "101", "101", "Failed"},
      {more, "0.89", "0.5", "Failed"},
  };
  for (const Row& row : rows) {
    INFO(row.value << " against " << row.stable);
    CHECK(Bench(row.gate)
              .answer({{}, {dec(row.value), ""}, {dec(row.stable), ""}, {}, {}, {}})
              .status.verdict == row.verdict);
  }
  SECTION("no figure for stable is inconclusive, unless the bounds fail anyway") {
    CHECK(Bench(more).answer({{}, {dec("0.95"), ""}, {{}, "no data"}, {}, {}, {}}).status.verdict ==
          "Inconclusive");
    CHECK(Bench(more).answer({{}, {dec("0.5"), ""}, {{}, "no data"}, {}, {}, {}}).status.verdict == "Failed");
  }
  SECTION("without a stable version there is nothing to compare") {
    Bench b(more);
    b.context.stable.clear();
    b.value("0.95");
    CHECK(b.status.verdict == "Passed");
  }
}

// A regression of two points, more or less certain.
TEST_CASE("versus stable at a confidence, in both directions") {
  api::Gate more = gate();  // min: more is better
  more.samples = api::Gate::Samples{"n{v=\"{{candidate}}\"}", 100};
  more.versus_stable = api::Gate::VersusStable{"acc{v=\"{{stable}}\"}", dec("0.05"), "n{v=\"{{stable}}\"}", dec("0.95")};
  api::Gate less = more;  // only a max: less is better
  less.min.reset();
  less.max = dec("0.5");
  const auto told = [](const char* value, const char* samples, const char* stable, const char* stable_samples) {
    return Answer{{}, {dec(value), ""}, {dec(stable), ""}, {dec(samples), ""}, {dec(stable_samples), ""}, {}, {}};
  };
  struct Row {
    const api::Gate& gate;
    const char *value, *samples, *stable, *stable_samples, *verdict;
  };
  const Row rows[] = {
      // the same regression: undecided, passed, with ever more samples
      {more, "0.93", "100", "0.95", "400", "Inconclusive"},
      {more, "0.93", "1000", "0.95", "4000", "Passed"},
      {less, "0.07", "100", "0.05", "400", "Inconclusive"},
      {less, "0.07", "1000", "0.05", "4000", "Passed"},
      // and one that is too much: undecided, failed
      {less, "0.12", "100", "0.05", "400", "Inconclusive"},
      {less, "0.12", "1000", "0.05", "4000", "Failed"},
      // many of the candidate's don't make up for few of stable's
      {more, "0.93", "100000", "0.95", "50", "Inconclusive"},
      // nobody is better than faultless, however few looked
      {less, "0", "100", "0", "20", "Passed"},
      // better, and absolute bounds count as they did
      {less, "0.05", "200", "0.3", "200", "Passed"},
      {more, "0.89", "1000", "0.5", "1000", "Failed"},
      // minimum samples
      {more, "1", "99", "0.9", "4000", "Inconclusive"},
  };
  for (const Row& row : rows) {
    INFO(row.value << " of " << row.samples << " against " << row.stable << " of " << row.stable_samples);
    const auto status = Bench(row.gate).answer(told(row.value, row.samples, row.stable, row.stable_samples)).status;
    INFO(status.message);
    CHECK(status.verdict == row.verdict);
  }
  SECTION("the message holds the interval") {
    CHECK(Bench(less).answer(told("0.07", "100", "0.05", "400")).status.message ==
          "worse than m-v1 by -0.01802 to 0.07632 at confidence 0.95 (100 and 400 samples), too few samples to decide about maxRegression 0.05");
    CHECK(Bench(less).answer(told("0.12", "1000", "0.05", "4000")).status.message ==
          "worse than m-v1 by 0.05303 to 0.08872 at confidence 0.95 (1000 and 4000 samples), more than maxRegression 0.05");
    CHECK(Bench(less).answer(told("0.05", "1000", "0.05", "4000")).status.message ==
          "worse than m-v1 by -0.0118 to 0.0137 at confidence 0.95 (1000 and 4000 samples), within maxRegression 0.05");
  }
  SECTION("no error yet proves little, and then enough") {
    less.versus_stable->max_regression = dec("0.02");
    CHECK(Bench(less).answer(told("0", "100", "0", "4000")).status.verdict == "Inconclusive");
    CHECK(Bench(less).answer(told("0", "200", "0", "4000")).status.verdict == "Passed");
  }
  SECTION("undecided it waits, if told to, and decides when there are enough") {
    less.on_inconclusive = api::Gate::OnInconclusive::Wait;
    Bench b(less);
    for (int i = 0; i < 7; ++i) CHECK(b.answer(told("0.12", "100", "0.05", "400")).status.verdict == "Running");
    CHECK(b.status.failed == 0);
    CHECK(b.answer(told("0.12", "1000", "0.05", "4000")).status.verdict == "Failed");
  }
  SECTION("what is no share, or of no samples, is inconclusive and says so") {
    less.max = dec("100");
    const auto message = [&](const Answer& answer) {
      const auto status = Bench(less).answer(answer).status;
      CHECK(status.verdict == "Inconclusive");
      return status.message;
    };
    CHECK(message(told("37.2", "1000", "0.05", "4000")) ==
          "confidence needs shares between 0 and 1 and at least one sample, but got 37.2 of 1000 samples");
    CHECK(message(told("0.07", "1000", "-1", "4000")) ==
          "confidence needs shares between 0 and 1 and at least one sample, but got m-v1's -1 of 4000 samples");
    CHECK(message(told("0.07", "1000", "0.05", "0")) ==
          "confidence needs shares between 0 and 1 and at least one sample, but got m-v1's 0.05 of 0 samples");
    Answer unknown = told("0.07", "1000", "0.05", "4000");
    unknown.stable_samples = {{}, "no data"};
    CHECK(message(unknown) == "m-v1's samples: no data");
    less.versus_stable->confidence = dec("0.42");
    CHECK(message(told("0.07", "1000", "0.05", "4000")) == "confidence 0.42 is not supported by this operator");
  }
  SECTION("stable's samples are asked for with the rest") {
    Bench b(more);
    const auto ask = std::get<AskPrometheus>(measure(b.gate, b.status, b.context, b.now).ask->question);
    CHECK(ask.stable_samples_query == "n{v=\"m-v1\"}");
  }
}

TEST_CASE("bounds are inclusive and exact") {
  api::Gate g = gate();
  g.max = dec("1.25");
  CHECK(Bench(g).value("0.9").status.verdict == "Passed");
  CHECK(Bench(g).value("1.25").status.verdict == "Passed");
  CHECK(Bench(g).value("0.89999999999999999").status.verdict == "Failed");
  CHECK(Bench(g).value("1.2500000001").status.message == "1.2500000001 is above max 1.25");
}

TEST_CASE("a gate on a recorded metric decides at once") {
  api::Gate g = gate();
  g.prometheus_query.reset();
  g.version_metric = "f1";
  Bench b(g);
  std::map<std::string, std::string> candidate, stable;
  b.context.candidate_metrics = &candidate;
  b.context.stable_metrics = &stable;
  const auto verdict = [&] { return measure(b.gate, {}, b.context, kStart).status; };
  CHECK(verdict().verdict == "Inconclusive");
  CHECK(verdict().message == "m-v2 has no recorded metric f1");
  candidate["f1"] = "0.93";
  CHECK(verdict().verdict == "Passed");
  candidate["f1"] = "0.85";
  CHECK(verdict().verdict == "Failed");
  candidate["f1"] = "not a number";
  CHECK(verdict().verdict == "Inconclusive");
  SECTION("and compares with what was recorded of stable") {
    b.gate.versus_stable = api::Gate::VersusStable{{}, dec("0.01"), {}, {}};
    candidate["f1"] = "0.93";
    CHECK(verdict().verdict == "Inconclusive");
    stable["f1"] = "0.95";
    CHECK(verdict().verdict == "Failed");
    stable["f1"] = "0.94";
    CHECK(verdict().verdict == "Passed");
  }
  SECTION("waiting for it does not change status with the clock") {
    b.gate.on_inconclusive = api::Gate::OnInconclusive::Wait;
    candidate.clear();
    const api::GateStatus first = verdict();
    CHECK(first.verdict == "Running");
    CHECK(measure(b.gate, first, b.context, kStart + std::chrono::hours(1)).status == first);
  }
}

TEST_CASE("placeholders are replaced once, and what they bring is not read again") {
  Bench b(gate());
  CHECK(expand("{{model}} {{namespace}} {{stable}} {{candidate}} {{candidate}} {{else}}", b.context) ==
        "m ns m-v1 m-v2 m-v2 {{else}}");
  b.context.candidate = "{{candidate}}";
  CHECK(expand("a {{candidate}} b", b.context) == "a {{candidate}} b");
}

}  // namespace
}  // namespace mo::measure
