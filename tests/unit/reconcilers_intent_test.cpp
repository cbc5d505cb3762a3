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
    CHECK(d.waiting.at("mine").message == "waiting for ModelRollout m-v3-1 (Progressing) to end");
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

TEST_CASE("a rollout that was seen and is gone was deleted, so it is aborted") {
  Scene s;
  s.serving("m-v1");
  s.model.version = s.model.status.spec_version = "m-v2";
  const std::string origin = GENERATE("Spec", "Rollout", "Retraining");
  s.model.status.intent = {"m-v2", origin, "theirs", "", "", "", kNow, "uid-theirs"};
  SECTION("gone") {}
  SECTION("on its way out") { s.running("theirs", "m-v2").meta.deleting = true; }
  SECTION("another bears its name") { s.rollout("theirs", "m-v2").meta.uid = "another"; }
  const bool another = !s.o.rollouts.empty() && !s.o.rollouts[0]->meta.deleting;
  const Decided d = decide(s);
  CHECK(d.actions.empty());
  CHECK(d.events.size() == 1);
  if (another) {  // it is asked for anew, by name
    CHECK(d.status.intent.origin == "Rollout");
    CHECK(d.status.intent.rollout_uid == "another");
    CHECK(d.active);
    return;
  }
  CHECK(d.status.intent.outcome == "Aborted");
  CHECK(d.status.intent.reason == "RolloutDeleted");
  CHECK(d.status.intent.message == "ModelRollout theirs was deleted, so it is aborted");
  CHECK_FALSE(d.active);
  s.model.status = d.status;
  const Decided later = decide(s);
  CHECK(later.status.intent.outcome == "Aborted");
  CHECK(later.actions.empty());
  CHECK(later.events.empty());
}

TEST_CASE("a rollout of the spec that was never seen is made, and one that is seen goes on record before it runs") {
  Scene s;
  s.serving("m-v1");
  s.model.version = s.model.status.spec_version = "m-v2";
  s.model.status.intent = {"m-v2", "Spec", "m-v2-2", "", "", "", kNow};
  CHECK(applied(decide(s), Kind::ModelRollout)->target.key.name == "m-v2-2");
  s.rollout("m-v2-2", "m-v2", "spec");
  const Decided d = decide(s);
  CHECK(d.actions.empty());
  CHECK(d.active);
  CHECK(d.status.intent.rollout_uid == "uid-m-v2-2");
}

TEST_CASE("where nothing serves, a deleted rollout leaves the spec its turn, but for what was stopped") {
  Scene s;
  s.model.status.spec_version = "m-v1";
  s.model.status.spec_revision = "?";
  s.model.status.spec_generation = 1;
  s.model.rollout.steps = {test::gates({"recorded"})};
  s.model.status.intent = {"m-v2", "Rollout", "mine", "Aborted", "RolloutDeleted", "", kNow, "uid-mine"};
  SECTION("another version") {
    const Decided d = decide(s);
    CHECK(d.status.intent.version == "m-v1");
    CHECK(under_way(d.status.intent));
  }
  SECTION("the same") {
    s.model.status.intent.version = "m-v1";
    CHECK(decide(s).status.intent.outcome == "Aborted");
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
      {"rollout policy", [](api::Model& m) { m.rollout.raw = R"({"x":1})"; }, false},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    Scene s = failed();
    auto other = std::make_shared<api::ModelRuntime>(*s.o.runtimes[0]);
    other->meta.key.name = "other";
    s.o.runtimes.push_back(other);
    row.change(s.model);
    s.model.meta.generation = 5;
    const Decided d = decide(s);
    CHECK(under_way(d.status.intent) == row.again);
    if (row.again) CHECK(d.status.intent.rollout == "m-v2-5");
  }
}

TEST_CASE("an edit in mid-rollout was part of what failed then") {
  Scene s;
  s.serving("m-v1");
  s.model.version = "m-v2";
  s.model.status = decide(s).status;
  s.running("m-v2-1", "m-v2");
  s.model.template_overlay = "{}";
  s.model.status = decide(s).status;
  s.model.status.intent.outcome = GENERATE("RolledBack", "Aborted", "Failed");
  CHECK_FALSE(under_way(decide(s).status.intent));
  s.model.template_overlay = R"({"spec":{}})";
  CHECK(under_way(decide(s).status.intent));
}

// The version before counted the steps in: its upgrade must not be an edit.
TEST_CASE("what an operator of before has written down of the spec is no reason to try again") {
  Scene s = failed();
  s.model.status.spec_revision = "0123456789abcdef";
  const Decided d = decide(s);
  CHECK_FALSE(under_way(d.status.intent));
  s.model.status = d.status;
  s.model.template_overlay = "{}";
  CHECK(under_way(decide(s).status.intent));
}

TEST_CASE("a version that has served is not rolled out with other bytes under its name") {
  Scene s;
  s.serving("m-v1");
  api::ModelRollout& before = s.rollout("before", "m-v1");
  before.status.phase = "Succeeded";
  before.status.from_version = "m-v2";
  before.status.from_digest = "sha256:m-v2";
  before.status.digest = "sha256:m-v1";
  s.rollout("back", "m-v2").desired_state = "Promoted";
  CHECK(decide(s).active);
  s.version("m-v2").artifact.digest = "sha256:other";
  const Decided d = decide(s);
  CHECK_FALSE(d.active);
  CHECK(d.waiting.at("back").reason == "VersionConflict");
  CHECK(d.waiting.at("back").stalled);
}

TEST_CASE("the record of what serves must be the one of its bytes") {
  Scene s;
  s.serving("m-v1");
  CHECK(stable_conflict(s.observed(), s.model.status) == "");
  s.model.status.stable_digest = "sha256:m-v1";
  CHECK(stable_conflict(s.observed(), s.model.status) == "");
  s.version("m-v1").artifact.digest = "sha256:other";
  CHECK(stable_conflict(s.observed(), s.model.status).find("recreated with digest sha256:other, but sha256:m-v1 was served") !=
        std::string::npos);
}

// An edit of the steps took production back to where the spec had begun.
TEST_CASE("with track Promoted an edit after another version's failure does not go back to the spec's") {
  Scene s = failed();
  s.version("m-v5");
  s.model.status.stable_version = "m-v5";
  s.model.status.stable_revision.reset();
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

TEST_CASE("an inline artifact whose record says otherwise is a conflict") {
  Scene s;
  s.model.version.reset();
  s.model.artifact = api::Artifact{"http://x/y", "sha256:0123456789abcdef", {"rules", "1"}};
  api::ModelVersion& record = s.version("m-0123456789");
  record.meta.controller_uid = "uid-m";
  record.artifact = *s.model.artifact;
  CHECK(resolve_spec(s.observed()).problem == "");
  record.artifact.uri = "http://elsewhere/y";
  SECTION("of ours, which never served: made anew") {
    const SpecVersion spec = resolve_spec(s.observed());
    CHECK(spec.actions.size() == 1);
    CHECK(spec.problem == "");
    return;
  }
  // A run had made the same bits, and kept them elsewhere.
  SECTION("it says how good its version is") { record.metrics = {{"f1", "0.95"}}; }
  SECTION("it serves") { s.model.status.stable_version = "m-0123456789"; }
  SECTION("somebody else's") { record.meta.controller_uid.clear(); }
  SECTION("another format, too") {
    record.meta.controller_uid.clear();
    record.artifact.format.name = "sklearn";
    CHECK(resolve_spec(s.observed()).problem.find("spec.artifact.uri and spec.artifact.format") != std::string::npos);
  }
  const SpecVersion spec = resolve_spec(s.observed());
  CHECK(spec.actions.empty());
  CHECK(spec.problem_reason == "VersionConflict");
  CHECK(spec.problem.find("set spec.version to m-0123456789 instead") != std::string::npos);
}

TEST_CASE("other bits whose digest begins alike get a longer name") {
  Scene s;
  s.model.version.reset();
  s.model.artifact = api::Artifact{"http://x/y", "sha256:0123456789abcdef", {"rules", "1"}};
  s.version("m-0123456789").artifact.digest = "sha256:0123456789000000";
  const SpecVersion spec = resolve_spec(s.observed());
  CHECK(spec.name == "m-0123456789abcd");
  REQUIRE(spec.actions.size() == 1);
  s.version("m-0123456789abcd").artifact = *s.model.artifact;
  s.o.named.erase("m-0123456789");
  CHECK(resolve_spec(s.observed()).name == "m-0123456789abcd");
}

TEST_CASE("what is wrong with the spec's version is said") {
  Scene s;
  s.version("other-v1", "other");
  s.model.version = "other-v1";
  CHECK(resolve_spec(s.observed()).problem_reason == "VersionOfAnotherModel");
  s.model.version = "m-v9";
  CHECK(resolve_spec(s.observed()).problem_reason == "VersionNotFound");
  s.model.problem = "spec.rollout.steps[0].weight: is not a whole number";
  CHECK(resolve_spec(s.observed()).problem_reason == "InvalidSpec");
}

TEST_CASE("nothing is skipped while nobody knows what is required") {
  Scene s;
  s.serving("m-v1");
  s.model.rollout.gate_sets = {{"everybody", GENERATE(Kind::ClusterModelGateSet, Kind::ModelGateSet)}};
  const bool cluster = s.model.rollout.gate_sets[0].kind == Kind::ClusterModelGateSet;
  s.rollout("mine", "m-v2").desired_state = "Promoted";
  const Decided d = decide(s);
  CHECK((d.active == nullptr) == cluster);
  if (cluster) CHECK(d.waiting.at("mine").reason == "GateSetNotFound");
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
