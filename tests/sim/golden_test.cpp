// Whole rollouts as traces that a reviewer can read, in tests/sim/golden/: who does what, in the fixed order. A change of behaviour shows as a change of
// these files; SIM_GOLDEN=write writes them anew.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

using Scenario = std::function<void(Sim&)>;

// What people do, and what the operator writes: "09:00:00 person: …", "09:00:00   apply …".
bool is_told(const std::string& line) { return line.compare(9, 7, "person:") == 0 || line.compare(9, 2, "  ") == 0; }

std::string told(const Scenario& scenario) {
  Sim sim;
  scenario(sim);
  try {
    sim.run({});
  } catch (const Violation& v) {
    FAIL(v.what());
  }
  std::string text, last;
  for (const std::string& line : sim.world.trace) {
    if (!is_told(line) || line == last) continue;  // as pods get ready one status follows the other in the same words
    text += line + "\n";
    last = line;
  }
  return text;
}

void same_as_golden(const std::string& name, const Scenario& scenario) {
  const std::filesystem::path path = std::filesystem::path(MO_SOURCE_DIR) / "tests/sim/golden" / (name + ".txt");
  const std::string text = told(scenario);
  if (const char* wish = std::getenv("SIM_GOLDEN"); wish && std::string(wish) == "write") {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  std::stringstream kept;
  kept << std::ifstream(path).rdbuf();
  INFO("SIM_GOLDEN=write sim_tests 'golden: *' writes " << path << " anew; look at what changes");
  CHECK(text == kept.str());
}

Fixture to_v2(Sim& s, const std::function<void(Json& spec)>& edit = {}) {
  Fixture f = usual(s, edit);
  s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
  return f;
}

std::function<void(Json&)> strategy(const char* rollout) {
  return [rollout](Json& spec) { spec["rollout"] = Json::parse(rollout); };
}

}  // namespace

TEST_CASE("golden: a first version") {
  same_as_golden("first-version", [](Sim& s) { usual(s); });
}

TEST_CASE("golden: a canary is promoted") {
  same_as_golden("canary-promoted", [](Sim& s) { to_v2(s); });
}

TEST_CASE("golden: a canary fails its gate and is rolled back") {
  same_as_golden("canary-rolled-back", [](Sim& s) {
    to_v2(s);
    s.op.metrics["accuracy m-v2"] = "0.2";
  });
}

TEST_CASE("golden: a canary is aborted in mid-rollout") {
  same_as_golden("canary-aborted", [](Sim& s) {
    Fixture f = to_v2(s);
    s.then("aborts", [f] { return f.weight(f.to("m-v2")) == 50; }, [f]() mutable { f.desire(f.to("m-v2"), "Aborted"); });
  });
}

TEST_CASE("golden: a canary is superseded by a newer version") {
  same_as_golden("canary-superseded", [](Sim& s) {
    Fixture f = to_v2(s);
    s.then("asks for m-v3", [f] { return f.weight(f.to("m-v2")) == 10; }, [f]() mutable { f.ask_for("m-v3"); });
  });
}

TEST_CASE("golden: no data pauses, and a person goes on") {
  same_as_golden("no-data-resumed", [](Sim& s) {
    Fixture f = to_v2(s);
    s.op.metrics.erase("accuracy m-v2");
    s.then("brings data and resumes", [f] { return f.phase(f.to("m-v2")) == "Paused"; }, [f, &s]() mutable {
      s.op.metrics["accuracy m-v2"] = "0.95";
      f.resume(f.to("m-v2"));
    });
  });
}

TEST_CASE("golden: blue-green") {
  same_as_golden("blue-green", [](Sim& s) { to_v2(s, strategy(R"({"strategy": "BlueGreen"})")); });
}

TEST_CASE("golden: recreate") {
  same_as_golden("recreate", [](Sim& s) { to_v2(s, strategy(R"({"strategy": "Recreate"})")); });
}

TEST_CASE("golden: a monitor takes the Model back") {
  same_as_golden("monitor-rollback", [](Sim& s) {
    Fixture f = to_v2(s, [](Json& spec) {
      spec["monitors"] = {{{"name", "drift"},
                           {"prometheus", {{"query", "drift {{stable}}"}}},
                           {"max", "0.2"},
                           {"for", "1m"},
                           {"interval", "30s"},
                           {"actions", {"Rollback"}}}};
    });
    s.op.metrics["drift m-v1"] = "0.1";
    s.op.metrics["drift m-v2"] = "0.1";
    s.then("sees drift", f.serves("m-v2"), [&s] { s.op.metrics["drift m-v2"] = "0.5"; });
    s.until = [f] { return f.stable() == "m-v1" && f.reason() == "RolledBack"; };  // a monitor asks for ever
  });
}

TEST_CASE("golden: a candidate that never gets ready") {
  same_as_golden("never-ready", [](Sim& s) {
    to_v2(s);
    s.controllers.pod_fate = [](const Json& pod) {
      return pod["metadata"]["labels"][api::kLabelVersion] == "m-v2" ? PodFate::Never : PodFate::Ready;
    };
  });
}

}  // namespace mo::sim
