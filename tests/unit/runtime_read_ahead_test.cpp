#include <catch2/catch.hpp>

#include "operator/api/parse.h"
#include "operator/runtime/informers.h"
#include "runtime_bench.h"

using namespace mo;

namespace {

const ObjectKey kModel{"pay", "fraud"};

std::string model(const std::string& rv, const std::string& gate_set) {
  return R"({"metadata":{"name":"fraud","namespace":"pay","uid":"m1","resourceVersion":")" + rv +
         R"("},"spec":{"rollout":{"gateSets":[{"kind":"ModelGateSet","name":")" + gate_set + R"("}]}}})";
}

// The watch of Models, as Informers has it.
struct Rig : ExecutorBench {
  ReferenceIndex index;
  int told = 0;
  StoreSink<api::Model> sink{stores.models, [this](const api::Model& o, bool removed) {
                               index.update(o, removed);
                               ++told;
                             }};

  void take(const std::string& json, watch::Effect effect = watch::Effect::Upsert) {
    REQUIRE(sink.read(json));
    sink.apply(effect, "");
  }
  void answer_with(const std::string& json) {
    client.answer = [json](const FakeClient::Call& call) -> Result<std::string> {
      if (call.ref.kind == Kind::Model) return json;
      return R"({"metadata":{"name":"fraud","namespace":"pay","uid":"s1","resourceVersion":"7"}})";
    };
  }
  // Looks first whether the Model is there, and as it was.
  void make_something() {
    Plan plan;
    plan.actions.push_back(Apply{{Kind::Service, kModel}, R"({"metadata":{"name":"fraud"}})", "", "h", "first"});
    REQUIRE(executor.run(kModel, plan, TimePoint{}, {}).kind == Outcome::Kind::Conflict);
  }
  void write_status() {
    Plan plan;
    plan.actions.push_back(WriteStatus{{Kind::Model, kModel}, "m1", "11", "{}", ""});
    REQUIRE(executor.run(kModel, plan, TimePoint{}, {}).kind == Outcome::Kind::Done);
  }
  bool names(const char* gate_set) const { return !index.models_of({Kind::ModelGateSet, {"pay", gate_set}}).empty(); }
};

}  // namespace

// A Model whose new spec named another gate set was read before a write, ahead of its event. The event was no news then: changes of that
// gate set reached the Model never.
TEST_CASE("watcher: the event of what the executor read ahead of it is news, once, and that of a write of ours is none") {
  Rig rig;
  rig.take(model("10", "old"));
  REQUIRE(rig.names("old"));
  rig.answer_with(model("11", "new"));
  rig.make_something();
  REQUIRE(rig.stores.models.get(kModel)->meta.resource_version == "11");
  REQUIRE(rig.told == 1);

  SECTION("by its event") {
    rig.take(model("11", "new"));
    CHECK(rig.told == 2);
    rig.take(model("11", "new"));
    CHECK(rig.told == 2);
  }
  SECTION("by its event, after a write of ours") {
    rig.answer_with(model("12", "new"));
    rig.write_status();
    rig.take(model("11", "new"));
    CHECK(rig.told == 2);
    rig.take(model("12", "new"));
    CHECK(rig.told == 2);
  }
  SECTION("by a list") {
    rig.take(model("11", "new"), watch::Effect::Collect);
    rig.sink.apply(watch::Effect::Swap, "11");
    CHECK(rig.told == 2);
  }
  CHECK(rig.names("new"));
  CHECK_FALSE(rig.names("old"));
  rig.answer_with(model("13", "new"));
  rig.write_status();
  rig.take(model("13", "new"));
  CHECK(rig.told == 2);
}

TEST_CASE("watcher: the event of what was read in place of a lost answer is news") {
  Rig rig;
  rig.take(model("10", "old"));
  rig.client.answer = [](const FakeClient::Call&) -> Result<std::string> { return fail(ErrorKind::Transport, "cut"); };
  Plan plan;
  plan.actions.push_back(WriteStatus{{Kind::Model, kModel}, "m1", "10", "{}", ""});
  REQUIRE(rig.executor.run(kModel, plan, TimePoint{}, {}).kind == Outcome::Kind::Retry);
  rig.answer_with(model("11", "new"));
  REQUIRE(rig.executor.catch_up(kModel, {}));
  rig.take(model("11", "new"));
  CHECK(rig.told == 2);
  CHECK(rig.names("new"));
}
