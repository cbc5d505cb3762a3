// Worlds whose candidate differs from what serves by its pod template alone.
#include "tests/explore/worlds.h"
#include "tests/sim/images.h"

namespace mo::explore {
namespace {

using sim::Fixture;
using sim::must;
using sim::Sim;

Act asks_for_image(Fixture f, const std::string& image, uint32_t after) {
  return {"asks for image " + image, [] { return true; },
          [f, image]() mutable { f.edit_spec([&](Json& spec) { sim::set_image(spec, image); }); }, after};
}

void must_run_only(const Fixture& f, const std::string& image) {
  for (const ObjectRef& pod : f.s.world.all(Kind::Pod))
    must(sim::image_of(f.s.world.get(pod)) == image, pod.key.name + " runs " + sim::image_of(f.s.world.get(pod)));
}

World template_there_and_back() {
  World w;
  w.name = "another template of what serves, there and back";
  w.set_up = [](Sim& s, Acts& acts) {
    Fixture f = serving(s, [](Json& spec) { small(spec), sim::set_image(spec, "one"); });
    acts = {asks_for_image(f, "two", 0), asks_for_image(f, "one", 1), asks_for_image(f, "two", 2)};
    return f;
  };
  w.asked_for = [](const Fixture& f, uint32_t acts) {
    f.must_serve("m-v1");
    must_run_only(f, acts == 1 || acts == 7 ? "two" : "one");
  };
  w.budget = {1, 0, 0};
  w.late = {Kind::Model, Kind::ModelRollout};
  return w;
}

World template_refused() {
  World w;
  w.name = "another template of what serves that its gate refuses";
  w.set_up = [](Sim& s, Acts& acts) {
    Fixture f = serving(s, [](Json& spec) { small(spec), sim::set_image(spec, "one"); });
    s.op.metrics["accuracy m-v1"] = "0.5";
    acts = {asks_for_image(f, "two", 0)};
    return f;
  };
  w.asked_for = [](const Fixture& f, uint32_t acts) {
    if (acts) f.must_be_degraded("RolledBack", "m-v1");
    must_run_only(f, "one");
  };
  w.budget = {2, 1, 0};
  w.late = {Kind::Deployment, Kind::Service, Kind::ModelRollout};
  return w;
}

World runtime_patched() {
  World w;
  w.name = "a ModelRuntime that is patched, and asked for";
  w.set_up = [](Sim& s, Acts& acts) {
    Fixture f = serving(s, small);
    acts = {{"patches the runtime", [] { return true; }, [&s] { sim::edit_runtime(s.world, "patched"); }, 0},
            {"writes ModelRollout fresh to m-v1", [] { return true; }, [f]() mutable { f.make_rollout("fresh", "m-v1"); }, 1}};
    return f;
  };
  w.asked_for = [](const Fixture& f, uint32_t acts) {
    f.must_serve("m-v1");
    const bool too_early = f.phase("fresh") == "Failed";  // before it was known that the runtime has changed
    must_run_only(f, acts == 3 && !too_early ? "patched" : "model-server:dev");
    if (acts == 1 || too_early) must(f.condition("RuntimeOutdated") == "True", f.status().dump(1));
  };
  w.budget = {1, 1, 0};
  w.late = {Kind::ModelRuntime, Kind::ModelRollout};
  return w;
}

}  // namespace

std::vector<World> template_worlds() { return {template_there_and_back(), template_refused(), runtime_patched()}; }

}  // namespace mo::explore
