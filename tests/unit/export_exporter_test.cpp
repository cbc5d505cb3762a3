// That each ModelAudit reaches the sink once, in its order, whatever fails, and that nothing else waits for one that does not.
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>
#include <thread>

#include "operator/api/parse.h"
#include "operator/export/exporter.h"
#include "operator/json/json.h"
#include "tests/unit/runtime_fake_client.h"
#include "tests/unit/temp_dir.h"

using namespace mo;
using namespace mo::audit;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

const TimePoint kAt = *parse_time("2026-11-30T12:00:00Z");
constexpr ExporterOptions kFast{1ms, 1ms, 4ms, 3'600'000ms};

Batch batch(const std::string& lines, const std::string& id = "u") { return {id, "pay/m/uid-m/000000000001-000000000002", lines}; }

void wait_for(const std::function<bool()>& holds) {
  const auto hung = std::chrono::steady_clock::now() + 60s;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > hung) FAIL("what is waited for does not come");
    std::this_thread::sleep_for(1ms);
  }
}

// What a sink got, and what it answers.
struct Got {
  std::mutex mutex;
  std::vector<std::string> texts, paths;
  std::function<Result<void>(const std::string& lines)> answer = [](const auto&) { return Result<void>(); };
  std::vector<std::string> all() {
    std::lock_guard lock(mutex);
    return texts;
  }
};

class FakeSink final : public Sink {
 public:
  explicit FakeSink(Got& got) : got_(got) {}
  Result<void> write(const Batch& batch, std::stop_token) override {
    std::lock_guard lock(got_.mutex);
    if (auto done = got_.answer(batch.lines); !done) return done;
    got_.texts.push_back(batch.lines);
    got_.paths.push_back(batch.path);
    return {};
  }

 private:
  Got& got_;
};

// An API server of ModelAudits, of which the store is what a watch told.
struct World {
  Store<api::ModelAudit> store;
  FakeClient client;
  Got got;
  std::mutex mutex;
  std::map<std::string, Json> objects;
  bool marks = true, tells = true;  // whether annotations are taken, and whether the watch tells of them

  World() {
    client.answer = [this](const FakeClient::Call& call) -> Result<std::string> {
      std::lock_guard lock(mutex);
      const auto found = objects.find(call.ref.key.name);
      if (found == objects.end()) return fail(ErrorKind::NotFound, "gone");
      if (call.verb == "get") return found->second.dump();
      if (!marks) return fail(ErrorKind::Forbidden, "may not patch");
      found->second["metadata"]["annotations"].update(Json::parse(call.body)["metadata"]["annotations"]);
      found->second["metadata"]["resourceVersion"] = std::to_string(std::stoi(found->second["metadata"]["resourceVersion"].get<std::string>()) + 1000);
      if (tells) store.upsert(*api::parse<api::ModelAudit>(found->second.dump()));
      return found->second.dump();
    };
  }

  void seal(const std::string& model, int first, int last, int minute, const std::string& installation = "") {
    const std::string name = model + "-" + std::string(6 - std::to_string(last).size(), '0') + std::to_string(last) + "-abc";
    std::vector<std::string> records;
    for (int i = first; i <= last; ++i) records.push_back("{\"seq\":" + std::to_string(i) + ",\"model\":\"" + model + "\"}");
    Json object = {{"metadata",
                    {{"name", name}, {"namespace", "pay"}, {"uid", "uid-" + name}, {"resourceVersion", std::to_string(objects.size() + 1)},
                     {"creationTimestamp", format_time(kAt + std::chrono::minutes(minute))}, {"labels", {{"modelops.dev/model", model}}}}},
                   {"spec", {{"model", {{"name", model}, {"uid", "u-" + model}}}, {"first", first}, {"last", last}, {"head", "sha256:h"}, {"records", records}}}};
    if (!installation.empty()) object["metadata"]["annotations"] = {{"modelops.dev/installation", installation}};
    std::lock_guard lock(mutex);
    store.upsert(*api::parse<api::ModelAudit>(object.dump()));
    objects[name] = std::move(object);
  }

  std::unique_ptr<Exporter> exporter(std::function<bool(const ObjectKey&)> ours = [](const auto&) { return true; }, ExporterOptions options = kFast) {
    return std::make_unique<Exporter>(client, store, std::make_unique<FakeSink>(got), Claim{"ops/here", std::move(ours)}, [] { return kAt; }, options);
  }
  size_t marked() {
    size_t count = 0;
    std::lock_guard lock(mutex);
    for (const auto& [name, object] : objects) count += object["metadata"].value("annotations", Json::object()).contains("modelops.dev/exported");
    return count;
  }
};

}  // namespace

TEST_CASE("records go out as they are, trail by trail in their order, each ModelAudit once", "[export]") {
  World w;
  w.seal("b", 3, 4, 1);
  w.seal("a", 1, 2, 0);
  w.seal("b", 1, 2, 0);
  w.seal("other", 1, 1, 0);
  const auto exporter = w.exporter([](const ObjectKey& model) { return model.name != "other"; });
  CHECK(exporter->counts().waiting == 3);
  std::jthread thread([&](std::stop_token stop) { exporter->run(stop); });
  wait_for([&] { return w.marked() == 3; });
  wait_for([&] { return exporter->counts().waiting == 0; });
  const auto texts = w.got.all();
  REQUIRE(texts.size() == 3);
  CHECK(texts[0] == "{\"seq\":1,\"model\":\"a\"}\n{\"seq\":2,\"model\":\"a\"}\n"
                    "{\"checkpoint\":{\"head\":\"sha256:h\",\"model\":\"pay/a\",\"seq\":2,\"uid\":\"u-a\"}}\n");
  CHECK_THAT(texts[1], Contains("\"seq\":1,\"model\":\"b\""));
  CHECK_THAT(texts[2], Contains("\"seq\":3,\"model\":\"b\""));
  CHECK(w.objects["b-000004-abc"]["metadata"]["annotations"]["modelops.dev/exported"] == "2026-11-30T12:00:00Z u-b 3 4 sha256:h");
  CHECK(exporter->counts().records == 6);
  CHECK(w.got.paths == std::vector<std::string>{"pay/a/u-a/000000000001-000000000002", "pay/b/u-b/000000000001-000000000002", "pay/b/u-b/000000000003-000000000004"});
}

TEST_CASE("a sink that is away, or a trail that it refuses, loses nothing and holds up nobody else", "[export]") {
  World w;
  w.seal("a", 1, 2, 0);
  w.seal("a", 3, 4, 1);
  w.seal("b", 1, 2, 2);
  SECTION("away") {
    int left = 5;
    w.got.answer = [&](const auto&) -> Result<void> {
      if (left-- > 0) return fail(ErrorKind::Transport, "connection refused");
      return {};
    };
    const auto exporter = w.exporter();
    std::jthread thread([&](std::stop_token stop) { exporter->run(stop); });
    wait_for([&] { return w.marked() == 3; });
    CHECK(exporter->counts().failed == 5);
    CHECK(w.got.all().size() == 3);
  }
  SECTION("refused") {
    w.got.answer = [&](const std::string& lines) -> Result<void> {
      if (lines.find("\"model\":\"a\"") != std::string::npos) return fail(ErrorKind::Invalid, "HTTP 413");
      return {};
    };
    const auto exporter = w.exporter();
    std::jthread thread([&](std::stop_token stop) { exporter->run(stop); });
    wait_for([&] { return w.marked() == 1; });
    wait_for([&] { return exporter->counts().waiting == 2; });
    CHECK(exporter->counts().refused == 1);  // and the one after it was not tried
    CHECK(exporter->counts().oldest == kAt);
  }
}

TEST_CASE("one ModelAudit with which nothing passes holds up no other Model, and a sink that is back is told from that", "[export]") {
  World w;
  w.seal("a", 1, 2, 0);
  w.seal("b", 1, 2, 1);
  w.seal("a", 3, 4, 2);
  w.got.answer = [&](const std::string& lines) -> Result<void> {
    if (lines.find("{\"seq\":1,\"model\":\"a\"}") == 0) return fail(ErrorKind::Transport, "headers: the server closed the connection");
    return {};
  };
  const auto exporter = w.exporter([](const auto&) { return true; }, {1ms, 1ms, 4ms, 8ms});
  std::jthread thread([&](std::stop_token stop) { exporter->run(stop); });
  wait_for([&] { return w.marked() == 1; });
  for (int i = 1; i <= 3; ++i) {  // however long it lasts
    w.seal("c" + std::to_string(i), 1, 1, 2 + i);
    wait_for([&] { return w.marked() == 1 + static_cast<size_t>(i); });
  }
  CHECK(exporter->counts().waiting == 2);  // both of a, in their order
  {
    std::lock_guard lock(w.got.mutex);
    w.got.answer = [](const auto&) { return Result<void>(); };
  }
  wait_for([&] { return w.marked() == 6; });
  const auto texts = w.got.all();
  CHECK_THAT(texts[texts.size() - 2], Contains("\"seq\":1,\"model\":\"a\""));
  CHECK_THAT(texts.back(), Contains("\"seq\":3,\"model\":\"a\""));
}

// Waits of the time in which nothing passed at all had doubled on, up to ten minutes.
TEST_CASE("a sink that was away for long is tried again as often as before", "[export]") {
  World w;
  w.seal("a", 1, 2, 0);
  int left = 14;  // doubled, they would last for minutes
  w.got.answer = [&](const std::string&) -> Result<void> { return --left > 0 ? fail(ErrorKind::Transport, "connection refused") : Result<void>(); };
  const auto exporter = w.exporter([](const auto&) { return true; }, {1ms, 1ms, 40ms, 3'600'000ms});
  std::jthread thread([&](std::stop_token stop) { exporter->run(stop); });
  wait_for([&] { return w.marked() == 1; });
}

TEST_CASE("a ModelAudit is exported by the installation that made it, whatever becomes of its Model", "[export]") {
  api::ModelAudit audit;
  audit.meta.key = {"pay", "m-000004-abc"};
  audit.meta.created = kAt;
  audit.model = "m";
  bool handles = false;
  const Claim here{"ops/here", [&](const ObjectKey&) { return handles; }};
  const auto claimed = [&](Duration later) { return claims(here, audit, kAt + later, 1h); };
  CHECK_FALSE(claimed(0s));
  audit.installation = "ops/here";
  CHECK(claimed(0s));  // its Model is gone, or of another class by now
  handles = true;
  audit.installation = "ops/there";
  CHECK_FALSE(claimed(59min));  // the other is about to
  CHECK(claimed(1h));           // it is no more, and the Model is handled here
  handles = false;
  CHECK_FALSE(claimed(1h));
  audit.installation.clear();  // made by an operator that did not say so
  CHECK_FALSE(claimed(0s));
  handles = true;
  CHECK(claimed(0s));

  World w;
  w.seal("gone", 1, 2, 0, "ops/here");
  w.seal("others", 1, 2, 0, "ops/there");
  const auto exporter = w.exporter([](const auto&) { return false; });
  std::jthread thread([&](std::stop_token stop) { exporter->run(stop); });
  wait_for([&] { return w.marked() == 1; });
  CHECK(exporter->counts().waiting == 0);
}

TEST_CASE("what has arrived is not sent again, though it cannot be marked, or the watch is late; after a crash it may be", "[export]") {
  World w;
  w.seal("a", 1, 2, 0);
  SECTION("no right to mark") {
    w.marks = false;
    ExporterOptions often = kFast;
    often.refused_retry = 5ms;
    const auto exporter = w.exporter([](const auto&) { return true; }, often);
    std::jthread thread([&](std::stop_token stop) { exporter->run(stop); });
    wait_for([&] { return exporter->counts().refused >= 3; });
    CHECK(w.got.all().size() == 1);
    // The rights of one namespace hold up nobody else's records.
    w.seal("b", 1, 1, 1);
    wait_for([&] { return w.got.all().size() == 2; });
    {
      std::lock_guard lock(w.mutex);
      w.marks = true;
    }
    wait_for([&] { return w.marked() == 2; });
    CHECK(w.got.all().size() == 2);
  }
  SECTION("a late watch") {
    w.tells = false;
    const auto exporter = w.exporter();
    std::jthread thread([&](std::stop_token stop) { exporter->run(stop); });
    wait_for([&] { return w.client.calls().size() >= 6; });
    CHECK(w.got.all().size() == 1);
  }
  SECTION("another process") {
    w.marks = false;
    for (size_t i = 1; i <= 2; ++i) {
      const auto exporter = w.exporter();
      std::jthread thread([&](std::stop_token stop) { exporter->run(stop); });
      wait_for([&] { return w.got.all().size() == i; });
    }
    CHECK(w.got.all()[0] == w.got.all()[1]);
  }
}

TEST_CASE("a file gets whole lines, and a web address a token and a key", "[export]") {
  TempDir folder;
  const std::string path = folder.path / "audit.jsonl", token = folder.path / "token";
  struct Web final : kube::HttpTransport {
    int status = 200;
    kube::HttpRequest last;
    Result<kube::HttpResponse> send(const kube::HttpRequest& request, std::stop_token) override {
      last = request;
      return kube::HttpResponse{status, {}, "why\nmore"};
    }
    Result<kube::HttpResponse> stream(const kube::HttpRequest& request, const kube::LineSink&, std::stop_token stop) override { return send(request, stop); }
  } web;
  const auto text_of = [&] {
    std::ifstream file(path);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const auto file = make_sink({"file:" + path, "", ""}, web);
  REQUIRE(file);
  REQUIRE((*file)->write(batch("one\ntwo\n"), {}));
  std::ofstream(path, std::ios::app) << "thr";  // a crash
  REQUIRE((*file)->write(batch("three\n"), {}));
  CHECK(text_of() == "one\ntwo\nthree\n");
  CHECK((*make_sink({"file:" + (folder.path / "none" / "a").string(), "", ""}, web))->write(batch("x\n"), {}).error().kind == ErrorKind::Transport);
  CHECK((*make_sink({"file:/dev/full", "", ""}, web))->write(batch("x\n"), {}).error().kind == ErrorKind::Transport);

  std::ofstream(token) << "s3cret\n";
  const auto sink = make_sink({"https://bus.example/audit", token, ""}, web);
  REQUIRE(sink);
  REQUIRE((*sink)->write(batch("one\n", "uid-1"), {}));
  CHECK(web.last.body == "one\n");
  const auto has = [&](const std::string& name, const std::string& value) {
    return std::count(web.last.headers.begin(), web.last.headers.end(), std::pair(name, value)) == 1;
  };
  CHECK((has("Authorization", "Bearer s3cret") && has("Idempotency-Key", "uid-1") && has("Content-Type", "application/x-ndjson")));
  for (const auto& [status, kind] : {std::pair(413, ErrorKind::Invalid), std::pair(400, ErrorKind::Invalid), std::pair(401, ErrorKind::ServerError),
                                     std::pair(404, ErrorKind::ServerError), std::pair(429, ErrorKind::ServerError), std::pair(503, ErrorKind::ServerError)}) {
    web.status = status;
    const auto done = (*sink)->write(batch("x\n"), {});
    REQUIRE_FALSE(done);
    CHECK(done.error().kind == kind);
    CHECK(done.error().message == "it answered HTTP " + std::to_string(status) + ": why");
  }
  std::ofstream(token, std::ios::trunc) << "";
  CHECK((*sink)->write(batch("x\n"), {}).error().kind == ErrorKind::Transport);
  for (const char* bad : {"", "std", "file:", "https://", "/var/log"}) CHECK_FALSE(make_sink({bad, "", ""}, web));
  for (const char* bad : {"stdout", "file:/tmp/a", "http://bus.example/audit"}) CHECK_FALSE(make_sink({bad, token, ""}, web));
  CHECK_FALSE(make_sink({"stdout", "", folder.path.string()}, web));
}

TEST_CASE("a bucket gets an object for each ModelAudit, signed, and none is written over", "[export][s3]") {
  TempDir folder;
  const auto secret = [&](const char* key, const std::string& value) { std::ofstream(folder.path / key, std::ios::trunc) << value; };
  struct Store final : kube::HttpTransport {
    kube::HttpResponse answer{200, {}, ""};
    std::optional<Error> broken;
    kube::HttpRequest last;
    Result<kube::HttpResponse> send(const kube::HttpRequest& request, std::stop_token) override {
      last = request;
      if (broken) return fail(*broken);
      return answer;
    }
    Result<kube::HttpResponse> stream(const kube::HttpRequest& request, const kube::LineSink&, std::stop_token stop) override { return send(request, stop); }
    std::string header(const std::string& name) const {
      for (const auto& [n, value] : last.headers)
        if (n == name) return value;
      return "";
    }
  } store;
  const auto make = [&](const std::string& where) { return make_sink({where, "", folder.path.string()}, store); };

  CHECK_THAT(make("s3://audit/prod").error().message, Contains("needs keys: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"));
  secret("AWS_ACCESS_KEY_ID", "id\n");
  CHECK_THAT(make("s3://audit/prod").error().message, Contains("the key AWS_SECRET_ACCESS_KEY in " + folder.path.string() + " is missing"));
  secret("AWS_SECRET_ACCESS_KEY", "topsecret\n");
  secret("AWS_ENDPOINT_URL", "http://seaweed:8333");
  secret("AWS_REGION", "eu-central-1");
  for (const char* bad : {"s3://", "s3://a", "s3://Audit", "s3://au..dit", "s3://audit/../x", "s3://audit//x", "s3://audit/a?b", "s3://audit/a b", "s3://au_dit/x"}) {
    INFO(bad);
    const auto sink = make(bad);
    REQUIRE_FALSE(sink);
    CHECK_THAT(sink.error().message, Contains("must be s3://BUCKET or s3://BUCKET/PREFIX"));
  }

  const auto sink = make("s3://audit/prod/");
  REQUIRE(sink);
  REQUIRE((*sink)->write(batch("one\n"), {}));
  CHECK(store.last.method == "PUT");
  // sha256 of "one\n"
  const std::string hash = "2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806";
  CHECK(store.last.target == "http://seaweed:8333/audit/prod/pay/m/uid-m/000000000001-000000000002-" + hash.substr(0, 16) + ".jsonl");
  CHECK(store.last.body == "one\n");
  REQUIRE(store.last.sign);
  CHECK((store.last.sign->id == "id" && store.last.sign->secret == "topsecret" && store.last.sign->region == "eu-central-1"));
  CHECK((store.header("If-None-Match") == "*" && store.header("x-amz-content-sha256") == hash && store.header("Content-Type") == "application/x-ndjson"));
  CHECK(store.header("x-amz-checksum-sha256") == "LIsI2lzmA5jh8Zrw5dzMdE3ydLgmq+WF6rpoxSVDSAY=");
  // Keys may change, and are read again.
  secret("AWS_SESSION_TOKEN", "temporary");
  REQUIRE((*sink)->write(batch("one\n"), {}));
  CHECK(store.header("x-amz-security-token") == "temporary");

  const auto error = [](const std::string& code) { return "<Error><Code>" + code + "</Code></Error>"; };
  store.answer = {412, {}, error("PreconditionFailed")};
  CHECK((*sink)->write(batch("one\n"), {}));  // it is there: from before a crash
  struct Row {
    int status;
    const char* code;
    ErrorKind kind;
    const char* words;
  };
  for (const Row& row : {Row{403, "AccessDenied", ErrorKind::ServerError, "allow s3:PutObject, or change --audit-export-credentials"},
                         Row{403, "SignatureDoesNotMatch", ErrorKind::ServerError, "the store does not know these keys"},
                         Row{404, "NoSuchBucket", ErrorKind::ServerError, "bucket \"audit\" does not exist; check --audit-export, and"},
                         Row{503, "SlowDown", ErrorKind::ServerError, "the store refuses to write key \"prod/pay/m/uid-m/"},
                         Row{400, "EntityTooLarge", ErrorKind::Invalid, "the store refuses to write"}, Row{413, "", ErrorKind::Invalid, ""}}) {
    INFO(row.code);
    store.answer = {row.status, {}, error(row.code)};
    const auto done = (*sink)->write(batch("x\n"), {});
    REQUIRE_FALSE(done);
    CHECK(done.error().kind == row.kind);
    CHECK_THAT(done.error().message, Contains(row.words) && !Contains("topsecret"));
  }
  store.broken = Error{ErrorKind::Invalid, "no URL", 0, {}, {}};
  CHECK((*sink)->write(batch("x\n"), {}).error().kind == ErrorKind::Transport);
  store.broken.reset();
  secret("AWS_REGION", "not a region");
  CHECK((*sink)->write(batch("x\n"), {}).error().kind == ErrorKind::Transport);  // whoever mounted it may mend it
}
