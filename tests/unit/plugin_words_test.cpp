// Command lines as people type them: flags before and after the verb, objects by their kinds.
#include <catch2/catch.hpp>
#include <CLI/CLI.hpp>

#include "plugin/complete.h"
#include "plugin/names.h"
#include "plugin/session.h"
#include "plugin/words.h"

using namespace mo;
using namespace mo::plugin;

namespace {

struct Line {
  Line() {
    for (const char* name : {"get", "abort"}) {
      CLI::App* verb = app.add_subcommand(name, "");
      verb->add_option("MODEL", names, "")->expected(0, 100);
      verb->add_option("-n,--namespace", ns, "");
      verb->add_option("--context", context, "");
      verb->add_flag("-A,--all-namespaces", all, "");
      verb->add_flag("-w,--watch", watch, "");
    }
    app.get_subcommand("abort")->add_option("--rollout", rollout, "");
    app.get_subcommand("abort")->add_option("--dry-run", dry_run, "");
  }
  CLI::App app{"", "kubectl model"};
  std::vector<std::string> names;
  std::string ns, context, rollout, dry_run;
  bool all = false, watch = false;
};

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("plugin: flags may stand before the verb", "[plugin][words]") {
  Line line;
  const auto ordered = [&](const Texts& words) { return verb_first(line.app, words); };
  CHECK(ordered({"get", "-n", "a"}) == Texts{"get", "-n", "a"});
  CHECK(ordered({"-n", "a", "get", "m"}) == Texts{"get", "-n", "a", "m"});
  CHECK(ordered({"-n", "get", "get", "get"}) == Texts{"get", "-n", "get", "get"});
  CHECK(ordered({"--namespace=a", "-A", "-w", "get"}) == Texts{"get", "--namespace=a", "-A", "-w"});
  CHECK(ordered({"-A", "get", "m"}) == Texts{"get", "-A", "m"});
  CHECK(ordered({"-na", "-Aw", "get"}) == Texts{"get", "-na", "-Aw"});
  CHECK(ordered({"-n=a", "get", "-n=b"}) == Texts{"get", "-na", "-nb"});
  CHECK(ordered({"--rollout", "r", "abort", "m"}) == Texts{"abort", "--rollout", "r", "m"});
  CHECK(ordered({"--help"}) == Texts{"--help"});
  CHECK(ordered({"-n"}) == Texts{"-n"});
  CHECK(ordered({"--", "get"}) == Texts{"--", "get"});
  CHECK(ordered({"get", "--", "-n=a"}) == Texts{"get", "--", "-n=a"});
}

TEST_CASE("plugin: a name is taken with and without its kind", "[plugin][words]") {
  const std::vector<Kind> both = {Kind::Model, Kind::ModelRollout};
  for (const char* word : {"fraud", "model/fraud", "models/fraud", "mdl/fraud", "Model/fraud", "model.modelops.dev/fraud",
                           "models.modelops.dev/fraud", "models.v1alpha1.modelops.dev/fraud"})
    CHECK(named(word, both) == Named{Kind::Model, "fraud"});
  for (const char* word : {"mro/r.1", "modelrollout/r.1", "modelrollouts.modelops.dev/r.1"})
    CHECK(named(word, both) == Named{Kind::ModelRollout, "r.1"});
  CHECK(name_as(Kind::ModelVersion, "mver/fraud-v2") == "fraud-v2");
  CHECK(name_as(Kind::ModelVersion, "") == "");
  CHECK(named("mro/r", {Kind::Model}).error().message ==
        "mro/r is not possible here: use a Model, such as model/NAME");
  CHECK_THAT(named("deployments/a", both).error().message, Catch::Contains("or a ModelRollout, such as modelrollout/NAME"));
}

TEST_CASE("plugin: what cannot be a name is told before anybody is asked", "[plugin][words]") {
  for (const char* good : {"a", "0", "a-b", "a.b", "a-1.b-2"}) CHECK(is_object_name(good));
  for (const char* bad : {"", "A", "a_b", "-a", "a-", ".a", "a.", "a..b", "a.-b", "a-.b", "a b", "..", "a\nb", "a,b=c", "é"}) {
    CHECK_FALSE(is_object_name(bad));
    CHECK_FALSE(named(bad, {Kind::Model}));
  }
  CHECK(is_object_name(std::string(253, 'a')));
  CHECK_FALSE(is_object_name(std::string(254, 'a')));
  CHECK_THAT(named("model/", {Kind::Model}).error().message, Catch::StartsWith("\"\" is not a valid name of a Model"));
  CHECK_THAT(named("model/a/b", {Kind::Model}).error().message, Catch::Contains("\"a/b\""));
}

TEST_CASE("plugin: how long to wait for an answer", "[plugin][words]") {
  using namespace std::chrono_literals;
  CHECK(request_timeout("30s") == 30'000ms);
  CHECK(request_timeout("7") == 7'000ms);
  CHECK(request_timeout("1m30s") == 90'000ms);
  CHECK(request_timeout("0") == 24h);
  for (const char* bad : {"", "soon", "-1", "-1s", "1x", "99999999999999999999"}) CHECK_FALSE(request_timeout(bad));
}

TEST_CASE("plugin: completion of names, namespaces and choices", "[plugin][words]") {
  Line line;
  std::string asked;
  const auto lookup = [&](const std::string& what, const CompletionContext& words) {
    asked = what + " of " + words.value("--namespace") + (words.names.empty() ? "" : " " + words.names.front());
    return what == "rollouts" ? Texts{"r1", "r2"} : Texts{"blue", "green"};
  };
  const auto completed = [&](const Texts& words) { return complete(line.app, words, lookup); };
  CHECK(completed({"get", "-n", ""}) == Texts{"blue", "green", ":4"});
  CHECK(asked == "namespaces of ");
  CHECK(completed({"get", "--context", "g"}) == Texts{"green", ":4"});
  CHECK(asked == "contexts of ");
  CHECK(completed({"get", "--context=b"}) == Texts{"blue", ":4"});
  CHECK(completed({"-n", "a", "get", ""}) == Texts{"blue", "green", ":4"});
  CHECK(asked == "models of a");
  CHECK(completed({"get", "blue", ""}) == Texts{"green", ":4"});
  CHECK(completed({"get", "model/g"}) == Texts{"model/green", ":4"});
  CHECK(completed({"abort", "m", "-na", "--rollout", ""}) == Texts{"r1", "r2", ":4"});
  CHECK(asked == "rollouts of a m");
  CHECK(completed({"abort", "mro/"}) == Texts{"mro/r1", "mro/r2", ":4"});
  CHECK(completed({"get", "mro/"}) == Texts{":4"});
  CHECK(completed({"abort", "m", "--dry-run", ""}) == Texts{"none", "client", "server", ":4"});
}
