// A Model is retired, in whatever it is doing, and comes back only when spec.lifecycle says so.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

std::function<void()> stage(Fixture f, const std::string& stage) {
  return [f, stage]() mutable { f.edit_spec([&](Json& spec) { spec["lifecycle"] = {{"stage", stage}, {"successor", "n"}}; }); };
}

std::string phase(const Fixture& f) { return f.status().value("phase", ""); }

void must_be_gone(const Sim& s) {
  for (const Kind kind : {Kind::Deployment, Kind::Service, Kind::HttpRoute})
    must(s.world.all(kind).empty(), std::string("nothing of kind ") + info(kind).kind);
}

// A version whose Model was retired before "Serving" was written on it stayed "Registered" for ever.
TEST_CASE("what is retired serves nothing, and its history stays") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    s.then("retires", f.serves("m-v1"), stage(f, "Retired"));
    s.until = [f, &s] {
      return f.reason() == "Retired" && f.version_phase("m-v1") == "Retired" && s.world.all(Kind::Deployment).empty();
    };
    s.expect = [f, &s] {
      must_be_gone(s);
      must(f.stable() == "m-v1", "what served last is on record");
      must(f.version_phase("m-v2") == "Registered" || f.version_phase("m-v2").empty(), "m-v2 is still there");
      must(f.condition("EndOfLife") == "True", "EndOfLife");
      must(f.status()["message"].get<std::string>().find("successor is Model n") != std::string::npos, f.status()["message"]);
    };
  });
}

TEST_CASE("a rollout under way ends with the Model, and what is asked for afterwards does not start") {
  explore([](Sim& s) {
    Fixture f = usual(s, [](Json& spec) { spec["rollout"] = {{"steps", {{{"weight", 50}}, {{"pause", Json::object()}}}}}; });
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    s.then("retires", [f] { return f.weight(f.to("m-v2")) == 50; }, stage(f, "Retired"));
    s.then("asks by a rollout", [f] { return phase(f) == "Retired"; }, [f]() mutable { f.make_rollout("again", "m-v3"); });
    s.until = [f] { return f.phase("again") == "Aborted" && f.reason() == "Retired"; };
    s.expect = [f, &s] {
      must_be_gone(s);
      f.must_be(f.to("m-v2"), "Aborted");
      must(f.stable() == "m-v1", "stable: " + f.stable());
    };
  });
}

TEST_CASE("only another spec.lifecycle brings a retired Model back, with what served last") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    s.then("retires", f.serves("m-v1"), stage(f, "Retired"));
    s.then("asks for m-v2", [f] { return f.reason() == "Retired"; }, [f]() mutable { f.ask_for("m-v2"); });
    s.then("brings it back", [f] { return f.reason() == "Retired"; }, stage(f, "Production"));
    s.until = f.serves("m-v2");
    s.expect = [f] { must(!f.to("m-v2").empty(), "m-v2 came by its rollout"); };
  });
}

// Its callers are told so, until pods of what comes back can answer them.
TEST_CASE("the route of a retired Model answers by its filter, and serves again with the Model") {
  explore([](Sim& s) {
    s.world.has_gateway = true;
    Fixture f = usual(s, [](Json& spec) {
      spec["serving"]["route"] = {{"parentRefs", {{{"name", "gw"}}}}, {"hostnames", {"m.example.com"}},
                                  {"retired", {{"extensionRef", {{"group", "gateway.envoyproxy.io"}, {"kind", "HTTPRouteFilter"}, {"name", "gone"}}}}}};
    });
    s.then("retires", f.serves("m-v1"), stage(f, "Retired"));
    const auto answers = [&s] {
      const Json* route = s.world.find(ref(Kind::HttpRoute, "m"));
      return route && (*route)["spec"]["rules"][0]["filters"][0]["type"] == "ExtensionRef" && (*route)["spec"]["rules"][0]["backendRefs"].empty();
    };
    s.then("brings it back", [f, &s] { return f.reason() == "Retired" && s.world.all(Kind::Service).empty(); }, [f, answers, back = stage(f, "Production")]() mutable {
      must(answers(), "the filter answers");
      back();
    });
    s.until = [f] { return phase(f) == "Ready"; };
    s.expect = [f, answers] {
      must(!answers(), "the filter answers still");
      f.must_serve("m-v1");
    };
  });
}

TEST_CASE("a date retires a Model, after notice") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    s.then("sets the date", f.serves("m-v1"), [f, &s]() mutable {
      f.edit_spec([&](Json& spec) { spec["lifecycle"] = {{"retireAt", format_time(s.world.now + std::chrono::hours(36))}}; });
    });
    for (const char* left : {", 7 days", ", 1 day"})
      s.then(std::string("is given notice") + left,
             [f, left] {
               const Json notices = f.status().value("lifecycle", Json::object()).value("notices", Json::array());
               return notices.dump().find(std::string(left) + "\"") != std::string::npos;
             },
             [f] {
               must(phase(f) == "Ready", "it serves until then: " + phase(f));
               must(f.condition("EndOfLife") == "True" && f.reason("EndOfLife") == "RetirementNotice", f.status().dump());
             });
    s.until = [f] { return f.reason() == "Retired" && phase(f) == "Retired"; };
    s.expect = [&s] { must_be_gone(s); };
  });
}

}  // namespace
}  // namespace mo::sim
