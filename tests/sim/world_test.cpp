// Hands in what is ours: deletions, edits, objects of others, a Model that goes and comes back.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

TEST_CASE("a Deployment deleted by hand is made again") {
  explore([](Sim& s) {
    const Fixture f = usual(s);
    s.then("deletes it", f.serves("m-v1"), [&s] {
      s.invariants.disturbed = true;
      s.world.remove(ref(Kind::Deployment, "m-v1"));
    });
    s.expect = [f] { f.must_serve("m-v1"); };
  });
}

TEST_CASE("Deployments deleted in the middle of a canary") {
  explore<std::string>({"m-v1", "m-v2"}, [](Sim& s, const std::string& name) {
    Fixture f = usual(s);
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    s.then(
        "deletes it", [f] { return f.step(f.to("m-v2")) == 2; },
        [&s, name] {
          s.invariants.disturbed = true;
          if (s.world.find(ref(Kind::Deployment, name))) s.world.remove(ref(Kind::Deployment, name));
        });
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

// The operator made the Service anew and deleted the old pods in the same plan.
TEST_CASE("a Service deleted by hand when it has just turned does not cost the old pods at once") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    s.then(
        "deletes the Service",
        [f, &s] {
          return f.stable() == "m-v2" && s.world.find(ref(Kind::Deployment, "m-v1")) != nullptr;
        },
        [&s] {
          s.invariants.disturbed = true;
          s.world.remove(ref(Kind::Service, "m"));
        });
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

TEST_CASE("an edit by hand is put right") {
  explore([](Sim& s) {
    const Fixture f = usual(s);
    s.then("edits the image", f.serves("m-v1"), [&s] {
      s.invariants.disturbed = true;
      s.world.update(
          ref(Kind::Deployment, "m-v1"),
          [](Json& o) { o["spec"]["template"]["spec"]["containers"][0]["image"] = "mine:1"; },
          "kubectl-edit");
    });
    s.then(
        "edits the Service", [] { return true; },
        [&s] {
          s.world.update(
              ref(Kind::Service, "m"),
              [](Json& o) { o["spec"]["selector"]["modelops.dev/version"] = "m-v9"; }, "kubectl-edit");
        });
    s.expect = [f, &s] {
      f.must_serve("m-v1");
      for (const auto& pod : s.world.all(Kind::Pod))
        must(s.world.get(pod)["spec"]["containers"][0]["image"] == "model-server:dev", "the edit stays");
    };
  });
}

TEST_CASE("a Deployment scaled by hand is scaled back") {
  explore([](Sim& s) {
    const Fixture f = usual(s);
    s.then("scales it", f.serves("m-v1"), [&s] {
      s.invariants.disturbed = true;
      s.world.update(
          ref(Kind::Deployment, "m-v1"), [](Json& o) { o["spec"]["replicas"] = 7; }, "kubectl");
    });
    s.expect = [f] {
      f.must_serve("m-v1");
      must(f.ready_pods("m-v1") == 2, "pods");
    };
  });
}

TEST_CASE("the Service deleted in the middle of a canary") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    s.then(
        "deletes it", [f] { return f.step(f.to("m-v2")) == 2; },
        [&s] {
          if (s.world.find(ref(Kind::Service, "m"))) s.world.remove(ref(Kind::Service, "m"));
        });
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

TEST_CASE("a foreign Deployment of our name is left alone and said") {
  explore([](Sim& s) {
    Fixture f(s);
    f.make_runtime();
    f.make_version("m-v1");
    s.world.create(
        {{"kind", "Deployment"},
         {"metadata",
          {{"name", "m-v1"}, {"labels", {{"modelops.dev/model", "m"}, {"modelops.dev/version", "m-v1"}}}}},
         {"spec", {{"replicas", 1}, {"template", {{"spec", Json::object()}}}}}},
        "somebody");
    f.make_model();
    s.then(
        "takes it away", [f] { return f.reason() == "ApplyRefused"; },
        [f, &s] {
          must(f.status()["message"].get<std::string>().find("conflict") != std::string::npos,
               f.status()["message"]);
          s.world.remove(ref(Kind::Deployment, "m-v1"));
        });
    s.expect = [f] { f.must_serve("m-v1"); };
  });
}

TEST_CASE("what admission says is shown word for word and mending the spec mends the Model") {
  explore([](Sim& s) {
    Fixture f = usual(s, [](Json& spec) {
      spec["serving"]["template"] = {{"spec", {{"nodeSelector", "wrong"}}}};
    });
    s.world.admission = [](const Apply& apply) -> std::optional<Error> {
      if (apply.target.kind != Kind::Deployment ||
          apply.body.find("\"nodeSelector\":\"wrong\"") == std::string::npos)
        return {};
      return Error{ErrorKind::Invalid, "spec.template.spec.nodeSelector: Invalid value", 422, "Invalid", {}};
    };
    s.then(
        "mends the template", [f] { return f.reason() == "ApplyRefused"; },
        [f]() mutable {
          must(f.status()["message"].get<std::string>().find("nodeSelector: Invalid value") !=
                   std::string::npos,
               f.status()["message"]);
          f.edit_spec([](Json& spec) { spec["serving"].erase("template"); });
        });
    s.expect = [f] { f.must_serve("m-v1"); };
  });
}

TEST_CASE("a Model that is deleted leaves nothing behind") {
  explore<int>({0, 2, 5}, [](Sim& s, int step) {
    Fixture f = usual(s);
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    s.then(
        "deletes the Model", [f, step] { return f.step(f.to("m-v2")) >= step; },
        [&s] { s.world.remove(ref(Kind::Model, "m")); });
    s.expect = [&s] {
      for (Kind kind : {Kind::Deployment, Kind::Service, Kind::Pod, Kind::ModelRollout})
        must(s.world.all(kind).empty(), "left behind");
      must(s.world.all(Kind::ModelVersion).size() == 3, "the versions are people's");
    };
  });
}

TEST_CASE("a Model deleted and made again is a new one") {
  explore([](Sim& s) {
    Fixture f = usual(s, [](Json& spec) {
      spec["rollout"]["gates"].push_back(
          {{"name", "recorded"}, {"version", {{"metric", "f1"}}}, {"min", "0.9"}});
      spec["rollout"]["steps"].insert(spec["rollout"]["steps"].begin(), Json{{"gates", {"recorded"}}});
    });
    s.world.remove(ref(Kind::ModelVersion, "m-v1"));
    f.make_version("m-v1", {{"f1", "0.95"}});
    s.then("deletes it and makes it again", f.serves("m-v1"), [f, &s]() mutable {
      s.world.remove(ref(Kind::Model, "m"));
      f.make_model();
    });
    s.expect = [f] {
      f.must_serve("m-v1");
      f.must_be(f.to("m-v1"), "Succeeded");
      must(
          (*f.rollout(f.to("m-v1")))["metadata"]["ownerReferences"][0]["uid"] == f.model()["metadata"]["uid"],
          "a rollout of the old Model");
    };
  });
}

TEST_CASE("scaling up and down and to nothing") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    for (int replicas : {5, 1, 0, 3})
      s.then("scales to " + std::to_string(replicas), f.is_ready(), [f, replicas]() mutable {
        f.edit_spec([replicas](Json& spec) { spec["serving"]["replicas"] = replicas; });
      });
    s.expect = [f] {
      f.must_serve("m-v1");
      must(f.ready_pods("m-v1") == 3, "pods");
    };
  });
}

TEST_CASE("a new template reaches what serves by a rollout") {
  explore([](Sim& s) {
    s.op.metrics["accuracy m-v1"] = "0.95";
    Fixture f = usual(s, [](Json& spec) { spec["serving"]["replicas"] = 4; });
    s.then("changes the template", f.serves("m-v1"), [f]() mutable {
      f.edit_spec([](Json& spec) {
        spec["serving"]["template"] = {{"spec", {{"priorityClassName", "high"}}}};
      });
    });
    s.expect = [f, &s] {
      f.must_serve("m-v1");
      for (const auto& pod : s.world.all(Kind::Pod))
        must(s.world.get(pod)["spec"].value("priorityClassName", "") == "high", "an old pod");
    };
  });
}

TEST_CASE("a version whose record is gone serves on") {
  explore([](Sim& s) {
    const Fixture f = usual(s);
    s.then("deletes the record", f.serves("m-v1"), [&s] { s.world.remove(ref(Kind::ModelVersion, "m-v1")); });
    s.expect = [f] {
      must(f.stable() == "m-v1" && f.condition("Available") == "True" && f.condition("Stalled") == "True",
           f.status().dump(1));
      must(f.ready_pods("m-v1") == 2, "pods");
    };
  });
}

}  // namespace
}  // namespace mo::sim
