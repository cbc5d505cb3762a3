// An operator that no admission policy confines does not start.
#include <catch2/catch.hpp>
#include <deque>
#include <thread>

#include "operator/json/json.h"
#include "operator/runtime/confinement.h"
#include "tests/unit/runtime_fake_client.h"

using namespace mo;
using namespace std::chrono_literals;

namespace {

Result<std::string> refused(ErrorKind kind, const std::string& message) { return fail(kind, message); }

const auto kByPolicy = refused(ErrorKind::Forbidden,
                               "deployments.apps \"p\" is forbidden: ValidatingAdmissionPolicy 'operator-writes.modelops.dev' with binding "
                               "'operator-writes.modelops.dev' denied request: no Model controls it");
const auto kByRbac = refused(ErrorKind::Forbidden, "deployments.apps is forbidden: User \"u\" cannot create resource \"deployments\"");
const auto kNoAnswer = refused(ErrorKind::Transport, "connection refused");

// Answers in this order, the last one for ever.
struct Api {
  explicit Api(std::deque<Result<std::string>> answers) : answers(std::move(answers)) {
    client.answer = [this](const FakeClient::Call&) {
      auto answer = this->answers.front();
      if (this->answers.size() > 1) this->answers.pop_front();
      return answer;
    };
  }
  bool confined(std::chrono::milliseconds patience) { return wait_until_confined(client, "ns", stop.get_token(), patience, 1ms); }

  std::deque<Result<std::string>> answers;
  std::stop_source stop;
  FakeClient client;
};

}  // namespace

TEST_CASE("confinement: only the policy's own refusal proves it") {
  CHECK(judge_confinement(kByPolicy) == Confinement::Confined);
  CHECK(judge_confinement("{}") == Confinement::Open);
  for (const auto& answer : {kByRbac, kNoAnswer, refused(ErrorKind::Forbidden, "exceeded quota: pods"), refused(ErrorKind::NotFound, "namespaces \"ns\" not found")})
    CHECK(judge_confinement(answer) == Confinement::Unknown);
}

TEST_CASE("confinement: the probe is a Deployment without an owner, in a dry run") {
  Api api({kByPolicy});
  CHECK(api.confined(0ms));
  const auto calls = api.client.calls();
  REQUIRE(calls.size() == 1);
  CHECK(calls[0].verb == "dry-run post");
  CHECK(calls[0].ref == ObjectRef{Kind::Deployment, {"ns", ""}});
  const Json body = Json::parse(calls[0].body);
  CHECK_FALSE(body["metadata"].contains("ownerReferences"));
  CHECK(body["spec"]["replicas"] == 0);
}

TEST_CASE("confinement: an operator that could do anything does not start") {
  Api api({"{}"});
  CHECK_FALSE(api.confined(5ms));
}

TEST_CASE("confinement: policies and roles that come a moment later are waited for") {
  Api api({kNoAnswer, kByRbac, "{}", "{}", kByPolicy});
  CHECK(api.confined(1h));
  CHECK(api.client.calls().size() == 5);
}

TEST_CASE("confinement: whoever may not create Deployments at all has proved nothing, and is not given up either") {
  Api api({kByRbac});
  std::jthread end([&] {
    while (api.client.calls().size() < 20) std::this_thread::sleep_for(1ms);
    api.stop.request_stop();
  });
  CHECK_FALSE(api.confined(0ms));
}

TEST_CASE("confinement: it is lost only if the API server would do it") {
  Api api({kByPolicy, kByRbac, kNoAnswer, "{}"});
  for (const bool confined : {true, true, true, false}) CHECK(still_confined(api.client, "ns", {}) == confined);
}
