#include <catch2/catch.hpp>

#include "plugin/approve.h"
#include "plugin/fields.h"
#include "plugin/policy_explain.h"
#include "tests/unit/plugin_cluster.h"

using namespace mo;
using namespace mo::plugin;
using namespace mo::plugin::test;

namespace {

Json waiting_rollout() {
  Json rollout = rollout_of("m", "m-v2-1", "Paused");
  rollout["status"]["digest"] = "sha256:d";
  rollout["status"]["governance"] = {{"authors", {"ann"}}, {"policies", {{{"name", "high-risk"}, {"generation", 3}}}}};
  rollout["status"]["gates"] = {{{"name", "validated"}, {"verdict", "Passed"}, {"value", "0.94"}}};
  rollout["status"]["approval"] = {{"reason", "AwaitingApproval"},
                                   {"subject", "sha256:s"},
                                   {"before", "FirstTraffic"},
                                   {"roles", {{{"role", "risk"}, {"count", 1}, {"given", 0}}, {{"role", "legal"}, {"count", 2}, {"given", 2}}}}};
  return rollout;
}

}  // namespace

TEST_CASE("an approval names what is waited for, and the only role that is missing", "[plugin]") {
  const Approving approving{.model = "m", .rollout = "", .role = "", .reason = "fine", .ticket = "CHG-1"};
  const auto word = approval_of(approving, waiting_rollout(), "bob");
  REQUIRE(word);
  const Json& spec = (*word)["spec"];
  CHECK(spec == Json{{"rolloutRef", {{"name", "m-v2-1"}}},
                     {"role", "risk"},
                     {"decision", "Approved"},
                     {"approver", "bob"},
                     {"subject", "sha256:s"},
                     {"reason", "fine"},
                     {"ticket", "CHG-1"}});
  CHECK(text(*word, "metadata.namespace") == "ns");
  // The same word twice is one; another person's is another.
  CHECK(name_of(*approval_of(approving, waiting_rollout(), "bob")) == name_of(*word));
  CHECK(name_of(*approval_of(approving, waiting_rollout(), "cat")) != name_of(*word));
  Approving no = approving;
  no.approved = false;
  CHECK(text(*approval_of(no, waiting_rollout(), "bob"), "spec.decision") == "Rejected");
}

TEST_CASE("what cannot be approved is refused before anything is written", "[plugin]") {
  Approving approving{.model = "m", .rollout = "", .role = "audit", .reason = "", .ticket = ""};
  const auto why = [&](const Json& rollout) {
    const auto word = approval_of(approving, rollout, "bob");
    return word ? "" : word.error().message;
  };
  CHECK(why(waiting_rollout()).find("role audit is not required; missing: risk (0 of 1)") != std::string::npos);
  approving.role = "legal";
  CHECK(why(waiting_rollout()) == "");
  approving.role.clear();
  Json both = waiting_rollout();
  both["status"]["approval"]["roles"][1]["given"] = 1;
  CHECK(why(both).find("set --role to one of the missing roles: risk (0 of 1), legal (1 of 2)") != std::string::npos);
  CHECK(why(rollout_of("m", "r", "Progressing")).find("does not wait for an approval") != std::string::npos);
}

TEST_CASE("one sees what one approves", "[plugin]") {
  const Json version = {{"spec", {{"artifact", {{"uri", "https://store/m"}}}, {"lineage", {{"code", {{"revision", "abc"}}}}}}}};
  CHECK(subject_lines(waiting_rollout(), version) ==
        std::vector<std::string>{"ModelRollout m-v2-1 (m-v1 -> m-v2) waits for approval before the first request", "  artifact: https://store/m",
                                 "  digest: sha256:d", "  code: abc", "  written by: ann", "  policy: high-risk, generation 3",
                                 "  gate validated: Passed, 0.94", "  missing: risk (0 of 1)", "  subject: sha256:s"});
}

TEST_CASE("plugin: policy explain tells what each policy demands, and for which frameworks", "[plugin]") {
  ClusterClient cluster;
  Json model = model_named("m");
  model["spec"]["riskTier"] = "high";
  model["spec"]["serving"] = {{"replicas", 1}};
  cluster.objects[Kind::Model] = {model};
  const auto policy = [](const std::string& name, const Json& spec) {
    return Json{{"apiVersion", "modelops.dev/v1alpha1"}, {"kind", "ModelPolicy"}, {"metadata", {{"name", name}, {"uid", "u"}, {"generation", 1}}}, {"spec", spec}};
  };
  cluster.objects[Kind::ModelPolicy] = {
      policy("high", {{"appliesTo", {{"riskTiers", {"high"}}}},
                      {"require", {{"strategies", {"Canary"}}}},
                      {"frameworks", {{{"name", "EU AI Act"}, {"refs", {"art. 9", "art. 14"}}, {"notCovered", "registration"}}, {{"name", "SR 26-2"}}}}}),
      policy("low", {{"appliesTo", {{"riskTiers", {"low"}}}}, {"frameworks", {{{"name", "not for it"}}}}})};
  Printed printed;
  Session session = printed.session(cluster);
  CHECK(explain_policies(session, "m") == kDone);
  CHECK(printed.err.str() == "");
  CHECK(printed.out.str() ==
        "ModelPolicy high requires\n  strategies: Canary\n  for EU AI Act: art. 9, art. 14; not covered: registration\n  for SR 26-2\n"
        "nothing is missing for m-v1\n");
}
