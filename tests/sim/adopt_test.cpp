// A Model that takes the place of a Deployment which served before it (spec.serving.adopt), and gives it back.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

const ObjectRef kOld = ref(Kind::Deployment, "old"), kService = ref(Kind::Service, "m"), kModel = ref(Kind::Model, "m");
const Json kPorts = {{{"port", 80}, {"protocol", "TCP"}, {"targetPort", 8080}}};

void make_old(Sim& s, int replicas = 2) {
  s.world.has_gateway = true;  // the time of a write is of importance
  s.world.create({{"kind", "Deployment"},
                  {"metadata", {{"name", "old"}}},
                  {"spec",
                   {{"replicas", replicas},
                    {"template", {{"metadata", {{"labels", {{"app", "old"}}}}}, {"spec", {{"containers", Json::array()}}}}}}},
                  {"status", {{"observedGeneration", 1}, {"replicas", replicas}, {"readyReplicas", replicas}}}},
                 "kubectl");
}

void make_service(Sim& s, const std::string& app = "old") {
  s.world.create({{"kind", "Service"},
                  {"metadata", {{"name", "m"}, {"labels", {{"app.kubernetes.io/managed-by", "Helm"}}}}},
                  {"spec", {{"selector", {{"app", app}}}, {"ports", kPorts}}}},
                 "kubectl");
}

Fixture adopting(Sim& s) {
  return usual(s, [](Json& spec) { spec["serving"]["adopt"] = {{"name", "old"}}; });
}

int replicas(Sim& s) { return s.world.get(kOld)["spec"]["replicas"]; }

TEST_CASE("a Deployment that served before serves until the Model can, and has its Service back before the Model is gone") {
  explore<bool>({true, false}, [](Sim& s, const bool& deleted) {
    make_old(s);
    make_service(s);
    Fixture f = adopting(s);
    const std::string uid = s.world.get(kService)["metadata"]["uid"];
    s.then("goes on", [f, &s] { return f.is_ready()() && replicas(s) == 0; }, [f, &s, deleted]() mutable {
      must(s.world.get(kService)["spec"]["ports"][0]["targetPort"] == "http", "its ports lead to the Model's pods");
      if (deleted)
        s.world.remove(kModel);
      else
        f.ask_for("m-v2");
    });
    s.expect = [f, &s, uid, deleted] {
      const Json& service = s.world.get(kService);
      must(service["metadata"]["uid"] == uid, "the Service was made anew");
      if (!deleted) return f.must_serve("m-v2"), must(replicas(s) == 0, "the old pods are back");
      must(!s.world.find(kModel), "the Model is still there");
      must(replicas(s) == 2, "the Deployment has not got its pods back");
      must(service["spec"]["selector"] == Json{{"app", "old"}} && service["spec"]["ports"] == kPorts, service.dump());
      must(service["metadata"]["labels"] == Json{{"app.kubernetes.io/managed-by", "Helm"}} && !service["metadata"].contains("ownerReferences"), service.dump());
    };
  });
}

TEST_CASE("a Deployment without a Service of the Model's name is replaced all the same") {
  explore([](Sim& s) {
    make_old(s);
    Fixture f = adopting(s);
    s.then("takes adopt out", [f, &s] { return f.is_ready()() && replicas(s) == 0; },
           [f]() mutable { f.edit_spec([](Json& model) { model["serving"].erase("adopt"); }); });
    s.then("deletes the Model", [&s] { return !s.world.get(kModel)["metadata"].contains("finalizers"); }, [&s] { s.world.remove(kModel); });
    s.expect = [&s] {
      must(!s.world.find(kModel), "the Model is still there");
      must(replicas(s) == 0, "what stays with the Model is given back");
    };
  });
}

TEST_CASE("a Model that is deleted before it serves leaves everything as it was") {
  explore([](Sim& s) {
    make_old(s);
    make_service(s);
    Fixture f = adopting(s);
    s.controllers.pod_fate = [](const Json&) { return PodFate::Never; };
    s.invariants.disturbed = true;
    s.then("gives up", [&s] { return s.world.get(kModel)["metadata"].contains("finalizers"); }, [&s] { s.world.remove(kModel); });
    s.expect = [&s] {
      must(!s.world.find(kModel), "the Model is still there");
      must(replicas(s) == 2 && s.world.get(kService)["spec"]["selector"] == Json{{"app", "old"}}, "it is not as it was");
    };
  });
}

TEST_CASE("what cannot be adopted blocks with a sentence, and goes on once it can") {
  enum class Way { Missing, OtherPods };
  explore<Way>({Way::Missing, Way::OtherPods}, [](Sim& s, const Way& way) {
    if (way == Way::OtherPods) make_old(s), make_service(s, "another");
    s.world.has_gateway = true;
    Fixture f = adopting(s);
    s.then("reads, and mends it", [f] { return f.reason("Stalled") == "AdoptionBlocked"; }, [f, &s, way] {
      const std::string message = f.status()["message"];
      const char* word = way == Way::Missing ? "does not exist" : "selects other pods";
      must(message.find(word) != std::string::npos, message);
      if (way == Way::Missing)
        make_old(s);
      else
        s.world.update(kService, [](Json& o) { o["spec"]["selector"] = {{"app", "old"}}; }, "kubectl");
    });
    s.expect = [f, &s] {
      f.must_serve("m-v1");
      must(replicas(s) == 0, "the old pods are still there");
    };
  });
}

}  // namespace
}  // namespace mo::sim
