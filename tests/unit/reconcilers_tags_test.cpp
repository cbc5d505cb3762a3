// Artifacts by a tag: looked up once, and from then on by digest.
#include <algorithm>
#include <catch2/catch.hpp>

#include "operator/api/parse.h"
#include "reconcilers/common/names.h"
#include "reconcilers/model/intent.h"
#include "reconcilers/model/plan.h"
#include "tests/unit/reconcilers_make.h"

namespace mo::model {
namespace {

using test::kNow;
using test::Scene;

const std::string kDigest = "sha256:" + std::string(64, 'a');
constexpr const char* kUri = "oci://registry.example:5000/team/fraud:prod";

struct Bench : Scene {
  Bench() {
    model.version.reset();
    model.artifact = api::Artifact{kUri, "", {"rules", "1"}};
  }
  // One reconcile; what it writes to status is what the next one sees.
  Plan turn() {
    observed();
    o.model = with_pinned(o.model);
    Plan next = plan(o, kNow, test::kSettings);
    for (const Action& action : next.actions)
      if (const auto* write = std::get_if<WriteStatus>(&action); write && write->target.kind == Kind::Model) {
        const auto read = api::parse<api::Model>(R"({"metadata":{"name":"m","namespace":"ns"},"spec":{},"status":)" + write->status + "}");
        REQUIRE(read);
        model.status = read->status;
        status = Json::parse(write->status);
      }
    return next;
  }
  void answer(const Plan& asked, Answer answer) {
    for (const Ask& ask : asked.asks)
      if (std::holds_alternative<AskOutside>(ask.question)) o.answers[ask.id] = answer;
  }
  std::string condition(const std::string& type) const {
    for (const Json& one : status["conditions"])
      if (one["type"] == type) return one["status"].get<std::string>() + " " + one["reason"].get<std::string>();
    return "";
  }
  Json status;
};

const AskOutside* question(const Plan& plan) {
  for (const Ask& ask : plan.asks)
    if (const auto* outside = std::get_if<AskOutside>(&ask.question)) return outside;
  return nullptr;
}

const Apply* registered(const Plan& plan) {
  for (const Action& action : plan.actions)
    if (const auto* apply = std::get_if<Apply>(&action); apply && apply->target.kind == Kind::ModelVersion) return apply;
  return nullptr;
}

TEST_CASE("which artifacts are named by a tag") {
  const auto tag = [](const std::string& uri) { return api::tag_of({uri, "", {}}); };
  CHECK(tag(kUri) == "registry.example:5000/team/fraud:prod");
  CHECK(tag("oci://registry/fraud:1") == "registry/fraud:1");
  CHECK(tag("oci://registry:5000/fraud@" + kDigest) == "");
  CHECK(tag("oci://registry:5000/fraud") == "");
  CHECK(tag("https://registry/fraud:1") == "");
  api::Artifact artifact{kUri, "", {}};
  api::Pinned{"oci://registry.example:5000/team/fraud:test", kDigest}.apply_to(artifact);
  CHECK(artifact.uri == kUri);
  api::Pinned{kUri, kDigest}.apply_to(artifact);
  CHECK(artifact.uri == "oci://registry.example:5000/team/fraud@" + kDigest);
  CHECK(artifact.digest == kDigest);
}

TEST_CASE("a tag is asked for, its digest is in status first, and then the version is registered by it") {
  Bench b;
  Plan p = b.turn();
  REQUIRE(question(p));
  CHECK(question(p)->what == AskOutside::What::OciTag);
  CHECK(question(p)->address == "registry.example:5000/team/fraud:prod");
  CHECK_FALSE(registered(p));
  CHECK(b.condition("Reconciling") == "True ResolvingTag");

  Answer found;
  found.text = kDigest;
  b.answer(p, found);
  p = b.turn();
  CHECK_FALSE(registered(p));
  REQUIRE(b.model.status.pinned);
  CHECK(b.model.status.pinned->digest == kDigest);

  p = b.turn();
  CHECK_FALSE(question(p));
  REQUIRE(registered(p));
  const Json body = Json::parse(registered(p)->body);
  CHECK(body["metadata"]["name"] == version_name_for("m", kDigest));
  CHECK(body["spec"]["artifact"]["uri"] == "oci://registry.example:5000/team/fraud@" + kDigest);
  CHECK(body["spec"]["artifact"]["digest"] == kDigest);
  CHECK(b.model.status.pinned == api::Pinned{kUri, kDigest});

  // The tag moves: nobody asks. Another tag is another question.
  b.o.answers.clear();
  CHECK_FALSE(question(b.turn()));
  b.model.artifact->uri = "oci://registry.example:5000/team/fraud:next";
  p = b.turn();
  REQUIRE(question(p));
  CHECK(question(p)->address == "registry.example:5000/team/fraud:next");
  CHECK_FALSE(b.model.status.pinned);
}

// A gate bound that no number is, mended a minute later, had the registry asked anew: the tag had moved, and other bits rolled out by themselves.
TEST_CASE("a mistake elsewhere in the spec does not let a tag go") {
  Bench b;
  Answer found;
  found.text = kDigest;
  b.answer(b.turn(), found);
  b.turn();
  b.turn();
  b.o.answers.clear();
  b.model.problem = "spec.rollout.gates[0].min: no number";
  CHECK_FALSE(question(b.turn()));
  CHECK(b.condition("Stalled") == "True InvalidSpec");
  CHECK(b.model.status.pinned == api::Pinned{kUri, kDigest});
  const std::string words = b.model.status.spec_revision;
  b.model.problem.clear();
  CHECK_FALSE(question(b.turn()));
  CHECK(b.model.status.spec_revision == words);
  // The same bits from elsewhere are no tag's.
  b.model.artifact = api::Artifact{"oci://mirror.example/fraud@" + kDigest, kDigest, {"rules", "1"}};
  b.turn();
  CHECK_FALSE(b.model.status.pinned);
}

TEST_CASE("a tag that is not there is said, asked for again, and what serves serves on") {
  Bench b;
  Plan p = b.turn();
  Answer none;
  none.problem = "registry.example:5000 has no team/fraud:prod";
  b.answer(p, none);
  p = b.turn();
  CHECK(b.condition("Stalled") == "True TagNotResolved");
  CHECK(b.status["message"].get<std::string>().find("registry.example:5000 has no team/fraud:prod") != std::string::npos);
  CHECK(question(p));
  REQUIRE(p.requeue_after);
  CHECK(*p.requeue_after <= std::chrono::seconds(30));
}

}  // namespace
}  // namespace mo::model
