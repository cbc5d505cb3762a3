// Pod templates that differ by the server's image: who asks for which, and who runs it.
#pragma once

#include <string>

#include "tests/sim/fixture.h"

namespace mo::sim {

inline void set_image(Json& spec, const std::string& image) {
  spec["serving"]["template"] = {{"spec", {{"containers", {{{"name", "server"}, {"image", image}}}}}}};
}

// m-v1 serves with image one; then the spec asks for image two.
inline Fixture asking_for_image(Sim& s, const std::function<void(Json& spec)>& edit = {}) {
  s.op.metrics["accuracy m-v1"] = "0.95";
  Fixture f = usual(s, [&](Json& spec) {
    set_image(spec, "one");
    if (edit) edit(spec);
  });
  s.then("asks for another image", f.serves("m-v1"), [f]() mutable { f.edit_spec([](Json& spec) { set_image(spec, "two"); }); });
  return f;
}

inline std::string image_of(const Json& pods) {
  for (const Json& container : pods["spec"]["containers"])
    if (container["name"] == "server") return container["image"];
  return "";
}

// That all ready pods of the version have.
inline void must_run(const Fixture& f, const std::string& version, const std::string& image) {
  int pods = 0;
  for (const auto& pod : f.s.world.truth.pods.of_model({kNamespace, "m"})) {
    if (pod->version != version || !pod->ready) continue;
    ++pods;
    const Json& it = f.s.world.get({Kind::Pod, pod->meta.key});
    must(image_of(it) == image, pod->meta.key.name + " runs " + image_of(it));
  }
  must(pods > 0, "no pod of " + version + " is ready");
}

inline Json stable_revision(const Fixture& f) { return f.status().value("stableRevision", Json::object()); }

inline void edit_runtime(World& world, const std::string& image) {
  world.update({Kind::ModelRuntime, {"", "rules"}},
               [&](Json& o) { o["spec"]["template"]["spec"]["containers"][0]["image"] = image; }, "kubectl");
}

}  // namespace mo::sim
