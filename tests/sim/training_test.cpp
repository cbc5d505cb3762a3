// Stages, trials, experiments, and how they end: in any order, with crashes at any point.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

const Json kTemplate = {{"spec", {{"template", {{"spec", {{"containers", {{{"name", "c"}, {"image", "i:1"}}}}}}}}}}};

std::string made(const std::string& bits) { return "m-" + digest(bits).substr(7, 10); }

std::string report(const Json& metrics, const std::string& bits = "") {
  Json result = {{"apiVersion", "modelops.dev/v1alpha1"}, {"kind", "RunResult"}, {"metrics", metrics}};
  if (!bits.empty())
    result["artifact"] = {{"uri", "pvc://models/" + bits}, {"digest", digest(bits)}, {"format", {{"name", "rules"}, {"version", "1"}}}};
  return result.dump();
}

// What a Job says follows from its name: trial t1 is the best, and each makes other bits.
std::string said(const std::string& job) {
  if (job.ends_with("-validate")) return report({{"rows", "120"}});
  if (job.find("-evaluate") != std::string::npos) return report({{"f1", "0.93"}});
  const std::string trial = job.substr(job.find("-train"));
  return report({{"f1", trial == "-train-t1" ? "0.99" : trial.starts_with("-train-a") ? "0.95" : "0.8"}}, "bits" + trial);
}

Fixture staged(Sim& s, const std::function<void(Json& retraining)>& edit) {
  s.op.job_result = said;
  for (const char* trial : {"", "-t0", "-t1", "-t2", "-a2"}) s.op.metrics["accuracy " + made(std::string("bits-train") + trial)] = "0.95";
  return usual(s, [&](Json& spec) {
    spec["track"] = "Promoted";
    spec["rollout"]["gates"].push_back({{"name", "recorded"}, {"version", {{"metric", "f1"}}}, {"min", "0.9"}});
    spec["rollout"]["gates"].push_back({{"name", "rows"}, {"version", {{"metric", "rows"}}}, {"min", "100"}});
    spec["retraining"] = {{"template", kTemplate}};
    edit(spec["retraining"]);
  });
}

void three_stages(Json& retraining) {
  retraining["validate"] = {{"template", kTemplate}, {"gates", {"rows"}}};
  retraining["trials"] = {{"parallelism", 2}, {"parameters", {{"lr", {"1", "2", "3"}}}}, {"objective", {{"metric", "f1"}}}};
  retraining["evaluate"] = {{"template", kTemplate}, {"gates", {"recorded"}}};
}

Json retraining(const Fixture& f) { return f.status().value("retraining", Json::object()); }
size_t jobs(const Sim& s) { return s.world.all(Kind::Job).size(); }
Json run_status(const Sim& s, const std::string& name = "m-run-000001") {
  const Json* run = s.world.find(ref(Kind::TrainingRun, name));
  return run ? run->value("status", Json::object()) : Json::object();
}
std::string phase(const Sim& s, const std::string& name = "m-run-000001") { return run_status(s, name).value("phase", ""); }
std::function<void()> ask(Fixture f, const std::string& at = "2026-11-22T09:00:00Z") {
  return [f, at]() mutable { f.edit_spec([&](Json& spec) { spec["retraining"]["requestedAt"] = at; }); };
}
std::function<void()> write_run(Sim& s, const std::string& name) {
  return [&s, name] {
    s.world.create({{"kind", "TrainingRun"}, {"metadata", {{"name", name}}}, {"spec", {{"modelRef", {{"name", "m"}}}}}}, "kubectl");
  };
}

TEST_CASE("all stages of a run, three trials among them, lead to the best version and its evaluated figures") {
  explore([](Sim& s) {
    Fixture f = staged(s, three_stages);
    s.then("asks for a run", f.serves("m-v1"), ask(f));
    s.expect = [f, &s] {
      f.must_serve(made("bits-train-t1"));
      must(jobs(s) == 5, "each Job once: " + std::to_string(jobs(s)));
      must(phase(s) == "Succeeded" && run_status(s)["result"]["trial"] == 1, run_status(s).dump());
      const Json& version = s.world.get(ref(Kind::ModelVersion, made("bits-train-t1")));
      must(version["spec"]["metrics"] == Json{{"f1", "0.93"}}, "the evaluation's figures: " + version.dump());
      must(version["spec"]["lineage"]["run"]["parameters"] == Json{{"lr", "2"}}, version.dump());
      must(s.world.all(Kind::ModelVersion).size() == 4, "only the best is registered");
    };
  });
}

TEST_CASE("a trial that fails is passed over, and data that is not fit is not trained on") {
  explore<int>({0, 1}, [](Sim& s, const int& unfit) {
    Fixture f = staged(s, three_stages);
    if (unfit) s.op.job_result = [](const std::string& job) { return job.ends_with("-validate") ? report({{"rows", "12"}}) : said(job); };
    s.controllers.job_fate = [](const std::string& job) { return JobFate{job.ends_with("-t0") ? JobFate::Is::Failed : JobFate::Is::Complete, ""}; };
    s.then("asks for a run", f.serves("m-v1"), ask(f));
    s.expect = [f, &s, unfit] {
      f.must_serve(unfit ? "m-v1" : made("bits-train-t1"));
      must(phase(s) == (unfit ? "Rejected" : "Succeeded") && jobs(s) == (unfit ? 1 : 5), run_status(s).dump());
    };
  });
}

TEST_CASE("a candidate that claims more than the evaluation finds is not even registered") {
  explore([](Sim& s) {
    Fixture f = staged(s, three_stages);
    s.op.job_result = [](const std::string& job) { return job.ends_with("-evaluate") ? report({{"f1", "0.5"}}) : said(job); };
    s.then("asks for a run", f.serves("m-v1"), ask(f));
    s.expect = [f, &s] {
      f.must_serve("m-v1");
      must(phase(s) == "Rejected" && s.world.all(Kind::ModelVersion).size() == 3, run_status(s).dump());
      must(run_status(s)["message"] == "gate recorded did not pass: 0.5 is below min 0.9 (training reported 0.99)", run_status(s).dump());
    };
  });
}

TEST_CASE("a run that is cancelled at any moment is over, and what serves is what served") {
  for (const char* stage : {"validate", "train", "evaluate"})
    explore([stage](Sim& s) {
      Fixture f = staged(s, three_stages);
      s.controllers.job_fate = [stage](const std::string& job) {
        return JobFate{job.find(std::string("-") + stage) != std::string::npos ? JobFate::Is::Hangs : JobFate::Is::Complete, ""};
      };
      s.then("asks for a run", f.serves("m-v1"), ask(f));
      s.then("cancels it", [&s, stage] { return run_status(s).value("stage", "") == stage; }, [&s] {
        s.world.update(ref(Kind::TrainingRun, "m-run-000001"), [](Json& o) { o["spec"]["desiredState"] = "Cancelled"; }, "kubectl");
      });
      s.expect = [f, &s] {
        f.must_serve("m-v1");
        must(phase(s) == "Cancelled" && !retraining(f).contains("run"), run_status(s).dump());
        for (const ObjectRef& job : s.world.all(Kind::Job)) must(s.world.get(job).value("status", Json::object()).contains("conditions"), "a Job is left over");
      };
    });
}

TEST_CASE("a run whose object is deleted is over, and is not made again") {
  explore([](Sim& s) {
    Fixture f = staged(s, [](Json&) {});
    s.controllers.job_fate = [](const std::string&) { return JobFate{JobFate::Is::Hangs, ""}; };
    s.then("asks for a run", f.serves("m-v1"), ask(f));
    s.then("deletes it", [f] { return retraining(f).contains("run") && retraining(f)["run"].contains("uid"); },
           [&s] { s.world.remove(ref(Kind::TrainingRun, "m-run-000001")); });
    s.expect = [f, &s] {
      f.must_serve("m-v1");
      must(s.world.all(Kind::TrainingRun).empty() && jobs(s) == 0, "its Jobs go with it, and nothing comes back");
      must(retraining(f)["lastResult"] == "Cancelled: TrainingRun m-run-000001 was deleted before it ended", f.status().dump());
    };
  });
}

TEST_CASE("a run trains again until its gates pass") {
  explore([](Sim& s) {
    Fixture f = staged(s, [](Json& retraining) { retraining["retry"] = {{"until", {"recorded"}}, {"attempts", 2}, {"backoff", "10m"}}; });
    s.then("asks for a run", f.serves("m-v1"), ask(f));
    s.patience = std::chrono::minutes(15);
    s.expect = [f, &s] {
      f.must_serve(made("bits-train-a2"));
      must(run_status(s)["attempt"] == 2 && jobs(s) == 2, run_status(s).dump());
    };
  });
}

TEST_CASE("experiments wait for their turn, register what they made and roll nothing out") {
  explore([](Sim& s) {
    Fixture f = staged(s, [](Json& retraining) { retraining["onSuccess"] = "Register"; });
    s.op.job_result = [](const std::string& job) { return report({{"f1", "0.95"}}, job); };
    s.then("asks for a run", f.serves("m-v1"), ask(f));
    s.then("tries something", [f] { return f.status().contains("retraining"); }, write_run(s, "try-a"));
    s.then("and something else", [f] { return f.status().contains("retraining"); }, write_run(s, "try-b"));
    s.expect = [f, &s] {
      f.must_serve("m-v1");
      for (const ObjectRef& run : s.world.all(Kind::TrainingRun)) must(phase(s, run.key.name) == "Succeeded", run_status(s, run.key.name).dump());
      must(s.world.all(Kind::TrainingRun).size() == 3, "one for the request, and two experiments");
      must(jobs(s) == 3 && s.world.all(Kind::ModelVersion).size() == 6 && s.world.all(Kind::ModelRollout).empty(), "one Job and one version each");
      must(retraining(f)["runsToday"] == 1, "of the operator's own");
    };
  });
}

TEST_CASE("Replace ends the run under way for a newer cause") {
  explore([](Sim& s) {
    Fixture f = staged(s, [](Json& retraining) { retraining["limits"] = {{"concurrency", "Replace"}}; });
    s.controllers.job_fate = [](const std::string& job) { return JobFate{job == "m-run-000001-train" ? JobFate::Is::Hangs : JobFate::Is::Complete, ""}; };
    s.op.job_result = [](const std::string& job) { return report({{"f1", "0.95"}}, job); };
    s.op.metrics["accuracy " + made("m-run-000002-train")] = "0.95";
    s.then("asks for a run", f.serves("m-v1"), ask(f));
    s.then("asks again", [&s] { return jobs(s) == 1; }, ask(f, "2026-11-22T09:30:00Z"));
    s.expect = [f, &s] {
      f.must_serve(made("m-run-000002-train"));
      must(phase(s) == "Cancelled" && phase(s, "m-run-000002") == "Succeeded" && jobs(s) == 1, run_status(s).dump());
    };
  });
}

TEST_CASE("a version that another Model promotes starts a run") {
  explore([](Sim& s) {
    Fixture f = staged(s, [](Json& retraining) { retraining["triggers"] = {{{"name", "base"}, {"model", {{"name", "base"}}}}}; });
    s.op.job_result = [](const std::string& job) { return report({{"f1", "0.95"}}, job); };
    s.op.metrics["accuracy " + made("m-run-000001-train")] = "0.95";
    s.world.create({{"kind", "Model"}, {"metadata", {{"name", "base"}}}, {"spec", {{"serving", {{"replicas", 1}}}}}}, "kubectl");
    for (const char* version : {"base-v1", "base-v2"}) f.make_version(version, Json::object(), "base");
    const auto promote = [&s](const std::string& version) {
      return [&s, version] { s.world.update(ref(Kind::Model, "base"), [&](Json& o) { o["spec"]["version"] = version; }, "kubectl"); };
    };
    s.then("lets the other serve", f.serves("m-v1"), promote("base-v1"));
    s.then("lets the other promote another", [f] { return retraining(f).value("datasets", Json::array()).dump().find("base-v1") != std::string::npos; },
           [&s, promote] {
             must(s.world.all(Kind::TrainingRun).empty(), "the first that is seen is what there was");
             promote("base-v2")();
           });
    s.expect = [f, &s] {
      must(s.world.get(ref(Kind::Model, "base"))["status"]["stableVersion"] == "base-v2", "the other serves base-v2");
      must(retraining(f)["datasets"].dump().find("base-v2") != std::string::npos, f.status().dump());
      must(s.world.all(Kind::TrainingRun).size() == 1 && jobs(s) == 1 && phase(s) == "Succeeded", "exactly one run: " + run_status(s).dump());
      f.must_serve(made("m-run-000001-train"));
    };
  });
}

}  // namespace
}  // namespace mo::sim
