// Pod and Job templates that cannot be used: told at once, and harmless to what serves.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

void give(Fixture& f, const char* pod_template) {
  f.edit_spec([&](Json& spec) { spec["serving"]["template"] = Json::parse(pod_template); });
}

std::function<bool()> stalls_by(const Fixture& f, const std::string& words) {
  return [f, words] {
    return f.condition("Stalled") == "True" && f.reason("Stalled") == "InvalidTemplate" &&
           f.status().value("message", "").find(words) != std::string::npos;
  };
}

void must_serve_on(const Fixture& f) { must(f.condition("Available") == "True" && f.ready_pods("m-v1") > 0, "m-v1 serves no more"); }

TEST_CASE("a template that cannot be used stalls the Model, says where it is wrong, and what serves serves on") {
  explore([](Sim& s) {
    s.op.metrics["accuracy m-v1"] = "0.95";
    Fixture f = usual(s);
    s.then("leaves a variable without its name", f.serves("m-v1"), [f]() mutable {
      give(f, R"({"spec": {"containers": [{"name": "server", "env": [{"value": "a"}]}]}})");
    });
    s.then("writes a text for a mount", stalls_by(f, "spec.serving.template.spec.containers[0].env[0] has no name"), [f]() mutable {
      must_serve_on(f);
      give(f, R"({"spec": {"containers": [{"name": "server", "volumeMounts": ["tmp"]}]}})");
    });
    s.then("replaces what verifies", stalls_by(f, "spec.serving.template.spec.containers[0].volumeMounts[0] must be an object"), [f]() mutable {
      must_serve_on(f);
      give(f, R"({"spec": {"initContainers": [{"name": "modelops-fetch", "image": "evil:1"}]}})");
    });
    s.then("mends it", stalls_by(f, "initContainers[modelops-fetch] uses a name that the operator reserves"), [f]() mutable {
      must_serve_on(f);
      give(f, R"({"spec": {"containers": [{"name": "server", "env": [{"name": "A", "value": "a"}]}]}})");
    });
    s.expect = [f, &s] {
      f.must_serve("m-v1");
      const Json& server = s.world.get(ref(Kind::Deployment, f.status()["stableRevision"]["deployment"]))["spec"]["template"]["spec"]["containers"][0];
      must(server["env"].back()["name"] == "A", server.dump());
    };
  });
}

TEST_CASE("a Job template that cannot be used is told before a run is due, and starts none") {
  explore([](Sim& s) {
    s.op.job_result = [](const std::string&) { return "no RunResult"; };
    const auto training = [](const char* containers) {
      return Json::parse(std::string(R"({"template": {"spec": {"template": {"spec": {"containers": )") + containers + "}}}}}");
    };
    Fixture f = usual(s, [&](Json& spec) { spec["retraining"] = training(R"([{"image": "trainer:1"}])"); });
    s.then("asks for a run", stalls_by(f, "spec.retraining.template.spec.template.spec.containers[0] has no name"), [f]() mutable {
      f.edit_spec([](Json& spec) { spec["retraining"]["requestedAt"] = "2026-11-22T09:00:00Z"; });
    });
    s.then("mends it", [f] {
      return f.status().value("retraining", Json::object()).value("suppressed", "").find("it runs after that") != std::string::npos;
    }, [f, &s, training]() mutable {
      must(s.world.all(Kind::Job).empty(), "a run was started");
      f.edit_spec([&](Json& spec) { spec["retraining"]["template"] = training(R"([{"name": "train", "image": "trainer:1"}])")["template"]; });
    });
    s.expect = [f, &s] {
      must_serve_on(f);
      must(s.world.all(Kind::Job).size() == 1, "the run that was asked for came");
    };
  });
}

}  // namespace
}  // namespace mo::sim
