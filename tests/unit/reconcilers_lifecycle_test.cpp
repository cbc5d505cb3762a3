#include <algorithm>
#include <catch2/catch.hpp>

#include "reconcilers/lifecycle/lifecycle.h"
#include "reconcilers/model/plan.h"
#include "reconcilers/serving/route.h"
#include "tests/unit/reconcilers_make.h"

using namespace mo;
using namespace mo::test;
using Stage = api::Lifecycle::Stage;

namespace {

TimePoint in_days(int days) { return kNow + std::chrono::hours(24 * days); }

struct Life : Scene {
  Life() { model.lifecycle = api::Lifecycle{}; }
  api::Lifecycle& spec() { return *model.lifecycle; }

  lifecycle::Decision decide(TimePoint now = kNow) {
    o.key = model.meta.key;
    o.model = std::make_shared<api::Model>(model);
    lifecycle::Decision d = lifecycle::decide(o, now);
    model.status.lifecycle = d.status;
    return d;
  }
  std::vector<std::string> told(TimePoint now) {
    std::vector<std::string> reasons;
    for (const Event& event : decide(now).events) reasons.push_back(event.reason);
    return reasons;
  }
};

using Reasons = std::vector<std::string>;

}  // namespace

TEST_CASE("a Model without spec.lifecycle has none in status", "[lifecycle]") {
  Life life;
  life.model.lifecycle.reset();
  const auto d = life.decide();
  CHECK(d.status.stage == "");
  CHECK_FALSE(d.end_of_life);
  CHECK(d.events.empty());
}

TEST_CASE("notice of retirement is given once for 30, 7 and 1 days, and then it is retired", "[lifecycle]") {
  Life life;
  life.spec().retire_at = in_days(100);
  CHECK(life.told(kNow) == Reasons{});
  CHECK_FALSE(life.decide().end_of_life->is);
  CHECK(life.told(in_days(71)) == Reasons{"RetirementNotice"});
  CHECK(life.told(in_days(80)) == Reasons{});
  CHECK(life.decide(in_days(80)).end_of_life->reason == "RetirementNotice");
  CHECK(life.told(in_days(93)) == Reasons{"RetirementNotice"});
  CHECK(life.told(in_days(99)) == Reasons{"RetirementNotice"});
  CHECK(life.told(in_days(99)) == Reasons{});
  CHECK_FALSE(life.decide(in_days(99)).retired);
  CHECK(life.told(in_days(100)) == Reasons{"Retired"});
  CHECK(life.decide(in_days(101)).retired);
  CHECK(life.told(in_days(102)) == Reasons{});
}

TEST_CASE("another date gets notices of its own", "[lifecycle]") {
  Life life;
  life.spec().retire_at = in_days(5);
  CHECK(life.told(kNow) == Reasons{"RetirementNotice"});
  life.spec().retire_at = in_days(6);
  CHECK(life.told(kNow) == Reasons{"RetirementNotice"});
}

TEST_CASE("it is looked at again when a notice is due, and within a day", "[lifecycle]") {
  Life life;
  life.spec().retire_at = kNow + std::chrono::hours(24 * 30 + 2);
  CHECK(life.decide().look_again == kNow + std::chrono::hours(2));
  life.spec().retire_at = in_days(300);
  CHECK(life.decide().look_again == in_days(1));
}

TEST_CASE("deprecation comes by its date, and a review that is past is told once", "[lifecycle]") {
  Life life;
  life.spec().deprecate_at = in_days(1);
  life.spec().review_by = in_days(2);
  CHECK(life.told(kNow) == Reasons{"DeprecationNotice", "ReviewNotice"});
  CHECK(life.told(in_days(1)) == Reasons{"Deprecated", "ReviewNotice"});
  CHECK(life.decide(in_days(1)).status.stage == "Deprecated");
  CHECK(life.told(in_days(2)) == Reasons{"ReviewDue"});
  CHECK(life.told(in_days(3)) == Reasons{});
}

TEST_CASE("a spec that cannot be read brings nothing back", "[lifecycle]") {
  Life life;
  life.spec().stage = Stage::Retired;
  CHECK(life.decide().retired);
  life.spec().stage = Stage::Production;
  life.model.problem = "spec.lifecycle.stage: no";
  CHECK(life.decide().retired);
  life.model.problem.clear();
  CHECK(life.told(kNow) == Reasons{"BackInService"});
  CHECK_FALSE(life.decide().retired);
}

TEST_CASE("a deprecated Model names its successor once its gateways say that they can", "[lifecycle]") {
  Life life;
  life.spec().stage = Stage::Deprecated;
  life.spec().successor = "n";
  life.spec().retire_at = *parse_time("2027-02-01T12:00:00Z");
  life.model.route = api::Model::Route{R"([{"name":"gw"}])", {}, ""};
  auto d = life.decide();
  CHECK(d.headers.empty());
  REQUIRE(d.asks.size() == 1);
  CHECK(std::get<AskGateways>(d.asks[0].question).feature == "HTTPRouteResponseHeaderModification");
  Answer no;
  no.problem = "Gateway ns/gw does not support it";
  life.o.answers[d.asks[0].id] = no;
  CHECK(life.decide().headers.empty());
  Answer yes;
  yes.text = "HTTPRouteResponseHeaderModification";
  life.o.answers[d.asks[0].id] = yes;
  d = life.decide();
  CHECK(d.headers == std::map<std::string, std::string>{{"Deprecation", "@1795338000"},
                                                        {"Model-Successor", "n"},
                                                        {"Sunset", "Mon, 01 Feb 2027 12:00:00 GMT"}});
  // After a restart nothing is known but what status says, and nobody's headers vanish.
  life.o.answers.clear();
  CHECK(life.decide().headers == d.headers);
  CHECK(life.decide().asks.empty());
  // Other gateways are asked anew.
  life.model.route->parent_refs = R"([{"name":"other"}])";
  CHECK(life.decide().headers.empty());
  CHECK(life.decide().asks.size() == 1);
}

TEST_CASE("retiring takes down what is the Model's own, statuses first", "[lifecycle]") {
  Life life;
  life.spec().stage = Stage::Retired;
  life.model.status.stable_version = "m-v1";
  life.deployment("m-v1", 2);
  life.o.key = life.model.meta.key;
  life.o.model = std::make_shared<api::Model>(life.model);
  const Plan plan = model::plan(life.o, kNow, kSettings);
  REQUIRE(plan.actions.size() >= 2);
  CHECK(std::holds_alternative<WriteStatus>(plan.actions.front()));
  const auto deletes = std::count_if(plan.actions.begin(), plan.actions.end(), [](const Action& a) { return std::holds_alternative<Delete>(a); });
  CHECK(deletes <= 1);
  bool seen_delete = false;
  for (const Action& action : plan.actions) {
    const auto* apply = std::get_if<Apply>(&action);
    if (apply && apply->target.kind == Kind::ModelAudit) continue;  // the trail is sealed at the end
    if (std::holds_alternative<Delete>(action)) seen_delete = true;
    else CHECK_FALSE(seen_delete);
    CHECK_FALSE(apply);
  }
}

namespace {

// A Model that is retired, with a gateway's own filter to answer callers.
struct Answered : Life {
  Answered() {
    spec().stage = Stage::Retired;
    model.status.stable_version = "m-v1";
    model.route = api::Model::Route{R"([{"name":"gw"}])", {"m.example.com"}, ""};
    model.route->retired = api::FilterRef{"gateway.envoyproxy.io", "HTTPRouteFilter", "gone"};
  }
  Plan plan() {
    o.key = model.meta.key;
    o.model = std::make_shared<api::Model>(model);
    return model::plan(o, kNow, kSettings);
  }
  static const Apply* route(const Plan& plan) {
    for (const Action& action : plan.actions)
      if (const auto* apply = std::get_if<Apply>(&action); apply && apply->target.kind == Kind::HttpRoute) return apply;
    return nullptr;
  }
  static Json status(const Plan& plan) {
    for (const Action& action : plan.actions)
      if (const auto* write = std::get_if<WriteStatus>(&action); write && write->target.kind == Kind::Model) return parse_json(write->status, 1 << 20).value();
    return {};
  }
  void is_there(const std::string& hash, bool resolved = true, TimePoint applied_at = kNow - std::chrono::hours(1)) {
    api::HttpRoute route;
    route.meta.key = o.key;
    route.meta.uid = "route-uid";
    route.meta.resource_version = "7";
    route.meta.controller_uid = model.meta.uid;
    route.parents.push_back({"gw", true, resolved, 0, resolved ? "" : "InvalidFilter: no such filter"});
    route.applied_at = applied_at;
    o.routes[o.key.name] = {std::make_shared<api::HttpRoute>(route), hash};
  }
};

}  // namespace

// The plan is made as if a record that it registers were there, and for good it ended at a status of one that is not.
TEST_CASE("a retired Model whose record is gone is taken down all the same", "[lifecycle]") {
  Scene s;
  s.model.version.reset();
  s.model.artifact = api::Artifact{"http://x/y", "sha256:0123456789abcdef", {"rules", "1"}};
  s.model.lifecycle = api::Lifecycle{};
  s.model.lifecycle->stage = Stage::Retired;
  s.model.status.stable_version = "m-0123456789";
  s.version("m-0123456789");
  s.deployment("m-0123456789", 2);
  s.o.named.erase("m-0123456789");
  std::erase_if(s.o.versions, [](const auto& v) { return v->meta.key.name == "m-0123456789"; });
  const Plan plan = model::plan(s.observed(), kNow, kSettings);
  for (const Action& a : plan.actions)
    if (const auto* write = std::get_if<WriteStatus>(&a)) CHECK_FALSE(write->uid.empty());
  CHECK(std::any_of(plan.actions.begin(), plan.actions.end(), [](const Action& a) {
    const auto* removal = std::get_if<Delete>(&a);
    return removal && removal->target.kind == Kind::Deployment;
  }));
}

TEST_CASE("callers of a retired Model are answered by the filter that its route names", "[lifecycle]") {
  Answered life;
  life.deployment("m-v1", 2);
  const Plan plan = life.plan();
  const Apply* route = Answered::route(plan);
  REQUIRE(route);
  const auto takes_down = [](const Plan& of) {
    return std::any_of(of.actions.begin(), of.actions.end(), [](const Action& a) { return std::holds_alternative<Delete>(a); });
  };
  CHECK_FALSE(takes_down(plan));  // gateways send callers to its pods still
  const Json spec = parse_json(route->body, 1 << 16).value()["spec"];
  CHECK(spec == Json::parse(R"({"parentRefs":[{"name":"gw"}],"hostnames":["m.example.com"],"rules":[{"backendRefs":[],"filters":[
    {"type":"ExtensionRef","extensionRef":{"group":"gateway.envoyproxy.io","kind":"HTTPRouteFilter","name":"gone"}}]}]})"));
  CHECK(Answered::status(plan)["conditions"].dump().find("Retiring") != std::string::npos);
  life.is_there(route->hash, true, kNow);
  CHECK_FALSE(takes_down(life.plan()));
  CHECK(life.plan().requeue_after == serving::kGatewayLag);
  life.is_there(route->hash);
  CHECK(takes_down(life.plan()));
  // Once all is so, nothing is written again, and the Model is at rest.
  life.o.deployments.clear();
  const Plan settled = life.plan();
  CHECK_FALSE(Answered::route(settled));
  CHECK_FALSE(takes_down(settled));
  CHECK(Answered::status(settled)["message"].get<std::string>().find("retired: no version serves") == 0);
  // Somebody changed it: it is as declared again, exactly that object.
  life.is_there("other");
  const Plan again = life.plan();
  REQUIRE(Answered::route(again));
  CHECK(Answered::route(again)->uid == "route-uid");
  CHECK(Answered::route(again)->resource_version == "7");
  // No longer wanted: it goes.
  life.model.route->retired.reset();
  const Plan gone = life.plan();
  CHECK_FALSE(Answered::route(gone));
  CHECK(std::any_of(gone.actions.begin(), gone.actions.end(), [](const Action& a) {
    const auto* removal = std::get_if<Delete>(&a);
    return removal && removal->target.kind == Kind::HttpRoute;
  }));
}

TEST_CASE("a filter that is refused, or that its gateway does not know, is said and holds up no end of life", "[lifecycle]") {
  Answered life;
  life.deployment("m-v1", 2);
  const Plan first = life.plan();
  const Apply* route = Answered::route(first);
  REQUIRE(route);
  life.o.refusals.push_back({{Kind::HttpRoute, life.o.key}, Error{ErrorKind::Invalid, "no matches for kind", 422, {}, {}}, route->hash, kNow});
  const Plan plan = life.plan();
  const auto deletes = [](const Action& a) { return std::holds_alternative<Delete>(a); };
  const auto applies = [](const Action& a) {
    const auto* apply = std::get_if<Apply>(&a);
    return apply && apply->target.kind == Kind::HttpRoute;
  };
  const auto removal = std::find_if(plan.actions.begin(), plan.actions.end(), deletes);
  REQUIRE(removal != plan.actions.end());
  CHECK(removal < std::find_if(plan.actions.begin(), plan.actions.end(), applies));  // what was refused comes last
  CHECK(Answered::status(plan)["message"].get<std::string>().find("no matches for kind") != std::string::npos);
  life.o.refusals.clear();
  life.o.deployments.clear();
  life.is_there(route->hash, false);
  CHECK(Answered::status(life.plan())["message"].get<std::string>().find("no such filter") != std::string::npos);
}
