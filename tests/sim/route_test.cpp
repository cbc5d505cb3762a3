// Rollouts whose weights are an HTTPRoute's, with a gateway that follows as late as it likes.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

Fixture routed(Sim& s, const std::function<void(Json& spec)>& edit = {}) {
  s.world.has_gateway = true;
  return usual(s, [&](Json& spec) {
    spec["serving"]["replicas"] = 3;
    spec["serving"]["route"] = {{"parentRefs", {{{"name", "gw"}}}}, {"hostnames", {"m.example.com"}}};
    if (edit) edit(spec);
  });
}

Fixture asking_for_v2(Sim& s, const std::function<void(Json& spec)>& edit = {}) {
  Fixture f = routed(s, edit);
  s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
  return f;
}

// At rest one Service and one weight are left.
void must_route_to(const Fixture& f, const std::string& version) {
  const auto& world = f.s.world;
  const Json& route = world.get(ref(Kind::HttpRoute, "m"));
  must(route["spec"]["rules"][0]["backendRefs"] == Json::parse(R"([{"name": "m", "port": 80, "weight": 100}])"), route.dump(1));
  must(world.get(ref(Kind::Service, "m"))["spec"]["selector"][api::kLabelVersion] == version, "Service m selects another");
  must(!world.find(ref(Kind::Service, "m-candidate")), "m-candidate is left over");
  must(world.all(Kind::Deployment).size() == 1, "a Deployment is left over");
}

TEST_CASE("a routed canary succeeds, and no request fails") {
  explore([](Sim& s) {
    const Fixture f = asking_for_v2(s);
    s.expect = [f] {
      f.must_serve("m-v2");
      must_route_to(f, "m-v2");
    };
  });
}

TEST_CASE("a routed canary has few pods beside a full stable") {
  explore([](Sim& s) {
    Fixture f = asking_for_v2(s, [](Json& spec) { spec["rollout"]["steps"] = Json::parse(R"([{"weight": 1}, {"pause": {}}])"); });
    s.expect = [f] {
      must(f.weight(f.to("m-v2")) == 1, "weight is " + std::to_string(f.weight(f.to("m-v2"))));
      must(f.ready_pods("m-v1") == 3 && f.ready_pods("m-v2") == 1, "pods");
      must(f.status()["trafficSummary"] == "m-v1 99% / m-v2 1%", f.status().dump(1));
    };
  });
}

TEST_CASE("a routed canary whose gate fails goes back") {
  explore([](Sim& s) {
    Fixture f = asking_for_v2(s);
    s.op.metrics["accuracy m-v2"] = "0.5";
    s.invariants.must_not_pass.insert("accuracy/m-v2");
    s.expect = [f] {
      f.must_be_degraded("RolledBack", "m-v1");
      must_route_to(f, "m-v1");
    };
  });
}

TEST_CASE("a routed canary aborted at any step goes back") {
  explore<int>({1, 2, 3, 4, 5}, [](Sim& s, const int& step) {
    Fixture f = asking_for_v2(s);
    s.then("aborts", [f, step] { return !f.to("m-v2").empty() && f.step(f.to("m-v2")) >= step; },
           [f]() mutable {
             if (f.phase(f.to("m-v2")) != "Succeeded") f.desire(f.to("m-v2"), "Aborted");
           });
    s.expect = [f] {
      const std::string stable = f.phase(f.to("m-v2")) == "Succeeded" ? "m-v2" : "m-v1";
      must(f.stable() == stable, "stable is " + f.stable());
      must_route_to(f, stable);
    };
  });
}

TEST_CASE("a third version during, or right after, a routed canary to the second") {
  explore<int>({1, 3, 5, 9}, [](Sim& s, const int& step) {
    Fixture f = asking_for_v2(s);
    s.then("asks for m-v3",
           [f, step] {
             const std::string r = f.to("m-v2");
             return !r.empty() && (step == 9 ? f.phase(r) == "Succeeded" : f.step(r) >= step);
           },
           [f]() mutable { f.ask_for("m-v3"); });
    s.expect = [f] {
      f.must_serve("m-v3");
      must_route_to(f, "m-v3");
    };
  });
}

TEST_CASE("a routed Model whose stable version is scaled, promoted over and reverted") {
  explore([](Sim& s) {
    Fixture f = asking_for_v2(s);
    s.op.metrics["accuracy m-v1"] = "0.94";
    s.then("scales", [f] { return f.weight(f.to("m-v2")) >= 10; },
           [f]() mutable { f.edit_spec([](Json& spec) { spec["serving"]["replicas"] = 5; }); });
    s.then("promotes", [] { return true; }, [f]() mutable { f.desire(f.to("m-v2"), "Promoted"); });
    s.then("goes back", f.serves("m-v2"), [f]() mutable { f.ask_for("m-v1"); });
    s.expect = [f] {
      f.must_serve("m-v1");
      must_route_to(f, "m-v1");
      must(f.ready_pods("m-v1") == 5, "pods");
    };
  });
}

TEST_CASE("a route that no gateway takes up is said, and nothing rolls out over it") {
  explore([](Sim& s) {
    Fixture f = routed(s, [](Json& spec) { spec["rollout"]["progressDeadlineSeconds"] = 120; });
    s.world.has_gateway = false;
    s.then("asks for m-v2", [f] { return f.stable() == "m-v1" && f.reason() == "RouteNotServed"; }, [f]() mutable { f.ask_for("m-v2"); });
    s.expect = [f] {
      must(f.phase(f.to("m-v2")) == "RolledBack", f.phase(f.to("m-v2")));
      must(f.stable() == "m-v1" && f.reason("Stalled") == "RouteNotServed", f.status().dump(1));
    };
  });
}

// ---- callers who stay where they are ----

const Json kSessions = {{"type", "Cookie"}, {"sessionName", "m"}};

Fixture sticky(Sim& s) {
  return routed(s, [](Json& spec) { spec["serving"]["route"]["sessionPersistence"] = kSessions; });
}

// The Gateway API's standard channel.
void refuse_sessions(World& world) {
  world.admission = [](const Apply& apply) -> std::optional<Error> {
    if (apply.body.find("\"sessionPersistence\":") == std::string::npos) return {};
    return Error{ErrorKind::Invalid, "failed to create typed patch object: .spec.rules[0].sessionPersistence: field not declared in schema", 500, "", {}};
  };
}

const Json& rule(const World& world) { return world.get(ref(Kind::HttpRoute, "m"))["spec"]["rules"][0]; }

TEST_CASE("sessions are kept by the rule for everybody, through a rollout") {
  explore([](Sim& s) {
    Fixture f = sticky(s);
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    s.expect = [f] {
      f.must_serve("m-v2");
      must(rule(f.s.world)["sessionPersistence"] == kSessions, rule(f.s.world).dump(1));
    };
  });
}

TEST_CASE("where the API server refuses session persistence weights move without it, both ways") {
  explore<bool>({true, false}, [](Sim& s, bool good) {
    Fixture f = sticky(s);
    s.then("asks for m-v2", [f] { return f.reason() == "SessionPersistenceRefused"; }, [f]() mutable { f.ask_for("m-v2"); });
    refuse_sessions(s.world);
    s.invariants.disturbed = true;  // by refusals
    if (!good) {
      s.op.metrics["accuracy m-v2"] = "0.5";
      s.invariants.must_not_pass.insert("accuracy/m-v2");
    }
    s.expect = [f, good] {
      must(f.stable() == (good ? "m-v2" : "m-v1"), f.status().dump(1));
      must_route_to(f, f.stable());
      must(!rule(f.s.world).contains("sessionPersistence"), rule(f.s.world).dump(1));
      must(f.reason("Stalled") == (good ? "SessionPersistenceRefused" : "RolledBack"), f.status().dump(1));
    };
  });
}

TEST_CASE("session persistence that was refused comes once the mark is taken off") {
  explore([](Sim& s) {
    const Fixture f = sticky(s);
    refuse_sessions(s.world);
    s.invariants.disturbed = true;
    s.then("installs the other channel", [f] { return f.reason() == "SessionPersistenceRefused"; }, [&s] {
      s.world.admission = {};
      s.world.update(ref(Kind::HttpRoute, "m"), [](Json& o) { o["metadata"]["annotations"].erase(api::kAnnotationNotSticky); }, "kubectl");
    });
    s.expect = [f] {
      f.must_serve("m-v1");
      must(rule(f.s.world)["sessionPersistence"] == kSessions, rule(f.s.world).dump(1));
    };
  });
}

// Weight was given as soon as the Deployment said that its pods were ready. On a slow machine their Service's endpoints
// came 100 ms later, and every second request got a 503 until then.
TEST_CASE("a weight waits until the endpoints of its Service name the pods, and says so") {
  explore<int>({0, 1}, [](Sim& s, const int& comes) {
    Fixture f = asking_for_v2(s, [](Json& spec) { spec["rollout"]["progressDeadlineSeconds"] = 120; });
    const auto follows = std::make_shared<bool>(false);
    s.controllers.endpoints_follow = [follows](const std::string& service) { return service == "m" || *follows; };
    if (comes)
      s.then("endpoints come", [f] { return !f.to("m-v2").empty() && f.ready_pods("m-v2") > 0 && f.step(f.to("m-v2")) >= 1; },
             [follows] { *follows = true; });
    s.expect = [f, comes] {
      if (comes) return f.must_serve("m-v2"), must_route_to(f, "m-v2");
      f.must_be_degraded("RolledBack", "m-v1");
      must(f.status().dump().find("the endpoints of Service m-candidate do not list enough of them yet") != std::string::npos, f.status().dump(1));
    };
  });
}

// A Service that selects another version leads to the pods of the one before until its endpoints follow.
TEST_CASE("a version that comes right after another does not get its weight while the endpoints name the other's pods") {
  explore([](Sim& s) {
    Fixture f = asking_for_v2(s, [](Json& spec) {
      spec["rollout"]["steps"] = Json::parse(R"([{"weight": 50}, {"pause": {}}])");
      spec["rollout"]["progressDeadlineSeconds"] = 120;
    });
    const auto stand_still = std::make_shared<bool>(false);
    s.controllers.endpoints_follow = [stand_still](const std::string& service) { return service == "m" || !*stand_still; };
    s.then("asks for m-v3", [f] { return !f.to("m-v2").empty() && f.phase(f.to("m-v2")) == "Paused"; }, [f, stand_still]() mutable {
      *stand_still = true;
      f.ask_for("m-v3");
    });
    s.expect = [f] {
      f.must_be_degraded("RolledBack", "m-v1");
      must_route_to(f, "m-v1");
    };
  });
}

TEST_CASE("after a promotion everything stays with the candidate's Service until the endpoints of the Model's own name its pods") {
  explore([](Sim& s) {
    Fixture f = asking_for_v2(s);
    const auto stand_still = std::make_shared<bool>(false);
    s.controllers.endpoints_follow = [stand_still](const std::string& service) { return service != "m" || !*stand_still; };
    s.then("its endpoints stand still", [f] { return !f.to("m-v2").empty() && f.weight(f.to("m-v2")) >= 10; }, [stand_still] { *stand_still = true; });
    s.expect = [f, &s] {
      must(f.phase(f.to("m-v2")) == "Succeeded" && f.stable() == "m-v2", f.status().dump(1));
      const Json& backends = s.world.get(ref(Kind::HttpRoute, "m"))["spec"]["rules"][0]["backendRefs"];
      must(backends.size() == 1 && backends[0]["name"] == "m-candidate", backends.dump());
    };
  });
}

TEST_CASE("a route given and taken away in the middle of a canary") {
  explore<int>({1, 0}, [](Sim& s, const int& given) {
    Fixture f = routed(s, [&](Json& spec) {
      if (given) spec["serving"].erase("route");
      spec["rollout"]["steps"][0]["weight"] = 30;
    });
    s.invariants.disturbed = true;  // the way traffic is split changes under way
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    s.then("changes the way", [f] { return f.weight(f.to("m-v2")) >= 30; }, [f, given]() mutable {
      f.edit_spec([&](Json& spec) {
        if (given)
          spec["serving"]["route"] = {{"parentRefs", {{{"name", "gw"}}}}};
        else
          spec["serving"].erase("route");
      });
    });
    s.expect = [f, given, &s] {
      f.must_serve("m-v2");
      if (given)
        must_route_to(f, "m-v2");
      else
        must(!s.world.find(ref(Kind::HttpRoute, "m")), "the route is left over");
    };
  });
}

}  // namespace
}  // namespace mo::sim
