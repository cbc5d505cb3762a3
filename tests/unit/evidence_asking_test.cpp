// Questions on their way through the evidence room: each answered once, by the right source, without one
// holding up another.
#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "operator/evidence/evidence.h"
#include "operator/evidence/job_words.h"
#include "tests/unit/kube_test_server.h"

namespace mo::evidence {
namespace {

using Catch::Matchers::Contains;
using namespace std::chrono_literals;

std::string pod(const std::string& name, const std::string& phase, const std::string& finished, int code,
                const std::string& message) {
  nlohmann::json terminated = {{"exitCode", code}, {"finishedAt", finished}};
  if (!message.empty()) terminated["message"] = message;
  return nlohmann::json{
      {"metadata", {{"name", name}}},
      {"status", {{"phase", phase}, {"containerStatuses", {{{"state", {{"terminated", terminated}}}}}}}}}
      .dump();
}
std::string list_of(std::initializer_list<std::string> pods) {
  std::string items;
  for (const auto& p : pods) items += (items.empty() ? "" : ",") + p;
  return R"({"kind":"PodList","items":[)" + items + "]}";
}
std::string configmap(const std::string& key, const std::string& text) {
  return nlohmann::json{{"data", {{key, text}}}}.dump();
}

TEST_CASE("of a Job's pods the newest that succeeded speaks", "[evidence]") {
  const auto failed = pod("a", "Failed", "2026-01-01T00:00:09Z", 1, "boom");
  const auto older = pod("b", "Succeeded", "2026-01-01T00:00:01Z", 0, "old");
  const auto newer = pod("c", "Succeeded", "2026-01-01T00:00:02Z", 0, "new");
  CHECK(last_words(list_of({failed, older, newer})) == "new");
  CHECK(last_words(list_of({newer, older, failed})) == "new");
  CHECK(last_words(list_of({failed})) == "boom");
}

TEST_CASE("a Job that says nothing is told from one whose pods are gone", "[evidence]") {
  CHECK_THAT(last_words(list_of({})).error().message, Contains("none of its pods is left"));
  CHECK_THAT(last_words(list_of({pod("a", "Running", "2026-01-01T00:00:09Z", 0, "x")})).error().message,
             Contains("none of its pods"));
  // An earlier failure's words are not the result of the pod that succeeded in silence.
  CHECK_THAT(last_words(list_of({pod("a", "Failed", "2026-01-01T00:00:01Z", 1, "boom"),
                                 pod("b", "Succeeded", "2026-01-01T00:00:02Z", 0, "")}))
                 .error()
                 .message,
             Contains("pod b left no termination message"));
  CHECK(last_words("[]").error().kind == ErrorKind::Malformed);
  CHECK(last_words("{\"items\": [3, null, {}]}").error().kind == ErrorKind::NotFound);
}

TEST_CASE("a sidecar's words do not hide the result", "[evidence]") {
  const auto two = [](const std::string& first, const std::string& second) {
    const auto state = [](const std::string& message) {
      return nlohmann::json{
          {"state",
           {{"terminated",
             {{"exitCode", 0}, {"finishedAt", "2026-01-01T00:00:01Z"}, {"message", message}}}}}};
    };
    return R"({"items":[)" +
           nlohmann::json{
               {"metadata", {{"name", "p"}}},
               {"status", {{"phase", "Succeeded"}, {"containerStatuses", {state(first), state(second)}}}}}
               .dump() +
           "]}";
  };
  CHECK(last_words(two("proxy ended", R"({"kind":"RunResult"})")) == R"({"kind":"RunResult"})");
  CHECK(last_words(two("configmap://r", "proxy ended")) == "configmap://r");
  CHECK(last_words(two("first", "second")) == "first");
}

TEST_CASE("a ConfigMap's key is text or a reason why not", "[evidence]") {
  CHECK(configmap_text(configmap("digest", "sha256:1"), "digest") == "sha256:1");
  CHECK(configmap_text(R"({"data":{}})", "digest").error().message == "it has no key \"digest\"");
  CHECK(configmap_text("{}", "digest").error().message == "it has no key \"digest\"");
  CHECK(configmap_text(R"({"binaryData":{"digest":"AA=="}})", "digest").error().message ==
        "its key \"digest\" is binary, not text");
  CHECK(configmap_text("x", "digest").error().kind == ErrorKind::Malformed);
}

// Answers from scripts; blocks where told to.
class FakeHttp : public kube::HttpTransport {
 public:
  Result<kube::HttpResponse> send(const kube::HttpRequest& request, std::stop_token stop) override {
    ++sent;
    if (slow_only && request.target.find("slow") != std::string::npos) {
      std::this_thread::sleep_for(1100ms);  // longer than what a refused connection takes
      return fail(ErrorKind::Transport, "headers: no complete answer within 10s");
    }
    while (hang && !stop.stop_requested()) std::this_thread::sleep_for(1ms);
    if (stop.stop_requested()) return fail(ErrorKind::Cancelled, "cancelled");
    if (refuse) return fail(ErrorKind::Transport, "connect: refused");
    const std::string value = request.target.substr(request.target.rfind('=') + 1);
    return kube::HttpResponse{
        200, {}, R"({"status":"success","data":{"resultType":"scalar","result":[1,")" + value + "\"]}}"};
  }
  Result<kube::HttpResponse> stream(const kube::HttpRequest&, const kube::LineSink&,
                                    std::stop_token) override {
    return fail(ErrorKind::Invalid, "not used");
  }
  std::atomic<bool> hang{false}, refuse{false}, slow_only{false};
  std::atomic<int> sent{0};
};

class FakeClient : public kube::Client {
 public:
  Result<std::string> get(const ObjectRef& ref, std::stop_token) override {
    return next("get " + ref.key.to_string());
  }
  Result<std::string> list(Kind, const kube::ListOptions& o, std::stop_token) override {
    return next("list " + o.ns + " " + o.label_selector + o.resource_version);
  }
  Result<void> watch(Kind, const kube::WatchOptions&, const kube::LineSink&, std::stop_token) override {
    return unused();
  }
  Result<std::string> apply(const ObjectRef&, const std::string&, bool, std::stop_token) override {
    return unused();
  }
  Result<std::string> merge_patch(const ObjectRef&, const std::string&, const std::string&,
                                  std::stop_token) override {
    return unused();
  }
  Result<std::string> put(const ObjectRef&, const std::string&, const std::string&,
                          std::stop_token) override {
    return unused();
  }
  Result<std::string> post(Kind, const std::string&, const std::string&, std::stop_token) override {
    return unused();
  }
  Result<std::string> dry_run_post(Kind, const std::string&, const std::string&, std::stop_token) override {
    return unused();
  }
  Result<void> remove(const ObjectRef&, const std::string&, const std::string&, std::stop_token) override {
    return unused();
  }

  std::mutex mutex;
  std::map<std::string, std::deque<Result<std::string>>> script;  // the last one stays
  std::vector<std::string> calls;

 private:
  static tl::unexpected<Error> unused() { return fail(ErrorKind::Invalid, "not used"); }
  Result<std::string> next(const std::string& call) {
    std::lock_guard lock(mutex);
    calls.push_back(call);
    auto& answers = script[call];
    if (answers.empty()) return fail(ErrorKind::NotFound, "\"" + call + "\" not found");
    auto answer = answers.front();
    if (answers.size() > 1) answers.pop_front();
    return answer;
  }
};

struct Fixture {
  FakeHttp http;
  FakeClient client;
  std::mutex mutex;
  std::condition_variable woken;
  int wakes = 0;
  AnswerBook book{[this](const ObjectKey&) {
    std::lock_guard lock(mutex);
    ++wakes;
    woken.notify_all();
  }};
  ObjectKey model{"ns", "fraud"};
  Evidence evidence{book, http, client,
                    EvidenceOptions{"http://prom", 2, 2, [] { return TimePoint(42s); }, 1ms, 60s}};

  bool wait_for(int count) {
    std::unique_lock lock(mutex);
    return woken.wait_for(lock, 10s, [&] { return wakes >= count; });
  }
  bool wait_for_answers(size_t count) {
    std::unique_lock lock(mutex);
    return woken.wait_for(lock, 10s, [&] { return book.of(model).size() >= count; });
  }
  Answer answer(const std::string& id) { return book.of(model).at(id); }
};

TEST_CASE("a gate's numbers come back together", "[evidence]") {
  Fixture f;
  f.evidence.ask(f.model, {{"a", AskPrometheus{"1", "2", "3", "5"}}, {"b", AskPrometheus{"4", {}, {}}}});
  REQUIRE(f.wait_for_answers(2));  // in one turn, or in two
  CHECK(f.answer("a").value.value == Decimal::parse("1"));
  CHECK(f.answer("a").stable.value == Decimal::parse("2"));
  CHECK(f.answer("a").samples.value == Decimal::parse("3"));
  CHECK(f.answer("a").stable_samples.value == Decimal::parse("5"));
  CHECK(f.answer("a").at == TimePoint(42s));
  CHECK_FALSE(f.answer("b").stable.value);
}

TEST_CASE("a question under way is not asked twice", "[evidence]") {
  Fixture f;
  f.http.hang = true;
  for (int i = 0; i < 5; ++i) f.evidence.ask(f.model, {{"a", AskPrometheus{"1", {}, {}}}});
  f.http.hang = false;
  REQUIRE(f.wait_for(1));
  std::this_thread::sleep_for(20ms);
  CHECK(f.http.sent == 1);
  CHECK(f.wakes == 1);
  f.evidence.ask(f.model, {{"a", AskPrometheus{"1", {}, {}}}});
  CHECK(f.wait_for(2));
}

TEST_CASE("a dead Prometheus holds up neither reads nor the end", "[evidence]") {
  Fixture f;
  f.http.hang = true;
  for (int i = 0; i < 10; ++i)
    f.evidence.ask(f.model, {{"p" + std::to_string(i), AskPrometheus{"1", {}, {}}}});
  f.client.script["get ns/data"] = {configmap("digest", "sha256:1")};
  f.evidence.ask(f.model, {{"c", AskConfigMap{{"ns", "data"}, "digest"}}});
  REQUIRE(f.wait_for(1));
  CHECK(f.answer("c").text == "sha256:1");
}  // the destructor returns although two threads hang

// A query that one tenant wrote once made a Prometheus that works count as dead for all.
TEST_CASE("a query that is too slow is told from a Prometheus that does not answer", "[evidence]") {
  Fixture f;
  f.http.slow_only = true;
  f.evidence.ask(f.model, {{"s", AskPrometheus{"slow", {}, {}}}});
  REQUIRE(f.wait_for(1));
  CHECK_THAT(f.answer("s").value.problem, Contains("did not answer the query in time, but answers others"));
  f.evidence.ask({"other", "m"}, {{"o", AskPrometheus{"1", {}, {}}}});
  REQUIRE(f.wait_for(2));
  CHECK(f.book.of({"other", "m"}).at("o").value.value == Decimal::parse("1"));
}

// Everybody's gates once waited behind those of one namespace, whose servers took requests and never answered.
TEST_CASE("300 web gates that hang in one namespace delay nobody else's", "[evidence]") {
  kube::test::TestServer server([](kube::test::Connection& connection) {
    const auto request = connection.read_request();
    if (!request) return;
    if (request->target == "/hang") return connection.wait_for_client_to_leave();
    connection.write(kube::test::answer(200, "0.25"));
  });
  const auto http = kube::make_plain_curl_transport({});
  FakeClient client;
  std::mutex mutex;
  std::condition_variable woken;
  std::map<std::string, int> answers;  // by namespace
  AnswerBook book([&](const ObjectKey& model) {
    std::lock_guard lock(mutex);
    ++answers[model.ns];
    woken.notify_all();
  });
  EvidenceOptions options;
  options.now = [] { return TimePoint(42s); };
  options.web_access = *WebAccess::parse({"127.0.0.0/8"});
  options.patience = 200ms;
  Evidence evidence(book, *http, client, options);
  const auto ask = [&](const ObjectKey& model, const std::string& id, const std::string& path) {
    evidence.ask(model, {{id, AskWeb{server.url() + path, ""}}});
  };
  const auto wait_for = [&](const std::string& ns, int count) {
    std::unique_lock lock(mutex);
    return woken.wait_for(lock, 30s, [&] { return answers[ns] >= count; });
  };
  for (int model = 0; model < 30; ++model)
    for (int gate = 0; gate < 10; ++gate) ask({"loud", "m" + std::to_string(model)}, "g" + std::to_string(gate), "/hang");
  for (int look = 1; look <= 20; ++look) {  // a gate that is measured again and again
    ask({"quiet", "m"}, "look" + std::to_string(look), "/");
    REQUIRE(wait_for("quiet", look));
    CHECK(book.of({"quiet", "m"}).at("look" + std::to_string(look)).value.value == Decimal::parse("0.25"));
  }
  // All of those that got no turn are told so, while four of them hang on.
  REQUIRE(wait_for("loud", 296));
  const auto told = book.of({"loud", "m29"});
  CHECK_THAT(told.at("g9").value.problem, Contains("overdue: not measured within 200ms") && Contains("namespace loud"));
  CHECK_FALSE(told.at("g9").value.value);
}

TEST_CASE("what gateways can is asked of their classes, and every one must", "[evidence]") {
  Fixture f;
  const std::string feature = "HTTPRouteRequestMirror";
  f.client.script["get gate/a"] = {R"({"spec": {"gatewayClassName": "all"}})"};
  const std::string all = R"({"status": {"supportedFeatures": [{"name": "HTTPRouteRequestMirror"}]}})";
  f.client.script["get all"] = {all.substr(0, 30), all};  // cut on its way: asked again
  f.client.script["get ns/b"] = {R"({"spec": {"gatewayClassName": "some"}})"};
  f.client.script["get some"] = {R"({"status": {"supportedFeatures": [{"name": "HTTPRoute"}]}})"};
  f.evidence.ask(f.model, {{"one", AskGateways{{{"gate", "a"}}, feature}}});
  REQUIRE(f.wait_for(1));
  CHECK(f.answer("one").text == feature);
  f.evidence.ask(f.model, {{"both", AskGateways{{{"gate", "a"}, {"ns", "b"}}, feature}}});
  REQUIRE(f.wait_for(2));
  CHECK_FALSE(f.answer("both").text);
  CHECK(f.answer("both").problem == "Gateway ns/b doesn't offer HTTPRouteRequestMirror: GatewayClass some doesn't list it in status.supportedFeatures");
  f.client.script["get ns/gone"] = {fail(ErrorKind::NotFound, "not found")};
  f.evidence.ask(f.model, {{"none", AskGateways{{{"ns", "gone"}}, feature}}});
  REQUIRE(f.wait_for(3));
  CHECK(f.answer("none").problem == "cannot read Gateway ns/gone: not found");
}

TEST_CASE("an unreachable Prometheus is tried once an ask", "[evidence]") {
  Fixture f;
  f.http.refuse = true;
  f.evidence.ask(f.model, {{"a", AskPrometheus{"1", "2", "3"}}});
  REQUIRE(f.wait_for(1));
  CHECK(f.http.sent == 1);
  CHECK(f.answer("a").samples.problem == "cannot reach Prometheus at http://prom: connect: refused");
}

TEST_CASE("what a Job reported is read from its pods", "[evidence]") {
  Fixture f;
  const std::string list = "list ns batch.kubernetes.io/controller-uid=uid-1";
  f.client.script[list] = {
      list_of({pod("a", "Succeeded", "2026-01-01T00:00:01Z", 0, "{\"kind\":\"RunResult\"}")})};
  f.evidence.ask(f.model, {{"r", AskRunResult{{"ns", "job"}, "uid-1"}}});
  REQUIRE(f.wait_for(1));
  CHECK(f.answer("r").text == "{\"kind\":\"RunResult\"}");
}

TEST_CASE("a ConfigMap that the pod names is read in the Job's namespace", "[evidence]") {
  Fixture f;
  f.client.script["list ns batch.kubernetes.io/controller-uid=uid-1"] = {
      list_of({pod("a", "Succeeded", "2026-01-01T00:00:01Z", 0, "configmap://out/key")})};
  SECTION("it is there") {
    f.client.script["get ns/out"] = {configmap("key", "the result")};
    f.evidence.ask(f.model, {{"r", AskRunResult{{"ns", "job"}, "uid-1"}}});
    REQUIRE(f.wait_for(1));
    CHECK(f.answer("r").text == "the result");
  }
  SECTION("it is not") {
    f.evidence.ask(f.model, {{"r", AskRunResult{{"ns", "job"}, "uid-1"}}});
    REQUIRE(f.wait_for(1));
    CHECK_FALSE(f.answer("r").text);
    CHECK_THAT(
        f.answer("r").problem,
        Contains(
            "names a ConfigMap for its RunResult: cannot read ConfigMap ns/out: \"get ns/out\" not found"));
  }
}

// A run was once declared lost because the API server restarted while its result was read.
TEST_CASE("what passes is waited for, what stays is the answer", "[evidence]") {
  Fixture f;
  f.client.script["get ns/data"] = {fail(ErrorKind::Transport, "connect: refused"),
                                    fail(ErrorKind::ServerError, "500"),
                                    fail(ErrorKind::TooManyRequests, "429"),
                                    fail(ErrorKind::Unauthorized, "401"),
                                    configmap("digest", "sha256:1").substr(0, 20),  // cut: a run was once failed for it
                                    configmap("digest", "sha256:1")};
  f.evidence.ask(f.model, {{"c", AskConfigMap{{"ns", "data"}, "digest"}}});
  REQUIRE(f.wait_for(1));
  CHECK(f.answer("c").text == "sha256:1");
  f.client.script["get ns/closed"] = {fail(ErrorKind::Forbidden, "configmaps \"closed\" is forbidden")};
  f.evidence.ask(f.model, {{"d", AskConfigMap{{"ns", "closed"}, "digest"}}});
  REQUIRE(f.wait_for(2));
  CHECK_THAT(f.answer("d").problem, Contains("is forbidden"));
}

TEST_CASE("a ConfigMap is read whole, and one that is not there is an answer", "[evidence]") {
  Fixture f;
  f.client.script["get ns/settings"] = {Result<std::string>(
      R"({"metadata": {"name": "settings"}, "data": {"a": "1"}, "binaryData": {"b": "AA=="}, "immutable": true})")};
  f.client.script["get ns/empty"] = {Result<std::string>(R"({"metadata": {"name": "empty"}, "data": {}})")};
  f.client.script["get ns/none"] = {fail(ErrorKind::NotFound, "configmaps \"none\" not found")};
  int answers = 0;
  for (const char* name : {"settings", "empty", "none"}) {
    f.evidence.ask(f.model, {{name, AskConfig{{"ns", name}}}});
    REQUIRE(f.wait_for(++answers));
  }
  CHECK(f.answer("settings").text == R"({"binaryData":{"b":"AA=="},"data":{"a":"1"}})");
  CHECK(f.answer("empty").text == "{}");
  CHECK(f.answer("none").text == "null");
}

}  // namespace
}  // namespace mo::evidence
