// Two installations of the operator over the same Models: one handles a Model and all its kin, the other writes nothing of it.
#include <catch2/catch.hpp>

#include "operator/runtime/executor.h"
#include "reconcilers/model/plan.h"
#include "tests/unit/reconcilers_make.h"
#include "tests/unit/runtime_fake_client.h"

using namespace mo;
using namespace mo::test;

namespace {

serving::Settings settings(const std::string& name, const std::string& cls = "", bool take_over = false) {
  serving::Settings s = kSettings;
  s.installation = {name, cls, take_over};
  return s;
}

// The Model's status as the plan writes it, or null.
Json status_of(const Plan& plan) {
  for (const Action& action : plan.actions)
    if (const auto* write = std::get_if<WriteStatus>(&action); write && write->target.kind == Kind::Model) return Json::parse(write->status);
  return {};
}

// A Model that serves and is rolled out, of which there is something to do for everybody who looks.
Scene scene(const std::string& handled_by) {
  Scene s;
  s.model.status.handled_by = handled_by;
  s.model.status.raw = handled_by.empty() ? "{}" : Json{{"operator", handled_by}, {"phase", "Ready"}}.dump();
  s.model.status.stable_version = "m-v1";
  s.running("m-2", "m-v2");
  return s;
}

bool idle(const Plan& plan) { return plan.actions.empty() && plan.events.empty() && plan.asks.empty() && !plan.requeue_after && !plan.at_once; }

}  // namespace

TEST_CASE("installations: the first status records who handles the Model, before anything else is done") {
  Scene s = scene("");
  const Plan plan = model::plan(s.observed(), kNow, settings("a/model-operator"));
  REQUIRE_FALSE(plan.actions.empty());
  const auto* first = std::get_if<WriteStatus>(&plan.actions[0]);
  REQUIRE(first);
  CHECK(first->target.kind == Kind::Model);
  CHECK_FALSE(first->may_wait);
  CHECK(first->resource_version == s.model.meta.resource_version);
  CHECK(Json::parse(first->status)["operator"] == "a/model-operator");
}

TEST_CASE("installations: what another handles is left alone, with all its kin") {
  Scene s = scene("a/model-operator");
  CHECK(idle(model::plan(s.observed(), kNow, settings("b/model-operator"))));
  CHECK_FALSE(idle(model::plan(s.observed(), kNow, settings("a/model-operator"))));
  s.model.meta.deleting = true;
  s.model.meta.finalizers = {api::kFinalizer};
  CHECK(idle(model::plan(s.observed(), kNow, settings("b/model-operator"))));
  CHECK_FALSE(idle(model::plan(s.observed(), kNow, settings("a/model-operator"))));
}

TEST_CASE("installations: of two that come at the same time the second one stops at its first write") {
  Scene s = scene("");
  FakeClient client;
  client.answer = [](const FakeClient::Call&) -> Result<std::string> { return fail(ErrorKind::Conflict, "the object has been modified"); };
  Stores stores;
  stores.models.upsert(api::Model(s.model));
  Ledger ledger;
  Refusals refusals;
  Executor executor(client, stores, ledger, refusals);
  const Plan plan = model::plan(s.observed(), kNow, settings("b/model-operator"));
  REQUIRE(plan.actions.size() > 1);
  CHECK(executor.run(s.model.meta.key, plan, kNow, {}).kind == Outcome::Kind::Conflict);
  REQUIRE(client.calls().size() == 1);
  CHECK(client.calls()[0].verb == "putstatus");
}

TEST_CASE("installations: one is taken over only where that is said") {
  Scene s = scene("a/model-operator");
  CHECK(status_of(model::plan(s.observed(), kNow, settings("b/model-operator", "", true)))["operator"] == "b/model-operator");
}

TEST_CASE("installations: without a name nobody is asked, and the record stays") {
  Scene s = scene("a/model-operator");
  CHECK(status_of(model::plan(s.observed(), kNow, kSettings))["operator"] == "a/model-operator");
  Scene fresh = scene("");
  CHECK_FALSE(status_of(model::plan(fresh.observed(), kNow, kSettings)).contains("operator"));
}

TEST_CASE("installations: each handles the Models of its class and no others") {
  Scene s = scene("");
  s.model.operator_class = "gpu";
  CHECK(idle(model::plan(s.observed(), kNow, settings("a/model-operator"))));
  CHECK(idle(model::plan(s.observed(), kNow, settings("a/model-operator", "cpu"))));
  CHECK(idle(model::plan(s.observed(), kNow, settings("a/model-operator", "cpu", true))));
  CHECK(status_of(model::plan(s.observed(), kNow, settings("a/model-operator", "gpu")))["operator"] == "a/model-operator");
  s.model.operator_class = "";
  CHECK(idle(model::plan(s.observed(), kNow, settings("a/model-operator", "gpu"))));
}

TEST_CASE("installations: whose class is changed is let go of, and then taken by the other") {
  Scene s = scene("a/model-operator");
  s.model.operator_class = "gpu";
  const auto b = settings("b/model-operator-gpu", "gpu");
  CHECK(idle(model::plan(s.observed(), kNow, b)));
  const Plan released = model::plan(s.observed(), kNow, settings("a/model-operator"));
  REQUIRE(released.actions.size() == 1);
  const Json status = status_of(released);
  CHECK(status == Json{{"phase", "Ready"}});
  CHECK(std::get<WriteStatus>(released.actions[0]).resource_version == s.model.meta.resource_version);
  s.model.status.handled_by.clear();
  s.model.status.raw = status.dump();
  CHECK(idle(model::plan(s.observed(), kNow, settings("a/model-operator"))));
  CHECK(status_of(model::plan(s.observed(), kNow, b))["operator"] == "b/model-operator-gpu");
}

TEST_CASE("installations: the one that stays out says who handles the Model, and how to change that") {
  Scene s = scene("a/model-operator");
  const std::string note = stays_out(s.model, settings("b/model-operator").installation);
  for (const char* word : {"a/model-operator", "b/model-operator", "status.operator", "spec.operatorClass", "--take-over"})
    CHECK_THAT(note, Catch::Contains(word));
}
