#include <catch2/catch.hpp>

#include "reconcilers/serving/serve.h"
#include "reconcilers/serving/survey.h"
#include "tests/unit/reconcilers_make.h"

namespace mo::serving {
namespace {

using namespace mo::test;

bool opens_to_all(const Served& served) {
  for (const Action& action : served.actions)
    if (const auto* apply = std::get_if<Apply>(&action); apply && apply->target.kind == Kind::Service)
      if (Json::parse(apply->body)["spec"]["selector"].size() == 1) return true;
  return false;
}

bool deletes(const Served& served, const std::string& deployment) {
  for (const Action& action : served.actions)
    if (const auto* removal = std::get_if<Delete>(&action); removal && removal->target.key.name == deployment)
      return true;
  return false;
}

// Found by the explorer: a rollout was superseded before its Deployment had any pod, and the operator crashed
// before it deleted that. The next rollout opened the Service to every version, which stops such deletions,
// and then the Deployment made its pod.
TEST_CASE("traffic is not opened to all while another version's Deployment could still make a pod") {
  Scene scene;
  scene.serving("m-v1");
  scene.deployment("m-v2", 1);
  Wanted wanted;
  wanted.stable = "m-v1";
  wanted.candidate = "m-v2";
  wanted.weight = 34;
  wanted.candidate_pods = true;
  REQUIRE(opens_to_all(serve(scene.observed(), wanted, kSettings, kNow)));

  api::Deployment& left = scene.deployment("m-v3", 1);
  left.status_replicas = left.updated_replicas = left.ready_replicas = left.available_replicas = 0;
  const Served served = serve(scene.observed(), wanted, kSettings, kNow);
  CHECK_FALSE(opens_to_all(served));
  CHECK(deletes(served, "m-v3"));
  CHECK(survey(scene.observed(), "m-v1", "m-v2", kNow).candidate_problem ==
        "Deployment m-v3 of an earlier rollout is still terminating");
}

std::optional<int> scaled(const Served& served, const std::string& deployment) {
  for (const Action& action : served.actions)
    if (const auto* scale = std::get_if<Scale>(&action); scale && scale->target.key.name == deployment) return scale->replicas;
  return {};
}

// Its Deployment surges when it likes.
TEST_CASE("while the stable version takes another template its surge is not given away") {
  Scene scene;
  scene.serving("m-v1");
  scene.model.replicas = 2;
  scene.model.max_surge = 1;
  Wanted wanted;
  wanted.stable = "m-v1";
  wanted.candidate = "m-v2";
  wanted.candidate_pods = true;
  wanted.warm_for = 50;
  scene.deployment("m-v2", 0);
  scene.o.deployments["m-v2"].applied = scene.rendered("m-v2", true)->hash;
  api::Deployment& stable = scene.deployment("m-v1", 2);
  REQUIRE(scaled(serve(scene.observed(), wanted, kSettings, kNow), "m-v2") == 1);
  SECTION("not seen yet") { stable.meta.generation = stable.observed_generation + 1; }
  SECTION("under way") { stable.updated_replicas = 0; }
  CHECK_FALSE(scaled(serve(scene.observed(), wanted, kSettings, kNow), "m-v2"));
}

// A story: the record of a pod that a node had evicted stays for days; Recreate waited for it to go.
TEST_CASE("a pod that was evicted holds no room") {
  Scene scene;
  scene.serving("m-v1");
  Wanted wanted;
  wanted.stable = "m-v1";
  wanted.candidate = "m-v2";
  wanted.candidate_pods = true;
  auto pod = std::make_shared<api::Pod>();
  pod->meta = meta("evicted");
  pod->version = "m-v1";

  SECTION("with Recreate") {
    wanted.weight = 100;
    wanted.recreate = true;
    scene.deployment("m-v1", 0);
    scene.deployment("m-v2", 0);
  }
  SECTION("with maxSurge 0") {
    wanted.weight = 50;
    scene.model.max_surge = 0;
    scene.deployment("m-v1", 1);
    scene.deployment("m-v2", 0);
  }
  scene.o.pods = {pod};
  if (!wanted.recreate) scene.o.pods.push_back(pod);  // one serves, and one more
  CHECK_FALSE(scaled(serve(scene.observed(), wanted, kSettings, kNow), "m-v2"));
  auto ended = std::make_shared<api::Pod>(*pod);
  ended->ended = true;
  scene.o.pods[0] = ended;
  CHECK(scaled(serve(scene.observed(), wanted, kSettings, kNow), "m-v2") == (wanted.recreate ? 2 : 1));
}

// Kubernetes keeps a Service that has finalizers: it is deleted while whoever goes by it may not have heard of its turn.
TEST_CASE("old pods wait out the turn of a Service that is being deleted") {
  Scene scene;
  scene.model.version = "m-v2";
  scene.serving("m-v2");
  scene.deployment("m-v1", 2);
  auto service = std::make_shared<api::Service>(*scene.o.services.at("m").object);
  service->meta.deleting = GENERATE(false, true);
  service->applied_at = kNow - std::chrono::seconds(1);
  scene.o.services.at("m").object = service;
  Wanted wanted;
  wanted.stable = "m-v2";
  const Served early = serve(scene.observed(), wanted, kSettings, kNow);
  CHECK_FALSE(deletes(early, "m-v1"));
  REQUIRE(early.look_again);
  CHECK(deletes(serve(scene.observed(), wanted, kSettings, *early.look_again), "m-v1"));
}

}  // namespace
}  // namespace mo::serving
