// A registry of models that is told which of its versions serves.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

constexpr const char* kMlflow = "https://mlflow.example";

std::string made(const std::string& bits) { return "m-" + digest(bits).substr(7, 10); }
bool is_mirror(const std::string& job) { return job.find("-mirror-") != std::string::npos; }

// Job m-run-000001-train brings version 8, the next version 9, and so on. Only those whose figure is set
// pass.
Fixture mirrored(Sim& s) {
  s.op.outside[kMlflow] = "7@100";
  s.op.job_result = [](const std::string& job) {
    if (is_mirror(job)) return std::string("https://mlflow.example: cannot reach it");
    const std::string version = std::to_string(7 + std::stoi(job.substr(job.find("-run-") + 5, 6)));
    return Json{
        {"apiVersion", "modelops.dev/v1alpha1"},
        {"kind", "RunResult"},
        {"metrics", {{"f1", "0.95"}}},
        {"artifact",
         {{"uri", "pvc://models/" + job},
          {"digest", digest(job)},
          {"format", {{"name", "rules"}, {"version", "1"}}}}},
        {"lineage",
         {{"parameters", {{"mlflow_url", kMlflow}, {"mlflow_model", "fraud"}, {"mlflow_version", version}}}}}}
        .dump();
  };
  return usual(s, [](Json& spec) {
    spec["retraining"]["triggers"] = Json::array({{{"name", "champion"},
                                                   {"registry",
                                                    {{"mlflow",
                                                      {{"url", kMlflow},
                                                       {"model", "fraud"},
                                                       {"alias", "champion"},
                                                       {"store", {{"claimName", "models"}}},
                                                       {"mirror", {{"servingAlias", "serving"}}}}}}}}});
    spec["track"] = "Promoted";
  });
}

std::string first_made() { return made("m-run-000001-train"); }
void passes(Sim& s, int run) {
  s.op.metrics["accuracy " + made("m-run-00000" + std::to_string(run) + "-train")] = "0.95";
}
void fails(Sim& s, int run) {
  s.op.metrics["accuracy " + made("m-run-00000" + std::to_string(run) + "-train")] = "0.5";
}

Json mirror(const Fixture& f) {
  return f.status().value("retraining", Json::object()).value("mirror", Json::object());
}
// The state of each version of the registry as status has it.
std::map<std::string, std::string> known(const Fixture& f) {
  std::map<std::string, std::string> states;
  for (const Json& one : mirror(f).value("versions", Json::array())) states[one["version"].get<std::string>()] = one["state"].get<std::string>();
  return states;
}
std::vector<ObjectRef> mirror_jobs(const Sim& s) {
  std::vector<ObjectRef> found;
  for (const ObjectRef& job : s.world.all(Kind::Job))
    if (is_mirror(job.key.name)) found.push_back(job);
  return found;
}
// That what status says is in the Job that ended last.
void must_be_told(const Fixture& f, const Sim& s) {
  must(mirror(f)["written"] == mirror(f)["change"] && !mirror(f).contains("job") &&
           !mirror(f).contains("message"),
       mirror(f).dump());
  const Json* newest = nullptr;
  for (const ObjectRef& ref : mirror_jobs(s)) {
    const Json& job = s.world.get(ref);
    const auto number = [](const Json& j) {
      return std::stoll(j["metadata"]["uid"].get<std::string>().substr(4));
    };
    if (!newest || number(job) > number(*newest)) newest = &job;
  }
  must(newest, "a Job");
  const std::string args = (*newest)["spec"]["template"]["spec"]["containers"][0]["args"].dump();
  for (const auto& [version, state] : known(f))
    must(args.find("\\\"state\\\":\\\"" + state + "\\\",\\\"version\\\":\\\"" + version + "\\\"") !=
             std::string::npos,
         args + " has no " + version + " " + state);
}
std::function<bool()> watches(const Fixture& f) {
  return [f] {
    return f.ready() && f.stable() == "m-v1" &&
           f.status().value("retraining", Json::object()).contains("datasets");
  };
}
void champion(Sim& s, int version) {
  s.op.outside[kMlflow] = std::to_string(version) + "@" + std::to_string(version) + "00";
}

TEST_CASE("a registry learns which version serves, and what became of the one before") {
  explore([](Sim& s) {
    Fixture f = mirrored(s);
    passes(s, 1);
    passes(s, 2);
    s.then("names another champion", watches(f), [&s] {
      must(mirror_jobs(s).empty(), "what serves is none of its versions");
      champion(s, 8);
    });
    s.then(
        "and another", [f] { return f.ready() && f.stable() == first_made(); }, [&s] { champion(s, 9); });
    s.expect = [f, &s] {
      f.must_serve(made("m-run-000002-train"));
      must(known(f) == std::map<std::string, std::string>{{"8", "Superseded"}, {"9", "Serving"}},
           mirror(f).dump());
      must_be_told(f, s);
      must(mirror_jobs(s).size() <= 3, "one Job for each change");
    };
  });
}

TEST_CASE("a registry learns which version was rolled back and why") {
  explore([](Sim& s) {
    Fixture f = mirrored(s);
    passes(s, 1);
    fails(s, 2);
    s.then("names another champion", watches(f), [&s] { champion(s, 8); });
    s.then(
        "names a bad one", [f] { return f.ready() && f.stable() == first_made(); }, [&s] { champion(s, 9); });
    s.expect = [f, &s] {
      must(f.stable() == first_made(), f.status().dump());
      must(known(f) == std::map<std::string, std::string>{{"8", "Serving"}, {"9", "RolledBack"}},
           mirror(f).dump());
      must(mirror(f)["versions"].dump().find("accuracy") != std::string::npos,
           "the gate: " + mirror(f).dump());
      must_be_told(f, s);
    };
  });
}

TEST_CASE("a registry that cannot be told holds up nothing, and is told when it can") {
  explore(2, [](Sim& s, size_t mends) {
    Fixture f = mirrored(s);
    passes(s, 1);
    auto away = std::make_shared<bool>(true);
    s.controllers.job_fate = [away](const std::string& job) {
      return JobFate{is_mirror(job) && *away ? JobFate::Is::Failed : JobFate::Is::Complete, ""};
    };
    s.then("names another champion", watches(f), [&s] { champion(s, 8); });
    if (mends)
      s.then(
          "mends it", [f] { return f.stable() == first_made() && mirror(f).value("attempts", 0) >= 2; },
          [away] { *away = false; });
    s.expect = [f, &s, mends] {
      f.must_serve(first_made());
      must(mirror_jobs(s).size() <= 4, "few are kept");
      if (mends) return must_be_told(f, s);
      must(mirror(f)["message"].get<std::string>().find("cannot reach it") != std::string::npos &&
               mirror(f).contains("retryAt"),
           mirror(f).dump());
    };
  });
}

TEST_CASE("a registry learns that nothing serves once the Model is retired") {
  explore([](Sim& s) {
    Fixture f = mirrored(s);
    passes(s, 1);
    s.then("names another champion", watches(f), [&s] { champion(s, 8); });
    s.then(
        "retires the Model", [f] { return f.ready() && f.stable() == first_made(); },
        [f]() mutable { f.edit_spec([](Json& spec) { spec["lifecycle"]["stage"] = "Retired"; }); });
    s.expect = [f, &s] {
      must(known(f) == std::map<std::string, std::string>{{"8", "Retired"}}, mirror(f).dump());
      must_be_told(f, s);
    };
  });
}

}  // namespace
}  // namespace mo::sim
