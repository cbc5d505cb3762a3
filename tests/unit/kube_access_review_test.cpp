// What TokenReview and SubjectAccessReview are asked, and what is made of their answers.
#include <catch2/catch.hpp>
#include <deque>

#include "operator/kube/access_review.h"
#include "operator/kube/credentials.h"

namespace mo::kube {
namespace {

using Catch::Matchers::Contains;

// Answers from a list, each once.
class FakeTransport final : public HttpTransport {
 public:
  std::deque<HttpResponse> answers;
  std::vector<HttpRequest> requests;
  Result<HttpResponse> send(const HttpRequest& request, std::stop_token) override {
    requests.push_back(request);
    if (answers.empty()) return fail(ErrorKind::Transport, "headers: cut");
    HttpResponse answer = answers.front();
    answers.pop_front();
    return answer;
  }
  Result<HttpResponse> stream(const HttpRequest& request, const LineSink&, std::stop_token stop) override {
    return send(request, stop);
  }
};

struct Fixture {
  FakeTransport* transport = new FakeTransport;
  AccessReviews reviews{std::unique_ptr<HttpTransport>(transport), credentials(), {}};
  static std::shared_ptr<Credentials> credentials() {
    Config config;
    config.server = "https://x";
    return std::make_shared<Credentials>(config);
  }
  Result<AccessVerdict> ask(std::deque<std::pair<int, std::string>> answers) {
    for (auto& [status, body] : answers) transport->answers.push_back({status, {}, std::move(body)});
    return reviews.may_get("/metrics", "their-token", {});
  }
};

const std::string kPrometheus =
    R"({"status":{"authenticated":true,"user":{"username":"system:serviceaccount:monitoring:prometheus","uid":"u1",)"
    R"("groups":["system:serviceaccounts","system:authenticated"],"extra":{"a/b":["c"]}}}})";

TEST_CASE("kube: whose token it is, and whether they may get the path") {
  Fixture f;
  const auto verdict = f.ask({{201, kPrometheus}, {201, R"({"status":{"allowed":true}})"}});
  REQUIRE(verdict);
  CHECK(verdict->authenticated);
  CHECK(verdict->allowed);
  CHECK(verdict->user == "system:serviceaccount:monitoring:prometheus");
  REQUIRE(f.transport->requests.size() == 2);
  CHECK(f.transport->requests[0].target == "/apis/authentication.k8s.io/v1/tokenreviews");
  CHECK_THAT(f.transport->requests[0].body, Contains(R"("kind":"TokenReview","spec":{"token":"their-token"})"));
  CHECK(f.transport->requests[1].target == "/apis/authorization.k8s.io/v1/subjectaccessreviews");
  CHECK_THAT(f.transport->requests[1].body,
             Contains(R"("user":"system:serviceaccount:monitoring:prometheus","uid":"u1","groups":["system:serviceaccounts","system:authenticated"],"extra":{"a/b":["c"]})") &&
                 Contains(R"("nonResourceAttributes":{"path":"/metrics","verb":"get"})"));
}

TEST_CASE("kube: whether somebody may list objects in a namespace, or in all") {
  Fixture f;
  f.transport->answers = {{201, {}, kPrometheus}, {201, {}, R"({"status":{"allowed":true}})"}, {201, {}, R"({"status":{"allowed":true,"denied":true}})"}};
  const auto who = f.reviews.who("their-token", {});
  REQUIRE(who);
  CHECK(who->name == "system:serviceaccount:monitoring:prometheus");
  CHECK(f.reviews.may_list(*who, "models", "pay", {}) == true);
  CHECK(f.reviews.may_list(*who, "models", "", {}) == false);
  CHECK_THAT(f.transport->requests[1].body,
             Contains(R"("groups":["system:serviceaccounts","system:authenticated"])") && Contains(R"("resource":"models")") &&
                 Contains(R"("verb":"list")") && Contains(R"("group":"modelops.dev")") && Contains(R"("namespace":"pay")"));
  CHECK_THAT(f.transport->requests[2].body, !Contains("namespace\":\"pay"));
  CHECK_FALSE(f.reviews.may_list(*who, "models", "pay", {}));  // no answer is no yes
}

TEST_CASE("kube: who is nobody, or has no right, is not let in") {
  Fixture f;
  const auto nobody = f.ask({{201, R"({"status":{"error":"invalid bearer token"}})"}});
  REQUIRE(nobody);
  CHECK_FALSE(nobody->authenticated);
  CHECK_FALSE(nobody->allowed);
  for (const char* status : {R"({"status":{"allowed":false}})", R"({"status":{}})", R"({"status":{"allowed":"true"}})",
                             R"({"status":{"allowed":true,"denied":true}})"}) {
    const auto jane = f.ask({{201, kPrometheus}, {201, status}});
    REQUIRE(jane);
    CHECK(jane->authenticated);
    CHECK_FALSE(jane->allowed);
  }
}

TEST_CASE("kube: a review that is not answered is an error, never a verdict") {
  Fixture f;
  CHECK(f.ask({}).error().kind == ErrorKind::Transport);
  CHECK(f.ask({{403, R"({"kind":"Status","reason":"Forbidden","message":"cannot create tokenreviews"})"}}).error().kind ==
        ErrorKind::Forbidden);
  CHECK(f.ask({{201, kPrometheus}, {500, ""}}).error().kind == ErrorKind::ServerError);
  for (const std::string& body :
       {std::string(), std::string("[]"), std::string("{}"), std::string(R"({"status":1})"), std::string(100'000, '['),
        std::string(R"({"status":{"authenticated":true}})"), std::string(R"({"status":{"authenticated":true,"user":{"username":""}}})")}) {
    INFO(body.substr(0, 80));
    const auto said = f.ask({{201, body}});
    REQUIRE_FALSE(said);
    CHECK(said.error().kind == ErrorKind::Malformed);
  }
}

}  // namespace
}  // namespace mo::kube
