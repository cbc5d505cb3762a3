// Whose wish counts: the newest.
#include <catch2/catch.hpp>

#include "reconcilers/model/intent.h"
#include "tests/unit/reconcilers_make.h"

namespace mo::model {
namespace {

using test::kNow;
using test::Scene;

Decided decide(Scene& s) {
  const Observed& o = s.observed();
  return decide_intent(o, resolve_spec(o), rollout::resolve(o), kNow + std::chrono::seconds(10));
}

const Apply* applied(const Decided& d, Kind kind) {
  for (const Action& action : d.actions)
    if (const auto* apply = std::get_if<Apply>(&action); apply && apply->target.kind == kind) return apply;
  return nullptr;
}

TEST_CASE("a first version without recorded gates needs no rollout") {
  Scene s;
  const Decided d = decide(s);
  CHECK(d.status.intent.version == "m-v1");
  CHECK(d.status.intent.rollout == "");
  CHECK(d.actions.empty());
}

TEST_CASE("a first version with a recorded gate in its steps has one") {
  Scene s;
  s.model.rollout.steps.insert(s.model.rollout.steps.begin(), test::gates({"recorded"}));
  const Decided d = decide(s);
  CHECK(d.status.intent.rollout == "m-v1-1");
  REQUIRE(applied(d, Kind::ModelRollout));
  CHECK(applied(d, Kind::ModelRollout)->uid == "");
}

TEST_CASE("another version in the spec is a new intent, named after its generation") {
  Scene s;
  s.serving("m-v1");
  s.model.version = "m-v2";
  s.model.meta.generation = 7;
  const Decided d = decide(s);
  CHECK(d.status.intent.version == "m-v2");
  CHECK(d.status.intent.rollout == "m-v2-7");
  CHECK(d.status.spec_generation == 7);
  CHECK(under_way(d.status.intent));
}

TEST_CASE("the spec going back to what serves is achieved at once and supersedes") {
  Scene s;
  s.serving("m-v1");
  s.model.status.intent = {"m-v2", "Spec", "m-v2-2", "", "", "", kNow};
  s.model.status.spec_version = "m-v2";
  s.running("m-v2-2", "m-v2");
  const Decided d = decide(s);
  CHECK(d.status.intent.outcome == "Succeeded");
  CHECK(d.superseded.count("m-v2-2") == 1);
  REQUIRE(d.active);
  CHECK(d.active->meta.key.name == "m-v2-2");
}

TEST_CASE("a newer version waits for the one it supersedes to give its traffic back") {
  Scene s;
  s.serving("m-v1");
  s.model.version = "m-v3";
  s.model.status.intent = {"m-v3", "Spec", "m-v3-3", "", "", "", kNow};
  s.model.status.spec_version = "m-v3";
  s.running("m-v2-2", "m-v2");
  s.rollout("m-v3-3", "m-v3", "spec");
  const Decided d = decide(s);
  CHECK(d.superseded.count("m-v2-2") == 1);
  CHECK(d.active->meta.key.name == "m-v2-2");
  CHECK(d.waiting.at("m-v3-3").message.find("m-v2-2") != std::string::npos);
}

TEST_CASE("a person's rollout runs when nobody else does, and waits otherwise") {
  Scene s;
  s.serving("m-v1");
  s.rollout("mine", "m-v2");
  SECTION("nobody") {
    const Decided d = decide(s);
    CHECK(d.status.intent.origin == "Rollout");
    CHECK(d.active->meta.key.name == "mine");
  }
  SECTION("somebody") {
    s.model.status.intent = {"m-v3", "Spec", "m-v3-1", "", "", "", kNow};
    s.model.version = s.model.status.spec_version = "m-v3";
    s.running("m-v3-1", "m-v3");
    const Decided d = decide(s);
    CHECK(d.active->meta.key.name == "m-v3-1");
    CHECK(d.waiting.at("mine").message == "waits for ModelRollout m-v3-1 (Progressing) to end");
    CHECK_FALSE(d.waiting.at("mine").stalled);
  }
}

TEST_CASE("of several that wait the newest runs and the others are superseded") {
  Scene s;
  s.serving("m-v1");
  s.rollout("a", "m-v3").meta.created = kNow + std::chrono::seconds(2);
  s.rollout("b", "m-v2").meta.created = kNow + std::chrono::seconds(1);
  const Decided d = decide(s);
  CHECK(d.active->meta.key.name == "a");
  CHECK(d.closed.at("b").phase == "Superseded");
}

// Two in the same second were put in order by name, and the one that waited was told that the one that ran
// was newer.
TEST_CASE("a rollout of the same second as the one that runs is not older") {
  Scene s;
  s.serving("m-v1");
  s.model.status.intent = {"m-v2", "Rollout", "z", "", "", "", kNow};
  s.running("z", "m-v2", "");
  s.rollout("a", "m-v3");
  const Decided d = decide(s);
  CHECK(d.closed.empty());
  CHECK(d.waiting.count("a") == 1);
}

TEST_CASE("a rollout older than the spec's newest wish is superseded by it") {
  Scene s;
  s.serving("m-v1");
  s.model.status.intent.since = kNow + std::chrono::seconds(5);
  s.rollout("old", "m-v2");
  CHECK(decide(s).closed.at("old").phase == "Superseded");
}

TEST_CASE("a rollout to what serves has nothing to do, or ends the one under way") {
  Scene s;
  s.serving("m-v1");
  s.rollout("back", "m-v1");
  SECTION("nothing runs") {
    const Decided d = decide(s);
    CHECK(d.closed.at("back").phase == "Failed");
    CHECK(d.closed.at("back").ending->reason == "AlreadyServing");
  }
  SECTION("one runs") {
    s.model.status.intent = {"m-v2", "Spec", "m-v2-2", "", "", "", kNow};
    s.model.version = s.model.status.spec_version = "m-v2";
    s.running("m-v2-2", "m-v2");
    const Decided d = decide(s);
    CHECK(d.closed.at("back").phase == "Succeeded");
    CHECK(d.superseded.count("m-v2-2") == 1);
    CHECK(d.status.intent.rollout == "back");
  }
}

TEST_CASE("a rollout that cannot start holds nobody up") {
  Scene s;
  s.serving("m-v1");
  s.version("other-v1", "other");
  s.rollout("missing", "m-v9");
  s.rollout("foreign", "other-v1");
  s.rollout("good", "m-v2").meta.created = kNow - std::chrono::hours(1);
  s.model.status.intent.since = kNow - std::chrono::hours(2);
  const Decided d = decide(s);
  CHECK(d.active->meta.key.name == "good");
  CHECK(d.waiting.at("missing").reason == "VersionNotFound");
  CHECK(d.waiting.at("foreign").reason == "VersionOfAnotherModel");
  CHECK(d.waiting.at("missing").stalled);
}

TEST_CASE("aborted before it starts it never becomes the intent") {
  Scene s;
  s.serving("m-v1");
  s.rollout("mine", "m-v2").desired_state = "Aborted";
  const Decided d = decide(s);
  CHECK(d.status.intent.rollout == "");
  CHECK(d.closed.at("mine").phase == "Aborted");
}

// ---- crashes ----

TEST_CASE("what the Model knows of a rollout's end is not decided again") {
  for (const char* outcome : {"Succeeded", "RolledBack", "Aborted"}) {
    INFO(outcome);
    Scene s;
    s.serving("m-v1");
    s.running("m-v2-2", "m-v2");
    s.model.version = s.model.status.spec_version = "m-v2";
    s.model.status.intent = {"m-v2", "Spec", "m-v2-2", outcome, "Why", "in words", kNow};
    if (std::string(outcome) == "Succeeded") s.model.status.stable_version = "m-v2";
    s.model.status.spec_revision.clear();
    const Observed& o = s.observed();
    SpecVersion spec = resolve_spec(o);
    spec.name.clear();  // nothing new from the spec
    const Decided d = decide_intent(o, spec, rollout::resolve(o), kNow);
    CHECK(d.closed.at("m-v2-2").phase == outcome);
    CHECK(d.closed.at("m-v2-2").candidate_weight == (std::string(outcome) == "Succeeded" ? 100 : 0));
    CHECK(d.status.intent.outcome == outcome);
    CHECK_FALSE(d.active);
  }
}

// A gate on a recorded metric fails in the very plan that starts the rollout: the crash left a rollout that
// had not even begun.
TEST_CASE("an end that the Model knows holds for a rollout that never began") {
  Scene s;
  s.model.version.reset();
  s.model.status.intent = {"m-v2", "Rollout", "mine", "Failed", "GateFailed", "in words", kNow};
  SECTION("the same") {
    s.rollout("mine", "m-v2");
    CHECK(decide(s).closed.at("mine").phase == "Failed");
  }
  SECTION("one of its name, made since") {
    s.rollout("mine", "m-v2").meta.created = kNow + std::chrono::seconds(1);
    CHECK(decide(s).active);
  }
  SECTION("one of its name, made in the second in which it was deleted") {
    s.model.status.intent.outcome = "Aborted";
    s.model.status.intent.reason = "RolloutDeleted";
    s.rollout("mine", "m-v2");
    CHECK(decide(s).active);
  }
}

TEST_CASE("what a rollout's status knows the Model learns") {
  Scene s;
  s.serving("m-v1");
  api::ModelRollout& r = s.running("m-v2-2", "m-v2");
  r.status.phase = "Succeeded";
  s.model.version = s.model.status.spec_version = "m-v2";
  s.model.status.intent = {"m-v2", "Spec", "m-v2-2", "", "", "", kNow};
  const Decided d = decide(s);
  CHECK(d.status.stable_version == "m-v2");
  CHECK(d.status.intent.outcome == "Succeeded");
}

TEST_CASE("the spec's rollout is made again if somebody deletes it, a person's is given up") {
  Scene s;
  s.serving("m-v1");
  SECTION("the spec's") {
    s.model.version = s.model.status.spec_version = "m-v2";
    s.model.status.intent = {"m-v2", "Spec", "m-v2-2", "", "", "", kNow};
    CHECK(applied(decide(s), Kind::ModelRollout)->target.key.name == "m-v2-2");
  }
  SECTION("a person's") {
    s.model.status.intent = {"m-v2", "Rollout", "mine", "", "", "", kNow};
    const Decided d = decide(s);
    CHECK(d.status.intent.outcome == "Aborted");
    CHECK(d.status.intent.reason == "RolloutDeleted");
  }
}

// ---- after a failure ----

Scene failed() {
  Scene s;
  s.serving("m-v1");
  s.model.version = "m-v2";
  Decided asked = decide(s);
  s.model.status = asked.status;
  s.model.status.intent.outcome = "RolledBack";
  return s;
}

TEST_CASE("after a failure nothing is tried again by itself") {
  Scene s = failed();
  const Decided d = decide(s);
  CHECK(d.status.intent.outcome == "RolledBack");
  CHECK(d.actions.empty());
}

TEST_CASE("what makes another try worthwhile, and what does not") {
  struct Row {
    const char* what;
    void (*change)(api::Model&);
    bool again;
  };
  const Row rows[] = {
      {"replicas", [](api::Model& m) { m.replicas = 9; }, false},
      {"retraining", [](api::Model& m) { m.retraining.emplace(); }, false},
      {"template", [](api::Model& m) { m.template_overlay = "{}"; }, true},
      {"runtime", [](api::Model& m) { m.runtime = "other"; }, true},
      {"rollout policy", [](api::Model& m) { m.rollout.raw = R"({"x":1})"; }, true},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    Scene s = failed();
    row.change(s.model);
    s.model.meta.generation = 5;
    const Decided d = decide(s);
    CHECK(under_way(d.status.intent) == row.again);
    if (row.again) CHECK(d.status.intent.rollout == "m-v2-5");
  }
}

// An edit of the steps took production back to where the spec had begun.
TEST_CASE("with track Promoted an edit after another version's failure does not go back to the spec's") {
  Scene s = failed();
  s.version("m-v5");
  s.model.status.stable_version = "m-v5";
  s.model.status.intent = {"m-v3", "Retraining", "theirs", "RolledBack", "GateFailed", "", kNow};
  s.rollout("theirs", "m-v3").status.phase = "RolledBack";
  s.model.template_overlay = "{}";
  CHECK(under_way(decide(s).status.intent));  // pinned: the spec is to be had
  s.model.track = "Promoted";
  CHECK_FALSE(under_way(decide(s).status.intent));
  s.model.status.intent = {"m-v2", "Spec", "m-v2-2", "RolledBack", "GateFailed", "", kNow};
  CHECK(under_way(decide(s).status.intent));
}

TEST_CASE("a failed rollout made anew under its old name is another try") {
  Scene s = failed();
  s.model.status.intent.origin = "Rollout";
  s.model.status.intent.rollout = "mine";
  s.rollout("mine", "m-v2").meta.created = kNow + std::chrono::seconds(20);
  const Decided d = decide(s);
  CHECK(under_way(d.status.intent));
  CHECK(d.active->meta.key.name == "mine");
}

// ---- the spec's version ----

TEST_CASE("an inline artifact is registered under its digest") {
  Scene s;
  s.model.version.reset();
  s.model.artifact = api::Artifact{"http://x/y", "sha256:0123456789abcdef", {"rules", "1"}};
  SpecVersion spec = resolve_spec(s.observed());
  CHECK(spec.name == "m-0123456789");
  REQUIRE(spec.actions.size() == 1);
  const Json body = Json::parse(std::get<Apply>(spec.actions[0]).body);
  CHECK(body["spec"]["artifact"]["uri"] == "http://x/y");
  CHECK(body["metadata"]["ownerReferences"][0]["uid"] == "uid-m");
}

// A run had made the same bits, and kept them elsewhere.
TEST_CASE("a record that says how good its version is makes no way for an inline artifact") {
  Scene s;
  s.model.version.reset();
  s.model.artifact = api::Artifact{"http://x/y", "sha256:0123456789abcdef", {"rules", "1"}};
  api::ModelVersion& record = s.version("m-0123456789");
  record.meta.controller_uid = "uid-m";
  record.artifact.digest = s.model.artifact->digest;
  REQUIRE(resolve_spec(s.observed()).actions.size() == 1);
  record.metrics = {{"f1", "0.95"}};
  CHECK(resolve_spec(s.observed()).actions.empty());
}

TEST_CASE("what is wrong with the spec's version is said") {
  Scene s;
  s.version("other-v1", "other");
  s.model.version = "other-v1";
  CHECK(resolve_spec(s.observed()).reason == "VersionOfAnotherModel");
  s.model.version = "m-v9";
  CHECK(resolve_spec(s.observed()).reason == "VersionNotFound");
  s.model.problem = "spec.rollout.steps[0].weight: is not a whole number";
  CHECK(resolve_spec(s.observed()).reason == "InvalidSpec");
}

TEST_CASE("a weight that replicas cannot keep stalls before anything starts") {
  Scene s;
  s.serving("m-v1");
  s.model.rollout.steps = {test::weight(1)};
  s.rollout("mine", "m-v2");
  const Decided d = decide(s);
  CHECK_FALSE(d.active);
  CHECK(d.waiting.at("mine").reason == "WeightTooSmall");
  CHECK(d.waiting.at("mine").stalled);
}

}  // namespace
}  // namespace mo::model
