#include <catch2/catch.hpp>

#include "operator/api/parse.h"
#include "operator/json/json.h"
#include "operator/runtime/controller.h"
#include "operator/runtime/executor.h"
#include "runtime_bench.h"

using namespace mo;
using namespace std::chrono_literals;

namespace {

const ObjectKey kModel{"pay", "fraud"};
const ObjectRef kDeployment{Kind::Deployment, {"pay", "fraud-v1"}};

std::string deployment(const std::string& uid, const std::string& rv) {
  return R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"fraud-v1","namespace":"pay","uid":")" +
         uid + R"(","resourceVersion":")" + rv +
         R"(","labels":{"modelops.dev/model":"fraud","modelops.dev/version":"fraud-v1"}},"spec":{"replicas":2}})";
}

Plan apply_plan(const std::string& uid = "") {
  Plan plan;
  plan.actions.push_back(
      Apply{kDeployment, R"({"metadata":{"name":"fraud-v1"}})", uid, "h1", "first version"});
  return plan;
}

struct Rig : ExecutorBench {
  Outcome run(const Plan& plan) { return executor.run(kModel, plan, TimePoint{}, {}); }
  void fail_with(ErrorKind kind, int status) {
    client.answer = [=](const FakeClient::Call&) -> Result<std::string> {
      return fail(Error{kind, "no", status, {}, {}});
    };
  }
};

}  // namespace

TEST_CASE(
    "executor: a first apply is without force, of no object's version, and without UID; a later one with "
    "all") {
  Rig rig;
  rig.client.answer = [](const FakeClient::Call&) -> Result<std::string> { return deployment("u1", "7"); };
  REQUIRE(rig.run(apply_plan()).kind == Outcome::Kind::Done);
  REQUIRE(rig.run(apply_plan("u1")).kind == Outcome::Kind::Done);
  const auto calls = rig.client.calls();
  CHECK_FALSE(calls[0].force);
  CHECK(calls[0].body.find("\"uid\"") == std::string::npos);
  // A leader that was stopped had a Deployment on its way; it arrived when another had made it and led the
  // rollout to its end, and took it back to its first size. A cluster's first object has version 2 or more.
  CHECK(Json::parse(calls[0].body)["metadata"]["resourceVersion"] == "1");
  CHECK(calls[1].force);
  const Json body = Json::parse(calls[1].body);
  CHECK(body["metadata"]["uid"] == "u1");
  CHECK(body["metadata"]["annotations"]["modelops.dev/applied"] == "h1");
}

TEST_CASE("executor: reads its own writes and records what was applied") {
  Rig rig;
  rig.client.answer = [](const FakeClient::Call&) -> Result<std::string> { return deployment("u1", "7"); };
  rig.run(apply_plan());
  const auto held = rig.stores.deployments.get(kDeployment.key);
  REQUIRE(held);
  CHECK(held->meta.resource_version == "7");
  CHECK(rig.stores.deployments.of_model(kModel).size() == 1);
  CHECK(rig.ledger.agrees_with("u1", "h1", held->spec_hash, false) == "h1");
}

TEST_CASE("executor: stops at the first error") {
  Rig rig;
  rig.fail_with(ErrorKind::ServerError, 500);
  Plan plan = apply_plan();
  plan.actions.push_back(Delete{kDeployment, "u1", "gone"});
  const Outcome outcome = rig.run(plan);
  CHECK(outcome.kind == Outcome::Kind::Retry);
  CHECK(outcome.what == "apply Deployment pay/fraud-v1 (first version)");
  CHECK(rig.client.calls().size() == 1);
}

TEST_CASE("executor: who may retry what") {
  struct Row {
    ErrorKind kind;
    int status;
    std::string uid;
    Outcome::Kind expected;
  };
  const std::vector<Row> rows = {
      {ErrorKind::Conflict, 409, "", Outcome::Kind::Conflict},  // there already: read first
      {ErrorKind::Conflict, 409, "u1", Outcome::Kind::Conflict},
      {ErrorKind::Invalid, 422, "u1", Outcome::Kind::Refused},
      {ErrorKind::Forbidden, 403, "u1", Outcome::Kind::Refused},
      {ErrorKind::TooManyRequests, 429, "u1", Outcome::Kind::Retry},
      {ErrorKind::Transport, 0, "", Outcome::Kind::Retry},
      {ErrorKind::NotFound, 404, "", Outcome::Kind::Retry},
      {ErrorKind::NotFound, 404, "u1", Outcome::Kind::Conflict},
      {ErrorKind::Cancelled, 0, "u1", Outcome::Kind::Cancelled},
  };
  for (const Row& row : rows) {
    Rig rig;
    rig.fail_with(row.kind, row.status);
    CHECK(rig.run(apply_plan(row.uid)).kind == row.expected);
    CHECK(rig.refusals.of(kModel).size() == (row.expected == Outcome::Kind::Refused ? 1 : 0));
  }
}

// What is in the way of a first apply may be the Model's own, made by another leader a moment ago: then
// status must not say that it is somebody else's.
TEST_CASE("executor: what was to be made and is there is read, and refused only if it is somebody else's") {
  Rig rig;
  rig.stores.models.upsert(*api::parse<api::Model>(
      R"({"metadata":{"name":"fraud","namespace":"pay","uid":"m1","resourceVersion":"3"},"spec":{"class":"Rules","owner":{"team":"t"}}})"));
  std::string owner;
  rig.client.answer = [&](const FakeClient::Call& call) -> Result<std::string> {
    if (call.verb == "get") {
      Json object = Json::parse(deployment("u1", "7"));
      if (!owner.empty())
        object["metadata"]["ownerReferences"] = {{{"apiVersion", "modelops.dev/v1alpha1"},
                                                  {"kind", "Model"},
                                                  {"name", "fraud"},
                                                  {"uid", owner},
                                                  {"controller", true}}};
      return object.dump();
    }
    return fail(Error{ErrorKind::Conflict,
                      "Operation cannot be fulfilled on deployments: the object has been modified",
                      409,
                      "Conflict",
                      {}});
  };
  SECTION("ours") {
    owner = "m1";
    for (int i = 0; i < 2; ++i) {
      CHECK(rig.run(apply_plan()).kind == Outcome::Kind::Conflict);
      REQUIRE(rig.executor.catch_up(kModel, {}));
    }
    CHECK(rig.stores.deployments.get(kDeployment.key)->meta.controller_uid == "m1");
    CHECK(rig.refusals.of(kModel).empty());
  }
  SECTION("somebody else's") {
    CHECK(rig.run(apply_plan()).kind == Outcome::Kind::Conflict);
    REQUIRE(rig.executor.catch_up(kModel, {}));
    CHECK(rig.run(apply_plan()).kind == Outcome::Kind::Refused);
    REQUIRE(rig.refusals.of(kModel).size() == 1);
    CHECK(rig.refusals.of(kModel)[0].error.message == "there is one already, which is not this Model's");
  }
}

// Somebody removed the owner reference. For a while the Deployment was refused for ever, as one that is not this Model's.
TEST_CASE("executor: an object of ours that lost its owner is taken back, without force") {
  Rig rig;
  rig.client.answer = [](const FakeClient::Call&) -> Result<std::string> {
    Json object = Json::parse(deployment("u1", "7"));
    object["metadata"]["annotations"]["modelops.dev/applied"] = "h1";
    return object.dump();
  };
  rig.run(apply_plan("u1"));
  REQUIRE(rig.stores.deployments.get(kDeployment.key)->meta.controller_uid.empty());
  REQUIRE(rig.run(apply_plan()).kind == Outcome::Kind::Done);
  const auto call = rig.client.calls().back();
  const Json meta = Json::parse(call.body)["metadata"];
  CHECK(meta["uid"] == "u1");
  CHECK_FALSE(meta.contains("resourceVersion"));
  CHECK_FALSE(call.force);
}

// A story: a Model was deleted with --cascade=orphan and made again. Its Deployments were taken over; its copies of ConfigMaps were refused for
// ever, as somebody else's, and all behind them waited.
TEST_CASE("executor: a copy of a ConfigMap that lost its owner is taken back, too") {
  Rig rig;
  const ObjectRef copy{Kind::ConfigMap, {"pay", "fraud-v1-0123456789"}};
  const auto stored = [](const char* annotation) {
    Json object = {{"metadata",
                    {{"name", "fraud-v1-0123456789"},
                     {"namespace", "pay"},
                     {"uid", "c1"},
                     {"resourceVersion", "7"},
                     {"labels", {{"modelops.dev/model", "fraud"}, {"modelops.dev/version", "fraud-v1"}}},
                     {"annotations", {{annotation, "settings"}}}}}};
    return object.dump();
  };
  Plan plan;
  plan.actions.push_back(Apply{copy, R"({"metadata":{"name":"fraud-v1-0123456789"}})", "", "h1", "keep it"});
  rig.client.answer = [&](const FakeClient::Call&) -> Result<std::string> { return stored("modelops.dev/copy-of"); };
  const auto body_of = [&] { return Json::parse(rig.client.calls().back().body)["metadata"]; };
  SECTION("ours") {
    rig.stores.configmaps.upsert(*api::parse<api::ConfigMap>(stored("modelops.dev/copy-of")));
    REQUIRE(rig.run(plan).kind == Outcome::Kind::Done);
    CHECK(body_of()["uid"] == "c1");
    CHECK_FALSE(rig.client.calls().back().force);
  }
  SECTION("somebody's of that name") {
    rig.stores.configmaps.upsert(*api::parse<api::ConfigMap>(stored("other")));
    rig.run(plan);
    CHECK_FALSE(body_of().contains("uid"));
  }
}

// Seen on a real API server: a wrong UID on an object that exists is 422, not 409.
TEST_CASE("executor: an object that was made again under the same name is a conflict, not a refusal") {
  Rig rig;
  rig.client.answer = [](const FakeClient::Call&) -> Result<std::string> {
    return fail(Error{
        ErrorKind::Invalid,
        R"(Deployment.apps "fraud-v1" is invalid: metadata.uid: Invalid value: "u1": field is immutable)",
        422,
        "Invalid",
        {}});
  };
  CHECK(rig.run(apply_plan("u1")).kind == Outcome::Kind::Conflict);
  Plan scale;
  scale.actions.push_back(Scale{kDeployment, "u1", 3, "more"});
  CHECK(rig.run(scale).kind == Outcome::Kind::Conflict);
  CHECK(rig.refusals.of(kModel).empty());
}

TEST_CASE("executor: a refusal is news once, and settled by an apply but not by a scale") {
  Rig rig;
  rig.fail_with(ErrorKind::Invalid, 422);
  CHECK(rig.run(apply_plan()).fresh_refusal);
  CHECK_FALSE(rig.run(apply_plan()).fresh_refusal);
  REQUIRE(rig.refusals.of(kModel).size() == 1);
  CHECK(rig.refusals.of(kModel)[0].body_hash == "h1");
  rig.client.answer = [](const FakeClient::Call&) -> Result<std::string> { return deployment("u1", "7"); };
  Plan scale;
  scale.actions.push_back(Scale{kDeployment, "u1", 3, "more"});
  rig.run(scale);
  CHECK(rig.refusals.of(kModel).size() == 1);
  rig.run(apply_plan());
  CHECK(rig.refusals.of(kModel).empty());
}

TEST_CASE(
    "executor: a body that the API server cannot even read is refused for good, although it answers 500") {
  Rig rig;
  rig.client.answer = [](const FakeClient::Call&) -> Result<std::string> {
    return fail(ErrorKind::ServerError,
                "failed to convert new object to proper version: unable to convert unstructured object to "
                "apps/v1, Kind=Deployment: "
                "quantities must match the regular expression");
  };
  const Outcome outcome = rig.executor.run(kModel, apply_plan(), TimePoint{}, {});
  CHECK(outcome.kind == Outcome::Kind::Refused);
  REQUIRE(rig.refusals.of(kModel).size() == 1);
  CHECK(rig.refusals.of(kModel)[0].error.kind == ErrorKind::Invalid);
}

// With the webhook of Jobs down nobody measured a canary, and nobody took an abort's traffic back.
TEST_CASE("executor: what a webhook keeps away is refused, and told, but for statuses") {
  Rig rig;
  rig.client.answer = [](const FakeClient::Call&) -> Result<std::string> {
    return fail(ErrorKind::ServerError, "Internal error occurred: failed calling webhook \"jobs.example\": connection refused");
  };
  CHECK(rig.run(apply_plan()).kind == Outcome::Kind::Refused);
  Plan removal;
  removal.actions.push_back(Delete{kDeployment, "u1", "not wanted"});
  CHECK(rig.run(removal).kind == Outcome::Kind::Refused);
  Plan status;
  status.actions.push_back(WriteStatus{{Kind::Model, kModel}, "m1", "11", "{}", ""});
  CHECK(rig.run(status).kind == Outcome::Kind::Retry);
}

TEST_CASE("executor: a delete that finds nothing is done, and the store forgets that object only") {
  Rig rig;
  rig.client.answer = [](const FakeClient::Call&) -> Result<std::string> { return deployment("u1", "7"); };
  rig.run(apply_plan());
  rig.fail_with(ErrorKind::NotFound, 404);
  Plan other;
  other.actions.push_back(Delete{kDeployment, "u0", "an older one"});
  CHECK(rig.run(other).kind == Outcome::Kind::Done);
  CHECK(rig.stores.deployments.get(kDeployment.key));
  Plan plan;
  plan.actions.push_back(Delete{kDeployment, "u1", "not wanted"});
  CHECK(rig.run(plan).kind == Outcome::Kind::Done);
  CHECK_FALSE(rig.stores.deployments.get(kDeployment.key));
}

TEST_CASE("executor: bodies carry their preconditions") {
  const Json scale = Json::parse(scale_body(Scale{kDeployment, "u1", 0, "", "8"}));
  CHECK(scale == Json::parse(R"({"metadata":{"uid":"u1","resourceVersion":"8"},"spec":{"replicas":0}})"));
  const Json apply = Json::parse(*apply_body(R"({"metadata":{"name":"fraud-v1"}})", "u1", "8", ""));
  CHECK(apply == Json::parse(R"({"metadata":{"name":"fraud-v1","uid":"u1","resourceVersion":"8"}})"));
  const Json status =
      Json::parse(status_body(WriteStatus{{Kind::Model, kModel}, "u2", "9", R"({"phase":"Ready"})", ""}));
  CHECK(status["metadata"]["uid"] == "u2");
  CHECK(status["metadata"]["resourceVersion"] == "9");
  CHECK(status["status"]["phase"] == "Ready");
  CHECK(status["kind"] == "Model");
  CHECK_FALSE(apply_body("[", "u", "1", "h"));
  CHECK_FALSE(apply_body("{}", "u", "1", "h"));
}

TEST_CASE("executor: writes nothing once it may not") {
  Rig rig;
  Executor fenced(rig.client, rig.stores, rig.ledger, rig.refusals, [] { return false; });
  CHECK(fenced.run(kModel, apply_plan(), TimePoint{}, {}).kind == Outcome::Kind::Cancelled);
  CHECK(rig.client.calls().empty());
}

TEST_CASE(
    "controller: an exception backs off and stops nobody else; refusals keep evidence coming; failures keep "
    "answers") {
  Rig rig;
  WorkQueue queue;
  AnswerBook answers;
  NoAsker asker;
  EventSender events(rig.client, "test");
  std::vector<std::string> outcomes;
  Meters meters;
  meters.reconciled = [&](std::string_view outcome, double) { outcomes.emplace_back(outcome); };
  Plan next;
  Controller controller({rig.stores, queue, rig.executor, rig.refusals, answers, asker, events,
                         [&](const ObjectKey& key, TimePoint) -> Plan {
                           if (key.name == "bad") throw std::runtime_error("bug");
                           return next;
                         },
                         meters});
  controller.work({"pay", "bad"}, TimePoint{}, {});
  next.asks.push_back(Ask{"q1", AskPrometheus{}});
  controller.work(kModel, TimePoint{}, {});
  controller.work(kModel, TimePoint{}, {});
  CHECK(asker.asked == std::vector<std::string>{"q1"});  // under way: not asked twice
  answers.put(kModel, "q1", Answer{});

  next = apply_plan();  // no longer asks: it has seen the answer
  rig.fail_with(ErrorKind::ServerError, 500);
  controller.work(kModel, TimePoint{}, {});
  CHECK(answers.of(kModel).count("q1") == 1);  // what was decided on it was not carried out
  rig.client.answer = [](const FakeClient::Call&) -> Result<std::string> { return deployment("u1", "7"); };
  controller.work(kModel, TimePoint{}, {});
  CHECK(answers.of(kModel).empty());
  CHECK(answers.size() == 0);
  CHECK(outcomes == std::vector<std::string>{"bug", "done", "done", "retry", "done"});
}

// A canary told nobody of one of its steps: its status was written, the next write of that plan met a conflict, and the next plan
// found the step recorded.
TEST_CASE("controller: what a written status records is told, whatever becomes of the actions after it") {
  Rig rig;
  WorkQueue queue;
  AnswerBook answers;
  NoAsker asker;
  EventSender events(rig.client, "test");
  const ObjectRef rollout{Kind::ModelRollout, {"pay", "fraud-v2"}};
  Plan next = apply_plan("u1");
  next.actions.insert(next.actions.begin(), WriteStatus{rollout, "r1", "7", R"({"phase":"Progressing"})", "started"});
  next.events = {{rollout, "r1", false, "RolloutStarted", "recorded"}, {{Kind::Model, kModel}, "m1", false, "Serving", "recorded nowhere"}};
  std::string refused;
  rig.client.answer = [&](const FakeClient::Call& call) -> Result<std::string> {
    if (call.verb == refused) return fail(Error{ErrorKind::Conflict, "no", 409, {}, {}});
    return R"({"metadata":{"name":"fraud-v2","namespace":"pay","uid":"r1","resourceVersion":"8"}})";
  };
  Controller controller({rig.stores, queue, rig.executor, rig.refusals, answers, asker, events, [&](const ObjectKey&, TimePoint) { return next; }, {}});
  const auto told = [&] {
    std::stop_source stop;
    stop.request_stop();  // what is queued is sent still
    const size_t before = rig.client.calls().size();
    events.run(stop.get_token());
    std::string reasons;
    const auto calls = rig.client.calls();
    for (size_t i = before; i < calls.size(); ++i) reasons += parse_json(calls[i].body, 1 << 20)->at("reason").get<std::string>() + " ";
    return reasons;
  };
  refused = "putstatus";
  controller.work(kModel, TimePoint{}, {});
  CHECK(told().empty());  // it may be decided otherwise
  refused = "apply";
  controller.work(kModel, TimePoint{}, {});
  CHECK(told() == "RolloutStarted ");
  next.actions.clear();
  next.events[0].reason = "GatePassed";
  controller.work(kModel, TimePoint{}, {});
  CHECK(told() == "GatePassed Serving ");

  SECTION("and so is what a status says whose write nobody answered, once it is read that it does") {
    const bool carried_out = GENERATE(true, false);
    next.actions = {WriteStatus{rollout, "r1", "8", R"({"phase":"Succeeded","weights":{"stable":0,"candidate":100}})", "done"}};
    next.events[0].reason = "RolloutSucceeded";
    rig.client.answer = [&](const FakeClient::Call& call) -> Result<std::string> {
      if (call.verb == "putstatus") return fail(Error{ErrorKind::Transport, "cut", 0, {}, {}});
      Json object = Json::parse(R"({"metadata":{"name":"fraud-v2","namespace":"pay","uid":"r1","resourceVersion":"9"}})");
      object["status"] = {{"weights", {{"candidate", 100}, {"stable", 0}}}, {"phase", carried_out ? "Succeeded" : "Progressing"}};
      return object.dump();
    };
    controller.work(kModel, TimePoint{}, {});
    CHECK(told().empty());
    next = {};
    controller.work(kModel, TimePoint{}, {});
    CHECK(told() == (carried_out ? "RolloutSucceeded " : ""));
    controller.work(kModel, TimePoint{}, {});
    CHECK(told().empty());  // once
  }
}

// The Deployment that an adopting Model gives back was read while its pods still went: each of twelve tries to scale it met a newer
// resourceVersion, for as long as that reading was kept, and its pods came back fifteen seconds late.
TEST_CASE("controller: after a conflict what objects said is read anew, and measurements stay") {
  Rig rig;
  WorkQueue queue;
  AnswerBook answers;
  NoAsker asker;
  EventSender events(rig.client, "test");
  Plan next;
  next.asks = {Ask{"read", AskAdopted{}}, Ask{"measured", AskPrometheus{}}};
  Controller controller({rig.stores, queue, rig.executor, rig.refusals, answers, asker, events, [&](const ObjectKey&, TimePoint) { return next; }, {}});
  controller.work(kModel, TimePoint{}, {});
  answers.put(kModel, "read", Answer{});
  answers.put(kModel, "measured", Answer{});
  const Plan asks = next;
  next = apply_plan("u1");
  rig.fail_with(ErrorKind::TooManyRequests, 429);
  controller.work(kModel, TimePoint{}, {});
  CHECK(answers.of(kModel).size() == 2);
  rig.fail_with(ErrorKind::Conflict, 409);
  controller.work(kModel, TimePoint{}, {});
  CHECK(answers.of(kModel).count("read") == 0);
  CHECK(answers.of(kModel).count("measured") == 1);
  next = asks;
  controller.work(kModel, TimePoint{}, {});
  CHECK(asker.asked == std::vector<std::string>{"read", "measured", "read"});
}

// 1,000 Models that start at once cost a status write for every pod that came up, until what only counts
// could wait.
TEST_CASE("executor: a status that only counts waits until the last one is old enough, and no other does") {
  Rig rig;
  rig.client.answer = [](const FakeClient::Call&) -> Result<std::string> {
    return R"({"metadata":{"name":"fraud","namespace":"pay","uid":"m1","resourceVersion":"8"}})";
  };
  const auto status = [](const std::string& uid, bool may_wait) {
    Plan plan;
    WriteStatus write{{Kind::Model, kModel}, uid, "7", R"({"readyReplicas":1})", "counts"};
    write.may_wait = may_wait;
    write.patience = kLongestPatience;
    plan.actions.push_back(write);
    return plan;
  };
  CHECK_FALSE(rig.run(status("m1", true)).held);  // nothing is known of the last
  REQUIRE(rig.client.calls().size() == 1);
  const Outcome second = rig.run(status("m1", true));
  CHECK(second.kind == Outcome::Kind::Done);
  REQUIRE(second.held);
  CHECK(*second.held <= kLongestPatience);
  CHECK(*second.held > kLongestPatience - 1min);
  CHECK(rig.client.calls().size() == 1);
  CHECK_FALSE(rig.run(status("m1", false)).held);
  CHECK_FALSE(rig.run(status("m2", true)).held);
  CHECK(rig.client.calls().size() == 3);
  // A rollout's words wait, too; the plan comes again when the first of both is due.
  Plan both = status("m2", true);
  WriteStatus words{{Kind::ModelRollout, {"pay", "fraud-v2-2"}}, "r1", "7", R"({"message":"1/2"})", "words"};
  both.actions.push_back(words);
  CHECK(rig.run(both).held);  // nobody has written its status yet
  CHECK(rig.client.calls().size() == 4);
  words.may_wait = true;
  both.actions.back() = words;
  const Outcome again = rig.run(both);
  REQUIRE(again.held);
  CHECK(*again.held <= words.patience);
  CHECK(rig.client.calls().size() == 4);
}

// A Service was once made for a Model that was gone: the watch of Services was the first to tell.
TEST_CASE("executor: what is made has an owner who is there") {
  Rig rig;
  const std::string model = R"({"metadata":{"name":"fraud","namespace":"pay","uid":"m1","resourceVersion":"5"},"spec":{}})";
  rig.stores.models.upsert(*api::parse<api::Model>(model));
  REQUIRE(rig.stores.models.get(kModel));
  bool gone = false;
  rig.client.answer = [&](const FakeClient::Call& call) -> Result<std::string> {
    if (call.verb != "get") return deployment("u1", "7");
    return gone ? fail(Error{ErrorKind::NotFound, "no", 404, {}, {}}) : Result<std::string>(model);
  };
  CHECK(rig.run(apply_plan()).kind == Outcome::Kind::Done);
  REQUIRE(rig.client.calls().size() == 2);
  CHECK((rig.client.calls()[0].verb == "get" && rig.client.calls()[1].verb == "apply"));
  CHECK(rig.run(apply_plan("u1")).kind == Outcome::Kind::Done);  // it has one
  CHECK(rig.client.calls().size() == 3);
  // It has changed since the plan was made: that may ask for something else.
  rig.stores.models.remove(kModel, "m1");
  rig.stores.models.upsert(*api::parse<api::Model>(R"({"metadata":{"name":"fraud","namespace":"pay","uid":"m1","resourceVersion":"4"},"spec":{}})"));
  CHECK(rig.run(apply_plan()).kind == Outcome::Kind::Conflict);
  CHECK(rig.client.calls().back().verb == "get");
  CHECK(rig.stores.models.get(kModel)->meta.resource_version == "5");
  CHECK(rig.run(apply_plan()).kind == Outcome::Kind::Done);
  gone = true;
  CHECK(rig.run(apply_plan()).kind == Outcome::Kind::Retry);
  CHECK(rig.client.calls().back().verb == "get");
  CHECK_FALSE(rig.stores.models.get(kModel));
}

TEST_CASE("executor: what is made once is made by POST, and is not made twice") {
  Rig rig;
  const ObjectRef rollout{Kind::ModelRollout, {"pay", "fraud-v2-2"}};
  rig.client.answer = [](const FakeClient::Call&) -> Result<std::string> {
    return R"({"metadata":{"name":"fraud-v2-2","namespace":"pay","uid":"r1","resourceVersion":"9"},"spec":{"modelRef":{"name":"fraud"},"version":"fraud-v2"}})";
  };
  Plan plan;
  plan.actions.push_back(Apply{rollout, R"({"metadata":{"name":"fraud-v2-2"}})", "", "h1", "spec asks for it"});
  CHECK(rig.run(plan).kind == Outcome::Kind::Done);
  CHECK(rig.client.calls()[0].verb == "post");
  CHECK(rig.stores.rollouts.get(rollout.key));
  rig.client.answer = [](const FakeClient::Call& call) -> Result<std::string> {
    if (call.verb == "get") return fail(Error{ErrorKind::NotFound, "no", 404, {}, {}});
    return fail(Error{ErrorKind::AlreadyExists, "modelrollouts \"fraud-v2-2\" already exists", 409, {}, {}});
  };
  const Outcome outcome = rig.run(plan);
  CHECK(outcome.kind == Outcome::Kind::Refused);  // its owner is nobody that is known
  CHECK(outcome.error->message == "there is one already, which is not this Model's");
}

// Found by exploring: stable was scaled down and the answer lost; with the old size still in the cache all
// traffic was turned to it when the rollout was aborted.
TEST_CASE("executor: what an unanswered write was about is read before the next plan") {
  Rig rig;
  rig.fail_with(ErrorKind::Transport, 0);
  REQUIRE(rig.run(apply_plan("u1")).kind == Outcome::Kind::Retry);
  CHECK_FALSE(rig.executor.catch_up(kModel, {}));
  rig.client.answer = [](const FakeClient::Call&) -> Result<std::string> { return deployment("u1", "7"); };
  const size_t before = rig.client.calls().size();
  REQUIRE(rig.executor.catch_up(kModel, {}));
  REQUIRE(rig.client.calls().size() == before + 1);
  CHECK(rig.client.calls().back().verb == "get");
  REQUIRE(rig.stores.deployments.get(kDeployment.key));
  REQUIRE(rig.executor.catch_up(kModel, {}));
  CHECK(rig.client.calls().size() == before + 1);  // once

  SECTION("and so is one whose answer was cut: with the old rollout in the cache its candidate was scaled down again") {
    rig.client.answer = [](const FakeClient::Call&) -> Result<std::string> { return deployment("u1", "8").substr(0, 20); };
    REQUIRE(rig.run(apply_plan("u1")).kind == Outcome::Kind::Retry);
    CHECK_FALSE(rig.executor.catch_up(kModel, {}));  // cut once more
    rig.client.answer = [](const FakeClient::Call&) -> Result<std::string> { return deployment("u1", "9"); };
    REQUIRE(rig.executor.catch_up(kModel, {}));
    CHECK(rig.stores.deployments.get(kDeployment.key)->meta.resource_version == "9");
  }
  // A mark that a person takes off an HTTPRoute means "try again": a refusal from before the write whose answer was lost said no at once.
  SECTION("and what was refused before it is refused no more") {
    rig.refusals.record(kModel, Refusal{kDeployment, Error{ErrorKind::Invalid, "no", 422, {}, {}}, "h", TimePoint{}});
    rig.fail_with(ErrorKind::Transport, 0);
    REQUIRE(rig.run(apply_plan("u1")).kind == Outcome::Kind::Retry);
    CHECK(rig.refusals.of(kModel).size() == 1);
    rig.client.answer = [](const FakeClient::Call&) -> Result<std::string> { return deployment("u1", "8"); };
    REQUIRE(rig.executor.catch_up(kModel, {}));
    CHECK(rig.refusals.of(kModel).empty());
  }
  SECTION("and is forgotten if it is gone") {
    rig.fail_with(ErrorKind::ServerError, 500);
    REQUIRE(rig.run(apply_plan("u1")).kind == Outcome::Kind::Retry);
    rig.fail_with(ErrorKind::NotFound, 404);
    REQUIRE(rig.executor.catch_up(kModel, {}));
    CHECK_FALSE(rig.stores.deployments.get(kDeployment.key));
  }
}
