#include "tests/explore/worlds.h"

namespace mo::explore {

void small(Json& spec) {
  spec["serving"]["replicas"] = 1;
  spec["rollout"]["steps"] = Json::parse(R"([{"weight": 50}, {"gates": ["accuracy"]}])");
}

sim::Fixture serving(sim::Sim& s, const std::function<void(Json& spec)>& edit) {
  sim::Fixture f = sim::usual(s, edit);
  s.op.metrics["accuracy m-v1"] = "0.95";
  s.run({});
  f.must_serve("m-v1");
  return f;
}

namespace {

using sim::Fixture;
using sim::must;
using sim::Sim;

constexpr uint32_t bit(int act) { return 1u << act; }
bool has(uint32_t acts, int act) { return acts >> act & 1; }

bool over(const Fixture& f, const std::string& rollout) {
  const std::string phase = f.phase(rollout);
  return phase != "" && phase != "Pending" && phase != "Progressing" && phase != "Paused";
}

// Once a rollout is there and not over, a person may say what they want of it.
Act says(Fixture f, const std::string& rollout, const std::string& state, uint32_t after) {
  return {"says " + state + " to " + rollout,
          [f, rollout] { return f.rollout(rollout) && !over(f, rollout); },
          [f, rollout, state]() mutable { f.desire(rollout, state); }, after};
}

Act asks_for(Fixture f, const std::string& version, uint32_t after = 0) {
  return {"asks for " + version, [] { return true; }, [f, version]() mutable { f.ask_for(version); }, after};
}

Act asks_for_rollout(Fixture f, const std::string& name, const std::string& version, uint32_t after = 0) {
  return {"writes ModelRollout " + name + " to " + version, [] { return true; },
          [f, name, version]() mutable { f.make_rollout(name, version); }, after};
}

// The route leads to that version alone.
void must_route(const Fixture& f, const std::string& version) {
  const sim::World& world = f.s.world;
  const Json& backends = world.get(sim::ref(Kind::HttpRoute, "m"))["spec"]["rules"][0]["backendRefs"];
  must(backends == Json::parse(R"([{"name": "m", "port": 80, "weight": 100}])"), backends.dump());
  must(world.get(sim::ref(Kind::Service, "m"))["spec"]["selector"][api::kLabelVersion] == version, "Service m selects another");
}

// A clock that ran ahead may have run past the deadline.
bool too_late(const Fixture& f, const std::string& rollout) {
  const Json* r = f.rollout(rollout);
  if (f.phase(rollout) != "RolledBack") return false;
  return (*r)["status"]["ending"]["reason"] == "ProgressDeadlineExceeded";
}

// ---- the worlds ----

World first_version() {
  World w;
  w.name = "a first version";
  w.set_up = [](Sim& s, Acts&) {
    return sim::usual(s, [](Json& spec) {
      small(spec);
      spec["serving"]["replicas"] = 2;
    });
  };
  w.asked_for = [](const Fixture& f, uint32_t) { f.must_serve("m-v1"); };
  w.budget = {2, 1, 0};
  w.late = {Kind::Deployment, Kind::Model};
  return w;
}

World good_canary() {
  World w;
  w.name = "a canary that succeeds";
  w.set_up = [](Sim& s, Acts& acts) {
    Fixture f = serving(s);
    acts = {asks_for(f, "m-v2")};
    return f;
  };
  w.asked_for = [](const Fixture& f, uint32_t acts) {
    if (too_late(f, "m-v2-2")) return f.must_be_degraded("RolledBack", "m-v1");
    f.must_serve(has(acts, 0) ? "m-v2" : "m-v1");
  };
  w.budget = {1, 1, 1};
  w.late = {Kind::Deployment, Kind::Pod};
  return w;
}

World bad_canary() {
  World w;
  w.name = "a canary that fails";
  w.set_up = [](Sim& s, Acts& acts) {
    Fixture f = serving(s);
    acts = {asks_for(f, "m-v2")};
    s.op.metrics["accuracy m-v2"] = "0.5";
    s.invariants.must_not_pass = {"accuracy/m-v2"};
    return f;
  };
  w.asked_for = [](const Fixture& f, uint32_t acts) {
    if (!has(acts, 0)) return f.must_serve("m-v1");
    f.must_be_degraded("RolledBack", "m-v1");
    f.must_be("m-v2-2", "RolledBack");
  };
  w.budget = {2, 1, 0};
  w.late = {Kind::Deployment, Kind::Service, Kind::ModelRollout};
  return w;
}

World steered() {
  World w;
  w.name = "a person who pauses, goes on, aborts, promotes";
  w.set_up = [](Sim& s, Acts& acts) {
    Fixture f = serving(s);
    acts = {asks_for(f, "m-v2"), says(f, "m-v2-2", "Paused", bit(0)), says(f, "m-v2-2", "Running", bit(1)),
            says(f, "m-v2-2", "Aborted", bit(0)), says(f, "m-v2-2", "Promoted", bit(0))};
    return f;
  };
  w.asked_for = [](const Fixture& f, uint32_t acts) {
    if (!has(acts, 0)) return f.must_serve("m-v1");
    const Json* r = f.rollout("m-v2-2");
    must(r != nullptr, "no rollout");
    const std::string wanted = (*r)["spec"].value("desiredState", "Running");
    const std::string phase = f.phase("m-v2-2");
    if (phase == "Aborted") {
      must(has(acts, 3), "aborted although nobody said so");
      return f.must_be_degraded("RolloutAborted", "m-v1");
    }
    if (phase == "Paused") return must(wanted == "Paused", "paused although " + wanted + " is wanted");
    f.must_be("m-v2-2", "Succeeded");
    f.must_serve("m-v2");
  };
  w.budget = {1, 0, 0};
  return w;
}

// Whatever stops it, nothing but a person's word starts it again.
World stopped() {
  World w;
  w.name = "a canary aborted or deleted while its steps are edited";
  w.set_up = [](Sim& s, Acts& acts) {
    Fixture f = serving(s, [](Json& spec) {
      small(spec);
      spec["rollout"]["steps"] = Json::parse(R"([{"weight": 50}, {"pause": {}}])");
    });
    const auto there = [f] { return f.rollout("m-v2-2") != nullptr; };
    acts = {asks_for(f, "m-v2"),
            {"asks m-v2-2 to go on", there, [f]() mutable { f.resume("m-v2-2"); }, bit(0)},
            says(f, "m-v2-2", "Aborted", bit(0)),
            {"deletes ModelRollout m-v2-2", [f] { return f.step("m-v2-2") > 0; },  // before it is seen it was never made
             [&s] {
               s.invariants.rollout_deleted = true;
               s.world.remove(sim::ref(Kind::ModelRollout, "m-v2-2"));
             },
             bit(0)},
            {"edits the steps", there,
             [f]() mutable { f.edit_spec([](Json& spec) { spec["rollout"]["steps"] = Json::parse(R"([{"weight": 60}])"); }); },
             bit(0)}};
    return f;
  };
  w.asked_for = [](const Fixture& f, uint32_t acts) {
    if (!has(acts, 0)) return f.must_serve("m-v1");
    if (f.stable() == "m-v2") return f.must_serve("m-v2");
    if (f.phase("m-v2-2") == "Paused") return must(!has(acts, 2) && !has(acts, 3), "nobody stopped it");
    f.must_be_degraded("RolloutAborted", "m-v1");
    must(f.count_rollouts("m-v2") == (f.rollout("m-v2-2") ? 1 : 0), "it was made again");
  };
  w.budget = {1, 0, 0};
  w.late = {Kind::ModelRollout, Kind::Model};
  return w;
}

World there_and_back() {
  World w;
  w.name = "spec A to B to A to C";
  w.set_up = [](Sim& s, Acts& acts) {
    Fixture f = serving(s);
    acts = {asks_for(f, "m-v2"), asks_for(f, "m-v1", bit(0)), asks_for(f, "m-v3", bit(1))};
    return f;
  };
  w.asked_for = [](const Fixture& f, uint32_t acts) {
    f.must_serve(has(acts, 2) ? "m-v3" : has(acts, 0) && !has(acts, 1) ? "m-v2" : "m-v1");
    for (const ObjectRef& r : f.s.world.all(Kind::ModelRollout))
      must(over(f, r.key.name), r.key.name + " is " + f.phase(r.key.name));
  };
  w.budget = {1, 0, 0};
  w.late = {Kind::Model, Kind::ModelRollout};
  return w;
}

World two_rollouts() {
  World w;
  w.name = "two rollouts, by the spec and by a person";
  w.set_up = [](Sim& s, Acts& acts) {
    Fixture f = serving(s);
    acts = {asks_for(f, "m-v2"), asks_for_rollout(f, "mine", "m-v3")};
    return f;
  };
  w.asked_for = [](const Fixture& f, uint32_t acts) {
    const std::string mine = f.phase("mine"), specs = f.phase("m-v2-2");
    for (const ObjectRef& r : f.s.world.all(Kind::ModelRollout))
      must(over(f, r.key.name), r.key.name + " is " + f.phase(r.key.name));
    if (!has(acts, 0) && !has(acts, 1)) return f.must_serve("m-v1");
    if (!has(acts, 1)) return f.must_serve("m-v2");
    if (!has(acts, 0)) return f.must_be_degraded("Overridden", "m-v3");
    // Whichever word came last; a rollout that was written while the spec's ran waits and runs after it.
    if (f.stable() == "m-v3") return f.must_be_degraded("Overridden", "m-v3");
    must(mine == "Superseded" || mine == "Succeeded", "mine is " + mine);
    f.must_serve("m-v2");
  };
  w.budget = {2, 0, 0};
  w.late = {Kind::ModelRollout, Kind::Model};
  return w;
}

World deletion() {
  World w;
  w.name = "a Model deleted in mid-rollout and made again";
  w.set_up = [](Sim& s, Acts& acts) {
    Fixture f = serving(s);
    acts = {asks_for(f, "m-v2"),
            {"deletes the Model", [] { return true; }, [&s] { s.world.remove(sim::ref(Kind::Model, "m")); },
             bit(0)},
            {"makes it again", [] { return true; }, [f]() mutable { f.make_model(); }, bit(1)}};
    return f;
  };
  w.asked_for = [](const Fixture& f, uint32_t acts) {
    if (has(acts, 1) && !has(acts, 2)) {
      for (Kind kind : {Kind::Deployment, Kind::Service, Kind::Pod, Kind::ModelRollout})
        must(f.s.world.all(kind).empty(), std::string("left behind: a ") + info(kind).kind);
      must(f.s.world.all(Kind::ModelVersion).size() == 3, "the versions are people's");
      return;
    }
    f.must_serve(has(acts, 0) && !has(acts, 2) ? "m-v2" : "m-v1");
  };
  w.budget = {1, 0, 0};
  return w;
}

World retraining() {
  World w;
  w.name = "retraining to promotion";
  static const std::string bits = sim::digest("run");
  const std::string made = "m-" + bits.substr(7, 10);
  w.set_up = [made](Sim& s, Acts& acts) {
    s.op.job_result = [](const std::string&) {
      return Json{{"apiVersion", "modelops.dev/v1alpha1"},
                  {"kind", "RunResult"},
                  {"metrics", {{"f1", "0.95"}}},
                  {"artifact",
                   {{"uri", "pvc://models/run"},
                    {"digest", bits},
                    {"format", {{"name", "rules"}, {"version", "1"}}}}}}
          .dump();
    };
    s.op.metrics["accuracy " + made] = "0.95";
    Fixture f = serving(s, [](Json& spec) {
      small(spec);
      spec["rollout"]["gates"].push_back(
          {{"name", "recorded"}, {"version", {{"metric", "f1"}}}, {"min", "0.9"}});
      spec["retraining"] = {
          {"template",
           {{"spec",
             {{"template", {{"spec", {{"containers", {{{"name", "train"}, {"image", "trainer:1"}}}}}}}}}}}},
          {"gates", {"recorded"}}};
      spec["track"] = "Promoted";
    });
    acts = {{"asks for a run", [] { return true; },
             [f]() mutable {
               f.edit_spec([](Json& spec) { spec["retraining"]["requestedAt"] = "2026-11-22T09:00:00Z"; });
             }}};
    return f;
  };
  w.asked_for = [made](const Fixture& f, uint32_t acts) {
    f.must_serve(has(acts, 0) ? made : "m-v1");
    must(f.s.world.all(Kind::Job).size() == acts, "I4: Jobs");
    must(f.count_rollouts(made) == static_cast<int>(acts), "I4: rollouts");
  };
  w.budget = {2, 2, 0};
  w.late = {Kind::Job, Kind::ModelVersion, Kind::ModelRollout};
  return w;
}

// No watch tells of the object that trains: what is known of it was asked, and may be old.
World engine() {
  World w;
  w.name = "training by an engine's object whose kind may vanish";
  static const std::string bits = sim::digest("run");
  const std::string made = "m-" + bits.substr(7, 10), run = "m-run-000001";
  w.set_up = [made, run](Sim& s, Acts& acts) {
    s.op.job_result = [](const std::string&) {
      return Json{{"apiVersion", "modelops.dev/v1alpha1"},
                  {"kind", "RunResult"},
                  {"metrics", {{"f1", "0.95"}}},
                  {"artifact", {{"uri", "pvc://models/run"}, {"digest", bits}, {"format", {{"name", "rules"}, {"version", "1"}}}}}}
          .dump();
    };
    s.op.metrics["accuracy " + made] = "0.95";
    Fixture f = serving(s, [](Json& spec) {
      small(spec);
      spec["track"] = "Promoted";
      const auto ends = [](const std::string& as) { return "has(self.status) && self.status.conditions.exists(c, c.type == '" + as + "')"; };
      spec["retraining"] = {{"limits", {{"deadline", "30s"}}},
                            {"onSuccess", "Register"},
                            {"workload",
                             {{"resource", "jobsets"},
                              {"object", {{"apiVersion", "jobset.x-k8s.io/v1alpha2"}, {"kind", "JobSet"}}},
                              {"success", ends("Completed")},
                              {"failure", ends("Failed")},
                              {"result", {{"pods", {{"matchLabels", {{"jobset.sigs.k8s.io/jobset-name", "$(MODELOPS_NAME)"}}}}}}}}}};
    });
    const auto runs = [&s, run] {
      const Json* object = s.world.find(sim::ref(Kind::Workload, run + "-train"));
      return object && !object->contains("status");
    };
    acts = {{"asks for a run", [] { return true; },
             [f]() mutable { f.edit_spec([](Json& spec) { spec["retraining"]["requestedAt"] = "2026-11-22T09:00:00Z"; }); }},
            {"lets it fail", runs,
             [&s, run] {
               s.world.update(sim::ref(Kind::Workload, run + "-train"),
                              [](Json& o) { o["status"]["conditions"] = {{{"type", "Failed"}, {"status", "True"}, {"message", "no"}}}; }, "engine");
             },
             bit(0)},
            {"deletes the CRD", [&s] { return s.world.has_engine; }, [&s] { s.world.remove_engine(); }, bit(0)}};
    return f;
  };
  w.asked_for = [made, run](const Fixture& f, uint32_t acts) {
    f.must_serve("m-v1");
    const Json* object = f.s.world.find(sim::ref(Kind::TrainingRun, run));
    if (!has(acts, 0)) return must(!object, "a run that nobody asked for");
    must(object != nullptr, "no run");
    const std::string phase = (*object)["status"].value("phase", "");
    const bool registered = f.s.world.find(sim::ref(Kind::ModelVersion, made)) != nullptr;
    must(phase == "Succeeded" || phase == "Failed", "the run is " + phase);
    must(registered == (phase == "Succeeded"), "registered although the run is " + phase);
    if (has(acts, 1)) must(phase == "Failed", "what failed was registered");
    must(f.s.world.made(Kind::Workload) <= 1, "I4: trained twice");
  };
  w.budget = {1, 1, 0};
  return w;
}

// With two pods a version the sizes of both move several times on the way.
World two_pods() {
  World w;
  w.name = "two pods a version and two weights";
  w.set_up = [](Sim& s, Acts& acts) {
    Fixture f = serving(s, [](Json& spec) {
      spec["serving"]["replicas"] = 2;
      spec["rollout"]["steps"] = Json::parse(R"([{"weight": 34}, {"weight": 67}])");
    });
    acts = {asks_for(f, "m-v2"), says(f, "m-v2-2", "Aborted", bit(0))};
    return f;
  };
  w.asked_for = [](const Fixture& f, uint32_t acts) {
    if (!has(acts, 0)) return f.must_serve("m-v1");
    if (f.phase("m-v2-2") != "Aborted") return f.must_serve("m-v2");
    must(has(acts, 1), "aborted although nobody said so");
    f.must_be_degraded("RolloutAborted", "m-v1");
  };
  w.budget = {1, 1, 0};
  w.late = {Kind::Deployment};
  return w;
}

// A candidate that is never ready has a deadline, and its gates come before any traffic.
World never_ready() {
  World w;
  w.name = "a candidate that is never ready";
  w.set_up = [](Sim& s, Acts& acts) {
    Fixture f = serving(s, [](Json& spec) {
      small(spec);
      spec["rollout"]["steps"] = Json::parse(R"([{"gates": ["accuracy"]}, {"weight": 50}])");
    });
    s.controllers.pod_fate = [](const Json& pod) {
      return pod["metadata"]["labels"][api::kLabelVersion] == "m-v2" ? sim::PodFate::Never
                                                                     : sim::PodFate::Ready;
    };
    acts = {asks_for(f, "m-v2"), says(f, "m-v2-2", "Promoted", bit(0)), asks_for(f, "m-v3", bit(0))};
    return f;
  };
  w.asked_for = [](const Fixture& f, uint32_t acts) {
    if (has(acts, 2) && !too_late(f, "m-v3-3")) return f.must_serve("m-v3");
    if (!has(acts, 0)) return f.must_serve("m-v1");
    f.must_be_degraded("RolledBack", "m-v1");
  };
  w.budget = {1, 0, 1};
  return w;
}

World tried_again() {
  World w;
  w.name = "a version that failed, tried again by hand";
  w.set_up = [](Sim& s, Acts& acts) {
    Fixture f = serving(s);
    s.op.metrics["accuracy m-v2"] = "0.5";
    s.invariants.must_not_pass = {"accuracy/m-v2"};
    acts = {asks_for(f, "m-v2"),
            asks_for_rollout(f, "again", "m-v2", bit(0)),
            {"deletes ModelRollout again", [f] { return f.rollout("again") != nullptr; },
             [&s] {
               s.invariants.rollout_deleted = true;
               s.world.remove(sim::ref(Kind::ModelRollout, "again"));
             },
             bit(1)},
            asks_for(f, "m-v3", bit(0))};
    return f;
  };
  w.asked_for = [](const Fixture& f, uint32_t acts) {
    for (const ObjectRef& r : f.s.world.all(Kind::ModelRollout))
      must(over(f, r.key.name), r.key.name + " is " + f.phase(r.key.name));
    if (!has(acts, 0)) return f.must_serve("m-v1");
    if (f.stable() == "m-v3") return must(has(acts, 3), "nobody asked for m-v3");
    // Whoever wrote last: the retry may be the newest word.
    must(f.stable() == "m-v1" && f.condition("Available") == "True", f.status().dump(1));
    if (!has(acts, 1)) must(!has(acts, 3), "m-v3 should serve");
  };
  w.budget = {1, 0, 0};
  return w;
}

World by_hand() {
  World w;
  w.name = "a ModelRollout written, deleted and written again";
  w.set_up = [](Sim& s, Acts& acts) {
    Fixture f = serving(s);
    acts = {asks_for_rollout(f, "mine", "m-v2"),
            {"deletes ModelRollout mine", [] { return true; },
             [&s] {
               s.invariants.rollout_deleted = true;
               s.world.remove(sim::ref(Kind::ModelRollout, "mine"));
             },
             bit(0)},
            asks_for_rollout(f, "mine", "m-v3", bit(1))};
    return f;
  };
  w.asked_for = [](const Fixture& f, uint32_t acts) {
    if (has(acts, 2)) return f.must_be_degraded("Overridden", "m-v3");
    if (!has(acts, 0)) return f.must_serve("m-v1");
    if (f.stable() == "m-v2") return f.must_be_degraded("Overridden", "m-v2");
    must(has(acts, 1), "m-v2 should serve");
    must(f.stable() == "m-v1" && f.condition("Available") == "True", f.status().dump(1));
  };
  w.budget = {1, 0, 0};
  return w;
}

World edited() {
  World w;
  w.name = "a spec edited in mid-rollout";
  w.set_up = [](Sim& s, Acts& acts) {
    s.op.metrics["accuracy m-v1"] = "0.95";
    Fixture f = serving(s);
    acts = {asks_for(f, "m-v2"),
            {"scales to 2", [] { return true; },
             [f]() mutable { f.edit_spec([](Json& spec) { spec["serving"]["replicas"] = 2; }); }},
            {"changes the template", [] { return true; },
             [f]() mutable {
               f.edit_spec([](Json& spec) {
                 spec["serving"]["template"] = {{"spec", {{"priorityClassName", "high"}}}};
               });
             }}};
    return f;
  };
  w.asked_for = [](const Fixture& f, uint32_t acts) {
    f.must_serve(has(acts, 0) ? "m-v2" : "m-v1");
    for (const ObjectRef& pod : f.s.world.all(Kind::Pod))
      must(!has(acts, 2) || f.s.world.get(pod)["spec"].value("priorityClassName", "") == "high",
           "an old pod");
  };
  return w;
}

// Hands in what is ours.
World meddled() {
  World w;
  w.name = "Deployment and Service deleted by hand";
  w.set_up = [](Sim& s, Acts& acts) {
    Fixture f = serving(s);
    s.invariants.disturbed = true;
    const auto remove = [&s](Kind kind, const std::string& name) {
      return Act{std::string("deletes ") + info(kind).kind + " " + name,
                 [&s, kind, name] { return s.world.find(sim::ref(kind, name)) != nullptr; },
                 [&s, kind, name] { s.world.remove(sim::ref(kind, name)); }, 0};
    };
    acts = {asks_for(f, "m-v2"), remove(Kind::Deployment, "m-v2"), remove(Kind::Deployment, "m-v1"),
            remove(Kind::Service, "m")};
    return f;
  };
  w.asked_for = [](const Fixture& f, uint32_t acts) { f.must_serve(has(acts, 0) ? "m-v2" : "m-v1"); };
  return w;
}

// By the weights of a route, which a gateway takes up when it likes and which somebody changes.
World routed_canary() {
  World w;
  w.name = "a canary through a route";
  w.set_up = [](Sim& s, Acts& acts) {
    s.world.has_gateway = true;
    Fixture f = serving(s, [](Json& spec) {
      spec["serving"]["replicas"] = 1;
      spec["serving"]["route"] = {{"parentRefs", {{{"name", "gw"}}}}, {"hostnames", {"m.example.com"}}};
      spec["rollout"]["steps"] = Json::parse(R"([{"weight": 50}])");
    });
    acts = {asks_for(f, "m-v2"), says(f, "m-v2-2", "Aborted", bit(0))};
    return f;
  };
  w.asked_for = [](const Fixture& f, uint32_t acts) {
    const bool aborted = f.phase("m-v2-2") == "Aborted";
    must(!aborted || has(acts, 1), "aborted although nobody said so");
    if (aborted)
      f.must_be_degraded("RolloutAborted", "m-v1");
    else
      f.must_serve(has(acts, 0) ? "m-v2" : "m-v1");
    must_route(f, aborted || !has(acts, 0) ? "m-v1" : "m-v2");
  };
  w.budget = {1, 0, 0};
  return w;
}

World foreign_weights() {
  World w;
  w.name = "a route whose weights somebody writes";
  w.set_up = [](Sim& s, Acts& acts) {
    s.world.has_gateway = true;
    s.invariants.disturbed = true;
    Fixture f = serving(s, [](Json& spec) {
      spec["serving"]["replicas"] = 1;
      spec["serving"]["route"] = {{"parentRefs", {{{"name", "gw"}}}}, {"hostnames", {"m.example.com"}}};
      spec["rollout"]["steps"] = Json::array();
    });
    const auto route = sim::ref(Kind::HttpRoute, "m");
    acts = {asks_for(f, "m-v2"),
            {"sends everything to nobody", [&s, route] { return s.world.find(route) != nullptr; },
             [&s, route] {
               s.world.update(
                   route,
                   [](Json& o) {
                     o["spec"]["rules"][0]["backendRefs"] =
                         Json::parse(R"([{"name": "m-candidate", "port": 80, "weight": 250}])");
                   },
                   "somebody");
             },
             0},
            {"deletes the route", [&s, route] { return s.world.find(route) != nullptr; },
             [&s, route] { s.world.remove(route); }, 0}};
    return f;
  };
  w.asked_for = [](const Fixture& f, uint32_t acts) {
    f.must_serve(has(acts, 0) ? "m-v2" : "m-v1");
    must_route(f, has(acts, 0) ? "m-v2" : "m-v1");
  };
  return w;
}

World blue_green() {
  World w;
  w.name = "blue-green, tried before and after the switch";
  w.set_up = [](Sim& s, Acts& acts) {
    Fixture f = serving(s, [](Json& spec) {
      spec["serving"]["replicas"] = 1;
      spec["rollout"]["strategy"] = "BlueGreen";
      spec["rollout"]["steps"] = Json::parse(R"([{"gates": ["accuracy"]}, {"weight": 100}, {"gates": ["after"]}])");
      Json after = spec["rollout"]["gates"][0];
      after["name"] = "after";
      after["prometheus"]["query"] = "after {{candidate}}";
      spec["rollout"]["gates"].push_back(after);
    });
    s.op.metrics["after m-v2"] = "0.95";
    acts = {asks_for(f, "m-v2"), says(f, "m-v2-2", "Aborted", bit(0))};
    return f;
  };
  w.asked_for = [](const Fixture& f, uint32_t acts) {
    if (!has(acts, 0)) return f.must_serve("m-v1");
    for (const ObjectRef& r : f.s.world.all(Kind::ModelRollout)) {
      const Json& status = f.s.world.get(r)["status"];
      if (status["phase"] == "Succeeded")
        for (const Json& gate : status["gates"])
          must(gate["verdict"] == "Passed", "it succeeded, but nobody remembers what gate " + gate["name"].get<std::string>() + " said");
    }
    if (f.phase("m-v2-2") == "Succeeded") return f.must_serve("m-v2");
    must(has(acts, 1), "aborted although nobody said so");
    f.must_be_degraded("RolloutAborted", "m-v1");
  };
  w.budget = {1, 1, 0};
  w.late = {Kind::Service};
  return w;
}

// What served before, until the Model does and after it is gone. The Deployment is watched by nobody: it is read when it counts.
World adopted() {
  World w;
  w.name = "a Deployment that is adopted and given back";
  const ObjectRef old = sim::ref(Kind::Deployment, "old"), service = sim::ref(Kind::Service, "m"), model = sim::ref(Kind::Model, "m");
  w.set_up = [=](Sim& s, Acts& acts) {
    s.world.has_gateway = true;  // who follows EndpointSlices
    s.invariants.disturbed = true;
    sim::make_foreign_deployment(s.world, "old", 1);
    sim::make_foreign_service(s.world, "m", "old", {{{"port", 80}, {"protocol", "TCP"}, {"targetPort", 8080}}});
    Fixture f = sim::usual(s, [](Json& spec) {
      small(spec);
      spec["serving"]["adopt"] = {{"name", "old"}};
    });
    acts = {{"deletes the Model", [] { return true; }, [&s, model] { s.world.remove(model); }, 0},
            // Before that the Service is in the way of the Model's own, which it says, and tries again.
            {"takes adopt out",
             [&s, model, service] {
               return s.world.find(model) && !s.world.get(model)["metadata"].contains("deletionTimestamp") &&
                      s.world.get(service)["spec"]["selector"].contains(api::kLabelModel);
             },
             [f]() mutable { f.edit_spec([](Json& spec) { spec["serving"].erase("adopt"); }); }, 0}};
    return f;
  };
  w.asked_for = [=](const Fixture& f, uint32_t acts) {
    const sim::World& world = f.s.world;
    const Json selector = world.find(service) ? world.get(service)["spec"]["selector"] : Json();
    const int replicas = world.get(old)["spec"]["replicas"];
    if (!has(acts, 0)) {
      f.must_serve("m-v1");
      return must(replicas == 0 || has(acts, 1), "both serve");
    }
    must(!world.find(model), "the Model is still there");
    if (has(acts, 1) && !world.find(service)) return;  // what it had replaced was its own
    must(replicas == 1 && selector == Json{{"app", "old"}}, "it is not as it was: " + selector.dump());
  };
  w.budget = {1, 1, 0};
  w.late = {Kind::EndpointSlice, Kind::Service};
  return w;
}

// A word on what the rollout to the version that the spec asks for waits for.
Act approves(Fixture f, const std::string& who, const std::string& name, uint32_t after) {
  const auto waits = [f] { return f.rollout(f.to(f.model()["spec"]["version"].get<std::string>())); };
  return {who + " approves",
          [waits] {
            const Json* r = waits();
            return r && r->value("status", Json::object()).contains("approval");
          },
          [f, waits, who, name] {
            const Json& r = *waits();
            f.s.world.create({{"kind", "ModelApproval"},
                              {"metadata", {{"name", name}}},
                              {"spec",
                               {{"rolloutRef", {{"name", r["metadata"]["name"]}}},
                                {"role", "risk"},
                                {"decision", "Approved"},
                                {"approver", who},
                                {"subject", r["status"]["approval"]["subject"]}}}},
                             "kubectl");
          },
          after};
}

// In ann's name.
Act ann_asks_for(Fixture f, const std::string& version, uint32_t after = 0) {
  return {"ann asks for " + version, [] { return true; },
          [f, version] {
            f.s.world.update(
                sim::ref(Kind::Model, "m"),
                [&](Json& model) {
                  model["metadata"]["annotations"][api::kAnnotationChangedBy] = "ann";
                  model["spec"]["version"] = version;
                },
                "kubectl");
          },
          after};
}

// What watches tell of words is late. Invariant: nobody gets a request without a word that the API server itself has told of, by another person.
World approved() {
  World w;
  w.name = "an approval, its revocation, and a person who edits";
  const ObjectRef word = sim::ref(Kind::ModelApproval, "bobs");
  w.set_up = [word](Sim& s, Acts& acts) {
    Fixture f = serving(s, [](Json& spec) {
      small(spec);
      spec["rollout"]["steps"] = Json::parse(R"([{"weight": 50}])");
    });
    s.world.create({{"kind", "ModelPolicy"},
                    {"metadata", {{"name", "high-risk"}}},
                    {"spec", Json::parse(R"({"approvals": [{"role": "risk", "count": 1, "before": "FirstTraffic"}], "separationOfDuties": {"author": true}})")}},
                   "kubectl");
    s.run({});
    s.invariants.needs_word = {"m-v2", "m-v3"};
    acts = {ann_asks_for(f, "m-v2"), approves(f, "bob", "bobs", bit(0)),
            {"takes bob's word back", [&s, word] { return s.world.find(word) != nullptr; }, [&s, word] { s.world.remove(word); }, bit(1)},
            ann_asks_for(f, "m-v3", bit(0)), approves(f, "ann", "anns", bit(0))};
    return f;
  };
  w.asked_for = [word](const Fixture& f, uint32_t acts) {
    const std::string wanted = !has(acts, 0) ? "m-v1" : has(acts, 3) ? "m-v3" : "m-v2";
    if (f.stable() == wanted) return f.must_serve(wanted);
    const Json* r = f.rollout(f.to(wanted));
    must(r && (*r)["status"].contains("approval"), "nobody is asked to approve " + wanted);
    must(f.weight(f.to(wanted)) == 0 && f.ready_pods(f.stable()) == 1, f.stable() + " serves on");
    const Json* said = f.s.world.find(word);
    must(!said || (*said)["spec"]["subject"] != (*r)["status"]["approval"]["subject"], "bob's word stands, and is not honoured");
  };
  w.budget = {1, 0, 0};
  w.late = {Kind::ModelApproval};
  return w;
}

}  // namespace

std::vector<World> worlds() {
  std::vector<World> all = {first_version(), good_canary(), bad_canary(), steered(),  stopped(), there_and_back(),
          two_rollouts(),  deletion(),    retraining(), engine(),   two_pods(), never_ready(),
          tried_again(),   by_hand(),     edited(),     meddled(),  routed_canary(),
          foreign_weights(), blue_green(), adopted(), approved()};
  const std::vector<World> of_templates = template_worlds();
  all.insert(all.end(), of_templates.begin(), of_templates.end());
  return all;
}

}  // namespace mo::explore
