// Mistakes that no schema can see: status names the object, the field and the way out, and gets well once they are mended.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

bool says(const Json& status, const std::string& words) { return status.value("message", "").find(words) != std::string::npos; }

std::function<bool()> stalled(const Fixture& f, const std::string& reason) {
  return [f, reason] { return f.condition("Stalled") == "True" && f.reason("Stalled") == reason; };
}

TEST_CASE("an artifact's ConfigMap that goes under a version that serves is told, and what serves serves on") {
  explore([](Sim& s) {
    const Fixture f = usual(s);
    s.then("deletes the ConfigMap", f.serves("m-v1"), [&s] { s.world.remove(ref(Kind::ConfigMap, "artifacts")); });
    s.then("makes it again", stalled(f, "ArtifactNotFound"), [f, &s] {
      must(says(f.status(), "ConfigMap artifacts, which holds its artifact, does not exist any more") && says(f.status(), "Create it again"), f.status().dump());
      must(f.condition("Available") == "True" && f.ready_pods("m-v1") == 2, "m-v1 should serve on");
      s.world.create({{"kind", "ConfigMap"}, {"metadata", {{"name", "artifacts"}}}, {"data", Json::object()}}, "kubectl");
    });
    s.expect = [f] { f.must_serve("m-v1"); };
  });
}

TEST_CASE("of two Models with one hostname on one Gateway the later is told which one gets the requests") {
  explore([](Sim& s) {
    s.world.has_gateway = true;
    const Json route = {{"parentRefs", {{{"name", "gw"}}}}, {"hostnames", {"m.example.com"}}};
    const Fixture f = usual(s, [&](Json& spec) { spec["serving"]["route"] = route; });
    Fixture(f).make_version("other-v1", Json::object(), "other");
    s.then("makes another Model", f.serves("m-v1"), [f, &s, route] {
      s.world.create({{"kind", "Model"},
                      {"metadata", {{"name", "other"}}},
                      {"spec", {{"version", "other-v1"}, {"serving", {{"replicas", 1}, {"route", route}}}}}},
                     "kubectl");
    });
    const auto other = [&s] { return s.world.get(ref(Kind::Model, "other")).value("status", Json::object()); };
    s.then("gives it a hostname of its own", [other] { return other().value("phase", "") == "Degraded"; }, [f, &s, other] {
      must(says(other(), "requests for hostname m.example.com on this Gateway go to Model ns/m, whose HTTPRoute is older"), other().dump());
      must(f.ready(), "m had it first");
      s.world.update(
          ref(Kind::Model, "other"), [](Json& o) { o["spec"]["serving"]["route"]["hostnames"] = {"other.example.com"}; }, "kubectl");
    });
    s.expect = [f, other] {
      f.must_serve("m-v1");
      must(other().value("phase", "") == "Ready", other().dump());
    };
  });
}

TEST_CASE("a Service of the Model's name that is somebody else's is told with whose it is") {
  explore([](Sim& s) {
    const Fixture f = usual(s);
    make_foreign_service(s.world, "m", "shop", {{{"port", 80}}});
    s.then(
        "deletes it",
        [f] { return f.condition("Stalled") == "True" && f.reason("Stalled") == "ServiceNameTaken" && says(f.status(), "but to Helm"); },
        [f, &s] {
          must(says(f.status(), "Service m already exists and does not belong to this Model, but to Helm (label app.kubernetes.io/managed-by): delete or rename it"), f.status().dump());
          s.world.remove(ref(Kind::Service, "m"));
        });
    s.expect = [f] { f.must_serve("m-v1"); };
  });
}

TEST_CASE("a small weight of few replicas tells how many pods it takes") {
  explore([](Sim& s) {
    Fixture f = usual(s, [](Json& spec) { spec["rollout"]["steps"] = Json::parse(R"([{"weight": 5}, {"pause": {}}])"); });
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    s.then(
        "reads it", [f] { return says(f.status(), "at 5% (needs 19 pods of m-v1 beside 1, because without spec.serving.route the pod counts make the weight)"); }, [] {});
    s.expect = [f] { must(f.ready_pods("m-v1") == 19 && f.ready_pods("m-v2") == 1, "19 and 1 pods"); };
  });
}

TEST_CASE("a schedule that never comes is told") {
  explore([](Sim& s) {
    Fixture f = usual(s, [](Json& spec) {
      spec["retraining"] = {
          {"triggers", {{{"name", "never"}, {"schedule", {{"cron", "0 0 31 2 *"}}}}}},
          {"template", {{"spec", {{"template", {{"spec", {{"containers", {{{"name", "train"}, {"image", "trainer:1"}}}}}}}}}}}}};
    });
    s.then("mends it", stalled(f, "InvalidSchedule"), [f]() mutable {
      must(says(f.status(), "retraining trigger never: schedule.cron \"0 0 31 2 *\" has no occurrence within the next five years"), f.status().dump());
      f.edit_spec([](Json& spec) { spec["retraining"].erase("triggers"); });
    });
    s.expect = [f] { f.must_serve("m-v1"); };
  });
}

}  // namespace
}  // namespace mo::sim
