// Which revision serves, which one is asked for, and how the sides of one version are told apart.
#include <catch2/catch.hpp>

#include "reconcilers/common/side.h"
#include "reconcilers/model/plan.h"
#include "reconcilers/model/revisions.h"
#include "tests/unit/reconcilers_make.h"

using namespace mo;
using test::kNow;
using test::Scene;

namespace {

constexpr const char* kOne = R"({"spec":{"containers":[{"image":"one","name":"server"}]}})";
constexpr const char* kOneOtherwise = R"({"spec": {"containers": [{"name": "server", "image": "one"}]}})";
constexpr const char* kTwo = R"({"spec":{"containers":[{"image":"two","name":"server"}]}})";

std::string name_of(const Scene& s, const std::string& version = "m-v1") {
  return *serving::revision_name(s.model, *s.o.named.at(version), *s.o.runtimes[0]);
}

template <class T>
std::vector<T> actions(const Plan& plan, Kind kind) {
  std::vector<T> found;
  for (const Action& action : plan.actions)
    if (const auto* one = std::get_if<T>(&action); one && one->target.kind == kind) found.push_back(*one);
  return found;
}

Json status_of(const Plan& plan) {
  const auto writes = actions<WriteStatus>(plan, Kind::Model);
  return writes.empty() ? Json() : Json::parse(writes[0].status);
}

// m-v1 serves as an operator of today has it.
Scene serving_as(const std::string& pod_template) {
  Scene s;
  s.model.template_overlay = pod_template;
  s.deployment("m-v1", 2);
  s.service("m-v1");
  const Plan plan = model::plan(s.observed(), kNow, test::kSettings);
  const Json status = status_of(plan);
  REQUIRE(status["stableVersion"] == "m-v1");
  s.model.status.stable_version = "m-v1";
  s.model.status.stable_digest = "sha256:m-v1";
  s.model.status.stable_revision = *model::first_revision(s.observed(), "m-v1", test::kSettings);
  s.model.status.spec_version = "m-v1";
  s.model.status.spec_revision = status["spec"]["revision"];
  s.model.status.intent = {"m-v1", "Spec", "", "Succeeded", "", "", kNow};
  return s;
}

}  // namespace

TEST_CASE("a revision's name follows from what people say, not from the operator or how it is written") {
  Scene s;
  s.model.template_overlay = kOne;
  const std::string name = name_of(s);
  CHECK(name.size() == 10);
  s.model.template_overlay = kOneOtherwise;
  CHECK(name_of(s) == name);
  s.model.replicas = 7;
  s.model.max_surge = 1;
  s.model.rollout.steps.clear();
  CHECK(name_of(s) == name);
  CHECK(serving::make_revision(s.model, *s.o.named.at("m-v1"), *s.o.runtimes[0], {"operator:9"})->name == name);
  CHECK(name_of(s, "m-v2") != name);
  s.model.template_overlay = kTwo;
  CHECK(name_of(s) != name);
}

TEST_CASE("sides have names of their own") {
  CHECK(side_of("m-v1", "") == "m-v1");
  CHECK(version_of(side_of("m-v1", "abc")) == "m-v1");
  CHECK(revision_of(side_of("m-v1", "abc")) == "abc");
  CHECK(revision_of("m-v1") == "");
  CHECK(side_of(std::map<std::string, std::string>{{api::kLabelModel, "m"}}) == "");
  CHECK(shown("m-v1", "5d8c02b7aa", "m-v2", "a1") == "m-v1");
  CHECK(shown("m-v1", "5d8c02b7aa", "m-v1", "a1c3f09b12") == "m-v1 (template 5d8c)");
  CHECK(shown("m-v1", "5d8c02b7aa", "m-v1", "5d8c1") == "m-v1 (template 5d8c0)");
}

TEST_CASE("what serves is left alone by another image of the operator and by an edit of its runtime") {
  Scene s = serving_as(kOne);
  SECTION("nothing") {}
  SECTION("another image of the operator") {
    for (const Action& action : model::plan(s.observed(), kNow, {"operator:9"}).actions) CHECK(std::holds_alternative<WriteStatus>(action));
    return;
  }
  SECTION("an edit of the runtime") {
    auto runtime = std::make_shared<api::ModelRuntime>(*s.o.runtimes[0]);
    runtime->port = 9999;
    s.o.runtimes = {runtime};
    const Plan plan = model::plan(s.observed(), kNow, test::kSettings);
    const Json status = status_of(plan);  // a temporary would be gone in the loop
    for (const Json& condition : status["conditions"])
      if (condition["type"] == "RuntimeOutdated") CHECK(condition["status"] == "True");
    CHECK(status.dump().find("RuntimeOutdated") != std::string::npos);
  }
  const Plan plan = model::plan(s.observed(), kNow, test::kSettings);
  CHECK(actions<Apply>(plan, Kind::Deployment).empty());
  CHECK(actions<Apply>(plan, Kind::ModelRollout).empty());
}

// An upgrade would have rolled all of them out.
TEST_CASE("what an operator named that counted the API server's defaults is the same revision") {
  Scene s = serving_as(R"({"spec":{"restartPolicy":"Always","containers":[{"image":"one","name":"server"}]}})");
  const auto names = serving::revision_names(s.model, *s.o.named.at("m-v1"), *s.o.runtimes[0]);
  REQUIRE(names.size() == 2);
  CHECK(names[0] == name_of(s));
  s.model.status.stable_revision->name = names[1];
  const Plan plan = model::plan(s.observed(), kNow, test::kSettings);
  CHECK(actions<Apply>(plan, Kind::ModelRollout).empty());
  CHECK(status_of(plan).dump().find("RuntimeOutdated") == std::string::npos);
}

// With another name a way back was none any more after an upgrade, and what was kept warm was left cold.
TEST_CASE("a revision keeps the name that an operator of before made known") {
  Scene s = serving_as(R"({"spec":{"restartPolicy":"Always","containers":[{"image":"one","name":"server"}]}})");
  const auto names = serving::revision_names(s.model, *s.o.named.at("m-v2"), *s.o.runtimes[0]);
  REQUIRE(names.size() == 2);
  api::ModelRollout& back = s.rollout("back", "m-v2");
  const auto brought = [&] { return *model::brought_by(s.observed(), back, s.model.status, test::kSettings); };
  CHECK(brought().name == names[0]);
  SECTION("by a rollout") {
    api::ModelRollout& before = s.rollout("before", "m-v2");
    before.status.phase = "Succeeded";
    before.status.revision = api::Revision{names[1], "m-v2"};
  }
  SECTION("by a Deployment that is kept warm") { s.deployment("m-v2", 2).revision = names[1]; }
  CHECK(brought().name == names[1]);
  CHECK(brought().pod_template.find(names[1]) != std::string::npos);
  CHECK(model::asked_revision(s.observed(), "m-v2") == names[1]);
}

TEST_CASE("other words for what serves are put on record: by them it follows its runtime on") {
  Scene s = serving_as(kOne);
  s.model.meta.generation = 5;
  s.model.template_overlay = kOneOtherwise;
  const Plan plan = model::plan(s.observed(), kNow, test::kSettings);
  CHECK(actions<Apply>(plan, Kind::ModelRollout).empty());
  CHECK(status_of(plan)["stableRevision"]["asked"] == serving::asked_of(s.model));
  s.model.template_overlay = kTwo;
  CHECK(status_of(model::plan(s.observed(), kNow, test::kSettings))["stableRevision"]["asked"] != serving::asked_of(s.model));
}

TEST_CASE("another template is a rollout, another way to write it is none") {
  Scene s = serving_as(kOne);
  s.model.meta.generation = 5;
  SECTION("another") {
    s.model.template_overlay = kTwo;
    const auto made = actions<Apply>(model::plan(s.observed(), kNow, test::kSettings), Kind::ModelRollout);
    REQUIRE(made.size() == 1);
    CHECK(made[0].target.key.name == "m-v1-5");
  }
  SECTION("written otherwise") {
    s.model.template_overlay = kOneOtherwise;
    CHECK(actions<Apply>(model::plan(s.observed(), kNow, test::kSettings), Kind::ModelRollout).empty());
  }
}

// It held back every later edit of the template for good, and said Ready.
TEST_CASE("an edit of the template after the failure of another version is rolled out") {
  Scene s = serving_as(kOne);
  s.model.track = GENERATE("Pinned", "Promoted");
  s.model.status.intent = {"m-v2", "Rollout", "mine", "Aborted", "Aborted", "", kNow};
  s.rollout("mine", "m-v2").status.phase = "Aborted";
  s.model.template_overlay = kTwo;
  const auto made = actions<Apply>(model::plan(s.observed(), kNow, test::kSettings), Kind::ModelRollout);
  REQUIRE(made.size() == 1);
  CHECK(Json::parse(made[0].body)["spec"]["version"] == "m-v1");
}

TEST_CASE("a template that cannot be used leaves what serves and says why") {
  Scene s = serving_as(kOne);
  s.model.template_overlay = R"({"spec":{"containers":[{"name":"modelops-fetch"}]}})";
  const Plan plan = model::plan(s.observed(), kNow, test::kSettings);
  CHECK(actions<Apply>(plan, Kind::ModelRollout).empty());
  CHECK(actions<Apply>(plan, Kind::Deployment).empty());
  CHECK(status_of(plan)["message"].get<std::string>().find("m-v1 keeps serving unchanged") != std::string::npos);
}

TEST_CASE("a rollout starts with its revision on record before there are pods of it") {
  Scene s = serving_as(kOne);
  s.model.template_overlay = kTwo;
  s.model.status.spec_revision = "?";
  s.model.status.intent = {"m-v1", "Spec", "m-v1-5", "", "", "", kNow};
  s.rollout("m-v1-5", "m-v1", "spec");
  const Plan plan = model::plan(s.observed(), kNow, test::kSettings);
  const auto writes = actions<WriteStatus>(plan, Kind::ModelRollout);
  REQUIRE(writes.size() == 1);
  const Json status = Json::parse(writes[0].status);
  const std::string name = name_of(s);
  CHECK(status["revision"]["name"] == name);
  CHECK(status["revision"]["deployment"] == "m-v1-" + name);
  CHECK(status["to"] == "m-v1 (template " + name.substr(0, 4) + ")");
  const auto applies = actions<Apply>(plan, Kind::Deployment);
  REQUIRE(applies.size() == 1);
  const Json body = Json::parse(applies[0].body);
  CHECK(body["metadata"]["name"] == "m-v1-" + name);
  CHECK(body["spec"]["selector"]["matchLabels"][api::kLabelRevision] == name);
  CHECK(body["spec"]["template"] == status["revision"]["template"]);
}
