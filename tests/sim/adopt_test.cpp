// A Model that takes the place of a Deployment which served before it (spec.serving.adopt), and gives it back.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

const ObjectRef kOld = ref(Kind::Deployment, "old"), kService = ref(Kind::Service, "m"), kModel = ref(Kind::Model, "m");
const Json kPorts = {{{"port", 80}, {"protocol", "TCP"}, {"targetPort", 8080}}};

void make_service(Sim& s, const std::string& app = "old") { make_foreign_service(s.world, "m", app, kPorts); }
void make_old(Sim& s) {
  s.world.has_gateway = true;  // who follows EndpointSlices
  make_foreign_deployment(s.world, "old", 2);
}

Fixture adopting(Sim& s) {
  return usual(s, [](Json& spec) { spec["serving"]["adopt"] = {{"name", "old"}}; });
}

void must_have_left(Sim& s) { must(!s.world.find(kModel), "the Model is still there"); }

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
      must_have_left(s);
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
      must_have_left(s);
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
      must_have_left(s);
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

// Its status once said so, and then did not, without an end.
TEST_CASE("what cannot be adopted is said once, and nothing more is written") {
  explore([](Sim& s) {
    s.world.has_gateway = true;
    Fixture f = adopting(s);
    s.expect = [f] { must(f.reason("Stalled") == "AdoptionBlocked", f.status().dump()); };
  });
}

// A person puts back what the Model turned, labels or selector or both: as long as the Model is there it serves, and when it goes all is as it was.
TEST_CASE("what a person sets back of an adopted Service is turned again, and given back whole") {
  enum class What { Selector, Labels, Both };
  struct Case {
    What what;
    bool leaving;
  };
  explore<Case>({{What::Selector, false}, {What::Labels, false}, {What::Both, false}, {What::Selector, true}, {What::Labels, true}, {What::Both, true}},
                [](Sim& s, const Case& c) {
                  make_old(s);
                  make_service(s);
                  s.invariants.disturbed = true;
                  Fixture f = adopting(s);
                  const auto set_back = [&s, c] {
                    s.world.update(
                        kService,
                        [&](Json& o) {
                          if (c.what != What::Labels) o["spec"]["selector"] = {{"app", "old"}};
                          if (c.what != What::Selector) o["metadata"]["labels"] = {{"app.kubernetes.io/managed-by", "Helm"}};
                        },
                        "kubectl");
                  };
                  s.then("sets it back", [f, &s] { return f.is_ready()() && replicas(s) == 0; }, [=, &s] {
                    if (c.leaving) s.world.remove(kModel);
                    set_back();
                  });
                  s.expect = [=, &s] {
                    const Json& service = s.world.get(kService);
                    if (!c.leaving) return f.must_serve("m-v1"), must(service["spec"]["selector"]["modelops.dev/model"] == "m", service.dump());
                    must(replicas(s) == 2, "the Deployment has not got its pods back");
                    must(service["spec"]["selector"] == Json{{"app", "old"}} && service["spec"]["ports"] == kPorts, service.dump());
                    must(service["metadata"]["labels"] == Json{{"app.kubernetes.io/managed-by", "Helm"}}, service.dump());
                  };
                });
}

TEST_CASE("an adopted Service is nobody's, so that no garbage collector takes it with the Model") {
  explore([](Sim& s) {
    make_old(s);
    make_service(s);
    Fixture f = adopting(s);
    s.expect = [f, &s] {
      f.must_serve("m-v1");
      must(!s.world.get(kService)["metadata"].contains("ownerReferences"), s.world.get(kService).dump());
    };
  });
}

// What was recorded is what was there; whoever changes it before anything was touched has the last word.
TEST_CASE("what was changed before the Model took its place stays changed when the Model goes") {
  explore([](Sim& s) {
    make_old(s);
    make_service(s);
    Fixture f = adopting(s);
    s.controllers.pod_fate = [](const Json&) { return PodFate::Never; };
    s.invariants.disturbed = true;
    s.then("scales the old one", [&s] { return s.world.get(kModel)["metadata"].contains("finalizers"); }, [&s] {
      s.world.update(kOld, [](Json& o) { o["spec"]["replicas"] = 1; }, "kubectl");
      s.world.remove(kModel);
    });
    s.expect = [&s] {
      must_have_left(s);
      must(replicas(s) == 1, "a person's word is undone");
    };
  });
}

TEST_CASE("a finalizer of others stays when nothing is left to give back") {
  explore([](Sim& s) {
    make_old(s);
    Fixture f = adopting(s);
    s.then("holds it too", [&s] { return s.world.get(kModel)["metadata"].contains("finalizers"); },
           [&s] { s.world.update(kModel, [](Json& o) { o["metadata"]["finalizers"].push_back("example.com/hold"); }, "kubectl"); });
    s.then("deletes the Model", f.is_ready(), [&s] { s.world.remove(kModel); });
    s.expect = [&s] { must(s.world.get(kModel)["metadata"]["finalizers"] == Json{"example.com/hold"}, s.world.get(kModel)["metadata"].dump()); };
  });
}

TEST_CASE("a Model that adopts another Deployment later replaces that one too") {
  explore([](Sim& s) {
    make_old(s);
    make_service(s);
    make_foreign_deployment(s.world, "other", 1);
    const ObjectRef other = ref(Kind::Deployment, "other");
    Fixture f = adopting(s);
    s.then("takes adopt out", [f, &s] { return f.is_ready()() && replicas(s) == 0; }, [f]() mutable { f.edit_spec([](Json& model) { model["serving"].erase("adopt"); }); });
    s.then("adopts another", [&s] { return !s.world.get(kModel)["metadata"].contains("finalizers"); },
           [f]() mutable { f.edit_spec([](Json& model) { model["serving"]["adopt"] = {{"name", "other"}}; }); });
    s.then("deletes the Model", [&s, other] { return s.world.get(other)["spec"]["replicas"] == 0; }, [&s] { s.world.remove(kModel); });
    s.expect = [&s, other] {
      must_have_left(s);
      must(replicas(s) == 0 && s.world.get(other)["spec"]["replicas"] == 1, "the wrong one is given back");
      must(s.world.get(kService)["spec"]["selector"] == Json{{"app", "other"}}, s.world.get(kService).dump());
    };
  });
}

TEST_CASE("of two Models the second finds nothing to take the place of") {
  explore([](Sim& s) {
    make_old(s);
    Fixture f = adopting(s);
    f.make_version("n-v1", Json::object(), "n");
    s.then("makes another", [&s] { return replicas(s) == 0; }, [&s] {
      Json second = s.world.get(kModel);
      second["metadata"] = {{"name", "n"}};
      second["spec"]["version"] = "n-v1";
      second.erase("status");
      s.world.create(second, "kubectl");
    });
    s.expect = [&s] {
      const Json& second = s.world.get(ref(Kind::Model, "n"))["status"];
      must(second["message"].get<std::string>().find("has no replicas") != std::string::npos, second.dump());
      must(!second.contains("adopted"), second.dump());
    };
  });
}

// Deleting a Model ends, whatever the API server says.
TEST_CASE("a Model goes though its Service is not taken back") {
  explore([](Sim& s) {
    make_old(s);
    make_service(s);
    Fixture f = adopting(s);
    s.invariants.disturbed = true;
    s.then("deletes the Model", [f, &s] { return f.is_ready()() && replicas(s) == 0; }, [&s] {
      s.world.admission = [](const Apply& apply) -> std::optional<Error> {
        if (apply.target != kService) return {};
        return Error{ErrorKind::Forbidden, "a webhook says no", 403, "", {}};
      };
      s.world.remove(kModel);
    });
    s.expect = [&s] {
      must_have_left(s);
      must(replicas(s) == 2, "the Deployment has not got its pods back");
    };
  });
}

TEST_CASE("what fails at once when it is called does not cost the old pods") {
  explore([](Sim& s) {
    make_old(s);
    make_service(s);
    Fixture f = adopting(s);
    s.invariants.disturbed = true;
    s.controllers.pod_fate = [&s](const Json&) {
      return s.world.get(kService)["spec"]["selector"].contains("modelops.dev/model") ? PodFate::Never : PodFate::Ready;
    };
    s.then("its pods go", [&s] { return s.world.get(kService)["spec"]["selector"].contains("modelops.dev/model"); }, [&s] {
      for (const ObjectRef& pod : s.world.all(Kind::Pod)) s.world.remove(pod);
    });
    s.expect = [&s] { must(replicas(s) == 2, "the old pods are gone, and no new one is ready"); };
  });
}

}  // namespace
}  // namespace mo::sim
