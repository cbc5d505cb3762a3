// Training by an engine's object, which no watch tells of: it ends well or not, hangs, and its kind comes and goes.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

const Json kWorkload = {{"resource", "jobsets"},
                        {"object", {{"apiVersion", "jobset.x-k8s.io/v1alpha2"}, {"kind", "JobSet"}, {"spec", {{"seed", "$(MODELOPS_SEED)"}}}}},
                        {"success", "has(self.status) && self.status.conditions.exists(c, c.type == 'Completed' && c.status == 'True')"},
                        {"failure", "has(self.status) && self.status.conditions.exists(c, c.type == 'Failed' && c.status == 'True')"},
                        {"result", {{"pods", {{"matchLabels", {{"jobset.sigs.k8s.io/jobset-name", "$(MODELOPS_NAME)"}}}}}}}};
constexpr const char* kRun = "m-run-000001";

std::string made(const std::string& object) { return "m-" + digest(object).substr(7, 10); }

std::string report(const std::string& object) {
  return Json{{"apiVersion", "modelops.dev/v1alpha1"},
              {"kind", "RunResult"},
              {"metrics", {{"f1", object.ends_with("-t1") ? "0.99" : "0.95"}}},
              {"artifact", {{"uri", "pvc://models/" + object}, {"digest", digest(object)}, {"format", {{"name", "rules"}, {"version", "1"}}}}}}
      .dump();
}

// m-v1 serves, and one asks for a run by a JobSet.
Fixture training(Sim& s, JobFate::Is fate, const std::function<void(Json& retraining)>& edit = [](Json&) {}) {
  s.op.job_result = report;
  s.controllers.job_fate = [fate](const std::string&) { return JobFate{fate, ""}; };
  for (const char* part : {"-train", "-train-t0", "-train-t1", "-train-t2"}) s.op.metrics["accuracy " + made(std::string(kRun) + part)] = "0.95";
  Fixture f = usual(s, [&](Json& spec) {
    spec["track"] = "Promoted";
    spec["retraining"] = {{"workload", kWorkload}, {"limits", {{"deadline", "5m"}}}};
    edit(spec["retraining"]);
  });
  s.then("asks for a run", f.serves("m-v1"), [f]() mutable {
    f.edit_spec([](Json& spec) { spec["retraining"]["requestedAt"] = "2026-11-22T09:00:00Z"; });
  });
  return f;
}

Json run_status(const Sim& s) {
  const Json* run = s.world.find(ref(Kind::TrainingRun, kRun));
  return run ? run->value("status", Json::object()) : Json::object();
}
std::string phase(const Sim& s) { return run_status(s).value("phase", ""); }
std::string message(const Sim& s) { return run_status(s).value("message", ""); }
bool knows_uid(const Sim& s) { return run_status(s).value("/trials/0/job/uid"_json_pointer, "") != ""; }
bool says(const Sim& s, const std::string& words) { return run_status(s).dump().find(words) != std::string::npos; }
size_t there(const Sim& s) { return s.world.all(Kind::Workload).size(); }

TEST_CASE("an engine's object trains, is made once, and what it made serves") {
  explore([](Sim& s) {
    Fixture f = training(s, JobFate::Is::Complete);
    s.expect = [f, &s] {
      f.must_serve(made("m-run-000001-train"));
      must(phase(s) == "Succeeded" && s.world.made(Kind::Workload) == 1 && there(s) == 1, run_status(s).dump());
      must(s.world.get(ref(Kind::Workload, "m-run-000001-train"))["spec"]["seed"] == "1", "it was not told its seed");
      must(s.world.all(Kind::Job).empty(), "a Job besides");
    };
  });
}

TEST_CASE("an engine's object that fails ends the run with its words, and stays to be looked at") {
  explore([](Sim& s) {
    Fixture f = training(s, JobFate::Is::Failed);
    s.expect = [f, &s] {
      f.must_serve("m-v1");
      must(phase(s) == "Failed" && message(s).find("jobset failed due to one or more job failures") != std::string::npos, run_status(s).dump());
      must(s.world.made(Kind::Workload) == 1 && there(s) == 1, "it stays, and no other comes");
    };
  });
}

TEST_CASE("the kind of an engine's object vanishes in mid-run: the run is over, and what serves goes on") {
  explore<int>({0, 1}, [](Sim& s, const int& back) {
    Fixture f = training(s, JobFate::Is::Hangs);
    // Once its UID is on record: one that nobody has seen is made again.
    s.then("deletes the CRD", [&s] { return there(s) == 1 && knows_uid(s); }, [&s] { s.world.remove_engine(); });
    if (back)
      s.then("installs it again", [&s] { return phase(s) == "Failed"; }, [&s] { s.world.has_engine = true; });
    s.expect = [f, &s] {
      f.must_serve("m-v1");
      must(phase(s) == "Failed", run_status(s).dump());
      must(message(s).find("was deleted together with its kind") != std::string::npos || message(s).find("was deleted before") != std::string::npos, message(s));
      must(s.world.made(Kind::Workload) == 1, "it was made again");
    };
  });
}

TEST_CASE("a kind that is not installed is waited for until the deadline, and taken up once it is there") {
  explore<int>({0, 1}, [](Sim& s, const int& comes) {
    Fixture f = training(s, JobFate::Is::Complete);
    s.world.has_engine = false;
    if (comes)
      s.then("installs the engine", [&s] { return says(s, "this cluster does not serve JobSet"); }, [&s] { s.world.has_engine = true; });
    s.expect = [f, &s, comes] {
      f.must_serve(comes ? made("m-run-000001-train") : "m-v1");
      must(phase(s) == (comes ? "Succeeded" : "Failed"), run_status(s).dump());
      if (!comes) must(message(s).find("limits.deadline") != std::string::npos, message(s));
      must(s.world.made(Kind::Workload) == (comes ? 1 : 0), "made " + std::to_string(s.world.made(Kind::Workload)));
    };
  });
}

TEST_CASE("an engine's object that never ends goes with its run: by the deadline, by a person's word, with spec.retraining") {
  explore<int>({0, 1, 2}, [](Sim& s, const int& how) {
    Fixture f = training(s, JobFate::Is::Hangs);
    if (how == 1)
      s.then("cancels it", [&s] { return there(s) == 1; }, [&s] {
        s.world.update(ref(Kind::TrainingRun, kRun), [](Json& o) { o["spec"]["desiredState"] = "Cancelled"; }, "kubectl");
      });
    if (how == 2)
      s.then("takes retraining away", [&s] { return there(s) == 1; }, [f]() mutable { f.edit_spec([](Json& spec) { spec.erase("retraining"); }); });
    s.expect = [f, &s, how] {
      f.must_serve("m-v1");
      must(phase(s) == (how == 0 ? "Failed" : "Cancelled"), run_status(s).dump());
      must(there(s) == 0 && s.world.made(Kind::Workload) == 1, "left behind: " + std::to_string(there(s)));
    };
    s.always = [&s] { must(!run_status(s).contains("finishedAt") || there(s) == 0, "the run is over before what it runs is gone"); };
  });
}

TEST_CASE("trials by engine's objects run side by side, and the best of those that succeed goes on") {
  explore([](Sim& s) {
    Fixture f = training(s, JobFate::Is::Complete, [](Json& retraining) {
      retraining["trials"] = {{"parallelism", 2}, {"parameters", {{"lr", {"1", "2", "3"}}}}, {"objective", {{"metric", "f1"}}}};
    });
    s.controllers.job_fate = [](const std::string& name) { return JobFate{name.ends_with("-t0") ? JobFate::Is::Failed : JobFate::Is::Complete, ""}; };
    s.expect = [f, &s] {
      f.must_serve(made("m-run-000001-train-t1"));
      must(phase(s) == "Succeeded" && run_status(s)["result"]["trial"] == 1 && s.world.made(Kind::Workload) == 3, run_status(s).dump());
    };
  });
}

}  // namespace
}  // namespace mo::sim
