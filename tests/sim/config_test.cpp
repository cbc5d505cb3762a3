// ConfigMaps that the pod template names: each version keeps them as they were when it started.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

const char* const kTemplate = R"({"spec": {"containers": [{"name": "server", "envFrom": [{"configMapRef": {"name": "settings"}}]}]}})";

void write(Sim& s, const std::string& level, const std::string& name = "settings") {
  const ObjectRef configmap = ref(Kind::ConfigMap, name);
  if (s.world.find(configmap))
    s.world.update(configmap, [&](Json& o) { o["data"]["level"] = level; }, "kubectl");
  else
    s.world.create({{"kind", "ConfigMap"}, {"metadata", {{"name", name}}}, {"data", {{"level", level}}}}, "kubectl");
}

Fixture configured(Sim& s, const char* pod_template = kTemplate) {
  return usual(s, [&](Json& spec) {
    spec["serving"]["template"] = Json::parse(pod_template);
    spec["rollout"]["steps"] = Json::parse(R"([{"weight": 50}, {"gates": ["accuracy"]}])");
  });
}

// What the pods of this version read; "" if they have no ConfigMap of their own.
std::string level_of(const Fixture& f, const std::string& version) {
  const Json& revision = f.status()["stableRevision"];
  const std::string deployment = f.stable() == version ? revision["deployment"].get<std::string>() : version;
  const Json& server = f.s.world.get(ref(Kind::Deployment, deployment))["spec"]["template"]["spec"]["containers"][0];
  const std::string name = server["envFrom"][0]["configMapRef"]["name"];
  must(name != "settings", version + " reads the ConfigMap itself");
  const Json& copy = f.s.world.get(ref(Kind::ConfigMap, name));
  must(copy["immutable"] == true && copy["metadata"]["labels"][api::kLabelVersion] == version, copy.dump());
  return copy.value("data", Json::object()).value("level", "");
}

size_t copies(const Sim& s) {
  size_t count = 0;
  for (const ObjectRef& ref : s.world.all(Kind::ConfigMap)) count += s.world.get(ref).value("immutable", false);
  return count;
}

TEST_CASE("a version keeps its config, the next one takes the new, and the way back brings the old") {
  explore([](Sim& s) {
    write(s, "one");
    Fixture f = configured(s);
    s.then("changes the config", f.serves("m-v1"), [&s] { write(s, "two"); });
    s.then("asks for m-v2", [f] {
      return f.status()["message"] == "m-v1 serves; ConfigMap settings has changed since; the next version uses the new content";
    }, [f]() mutable {
      must(level_of(f, "m-v1") == "one", "m-v1 took the change");
      f.ask_for("m-v2");
    });
    s.then("goes back", f.serves("m-v2"), [f, &s]() mutable {
      must(level_of(f, "m-v2") == "two", "m-v2 has the old config");
      write(s, "three");
      f.make_rollout("back", "m-v1");
    });
    s.then("asks for it too", [f] { return f.phase("back") == "Succeeded"; }, [f]() mutable { f.ask_for("m-v1"); });
    s.op.metrics["accuracy m-v1"] = "0.95";
    s.expect = [f, &s] {
      must(f.stable() == "m-v1" && level_of(f, "m-v1") == "one", "m-v1 is back without its config");
      must(copies(s) == 2, "one copy for each version that served");
    };
  });
}

TEST_CASE("a version that failed takes the config anew when it is tried again") {
  explore([](Sim& s) {
    write(s, "bad");
    Fixture f = usual(s, [](Json& spec) { spec["rollout"]["steps"] = Json::parse(R"([{"weight": 50}, {"gates": ["accuracy"]}])"); });
    s.op.metrics["accuracy m-v2"] = "0.1";
    s.then("asks for m-v2 with config", f.serves("m-v1"), [f]() mutable {
      f.edit_spec([](Json& spec) {
        spec["version"] = "m-v2";
        spec["serving"]["template"] = Json::parse(kTemplate);
      });
    });
    s.then("mends it and tries again", [f, &s] { return f.phase(f.to("m-v2")) == "RolledBack" && copies(s) == 0; },
           [f, &s]() mutable {
             write(s, "good");
             s.op.metrics["accuracy m-v2"] = "0.95";
             f.make_rollout("again", "m-v2");
           });
    s.expect = [f] {
      f.must_be("again", "Succeeded");
      must(level_of(f, "m-v2") == "good", "m-v2 has the config that it failed with");
    };
  });
}

// A story: a way back that was aborted made the version that had served look as if it never had.
TEST_CASE("a version that served keeps its config when the way back to it is given up") {
  explore([](Sim& s) {
    write(s, "one");
    Fixture f = configured(s);
    s.op.metrics["accuracy m-v1"] = "0.1";
    s.then("asks for m-v2", f.serves("m-v1"), [f, &s]() mutable {
      write(s, "two");
      f.ask_for("m-v2");
    });
    s.then("goes back", f.serves("m-v2"), [f]() mutable { f.make_rollout("back", "m-v1"); });
    s.then("tries that again", [f] { return f.phase("back") == "RolledBack" && f.version_phase("m-v1") == "Rejected"; },
           [f, &s]() mutable {
             s.op.metrics["accuracy m-v1"] = "0.95";
             f.make_rollout("again", "m-v1");
           });
    s.expect = [f] {
      f.must_be("again", "Succeeded");
      must(level_of(f, "m-v1") == "one", "m-v1 is back with the config of another");
    };
  });
}

TEST_CASE("a ConfigMap that is not there is waited for, and said") {
  explore([](Sim& s) {
    Fixture f = configured(s);
    s.then("makes it", [f] { return f.reason("Stalled") == "ConfigMapNotFound"; }, [f, &s] {
      must(f.status()["message"] == "ConfigMap settings, which the pod template references, does not exist: create it, or set optional: true",
           f.status()["message"]);
      must(s.world.all(Kind::Deployment).empty(), "pods that cannot start");
      write(s, "one");
    });
    s.expect = [f] {
      f.must_serve("m-v1");
      must(level_of(f, "m-v1") == "one", "not its config");
    };
  });
}

TEST_CASE("an optional ConfigMap that is not there stays away for that version") {
  explore([](Sim& s) {
    Fixture f = configured(s, R"({"spec": {"containers": [{"name": "server", "envFrom": [{"configMapRef": {"name": "settings", "optional": true}}]}]}})");
    s.then("makes it later", f.serves("m-v1"), [&s] { write(s, "one"); });
    s.then("asks for m-v2", [f] { return f.status()["message"] != "m-v1 serves"; }, [f]() mutable {
      must(level_of(f, "m-v1").empty(), "m-v1 took it");
      f.ask_for("m-v2");
    });
    s.expect = [f] {
      f.must_serve("m-v2");
      must(level_of(f, "m-v2") == "one", "m-v2 has it not");
    };
  });
}

TEST_CASE("another ConfigMap in the template is pinned for the version that serves") {
  explore([](Sim& s) {
    write(s, "one");
    write(s, "blue", "other");
    s.op.metrics["accuracy m-v1"] = "0.95";
    Fixture f = configured(s);
    s.then("names another", f.serves("m-v1"), [f]() mutable {
      f.edit_spec([](Json& spec) {
        spec["serving"]["template"] = Json::parse(R"({"spec": {"containers": [{"name": "server", "envFrom": [{"configMapRef": {"name": "other"}}]}]}})");
      });
    });
    s.expect = [f] {
      f.must_serve("m-v1");
      must(level_of(f, "m-v1") == "blue", "it has the old one");
    };
  });
}

TEST_CASE("with pinConfig false pods read the ConfigMap itself, and copies go") {
  explore([](Sim& s) {
    write(s, "one");
    s.op.metrics["accuracy m-v1"] = "0.95";
    Fixture f = configured(s);
    s.then("unpins", f.serves("m-v1"), [f]() mutable { f.edit_spec([](Json& spec) { spec["serving"]["pinConfig"] = false; }); });
    s.expect = [f, &s] {
      f.must_serve("m-v1");
      const Json& server = s.world.get(ref(Kind::Deployment, f.status()["stableRevision"]["deployment"]))["spec"]["template"]["spec"]["containers"][0];
      must(server["envFrom"][0]["configMapRef"]["name"] == "settings", server.dump());
      must(copies(s) == 0, "a copy is left over");
    };
  });
}

}  // namespace
}  // namespace mo::sim
