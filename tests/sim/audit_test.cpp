// The audit trail through whole rollouts, crashes and refusals. That no traffic moves without its record, and that the chain is
// whole after each write, is an invariant of every simulated test.
#include <catch2/catch.hpp>
#include <map>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

// All records of Model m as it is now: those of its ModelAudits and those that wait.
std::vector<Json> trail(const Fixture& f) {
  std::map<int64_t, Json> found;
  const auto take = [&](const Json& lines) {
    for (const Json& line : lines) {
      Json record = Json::parse(line.get<std::string>());
      const int64_t seq = record["seq"];  // before the move
      found[seq] = std::move(record);
    }
  };
  const std::string uid = f.model()["metadata"]["uid"];
  for (const ObjectRef& one : f.s.world.all(Kind::ModelAudit))
    if (f.s.world.get(one)["spec"]["model"]["uid"] == uid) take(f.s.world.get(one)["spec"]["records"]);
  if (f.status().contains("audit")) take(f.status()["audit"].value("records", Json::array()));
  std::vector<Json> all;
  for (auto& [seq, record] : found) all.push_back(std::move(record));
  return all;
}

Json the(const Fixture& f, const std::string& action) {
  for (const Json& record : trail(f))
    if (record["action"] == action) return record;
  std::string actions;
  for (const Json& record : trail(f)) actions += record["action"].get<std::string>() + " ";
  throw Violation("no record says " + action + ": " + actions);
}

int count(const Fixture& f, const std::string& action) {
  int n = 0;
  for (const Json& record : trail(f)) n += record["action"] == action;
  return n;
}

// Records that no ModelAudit holds. Those that one does leave the status with its next write.
int64_t pending(const Fixture& f) {
  const Json audit = f.status().value("audit", Json::object());
  int64_t sealed = audit.value("seq", int64_t{0}) - static_cast<int64_t>(audit.value("records", Json::array()).size());
  for (const ObjectRef& ref : f.s.world.all(Kind::ModelAudit))
    if (f.s.world.get(ref)["spec"]["model"]["uid"] == f.model()["metadata"]["uid"]) sealed = std::max(sealed, f.s.world.get(ref)["spec"]["last"].get<int64_t>());
  return audit.value("seq", int64_t{0}) - sealed;
}

Fixture to_v2(Sim& s) {
  Fixture f = usual(s);
  s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
  return f;
}

}  // namespace

TEST_CASE("a rollout that succeeds is told from start to end, and sealed in one ModelAudit") {
  explore([](Sim& s) {
    Fixture f = to_v2(s);
    s.op.metrics["accuracy m-v2"] = "0.95";
    s.expect = [f, &s] {
      f.must_serve("m-v2");
      must(the(f, "Serving")["evidence"]["serves"]["version"] == "m-v1", "the first version");
      const Json started = the(f, "RolloutStarted"), done = the(f, "Succeeded");
      must(started["evidence"]["from"]["version"] == "m-v1" && started["object"]["name"] == f.to("m-v2"), started.dump());
      must(started["evidence"]["digest"] == digest("m-v2") && started["policy"]["rollout"].is_string(), started.dump());
      must(done["evidence"]["serves"]["digest"] == digest("m-v2"), done.dump());
      must(done["evidence"]["gates"][0]["verdict"] == "Passed" && done["evidence"]["gates"][0]["value"] == "0.95", done.dump());
      must(the(f, "TrafficAdvanced")["evidence"]["weight"] == 10, "the first weight");
      must(s.world.all(Kind::ModelAudit).size() == 1 && pending(f) == 0,
           "one ModelAudit holds all: " + f.status()["audit"].dump());
      const Json sealed = s.world.get(s.world.all(Kind::ModelAudit)[0]);
      must(!sealed["metadata"].contains("ownerReferences"), "it outlives its Model");
      must(sealed["spec"]["head"] == f.status()["audit"]["head"], "the same head");
      must(count(f, "Succeeded") == 1 && count(f, "RolloutStarted") == 1, "each once");
    };
  });
}

TEST_CASE("what brings a version back is told with its evidence, and who did it with their name") {
  struct Row {
    const char* action;
    const char* actor;
    std::function<void(Fixture&)> act;
  };
  const std::vector<Row> rows = {
      {"RolledBack", "operator", [](Fixture& f) { f.s.op.metrics["accuracy m-v2"] = "0.1"; }},
      {"Aborted", "unknown", [](Fixture& f) { f.desire(f.to("m-v2"), "Aborted"); }},
      {"Aborted", "ann",
       [](Fixture& f) {
         f.s.world.update(
             ref(Kind::ModelRollout, f.to("m-v2")),
             [](Json& r) {
               r["metadata"]["annotations"]["modelops.dev/steered-by"] = "ann";
               r["spec"]["desiredState"] = "Aborted";
             },
             "kubectl");
       }},
  };
  explore<Row>(rows, [](Sim& s, const Row& row) {
    Fixture f = to_v2(s);
    s.then(
        "acts", [f] { return f.weight(f.to("m-v2")) == 10; }, [f, row]() mutable { row.act(f); });
    s.expect = [f, row] {
      must(f.stable() == "m-v1", "m-v1 serves");
      const Json end = the(f, row.action);
      must(end["actor"] == row.actor, end.dump());
      must(end["evidence"]["phase"] == row.action && !end["why"].get<std::string>().empty(), end.dump());
      must(count(f, row.action) == 1 && pending(f) == 0, "told once, and sealed");
      if (std::string(row.action) == "RolledBack") must(end["evidence"]["gates"][0]["verdict"] == "Failed", end.dump());
    };
  });
}

TEST_CASE("gates that people passed over are told as that") {
  explore([](Sim& s) {
    Fixture f = to_v2(s);
    s.then(
        "promotes", [f] { return f.weight(f.to("m-v2")) == 10; }, [f]() mutable { f.desire(f.to("m-v2"), "Promoted"); });
    s.expect = [f] {
      f.must_serve("m-v2");
      const Json skipped = the(f, "GatesSkipped");
      must(skipped["actor"] == "unknown" && skipped["evidence"]["steps"] > 0, skipped.dump());
    };
  });
}

// The go-ahead of a person at a step that pauses without an end was told as the operator's own.
TEST_CASE("whoever goes on past a pause is told, and an abort by others is not theirs") {
  explore([](Sim& s) {
    Fixture f = usual(s, [](Json& spec) { spec["rollout"]["steps"] = Json::parse(R"([{"weight": 10}, {"pause": {}}, {"weight": 50}, {"pause": {}}])"); });
    s.op.metrics["accuracy m-v2"] = "0.95";
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    s.then("goes on", [f] { return f.step(f.to("m-v2")) == 2 && f.phase(f.to("m-v2")) == "Paused"; }, [f]() mutable {
      f.s.world.update(ref(Kind::ModelRollout, f.to("m-v2")),
                       [](Json& o) { o["metadata"]["annotations"]["modelops.dev/steered-by"] = "eve smith 2026-11-22T09:00:00Z"; }, "kubectl");
      f.resume(f.to("m-v2"));
    });
    s.then("somebody aborts", [f] { return f.step(f.to("m-v2")) == 4 && f.phase(f.to("m-v2")) == "Paused"; },
           [f]() mutable { f.desire(f.to("m-v2"), "Aborted"); });
    s.expect = [f] {
      must(the(f, "Resumed")["actor"] == "eve smith" && count(f, "Resumed") == 1, the(f, "Resumed").dump());
      must(the(f, "Aborted")["actor"] == "unknown", the(f, "Aborted").dump());
    };
  });
}

// A chain that cannot be sealed holds nothing up, says so, and is sealed as soon as that is possible.
TEST_CASE("a cluster that lets no ModelAudit be made") {
  explore([](Sim& s) {
    Fixture f = to_v2(s);
    s.op.metrics["accuracy m-v2"] = "0.95";
    s.world.admission = [](const Apply& apply) -> std::optional<Error> {
      if (apply.target.kind != Kind::ModelAudit) return {};
      return Error{ErrorKind::Forbidden, "exceeded quota", 403, {}, {}};
    };
    s.then("looks", [f] { return f.serves("m-v2")() && f.condition("Audited") == "False"; }, [f, &s] {
      must(f.reason("Audited") == "NotSealed", f.reason("Audited"));
      s.world.admission = {};
    });
    s.expect = [f, &s] {
      f.must_serve("m-v2");
      must(s.world.all(Kind::ModelAudit).size() == 1 && pending(f) == 0, "sealed in the end");
      must(f.condition("Audited").empty(), "nothing is amiss any more: " + f.condition("Audited"));
    };
  });
}

// A plan ends at what is refused, and sealing came last: a monitor whose Job is refused anew in every plan kept each record in the status, from
// where it went with the Model.
TEST_CASE("a Job that is refused for ever keeps no record from being sealed") {
  explore([](Sim& s) {
    Fixture f = usual(s, [](Json& spec) {
      spec["monitors"] = {{{"name", "drift"},
                           {"job", {{"every", "2m"}, {"metric", "psi"}, {"template", {{"spec", {{"template", {{"spec", {{"containers", {{{"name", "m"}}}}}}}}}}}}}},
                           {"max", "0.2"}}};
    });
    s.op.metrics["accuracy m-v2"] = "0.95";
    s.world.admission = [](const Apply& apply) -> std::optional<Error> {
      if (apply.target.kind != Kind::Job) return {};
      return Error{ErrorKind::Invalid, "spec.template.spec.containers[0].image: Required value", 422, {}, {}};
    };
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    s.then("lets Jobs be made", [f, &s] { return f.serves("m-v2")() && s.world.all(Kind::ModelAudit).size() == 1 && pending(f) == 0; },
           [&s] { s.world.admission = {}; });
    s.op.job_result = [](const std::string&) { return std::string("nothing"); };
    s.until = [] { return true; };
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

TEST_CASE("a Model that is made anew begins another trail, and the old one stays") {
  explore([](Sim& s) {
    Fixture f = to_v2(s);
    s.op.metrics["accuracy m-v2"] = "0.95";
    auto old = std::make_shared<std::string>();
    s.then(
        "deletes the Model", [f, &s] { return f.serves("m-v2")() && !s.world.all(Kind::ModelAudit).empty(); },
        [f, old, &s] {
          *old = f.model()["metadata"]["uid"];
          s.world.remove(ref(Kind::Model, "m"));
        });
    s.then(
        "makes it anew", [&s] { return s.world.all(Kind::Deployment).empty() && s.world.all(Kind::ModelRollout).empty(); },
        [f]() mutable { f.make_model(); });
    s.expect = [f, old, &s] {
      const auto audits = s.world.all(Kind::ModelAudit);
      must(std::any_of(audits.begin(), audits.end(), [&](const ObjectRef& a) { return s.world.get(a)["spec"]["model"]["uid"] == *old; }),
           "the old trail stays");
      must(trail(f).front()["seq"] == 1 && trail(f).front()["action"] == "Serving", trail(f).front().dump());
    };
  });
}

// As the exporter marks them.
void mark_exported(Sim& s) {
  for (const ObjectRef& one : s.world.all(Kind::ModelAudit)) {
    const Json spec = s.world.get(one)["spec"];
    s.world.update(
        one,
        [&](Json& o) {
          o["metadata"]["annotations"]["modelops.dev/exported"] = format_time(s.world.now) + " " + spec["model"]["uid"].get<std::string>() + " " +
                                                                  spec["first"].dump() + " " + spec["last"].dump() + " " + spec["head"].get<std::string>();
        },
        "model-operator");
  }
}

// That the trail is whole after each write, and after each crash, is an invariant of every simulated test.
TEST_CASE("ModelAudits go once they were exported and kept long enough, after a record that says so") {
  explore<int>({0, 1, 2}, [](Sim& s, const int& variant) {
    Fixture f = to_v2(s);
    s.op.metrics["accuracy m-v2"] = "0.95";
    s.op.metrics["accuracy m-v3"] = "0.95";
    s.world.create({{"kind", "ModelPolicy"}, {"metadata", {{"name", "kept"}}}, {"spec", {{"retention", {{"audit", "1h"}}}}}}, "kubectl");
    s.then("asks for m-v3", [f, &s] { return f.serves("m-v2")() && s.world.all(Kind::ModelAudit).size() == 2; }, [f]() mutable { f.ask_for("m-v3"); });
    s.then("asks for m-v2 again", [f, &s] { return f.serves("m-v3")() && s.world.all(Kind::ModelAudit).size() == 3; },
           [f]() mutable { f.ask_for("m-v2"); });
    s.then("exports", [f, &s] { return f.serves("m-v2")() && s.world.all(Kind::ModelAudit).size() == 4 && pending(f) == 0; },
           [&s, variant] { variant == 0 ? void() : mark_exported(s); });
    if (variant == 2) s.then("deletes the Model", [&s] { return s.world.all(Kind::ModelAudit).size() == 4; }, [&s] { s.world.remove(ref(Kind::Model, "m")); });
    s.patience = std::chrono::hours(3);
    s.expect = [f, variant, &s] {
      const auto left = s.world.all(Kind::ModelAudit).size();
      if (variant == 0) return must(left == 4, "nothing was exported, and " + std::to_string(left) + " are left");
      if (variant == 2) return must(left == 0, "the trail of a Model that is gone: " + std::to_string(left) + " are left");
      // The last of the four, and that of the record.
      must(left == 2 && pending(f) == 0, std::to_string(left) + " are left: " + f.status()["audit"].dump());
      const Json pruned = the(f, "Pruned");
      must(count(f, "Pruned") == 1 && pruned["evidence"]["through"] == f.status()["audit"]["prunedThrough"], pruned.dump());
      must(trail(f).front()["seq"] == pruned["evidence"]["through"].get<int64_t>() + 1, trail(f).front().dump());
    };
  });
}

}  // namespace mo::sim
