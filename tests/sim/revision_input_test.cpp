// What people may do wrong, or too often, with pod templates: what serves serves on, nobody else's object is touched, and the words say why.
#include <catch2/catch.hpp>

#include "tests/sim/images.h"

namespace mo::sim {
namespace {

TEST_CASE("a template that the API server refuses leaves what serves, and is told in its words") {
  explore<int>({0, 1}, [](Sim& s, const int& mended) {
    Fixture f = asking_for_image(s);
    s.world.admission = [](const Apply& apply) -> std::optional<Error> {
      if (apply.target.kind != Kind::Deployment || apply.body.find(R"("image":"two")") == std::string::npos) return {};
      return Error{ErrorKind::Invalid, "spec.template.spec.containers[0].image: Invalid value", 422, "Invalid", {}};
    };
    const auto told = [f] { return f.status().value("message", "").find("containers[0].image: Invalid value") != std::string::npos; };
    s.then("reads why", told, [f, mended]() mutable {
      must(f.condition("Available") == "True" && f.stable() == "m-v1", f.status().dump(1));
      if (mended) f.edit_spec([](Json& spec) { set_image(spec, "three"); });
    });
    s.expect = [f, mended] {
      must_run(f, "m-v1", mended ? "three" : "one");
      if (mended) return f.must_serve("m-v1");
      must(f.phase(f.to("m-v1")) != "Succeeded" && f.condition("Ready") == "False", f.status().dump(1));
    };
  });
}

TEST_CASE("a template that goes there and back and there again while a rollout runs is rolled out a second time") {
  explore([](Sim& s) {
    Fixture f = asking_for_image(s);
    const auto under_way = [f] { return f.weight(f.to("m-v1")) > 0 && f.phase(f.to("m-v1")) == "Progressing"; };
    const auto ask = [f](const char* image) { return [f, image]() mutable { f.edit_spec([&](Json& spec) { set_image(spec, image); }); }; };
    s.then("changes its mind", under_way, ask("one"));
    s.then("and again, at once", [] { return true; }, ask("two"));
    s.then("and back", [f] { return f.status()["observedGeneration"] == f.model()["metadata"]["generation"]; }, ask("one"));
    s.then("and again, once that serves", f.is_ready(), ask("two"));
    s.expect = [f] {
      f.must_serve("m-v1");
      must_run(f, "m-v1", "two");
      int succeeded = 0;
      for (const ObjectRef& r : f.s.world.all(Kind::ModelRollout)) {
        const std::string phase = f.phase(r.key.name);
        must(phase == "Superseded" || phase == "Succeeded", r.key.name + " is " + phase);
        succeeded += phase == "Succeeded";
      }
      must(succeeded >= 1, "no rollout succeeded");
      must(f.s.world.all(Kind::Deployment).size() == 1, "a Deployment is left over");
    };
  });
}

// The name of the Deployment that the second template would get.
std::string second_deployment() {
  Sim s;
  Fixture f = asking_for_image(s);
  s.expect = [] {};
  s.run({});
  return stable_revision(f)["deployment"];
}

TEST_CASE("a revision whose Deployment's name is somebody else's touches it not, and says so") {
  const std::string name = second_deployment();
  REQUIRE(name.starts_with("m-v1-"));
  explore([&](Sim& s) {
    Fixture f = asking_for_image(s);
    make_foreign_deployment(s.world, name, 1);
    const std::string before = s.world.get(ref(Kind::Deployment, name)).dump();
    const auto told = std::make_shared<bool>(false);
    s.always = [f, told, name] { *told |= f.status().value("message", "").find(name) != std::string::npos; };
    s.expect = [f, name, before, told] {
      must_run(f, "m-v1", "one");
      must(f.s.world.get(ref(Kind::Deployment, name)).dump() == before, "it was touched");
      must(*told, "nobody named it: " + f.status().dump(1));
      must(f.condition("Ready") == "False", f.status().dump(1));
    };
  });
}

}  // namespace
}  // namespace mo::sim
