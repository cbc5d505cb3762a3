// What the client says to the API server, and what it makes of the answers.
#include <catch2/catch.hpp>
#include <deque>
#include <filesystem>
#include <fstream>
#include <future>

#include "kube_test_server.h"
#include "operator/kube/client.h"
#include "operator/kube/credentials.h"

namespace mo::kube::test {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

const std::stop_token never;
const ObjectRef fraud{Kind::Model, {"payments", "fraud"}};

std::string status_json(int code, const std::string& reason, const std::string& message,
                        const std::string& details = "{}") {
  return R"({"kind":"Status","apiVersion":"v1","status":"Failure","message":")" + message +
         R"(","reason":")" + reason + R"(","details":)" + details + R"(,"code":)" + std::to_string(code) +
         "}";
}

// Answers from a list; the last one is repeated.
class FakeTransport final : public HttpTransport {
 public:
  struct Log {
    std::deque<HttpResponse> answers;
    std::vector<HttpRequest> requests;
    std::vector<std::string> lines;
  };
  explicit FakeTransport(std::shared_ptr<Log> log) : log_(std::move(log)) {}
  Result<HttpResponse> send(const HttpRequest& request, std::stop_token) override {
    log_->requests.push_back(request);
    if (log_->answers.empty()) return fail(ErrorKind::Transport, "headers: cut");
    HttpResponse answer = log_->answers.front();
    if (log_->answers.size() > 1) log_->answers.pop_front();
    return answer;
  }
  Result<HttpResponse> stream(const HttpRequest& request, const LineSink& sink,
                              std::stop_token stop) override {
    auto answer = send(request, stop);
    if (!answer || answer->status != 200) return answer;
    for (const auto& line : log_->lines) {
      if (!sink(line)) break;
    }
    return answer;
  }

 private:
  std::shared_ptr<Log> log_;
};

struct Observed {
  std::string verb, plural;
  int status;
};

struct Fixture {
  explicit Fixture(Config config = {}, bool dry_run = false) {
    ClientOptions options;
    options.dry_run = dry_run;
    options.version = "1.2.3";
    options.first_backoff = 1ms;
    options.observer = [this](std::string_view verb, std::string_view plural, int status, double) {
      observed.push_back({std::string(verb), std::string(plural), status});
    };
    config.server = "https://x";
    client =
        make_client(std::make_unique<FakeTransport>(log), std::make_shared<Credentials>(config), options);
  }
  void answers(int status, const std::string& body,
               std::vector<std::pair<std::string, std::string>> headers = {}) {
    log->answers.push_back({status, std::move(headers), body});
  }
  std::string header(const std::string& name) const {
    for (const auto& [key, value] : log->requests.back().headers) {
      if (key == name) return value;
    }
    return "";
  }
  const HttpRequest& last() const { return log->requests.back(); }

  std::shared_ptr<FakeTransport::Log> log = std::make_shared<FakeTransport::Log>();
  std::vector<Observed> observed;
  std::unique_ptr<Client> client;
};

TEST_CASE("each verb as the API server wants it", "[kube][client]") {
  Config config;
  config.token = "secret";
  Fixture f(config);
  f.answers(200, "{}");
  REQUIRE(f.client->get(fraud, never) == "{}");
  CHECK(f.last().method == "GET");
  CHECK(f.last().target == "/apis/modelops.dev/v1alpha1/namespaces/payments/models/fraud");
  CHECK(f.header("Accept") == "application/json");
  CHECK(f.header("User-Agent") == "model-operator/1.2.3");
  CHECK(f.header("Authorization") == "Bearer secret");

  REQUIRE(f.client->apply({Kind::Service, {"payments", "fraud"}}, "{\"a\":1}", true, never));
  CHECK(f.last().method == "PATCH");
  CHECK(f.last().target ==
        "/api/v1/namespaces/payments/services/"
        "fraud?fieldManager=model-operator&force=true&fieldValidation=Strict");
  CHECK(f.header("Content-Type") == "application/apply-patch+yaml");
  CHECK(f.last().body == "{\"a\":1}");
  REQUIRE(f.client->apply(fraud, "{}", false, never));
  CHECK_THAT(f.last().target, Catch::Contains("force=false"));

  REQUIRE(f.client->merge_patch({Kind::Deployment, {"payments", "fraud"}}, "{}", "scale", never));
  CHECK(f.last().target ==
        "/apis/apps/v1/namespaces/payments/deployments/fraud/scale?fieldManager=model-operator");
  CHECK(f.header("Content-Type") == "application/merge-patch+json");

  REQUIRE(f.client->put(fraud, "{}", "status", never));
  CHECK(f.last().method == "PUT");
  CHECK_THAT(f.last().target, Catch::EndsWith("/models/fraud/status?fieldManager=model-operator&fieldValidation=Ignore"));

  REQUIRE(f.client->post(Kind::Job, "payments", "{}", never));
  CHECK(f.last().method == "POST");
  CHECK_THAT(f.last().target,
             Catch::StartsWith("/apis/batch/v1/namespaces/payments/jobs?fieldManager=model-operator"));

  REQUIRE(f.client->remove(fraud, "uid-1", "7", never));
  CHECK(f.last().method == "DELETE");
  CHECK_THAT(f.last().body,
             Catch::Contains("\"propagationPolicy\":\"Background\"") &&
                 Catch::Contains("\"preconditions\":{\"uid\":\"uid-1\",\"resourceVersion\":\"7\"}"));
  REQUIRE(f.client->remove(fraud, "", "", never));
  CHECK_THAT(f.last().body, !Catch::Contains("preconditions"));
}

TEST_CASE("a dry run asks for one with each write, and a read does not", "[kube][client]") {
  Fixture f({}, true);
  f.answers(200, "{}");
  REQUIRE(f.client->get(fraud, never));
  CHECK_THAT(f.last().target, !Catch::Contains("dryRun"));
  REQUIRE(f.client->apply(fraud, "{}", true, never));
  CHECK_THAT(f.last().target, Catch::Contains("&dryRun=All&"));
  REQUIRE(f.client->merge_patch(fraud, "{}", "", never));
  CHECK_THAT(f.last().target, Catch::EndsWith("/fraud?fieldManager=model-operator&dryRun=All"));
  REQUIRE(f.client->put(fraud, "{}", "", never));
  CHECK_THAT(f.last().target, Catch::EndsWith("&dryRun=All"));
  REQUIRE(f.client->post(Kind::Job, "payments", "{}", never));
  CHECK_THAT(f.last().target, Catch::Contains("&dryRun=All&"));
  REQUIRE(f.client->remove(fraud, "", "", never));
  CHECK_THAT(f.last().target, Catch::EndsWith("/fraud?dryRun=All"));
}

TEST_CASE("whom the API server is to take us for", "[kube][client]") {
  Config config;
  config.impersonate = {"jane", "7", {"dev", "on call"}, {{"scopes/a", "x"}, {"scopes/a", "y"}}};
  Fixture f(config);
  f.answers(200, "{}");
  REQUIRE(f.client->get(fraud, never));
  std::vector<std::string> sent;
  for (const auto& [name, value] : f.last().headers)
    if (name.starts_with("Impersonate-")) sent.push_back(name.substr(12) + "=" + value);
  CHECK(sent == std::vector<std::string>{"User=jane", "Uid=7", "Group=dev", "Group=on call", "Extra-scopes%2Fa=x",
                                         "Extra-scopes%2Fa=y"});
}

TEST_CASE("no name leads to another path", "[kube][client]") {
  Fixture f;
  f.answers(200, "{}");
  const ListOptions up{"..", {}, {}, {}, {}, {}, 0, false};
  CHECK(f.client->list(Kind::Model, up, never).error().kind == ErrorKind::Invalid);
  WatchOptions watch;
  watch.ns = ".";
  CHECK(f.client->watch(Kind::Model, watch, [](auto) { return true; }, never).error().kind == ErrorKind::Invalid);
  CHECK(f.client->post(Kind::Job, "..", "{}", never).error().kind == ErrorKind::Invalid);
  CHECK(f.client->get({Kind::Model, {"..", "fraud"}}, never).error().kind == ErrorKind::Invalid);
  CHECK(f.client->get({Kind::Model, {"a", ".."}}, never).error().kind == ErrorKind::Invalid);
  CHECK(f.log->requests.empty());
  REQUIRE(f.client->get({Kind::Model, {"a/b", "x?y#z /é"}}, never));
  CHECK(f.last().target == "/apis/modelops.dev/v1alpha1/namespaces/a%2Fb/models/x%3Fy%23z%20%2F%C3%A9");
  REQUIRE(f.client->get_raw("/api/v1/namespaces?limit=5", never));
  CHECK(f.last().target == "/api/v1/namespaces?limit=5");
}

TEST_CASE("lists and watches say what they want", "[kube][client]") {
  Fixture f;
  f.answers(200, "{}");
  ListOptions list;
  list.label_selector = "a=b,c in (d,e)";
  list.field_selector = "metadata.name=x";
  list.resource_version = "0";
  list.resource_version_match = "NotOlderThan";
  list.continue_token = "abc==";
  list.limit = 500;
  list.metadata_only = true;
  REQUIRE(f.client->list(Kind::Pod, list, never));
  CHECK(f.last().target ==
        "/api/v1/"
        "pods?labelSelector=a%3Db%2Cc%20in%20%28d%2Ce%29&fieldSelector=metadata.name%3Dx&resourceVersion=0&"
        "resourceVersionMatch=NotOlderThan&continue=abc%3D%3D&limit=500");
  CHECK(f.header("Accept") == "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
  list = {};
  list.ns = "payments";
  REQUIRE(f.client->list(Kind::Pod, list, never));
  CHECK(f.last().target == "/api/v1/namespaces/payments/pods");

  f.log->lines = {"{\"type\":\"ADDED\"}", "{\"type\":\"BOOKMARK\"}"};
  WatchOptions watch;
  watch.send_initial_events = true;
  watch.metadata_only = true;
  watch.timeout = 400s;
  watch.idle_deadline = 70s;
  std::vector<std::string> lines;
  const LineSink sink = [&](std::string_view line) { return lines.emplace_back(line), true; };
  REQUIRE(f.client->watch(Kind::ModelRuntime, watch, sink, never));
  CHECK(lines == f.log->lines);
  CHECK(
      f.last().target ==
      "/apis/modelops.dev/v1alpha1/modelruntimes?watch=true&allowWatchBookmarks=true&sendInitialEvents=true&"
      "resourceVersionMatch=NotOlderThan&timeoutSeconds=400");
  CHECK(f.header("Accept") == "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
  CHECK(f.last().idle_deadline == 70s);
  watch = {};
  watch.resource_version = "42";
  REQUIRE(f.client->watch(Kind::Pod, watch, sink, never));
  CHECK_THAT(f.last().target, Catch::Contains("resourceVersion=42") && !Catch::Contains("sendInitialEvents"));
  CHECK(f.observed.back().verb == "watch");
  CHECK(f.observed.back().plural == "pods");
}

TEST_CASE("a name that would make another path is refused", "[kube][client]") {
  Fixture f;
  f.answers(200, "{}");
  for (const ObjectKey& key : {ObjectKey{"payments", ""}, {"", "fraud"}, {"payments", ".."}, {"..", "x"}}) {
    CHECK(f.client->remove({Kind::Model, key}, "", "", never).error().kind == ErrorKind::Invalid);
  }
  CHECK(f.log->requests.empty());
  REQUIRE(f.client->get({Kind::Model, {"payments", "a/b?c#d"}}, never));
  CHECK_THAT(f.last().target, Catch::EndsWith("/models/a%2Fb%3Fc%23d"));
}

TEST_CASE("errors carry the API server's own words", "[kube][client]") {
  const auto error = [](int status, const std::string& reason) {
    return error_of({status, {}, status_json(status, reason, "the server's \\\"words\\\"")});
  };
  CHECK(error(404, "NotFound").kind == ErrorKind::NotFound);
  CHECK(error(404, "NotFound").message == "the server's \"words\"");
  CHECK(error(404, "NotFound").http_status == 404);
  CHECK(error(409, "Conflict").kind == ErrorKind::Conflict);
  CHECK(error(409, "AlreadyExists").kind == ErrorKind::AlreadyExists);
  CHECK(error(409, "AlreadyExists").reason == "AlreadyExists");
  CHECK(error(410, "Expired").kind == ErrorKind::Gone);
  CHECK(error(403, "Forbidden").kind == ErrorKind::Forbidden);
  CHECK(error(401, "Unauthorized").kind == ErrorKind::Unauthorized);
  CHECK(error(400, "BadRequest").kind == ErrorKind::Invalid);
  CHECK(error(422, "Invalid").kind == ErrorKind::Invalid);
  CHECK(error(415, "UnsupportedMediaType").kind == ErrorKind::Invalid);
  CHECK(error(429, "TooManyRequests").kind == ErrorKind::TooManyRequests);
  CHECK(error(504, "Timeout").kind == ErrorKind::ServerError);
  CHECK(error(302, "").kind == ErrorKind::Malformed);
  // What it says to a patch whose UID is not the object's any more.
  CHECK(error_of({422,
                  {},
                  status_json(422, "Invalid", "field is immutable",
                              R"({"causes":[{"reason":"FieldValueInvalid","field":"metadata.uid"}]})")})
            .kind == ErrorKind::Conflict);
  // What kube-apiserver 1.36 says to an apply with an unknown field: not a server error, a retry changes
  // nothing.
  CHECK(error_of({500,
                  {},
                  status_json(500, "",
                              "failed to create typed patch object (/x; /v1, Kind=ConfigMap): .dtaa: field "
                              "not declared in schema")})
            .kind == ErrorKind::Invalid);
}

TEST_CASE("Retry-After from the header or the details", "[kube][client]") {
  const std::string body = status_json(429, "TooManyRequests", "slow down", "{\"retryAfterSeconds\":7}");
  CHECK(error_of({429, {}, body}).retry_after == 7s);
  CHECK(error_of({429, {{"retry-after", "3"}}, body}).retry_after == 3s);
  CHECK(error_of({429, {{"retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"}}, "{}"}).retry_after ==
        std::nullopt);
  CHECK(error_of({429, {{"retry-after", "-1"}}, "{}"}).retry_after == std::nullopt);
  CHECK(error_of({429, {{"retry-after", "99999999"}}, "{}"}).retry_after == 3600s);
}

TEST_CASE("bodies that are no Status become one bounded line", "[kube][client]") {
  CHECK(error_of({502, {}, "<html>\n<h1>502 Bad Gateway</h1>\n</html>"}).message ==
        "HTTP 502: 502 Bad Gateway");
  CHECK(error_of({500, {}, ""}).message == "HTTP 500");
  CHECK(error_of({500, {}, std::string(1000, 'x')}).message.size() < 400);
  CHECK(error_of({500, {}, "{\"kind\":\"Status\",\"message\":7}"}).message.starts_with("HTTP 500: "));
  CHECK(error_of({404, {}, "404 page not found\n"}).message == "HTTP 404: 404 page not found");
  CHECK(error_of({500, {}, std::string(60'000, '[')}).message.size() < 400);  // deep nesting
  CHECK(error_of({500, {}, "{\"kind\":\"Status\",\"message\":\"cut"}).kind == ErrorKind::ServerError);
}

// What is refused is shown in status: nlohmann's dump() threw at half a character, or at a proxy's Latin-1, in every reconcile.
TEST_CASE("what an error says is UTF-8, wherever it is cut and whoever wrote it", "[kube][client]") {
  std::string accents;
  for (int i = 0; i < 10'000; ++i) accents += "\u00e9";
  const std::string cut = error_of({422, {}, status_json(422, "Invalid", "x" + accents)}).message;
  CHECK(cut == "x" + accents.substr(0, cut.size() - 1));
  CHECK(cut.size() % 2 == 1);  // whole characters
  CHECK(cut.size() > 16'000);
  CHECK(error_of({422, {}, status_json(422, "Invalid", "caf\xe9")}).message == "caf?");
  CHECK(error_of({400, {}, "caf\xe9"}).message == "HTTP 400: caf?");
}

TEST_CASE("GETs are repeated when the server asks for it, writes never", "[kube][client]") {
  const int status = GENERATE(429, 500, 503, 504);
  {
    Fixture f;
    f.answers(status, "busy");
    f.answers(status, "busy", {{"retry-after", "0"}});
    f.answers(200, "{}");
    CHECK(f.client->get(fraud, never) == "{}");
    CHECK(f.log->requests.size() == 3);
    CHECK(f.observed.size() == 3);
    CHECK(f.observed[0].status == status);
  }
  {
    Fixture f;
    f.answers(status, "busy");
    const auto answer = f.client->list(Kind::Pod, {}, never);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().http_status == status);
    CHECK(f.log->requests.size() == 4);
  }
  {
    Fixture f;
    f.answers(status, "busy", {{"retry-after", "60"}});
    CHECK(f.client->get(fraud, never).error().retry_after == 60s);  // too long to sit here
    CHECK(f.log->requests.size() == 1);
  }
  Fixture f;
  f.answers(status, "busy", {{"retry-after", "1"}});
  CHECK(f.client->apply(fraud, "{}", true, never).error().retry_after == 1s);
  CHECK_FALSE(f.client->post(Kind::Job, "x", "{}", never));
  CHECK_FALSE(f.client->remove(fraud, "", "", never));
  CHECK_FALSE(f.client->watch(
      Kind::Pod, {}, [](std::string_view) { return true; }, never));
  CHECK(f.log->requests.size() == 4);
}

TEST_CASE("GETs are not repeated after other errors, and a wait ends when asked", "[kube][client]") {
  Fixture f;
  f.answers(404, "");
  CHECK_FALSE(f.client->get(fraud, never));
  CHECK(f.log->requests.size() == 1);
  Fixture waiting;
  waiting.answers(503, "", {{"retry-after", "9"}});
  std::stop_source stop;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(50ms);
    stop.request_stop();
  });
  const auto start = steady_clock::now();
  CHECK(waiting.client->get(fraud, stop.get_token()).error().kind == ErrorKind::Cancelled);
  CHECK(steady_clock::now() - start < 9s);  // sooner than it would have asked again
}

TEST_CASE("no answer names the call and is counted as status 0", "[kube][client]") {
  Fixture f;
  const auto answer = f.client->post(Kind::Job, "x", "{}", never);
  REQUIRE_FALSE(answer);
  CHECK(answer.error().message == "post jobs: headers: cut");
  CHECK(f.observed.at(0).status == 0);
  CHECK(f.log->requests.size() == 1);
}

TEST_CASE("a 401 reads the credentials again and repeats any verb once", "[kube][client]") {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("kube-token-" + std::to_string(::getpid()));
  std::ofstream(file) << "old";
  Config config;
  config.token_file = file;
  TestServer server(replies([&](const ReceivedRequest& r) {
    if (r.headers.at("authorization") == "Bearer new") return answer(201, "{}");
    std::ofstream(file) << "new";
    return answer(401, status_json(401, "Unauthorized", "Unauthorized"));
  }));
  config.server = server.url();
  auto credentials = std::make_shared<Credentials>(config);
  auto client = make_client(make_curl_transport(credentials), credentials);
  CHECK(client->post(Kind::Job, "x", "{\"once\":true}", never));
  CHECK(server.requests().size() == 2);
  CHECK(client->get(fraud, never));
  CHECK(server.requests().size() == 3);
  std::filesystem::remove(file);

  Fixture fixed([] {
    Config with_token;
    with_token.token = "x";
    return with_token;
  }());
  fixed.answers(401, "");
  CHECK(fixed.client->get(fraud, never).error().kind == ErrorKind::Unauthorized);
  CHECK(fixed.log->requests.size() == 1);  // nothing that could change
}

// Each watch once noticed by itself, and up to half a minute late, that there is another token.
TEST_CASE("who was refused goes on as soon as there are other credentials, or others are let in", "[kube][client]") {
  const std::filesystem::path file = std::filesystem::temp_directory_path() / ("kube-token-await-" + std::to_string(::getpid()));
  std::ofstream(file) << "old";
  Config config;
  config.token_file = file;
  Fixture f(config);
  f.answers(401, "");
  REQUIRE(f.client->get(fraud, never).error().kind == ErrorKind::Unauthorized);
  const auto asked = f.log->requests.size();
  std::stop_source end;  // nobody waits for an hour if this fails
  std::vector<std::future<void>> waiting;
  for (int i = 0; i < 3; ++i)
    waiting.push_back(std::async(std::launch::async, [&] { f.client->await_credentials(std::chrono::hours(1), end.get_token()); }));
  const auto all_go_on = [&] {
    bool all = true;
    for (auto& one : waiting) all = one.wait_for(30s) == std::future_status::ready && all;
    end.request_stop();
    return all;
  };
  SECTION("a token was replaced") {
    std::ofstream(file, std::ios::trunc) << "new";
    CHECK(all_go_on());
    CHECK(f.log->requests.size() == asked);  // nobody had to try
  }
  SECTION("the same token is good again") {
    f.log->answers = {HttpResponse{200, {}, "{}"}};
    REQUIRE(f.client->get(fraud, never));
    CHECK(all_go_on());
  }
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace mo::kube::test
