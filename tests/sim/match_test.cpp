// What a route gives a candidate beside its weight: matched headers, mirrored requests, its own number of pods.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

using Edit = std::function<void(Json& spec)>;

// Steps and settings of spec.rollout, over a Model with a route that asks for m-v2.
Fixture rolling_to_v2(Sim& s, const char* steps, const Json& rollout = Json::object()) {
  s.world.has_gateway = true;
  Fixture f = usual(s, [&](Json& spec) {
    spec["serving"]["replicas"] = 4;
    spec["serving"]["route"] = {{"parentRefs", {{{"name", "gw"}}}}};
    spec["rollout"]["steps"] = Json::parse(steps);
    spec["rollout"].update(rollout);
  });
  s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
  return f;
}

const Json& rules(const Fixture& f) { return f.s.world.get(ref(Kind::HttpRoute, "m"))["spec"]["rules"]; }

void must_be_plain(const Fixture& f) {
  must(rules(f) == Json::parse(R"([{"backendRefs": [{"name": "m", "port": 80, "weight": 100}]}])"), rules(f).dump(1));
  must(!f.s.world.find(ref(Kind::Service, "m-candidate")), "m-candidate is left over");
}

const char* const kChosen = R"([{"match": {"headers": [{"name": "x-canary", "value": "1"}]}}, {"gates": ["accuracy"]}, {"pause": {}}, {"weight": 10}])";

TEST_CASE("chosen callers get the candidate, everybody else stable") {
  explore([](Sim& s) {
    Fixture f = rolling_to_v2(s, kChosen);
    s.expect = [f] {
      must(f.phase(f.to("m-v2")) == "Paused" && f.weight(f.to("m-v2")) == 0, f.phase(f.to("m-v2")));
      must(rules(f).size() == 2, rules(f).dump(1));
      must(rules(f)[0]["matches"] == Json::parse(R"([{"headers": [{"type": "Exact", "name": "x-canary", "value": "1"}]}])"), rules(f).dump(1));
      must(rules(f)[0]["backendRefs"] == Json::parse(R"([{"name": "m-candidate", "port": 80}])"), rules(f).dump(1));
      must(rules(f)[1]["backendRefs"] == Json::parse(R"([{"name": "m", "port": 80, "weight": 100}])"), rules(f).dump(1));
      must(f.status()["trafficSummary"] == "m-v1 100% / m-v2 0% / m-v2 matched requests", f.status().dump(1));
    };
  });
}

TEST_CASE("after chosen callers everybody gets the candidate") {
  explore([](Sim& s) {
    Fixture f = rolling_to_v2(s, kChosen);
    s.then("promotes", [f] { return f.phase(f.to("m-v2")) == "Paused"; }, [f]() mutable { f.resume(f.to("m-v2")); });
    s.expect = [f] {
      f.must_serve("m-v2");
      must_be_plain(f);
    };
  });
}

TEST_CASE("chosen callers go back when the gate fails") {
  explore([](Sim& s) {
    Fixture f = rolling_to_v2(s, kChosen);
    s.op.metrics["accuracy m-v2"] = "0.5";
    s.expect = [f] {
      f.must_be_degraded("RolledBack", "m-v1");
      must_be_plain(f);
    };
  });
}

TEST_CASE("a rollout with chosen callers, aborted at any step, leaves nothing behind") {
  explore<int>({1, 2, 3}, [](Sim& s, const int& step) {
    Fixture f = rolling_to_v2(s, kChosen);
    s.then("aborts", [f, step] { return !f.to("m-v2").empty() && f.step(f.to("m-v2")) >= step; },
           [f]() mutable { f.desire(f.to("m-v2"), "Aborted"); });
    s.expect = [f] {
      must(f.phase(f.to("m-v2")) == "Aborted" && f.stable() == "m-v1", f.phase(f.to("m-v2")));
      must_be_plain(f);
    };
  });
}

TEST_CASE("a later match takes the place of an earlier one") {
  explore([](Sim& s) {
    Fixture f = rolling_to_v2(s, R"([{"match": {"headers": [{"name": "x-team", "value": "us"}]}}, {"weight": 10},
                                     {"match": {"headers": [{"name": "x-beta", "value": "yes|on", "type": "RegularExpression"}]}}, {"pause": {}}])");
    s.expect = [f] {
      must(f.phase(f.to("m-v2")) == "Paused", f.phase(f.to("m-v2")));
      must(rules(f)[0]["matches"] ==
               Json::parse(R"([{"headers": [{"type": "RegularExpression", "name": "x-beta", "value": "yes|on"}]}])"), rules(f).dump(1));
      must(f.weight(f.to("m-v2")) == 10, "weight");
    };
  });
}

TEST_CASE("blue-green shows the new version to chosen callers before the switch") {
  explore([](Sim& s) {
    Fixture f = rolling_to_v2(s, R"([{"match": {"headers": [{"name": "x-canary", "value": "1"}]}}, {"gates": ["accuracy"]}, {"weight": 100}])",
                              {{"strategy", "BlueGreen"}});
    s.expect = [f] {
      f.must_serve("m-v2");
      must_be_plain(f);
    };
  });
}

TEST_CASE("a candidate has as many pods as its step says, and all of them at the end") {
  explore([](Sim& s) {
    Fixture f = rolling_to_v2(s, R"([{"candidateReplicas": 3}, {"weight": 10}, {"candidateReplicas": 1}, {"pause": {}}, {"weight": 50}])");
    s.expect = [f] {
      must(f.phase(f.to("m-v2")) == "Paused" && f.weight(f.to("m-v2")) == 10, f.phase(f.to("m-v2")));
      must(f.ready_pods("m-v2") == 1 && f.ready_pods("m-v1") == 4, "pods");
    };
  });
  explore([](Sim& s) {
    Fixture f = rolling_to_v2(s, R"([{"candidateReplicas": 1}, {"weight": 50}])");
    s.expect = [f] {
      f.must_serve("m-v2");
      must_be_plain(f);
      must(f.ready_pods("m-v2") == 4, "pods");
    };
  });
}

TEST_CASE("a preview is small until the switch") {
  explore([](Sim& s) {
    Fixture f = rolling_to_v2(s, R"([{"candidateReplicas": 1}, {"pause": {}}])", {{"strategy", "BlueGreen"}});
    s.expect = [f] { must(f.phase(f.to("m-v2")) == "Paused" && f.ready_pods("m-v2") == 1, "pods"); };
  });
}

const Json kShadow = {{"strategy", "Shadow"}};

TEST_CASE("a shadow gets copies and no caller") {
  explore([](Sim& s) {
    Fixture f = rolling_to_v2(s, R"([{"gates": ["accuracy"]}, {"pause": {}}])", kShadow);
    s.expect = [f] {
      must(f.phase(f.to("m-v2")) == "Paused" && f.weight(f.to("m-v2")) == 0, f.phase(f.to("m-v2")));
      must(rules(f) == Json::parse(R"([{"backendRefs": [{"name": "m", "port": 80, "weight": 100}],
             "filters": [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "m-candidate", "port": 80}}}]}])"), rules(f).dump(1));
      must(f.status()["trafficSummary"] == "m-v1 100% / m-v2 shadow", f.status().dump(1));
    };
  });
}

TEST_CASE("a shadow that passes takes over, and is copied nothing any more") {
  explore([](Sim& s) {
    Fixture f = rolling_to_v2(s, R"([{"gates": ["accuracy"]}])", kShadow);
    s.expect = [f] {
      f.must_serve("m-v2");
      must_be_plain(f);
    };
  });
}

TEST_CASE("a policy's least time of copies passes before the first request, also for who promotes") {
  explore<int>({0, 1}, [](Sim& s, const int& promotes) {
    s.world.create({{"kind", "ModelPolicy"}, {"metadata", {{"name", "shadows"}}}, {"spec", {{"require", {{"minShadow", "1h"}}}}}}, "kubectl");
    Fixture f = rolling_to_v2(s, R"([{"gates": ["accuracy"]}])", kShadow);
    if (promotes)
      s.then("promotes", [f] { return !f.to("m-v2").empty() && f.phase(f.to("m-v2")) == "Progressing"; }, [f]() mutable { f.desire(f.to("m-v2"), "Promoted"); });
    s.patience = std::chrono::hours(2);
    s.always = [f, &s] {
      const Json* r = f.to("m-v2").empty() ? nullptr : f.rollout(f.to("m-v2"));
      if (!r || (*r)["status"].value("weights", Json::object()).value("candidate", 0) == 0) return;
      must((*r)["status"].contains("mirroredSince") &&
               s.world.now >= *parse_time((*r)["status"]["mirroredSince"].get<std::string>()) + std::chrono::hours(1),
           "it has requests too early: " + (*r)["status"].dump());
    };
    s.expect = [f] {
      f.must_serve("m-v2");
      must_be_plain(f);
      must((*f.rollout(f.to("m-v2")))["status"]["governance"]["minShadow"] == "1h", "on record");
    };
  });
}

// It was counted from when the gateways were known to be able to. This one takes up the route minutes later.
TEST_CASE("a policy's least time of copies is counted from the first one") {
  explore([](Sim& s) {
    s.world.create({{"kind", "ModelPolicy"}, {"metadata", {{"name", "shadows"}}}, {"spec", {{"require", {{"minShadow", "1h"}}}}}}, "kubectl");
    Fixture f = rolling_to_v2(s, R"([{"gates": ["accuracy"]}])", {{"strategy", "Shadow"}, {"onFailure", "Pause"}, {"progressDeadlineSeconds", 120}});
    const auto status = [f] { return f.to("m-v2").empty() ? Json::object() : f.rollout(f.to("m-v2"))->value("status", Json::object()); };
    const auto copies = [&s, f] {
      const Json* route = s.world.find(ref(Kind::HttpRoute, "m"));
      if (!route || !rules(f).back().contains("filters")) return false;
      const Json parents = route->value("status", Json::object()).value("parents", Json::array());
      return !parents.empty() && parents[0]["conditions"][0]["observedGeneration"] == (*route)["metadata"]["generation"];
    };
    s.then("the gateway stops", [f] { return !f.to("m-v2").empty(); }, [&s] { s.world.has_gateway = false; });
    const auto waits = [status] { return status().value("phase", "") == "Paused" && status().contains("mirroringSince"); };
    s.then("the gateway is back", [f, waits] { return waits() || f.stable() == "m-v2"; },
           [&s, f, waits]() mutable {
             s.world.has_gateway = true;
             if (waits()) f.resume(f.to("m-v2"));
           });
    s.patience = std::chrono::hours(2);
    const auto first = std::make_shared<std::optional<TimePoint>>();
    s.always = [status, copies, first, &s] {
      if (!*first && copies()) *first = s.world.now;
      if (status().value("weights", Json::object()).value("candidate", 0) == 0) return;
      must(*first && s.world.now >= **first + std::chrono::hours(1), "it has requests too early: " + status().dump());
    };
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

TEST_CASE("a shadow that fails goes") {
  explore([](Sim& s) {
    Fixture f = rolling_to_v2(s, R"([{"gates": ["accuracy"]}])", kShadow);
    s.op.metrics["accuracy m-v2"] = "0.5";
    s.expect = [f] {
      f.must_be_degraded("RolledBack", "m-v1");
      must_be_plain(f);
    };
  });
}

TEST_CASE("a gateway that mirrors nothing is given nothing to mirror") {
  explore([](Sim& s) {
    Fixture f = rolling_to_v2(s, R"([{"gates": ["accuracy"]}])", kShadow);
    s.world.gateway_mirrors = false;
    s.expect = [f] {
      must(f.phase(f.to("m-v2")) == "RolledBack" && f.stable() == "m-v1", f.phase(f.to("m-v2")));
      const std::string message = f.status()["message"];
      must(message.find("does not support HTTPRouteRequestMirror") != std::string::npos, message);
      must_be_plain(f);
    };
  });
}

TEST_CASE("a route that is taken away under chosen callers ends the rollout in time") {
  explore([](Sim& s) {
    Fixture f = rolling_to_v2(s, kChosen, {{"progressDeadlineSeconds", 60}});
    s.invariants.disturbed = true;
    s.then("takes the route away", [f] { return !f.to("m-v2").empty(); }, [f]() mutable { f.edit_spec([](Json& spec) { spec["serving"].erase("route"); }); });
    s.expect = [f] {
      const std::string phase = f.phase(f.to("m-v2"));
      must(phase == "RolledBack" || phase == "Paused", phase);
      must(!f.s.world.find(ref(Kind::HttpRoute, "m")), "the route is left over");
    };
  });
}

}  // namespace
}  // namespace mo::sim
