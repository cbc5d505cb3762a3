// What each verb of `kubectl model` means for what there is.
#include <catch2/catch.hpp>
#include <sstream>

#include "plugin/commands.h"
#include "plugin/steer.h"
#include "tests/unit/plugin_cluster.h"
#include "tests/unit/runtime_fake_client.h"

using namespace mo;
using namespace mo::plugin;

namespace {

const TimePoint kNoon = *parse_time("2026-11-22T12:00:00Z");

Json rollout(const std::string& name, const std::string& to, const std::string& phase,
             const std::string& created = "2026-11-22T09:00:00Z", const std::string& from = "m-v1") {
  Json r = {
      {"metadata",
       {{"name", name}, {"uid", "u-" + name}, {"resourceVersion", "7"}, {"creationTimestamp", created}}},
      {"spec", {{"modelRef", {{"name", "m"}}}, {"version", to}}},
      {"status", {{"phase", phase}, {"step", {{"index", 2}, {"count", 4}, {"description", "pause 5m"}}}}}};
  if (phase != "Pending") r["status"]["startedAt"] = created;
  if (phase != "Pending" && !from.empty()) r["status"]["fromVersion"] = from;
  return r;
}

Rollouts scene(std::vector<Json> rollouts, const std::string& stable = "m-v1") {
  Rollouts r;
  r.model = {{"metadata", {{"name", "m"}, {"namespace", "ns"}, {"uid", "u-m"}, {"resourceVersion", "9"}}},
             {"spec", {{"version", "m-v2"}}},
             {"status", {{"stableVersion", stable}}}};
  r.all = std::move(rollouts);
  for (const char* v : {"m-v1", "m-v2", "m-v3"})
    r.versions.push_back({{"metadata", {{"name", v}}}, {"status", {{"phase", "Registered"}}}});
  return r;
}

Result<Edit> decided(const std::string& verb, const Rollouts& r, const std::string& to = "",
                     bool force = false) {
  return decide({.verb = verb, .model = "m", .rollout = "", .to = to, .force = force, .output = ""}, r,
                kNoon);
}

std::string refusal(const Result<Edit>& edit) {
  REQUIRE_FALSE(edit);
  CHECK(edit.error().reason == "Refused");
  return edit.error().message;
}

}  // namespace

TEST_CASE("plugin: the words to a rollout are one edit with its preconditions", "[plugin]") {
  const Rollouts r = scene({rollout("m-v2-2", "m-v2", "Progressing")});
  for (const auto& [verb, state] : std::map<std::string, std::string>{
           {"pause", "Paused"}, {"promote", "Promoted"}, {"abort", "Aborted"}}) {
    const auto edit = decided(verb, r);
    REQUIRE(edit);
    CHECK(edit->what == Edit::Do::Patch);
    CHECK(edit->name == "m-v2-2");
    CHECK(edit->body == Json{{"metadata", {{"uid", "u-m-v2-2"}, {"resourceVersion", "7"}}},
                             {"spec", {{"desiredState", state}}}});
  }
  CHECK(decided("promote", r)->said ==
        "ModelRollout m-v2-2 (m-v1 -> m-v2) is promoted: the rest at step 2/4 (pause 5m) is skipped, "
        "except required gates, and it "
        "gets all traffic when its pods are ready");
  CHECK_THAT(refusal(decided("resume", r)), Catch::Contains("is not paused"));
}

TEST_CASE("plugin: resume leaves Paused, or makes a new request", "[plugin]") {
  Json paused = rollout("m-v2-2", "m-v2", "Paused");
  const auto asked = [&] { return decided("resume", scene({paused}))->body["spec"]; };
  CHECK(asked() == Json{{"resumeRequestedAt", "2026-11-22T12:00:00Z"}});
  paused["spec"]["desiredState"] = "Running";
  CHECK(asked() == Json{{"resumeRequestedAt", "2026-11-22T12:00:00Z"}});
  paused["spec"]["resumeRequestedAt"] = "2026-11-22T12:00:00Z";
  CHECK(asked() == Json{{"resumeRequestedAt", "2026-11-22T12:00:00.001000Z"}});
  paused["spec"]["desiredState"] = "Paused";
  CHECK(asked() == Json{{"desiredState", "Running"}});
}

TEST_CASE("plugin: what is so already is not written again, and abort wins", "[plugin]") {
  Json aborted = rollout("m-v2-2", "m-v2", "Progressing");
  aborted["spec"]["desiredState"] = "Aborted";
  CHECK(decided("abort", scene({aborted}))->what == Edit::Do::Nothing);
  for (const char* verb : {"promote", "pause", "resume"})
    CHECK_THAT(refusal(decided(verb, scene({aborted}))), Catch::Contains("is already ending"));
  Json back = rollout("m-v2-2", "m-v2", "Progressing");
  back["status"]["ending"] = {{"phase", "RolledBack"}, {"message", "gate accuracy failed"}};
  CHECK_THAT(refusal(decided("promote", scene({back}))), Catch::Contains("gate accuracy failed"));
}

TEST_CASE("plugin: nothing is steered where nothing runs, or several could be meant", "[plugin]") {
  CHECK(refusal(decided("pause", scene({}))) == "Model m has no rollout in progress");
  CHECK_THAT(refusal(decided("abort", scene({rollout("m-v2-2", "m-v2", "Succeeded")}))),
             Catch::Contains("m-v2-2 (m-v1 -> m-v2), succeeded"));
  const Json a = rollout("a", "m-v2", "Pending"), b = rollout("b", "m-v3", "Pending");
  CHECK_THAT(refusal(decided("abort", scene({a, b}))), Catch::Contains("choose one with --rollout: a, b"));
  CHECK(decided("abort", scene({a, b, rollout("c", "m-v2", "Progressing")}))->name == "c");
  Rollouts r = scene({rollout("d", "m-v3", "Progressing"), rollout("c", "m-v2", "Progressing")});
  r.model["status"]["intent"] = {{"rollout", "c"}, {"version", "m-v2"}};
  CHECK(decided("abort", r)->name == "c");
}

TEST_CASE("plugin: retry makes a new rollout to what failed last", "[plugin]") {
  Rollouts r =
      scene({rollout("m-v2-retry-2", "m-v2", "RolledBack"), rollout("m-v2-2", "m-v2", "RolledBack")});
  const auto edit = decided("retry", r);
  REQUIRE(edit);
  CHECK(edit->what == Edit::Do::Create);
  CHECK(edit->body["metadata"] == Json{{"name", "m-v2-retry-3"}, {"namespace", "ns"}, {"labels", {{"modelops.dev/origin", "kubectl-model"}}}});
  CHECK(edit->body["spec"] == Json{{"modelRef", {{"name", "m"}}}, {"version", "m-v2"}});
  CHECK_THAT(refusal(decided("retry", scene({rollout("x", "m-v2", "Succeeded")}, "m-v2"))),
             Catch::Contains("nothing to retry"));
  CHECK_THAT(refusal(decided("retry", scene({rollout("x", "m-v2", "Paused")}))),
             Catch::Contains("rollout in progress"));
  CHECK_THAT(refusal(decided("retry", scene({rollout("x", "m-v9", "Failed")}))),
             Catch::Contains("no ModelVersion m-v9; it has m-v1, m-v2, m-v3"));
}

TEST_CASE("plugin: rollback aborts what is under way, else goes back at once", "[plugin]") {
  CHECK(decided("rollback", scene({rollout("x", "m-v2", "Progressing")}))->body["spec"]["desiredState"] ==
        "Aborted");
  CHECK(decided("rollback", scene({rollout("x", "m-v2", "Progressing")}), "m-v1")->what == Edit::Do::Patch);
  CHECK_THAT(refusal(decided("rollback", scene({rollout("x", "m-v2", "Progressing")}), "m-v3")),
             Catch::Contains("abort it first"));

  const Rollouts served = scene({rollout("x", "m-v2", "Succeeded")}, "m-v2");
  const auto back = decided("rollback", served);
  REQUIRE(back);
  CHECK(back->body["spec"] ==
        Json{{"modelRef", {{"name", "m"}}}, {"version", "m-v1"}, {"desiredState", "Promoted"}});
  CHECK(back->name == "m-v1-rollback-1");
  CHECK_THAT(back->said, Catch::Contains("set spec.version to m-v1 for good"));
  CHECK_THAT(refusal(decided("rollback", served, "m-v2")), Catch::Contains("already serves"));
  CHECK_THAT(refusal(decided("rollback", served, "m-v3")), Catch::Contains("never passed"));
  CHECK(decided("rollback", served, "m-v3", true));
  CHECK_THAT(refusal(decided("rollback", served, "m-v9", true)), Catch::Contains("no ModelVersion m-v9"));
  CHECK_THAT(refusal(decided("rollback", scene({}, "m-v1"))), Catch::Contains("--to"));
}

TEST_CASE("plugin: the versions to go back to", "[plugin]") {
  struct Row {
    std::vector<Move> moves;  // the oldest first
    std::string stable;
    std::vector<std::string> back;
  };
  const Row rows[] = {
      {{}, "v1", {}},
      {{}, "", {}},
      {{{"v1", "v2"}}, "v2", {"v1"}},
      {{{"", "v1"}, {"v1", "v2"}, {"v2", "v3"}}, "v3", {"v2", "v1"}},
      // Each way back leads further.
      {{{"v1", "v2"}, {"v2", "v3"}, {"v3", "v2"}}, "v2", {"v1"}},
      {{{"v1", "v2"}, {"v2", "v3"}, {"v3", "v2"}, {"v2", "v1"}}, "v1", {}},
      // Rolled out anew, it was not gone back from since.
      {{{"v1", "v2"}, {"v2", "v1"}, {"v1", "v2"}}, "v2", {"v1"}},
      {{{"v1", "v2"}, {"v2", "v1"}, {"v1", "v3"}}, "v3", {"v1"}},
      {{{"v1", "v2"}, {"v2", "v3"}, {"v3", "v1"}, {"v1", "v3"}}, "v3", {"v1"}},
      // Parts of the history are gone.
      {{{"v2", "v3"}, {"v5", "v6"}}, "v6", {"v5", "v3", "v2"}},
      {{{"v1", "v2"}}, "v7", {"v2", "v1"}},
  };
  for (const Row& row : rows) {
    std::string text;
    for (const Move& move : row.moves) text += move.from + " -> " + move.to + ", ";
    INFO(text << "stable " << row.stable);
    CHECK(rollback_targets(row.moves, row.stable) == row.back);
  }
}

TEST_CASE("plugin: the second rollback does not return to what the first one left", "[plugin]") {
  Json there = rollout("m-v2-2", "m-v2", "Succeeded", "2026-11-22T09:00:00Z", "m-v1");
  Json back = rollout("m-v1-rollback-1", "m-v1", "Succeeded", "2026-11-22T10:00:00Z", "m-v2");
  there["status"]["finishedAt"] = "2026-11-22T09:30:00Z";
  back["status"]["finishedAt"] = "2026-11-22T10:01:00Z";
  CHECK(refusal(decided("rollback", scene({back, there}, "m-v1"))) ==
        "no version served before m-v1 without a later rollback from it; choose one with --to: m-v2 served once");
  CHECK(decided("rollback", scene({back, there}, "m-v1"), "m-v2"));
  Json third = rollout("m-v3-1", "m-v3", "Succeeded", "2026-11-22T11:00:00Z", "m-v1");
  third["status"]["finishedAt"] = "2026-11-22T11:30:00Z";
  CHECK(decided("rollback", scene({third, back, there}, "m-v3"))->body["spec"]["version"] == "m-v1");
}

TEST_CASE("plugin: each request to retrain is a new value", "[plugin]") {
  Rollouts r = scene({});
  CHECK_THAT(refusal(decided("retrain", r)), Catch::Contains("no spec.retraining"));
  r.model["spec"]["retraining"] = {{"requestedAt", "2026-11-22T11:00:00Z"}};
  CHECK(decided("retrain", r)->body["spec"]["retraining"]["requestedAt"] == "2026-11-22T12:00:00Z");
  r.model["spec"]["retraining"]["requestedAt"] = "2026-11-22T12:00:00Z";
  CHECK(decided("retrain", r)->body["spec"]["retraining"]["requestedAt"] == "2026-11-22T12:00:00.001000Z");
}

TEST_CASE("plugin: an object that changed meanwhile is looked at anew before it is written", "[plugin]") {
  FakeClient client;
  int writes = 0;
  client.answer = [&](const FakeClient::Call& call) -> Result<std::string> {
    if (call.verb == "get") return scene({}).model.dump();
    if (++writes == 1) return fail(ErrorKind::Conflict, "the object has been modified");
    return rollout("x", "m-v2", "Progressing").dump();
  };
  client.on_list = [&](const kube::ListOptions& options) -> Result<std::string> {
    CHECK(options.field_selector == "spec.modelRef.name=m");
    Json list = {{"metadata", {{"resourceVersion", "1"}}}, {"items", {rollout("x", "m-v2", "Progressing")}}};
    return list.dump();
  };
  std::ostringstream out, err;
  Session session{client, "ns", out, err, [] { return kNoon; }};
  CHECK(steer(session,
              {.verb = "pause", .model = "m", .rollout = "", .to = "", .force = false, .output = "name"}) ==
        kDone);
  CHECK(writes == 2);
  CHECK(err.str().empty());
}

TEST_CASE("plugin: what has ended as it was asked to is no refusal", "[plugin]") {
  const auto promoted = decided("promote", scene({rollout("x", "m-v2", "Succeeded")}, "m-v2"));
  REQUIRE(promoted);
  CHECK(promoted->what == Edit::Do::Nothing);
  CHECK(promoted->said == "ModelRollout x (m-v1 -> m-v2) has already ended: Succeeded");
  for (const char* phase : {"Aborted", "RolledBack", "Failed"}) {
    CHECK(decided("abort", scene({rollout("x", "m-v2", phase)}))->what == Edit::Do::Nothing);
    CHECK_THAT(refusal(decided("promote", scene({rollout("x", "m-v2", phase)}))), Catch::Contains("no rollout in progress"));
  }
  CHECK_THAT(refusal(decided("pause", scene({rollout("x", "m-v2", "Succeeded")}))), Catch::Contains("no rollout in progress"));
  CHECK_THAT(refusal(decided("promote", scene({}))), Catch::Contains("no rollout in progress"));
  // One that is named, also where another runs.
  const Rollouts two = scene({rollout("y", "m-v3", "Progressing"), rollout("x", "m-v2", "Succeeded")});
  const auto named = decide({.verb = "promote", .model = "m", .rollout = "x", .to = "", .force = false, .output = ""}, two, kNoon);
  REQUIRE(named);
  CHECK(named->what == Edit::Do::Nothing);
  CHECK(decided("promote", two)->name == "y");
}

namespace {

struct Ran {
  int code;
  std::string out, err;
};

// Two Models of team a, whose rollouts are under way and over, and one of team b that trains.
struct Teams : test::ClusterClient {
  Teams() {
    using namespace test;
    Json trains = model_named("c", "ns", {{"team", "b"}});
    trains["spec"]["retraining"] = Json::object();
    objects[Kind::Model] = {model_named("a", "ns", {{"team", "a"}}), model_named("b", "ns", {{"team", "a"}}), trains};
    objects[Kind::ModelRollout] = {rollout_of("a", "a-v2-2", "Progressing"), rollout_of("b", "b-v2-2", "RolledBack")};
    answer = [](const FakeClient::Call& call) -> Result<std::string> {
      Json stored = with_kind(Json::parse(call.body), call.ref.kind);
      stored["metadata"]["name"] = call.ref.key.name;
      return stored.dump();
    };
  }
};

Ran steered(test::ClusterClient& cluster, const std::string& verb, const Selection& selection, const std::string& output = "",
            DryRun dry_run = DryRun::None) {
  test::Printed printed;
  Session session = printed.session(cluster);
  const int code = steer_all(
      session,
      {.verb = verb, .model = "", .rollout = "", .to = "", .force = false, .output = output, .dry_run = dry_run}, selection);
  return {code, printed.out.str(), printed.err.str()};
}

}  // namespace

TEST_CASE("plugin: several Models are steered one after the other", "[plugin]") {
  Teams cluster;
  const Ran named = steered(cluster, "pause", {{"a", "model/b", "models.modelops.dev/a", "none"}, ""});
  CHECK(named.code == kTrouble);
  CHECK_THAT(named.out, Catch::StartsWith("ModelRollout a-v2-2 (a-v1 -> a-v2) is paused"));
  CHECK(named.err == "error: Model b has no rollout in progress; the last one, ModelRollout b-v2-2 (b-v1 -> b-v2), ended as "
                     "RolledBack\nerror: Model ns/none not found\n3 Models: 1 done, 1 refused, 1 failed\n");
  // Who selects means those that there is something to do for.
  const Ran selected = steered(cluster, "pause", {{}, "team=a"});
  CHECK(selected.code == kDone);
  CHECK(selected.err == "Model b has no rollout in progress: skipped\n2 Models: 1 done, 1 skipped\n");
  CHECK(steered(cluster, "abort", {{}, "team=b"}).code == kNo);
  CHECK(steered(cluster, "retrain", {{}, "team=b"}, "name").out == "model.modelops.dev/c\n");
  const Ran nobody = steered(cluster, "abort", {{}, "team=c"});
  CHECK(nobody.code == kTrouble);
  CHECK(nobody.err == "error: no Model of namespace ns has labels team=c\n");
  CHECK(steered(cluster, "pause", {{"Model_1"}, ""}).code == kTrouble);
}

TEST_CASE("plugin: a ModelRollout that is named stands for its Model", "[plugin]") {
  Teams cluster;
  CHECK_THAT(steered(cluster, "abort", {{"mro/a-v2-2"}, ""}).out, Catch::StartsWith("ModelRollout a-v2-2"));
  const Ran over = steered(cluster, "abort", {{"modelrollout/b-v2-2"}, ""});
  CHECK(over.code == kDone);
  CHECK_THAT(over.out, Catch::Contains("has already ended: RolledBack"));
  CHECK_THAT(steered(cluster, "retrain", {{"mro/a-v2-2"}, ""}).err, Catch::Contains("is not possible here"));
}

TEST_CASE("plugin: a dry run says what would be written", "[plugin]") {
  Teams cluster;
  const Ran client = steered(cluster, "pause", {{"a"}, ""}, "", DryRun::Client);
  CHECK_THAT(client.out, Catch::EndsWith(" (dry run)\n"));
  const Json object = Json::parse(steered(cluster, "pause", {{"a"}, ""}, "json", DryRun::Client).out);
  CHECK(object["spec"] == Json{{"modelRef", {{"name", "a"}}}, {"version", "a-v2"}, {"desiredState", "Paused"}});
  CHECK(object["metadata"]["name"] == "a-v2-2");
  CHECK(Json::parse(steered(cluster, "retrain", {{"c"}, ""}, "json", DryRun::Client).out)["spec"]["retraining"] ==
        Json{{"requestedAt", "2026-11-22T12:00:00Z"}});
  CHECK(cluster.calls().empty());
  // The session's client asks for it with each write.
  CHECK_THAT(steered(cluster, "pause", {{"a"}, ""}, "", DryRun::Server).out, Catch::EndsWith(" (server dry run)\n"));
  CHECK(cluster.calls().size() == 1);
}

namespace {

struct Said {
  int code;
  std::string out, err;
};
Said command(const std::vector<std::string>& args) {
  std::istringstream in;
  std::ostringstream out, err;
  const int code = plugin::run(args, {in, out, err});
  return {code, out.str(), err.str()};
}

}  // namespace

TEST_CASE("plugin: wrong usage is told apart from a no", "[plugin]") {
  CHECK(command({}).code == kTrouble);
  CHECK(command({"--help"}).code == kDone);
  CHECK(command({"--version"}).code == kDone);
  CHECK(command({"destroy", "m"}).code == kTrouble);
  CHECK(command({"destroy", "m"}).err == "error: unknown command: destroy; see kubectl model --help\n");
  CHECK(command({"pause"}).code == kTrouble);
  CHECK_THAT(command({"pause"}).err, Catch::Contains("MODEL or -l is required"));
  CHECK(command({"pause", "m", "-o", "table"}).code == kTrouble);
  CHECK(command({"pause", "m", "--to", "x"}).code == kTrouble);
  CHECK(command({"lint", "a\x1b[2Jb"}).err.find('\x1b') == std::string::npos);  // a name that a shell found
  CHECK(command({"pause", "m", "-l", "a=b"}).code == kTrouble);
  CHECK(command({"pause", "m", "--dry-run", "maybe"}).code == kTrouble);
  CHECK(command({"pause", "m", "n", "--rollout", "x"}).code == kTrouble);
  CHECK(command({"retry", "m", "n"}).code == kTrouble);
  CHECK(command({"plan"}).code == kTrouble);
  CHECK_THAT(command({"lint"}).err, Catch::Contains("-f or -k is required"));
  CHECK_THAT(command({"get", "--request-timeout", "soon"}).err, Catch::Contains("soon is not a duration"));
  CHECK_THAT(command({"get", "--as-group", "dev", "--kubeconfig", "/does/not/exist"}).err, Catch::Contains("/does/not/exist"));
  const Said nowhere = command({"pause", "m", "--kubeconfig", "/does/not/exist"});
  CHECK(nowhere.code == kTrouble);
  CHECK_THAT(nowhere.err, Catch::Contains("/does/not/exist"));
  // Flags before the verb, and a Model that is called like one.
  const Said before = command({"-n", "get", "--kubeconfig", "/does/not/exist", "-o=name", "status", "plan"});
  CHECK(before.code == kTrouble);
  CHECK_THAT(before.err, Catch::Contains("/does/not/exist"));
}

TEST_CASE("plugin: completion as kubectl asks for it", "[plugin]") {
  std::istringstream in;
  const auto completed = [&](const std::vector<std::string>& words) {
    std::ostringstream out, err;
    CHECK(plugin::run_completion(words, {in, out, err}) == kDone);
    CHECK(err.str().empty());
    return out.str();
  };
  CHECK_THAT(completed({""}),
             Catch::Contains("promote\t") && Catch::Contains("lint\t") && Catch::EndsWith(":4\n"));
  CHECK(completed({"paus"}) == "pause\tPause the rollout at its current step\n:4\n");
  CHECK_THAT(completed({"rollback", "m", "--f"}), Catch::StartsWith("--force\t"));
  CHECK(completed({"get", "-o", "w"}) == "wide\n:4\n");
  CHECK(completed({"status", "-o", "y"}) == "yaml\n:4\n");
  CHECK(completed({"lint", "-f", ""}) == ":0\n");
  CHECK(completed({"pause", "m", ""}) == ":4\n");
  CHECK(completed({"frobnicate", ""}) == ":4\n");
  // No cluster: no names, and no error in the middle of somebody's line.
  CHECK(completed({"pause", "--kubeconfig", "/does/not/exist", ""}) == ":4\n");
  CHECK(completed({}) == completed({""}));
}
