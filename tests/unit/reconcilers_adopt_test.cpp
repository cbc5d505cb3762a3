// What a Model does to a Deployment that served before, in moments that are hard to come by in the simulated world.
#include <catch2/catch.hpp>

#include "operator/json/json.h"
#include "reconcilers/serving/adopt.h"

namespace mo::serving {
namespace {

const TimePoint kNow = *parse_time("2026-11-22T09:00:00Z");

// Model m is taking the place of Deployment old: Service m, which both know, leads to m's pods.
Observed replacing(int old_replicas, int old_ready) {
  api::Model model;
  model.meta.key = {"ns", "m"};
  model.meta.uid = "uid-m";
  model.meta.finalizers = {api::kFinalizer};
  model.adopt = "old";
  model.status.adopted = api::Adopted{"old", "uid-d", 2, "uid-s", R"({"managedBy":"","ports":[{"port":80}],"selector":{"app":"old"}})", "Replacing", {}};
  api::Service service;
  service.meta.key = {"ns", "m"};
  service.meta.uid = "uid-s";
  service.meta.resource_version = "7";
  service.selector = {{api::kLabelModel, "m"}, {api::kLabelVersion, "m-v1"}};
  Observed o;
  o.key = model.meta.key;
  o.model = std::make_shared<const api::Model>(model);
  o.services["m"].object = std::make_shared<const api::Service>(service);
  const std::string id = "adopt/uid-m/old/" + std::to_string(kNow.time_since_epoch() / std::chrono::seconds(10));
  Answer answer;
  answer.text = Json{{"deployment", {{"uid", "uid-d"}, {"resourceVersion", "9"}, {"replicas", old_replicas}, {"ready", old_ready}, {"labels", {{"app", "old"}}}, {"controller", ""}, {"deleting", false}}},
                     {"service", {{"uid", "uid-s"}, {"resourceVersion", "7"}, {"selector", {{api::kLabelModel, "m"}}}, {"ports", Json::array()}, {"controller", ""}, {"applied", true}}},
                     {"others", Json::array()}}.dump();
  o.answers[id] = answer;
  return o;
}

TEST_CASE("adopt: callers go back to the old pods when the first version is given up after they had been sent to it") {
  const Adoption a = adopt(replacing(2, 2), Successor::None, kNow);
  REQUIRE(a.actions.size() == 1);
  const auto& apply = std::get<Apply>(a.actions[0]);
  CHECK(apply.uid == "uid-s");
  CHECK(apply.resource_version == "7");
  CHECK(Json::parse(apply.body)["spec"]["selector"] == Json{{"app", "old"}});
  CHECK(a.holds_service);
}

TEST_CASE("adopt: but not before the old pods are there again") {
  const Adoption gone = adopt(replacing(0, 0), Successor::None, kNow);
  REQUIRE(gone.actions.size() == 1);
  CHECK(std::get<Scale>(gone.actions[0]).replicas == 2);
  CHECK(std::get<Scale>(gone.actions[0]).resource_version == "9");
  const Adoption coming = adopt(replacing(2, 1), Successor::None, kNow);
  CHECK(coming.actions.empty());
  CHECK(coming.look_again);
}

TEST_CASE("adopt: nothing is scaled as long as callers may reach others than the Model's pods") {
  const Adoption a = adopt(replacing(2, 2), Successor::Ready, kNow);  // no EndpointSlice names a pod of the Model
  CHECK(a.actions.empty());
  CHECK(a.status->phase == "Replacing");
  CHECK_FALSE(a.status->since);
}

TEST_CASE("adopt: a Model that is deleted asks for the old pods first, as they were seen") {
  Observed o = replacing(0, 0);
  api::Model model = *o.model;
  model.status.adopted->phase = "Returning";
  model.status.adopted->since = kNow;
  o.model = std::make_shared<const api::Model>(model);
  const auto scale_of = [](const Plan& plan) {
    const Scale* found = nullptr;
    for (const Action& action : plan.actions)
      if (const auto* scale = std::get_if<Scale>(&action)) found = scale;
    return found ? *found : Scale{};
  };
  const Scale scale = scale_of(give_back(o, kNow));
  CHECK(scale.replicas == 2);
  CHECK(scale.uid == "uid-d");
  CHECK(scale.resource_version == "9");
  // Ten minutes on nobody waits for it any more.
  model.status.adopted->since = kNow - std::chrono::minutes(10);
  o.model = std::make_shared<const api::Model>(model);
  const Plan late = give_back(o, kNow);
  CHECK(scale_of(late).uid.empty());
  CHECK(std::any_of(late.actions.begin(), late.actions.end(), [](const Action& a) { return std::holds_alternative<Apply>(a); }));
}

// Nobody let it go: the plan that was to do so came back empty, and asked for nothing either.
TEST_CASE("adopt: a Model that is deleted waits for a last reading, and goes without one in the end") {
  Observed o = replacing(2, 1);
  api::Model model = *o.model;
  model.status.adopted->phase = "Returning";
  const auto after = [&](Duration passed) {
    model.status.adopted->since = kNow - passed;
    o.model = std::make_shared<const api::Model>(model);
    return give_back(o, kNow);
  };
  const auto lets_go = [](const Plan& plan) {
    return plan.actions.size() == 1 && std::holds_alternative<SetFinalizers>(plan.actions[0]);
  };
  const std::map<std::string, Answer> read = std::exchange(o.answers, {});
  const Plan unread = after(std::chrono::minutes(10));
  CHECK(unread.actions.empty());
  CHECK(unread.asks.size() == 1);
  CHECK(unread.requeue_after == std::chrono::minutes(1));
  CHECK(lets_go(after(std::chrono::minutes(11))));
  o.answers = read;
  for (auto& [id, answer] : o.answers) {
    answer.text.reset();
    answer.problem = "forbidden";
  }
  CHECK_FALSE(lets_go(after(std::chrono::minutes(9))));
  CHECK(lets_go(after(std::chrono::minutes(10))));
}

// Found by exploring: the Service has no owner for as long as it is to be given back. Whoever took adopt out and deleted the Model at
// once left a Service that led to nobody.
TEST_CASE("adopt: what is not given back any more goes with the Model, its Service too") {
  Observed o = replacing(0, 0);
  api::Model model = *o.model;
  model.adopt.reset();
  o.model = std::make_shared<const api::Model>(model);
  const Plan plan = give_back(o, kNow);
  REQUIRE(plan.actions.size() == 2);
  const auto& removal = std::get<Delete>(plan.actions[0]);
  CHECK((removal.target.kind == Kind::Service && removal.uid == "uid-s" && removal.resource_version == "7"));
  CHECK(std::get<SetFinalizers>(plan.actions[1]).finalizers.empty());

  o.refusals = {{removal.target, Error{ErrorKind::Forbidden, "a webhook says no", 403, "", {}}, "", kNow}};
  CHECK(give_back(o, kNow).actions.size() == 1);  // a Model goes, whatever the API server says

  o.refusals.clear();
  api::Service owned = *o.services["m"].object;
  owned.meta.controller_uid = "uid-m";
  o.services["m"].object = std::make_shared<const api::Service>(owned);
  CHECK(give_back(o, kNow).actions.size() == 1);
}

}  // namespace
}  // namespace mo::serving
