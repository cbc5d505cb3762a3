// Triggers that look outside of the cluster: data behind an address, a tag, and a registry of models.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

constexpr const char* kData = "https://data.example/payments";
constexpr const char* kTag = "registry.example/data:latest";
constexpr const char* kMlflow = "https://mlflow.example";

std::string made(const std::string& bits) { return "m-" + digest(bits).substr(7, 10); }

// Job m-run-000001-train makes other bits than the next.
std::string run_result(const std::string& job) {
  return Json{
      {"apiVersion", "modelops.dev/v1alpha1"},
      {"kind", "RunResult"},
      {"metrics", {{"f1", "0.95"}}},
      {"artifact", {{"uri", "pvc://models/" + job}, {"digest", digest(job)}, {"format", {{"name", "rules"}, {"version", "1"}}}}}}
      .dump();
}

const Json kWatchesData = {{"name", "data"}, {"dataset", {{"http", {{"url", kData}}}}}};
const Json kWatchesTag = {{"name", "tag"}, {"dataset", {{"oci", {{"reference", kTag}}}}}};
const Json kImports = {
    {"name", "champion"},
    {"registry",
     {{"mlflow", {{"url", kMlflow}, {"model", "fraud"}, {"alias", "champion"}, {"store", {{"claimName", "models"}}}}}}}};

Fixture watching(Sim& s, const Json& triggers, bool trains = true) {
  s.op.job_result = run_result;
  for (int run = 1; run < 6; ++run) s.op.metrics["accuracy " + made("m-run-00000" + std::to_string(run) + "-train")] = "0.95";
  return usual(s, [&](Json& spec) {
    spec["retraining"] = {{"triggers", triggers}};
    if (trains)
      spec["retraining"]["template"] = {
          {"spec", {{"template", {{"spec", {{"containers", {{{"name", "train"}, {"image", "trainer:1"}}}}}}}}}}};
    spec["track"] = "Promoted";
  });
}

size_t jobs(const Sim& s) { return s.world.all(Kind::Job).size(); }
Json retraining(const Fixture& f) { return f.status().value("retraining", Json::object()); }
std::string suppressed(const Fixture& f) { return retraining(f).value("suppressed", ""); }
// Whether status says that this word was found there.
std::function<bool()> knows(const Fixture& f, const std::string& word) {
  return [f, word] {
    return f.ready() && retraining(f).value("datasets", Json::array()).dump().find("\"" + word + "\"") != std::string::npos;
  };
}
std::function<void()> put(Sim& s, const char* address, const std::string& word) {
  return [&s, address, word] { s.op.outside[address] = word; };
}

TEST_CASE("data outside that changes starts one run for each change, and none for what was there at first") {
  explore(2, [](Sim& s, size_t variant) {
    const char* const where = variant ? kTag : kData;
    Fixture f = watching(s, Json::array({variant ? kWatchesTag : kWatchesData}));
    s.op.outside[where] = "one";
    s.then(
        "changes the data", [f, k = knows(f, "one")] { return f.stable() == "m-v1" && k(); },
        [&s, where] {
          must(s.world.all(Kind::TrainingRun).empty(), "the first look only takes note");
          put(s, where, "two")();
        });
    s.then(
        "changes it back", [f, k = knows(f, "two")] { return f.stable() == made("m-run-000001-train") && k(); },
        put(s, where, "one"));
    s.expect = [f, &s] {
      f.must_serve(made("m-run-000002-train"));
      must(jobs(s) == 2 && retraining(f)["runNumber"] == 2, "two runs: " + retraining(f).dump());
    };
  });
}

TEST_CASE("data that is away is told, starts nothing, and is seen when it comes back") {
  explore([](Sim& s) {
    Fixture f = watching(s, Json::array({kWatchesData}));
    s.op.outside[kData] = "one";
    s.then(
        "loses the server", [f, k = knows(f, "one")] { return f.stable() == "m-v1" && k(); }, [&s] { s.op.outside.clear(); });
    s.then(
        "mends it, with other data", [f] { return suppressed(f) == std::string("trigger data: ") + kData + " is away"; },
        [f, &s] {
          must(f.ready() && jobs(s) == 0, "what serves goes on");
          put(s, kData, "two")();
        });
    s.expect = [f, &s] {
      f.must_serve(made("m-run-000001-train"));
      must(jobs(s) == 1 && suppressed(f).empty(), retraining(f).dump());
    };
  });
}

TEST_CASE("two places that change at once make one run") {
  explore([](Sim& s) {
    Fixture f = watching(s, Json::array({kWatchesData, kWatchesTag}));
    s.op.outside = {{kData, "one"}, {kTag, "one"}};
    s.then(
        "changes both", [a = knows(f, "one"), f] { return f.stable() == "m-v1" && a() && retraining(f)["datasets"].size() == 2; },
        [&s] {
          s.op.outside = {{kData, "two"}, {kTag, "two"}};
        });
    s.expect = [f, &s] {
      must(f.stable() != "m-v1", "trained");
      // Where one was seen before the other they are two causes.
      must(retraining(f)["runNumber"] <= 2 && jobs(s) == retraining(f)["runNumber"].get<size_t>(), retraining(f).dump());
    };
  });
}

TEST_CASE("a new champion of a registry is imported and rolled out, and so is the one before when the alias goes back") {
  explore([](Sim& s) {
    Fixture f = watching(s, Json::array({kImports}), false);
    s.op.outside[kMlflow] = "7@100";
    s.then(
        "names another champion", [f, k = knows(f, "7@100")] { return f.stable() == "m-v1" && k(); }, put(s, kMlflow, "8@200"));
    s.then(
        "goes back", [f] { return f.ready() && f.stable() == made("m-run-000001-train"); },
        [f, &s] {
          const Json& run = s.world.get(ref(Kind::TrainingRun, "m-run-000001"));
          must(run["spec"]["parameters"] == Json{{"mlflow_version", "8"}} && run["spec"]["trigger"]["kind"] == "Registry",
               run.dump());
          put(s, kMlflow, "7@100")();
        });
    s.expect = [f, &s] {
      f.must_serve(made("m-run-000002-train"));
      must(jobs(s) == 2, "one import for each");
      must(s.world.get(ref(Kind::TrainingRun, "m-run-000002"))["spec"]["parameters"]["mlflow_version"] == "7",
           "the version that the alias names");
    };
  });
}

TEST_CASE("the first version comes from the registry") {
  explore([](Sim& s) {
    Fixture f = watching(s, Json::array({kImports}), false);
    f.edit_spec([](Json& spec) { spec.erase("version"); });
    s.then(
        "names a champion", [f] { return suppressed(f).find("is away") != std::string::npos || f.stable() == "m-v1"; },
        put(s, kMlflow, "1@100"));
    s.expect = [f, &s] {
      // Where the operator saw the version that was asked for at first, the champion is what there was.
      must(f.stable() == made("m-run-000001-train") || f.stable() == "m-v1", f.status().dump());
      must(jobs(s) <= 1, "one import");
    };
  });
}

TEST_CASE("an import that fails leaves what serves alone and says why") {
  explore([](Sim& s) {
    Fixture f = watching(s, Json::array({kImports}), false);
    s.controllers.job_fate = [](const std::string&) { return JobFate{JobFate::Is::Failed, "BackoffLimitExceeded"}; };
    s.op.job_result = [](const std::string&) { return "https://mlflow.example: MLflow requires credentials"; };
    s.op.outside[kMlflow] = "7@100";
    s.then(
        "names another champion", [f, k = knows(f, "7@100")] { return f.stable() == "m-v1" && k(); }, put(s, kMlflow, "8@200"));
    s.expect = [f, &s] {
      f.must_serve("m-v1");
      must(jobs(s) == 1 && retraining(f)["lastResult"].get<std::string>().find("MLflow requires credentials") != std::string::npos,
           retraining(f).dump());
    };
  });
}

TEST_CASE("training and an import answer each their own cause") {
  explore([](Sim& s) {
    Fixture f = watching(s, Json::array({kImports, kWatchesData}));
    s.op.outside = {{kMlflow, "7@100"}, {kData, "one"}};
    s.then(
        "changes both", [f, a = knows(f, "7@100"), b = knows(f, "one")] { return f.stable() == "m-v1" && a() && b(); },
        [&s] {
          s.op.outside = {{kMlflow, "8@200"}, {kData, "two"}};
        });
    s.expect = [f, &s] {
      must(jobs(s) == 2 && knows(f, "8@200")() && knows(f, "two")(), retraining(f).dump());
      int imported = 0;
      for (const ObjectRef& run : s.world.all(Kind::TrainingRun))
        imported += s.world.get(run)["spec"]["trigger"]["kind"] == "Registry";
      must(imported == 1, "one import and one training");
    };
  });
}

}  // namespace
}  // namespace mo::sim
