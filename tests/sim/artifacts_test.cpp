// Inline artifacts of more than one file, and those by a tag.
#include <catch2/catch.hpp>

#include "operator/api/artifact.h"
#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

const Json kFormat = {{"name", "rules"}, {"version", "1"}};
std::string named(const std::string& bits) { return "m-" + bits.substr(7, 10); }
void good(Sim& s, const std::string& version) { s.op.metrics["accuracy " + version] = "0.95"; }

TEST_CASE("another part is another version, by the Model's steps") {
  explore([](Sim& s) {
    const auto parts = [](const std::string& prompt) {
      return Json::array({{{"name", "prompt"}, {"artifact", {{"uri", "configmap://a/" + prompt}, {"digest", digest(prompt)}}}}});
    };
    const auto version = [](const std::string& prompt) {
      return named(api::bits_of({"configmap://a/1", digest("x"), {}}, {{"prompt", "prompt", {"", digest(prompt), {}}}}));
    };
    Fixture f(s);
    f.make_runtime();
    f.model_spec.erase("version");
    f.model_spec["artifact"] = {{"uri", "configmap://a/1"}, {"digest", digest("x")}, {"format", kFormat}};
    f.model_spec["parts"] = parts("kind");
    for (const char* prompt : {"kind", "brief"}) good(s, version(prompt));
    f.make_model();
    s.then("changes the prompt", f.serves(version("kind")),
           [f, parts]() mutable { f.edit_spec([&](Json& spec) { spec["parts"] = parts("brief"); }); });
    s.expect = [f, version] {
      f.must_serve(version("brief"));
      must(f.count_rollouts(version("brief")) == 1, "a rollout brings the other prompt");
    };
  });
}

TEST_CASE("an artifact by a tag is what the tag was when it was registered, wherever the tag moves") {
  explore([](Sim& s) {
    constexpr const char *kOne = "registry.example/fraud:1", *kTwo = "registry.example/fraud:2";
    const std::string one = digest("one"), two = digest("two");
    s.op.outside[kOne] = one;
    good(s, named(one));
    good(s, named(two));
    Fixture f(s);
    f.make_runtime();
    f.model_spec.erase("version");
    f.model_spec["artifact"] = {{"uri", std::string("oci://") + kOne}, {"format", kFormat}};
    f.make_model();
    s.then("moves the tag, and asks for one that is not there", f.serves(named(one)), [f, &s]() mutable {
      s.op.outside[kOne] = digest("evil");
      f.edit_spec([](Json& spec) { spec["artifact"]["uri"] = std::string("oci://") + kTwo; });
    });
    s.then("pushes it", [f] { return f.reason() == "TagNotResolved"; }, [f, &s, one, two] {
      must(f.stable() == named(one), "what serves serves on");
      s.op.outside[kTwo] = two;
    });
    s.then("touches the Model", f.serves(named(two)), [f, &s, two]() mutable {
      s.op.outside[kTwo] = digest("evil");
      f.edit_spec([](Json& spec) { spec["description"] = "x"; });
    });
    s.expect = [f, &s, two] {
      f.must_serve(named(two));
      must(f.status()["pinned"]["digest"] == two, "status says what the tag was");
      must(s.world.all(Kind::ModelVersion).size() == 2, "nothing else was registered");
    };
  });
}

}  // namespace
}  // namespace mo::sim
