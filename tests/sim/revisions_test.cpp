// What serves keeps its pod template until a rollout brings another: edits of the Model's template, of its ModelRuntime, and another operator.
#include <catch2/catch.hpp>

#include "tests/sim/images.h"

namespace mo::sim {
namespace {

std::vector<std::string> pods_now(const Fixture& f) {
  std::vector<std::string> names;
  for (const auto& pod : f.s.world.truth.pods.of_model({kNamespace, "m"})) names.push_back(pod->meta.key.name);
  return names;
}

struct Variant {
  const char* name;
  std::function<void(Json& spec)> edit;
  bool gateway = false;
};

const std::vector<Variant>& variants() {
  static const std::vector<Variant> all = {
      {"Canary by replicas", [](Json&) {}},
      {"Canary by a route", [](Json& spec) { spec["serving"]["route"] = {{"parentRefs", {{{"name", "gw"}}}}}; }, true},
      {"BlueGreen", [](Json& spec) { spec["rollout"]["strategy"] = "BlueGreen", spec["rollout"]["steps"] = Json::parse(R"([{"gates": ["accuracy"]}, {"weight": 100}])"); }},
      {"Recreate", [](Json& spec) { spec["rollout"]["strategy"] = "Recreate", spec["rollout"]["steps"] = Json::array(); }},
      {"little room", [](Json& spec) { spec["serving"]["maxSurge"] = 1, spec["rollout"]["steps"] = Json::parse(R"([{"weight": 50}, {"gates": ["accuracy"]}])"); }},
  };
  return all;
}

TEST_CASE("another pod template of the same version goes by the steps") {
  explore<Variant>(variants(), [](Sim& s, const Variant& variant) {
    s.world.has_gateway = variant.gateway;
    Fixture f = asking_for_image(s, variant.edit);
    s.expect = [f] {
      f.must_serve("m-v1");
      must_run(f, "m-v1", "two");
      f.must_be(f.to("m-v1"), "Succeeded");
      must(f.count_rollouts("m-v1") == 1, "more than one rollout");
      const Json& status = (*f.rollout(f.to("m-v1")))["status"];
      must(status["revision"]["name"] == stable_revision(f)["name"] && status["fromRevision"]["name"] != stable_revision(f)["name"], status.dump(1));
      must(status["to"].get<std::string>().starts_with("m-v1 (template ") && status["from"].get<std::string>().starts_with("m-v1 (template "), status.dump(1));
      must(f.s.world.all(Kind::Deployment).size() == 1, "a Deployment is left over");
    };
  });
}

TEST_CASE("a pod template that fails its gate comes back by itself, and stays down") {
  explore<Variant>({variants()[0], variants()[1], variants()[2], variants()[4]}, [](Sim& s, const Variant& variant) {
    s.world.has_gateway = variant.gateway;
    Fixture f = asking_for_image(s, variant.edit);
    s.op.metrics["accuracy m-v1"] = "0.5";
    s.invariants.must_not_pass.insert("accuracy/m-v1");
    s.expect = [f] {
      f.must_be_degraded("RolledBack", "m-v1");
      must_run(f, "m-v1", "one");
      f.must_be(f.to("m-v1"), "RolledBack");
      must(f.count_rollouts("m-v1") == 1, "it was tried again");
      must(f.version_phase("m-v1") == "Serving", f.version_phase("m-v1"));
      must(f.s.world.all(Kind::Deployment).size() == 1, "a Deployment is left over");
    };
  });
}

TEST_CASE("a template whose pods never get ready leaves what serves alone") {
  explore([](Sim& s) {
    Fixture f = asking_for_image(s);
    s.controllers.pod_fate = [](const Json& pod) { return image_of(pod) == "two" ? PodFate::Never : PodFate::Ready; };
    s.expect = [f] {
      f.must_be_degraded("RolledBack", "m-v1");
      must_run(f, "m-v1", "one");
    };
  });
}

TEST_CASE("back to the template that serves ends the rollout of another at once") {
  explore([](Sim& s) {
    Fixture f = asking_for_image(s);
    s.then("changes its mind", [f] { return f.weight(f.to("m-v1")) > 0; },
           [f]() mutable { f.edit_spec([](Json& spec) { set_image(spec, "one"); }); });
    s.expect = [f] {
      f.must_serve("m-v1");
      must_run(f, "m-v1", "one");
      f.must_be(f.to("m-v1"), "Superseded");
      must(f.count_rollouts("m-v1") == 1, "another rollout was made");
    };
  });
}

TEST_CASE("a third template takes the place of the second on its way") {
  explore([](Sim& s) {
    Fixture f = asking_for_image(s);
    s.then("asks for a third", [f] { return f.phase(f.to("m-v1")) == "Progressing"; },
           [f]() mutable { f.edit_spec([](Json& spec) { set_image(spec, "three"); }); });
    s.expect = [f] {
      f.must_serve("m-v1");
      must_run(f, "m-v1", "three");
      f.must_be(f.to("m-v1"), "Succeeded");
    };
  });
}

TEST_CASE("version and template in one edit are one rollout") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    s.then("asks for both", f.serves("m-v1"), [f]() mutable {
      f.edit_spec([](Json& spec) { spec["version"] = "m-v2", set_image(spec, "two"); });
    });
    s.expect = [f] {
      f.must_serve("m-v2");
      must_run(f, "m-v2", "two");
      must(f.count_rollouts("m-v2") == 1 && f.count_rollouts("m-v1") == 0, "another rollout was made");
    };
  });
}

// The runtime's own values, and what the API server takes for granted.
TEST_CASE("a template that means the same starts nothing") {
  explore<std::string>({R"({"image": "model-server:dev"})", R"({"imagePullPolicy": "IfNotPresent", "resources": {}, "terminationMessagePolicy": "File"})"}, [](Sim& s, const std::string& words) {
    Fixture f = usual(s);
    s.then("says what is so", f.serves("m-v1"), [f, words]() mutable {
      Json server = Json::parse(words);
      server["name"] = "server";
      f.edit_spec([&](Json& spec) { spec["serving"]["template"] = {{"spec", {{"dnsPolicy", "ClusterFirst"}, {"containers", {server}}}}}; });
    });
    s.expect = [f] {
      f.must_serve("m-v1");
      must(f.count_rollouts("m-v1") == 0, "a rollout was made");
    };
  });
}

TEST_CASE("replicas, autoscaling, hostnames, steps and labels of people are no revision and act at once") {
  explore([](Sim& s) {
    s.world.has_gateway = true;
    Fixture f = usual(s, [](Json& spec) { spec["serving"]["route"] = {{"parentRefs", {{{"name", "gw"}}}}, {"hostnames", {"a.example.com"}}}; });
    auto before = std::make_shared<std::vector<std::string>>();
    s.then("says them", f.serves("m-v1"), [f, before, &s]() mutable {
      *before = pods_now(f);
      f.edit_spec([](Json& spec) {
        spec["serving"]["replicas"] = 3, spec["serving"]["route"]["hostnames"] = {"b.example.com"};
        spec["rollout"]["steps"] = Json::array();
      });
      s.world.update(ref(Kind::Model, "m"), [](Json& o) { o["metadata"]["labels"]["team"] = "payments"; }, "kubectl");
    });
    s.then("has it scaled", [f] { return f.is_ready()() && f.ready_pods("m-v1") == 3; },
           [f]() mutable { f.edit_spec([](Json& spec) { spec["serving"]["autoscaling"] = {{"minReplicas", 3}, {"maxReplicas", 5}}; }); });
    s.expect = [f, before] {
      f.must_serve("m-v1");
      const auto now = pods_now(f);
      must(std::includes(now.begin(), now.end(), before->begin(), before->end()), "pods were made anew");
      must(f.s.world.all(Kind::ModelRollout).empty(), "a rollout was made");
      must(f.s.world.get(ref(Kind::HttpRoute, "m"))["spec"]["hostnames"] == Json({"b.example.com"}), "hostnames");
    };
  });
}

TEST_CASE("an edit of the ModelRuntime waits for a rollout") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    auto before = std::make_shared<std::vector<std::string>>();
    s.then("edits the runtime", f.is_ready(), [f, before, &s] {
      *before = pods_now(f);
      edit_runtime(s.world, "patched");
    });
    s.expect = [f, before] {
      f.must_serve("m-v1");
      must_run(f, "m-v1", "model-server:dev");
      must(pods_now(f) == *before, "pods were made anew");
      must(f.condition("RuntimeOutdated") == "True", f.status().dump(1));
    };
  });
}

TEST_CASE("a ModelRollout to what serves takes the newest runtime, once") {
  explore([](Sim& s) {
    s.op.metrics["accuracy m-v1"] = "0.95";
    Fixture f = usual(s);
    s.then("edits the runtime", f.is_ready(), [&s] { edit_runtime(s.world, "patched"); });
    s.then("asks for it", [f] { return f.condition("RuntimeOutdated") == "True"; }, [f]() mutable { f.make_rollout("fresh", "m-v1"); });
    s.then("asks again", [f] { return f.phase("fresh") == "Succeeded" && f.ready(); }, [f]() mutable { f.make_rollout("again", "m-v1"); });
    s.expect = [f] {
      f.must_serve("m-v1");
      must_run(f, "m-v1", "patched");
      f.must_be("fresh", "Succeeded");
      f.must_be("again", "Failed");
      must(f.condition("RuntimeOutdated") != "True", f.status().dump(1));
    };
  });
}

TEST_CASE("another image of the operator changes no pod") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    auto before = std::make_shared<std::vector<std::string>>();
    s.then("another operator comes", f.is_ready(), [f, before, &s] {
      *before = pods_now(f);
      s.op.fetch_image = "operator:2";
      s.op.restart();
    });
    s.then("people scale it", f.is_ready(), [f]() mutable { f.edit_spec([](Json& spec) { spec["serving"]["replicas"] = 3; }); });
    s.expect = [f, before] {
      f.must_serve("m-v1");
      const auto now = pods_now(f);
      must(std::includes(now.begin(), now.end(), before->begin(), before->end()) && now.size() == 3, "pods were made anew");
    };
  });
}

TEST_CASE("a Deployment that people deleted comes back as it was, whatever the spec says now") {
  explore([](Sim& s) {
    s.invariants.disturbed = true;
    Fixture f = asking_for_image(s);
    s.op.metrics["accuracy m-v1"] = "0.5";
    s.then("deletes what serves", [f] { return f.reason() == "RolledBack"; },
           [f, &s] { s.world.remove(ref(Kind::Deployment, stable_revision(f)["deployment"])); });
    s.expect = [f] {
      f.must_be_degraded("RolledBack", "m-v1");
      must_run(f, "m-v1", "one");
    };
  });
}

// As an operator left it that knew no revisions.
void forget_revisions(World& world) {
  const auto forget = [](Json& metadata) { metadata["labels"].erase(api::kLabelRevision); };
  world.update(ref(Kind::Deployment, "m-v1"), [&](Json& o) { forget(o["metadata"]), forget(o["spec"]["template"]["metadata"]); }, "model-operator");
  world.update(ref(Kind::Service, "m"), [](Json& o) { o["spec"]["selector"].erase(api::kLabelRevision); }, "model-operator");
  for (const ObjectRef& pod : world.all(Kind::Pod)) world.update(pod, [&](Json& o) { forget(o["metadata"]); }, "kubelet");
  world.update(ref(Kind::Model, "m"), [](Json& o) { o["status"].erase("stableRevision"); }, "model-operator");
}

TEST_CASE("what an operator made that knew no revisions is taken over, and rolled on") {
  explore<Variant>(variants(), [](Sim& s, const Variant& variant) {
    s.world.has_gateway = variant.gateway;
    s.invariants.disturbed = true;  // the way back in time takes pods away
    s.op.metrics["accuracy m-v1"] = "0.95";
    Fixture f = usual(s, [&](Json& spec) {
      set_image(spec, "one");
      variant.edit(spec);
    });
    s.then("is as before", f.serves("m-v1"), [&s] {
      forget_revisions(s.world);
      s.op.restart();
    });
    s.then("asks for another image", [f] { return f.is_ready()() && stable_revision(f).value("unlabelled", false) && f.ready_pods("m-v1") == 2; },
           [f, &s]() mutable {
             s.invariants.disturbed = false;
             f.edit_spec([](Json& spec) { set_image(spec, "two"); });
           });
    s.expect = [f] {
      f.must_serve("m-v1");
      must_run(f, "m-v1", "two");
      must(!stable_revision(f).value("unlabelled", false), f.status().dump(1));
      must(f.s.world.all(Kind::Deployment).size() == 1, "a Deployment is left over");
    };
  });
}

}  // namespace
}  // namespace mo::sim
