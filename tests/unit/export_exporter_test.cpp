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
  std::vector<std::string> texts;
  std::function<Result<void>(const std::string& lines)> answer = [](const auto&) { return Result<void>(); };
  std::vector<std::string> all() {
    std::lock_guard lock(mutex);
    return texts;
  }
};

class FakeSink final : public Sink {
 public:
  explicit FakeSink(Got& got) : got_(got) {}
  Result<void> write(const std::string&, const std::string& lines, std::stop_token) override {
    std::lock_guard lock(got_.mutex);
    if (auto done = got_.answer(lines); !done) return done;
    got_.texts.push_back(lines);
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
      found->second["metadata"]["annotations"] = Json::parse(call.body)["metadata"]["annotations"];
      found->second["metadata"]["resourceVersion"] = std::to_string(std::stoi(found->second["metadata"]["resourceVersion"].get<std::string>()) + 1000);
      if (tells) store.upsert(*api::parse<api::ModelAudit>(found->second.dump()));
      return found->second.dump();
    };
  }

  void seal(const std::string& model, int first, int last, int minute) {
    const std::string name = model + "-" + std::string(6 - std::to_string(last).size(), '0') + std::to_string(last) + "-abc";
    std::vector<std::string> records;
    for (int i = first; i <= last; ++i) records.push_back("{\"seq\":" + std::to_string(i) + ",\"model\":\"" + model + "\"}");
    Json object = {{"metadata",
                    {{"name", name}, {"namespace", "pay"}, {"uid", "uid-" + name}, {"resourceVersion", std::to_string(objects.size() + 1)},
                     {"creationTimestamp", format_time(kAt + std::chrono::minutes(minute))}, {"labels", {{"modelops.dev/model", model}}}}},
                   {"spec", {{"model", {{"name", model}, {"uid", "u-" + model}}}, {"first", first}, {"last", last}, {"head", "sha256:h"}, {"records", records}}}};
    std::lock_guard lock(mutex);
    store.upsert(*api::parse<api::ModelAudit>(object.dump()));
    objects[name] = std::move(object);
  }

  std::unique_ptr<Exporter> exporter(std::function<bool(const ObjectKey&)> ours = [](const auto&) { return true; }, ExporterOptions options = kFast) {
    return std::make_unique<Exporter>(client, store, std::make_unique<FakeSink>(got), std::move(ours), [] { return kAt; }, options);
  }
  size_t marked() {
    size_t count = 0;
    std::lock_guard lock(mutex);
    for (const auto& [name, object] : objects) count += object["metadata"].contains("annotations");
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
  const auto file = make_sink("file:" + path, "", web);
  REQUIRE(file);
  REQUIRE((*file)->write("u", "one\ntwo\n", {}));
  std::ofstream(path, std::ios::app) << "thr";  // a crash
  REQUIRE((*file)->write("u", "three\n", {}));
  CHECK(text_of() == "one\ntwo\nthree\n");
  CHECK((*make_sink("file:" + (folder.path / "none" / "a").string(), "", web))->write("u", "x\n", {}).error().kind == ErrorKind::Transport);
  CHECK((*make_sink("file:/dev/full", "", web))->write("u", "x\n", {}).error().kind == ErrorKind::Transport);

  std::ofstream(token) << "s3cret\n";
  const auto sink = make_sink("https://bus.example/audit", token, web);
  REQUIRE(sink);
  REQUIRE((*sink)->write("uid-1", "one\n", {}));
  CHECK(web.last.body == "one\n");
  const auto has = [&](const std::string& name, const std::string& value) {
    return std::count(web.last.headers.begin(), web.last.headers.end(), std::pair(name, value)) == 1;
  };
  CHECK((has("Authorization", "Bearer s3cret") && has("Idempotency-Key", "uid-1") && has("Content-Type", "application/x-ndjson")));
  for (const auto& [status, kind] : {std::pair(413, ErrorKind::Invalid), std::pair(400, ErrorKind::Invalid), std::pair(401, ErrorKind::ServerError),
                                     std::pair(404, ErrorKind::ServerError), std::pair(429, ErrorKind::ServerError), std::pair(503, ErrorKind::ServerError)}) {
    web.status = status;
    const auto done = (*sink)->write("u", "x\n", {});
    REQUIRE_FALSE(done);
    CHECK(done.error().kind == kind);
    CHECK(done.error().message == "it answered HTTP " + std::to_string(status) + ": why");
  }
  std::ofstream(token, std::ios::trunc) << "";
  CHECK((*sink)->write("u", "x\n", {}).error().kind == ErrorKind::Transport);
  for (const char* bad : {"", "std", "file:", "https://", "s3://bucket", "/var/log"}) CHECK_FALSE(make_sink(bad, "", web));
  for (const char* bad : {"stdout", "file:/tmp/a", "http://bus.example/audit"}) CHECK_FALSE(make_sink(bad, token, web));
}
