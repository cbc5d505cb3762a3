// Monitors on what serves: a breach retrains, takes the Model back, or only tells.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

Json drift(std::vector<std::string> actions) {
  return {{"name", "drift"},
          {"prometheus", {{"query", "drift {{stable}}"}}},
          {"max", "0.2"},
          {"for", "1m"},
          {"interval", "30s"},
          {"actions", std::move(actions)}};
}

std::string monitor(const Fixture& f, const char* field) {
  const Json& status = f.status();
  if (!status.contains("monitors") || status["monitors"].empty()) return "";
  return status["monitors"][0].value(field, "");
}

// Of a Job of run 1, m-run-000001-train, and of "job1" alike.
std::string bits(const std::string& job) {
  const size_t run = job.find("-run-");
  return "run" + (run == std::string::npos ? job.substr(job.size() - 1) : job.substr(run + 10, 1));
}
std::string made(const std::string& job) { return "m-" + digest(bits(job)).substr(7, 10); }

// Each run makes other bits; they drift as `run_drifts` says.
Fixture drifting(Sim& s, const std::string& run_drifts) {
  s.op.job_result = [](const std::string& job) {
    return Json{{"apiVersion", "modelops.dev/v1alpha1"},
                {"kind", "RunResult"},
                {"metrics", {{"f1", "0.95"}}},
                {"artifact", {{"uri", "pvc://models/" + bits(job)}, {"digest", digest(bits(job))}, {"format", {{"name", "rules"}, {"version", "1"}}}}}}
        .dump();
  };
  for (int run = 1; run < 9; ++run) {
    const std::string version = made("job" + std::to_string(run));
    s.op.metrics["accuracy " + version] = "0.95";
    s.op.metrics["drift " + version] = run_drifts;
  }
  s.op.metrics["drift m-v1"] = "0.1";
  return usual(s, [](Json& spec) {
    spec["track"] = "Promoted";
    spec["monitors"] = {drift({"Retrain"})};
    spec["retraining"] = {
        {"limits", {{"attempts", 2}}},
        {"template", {{"spec", {{"template", {{"spec", {{"containers", {{{"name", "train"}, {"image", "trainer:1"}}}}}}}}}}}}};
  });
}

TEST_CASE("drift retrains the Model, and what was trained serves and is good") {
  explore([](Sim& s) {
    Fixture f = drifting(s, "0.05");
    s.then("data drifts", [f] { return f.ready() && monitor(f, "state") == "OK"; }, [&s] { s.op.metrics["drift m-v1"] = "0.4"; });
    s.then("looks", [f] { return f.stable() == made("job1") && monitor(f, "state") == "OK"; }, [] {});
    s.until = [] { return true; };
    s.expect = [f, &s] {
      must(s.world.all(Kind::Job).size() == 1, "one run");
      must(f.status()["retraining"]["lastTrigger"] == "drift", "trigger: " + f.status()["retraining"].dump());
      must(f.condition("Healthy") == "True", "Healthy");
    };
  });
}

TEST_CASE("training that does not mend the drift is given up after so many attempts") {
  explore([](Sim& s) {
    Fixture f = drifting(s, "0.5");
    s.op.metrics["drift m-v1"] = "0.4";
    // The status that starts a run comes before the run: where its answer is lost, the next one counts the attempt already.
    s.then("looks",
           [f, &s] { return monitor(f, "message").find("2 training runs did not fix it") != std::string::npos && s.world.all(Kind::TrainingRun).size() > 1; }, [] {});
    s.until = [] { return true; };
    s.expect = [f, &s] {
      must(s.world.all(Kind::TrainingRun).size() == 2, "two runs: " + std::to_string(s.world.all(Kind::TrainingRun).size()));
      must(f.condition("Healthy") == "False" && f.reason("Healthy") == "MonitorBreached", f.reason("Healthy"));
    };
  });
}

TEST_CASE("a breach in mid-rollout takes the Model back, and does not wait for the rollout") {
  explore([](Sim& s) {
    Fixture f = usual(s, [](Json& spec) { spec["monitors"] = {drift({"Rollback", "Hold"})}; });
    for (const char* version : {"m-v1", "m-v2", "m-v3"}) s.op.metrics["drift " + std::string(version)] = "0.1";
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    s.then("asks for m-v3 at an open pause", [f] { return f.stable() == "m-v2" && monitor(f, "state") == "OK"; }, [f]() mutable {
      f.edit_spec([](Json& spec) {
        spec["version"] = "m-v3";
        spec["rollout"]["steps"] = {{{"weight", 50}}, {{"pause", Json::object()}}};
      });
    });
    s.then("m-v2 drifts", [f] { return f.phase(f.to("m-v3")) == "Paused"; }, [&s] { s.op.metrics["drift m-v2"] = "0.4"; });
    s.then("looks", [f] { return f.stable() == "m-v1"; }, [] {});
    s.until = [] { return true; };
    s.expect = [f] { must(f.phase(f.to("m-v3")) == "Superseded", "m-v3: " + f.phase(f.to("m-v3"))); };
  });
}

TEST_CASE("one run is an attempt for each monitor that is breached") {
  explore([](Sim& s) {
    Fixture f = drifting(s, "0.05");
    f.edit_spec([](Json& spec) {
      spec["monitors"] = {drift({"Alert"}), drift({"Alert"})};
      spec["monitors"][1]["name"] = "bias";
    });
    s.op.metrics["drift m-v1"] = "0.4";
    // One is measured before the other: both are breached before they ask.
    const auto both = [f] {
      const Json& told = f.status();
      return told.contains("monitors") && told["monitors"].size() == 2 && told["monitors"][0]["state"] == "Breached" && told["monitors"][1]["state"] == "Breached";
    };
    s.then("has both retrain", both, [f]() mutable {
      f.edit_spec([](Json& spec) {
        for (Json& monitor : spec["monitors"]) monitor["actions"] = {"Retrain"};
      });
    });
    s.then("looks", [f] { return f.status().contains("retraining") && f.status()["retraining"].contains("run"); }, [] {});
    s.until = [] { return true; };
    s.expect = [f] {
      int attempts = 0;
      for (const Json& told : f.status()["monitors"]) attempts += told["state"] == "Breached" ? told.value("attempts", 0) == 1 : 1;
      must(attempts == 2, f.status()["monitors"].dump());
    };
  });
}

TEST_CASE("a monitor by Jobs runs one at a time, keeps the last few, and breaches as others do") {
  explore([](Sim& s) {
    auto figure = std::make_shared<std::string>("0.1");
    s.op.job_result = [figure](const std::string&) {
      return Json{{"apiVersion", "modelops.dev/v1alpha1"}, {"kind", "RunResult"}, {"metrics", {{"psi", *figure}}}}.dump();
    };
    Fixture f = usual(s, [](Json& spec) {
      spec["monitors"] = {{{"name", "drift"},
                           {"job", {{"every", "2m"}, {"metric", "psi"}, {"template", {{"spec", {{"template", {{"spec", {{"containers", {{{"name", "m"}, {"image", "m:1"}}}}}}}}}}}}}},
                           {"max", "0.2"},
                           {"for", "3m"},
                           {"actions", {"Hold"}}}};
    });
    s.then("data drifts", [f] { return f.ready() && monitor(f, "state") == "OK"; }, [figure] { *figure = "0.4"; });
    s.then("asks for m-v2", [f] { return monitor(f, "state") == "Breached"; }, [f]() mutable { f.ask_for("m-v2"); });
    s.then("data is good again", [f] { return f.phase(f.to("m-v2")) == "Paused"; }, [figure] { *figure = "0.1"; });
    s.then("looks", [f] { return monitor(f, "version") == "m-v2" && monitor(f, "state") == "OK"; }, [] {});
    s.until = [] { return true; };
    s.expect = [f, &s] {
      must(f.stable() == "m-v2", "serves: " + f.stable());
      size_t running = 0;
      for (const ObjectRef& job : s.world.all(Kind::Job)) running += s.world.find(job)->value("/status/conditions"_json_pointer, Json::array()).empty();
      must(running <= 1, "one Job at a time: " + std::to_string(running));
      must(s.world.all(Kind::Job).size() <= 5, "old Jobs: " + std::to_string(s.world.all(Kind::Job).size()));
    };
  });
}

// Written once, in a set of the cluster; the Model's own of that name is lax, and changes nothing while the set requires its own.
TEST_CASE("a monitor of a set holds a rollout, and a change of the set lets it go on") {
  explore<int>({0, 1, 2}, [](Sim& s, const int& variant) {
    const ObjectRef set = ref(Kind::ClusterModelGateSet, "org");
    const auto make = [&s, variant] {
      Json strict = drift({"Hold"});
      if (variant == 1) strict["required"] = true;
      s.world.create({{"kind", "ClusterModelGateSet"}, {"metadata", {{"name", "org"}}}, {"spec", {{"monitors", {strict}}}}}, "kubectl");
    };
    Fixture f = usual(s, [variant](Json& spec) {
      spec["monitorSets"] = {{{"name", "org"}, {"kind", "ClusterModelGateSet"}}};
      if (variant == 0) return;
      spec["monitors"] = {drift({"Hold"})};
      spec["monitors"][0]["max"] = "0.9";
    });
    s.op.metrics["drift m-v1"] = s.op.metrics["drift m-v2"] = "0.4";
    const bool held = variant != 2;  // the Model's own takes the place of one that is not required
    s.then("makes the set", [f] { return f.ready() && f.reason("Healthy") == "GateSetNotFound"; }, make);
    s.then("asks for m-v2", [f, held] { return monitor(f, "state") == (held ? "Breached" : "OK") && f.reason("Healthy") != "GateSetNotFound"; },
           [f]() mutable { f.ask_for("m-v2"); });
    if (held)
      s.then("makes the set less strict", [f] { return f.phase(f.to("m-v2")) == "Paused"; }, [&s, f, set] {
        must(f.stable() == "m-v1", "m-v2 serves in spite of the hold");
        s.world.update(set, [](Json& o) { o["spec"]["monitors"][0]["max"] = "0.5"; }, "kubectl");
      });
    s.then("looks", [f] { return monitor(f, "version") == "m-v2" && monitor(f, "state") == "OK"; }, [] {});
    s.until = [] { return true; };
    s.expect = [f, held] {
      must(f.stable() == "m-v2", "serves: " + f.stable());
      must(monitor(f, "set") == (held ? "ClusterModelGateSet/org" : ""), "of set " + monitor(f, "set"));
      must(f.condition("Healthy") == "True", f.reason("Healthy"));
    };
  });
}

TEST_CASE("a monitor without data says so and does nothing") {
  explore([](Sim& s) {
    Fixture f = drifting(s, "0.05");
    s.op.metrics.erase("drift m-v1");
    s.then("looks", [f] { return f.ready() && monitor(f, "message") == "no data"; }, [] {});
    s.until = [] { return true; };
    s.expect = [f, &s] {
      must(s.world.all(Kind::Job).empty(), "a run");
      must(f.reason("Healthy") == "NoData", f.reason("Healthy"));
      must(f.ready(), "Ready is about the spec");
    };
  });
}

TEST_CASE("a breach takes the Model back to the version before, once") {
  explore([](Sim& s) {
    Fixture f = usual(s, [](Json& spec) { spec["monitors"] = {drift({"Rollback"})}; });
    s.op.metrics["drift m-v1"] = s.op.metrics["drift m-v2"] = "0.1";
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    s.then("m-v2 drifts", [f] { return f.stable() == "m-v2" && monitor(f, "state") == "OK"; }, [&s] { s.op.metrics["drift m-v2"] = "0.4"; });
    s.then("m-v1 drifts too", [f] { return f.stable() == "m-v1" && monitor(f, "state") == "OK"; }, [&s] { s.op.metrics["drift m-v1"] = "0.4"; });
    s.then("looks", [f] { return monitor(f, "state") == "Breached"; }, [] {});
    s.until = [] { return true; };
    s.expect = [f] {
      must(f.stable() == "m-v1", "serves: " + f.stable());
      must(monitor(f, "message").ends_with("no earlier version to roll back to"), monitor(f, "message"));
      must(f.count_rollouts("m-v1") == 1, "rollouts back: " + std::to_string(f.count_rollouts("m-v1")));
    };
  });
}

}  // namespace
}  // namespace mo::sim
