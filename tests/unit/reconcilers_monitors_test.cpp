// Monitors as tables: measurements in, states out; and where a Model goes back to.
#include <catch2/catch.hpp>
#include <set>

#include "reconcilers/monitors/monitors.h"
#include "tests/unit/reconcilers_make.h"

namespace mo::monitors {
namespace {

using State = api::MonitorStatus::State;
using measure::Measured;
using test::kNow;

api::Monitor monitor(int bad_for, int recover_after) {
  api::Monitor m;
  m.figure.name = "drift";
  m.figure.prometheus_query = "drift{v=\"{{stable}}\"}";
  m.figure.max = Decimal::parse("0.2");
  m.figure.interval = std::chrono::seconds(30);
  m.bad_for = std::chrono::seconds(bad_for);
  m.recover_after = std::chrono::seconds(recover_after);
  return m;
}

// 'g'ood, 'b'ad, '-' no data, a measurement each 30 s; out come the states, a letter each: O, P, B, N.
std::string states(const api::Monitor& m, const std::string& measurements) {
  std::string out;
  api::MonitorStatus s;
  TimePoint at = kNow;
  for (const char c : measurements) {
    using Verdict = Measured::Verdict;
    const Measured measured = c == 'g'   ? Measured{Verdict::Good, "0.1", ""}
                              : c == 'b' ? Measured{Verdict::Bad, "0.3", "0.3 is above max 0.2"}
                                         : Measured{Verdict::None, "", "no data"};
    s = take_in(m, s, measured, at);
    CHECK(take_in(m, s, measured, at) == s);  // the same answer again changes nothing
    out += s.state == State::Ok ? 'O' : s.state == State::Pending ? 'P' : s.state == State::Breached ? 'B' : 'N';
    at += m.figure.interval;
  }
  return out;
}

TEST_CASE("a monitor's state follows its measurements") {
  struct Row {
    int bad_for, recover_after;
    const char *measured, *states;
  };
  const Row rows[] = {
      {0, 0, "gbg", "OBO"},
      {60, 0, "gbbb", "OPPB"},
      {60, 0, "gbbgbbb", "OPPOPPB"},       // a little good in between starts anew
      {60, 0, "gbb-bbb", "OPPNPPB"},       // and so does no data: nobody knows
      {0, 60, "bggg", "BBBO"},             // good for a minute
      {0, 60, "bggbggg", "BBBBBBO"},       // without a break
      {0, 60, "bgg-ggg", "BBBBBBO"},       // no data is no good news
      {0, 0, "--", "NN"},                  // and no bad news
      {0, 0, "b---", "BBBB"},              // a breach stays until a figure says otherwise
  };
  for (const Row& row : rows) {
    INFO(row.measured << " for " << row.bad_for << " s, recovering after " << row.recover_after << " s");
    CHECK(states(monitor(row.bad_for, row.recover_after), row.measured) == row.states);
  }
}

TEST_CASE("a figure that stays as it is is written every ten minutes alone") {
  const api::Monitor m = monitor(0, 0);
  api::MonitorStatus s = take_in(m, {}, {Measured::Verdict::Good, "0.11", ""}, kNow);
  CHECK(s.value == "0.11");
  const api::MonitorStatus soon = take_in(m, s, {Measured::Verdict::Good, "0.12", ""}, kNow + std::chrono::minutes(9));
  CHECK(soon == s);
  const api::MonitorStatus late = take_in(m, s, {Measured::Verdict::Good, "0.12", ""}, kNow + std::chrono::minutes(10));
  CHECK(late.value == "0.12");
  CHECK(late.last_checked == kNow + std::chrono::minutes(10));
  CHECK(late.since == s.since);
}

struct Scene : test::Scene {
  Scene() {
    serving("m-v1");
    model.monitors = {monitor(0, 0)};
    model.retraining.emplace();
  }
  // One look, with that answer to what is asked.
  Decision look(const char* value, TimePoint at) {
    for (const Ask& ask : watch(observed(), "m-v1", at).asks) o.answers[ask.id] = {at, {Decimal::parse(value), ""}, {}, {}, {}, {}};
    Decision decision = watch(observed(), "m-v1", at);
    model.status.monitors = decision.status;
    return decision;
  }
};

TEST_CASE("a monitor asks once for each interval") {
  Scene s;
  const Decision first = watch(s.observed(), "m-v1", kNow);
  REQUIRE(first.asks.size() == 1);
  CHECK(std::get<AskPrometheus>(first.asks[0].question).query == "drift{v=\"m-v1\"}");
  REQUIRE(first.look_again);
  CHECK(*first.look_again > kNow);
  CHECK(*first.look_again <= kNow + std::chrono::seconds(30));
  CHECK(watch(s.observed(), "m-v1", *first.look_again - Duration(1)).asks[0].id == first.asks[0].id);
  CHECK(watch(s.observed(), "m-v1", *first.look_again).asks[0].id != first.asks[0].id);
}

// When it looks again, of a Model of that UID with two monitors.
std::set<TimePoint> moments_of(const std::string& uid, const std::string& ns) {
  Scene s;
  s.model.meta.uid = uid;
  s.model.monitors.push_back(monitor(0, 0));
  s.model.monitors.back().figure.name = "errors";
  std::set<TimePoint> moments;
  for (const api::Monitor& one : std::vector<api::Monitor>(s.model.monitors)) {
    s.model.monitors = {one};
    Observed observed = s.observed();
    observed.key.ns = ns;
    moments.insert(*watch(observed, "m-v1", kNow).look_again);
  }
  return moments;
}

TEST_CASE("all monitors of a Model are asked for at once, with some others of its namespace, and namespaces apart") {
  std::set<TimePoint> of_one, of_all;
  for (int model = 0; model < 200; ++model) {
    const auto moments = moments_of("uid-" + std::to_string(model), "ns");
    CHECK(moments.size() == 1);
    of_one.insert(moments.begin(), moments.end());
  }
  CHECK(of_one.size() == 8);
  for (int ns = 0; ns < 50; ++ns) of_all.merge(moments_of("uid-1", "ns" + std::to_string(ns)));
  CHECK(of_all.size() > 40);
}

TEST_CASE("without a version that serves nothing is asked") {
  Scene s;
  const Decision d = watch(s.observed(), "", kNow);
  CHECK(d.asks.empty());
  CHECK(d.status[0].state == State::NoData);
  CHECK(health_of(d.status).reason == "NoData");
}

TEST_CASE("a breach is told once, and asks for training as often as attempts says") {
  Scene s;
  s.model.monitors[0].retrain = true;
  s.model.retraining->attempts = 2;
  const Decision first = s.look("0.3", kNow);
  REQUIRE(first.events.size() == 1);
  CHECK(first.events[0].reason == "MonitorBreached");
  CHECK(first.retrain == std::vector<std::string>{"drift"});
  CHECK(health_of(first.status).reason == "MonitorBreached");
  s.model.status.monitors[0].attempts = 2;
  const Decision after = s.look("0.3", kNow + std::chrono::minutes(1));
  CHECK(after.events.empty());
  CHECK(after.retrain.empty());
  CHECK(after.status[0].message == "0.3 is above max 0.2; 2 training runs did not mend it, so it starts no more until it has recovered");
  CHECK(watch(s.observed(), "m-v1", kNow + std::chrono::minutes(1)).status == after.status);
  const Decision good = s.look("0.1", kNow + std::chrono::minutes(2));
  CHECK(good.status[0].attempts == 0);
  CHECK(health_of(good.status).healthy);
}

struct ByJob : Scene {
  ByJob() {
    api::Gate& figure = model.monitors[0].figure;
    figure.prometheus_query.reset();
    figure.job = api::Gate::Job{R"({"spec": {"template": {"spec": {"containers": [{"name": "m", "image": "m:1"}]}}}})", "psi"};
    figure.interval = std::chrono::hours(6);
  }
  Decision look(TimePoint at, const std::string& stable = "m-v1") {
    Decision decision = watch(observed(), stable, at);
    model.status.monitors = decision.status;
    return decision;
  }
  // The Job on record, as far as it got.
  api::Job& job(bool complete, const std::string& of = "") {
    auto found = std::make_shared<api::Job>();
    found->meta = test::meta(of.empty() ? model.status.monitors[0].job : of);
    found->model = "m";
    found->gate = "drift";
    found->gate_of = model.meta.uid;
    found->complete = complete;
    o.jobs[found->meta.key.name] = found;
    return *found;
  }
  void answer(const Decision& d, const std::string& psi, TimePoint at) {
    Answer answer;
    answer.at = at;
    answer.text = R"({"apiVersion": "modelops.dev/v1alpha1", "kind": "RunResult", "metrics": {"psi": ")" + psi + "\"}}";
    o.answers[d.asks.at(0).id] = answer;
  }
};

std::string made(const std::vector<Action>& actions) {
  std::string names;
  for (const Action& action : actions)
    if (const auto* apply = std::get_if<Apply>(&action)) names += apply->target.key.name;
  return names;
}

TEST_CASE("a monitor by Jobs: its name is on record first, its result counts once, the next waits for its time") {
  ByJob s;
  const Decision first = s.look(kNow);
  const std::string job = first.status[0].job;
  CHECK((!job.empty() && made(first.jobs) == job && first.actions.empty() && first.asks.empty()));
  CHECK(made(s.look(kNow + std::chrono::seconds(5)).jobs) == job);  // until it is there
  const auto body = parse_json(std::get<Apply>(first.jobs[0]).body, 1 << 20);
  REQUIRE(body);
  CHECK((*body)["metadata"]["labels"]["modelops.dev/gate-of"] == s.model.meta.uid);
  CHECK((*body)["spec"]["activeDeadlineSeconds"] == 3600);
  CHECK(body->dump().find(R"({"name":"MODELOPS_VERSION","value":"m-v1"})") != std::string::npos);

  s.job(false);
  CHECK((s.look(kNow + std::chrono::hours(7)).jobs.empty() && s.model.status.monitors[0].job == job));  // however long it takes
  s.job(true);
  const TimePoint done = kNow + std::chrono::hours(7);
  const Decision asks = s.look(done);
  REQUIRE(asks.asks.size() == 1);
  s.answer(asks, "0.3", done);
  const Decision taken = s.look(done);
  CHECK((taken.status[0].state == State::Breached && taken.status[0].value == "0.3" && taken.status[0].job_done));
  CHECK(taken.asks.empty());
  const Decision next = s.look(done);  // it is due long since
  CHECK((next.status[0].job != job && !next.status[0].job_done && next.status[0].state == State::Breached));
  CHECK(made(next.jobs) == next.status[0].job);
}

TEST_CASE("a monitor by Jobs waits for its next time, and begins anew on another version") {
  ByJob s;
  s.look(kNow);
  s.job(true);
  s.answer(s.look(kNow), "0.1", kNow);
  const Decision good = s.look(kNow);
  CHECK(good.status[0].state == State::Ok);
  CHECK(good.look_again == kNow + std::chrono::hours(6));
  CHECK(s.look(kNow + std::chrono::hours(5)).jobs.empty());
  const Decision other = s.look(kNow + std::chrono::hours(5), "m-v2");
  CHECK((other.status[0].version == "m-v2" && other.status[0].state == State::NoData && made(other.jobs) == other.status[0].job));
}

TEST_CASE("a monitor's Job that fails, is another's, or cannot be made is no data, and says why") {
  ByJob s;
  s.look(kNow);
  api::Job& failed = s.job(false);
  failed.failed = true;
  failed.failure_message = "DeadlineExceeded";
  const Decision asks = s.look(kNow);
  Answer none;
  none.at = kNow;
  none.problem = "no pod said anything";
  s.o.answers[asks.asks.at(0).id] = none;
  const Decision taken = s.look(kNow);
  CHECK((taken.status[0].state == State::NoData && taken.status[0].job_done));
  CHECK(taken.status[0].message.find("failed: DeadlineExceeded") != std::string::npos);

  ByJob other;
  other.look(kNow);
  other.job(true).gate_of = "somebody";
  CHECK(other.look(kNow).status[0].message.find("is not the operator's") != std::string::npos);

  ByJob refused;
  const Decision wanted = refused.look(kNow);
  Refusal refusal;
  refusal.body_hash = std::get<Apply>(wanted.jobs[0]).hash;
  refusal.target = {Kind::Job, {"ns", refused.model.status.monitors[0].job}};
  refusal.error.message = "exceeded quota";
  refused.o.refusals = {refusal};
  CHECK(refused.look(kNow).status[0].message.find("cannot be made: exceeded quota") != std::string::npos);

  ByJob unreadable;
  unreadable.model.monitors[0].figure.job->job_template = R"({"spec": {"template": {"metadata": {"labels": {"modelops.dev/model": "x"}}}}})";
  const Decision told = unreadable.look(kNow);
  CHECK((told.jobs.empty() && told.status[0].state == State::NoData && told.status[0].message.starts_with("job.template")));
}

TEST_CASE("Jobs of monitors that are gone or measure otherwise are removed, and of others the last three stay") {
  ByJob s;
  s.look(kNow);
  s.job(false);
  for (int i = 0; i < 5; ++i) s.job(true, "old-" + std::to_string(i)).meta.created = kNow - std::chrono::hours(i);
  s.job(false, "stray").gate = "gone";
  std::string removed;
  for (const Action& action : s.look(kNow).jobs) removed += std::get<Delete>(action).target.key.name + " ";
  CHECK(removed == "old-3 old-4 stray ");
}

TEST_CASE("another version is measured anew, and the attempts of training count on") {
  Scene s;
  s.look("0.3", kNow);
  s.model.status.monitors[0].attempts = 1;
  const Decision d = watch(s.observed(), "m-v2", kNow + std::chrono::minutes(1));
  CHECK(d.status[0].state == State::NoData);
  CHECK(d.status[0].version == "m-v2");
  CHECK(d.status[0].attempts == 1);
}

api::ModelRollout& promoted(test::Scene& s, const std::string& name, const std::string& from, const std::string& to, int minute) {
  api::ModelRollout& r = s.rollout(name, to);
  r.status.phase = "Succeeded";
  r.status.from_version = from;
  r.status.started = r.status.finished = kNow + std::chrono::minutes(minute);
  return r;
}

TEST_CASE("a breach takes the Model back once, to the version before") {
  Scene s;
  s.model.monitors[0].roll_back = true;
  s.serving("m-v2");
  promoted(s, "r2", "m-v1", "m-v2", -60);
  const auto look = [&](TimePoint at) {
    for (const Ask& ask : watch(s.observed(), "m-v2", at).asks) s.o.answers[ask.id] = {at, {Decimal::parse("0.3"), ""}, {}, {}, {}, {}};
    Decision d = watch(s.observed(), "m-v2", at);
    s.model.status.monitors = d.status;
    return d;
  };
  const Decision first = look(kNow);
  REQUIRE(first.actions.size() == 1);
  const Apply& made = std::get<Apply>(first.actions[0]);
  const Json body = Json::parse(made.body);
  CHECK(body["spec"]["version"] == "m-v1");
  CHECK(body["spec"]["desiredState"] == "Promoted");
  CHECK(first.status[0].rollback == made.target.key.name);
  CHECK(std::get<Apply>(look(kNow).actions.at(0)).body == made.body);  // lost in a crash, and made again
  s.rollout(made.target.key.name, "m-v1", "monitor");
  CHECK(look(kNow).actions.empty());
  CHECK(s.model.status.monitors[0].rollback_made);
  s.o.rollouts.pop_back();  // somebody deleted it
  CHECK(look(kNow + std::chrono::minutes(1)).actions.empty());
}

TEST_CASE("a breach of the first version has no way back, and says so") {
  Scene s;
  s.model.monitors[0].roll_back = true;
  const Decision d = s.look("0.3", kNow);
  CHECK(d.actions.empty());
  CHECK(d.status[0].message == "0.3 is above max 0.2; there is no earlier version to go back to");
}

}  // namespace
TEST_CASE("monitors of ModelPolicies are watched beside the Model's own, whatever these are called") {
  Scene s;
  const auto policy = [&](const std::string& name, bool enforced) {
    auto p = std::make_shared<api::ModelPolicy>();
    p->meta.key.name = name;
    p->enforced = enforced;
    p->monitors = {s.model.monitors[0]};
    p->monitors[0].hold = true;
    return p;
  };
  const std::string own = s.model.monitors[0].figure.name;
  s.o.policies = {policy("high", true), policy("warns", false)};
  const Decision first = s.look("0.1", kNow);
  REQUIRE(first.status.size() == 3);
  CHECK((first.status[0].name == own && first.status[0].policy.empty()));
  CHECK((first.status[1].name == "high/" + own && first.status[1].policy == "high"));
  CHECK(to_json(first.status)[1]["policy"] == "high");
  CHECK(first.asks.size() == 3);
  CHECK(first.asks[1].id != first.asks[0].id);
  for (api::MonitorStatus& status : s.model.status.monitors) status.state = api::MonitorStatus::State::Breached;
  CHECK(watch(s.observed(), "m-v1", kNow + std::chrono::minutes(1)).hold.find("high/" + own) != std::string::npos);
  s.o.policies = {policy("warns", false)};
  CHECK(watch(s.observed(), "m-v1", kNow + std::chrono::minutes(1)).hold.empty());
}

}  // namespace mo::monitors
