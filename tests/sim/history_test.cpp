// What is deleted of what is over, and what gates leave behind.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

size_t count(const Sim& s, Kind kind) { return s.world.all(kind).size(); }

void serve_bits(Json& spec, const std::string& bits) {
  spec.erase("version");
  spec["artifact"] = {{"uri", "http://store/" + bits}, {"digest", digest(bits)}, {"format", {{"name", "rules"}, {"version", "1"}}}};
}
std::string version_of(const std::string& bits) { return "m-" + digest(bits).substr(7, 10); }

// Whatever crashes in between: the same is left, and nothing runs again.
TEST_CASE("history keeps what may be needed, and no more") {
  explore([](Sim& s) {
    Fixture f = usual(s, [](Json& spec) {
      serve_bits(spec, "bits1");
      spec["rollout"]["steps"] = Json::array();
      spec["history"] = {{"rollouts", 1}, {"versions", 1}};
    });
    for (int i = 2; i <= 6; ++i)
      s.then("asks for the next", f.serves(version_of("bits" + std::to_string(i - 1))),
             [f, i]() mutable { f.edit_spec([&](Json& spec) { serve_bits(spec, "bits" + std::to_string(i)); }); });
    s.expect = [f, &s] {
      f.must_serve(version_of("bits6"));
      must(count(s, Kind::ModelRollout) == 3, "rollouts: " + std::to_string(count(s, Kind::ModelRollout)));
      for (int i = 1; i <= 6; ++i) {
        const bool there = s.world.find(ref(Kind::ModelVersion, version_of("bits" + std::to_string(i)))) != nullptr;
        must(there == (i >= 3), "bits" + std::to_string(i) + (there ? " are left" : " have gone"));
      }
      for (const char* theirs : {"m-v1", "m-v2", "m-v3"})
        must(s.world.find(ref(Kind::ModelVersion, theirs)) != nullptr, std::string(theirs) + " has gone");
    };
  });
}

TEST_CASE("what failed stays failed when history is short") {
  explore([](Sim& s) {
    Fixture f = usual(s, [](Json& spec) {
      spec["rollout"]["steps"] = Json::parse(R"([{"gates": ["recorded"]}])");
      spec["rollout"]["gates"] = Json::parse(R"([{"name": "recorded", "version": {"metric": "f1"}, "min": "0.9"}])");
      spec["history"] = {{"rollouts", 1}};
    });
    f.make_version("m-v4", {{"f1", "0.1"}});
    f.make_version("m-v5", {{"f1", "0.1"}});
    for (const char* name : {"m-v4", "m-v5", "m-v4", "m-v5"})
      s.then(std::string("asks for ") + name, [f] { return f.stable().empty() || f.reason("Stalled") == "RolledBack"; },
             [f, name]() mutable { f.ask_for(name); });
    s.expect = [&s] { must(count(s, Kind::ModelRollout) <= 2, "rollouts: " + std::to_string(count(s, Kind::ModelRollout))); };
  });
}

// ---- Jobs that never get a pod ----

TEST_CASE("a run whose Job never has a pod ends, and the next one is free to run") {
  explore([](Sim& s) {
    const std::string trained = version_of("trained");
    s.op.job_result = [](const std::string&) {
      return Json{{"apiVersion", "modelops.dev/v1alpha1"},
                  {"kind", "RunResult"},
                  {"metrics", {{"f1", "0.95"}}},
                  {"artifact", {{"uri", "pvc://models/trained"}, {"digest", digest("trained")}, {"format", {{"name", "rules"}, {"version", "1"}}}}}}
          .dump();
    };
    s.op.metrics["accuracy " + trained] = "0.95";
    s.controllers.job_fate = [](const std::string& job) { return JobFate{job == "m-run-000001-train" ? JobFate::Is::Stuck : JobFate::Is::Complete, ""}; };
    s.patience = std::chrono::minutes(61);
    Fixture f = usual(s, [](Json& spec) {
      spec["track"] = "Promoted";
      spec["retraining"] = {{"limits", {{"startDeadline", "10m"}}},
                            {"template", {{"spec", {{"template", {{"spec", {{"containers", {{{"name", "train"}, {"image", "t"}}}}}}}}}}}}};
    });
    const auto ask = [f](const std::string& at) { return [f, at]() mutable { f.edit_spec([&](Json& spec) { spec["retraining"]["requestedAt"] = at; }); }; };
    s.then("asks for a run", f.serves("m-v1"), ask("2026-11-22T09:00:00Z"));
    s.then("asks for another", [f] { return f.status()["retraining"].value("lastResult", "").find("startDeadline 10m") != std::string::npos; },
           ask("2026-11-22T09:00:01Z"));
    s.expect = [f, &s, trained] {
      f.must_serve(trained);
      must(count(s, Kind::Job) == 1 && s.world.find(ref(Kind::Job, "m-run-000002-train")), "the Job without a pod is left over");
    };
  });
}

// ---- Jobs of gates ----

constexpr const char* kFairness = R"({"name": "fairness", "min": "0.8", "interval": "10s", "job": {"metric": "impact", "template": {"spec":
    {"template": {"spec": {"containers": [{"name": "check", "image": "check"}]}}}}}})";
constexpr const char* kGood = R"({"apiVersion": "modelops.dev/v1alpha1", "kind": "RunResult", "metrics": {"impact": "0.9"}})";

Fixture judged_by_job(Sim& s, const std::function<void(Json& rollout)>& edit = {}) {
  s.op.job_result = [](const std::string&) { return std::string(kGood); };
  Fixture f = usual(s, [](Json& spec) { spec["rollout"]["steps"] = Json::array(); });
  s.then("asks for m-v2", f.serves("m-v1"), [f, edit]() mutable {
    f.edit_spec([&](Json& spec) {
      spec["rollout"]["gates"].push_back(Json::parse(kFairness));
      spec["rollout"]["steps"] = Json::parse(R"([{"weight": 50}, {"gates": ["fairness"]}])");
      if (edit) edit(spec["rollout"]);
      spec["version"] = "m-v2";
    });
  });
  return f;
}

TEST_CASE("a gate leaves its last three Jobs behind") {
  explore([](Sim& s) {
    Fixture f = judged_by_job(s, [](Json& rollout) { rollout["gates"].back()["count"] = 7; });
    s.expect = [f, &s] {
      f.must_serve("m-v2");
      must(count(s, Kind::Job) <= 4, "Jobs: " + std::to_string(count(s, Kind::Job)));
    };
  });
}

TEST_CASE("a Job that runs through a pause is the one that decides") {
  explore([](Sim& s) {
    const auto name = std::make_shared<std::string>();
    const auto ends = std::make_shared<bool>(false);
    s.controllers.job_fate = [ends](const std::string&) { return JobFate{*ends ? JobFate::Is::Complete : JobFate::Is::Hangs, ""}; };
    Fixture f = judged_by_job(s);
    const auto rollout = [f] { return f.to("m-v2"); };
    s.then("pauses", [&s] { return count(s, Kind::Job) == 1; }, [f, &s, name, rollout]() mutable {
      *name = s.world.all(Kind::Job).front().key.name;
      f.desire(rollout(), "Paused");
    });
    s.then("goes on", [f, rollout] { return f.phase(rollout()) == "Paused"; }, [f, ends, rollout]() mutable {
      *ends = true;
      f.desire(rollout(), "Running");
    });
    s.expect = [f, &s, name] {
      f.must_serve("m-v2");
      must(count(s, Kind::Job) == 1 && s.world.all(Kind::Job).front().key.name == *name, "another Job was begun beside " + *name);
    };
  });
}

}  // namespace
}  // namespace mo::sim
