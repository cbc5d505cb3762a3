// Triggers, runs, what they say, and what becomes of it.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

std::string run_result(const std::string& bits, const std::string& f1) {
  return Json{{"apiVersion", "modelops.dev/v1alpha1"},
              {"kind", "RunResult"},
              {"metrics", {{"f1", f1}}},
              {"artifact",
               {{"uri", "pvc://models/" + bits},
                {"digest", digest(bits)},
                {"format", {{"name", "rules"}, {"version", "1"}}}}},
              {"lineage",
               {{"data", {{{"name", "payments"}, {"digest", digest("data")}, {"rows", 12}}}}, {"seed", "7"}}}}
      .dump();
}

std::string made(const std::string& bits) { return "m-" + digest(bits).substr(7, 10); }

// The last digit of the run that a Job belongs to.
std::string run_of(const std::string& job) { return job.substr(job.find("-run-") + 10, 1); }

// Runs make other bits each: Job m-run-000001-train makes "run1" and so on.
Fixture training(Sim& s, const std::function<void(Json& spec)>& edit) {
  s.op.job_result = [](const std::string& job) {
    return run_result("run" + run_of(job), "0.95");
  };
  for (int run = 1; run < 9; ++run) s.op.metrics["accuracy " + made("run" + std::to_string(run))] = "0.95";
  return usual(s, [&](Json& spec) {
    spec["rollout"]["gates"].push_back(
        {{"name", "recorded"}, {"version", {{"metric", "f1"}}}, {"min", "0.9"}});
    spec["retraining"] = {
        {"template",
         {{"spec",
           {{"template", {{"spec", {{"containers", {{{"name", "train"}, {"image", "trainer:1"}}}}}}}}}}}},
        {"gates", {"recorded"}}};
    spec["track"] = "Promoted";
    edit(spec);
  });
}

size_t jobs(const Sim& s) { return s.world.all(Kind::Job).size(); }
Json retraining(const Fixture& f) { return f.status().value("retraining", Json::object()); }

void request(Fixture& f, const std::string& at) {
  f.edit_spec([&](Json& spec) { spec["retraining"]["requestedAt"] = at; });
}

TEST_CASE("a run that a person asks for becomes a rollout") {
  explore([](Sim& s) {
    Fixture f = training(s, [](Json&) {});
    s.then("asks for a run", f.serves("m-v1"), [f]() mutable { request(f, "2026-11-22T09:00:00Z"); });
    s.expect = [f, &s] {
      f.must_serve(made("run1"));
      must(jobs(s) == 1 && retraining(f)["runNumber"] == 1, "one run: " + retraining(f).dump());
      must(s.world.get(ref(Kind::ModelVersion, made("run1")))["spec"]["lineage"]["parent"] == "m-v1",
           "lineage");
    };
  });
}

TEST_CASE("a pinned Model's run only registers") {
  explore([](Sim& s) {
    Fixture f = training(s, [](Json& spec) { spec["track"] = "Pinned"; });
    s.then("asks for a run", f.serves("m-v1"), [f]() mutable { request(f, "2026-11-22T09:00:00Z"); });
    s.expect = [f, &s] {
      f.must_serve("m-v1");
      must(f.version_phase(made("run1")) == "Registered" && f.count_rollouts(made("run1")) == 0,
           "rolled out");
      must(jobs(s) == 1, "jobs");
    };
  });
}

TEST_CASE("onSuccess Register only registers") {
  explore([](Sim& s) {
    Fixture f = training(s, [](Json& spec) { spec["retraining"]["onSuccess"] = "Register"; });
    s.then("asks for a run", f.serves("m-v1"), [f]() mutable { request(f, "2026-11-22T09:00:00Z"); });
    s.expect = [f] {
      f.must_serve("m-v1");
      must(f.count_rollouts(made("run1")) == 0, "rolled out");
    };
  });
}

void make_set(Sim& s) {
  s.world.create({{"kind", "ModelGateSet"},
                  {"metadata", {{"name", "shared"}}},
                  {"spec",
                   {{"gates", {{{"name", "recorded"}, {"version", {{"metric", "f1"}}}, {"min", "0.9"}}}}}}},
                 "kubectl");
}

// Its recorded gate is that of ModelGateSet shared.
Fixture training_by_set(Sim& s) {
  return training(s, [](Json& spec) {
    spec["rollout"]["gates"].erase(1);
    spec["rollout"]["gateSets"] = {{{"name", "shared"}}};
  });
}

TEST_CASE("a run is not started before its gates are there, and then it is") {
  explore([](Sim& s) {
    Fixture f = training_by_set(s);
    make_set(s);
    s.then("asks for a run when the set is gone", f.serves("m-v1"), [f, &s]() mutable {
      s.world.remove(ref(Kind::ModelGateSet, "shared"));
      request(f, "2026-11-22T09:00:00Z");
    });
    s.then(
        "makes the set again", [f] { return f.reason("Stalled") == "GateSetNotFound"; },
        [f, &s] {
          const std::string why = retraining(f).value("suppressed", "");
          // Where the operator saw the request before it saw the set go, the run had begun.
          must(jobs(s) == (why.empty() ? 1 : 0), "Jobs: " + std::to_string(jobs(s)));
          must(why.empty() || why.find("requested: ModelGateSet shared does not exist") == 0, why);
          make_set(s);
        });
    s.expect = [f, &s] {
      f.must_serve(made("run1"));
      must(jobs(s) == 1, "one run");
    };
  });
}

TEST_CASE("a gate set that goes during a run rejects nothing") {
  explore([](Sim& s) {
    Fixture f = training_by_set(s);
    make_set(s);
    s.then("asks for a run", f.serves("m-v1"), [f]() mutable { request(f, "2026-11-22T09:00:00Z"); });
    s.then(
        "deletes the set", [&s] { return jobs(s) == 1; },
        [&s] { s.world.remove(ref(Kind::ModelGateSet, "shared")); });
    s.then(
        "makes it again",
        [f] { return f.reason("Stalled") == "GateSetNotFound" || f.stable() == made("run1"); }, [&s] { make_set(s); });
    s.expect = [f, &s] {
      f.must_serve(made("run1"));
      must(jobs(s) == 1, "one run");
    };
  });
}

TEST_CASE("a run whose metrics do not pass a dry run goes on all the same") {
  explore([](Sim& s) {
    Fixture f = training(s, [](Json& spec) { spec["rollout"]["gates"].back()["dryRun"] = true; });
    s.op.job_result = [](const std::string&) { return run_result("run1", "0.5"); };
    s.then("asks for a run", f.serves("m-v1"), [f]() mutable { request(f, "2026-11-22T09:00:00Z"); });
    s.expect = [f] { f.must_serve(made("run1")); };
  });
}

TEST_CASE("a run whose metrics do not pass is rejected and changes nothing") {
  explore([](Sim& s) {
    Fixture f = training(s, [](Json&) {});
    s.op.job_result = [](const std::string&) { return run_result("run1", "0.5"); };
    s.then("asks for a run", f.serves("m-v1"), [f]() mutable { request(f, "2026-11-22T09:00:00Z"); });
    s.expect = [f] {
      f.must_serve("m-v1");
      must(f.version_phase(made("run1")) == "Rejected", f.version_phase(made("run1")));
      must(retraining(f)["lastResult"].get<std::string>().find("0.5 is below min 0.9") != std::string::npos,
           retraining(f).dump());
      must(f.count_rollouts(made("run1")) == 0, "rolled out");
    };
  });
}

// It was judged by the record of the first run, without a word.
TEST_CASE("bits that were made before are judged by their newest figures") {
  explore<int>({0, 1}, [](Sim& s, const int& registers) {
    Fixture f = training(s, [&](Json& spec) {
      if (registers) spec["retraining"]["onSuccess"] = "Register";
    });
    s.op.job_result = [](const std::string& job) { return run_result("run1", run_of(job) == "1" ? "0.5" : "0.95"); };
    s.then("asks for a run", f.serves("m-v1"), [f]() mutable { request(f, "2026-11-22T09:00:00Z"); });
    s.then(
        "asks for another, whose metric is mended", [f] { return retraining(f).value("lastResult", "").find("0.5 is below") != std::string::npos; },
        [f]() mutable { request(f, "2026-11-22T10:00:00Z"); });
    s.expect = [f, &s, registers] {
      const Json& version = s.world.get(ref(Kind::ModelVersion, made("run1")));
      must(version["status"]["evaluation"]["metrics"]["f1"] == "0.95" && version["spec"]["metrics"]["f1"] == "0.5", version.dump());
      must(version["status"]["evaluation"]["run"] == "m-run-000002", version.dump());
      must(f.version_phase(made("run1")) == (registers ? "Registered" : "Serving"), version.dump());
      f.must_serve(registers ? "m-v1" : made("run1"));
    };
  });
}

TEST_CASE("bits that serve get the figures of the newest run as well, and its gates") {
  explore([](Sim& s) {
    Fixture f = training(s, [](Json&) {});
    s.op.job_result = [](const std::string& job) { return run_result("run1", run_of(job) == "1" ? "0.95" : "0.91"); };
    s.then("asks for a run", f.serves("m-v1"), [f]() mutable { request(f, "2026-11-22T09:00:00Z"); });
    s.then("asks for another", f.serves(made("run1")), [f]() mutable { request(f, "2026-11-22T10:00:00Z"); });
    s.expect = [f, &s] {
      f.must_serve(made("run1"));
      must(s.world.get(ref(Kind::ModelVersion, made("run1")))["status"]["evaluation"]["metrics"]["f1"] == "0.91", "the newest");
      must(retraining(f)["lastResult"].get<std::string>().find("Unchanged: ") == 0, retraining(f).dump());
    };
  });
}

TEST_CASE("a run that fails or lies is rejected with its reason") {
  explore<std::string>({"FAILS", "", "not json", R"({"kind": "RunResult"})"}, [](Sim& s,
                                                                                 const std::string& lie) {
    Fixture f = training(s, [](Json&) {});
    s.op.job_result = [lie](const std::string&) { return lie; };
    if (lie == "FAILS")
      s.controllers.job_fate = [](const std::string&) { return JobFate{JobFate::Is::Failed, ""}; };
    s.then("asks for a run", f.serves("m-v1"), [f]() mutable { request(f, "2026-11-22T09:00:00Z"); });
    s.expect = [f, &s] {
      f.must_serve("m-v1");
      must(retraining(f)["lastResult"].get<std::string>().rfind("Failed: ", 0) == 0, retraining(f).dump());
      must(s.world.all(Kind::ModelVersion).size() == 3 && jobs(s) == 1, "something was made of it");
    };
  });
}

TEST_CASE("the first version comes from retraining on the first data") {
  explore([](Sim& s) {
    Fixture f = training(s, [](Json& spec) {
      spec.erase("version");
      spec["retraining"]["triggers"] = {
          {{"name", "data"}, {"dataset", {{"configMapKeyRef", {{"name", "data"}, {"key", "digest"}}}}}}};
    });
    s.then(
        "brings data", [f] { return f.reason() == "AwaitingRetraining"; },
        [&s] {
          s.world.create(
              {{"kind", "ConfigMap"}, {"metadata", {{"name", "data"}}}, {"data", {{"digest", "a"}}}},
              "kubectl");
        });
    s.expect = [f, &s] {
      f.must_serve(made("run1"));
      must(jobs(s) == 1, "jobs");
    };
  });
}

TEST_CASE("each new digest of the data brings one run") {
  explore([](Sim& s) {
    Fixture f = training(s, [](Json& spec) {
      spec["retraining"]["triggers"] = {
          {{"name", "data"}, {"dataset", {{"configMapKeyRef", {{"name", "data"}, {"key", "digest"}}}}}}};
    });
    s.world.create({{"kind", "ConfigMap"}, {"metadata", {{"name", "data"}}}, {"data", {{"digest", "a"}}}},
                   "kubectl");
    const auto set = [&s](const char* key, const char* value) {
      return [&s, key, value] {
        s.world.update(
            ref(Kind::ConfigMap, "data"), [&](Json& o) { o["data"][key] = value; }, "kubectl");
      };
    };
    const auto knows = [f](const char* digest) {
      return [f, digest] {
        return f.ready() &&
               retraining(f).value("datasets", Json::array()).dump().find(digest) != std::string::npos;
      };
    };
    s.then("edits another key", knows("\"a\""), set("other", "x"));
    s.then("brings new data", f.is_ready(), set("digest", "b"));
    s.then("brings newer data", knows("\"b\""), set("digest", "c"));
    s.expect = [f, &s] {
      must(retraining(f)["runNumber"] == 2 && jobs(s) == 2, "two runs: " + retraining(f).dump());
      f.must_serve(made("run2"));
    };
  });
}

TEST_CASE("a schedule starts one run each time it comes") {
  explore([](Sim& s) {
    Fixture f = training(s, [](Json& spec) {
      spec["retraining"]["triggers"] = {
          {{"name", "nightly"}, {"schedule", {{"cron", "0 2 * * *"}, {"timeZone", "Europe/Berlin"}}}}};
    });
    s.until = [f, &s] {
      return s.world.now >= *parse_time("2026-11-25T00:30:00Z") && f.serves(made("run2"))();
    };
    s.expect = [f, &s] {
      must(jobs(s) == 2 && retraining(f)["runNumber"] == 2, "two nights, two runs: " + retraining(f).dump());
      must(retraining(f)["nextScheduled"] == "2026-11-25T01:00:00Z", retraining(f)["nextScheduled"]);
    };
  });
}

// Run numbers began anew: the next run found the first one's Job and took its result for its own.
TEST_CASE("retraining that is taken away and comes back uses no request and no number twice") {
  explore([](Sim& s) {
    Fixture f = training(s, [](Json&) {});
    auto kept = std::make_shared<Json>();
    s.then("asks for a run", f.serves("m-v1"), [f]() mutable { request(f, "2026-11-22T09:00:00Z"); });
    s.then("takes it away", f.serves(made("run1")), [f, kept]() mutable {
      f.edit_spec([&](Json& spec) {
        *kept = spec["retraining"];
        spec.erase("retraining");
      });
    });
    s.then("brings it back", f.serves(made("run1")), [f, kept]() mutable {
      f.edit_spec([&](Json& spec) { spec["retraining"] = *kept; });
    });
    s.then("asks for another", f.serves(made("run1")), [f]() mutable { request(f, "2026-11-22T10:00:00Z"); });
    s.expect = [f, &s] {
      f.must_serve(made("run2"));
      must(jobs(s) == 2 && retraining(f)["runNumber"] == 2, "two runs: " + retraining(f).dump());
    };
  });
}

TEST_CASE("retraining that is taken away ends its run") {
  explore([](Sim& s) {
    Fixture f = training(s, [](Json&) {});
    s.controllers.job_fate = [](const std::string&) { return JobFate{JobFate::Is::Hangs, ""}; };
    s.then("asks for a run", f.serves("m-v1"), [f]() mutable { request(f, "2026-11-22T09:00:00Z"); });
    s.then("takes it away", [&s] { return jobs(s) == 1; }, [f]() mutable {
      f.edit_spec([](Json& spec) { spec.erase("retraining"); });
    });
    s.expect = [f, &s] {
      f.must_serve("m-v1");
      must(jobs(s) == 0, "no Job that nobody reads");
      must(retraining(f)["lastResult"].get<std::string>().find("spec.retraining was removed") != std::string::npos, retraining(f).dump());
    };
  });
}

TEST_CASE("a schedule does not start a second run while one runs") {
  explore([](Sim& s) {
    Fixture f = training(s, [](Json& spec) {
      spec["retraining"]["triggers"] = {{{"name", "hourly"}, {"schedule", {{"cron", "@hourly"}}}}};
    });
    s.controllers.job_fate = [](const std::string&) { return JobFate{JobFate::Is::Hangs, ""}; };
    s.until = [&s] { return s.world.now >= *parse_time("2026-11-22T13:30:00Z"); };
    s.expect = [f, &s] {
      must(jobs(s) == 1, "one Job");
      must(retraining(f)["suppressed"].get<std::string>().find("still runs") != std::string::npos,
           retraining(f).dump());
    };
  });
}

TEST_CASE("the cooldown holds a request back and then lets it through") {
  explore([](Sim& s) {
    Fixture f = training(s, [](Json& spec) { spec["retraining"]["limits"] = {{"cooldown", "2h"}}; });
    s.patience = std::chrono::hours(3);
    s.then("asks for a run", f.serves("m-v1"), [f]() mutable { request(f, "2026-11-22T09:00:00Z"); });
    s.then("asks for another", f.serves(made("run1")), [f]() mutable { request(f, "2026-11-22T09:30:00Z"); });
    s.expect = [f] {
      f.must_serve(made("run2"));
      const auto first = parse_time("2026-11-22T09:00:00Z"),
                 second = parse_time(retraining(f)["lastStarted"].get<std::string>());
      must(*second - *first >= std::chrono::hours(2), "too early: " + retraining(f).dump());
    };
  });
}

TEST_CASE("maxPerDay holds back until the next day") {
  explore([](Sim& s) {
    Fixture f = training(s, [](Json& spec) { spec["retraining"]["limits"] = {{"maxPerDay", 1}}; });
    s.patience = std::chrono::hours(17);
    s.then("asks for a run", f.serves("m-v1"), [f]() mutable { request(f, "2026-11-22T09:00:00Z"); });
    s.then("asks for another", f.serves(made("run1")), [f]() mutable { request(f, "2026-11-22T09:30:00Z"); });
    s.expect = [f] {
      f.must_serve(made("run2"));
      must(retraining(f)["lastStarted"].get<std::string>().rfind("2026-11-23", 0) == 0, retraining(f).dump());
    };
  });
}

TEST_CASE("a Job that disappears is not a pass") {
  explore([](Sim& s) {
    Fixture f = training(s, [](Json&) {});
    s.controllers.job_fate = [](const std::string&) { return JobFate{JobFate::Is::Hangs, ""}; };
    s.then("asks for a run", f.serves("m-v1"), [f]() mutable { request(f, "2026-11-22T09:00:00Z"); });
    s.then(
        "deletes the Job",
        [&s] {
          const Json* run = s.world.find(ref(Kind::TrainingRun, "m-run-000001"));
          return run && run->value("status", Json::object()).contains("trials") && (*run)["status"]["trials"][0]["job"].contains("uid");
        },
        [&s] { s.world.remove(ref(Kind::Job, "m-run-000001-train")); });
    s.expect = [f, &s] {
      f.must_serve("m-v1");
      must(jobs(s) == 0 &&
               retraining(f)["lastResult"].get<std::string>().find("disappeared") != std::string::npos,
           retraining(f).dump());
    };
  });
}

// Every night it got callers again.
TEST_CASE("a run that makes the bits of a version that was rolled back rolls nothing out") {
  explore([](Sim& s) {
    Fixture f = training(s, [](Json&) {});
    s.op.job_result = [](const std::string&) { return run_result("run1", "0.95"); };
    s.op.metrics["accuracy " + made("run1")] = "0.1";
    s.invariants.must_not_pass = {"accuracy/" + made("run1")};
    s.then("asks for a run", f.serves("m-v1"), [f]() mutable { request(f, "2026-11-22T09:00:00Z"); });
    s.then(
        "asks for another", [f] { return retraining(f).value("runNumber", 0) == 1 && f.status().value("phase", "") == "Degraded"; },
        [f]() mutable { request(f, "2026-11-22T10:00:00Z"); });
    s.expect = [f, &s] {
      f.must_be_degraded("RolledBack", "m-v1");
      must(jobs(s) == 2 && s.world.all(Kind::ModelRollout).size() == 1, "two runs, one rollout");
      must(retraining(f)["lastResult"].get<std::string>().find("ended as RolledBack") != std::string::npos, retraining(f).dump());
    };
  });
}

TEST_CASE("a worse run of a promoted Model is rolled back on its evidence") {
  explore([](Sim& s) {
    Fixture f = training(s, [](Json&) {});
    s.op.metrics["accuracy " + made("run1")] = "0.1";
    s.invariants.must_not_pass = {"accuracy/" + made("run1")};
    s.then("asks for a run", f.serves("m-v1"), [f]() mutable { request(f, "2026-11-22T09:00:00Z"); });
    s.expect = [f] { f.must_be_degraded("RolledBack", "m-v1"); };
  });
}

}  // namespace
}  // namespace mo::sim
