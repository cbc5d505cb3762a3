// What a Model costs the API server: each write of the operator, in order. A write more shows here.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

using Writes = std::vector<std::string>;

// Those of the trace from `begin` on, as "status Model".
Writes writes_of(const Sim& s, size_t begin) {
  Writes found;
  for (size_t i = begin; i < s.world.trace.size(); ++i) {
    const std::string line = s.world.trace[i].substr(9);
    if (!line.starts_with("  ") || line[2] == ' ' || line.starts_with("  holds back")) continue;
    found.push_back(line.substr(2, line.find(' ', line.find(' ', 2) + 1) - 2));
  }
  return found;
}

int events_of(const Sim& s, size_t begin) {
  return static_cast<int>(std::count_if(s.world.trace.begin() + static_cast<std::ptrdiff_t>(begin), s.world.trace.end(),
                                        [](const std::string& line) { return line.compare(9, 10, "    event ") == 0; }));
}

Json artifact(const std::string& of) {
  return {{"uri", "configmap://artifacts/" + of}, {"digest", digest(of)}, {"format", {{"name", "rules"}, {"version", "1"}}}};
}

// One pod, no steps. `by_name`: of a ModelVersion that people wrote.
Fixture plain(Sim& s, bool by_name) {
  Fixture f(s);
  s.op.punctual = true;
  f.make_runtime();
  f.model_spec = {{"serving", {{"replicas", 1}}}};
  if (by_name) {
    f.make_version("m-v1");
    f.make_version("m-v2");
    f.model_spec["version"] = "m-v1";
  } else {
    f.model_spec["artifact"] = artifact("one");
  }
  f.make_model();
  return f;
}

// Those of a rollout whose three gates come before the first request: the Model's own, or those of three policies, which
// also demand fields and have a freeze that is over.
Writes gated(Sim& s, bool by_policies) {
  Fixture f(s);
  s.op.punctual = true;
  f.make_runtime();
  for (const char* version : {"m-v1", "m-v2"}) f.make_version(version, {{"f1", "0.95"}});
  f.model_spec = {{"version", "m-v1"}, {"class", "Rules"}, {"owner", {{"team", "pay"}}}, {"serving", {{"replicas", 1}}}};
  Json gates = Json::array(), names = Json::array();
  for (const char* name : {"a", "b", "c"}) {
    gates.push_back({{"name", name}, {"version", {{"metric", "f1"}}}, {"min", "0.9"}});
    names.push_back(name);
  }
  if (!by_policies) f.model_spec["rollout"] = {{"steps", {{{"gates", names}}}}, {"gates", gates}};
  f.make_model();
  if (by_policies)
    s.then("writes the policies", f.serves("m-v1"), [&s, gates] {
      for (const Json& gate : gates) {
        const Json over = {{"name", "over"}, {"from", "2020-01-01T00:00:00Z"}, {"to", "2020-01-02T00:00:00Z"}};
        const Json require = {{"beforeTraffic", {gate["name"]}}, {"fields", {"owner.team", "class"}}};
        const Json spec = {{"gates", {gate}}, {"require", require}, {"freeze", {over}}};
        s.world.create({{"kind", "ModelPolicy"}, {"metadata", {{"name", gate["name"]}}}, {"spec", spec}}, "kubectl");
      }
    });
  size_t begin = 0;
  // All that is written before has been: with gates of its own, a first version comes by a rollout, which has a ModelAudit.
  const auto told = [f, &s, by_policies] {
    return f.ready() && f.version_phase("m-v1") == "Serving" &&
           (by_policies ? f.condition("Compliant") == "True" : !s.world.all(Kind::ModelAudit).empty());
  };
  s.then("asks for m-v2", told, [&, f]() mutable {
    begin = s.world.trace.size();
    f.ask_for("m-v2");
  });
  s.run({});
  f.must_serve("m-v2");
  return writes_of(s, begin);
}

}  // namespace

TEST_CASE("writes: a first version of spec.artifact, and a rollout without steps to the next") {
  Sim s;
  Fixture f = plain(s, false);
  size_t begin = 0;
  Writes first;
  int told = 0;
  s.then("asks for the next", [f] { return f.ready() && f.version_phase(f.status()["stableVersion"]) == "Serving"; }, [&, f]() mutable {
    first = writes_of(s, 0);
    told = events_of(s, 0);
    begin = s.world.trace.size();
    f.edit_spec([](Json& spec) { spec["artifact"] = artifact("two"); });
  });
  s.run({});
  CHECK(first == Writes{"status Model", "apply ModelVersion", "apply Deployment", "apply Service", "status Model", "status ModelVersion"});
  CHECK(told <= 1);
  const Writes expected = {"apply ModelVersion", "apply ModelRollout", "status Model",        "status ModelRollout", "status ModelVersion", "apply Deployment", "apply Service",
                           "status Model",       "status ModelRollout", "status ModelVersion", "status ModelVersion", "apply ModelAudit",    "status Model",         "delete Deployment"};
  CHECK(writes_of(s, begin) == expected);
  CHECK(events_of(s, begin) <= 5);  // of the ModelRollout, and of its Model
  CHECK(f.ready());
}

TEST_CASE("writes: versions that people registered") {
  Sim s;
  Fixture f = plain(s, true);
  size_t begin = 0;
  Writes first;
  s.then("asks for m-v2", [f] { return f.ready() && f.version_phase("m-v1") == "Serving"; }, [&, f]() mutable {
    first = writes_of(s, 0);
    begin = s.world.trace.size();
    f.ask_for("m-v2");
  });
  s.run({});
  CHECK(first == Writes{"status Model", "apply Deployment", "apply Service", "status Model", "status ModelVersion"});
  const Writes expected = {"apply ModelRollout", "status Model",        "status ModelRollout", "status ModelVersion", "apply Deployment",  "apply Service",
                           "status Model",       "status ModelRollout", "status ModelVersion", "status ModelVersion", "apply ModelAudit", "status Model",       "delete Deployment"};
  CHECK(writes_of(s, begin) == expected);
  f.must_serve("m-v2");
}

// Of what the audit trail costs there is the ModelAudit, and the status that no longer holds what is in it.
TEST_CASE("writes: policies cost a rollout none, and its audit trail two") {
  Sim own, governed;
  const Writes expected = {"apply ModelRollout", "status Model",        "status ModelRollout", "status ModelVersion", "apply Deployment",
                           "apply Service",      "apply Service",       "status Model",        "status ModelRollout", "status ModelVersion",
                           "status ModelVersion", "delete Service",     "apply ModelAudit",    "status Model",        "delete Deployment"};
  CHECK(gated(own, false) == expected);
  CHECK(gated(governed, true) == expected);
}

// Its pods get ready one after the other, and each is told by the next status that says more.
TEST_CASE("writes: pods that get ready one by one are worth no status each") {
  Sim s;
  Fixture f(s);
  s.op.punctual = true;
  f.make_runtime();
  f.make_version("m-v1");
  f.make_version("m-v2");
  f.model_spec = {{"version", "m-v1"}, {"serving", {{"replicas", 10}}}};
  f.make_model();
  size_t begin = 0;
  s.then("asks for m-v2", f.serves("m-v1"), [&, f]() mutable {
    begin = s.world.trace.size();
    f.ask_for("m-v2");
  });
  s.run({});
  const Writes writes = writes_of(s, begin);
  CHECK(std::count(writes.begin(), writes.end(), "status ModelRollout") == 2);
  CHECK(std::count(writes.begin(), writes.end(), "status Model") == 3);  // the last without what a ModelAudit holds by then
}

}  // namespace mo::sim
