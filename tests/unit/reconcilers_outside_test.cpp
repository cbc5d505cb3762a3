// Triggers that look outside of the cluster: when they ask, what starts a run, and runs that import.
#include <catch2/catch.hpp>

#include "reconcilers/training/import.h"
#include "reconcilers/training/trials.h"
#include "reconcilers/training/triggers.h"
#include "tests/unit/reconcilers_training_make.h"

namespace mo::training {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using namespace test;
using Catch::Matchers::Contains;

api::Trigger data(const std::string& name = "data") {
  api::Trigger trigger;
  trigger.name = name;
  trigger.http = api::HttpDataset{"https://data.example/" + name, minutes(5)};
  return trigger;
}
api::Trigger tag() {
  api::Trigger trigger;
  trigger.name = "tag";
  trigger.oci = api::OciDataset{"registry.example/data:latest", minutes(5)};
  return trigger;
}
api::Trigger champion() {
  api::Trigger trigger = mo::test::mlflow_trigger();
  trigger.mlflow->folder = "imported";
  return trigger;
}

// Answers like the book of answers: what is asked no more is forgotten.
struct Watched : Trained {
  Watched(std::vector<api::Trigger> triggers, bool trains = true) {
    spec().requested_at.reset();
    spec().triggers = std::move(triggers);
    if (!trains) spec().job_template.clear();
  }
  std::map<std::string, std::string> outside;  // by address; absent: it is away
  std::vector<std::string> asked;

  Planned around(Duration later = Duration(0)) {
    Planned planned = settle(later);
    std::set<std::string> wanted;
    for (const Ask& ask : planned.asks) wanted.insert(ask.id);
    std::erase_if(o.answers, [&](const auto& entry) { return !wanted.count(entry.first); });
    for (const Ask& ask : planned.asks) {
      const auto* question = std::get_if<AskOutside>(&ask.question);
      if (!question || o.answers.count(ask.id)) continue;
      asked.push_back(question->address);
      Answer answer;
      answer.at = kNow + later;
      const auto there = outside.find(question->address);
      if (there != outside.end())
        answer.text = there->second;
      else
        answer.problem = "cannot reach it";
      o.answers[ask.id] = answer;
    }
    return settle(later);
  }
  void train(const std::string& name, char bits = '1') { end(name + "-train", result_of("{}", bits)); }
};

TEST_CASE("the first look at data only takes note of it, a change starts one run, and so does the way back") {
  for (const api::Trigger& trigger : {data(), tag()}) {
    Watched w({trigger});
    const std::string address = trigger.http ? trigger.http->url : trigger.oci->reference;
    w.outside[address] = "one";
    w.around();
    CHECK_FALSE(w.status().run);
    CHECK(w.status().datasets == std::map<std::string, std::string>{{trigger.name, "one"}});
    w.around(minutes(5));
    CHECK_FALSE(w.status().run);
    CHECK(w.asked.size() == 2);
    w.outside[address] = "two";
    w.around(minutes(10));
    REQUIRE(w.status().run);
    CHECK(w.run().trigger == trigger.name);
    CHECK(w.run().trigger_kind == "Dataset");
    w.outside[address] = "one";  // while it is under way
    w.around(minutes(15));
    w.train("m-run-000001");
    w.around(minutes(15));
    REQUIRE(w.status().run);
    CHECK(w.status().run->name == "m-run-000002");
    w.train("m-run-000002", '2');
    w.around(minutes(16));
    CHECK_FALSE(w.status().run);
    CHECK(w.status().run_number == 2);
  }
}

TEST_CASE("a Model without a version trains its first from the data that is there") {
  Watched w({data()});
  w.model.version.reset();
  w.model.artifact.reset();
  w.model.status.stable_version.clear();
  w.outside["https://data.example/data"] = "one";
  w.around();
  CHECK(w.status().run);
}

TEST_CASE("what is away is told and starts nothing, and a change that was missed starts one run afterwards") {
  Watched w({data()});
  w.outside["https://data.example/data"] = "one";
  w.around();
  w.outside.clear();
  w.around(minutes(5));
  CHECK(w.status().suppressed == "trigger data: cannot reach it");
  // Not for a moment does status forget it while the next answer is on its way.
  CHECK(w.settle(minutes(10)).status.suppressed == "trigger data: cannot reach it");
  w.around(minutes(10));
  CHECK_FALSE(w.status().run);
  w.outside["https://data.example/data"] = "two";
  w.around(minutes(15));
  CHECK(w.status().run);
  CHECK(w.status().suppressed.empty());
}

TEST_CASE("each is asked once in its span, at a moment of its own, and again soon after it could not be read") {
  Watched w({data("a"), data("b")});
  w.outside["https://data.example/a"] = "one";
  Planned planned = w.around();
  CHECK(*planned.look_again <= kNow + seconds(30));  // b is away
  w.outside["https://data.example/b"] = "one";
  w.around(minutes(5));
  planned = w.around(minutes(5));
  CHECK(*planned.look_again > kNow + minutes(5));
  CHECK(*planned.look_again <= kNow + minutes(10));
  CHECK(w.asked.size() == 4);
  w.around(minutes(5) + seconds(1));
  CHECK(w.asked.size() == 4);
  // Another address is another question.
  w.spec().triggers[0].http->url = "https://data.example/b";
  w.around(minutes(5) + seconds(2));
  CHECK(w.asked.size() == 5);
}

TEST_CASE("two changes at once make one run") {
  Watched w({data("a"), data("b"), tag()});
  for (const char* address : {"https://data.example/a", "https://data.example/b", "registry.example/data:latest"})
    w.outside[address] = "one";
  w.around();
  for (auto& [address, word] : w.outside) word = "two";
  w.around(minutes(5));
  REQUIRE(w.status().run);
  w.train("m-run-000001");
  w.around(minutes(6));
  CHECK_FALSE(w.status().run);
  CHECK(w.status().run_number == 1);
}

TEST_CASE("another version behind the alias is imported by our own image, and becomes a version by the Model's gates") {
  Watched w({champion()});
  w.gate("good", "f1", "0.9");
  w.spec().gates = {"good"};
  w.outside["https://mlflow.example"] = "7@100";
  w.around();
  CHECK_FALSE(w.status().run);
  w.outside["https://mlflow.example"] = "8@200";
  w.around(minutes(1));
  REQUIRE(w.status().run);
  CHECK(w.run().trigger_kind == "Registry");
  CHECK(w.run().parameters == Parameters{{"mlflow_version", "8"}});
  CHECK(w.env("m-run-000001-train", "MODELOPS_PARAM_MLFLOW_VERSION") == "8");
  const Json pod = w.bodies["m-run-000001-train"]["spec"]["template"]["spec"];
  const Json container = pod["containers"][0];
  CHECK(container["image"] == mo::test::kSettings.fetch_image);
  CHECK(container["args"] == Json({"import", "mlflow", "--url=https://mlflow.example", "--model=fraud", "--alias=champion",
                                   "--uri=pvc://models/imported", "--format=mlflow", "--max-bytes=10737418240", "--metric=f1"}));
  CHECK(pod["volumes"][0] == Json{{"name", "store"}, {"persistentVolumeClaim", {{"claimName", "models"}}}});
  CHECK(pod["volumes"].size() == 2);
  CHECK(pod["automountServiceAccountToken"] == false);
  CHECK(container["securityContext"]["readOnlyRootFilesystem"] == true);
  w.end("m-run-000001-train", result_of(R"({"f1": "0.95"})"));
  w.around(minutes(2));
  CHECK(w.status().last_result == "Registered: m-1111111111, ModelRollout " + w.made.back());
  const Json lineage = w.bodies["m-1111111111"]["spec"]["lineage"];
  CHECK(lineage["run"]["parameters"]["mlflow_version"] == "8");
  CHECK_FALSE(lineage.contains("environment"));  // our image says nothing of how it was made
}

TEST_CASE("what goes into an S3 store is fetched from there with the store's Secret, and from nowhere else") {
  api::Trigger trigger = champion();
  trigger.mlflow->claim.clear();
  trigger.mlflow->folder.clear();
  trigger.mlflow->store_uri = "s3://models/imported";
  trigger.mlflow->store_secret = "store";
  Watched w({trigger});
  w.outside["https://mlflow.example"] = "7@100";
  w.around();
  w.outside["https://mlflow.example"] = "8@200";
  w.around(minutes(1));
  const Json pod = w.bodies["m-run-000001-train"]["spec"]["template"]["spec"];
  CHECK(pod["containers"][0]["args"][5] == "--uri=s3://models/imported");
  CHECK(pod["containers"][0]["args"].back() == "--store-credentials-dir=/store-credentials");
  REQUIRE(pod["volumes"].size() == 2);
  CHECK(pod["volumes"][0]["emptyDir"]["sizeLimit"] == std::to_string((20ull << 30) + (16ull << 20)));
  CHECK(pod["volumes"][1]["secret"] == Json{{"secretName", "store"}, {"optional", true}});
  const auto said = [](const std::string& uri) {
    std::string text = result_of("{}");
    return text.replace(text.find("http://x/y"), 10, uri);
  };
  w.end("m-run-000001-train", said("s3://models/imported/fraud-8.tar"));
  w.around(minutes(2));
  const Json artifact = w.bodies["m-1111111111"]["spec"]["artifact"];
  CHECK(artifact["uri"] == "s3://models/imported/fraud-8.tar");
  CHECK(artifact["credentials"]["secretName"] == "store");

  for (const char* elsewhere : {"s3://other/x.tar", "s3://models/imported-too/x.tar"}) {
    const auto read = read_import(*trigger.mlflow, said(elsewhere));
    REQUIRE_FALSE(read);
    CHECK_THAT(read.error().message,
               Contains("but registry.mlflow.store has changed to s3://models/imported; import it again"));
  }
  CHECK_FALSE(read_import(*champion().mlflow, said("s3://models/imported/x.tar")));
  CHECK(read_import(*champion().mlflow, said("pvc://models/x.tar"))->artifact.secret.empty());
}

TEST_CASE("the Secret is for the importing Job alone, and names go as they are") {
  api::MlflowRegistry from = *champion().mlflow;
  from.secret = "mlflow";
  from.model = "--uri=pvc://other $(HOME) a$$b";
  from.size = "2Gi";
  from.folder.clear();
  from.format_version = "3";
  const Json pod = Json::parse(import_template(from, {}, mo::test::kSettings))["spec"]["template"]["spec"];
  CHECK(pod["containers"][0]["args"][3] == "--model=--uri=pvc://other $$(HOME) a$$$$b");
  CHECK(pod["containers"][0]["args"][5] == "--uri=pvc://models");
  CHECK(pod["containers"][0]["args"][7] == "--max-bytes=2147483648");
  CHECK(pod["containers"][0]["args"].back() == "--credentials-dir=/credentials");
  CHECK(pod["volumes"][2]["secret"] == Json{{"secretName", "mlflow"}, {"optional", true}});
}

// Once whatever came first marked all as answered, and the version was never imported.
TEST_CASE("training answers no registry, and an import no data") {
  Watched w({champion(), data()});
  w.outside = {{"https://mlflow.example", "7@100"}, {"https://data.example/data", "one"}};
  w.around();
  w.outside = {{"https://mlflow.example", "8@200"}, {"https://data.example/data", "two"}};
  w.around(minutes(5));
  REQUIRE(w.status().run);
  CHECK(w.run().trigger == "champion");
  w.spec().requested_at = kNow + minutes(5);
  w.train("m-run-000001");
  w.around(minutes(6));
  REQUIRE(w.status().run);
  CHECK(w.run("m-run-000002").trigger == "requested");
  CHECK(w.bodies["m-run-000002-train"]["spec"]["template"]["spec"]["containers"][0]["image"] == "i");
  CHECK(w.status().datasets.at("data") == "two");
  w.train("m-run-000002", '2');
  w.around(minutes(7));
  CHECK_FALSE(w.status().run);
}

TEST_CASE("Replace ends no import for training, nor the other way round") {
  Watched w({champion(), data()});
  w.spec().concurrency = api::Retraining::Concurrency::Replace;
  w.outside = {{"https://mlflow.example", "7@100"}, {"https://data.example/data", "one"}};
  w.around();
  w.outside["https://mlflow.example"] = "8@200";
  w.around(minutes(5));
  w.outside["https://data.example/data"] = "two";
  w.around(minutes(10));
  CHECK(w.status().run->name == "m-run-000001");
  w.outside["https://mlflow.example"] = "9@300";
  w.outside["https://data.example/data"] = "one";
  w.around(minutes(15));
  CHECK(w.status().run->name == "m-run-000002");
  CHECK(w.run("m-run-000001").status.phase == "Cancelled");
}

TEST_CASE("without a template every run imports, and nothing is trained") {
  Watched w({champion()}, false);
  w.outside["https://mlflow.example"] = "7@100";
  Planned planned = w.around();
  CHECK(planned.problem.empty());
  w.spec().requested_at = kNow;
  w.around();
  REQUIRE(w.status().run);
  CHECK(w.run().trigger_kind == "Request");
  CHECK(w.env("m-run-000001-train", "MODELOPS_PARAM_MLFLOW_VERSION") == "7");
  w.train("m-run-000001");
  w.around(minutes(1));
  CHECK_FALSE(w.status().run);
  // A person's, of an older version.
  w.write_run("try").parameters = {{"mlflow_version", "3"}};
  w.around(minutes(2));
  CHECK(w.env("try-train", "MODELOPS_PARAM_MLFLOW_VERSION") == "3");
}

TEST_CASE("an import has no trials and no second attempt, and gates hold") {
  Watched w({champion()});
  w.spec().trials.emplace();
  w.spec().trials->parameters = {{"C", {"1", "2"}}};
  w.spec().trials->objective.metric = "f1";
  w.gate("good", "f1", "0.9");
  w.spec().retry.emplace();
  w.spec().retry->until = {"good"};
  w.outside["https://mlflow.example"] = "7@100";
  w.around();
  w.outside["https://mlflow.example"] = "8@200";
  w.around(minutes(1));
  CHECK(w.jobs.count("m-run-000001-train") == 1);
  w.end("m-run-000001-train", result_of(R"({"f1": "0.1"})"));
  w.around(minutes(2));
  CHECK(w.run().status.phase == "Rejected");
  CHECK(w.run().status.attempt == 1);
}

TEST_CASE("an import that failed says why by the words of its program, and what serves goes on") {
  Watched w({champion()});
  w.outside["https://mlflow.example"] = "7@100";
  w.around();
  w.outside["https://mlflow.example"] = "8@200";
  w.around(minutes(1));
  w.job("m-run-000001-train").failed = true;
  w.job("m-run-000001-train").failure_message = "BackoffLimitExceeded";
  w.around(minutes(2));
  CHECK(w.run().status.phase == "Training");  // until its words are read
  Answer words;
  words.text = "https://mlflow.example: MLflow requires credentials";
  w.o.answers["run/" + w.job("m-run-000001-train").meta.uid] = words;
  w.settle(minutes(2));
  CHECK(w.run().status.phase == "Failed");
  CHECK_THAT(w.status().last_result, Contains("BackoffLimitExceeded: https://mlflow.example: MLflow requires credentials"));
  CHECK(w.model.status.stable_version == "m-v1");
  w.around(minutes(10));
  CHECK(w.status().run_number == 1);  // the same version is not tried for ever
}

TEST_CASE("an import whose trigger is taken away ends") {
  Watched w({champion(), data()});
  w.outside["https://mlflow.example"] = "7@100";
  w.around();
  w.outside["https://mlflow.example"] = "8@200";
  w.around(minutes(1));
  w.spec().triggers = {data()};
  w.around(minutes(2));
  CHECK(w.run().status.phase == "Failed");
  CHECK_THAT(w.run().status.message, Contains("trigger champion, from whose registry it imports, was removed"));
}

TEST_CASE("the word for a version is its number") {
  CHECK(version_of("7@1764500000000") == "7");
  CHECK(version_of("7") == "7");
}

}  // namespace
}  // namespace mo::training
