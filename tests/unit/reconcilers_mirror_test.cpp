// What a registry of models is told of its versions, and the Jobs that tell it.
#include <catch2/catch.hpp>

#include "operator/api/statuses.h"
#include "reconcilers/training/mirror.h"
#include "tests/unit/reconcilers_make.h"

namespace mo::training {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using mo::test::kNow;
using std::chrono::minutes;

// Model m, whose versions m-v1 to m-v3 are versions 1 to 3 of the registered model fraud. What a look decides
// is there at the next.
struct Told : mo::test::Scene {
  Told() {
    model.retraining.emplace();
    api::Trigger trigger = mo::test::mlflow_trigger();
    trigger.mlflow->serving_alias = "serving";
    trigger.mlflow->secret = "mlflow";
    model.retraining->triggers = {trigger};
    for (const char* number : {"1", "2", "3"}) came_from(number, "https://mlflow.example", "fraud");
    now(kNow);
  }
  api::MlflowRegistry& registry() { return *model.retraining->triggers[0].mlflow; }
  api::MirrorStatus& status() { return model.status.retraining.mirror; }

  api::ModelVersion& edit(const std::string& name) {
    for (auto& v : o.versions)
      if (v->meta.key.name == name) {
        auto next = std::make_shared<api::ModelVersion>(*v);
        o.named[name] = v = next;
        return *next;
      }
    throw std::runtime_error(name);
  }
  void came_from(const std::string& number, const std::string& url, const std::string& name) {
    api::ModelVersion& v = edit("m-v" + number);
    v.meta.controller_uid = "uid-m";
    v.meta.created = kNow + minutes(std::stoi(number));
    v.lineage.registry = std::make_shared<const api::RegistryOrigin>(api::RegistryOrigin{url, name, number});
  }
  void phase(const std::string& name, const std::string& phase, const std::string& message = "",
             const std::string& failed = "") {
    api::ModelVersion& v = edit(name);
    v.phase = phase;
    v.message = message;
    v.failed_rollout = failed;
  }

  void now(TimePoint t) { now_ = t; }
  Mirrored look() {
    o.mirror_jobs.clear();
    for (const auto& [name, job] : jobs) o.mirror_jobs[name] = job;
    Mirrored out = mirror(observed(), serves, mo::test::kSettings, now_);
    status() = out.status;
    for (const Action& action : out.actions) {
      if (const auto* removal = std::get_if<Delete>(&action))
        jobs.erase(removal->target.key.name), deleted.push_back(removal->target.key.name);
      const auto* apply = std::get_if<Apply>(&action);
      if (!apply || jobs.count(apply->target.key.name)) continue;
      bodies[apply->target.key.name] = Json::parse(apply->body);
      made.push_back(apply->target.key.name);
      auto job = std::make_shared<api::Job>();
      job->meta = mo::test::meta(apply->target.key.name);
      job->meta.created = now_ + std::chrono::seconds(made.size());
      job->active = 1;
      jobs[job->meta.key.name] = job;
    }
    return out;
  }
  void finish() {
    jobs.at(made.back())->complete = true;
    look();
  }
  // Words of the last Job, by version.
  std::map<std::string, Json> words() {
    std::map<std::string, Json> found;
    for (const Json& arg : bodies.at(made.back())["spec"]["template"]["spec"]["containers"][0]["args"]) {
      const std::string text = arg;
      if (!text.starts_with("--state=")) continue;
      const Json state = Json::parse(text.substr(8));
      found[state["version"].get<std::string>()] = state;
    }
    return found;
  }

  Serves serves;
  std::map<std::string, std::shared_ptr<api::Job>> jobs;
  std::map<std::string, Json> bodies;
  std::vector<std::string> made, deleted;

 private:
  TimePoint now_;
};

TEST_CASE("a Job of our image tells MLflow once what serves, and each change of that") {
  Told t;
  t.look();
  CHECK(t.made.empty());  // nothing of it serves yet
  t.serves.stable = "m-v1";
  t.phase("m-v1", "Candidate");
  t.look();
  REQUIRE(t.made.size() == 1);
  const Json job = t.bodies[t.made[0]];
  CHECK_THAT(t.made[0], StartsWith("m-mirror-"));
  CHECK(job["metadata"]["labels"]["modelops.dev/mirror-of"] == "uid-m");
  CHECK(job["metadata"]["ownerReferences"][0]["uid"] == "uid-m");
  const Json pod = job["spec"]["template"]["spec"], container = pod["containers"][0];
  CHECK(container["image"] == mo::test::kSettings.fetch_image);
  CHECK(pod["automountServiceAccountToken"] == false);
  CHECK(pod["volumes"] ==
        Json::array({{{"name", "credentials"}, {"secret", {{"secretName", "mlflow"}, {"optional", true}}}}}));
  CHECK(job["spec"]["activeDeadlineSeconds"] == 600);
  CHECK(t.words() == std::map<std::string, Json>{{"1",
                                                  {{"version", "1"},
                                                   {"modelVersion", "ns/m-v1"},
                                                   {"state", "Serving"},
                                                   {"reason", "serves Model ns/m"}}}});
  for (int i = 0; i < 3; ++i) t.look();
  CHECK(t.made.size() == 1);
  t.finish();
  CHECK(t.status().written == 1);
  CHECK(t.status().job.empty());
  for (const char* phase : {"Candidate", "Registered"}) {  // what is on its way is no news
    t.phase("m-v2", phase);
    t.look();
  }
  CHECK(t.made.size() == 1);
  t.serves.stable = "m-v2";
  t.phase("m-v1", "Serving");  // until the next plan
  t.look();
  CHECK(t.made.size() == 2);
  CHECK(t.words()["1"]["state"] == "Superseded");
  CHECK(t.words()["1"]["reason"] == "replaced by ns/m-v2");
  CHECK(t.words()["2"]["state"] == "Serving");
  t.finish();
  t.phase("m-v1", "Superseded", "replaced by m-v2");
  t.look();
  CHECK(t.made.size() == 2);
}

TEST_CASE("MLflow learns which version was rolled back, and why, and keeps that") {
  Told t;
  t.serves.stable = "m-v1";
  t.look();
  t.finish();
  t.phase("m-v2", "Rejected", "gate accuracy failed: 0.8 < 0.9", "m-v2-2");
  t.phase("m-v3", "Rejected", "good failed");
  t.look();
  CHECK(t.words()["2"]["state"] == "RolledBack");
  CHECK(t.words()["2"]["reason"] == "gate accuracy failed: 0.8 < 0.9");
  CHECK(t.words()["3"]["state"] == "Rejected");
  t.finish();
  t.phase("m-v2", "Candidate");  // tried again
  t.look();
  CHECK(t.made.size() == 2);
  CHECK(t.status().versions.size() == 3);
  t.serves.stable = "m-v2";
  t.look();
  CHECK(t.words()["2"]["state"] == "Serving");
}

TEST_CASE(
    "a version from which a monitor went back was rolled back, for as long as it does not serve again") {
  Told t;
  t.serves.stable = "m-v2";
  t.look();
  t.finish();
  api::MonitorStatus drift;
  drift.name = "drift";
  drift.rollback = "back";
  drift.message = "0.9 > 0.5 for 5m";
  t.model.status.monitors = {drift};
  t.rollout("back", "m-v1", "monitor");
  t.serves = {"m-v1", "back"};
  t.phase("m-v2", "Serving");
  t.look();
  CHECK(t.words()["2"]["state"] == "RolledBack");
  CHECK(t.words()["2"]["reason"] == "monitor drift was breached: 0.9 > 0.5 for 5m");
  t.finish();
  t.o.rollouts.clear();  // history
  t.model.status.monitors.clear();
  t.phase("m-v2", "Superseded", "replaced by m-v1");
  t.look();
  CHECK(t.made.size() == 2);
  t.serves = {"m-v2", ""};
  t.look();
  t.finish();
  t.serves = {"m-v1", ""};
  t.look();
  CHECK(t.words()["2"]["state"] == "Superseded");
}

TEST_CASE("only versions that the operator imported from this registered model are told of") {
  Told t;
  t.serves.stable = "m-v1";
  t.came_from("1", "https://other.example", "fraud");
  t.came_from("2", "https://mlflow.example", "churn");
  t.edit("m-v3").meta.controller_uid.clear();  // somebody wrote it
  for (const char* name : {"m-v1", "m-v2", "m-v3"}) t.phase(name, "Superseded");
  t.look();
  CHECK(t.made.empty());
  CHECK(api::to_json(t.status()).is_null());
  t.came_from("3", "https://mlflow.example/", "fraud");
  t.look();
  CHECK(t.words().size() == 1);
  CHECK(t.words()["3"]["state"] == "Superseded");
}

TEST_CASE("when something else serves, the registry learns that none of it does") {
  Told t;
  t.serves.stable = "m-v1";
  t.look();
  t.finish();
  t.version("m-v4");
  t.serves.stable = "m-v4";
  t.look();
  CHECK(t.made.size() == 2);
  CHECK(t.words()["1"]["state"] == "Superseded");
  t.finish();
  t.serves.stable = "m-v1";
  t.look();
  t.finish();
  t.serves = {.retired = true};
  t.model.status.stable_version = "m-v1";
  t.look();
  CHECK(t.words()["1"]["state"] == "Retired");
}

TEST_CASE("a Job that fails is said with its words and made again, later each time") {
  Told t;
  t.serves.stable = "m-v1";
  t.look();
  TimePoint now = kNow;
  Duration before(0);
  for (int i = 1; i <= 8; ++i) {
    const std::string name = t.made.back();
    t.jobs.at(name)->failed = true;
    t.jobs.at(name)->failure_message = "BackoffLimitExceeded";
    Mirrored out = t.look();
    REQUIRE(out.asks.size() == 1);
    CHECK(out.events.empty());
    Answer words;
    words.text = "https://mlflow.example: cannot reach it";
    t.o.answers[out.asks[0].id] = words;
    out = t.look();
    CHECK(t.status().message ==
          "Job " + name + " failed: BackoffLimitExceeded: https://mlflow.example: cannot reach it");
    REQUIRE(out.events.size() == 1);
    CHECK(out.events[0].reason == "MirrorFailed");
    CHECK(out.events[0].warning);
    const Duration wait = *t.status().retry_at - now;
    CHECK(wait >= before);
    CHECK(wait <= minutes(30));
    CHECK(out.look_again == t.status().retry_at);
    before = wait;
    CHECK(t.look().events.empty());
    t.now(now = *t.status().retry_at);
    t.look();
    CHECK(t.made.size() == static_cast<size_t>(i + 1));
    CHECK(t.made.back() != name);
  }
  CHECK(before == minutes(30));
  CHECK(t.jobs.size() == kMirrorJobsKept + 1);  // and the one that runs
  // What is new is told at once.
  t.jobs.at(t.made.back())->failed = true;
  Answer none;
  none.problem = "its pods are gone";
  t.o.answers["mirror/" + t.jobs.at(t.made.back())->meta.uid] = none;
  t.look();
  t.serves.stable = "m-v2";
  t.phase("m-v1", "Superseded");
  t.look();
  CHECK(t.words()["2"]["state"] == "Serving");
  const Mirrored done = (t.jobs.at(t.made.back())->complete = true, t.look());
  CHECK(t.status().message.empty());
  CHECK(t.status().written == t.status().change);
  REQUIRE(done.events.size() == 1);
  CHECK(done.events[0].note ==
        "wrote to MLflow what serves: alias serving of registered model fraud names version 2");
}

TEST_CASE("one Job at a time writes, and the newest in the end") {
  Told t;
  t.serves.stable = "m-v1";
  t.look();
  t.serves.stable = "m-v2";
  t.phase("m-v1", "Superseded");
  t.look();
  CHECK(t.made.size() == 1);
  t.finish();
  CHECK(t.made.size() == 2);
  CHECK(t.words()["2"]["state"] == "Serving");
  t.finish();
  CHECK(t.status().written == t.status().change);
}

TEST_CASE("a Job that cannot be made is said, and its name stays the same") {
  Told t;
  t.serves.stable = "m-v1";
  t.look();
  t.jobs.clear();
  const Mirrored again = t.look();
  CHECK(t.made[0] == t.made[1]);
  const auto& apply = std::get<Apply>(again.actions[0]);
  t.o.refusals.push_back(
      {apply.target, Error{ErrorKind::Forbidden, "exceeded quota", 403, {}, {}}, apply.hash});
  t.jobs.clear();
  t.look();
  CHECK_THAT(t.status().message, Contains("cannot be created: exceeded quota"));
}

TEST_CASE("another alias or registered model is told anew, and without a mirror nothing is kept") {
  Told t;
  t.serves.stable = "m-v1";
  t.look();
  t.finish();
  t.registry().serving_alias = "live";
  t.look();
  CHECK(t.made.size() == 2);
  CHECK(t.made[0] != t.made[1]);
  t.registry().serving_alias.clear();
  t.look();
  CHECK(t.deleted.size() == 2);  // the one that is over, too: a mirror that is declared again begins anew
  CHECK(api::to_json(t.status()).is_null());
}

TEST_CASE("what is told is bounded, and what is pruned is no news") {
  Told t;
  for (int i = 4; i <= 20; ++i) {
    t.version("m-v" + std::to_string(i));
    t.came_from(std::to_string(i), "https://mlflow.example", "fraud");
    t.phase("m-v" + std::to_string(i), "Rejected", std::string(2000, 'x'), "r");
  }
  t.serves.stable = "m-v1";
  t.look();
  const auto words = t.words();
  CHECK(words.size() == kMostMirrored);
  CHECK(words.count("1") == 1);
  CHECK(words.count("20") == 1);
  CHECK(words.at("20")["reason"].get<std::string>().size() == 256);
  t.finish();
  const auto remove = [&](int number) {
    std::erase_if(t.o.versions,
                  [&](const auto& v) { return v->meta.key.name == "m-v" + std::to_string(number); });
  };
  for (int i = 2; i <= 11; ++i) remove(i);
  t.look();
  remove(20);
  t.look();
  CHECK(t.made.size() == 1);
  CHECK(t.status().versions.size() == kMostMirrored - 1);
}

}  // namespace
}  // namespace mo::training
