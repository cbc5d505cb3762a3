// ModelPolicies and ModelApprovals: what they hold up, whose word counts, and that going back waits for nobody.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

const Json kRisk = Json::parse(
    R"({"approvals": [{"role": "risk", "count": 1, "before": "FirstTraffic"}], "separationOfDuties": {"author": true}})");

void make_policy(Sim& s, const Json& spec, const std::string& name = "high-risk") {
  s.world.create({{"kind", "ModelPolicy"}, {"metadata", {{"name", name}}}, {"spec", spec}}, "kubectl");
}

// The spec, in somebody's name.
void edit_as(const Fixture& f, const std::string& who, const std::function<void(Json&)>& edit) {
  f.s.world.update(
      ref(Kind::Model, "m"),
      [&](Json& model) {
        model["metadata"]["annotations"]["modelops.dev/changed-by"] = who;
        edit(model["spec"]);
      },
      "kubectl");
}

// The operator has heard of it.
std::function<bool()> knows_policy(Sim& s, const std::string& name = "high-risk") {
  return [&s, name] { return find(s.op.mind().known, ref(Kind::ModelPolicy, name)) != nullptr; };
}

Fixture asking_for_v2(Sim& s, const Json& policy, const std::function<void(Json&)>& edit = {}) {
  Fixture f = usual(s, edit);
  s.then("writes the policy", f.serves("m-v1"), [&s, policy] { make_policy(s, policy); });
  s.then("asks for m-v2", knows_policy(s), [f] { edit_as(f, "ann", [](Json& spec) { spec["version"] = "m-v2"; }); });
  s.invariants.needs_word = {"m-v2"};
  return f;
}

std::function<bool()> awaits(const Fixture& f, const std::string& version = "m-v2", const std::string& before = "FirstTraffic") {
  return [f, version, before] {
    const Json* r = f.rollout(f.to(version));
    return r && (*r)["status"].contains("approval") && (*r)["status"]["approval"]["before"] == before;
  };
}

// A word on what the rollout to `version` asks for now.
void say(const Fixture& f, const std::string& name, const std::string& approver, const Json& more = Json::object(),
         const std::string& version = "m-v2") {
  const std::string rollout = f.to(version);
  const Json status = (*f.rollout(rollout))["status"];
  Json spec = {{"rolloutRef", {{"name", rollout}}},
               {"role", "risk"},
               {"decision", "Approved"},
               {"approver", approver},
               {"subject", status.value("approval", Json::object()).value("subject", digest("another"))}};
  spec.merge_patch(more);
  f.s.world.create({{"kind", "ModelApproval"}, {"metadata", {{"name", name}}}, {"spec", spec}}, "kubectl");
}

std::string message(const Fixture& f, const std::string& version = "m-v2") {
  const Json* r = f.rollout(f.to(version));
  return r ? r->value("status", Json::object()).value("message", "") : "";
}

void must_say(const std::string& text, const std::string& words) {
  must(text.find(words) != std::string::npos, "\"" + text + "\" should say \"" + words + "\"");
}

void must_wait(const Fixture& f) {
  must(f.stable() == "m-v1" && f.weight(f.to("m-v2")) == 0 && f.ready_pods("m-v1") == 2,
       "m-v1 should serve on: " + f.status().dump(1));
  must(f.condition("Available") == "True", "should be Available");
}

}  // namespace

TEST_CASE("a candidate gets no request before it is approved, whatever the strategy") {
  explore<const char*>({"Canary", "BlueGreen", "Recreate"}, [](Sim& s, const char* strategy) {
    Fixture f = asking_for_v2(s, kRisk, [&](Json& spec) {
      spec["rollout"]["strategy"] = strategy;
      if (std::string(strategy) != "Canary") spec["rollout"]["steps"] = Json::array();
    });
    s.op.metrics["accuracy m-v2"] = "0.95";
    s.then("approves", awaits(f), [f] {
      must_wait(f);
      must_say(message(f), "waiting for approval before the first request by role risk (0 of 1)");
      must(f.reason("Reconciling") == "AwaitingApproval", f.reason("Reconciling"));
      say(f, "yes", "bob");
    });
    s.expect = [f] {
      f.must_serve("m-v2");
      const Json used = (*f.rollout(f.to("m-v2")))["status"]["governance"]["cleared"][0]["approvals"][0];
      must(used["approver"] == "bob" && used["role"] == "risk", used.dump());
    };
  });
}

TEST_CASE("words that do not count") {
  struct Row {
    const char* what;
    const char* approver;
    Json more;
    const char* says;
  };
  const std::vector<Row> rows = {
      {"the author's own", "ann", Json::object(), "the author of the change may not approve it"},
      {"of another subject", "bob", {{"subject", digest("x")}}, "the artifact, policies or gate results changed since; approve again"},
      {"for a role that is not asked", "bob", {{"role", "legal"}}, "role legal is not required by this rollout"},
      {"for another rollout", "bob", {{"rolloutRef", {{"name", "other"}}}}, "by role risk (0 of 1)"},
  };
  explore<Row>(rows, [](Sim& s, const Row& row) {
    const Fixture f = asking_for_v2(s, kRisk);
    s.then("says it", awaits(f), [f, row] { say(f, "word", row.approver, row.more); });
    s.expect = [f, row] {
      must_wait(f);
      f.must_be(f.to("m-v2"), "Paused");
      must_say(message(f), row.says);
    };
  });
}

TEST_CASE("a word that is taken back before it is used never was, and a later one counts") {
  explore([](Sim& s) {
    Json two = kRisk;
    two["approvals"][0]["count"] = 2;
    const Fixture f = asking_for_v2(s, two);
    s.op.metrics["accuracy m-v2"] = "0.95";
    s.then("approves", awaits(f), [f] { say(f, "one", "bob"); });
    s.then("takes it back", awaits(f), [&s] { s.world.remove(ref(Kind::ModelApproval, "one")); });
    s.then("another approves", awaits(f), [f] { say(f, "two", "cat"); });
    s.then(
        "bob approves for good", [f] { return awaits(f)() && message(f).find("(1 of 2)") != std::string::npos; },
        [f] { say(f, "three", "bob"); });
    s.expect = [f] {
      f.must_serve("m-v2");
      for (const Json& used : (*f.rollout(f.to("m-v2")))["status"]["governance"]["cleared"][0]["approvals"])
        must(used["name"] != "one", used.dump());
    };
  });
}

TEST_CASE("one person fills one role") {
  explore([](Sim& s) {
    Json two = kRisk;
    two["approvals"].push_back({{"role", "legal"}, {"count", 1}, {"before", "FirstTraffic"}});
    const Fixture f = asking_for_v2(s, two);
    s.op.metrics["accuracy m-v2"] = "0.95";
    s.then("bob approves for both", awaits(f), [f] {
      say(f, "risk", "bob");
      say(f, "legal", "bob", {{"role", "legal"}});
    });
    s.then(
        "cat for one",
        [f] {
          return awaits(f)() && message(f).find("(0 of 1)") != std::string::npos &&
                 f.s.world.find(ref(Kind::ModelApproval, "legal"));
        },
        [f] {
          must_wait(f);
          say(f, "cat", "cat");
        });
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

TEST_CASE("who rejects ends it") {
  explore([](Sim& s) {
    const Fixture f = asking_for_v2(s, kRisk);
    s.then("rejects", awaits(f), [f] { say(f, "no", "bob", {{"decision", "Rejected"}, {"reason", "too soon"}}); });
    s.expect = [f] {
      f.must_be(f.to("m-v2"), "Failed");
      must_say(message(f), "rejected by bob for role risk: too soon");
      must((*f.rollout(f.to("m-v2")))["status"]["ending"]["reason"] == "ApprovalRejected", "reason");
      f.must_be_degraded("RolloutFailed", "m-v1");
    };
  });
}

TEST_CASE("all traffic waits for approval of its own, which a gate that passes since makes another") {
  explore([](Sim& s) {
    const Json policy = Json::parse(R"({"approvals": [{"role": "risk", "count": 1, "before": "FullTraffic"}]})");
    const Fixture f = asking_for_v2(s, policy, [](Json& spec) { spec["rollout"]["steps"] = Json::parse(R"([{"weight": 50}])"); });
    s.invariants.needs_word.clear();
    s.then("approves", awaits(f, "m-v2", "FullTraffic"), [f] {
      must(f.weight(f.to("m-v2")) == 50, "should have half");
      say(f, "yes", "ann");
    });
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

TEST_CASE("a first version has no pod before it is approved") {
  explore([](Sim& s) {
    Fixture f(s);
    make_policy(s, Json::parse(R"({"approvals": [{"role": "risk", "count": 1, "before": "FirstTraffic"}]})"));
    f.make_runtime();
    f.make_version("m-v1");
    s.invariants.needs_word = {"m-v1"};
    s.then("writes the Model", knows_policy(s), [f]() mutable { f.make_model(); });
    s.then("approves", awaits(f, "m-v1"), [f, &s] {
      must(s.world.all(Kind::Deployment).empty(), "a Deployment of what nobody has approved");
      say(f, "yes", "bob", Json::object(), "m-v1");
    });
    s.expect = [f] { f.must_serve("m-v1"); };
  });
}

TEST_CASE("Promoted passes over no approval, and the way back asks for none") {
  explore([](Sim& s) {
    Fixture f = asking_for_v2(s, kRisk);
    s.then("promotes", awaits(f), [f]() mutable { f.desire(f.to("m-v2"), "Promoted"); });
    s.then(
        "approves", [f] { return awaits(f)() && f.step(f.to("m-v2")) > 1; }, [f] { say(f, "yes", "bob"); });
    s.then("goes back", f.serves("m-v2"), [f]() mutable {
      f.make_rollout("back", "m-v1");
      f.desire("back", "Promoted");
    });
    s.expect = [f] { f.must_be("back", "Succeeded"); };
  });
}

TEST_CASE("an approval is not honoured while nothing keeps people from forging it") {
  explore([](Sim& s) {
    const Fixture f = asking_for_v2(s, kRisk);
    s.op.unguarded = "ValidatingAdmissionPolicy model-approvals.modelops.dev does not exist";
    s.then("approves", awaits(f), [f] { say(f, "yes", "bob"); });
    s.expect = [f] {
      must_wait(f);
      must(f.condition("Stalled") == "True" && f.reason("Stalled") == "ApprovalsNotEnforced", f.status().dump(1));
      must_say(message(f), "model-approvals.modelops.dev does not exist");
    };
  });
}

TEST_CASE("a change that nobody signed cannot be approved where the author may not") {
  explore<int>({0, 1, 2}, [](Sim& s, const int& variant) {
    Fixture f = usual(s);
    s.then("writes the policy", f.serves("m-v1"), [&s] { make_policy(s, kRisk); });
    s.then("asks for m-v2", knows_policy(s), [f, &s, variant]() mutable {
      if (variant == 2) {
        Json version = s.world.get(ref(Kind::ModelVersion, "m-v2"));
        s.world.remove(ref(Kind::ModelVersion, "m-v2"));
        s.world.create({{"kind", "ModelVersion"}, {"metadata", {{"name", "m-v2"}}}, {"spec", version["spec"]}}, "kubectl");
      }
      if (variant == 0) return f.ask_for("m-v2");
      edit_as(f, "ann", [](Json& spec) { spec["version"] = "m-v2"; });
    });
    // A later signature vouches for the later change alone.
    if (variant == 1)
      s.then("edits it unsigned", awaits(f), [f]() mutable {
        f.s.world.update(ref(Kind::Model, "m"), [](Json& model) {
          model["metadata"]["annotations"].erase("modelops.dev/changed-by");
          model["spec"]["serving"]["template"]["spec"]["priorityClassName"] = "high";
        }, "kubectl");
      });
    s.expect = [f] {
      must_wait(f);
      must(f.reason("Stalled") == "AuthorUnknown", f.status().dump(1));
      must_say(message(f), "annotation modelops.dev/changed-by");
    };
  });
}

// Whoever edited the Model last counted as the only author, so the first could approve the change.
TEST_CASE("who changes the last detail does not take the first author's place") {
  explore([](Sim& s) {
    Fixture f = asking_for_v2(s, kRisk);
    s.op.metrics["accuracy m-v2"] = "0.95";
    const auto authors = [f] {
      const Json* r = f.rollout(f.to("m-v2"));
      return r ? (*r)["status"].value("governance", Json::object()).value("authors", Json::array()) : Json::array();
    };
    s.then("adds a detail", awaits(f), [f] {
      edit_as(f, "bob", [](Json& spec) { spec["serving"]["template"]["spec"]["priorityClassName"] = "high"; });
    });
    s.then("approves her own part", [f, authors] { return awaits(f)() && authors().size() == 3; }, [f, authors] {
      must(authors() == Json({"ann", "bob", "dev"}), authors().dump());
      say(f, "mine", "ann");
    });
    s.then("approves", [f] { return message(f).find("the author of the change may not approve it") != std::string::npos; },
           [f] { say(f, "yes", "cat"); });
    s.expect = [f] {
      f.must_serve("m-v2");
      must(!f.status()["spec"].contains("authors"), f.status()["spec"].dump());
    };
  });
}

TEST_CASE("what a Model lacks is said at once, and nothing of the candidate starts") {
  explore<int>({0, 1}, [](Sim& s, const int& warns) {
    Json policy = Json::parse(
        R"({"require": {"strategies": ["Shadow"], "maxFirstWeight": 5, "fields": ["owner.team", "riskTier"], "lineage": ["code.revision"],
                                              "registries": ["https://models.example/*"], "runtimes": ["vllm"]}})");
    if (warns) policy["enforcement"] = "Warn";
    const Fixture f = asking_for_v2(s, policy);
    s.invariants.needs_word.clear();
    s.op.metrics["accuracy m-v2"] = "0.95";
    s.expect = [f, warns] {
      const Json* compliant = nullptr;
      for (const Json& c : f.status()["conditions"])
        if (c["type"] == "Compliant") compliant = &c;
      must(compliant && (*compliant)["status"] == "False", f.status().dump(1));
      if (warns) return f.must_serve("m-v2");
      must(f.condition("Stalled") == "True" && f.reason("Stalled") == "PolicyUnsatisfied", f.status().dump(1));
      must(f.ready_pods("m-v2") == 0 && f.stable() == "m-v1", "m-v1 should serve alone");
      for (const char* words :
           {"spec.rollout.strategy is Canary, but must be Shadow", "the first weight may be at most 5",
            "spec.owner.team is required", "spec.riskTier is required", "spec.lineage.code.revision of ModelVersion m-v2 is required",
            "must match https://models.example/*", "it must be vllm", "(ModelPolicy high-risk)"})
        must_say(f.status()["message"], words);
    };
  });
}

TEST_CASE("nothing moves forward in a freeze, and goes on after it; an abort waits for nothing") {
  explore<int>({0, 1, 2}, [](Sim& s, const int& variant) {
    // Each day at noon, three hours after the world begins.
    Json policy = Json::parse(R"({"freeze": [{"name": "noon", "cron": "0 12 * * *", "timeZone": "UTC", "duration": "2h"}]})");
    if (variant > 0)
      policy = Json::parse(R"({"freeze": [{"name": "year-end", "from": "2020-01-01T00:00:00Z", "to": "2026-11-22T09:30:00Z"}]})");
    Fixture f = asking_for_v2(s, policy, [&](Json& spec) {
      spec["rollout"]["steps"] = Json::parse(R"([{"weight": 50}, {"pause": {"duration": "4h"}}])");
    });
    s.invariants.needs_word.clear();
    if (variant > 0) {
      s.then(
          "waits", [f] { return f.phase(f.to("m-v2")) == "Pending" && !message(f).empty(); },
          [f, variant]() mutable {
            must_say(message(f), "frozen until 2026-11-22T09:30:00Z by year-end of ModelPolicy high-risk");
            if (variant == 2) f.desire(f.to("m-v2"), "Aborted");
          });
    }
    s.patience = std::chrono::hours(5);
    s.expect = [f, &s, variant] {
      if (variant == 2) return f.must_be(f.to("m-v2"), "Aborted");
      f.must_serve("m-v2");
      const Json& status = (*f.rollout(f.to("m-v2")))["status"];
      const TimePoint finished = *parse_time(status["finishedAt"].get<std::string>()),
                      started = *parse_time(status["startedAt"].get<std::string>());
      if (variant == 1) must(started >= *parse_time("2026-11-22T09:30:00Z"), "started in the freeze");
      if (variant == 0) must(finished >= *parse_time("2026-11-22T14:00:00Z"), "went on in the freeze");
    };
  });
}

TEST_CASE("a policy's gates come before the first request, and no gate of the Model takes their place") {
  explore<int>({0, 1}, [](Sim& s, const int& passes) {
    const Json policy = Json::parse(
        R"({"gates": [{"name": "recorded", "version": {"metric": "f1"}, "min": "0.9"}], "require": {"beforeTraffic": ["recorded"], "minBake": "1h"}})");
    Fixture f(s);
    f.make_runtime();
    f.make_version("m-v1");
    f.make_version("m-v2", {{"f1", passes ? "0.95" : "0.5"}});
    f.model_spec["rollout"]["steps"] = Json::array();
    f.model_spec["rollout"]["gates"] = Json::array({Json{{"name", "recorded"}, {"version", {{"metric", "f1"}}}, {"min", "0.1"}}});
    f.make_model();
    s.then("writes the policy", f.serves("m-v1"), [&s, policy] { make_policy(s, policy); });
    s.then("asks for m-v2", knows_policy(s), [f]() mutable { f.ask_for("m-v2"); });
    s.patience = std::chrono::hours(2);
    s.expect = [f, passes] {
      const Json& status = (*f.rollout(f.to("m-v2")))["status"];
      if (!passes) {
        f.must_be(f.to("m-v2"), "RolledBack");
        return must(status["weights"]["candidate"] == 0, "it had requests");
      }
      f.must_serve("m-v2");
      must(*parse_time(status["finishedAt"].get<std::string>()) - *parse_time(status["startedAt"].get<std::string>()) >=
               std::chrono::hours(1),
           "too short a bake");
    };
  });
}

}  // namespace mo::sim
