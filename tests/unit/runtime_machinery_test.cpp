// Events, leases, files of runtimes, log lines, and the watch shell over a scripted API server.
#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <mutex>
#include <sstream>
#include <thread>

#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include "operator/json/json.h"
#include "operator/runtime/events.h"
#include "operator/runtime/informers.h"
#include "operator/runtime/leader.h"
#include "operator/runtime/log.h"
#include "operator/runtime/runtimes_file.h"
#include "operator/runtime/watcher.h"
#include "runtime_fake_client.h"

using namespace mo;
using namespace std::chrono_literals;

namespace {

std::string configmap(const std::string& name, const std::string& rv) {
  return R"({"metadata":{"name":")" + name + R"(","namespace":"pay","uid":"u-)" + name +
         R"(","resourceVersion":")" + rv + R"("}})";
}
std::string line(const std::string& type, const std::string& object) {
  return R"({"type":")" + type + R"(","object":)" + object + "}";
}
std::string end_bookmark(const std::string& rv) {
  return line("BOOKMARK", R"({"metadata":{"resourceVersion":")" + rv +
                              R"(","annotations":{"k8s.io/initial-events-end":"true"}}})");
}

void wait_until(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (!condition() && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(1ms);
  REQUIRE(condition());
}

void sleep_until_stop(std::stop_token stop) {
  while (!stop.stop_requested()) std::this_thread::sleep_for(1ms);
}

const Event kEvent{{Kind::Model, {"pay", "fraud"}}, "u1", true, "RolledBack", "gate accuracy: 0.81"};

}  // namespace

TEST_CASE("watcher: a whole life, with a poisoned object, a cut and a 410") {
  FakeClient client;
  Store<api::ConfigMap> store;
  std::atomic<int> calls = 0, unreadable = 0;
  std::vector<std::string> versions;
  client.on_watch = [&](const kube::WatchOptions& options, const kube::LineSink& sink,
                        std::stop_token stop) -> Result<void> {
    versions.push_back(options.resource_version);
    switch (calls++) {
      case 0:
        sink(line("ADDED", configmap("a", "5")));
        sink(line("ADDED", R"({"metadata":"poison"})"));
        sink(line("ADDED", configmap("b", "3")));
        CHECK_FALSE(store.synced());
        sink(end_bookmark("9"));
        CHECK(store.synced());
        sink(line("NOVELTY", configmap("c", "10")));
        sink(line("MODIFIED", configmap("a", "11")));
        return fail(ErrorKind::Transport, "cut");
      case 1:
        CHECK(options.resource_version == "11");
        CHECK_FALSE(
            sink(line("ERROR", R"({"kind":"Status","code":410,"reason":"Expired","message":"too old"})")));
        return {};
      case 2:
        CHECK(options.send_initial_events);
        sink(line("ADDED", configmap("c", "20")));
        sink(end_bookmark("21"));
        break;
    }
    sleep_until_stop(stop);
    return fail(ErrorKind::Cancelled, "stop");
  };
  client.on_list = [](const kube::ListOptions& options) -> Result<std::string> {
    if (options.limit != 1) return fail(ErrorKind::Invalid, "only how far it is");
    return R"({"metadata":{"resourceVersion":"11"},"items":[]})";
  };
  std::mutex mutex;
  std::vector<std::string> changes;
  auto changed = [&](const api::ConfigMap& object, bool removed) {
    std::lock_guard lock(mutex);
    changes.push_back((removed ? "-" : "+") + object.meta.key.name);
  };
  Meters meters;
  meters.unreadable = [&](Kind) { ++unreadable; };
  WatcherOptions options;
  options.kind = Kind::ConfigMap;
  options.machine.backoff_base = 1ms;
  Watcher watcher(client, options, std::make_unique<StoreSink<api::ConfigMap>>(store, changed), meters, 1);
  std::jthread thread([&](std::stop_token stop) { watcher.run(stop); });
  wait_until([&] { return store.get({"pay", "c"}) != nullptr && store.size() == 1; });
  thread.request_stop();
  thread.join();
  CHECK(unreadable == 1);
  CHECK(watcher.alive());
  std::sort(changes.begin(), changes.end());
  CHECK(changes == std::vector<std::string>{"+a", "+a", "+b", "+c", "-a", "-b"});
}

TEST_CASE("watcher: pages where WatchList is refused") {
  FakeClient client;
  Store<api::ConfigMap> store;
  std::atomic<bool> as_expected = true;  // Catch2 takes assertions from one thread only
  auto expect = [&](bool holds) {
    if (!holds) as_expected = false;
  };
  client.on_watch = [&](const kube::WatchOptions& options, const kube::LineSink&,
                        std::stop_token stop) -> Result<void> {
    if (options.send_initial_events) return fail(Error{ErrorKind::Invalid, "forbidden", 422, {}, {}});
    expect(options.resource_version == "50");
    sleep_until_stop(stop);
    return fail(ErrorKind::Cancelled, "stop");
  };
  client.on_list = [&](const kube::ListOptions& options) -> Result<std::string> {
    expect(options.limit == 500);
    if (options.continue_token.empty())
      return R"({"metadata":{"resourceVersion":"50","continue":"x"},"items":[)" + configmap("a", "4") + "]}";
    expect(!store.synced());
    return R"({"metadata":{"resourceVersion":"50"},"items":[)" + configmap("b", "5") + "]}";
  };
  WatcherOptions options;
  options.kind = Kind::ConfigMap;
  Watcher watcher(client, options,
                  std::make_unique<StoreSink<api::ConfigMap>>(store, [](const auto&, bool) {}), {}, 1);
  std::jthread thread([&](std::stop_token stop) { watcher.run(stop); });
  wait_until([&] { return store.synced(); });
  CHECK(store.size() == 2);
  thread.request_stop();
  thread.join();
  CHECK(as_expected);
}

TEST_CASE("watcher: after a 401 it waits for other credentials, and for nothing else") {
  struct Refusing : FakeClient {
    void await_credentials(std::chrono::milliseconds, std::stop_token) override { ++awaited; }
    std::atomic<int> awaited{0};
  } client;
  std::atomic<int> tries{0};
  client.on_watch = [&](const kube::WatchOptions&, const kube::LineSink&, std::stop_token stop) -> Result<void> {
    if (++tries <= 3) return fail(Error{ErrorKind::Unauthorized, "Unauthorized", 401, {}, {}});
    sleep_until_stop(stop);
    return fail(ErrorKind::Cancelled, "stop");
  };
  Store<api::ConfigMap> store;
  WatcherOptions options;
  options.kind = Kind::ConfigMap;
  Watcher watcher(client, options, std::make_unique<StoreSink<api::ConfigMap>>(store, [](const auto&, bool) {}), {}, 1);
  std::jthread thread([&](std::stop_token stop) { watcher.run(stop); });
  wait_until([&] { return tries == 4; });
  CHECK(client.awaited == 3);
}

// Once each half minute it was logged that a cluster has no Gateway API.
TEST_CASE("watcher: a kind that need not be there is missed once") {
  std::ostringstream lines;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(std::make_shared<spdlog::logger>("", std::make_shared<spdlog::sinks::ostream_sink_mt>(lines)));
  FakeClient client;
  std::atomic<int> tries{0};
  client.on_watch = [&](const kube::WatchOptions&, const kube::LineSink&, std::stop_token) -> Result<void> {
    ++tries;
    return fail(Error{ErrorKind::NotFound, "the server could not find the requested resource", 404, {}, {}});
  };
  Store<api::HttpRoute> store;
  WatcherOptions options;
  options.kind = Kind::HttpRoute;
  options.machine.optional = true;
  options.machine.absent_look = options.machine.backoff_cap = options.machine.backoff_base = Duration(1);
  options.machine.backoff_least = Duration(1);
  Watcher watcher(client, options, std::make_unique<StoreSink<api::HttpRoute>>(store, [](const auto&, bool) {}), {}, 1);
  {
    std::jthread thread([&](std::stop_token stop) { watcher.run(stop); });
    wait_until([&] { return tries >= 5; });
  }
  spdlog::set_default_logger(before);
  const std::string text = lines.str();
  const size_t first = text.find("HTTPRoute");
  REQUIRE(first != std::string::npos);
  CHECK_THAT(text, Catch::Contains("not there, which is fine"));
  CHECK(text.find("HTTPRoute", first + 1) == std::string::npos);
  CHECK(watcher.problem().empty());
}

// The answer to the write that let a deleted Model go came after the event that told of its deletion: the
// Model was there for ever after.
TEST_CASE("store: what is known to be gone does not come back by an older answer") {
  Store<api::ConfigMap> store;
  const auto object = [](const std::string& uid, const std::string& rv) {
    api::ConfigMap o;
    o.meta.key = {"pay", "a"};
    o.meta.uid = uid;
    o.meta.resource_version = rv;
    return o;
  };
  store.upsert(object("u1", "99"));
  CHECK(store.remove({"pay", "a"}, "u1", "101"));
  CHECK_FALSE(store.upsert(object("u1", "100")));
  CHECK(store.size() == 0);
  CHECK(store.upsert(object("u1", "101")));  // it has only lost the label that it was watched by
  CHECK(store.remove({"pay", "a"}, "u1", "101"));
  CHECK(store.upsert(object("u2", "102")));  // made anew
}

TEST_CASE("store: a stale list takes nothing back") {
  Store<api::ConfigMap> store;
  auto object = [](const std::string& name, const std::string& rv) {
    api::ConfigMap o;
    o.meta.key = {"pay", name};
    o.meta.uid = name;
    o.meta.resource_version = rv;
    return o;
  };
  store.replace({object("a", "100"), object("b", "101")}, "101");
  CHECK(store.replace({object("a", "50")}, "60").empty());
  CHECK(store.size() == 2);
}

TEST_CASE("what Models name: the index follows them") {
  ReferenceIndex index;
  const auto data = [](const char* ns, const char* name) { return ObjectRef{Kind::ConfigMap, {ns, name}}; };
  api::Model model;
  model.meta.key = {"pay", "fraud"};
  model.retraining.emplace();
  api::Trigger trigger;
  trigger.dataset = api::Trigger::ConfigMapKeyRef{"data", "digest"};
  model.retraining->triggers = {trigger};
  index.update(model, false);
  CHECK(index.models_of(data("pay", "data")) == std::vector<ObjectKey>{model.meta.key});
  CHECK(index.models_of(data("other", "data")).empty());
  model.retraining->triggers[0].dataset->name = "data2";
  index.update(model, false);
  CHECK(index.models_of(data("pay", "data")).empty());
  CHECK(index.models_of(data("pay", "data2")).size() == 1);
  model.rollout.gate_sets = {{"shared", Kind::ModelGateSet}, {"shared", Kind::ClusterModelGateSet}};
  index.update(model, false);
  CHECK(index.models_of({Kind::ModelGateSet, {"pay", "shared"}}).size() == 1);
  CHECK(index.models_of({Kind::ModelGateSet, {"other", "shared"}}).empty());
  CHECK(index.models_of({Kind::ClusterModelGateSet, {"", "shared"}}).size() == 1);
  model.rollout.gate_sets.clear();
  model.monitor_sets = {{"shared", Kind::ModelGateSet}};
  index.update(model, false);
  CHECK(index.models_of({Kind::ModelGateSet, {"pay", "shared"}}).size() == 1);
  CHECK(index.models_of({Kind::ClusterModelGateSet, {"", "shared"}}).empty());
  CHECK(index.models_of(data("pay", "data2")).size() == 1);
  api::ModelVersion version;
  version.meta.key = {"pay", "fraud-v1"};
  version.model = "fraud";
  version.artifact.uri = "configmap://bits/model.json";
  index.update(version, false);
  CHECK(index.models_of(data("pay", "bits")) == std::vector<ObjectKey>{model.meta.key});
  version.meta.key.name = "fraud-v2";
  index.update(version, false);
  CHECK(index.models_of(data("pay", "bits")).size() == 1);
  index.update(version, true);
  CHECK(index.models_of(data("pay", "bits")).size() == 1);
  api::Model other;
  other.meta.key = {"shop", "other"};
  other.route.emplace().hostnames = {"a.example", "b.example"};
  index.update(other, false);
  CHECK(index.share_hostname(model).empty());
  model.route.emplace().hostnames = {"b.example"};
  index.update(model, false);
  CHECK(index.share_hostname(model) == std::set<ObjectKey>{other.meta.key});
  index.update(model, true);
  CHECK(index.share_hostname(other).empty());
  CHECK(index.models_of(data("pay", "data2")).empty());
  CHECK(index.models_of({Kind::ModelGateSet, {"pay", "shared"}}).empty());
}

TEST_CASE("events: the same news is the same Event, repeated news is counted") {
  Event other = kEvent;
  other.note += "0";
  CHECK(event_name(kEvent) == event_name(kEvent));
  CHECK(event_name(kEvent) != event_name(other));
  CHECK(event_name(kEvent).rfind("fraud.", 0) == 0);

  FakeClient client;
  client.answer = [](const FakeClient::Call& call) -> Result<std::string> {
    if (call.verb == "post") return fail(Error{ErrorKind::AlreadyExists, "there", 409, "AlreadyExists", {}});
    if (call.verb == "get") return R"({"series":{"count":4}})";
    return "{}";
  };
  EventSender sender(client, "test");
  sender.send(kEvent);
  sender.send(kEvent);  // within the minute: only counted
  std::jthread thread([&](std::stop_token stop) { sender.run(stop); });
  wait_until([&] { return client.calls().size() >= 3; });
  thread.request_stop();
  thread.join();
  const auto calls = client.calls();
  REQUIRE(calls.size() == 3);
  CHECK(Json::parse(calls[2].body)["series"]["count"] == 5);
}

namespace {

// Behind a webhook that does not answer: every POST hangs until it is cancelled, or, for a test that can fail,
// for 10 s.
class HangingClient : public FakeClient {
 public:
  std::atomic<int> posts = 0, cancelled = 0;
  Result<std::string> post(Kind, const std::string&, const std::string&, std::stop_token stop) override {
    ++posts;
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    never.wait_for(lock, stop, 10s, [] { return false; });
    if (stop.stop_requested()) ++cancelled;
    return fail(ErrorKind::Cancelled, "no answer");
  }
};

}  // namespace

// With a webhook that hangs on Events, SIGTERM waited for one POST, up to 30 s: the process was killed before
// it handed its Lease over. Only between two Events was the time looked at.
TEST_CASE("events: what is being sent at the end is cut off, so that the Lease is handed over") {
  HangingClient client;
  EventSender sender(client, "test", 20ms);
  Event other = kEvent;
  other.note = "another";
  sender.send(kEvent);
  sender.send(other);
  SECTION("in the middle of a request") {
    std::jthread thread([&](std::stop_token stop) { sender.run(stop); });
    wait_until([&] { return client.posts == 1; });
    CHECK(client.cancelled == 0);  // not before the end
    thread.request_stop();
    thread.join();
  }
  SECTION("stopped before it began") {
    std::stop_source stop;
    stop.request_stop();
    sender.run(stop.get_token());
  }
  CHECK(client.cancelled == client.posts);
  CHECK(client.posts <= 1);
}

TEST_CASE("events: with nothing to send the end comes at once") {
  FakeClient client;
  EventSender sender(client, "test", std::chrono::hours(1));
  std::jthread thread([&](std::stop_token stop) { sender.run(stop); });
  sender.send(kEvent);
  wait_until([&] { return client.calls().size() == 1; });
  thread.request_stop();
  thread.join();
  CHECK(client.calls().size() == 1);
}

TEST_CASE("events: notes are cut between characters") {
  Event event = kEvent;
  event.note = std::string(1020, 'a') + "ääää";
  const std::string note = Json::parse(event_body(event, "i", TimePoint{}))["note"];
  CHECK(note.size() <= 1024);
  CHECK(note.substr(note.size() - 3) == "...");
}

TEST_CASE("lease: another's is taken only after it stood still for its duration by our own clock") {
  LeaseObserver observer;
  LeaseRecord seen;
  seen.holder = "other";
  seen.renew_time = "2031-01-01T00:00:00.000000Z";  // years ahead: its clock is not believed
  CHECK_FALSE(observer.may_take(seen, "me", 0s));
  CHECK_FALSE(observer.may_take(seen, "me", 15s));
  seen.renew_time = "2001-01-01T00:00:00.000000Z";
  CHECK_FALSE(observer.may_take(seen, "me", 16s));
  CHECK_FALSE(observer.may_take(seen, "me", 30s));
  CHECK(observer.may_take(seen, "me", 32s));
  seen.holder.clear();
  CHECK(LeaseObserver().may_take(seen, "me", 0s));
  seen.holder = "me";
  CHECK(LeaseObserver().may_take(seen, "me", 0s));
}

TEST_CASE("lease: created, renewed with its resourceVersion, lost to another, handed back") {
  FakeClient client;
  std::mutex mutex;
  std::string stored;
  int revision = 7;
  client.answer = [&](const FakeClient::Call& call) -> Result<std::string> {
    std::lock_guard lock(mutex);
    if (call.verb == "get") {
      if (stored.empty()) return fail(Error{ErrorKind::NotFound, "none", 404, {}, {}});
      return stored;
    }
    // Compare and swap, as the API server does.
    Json lease = Json::parse(call.body);
    const std::string version = lease["metadata"].value("resourceVersion", "");
    if (!stored.empty() && version != Json::parse(stored)["metadata"]["resourceVersion"])
      return fail(Error{ErrorKind::Conflict, "modified", 409, {}, {}});
    lease["metadata"]["resourceVersion"] = std::to_string(++revision);
    return stored = lease.dump();
  };
  LeaderOptions options;
  options.lease = {"ops", "model-operator"};
  options.identity = "me";
  options.retry_period = 5ms;
  LeaderElector elector(client, options);
  CHECK_FALSE(elector.leading());
  REQUIRE(elector.acquire({}));
  CHECK(elector.leading());
  std::jthread usurper([&] {
    std::this_thread::sleep_for(50ms);
    std::lock_guard lock(mutex);
    Json lease = Json::parse(stored);
    lease["spec"]["holderIdentity"] = "other";
    lease["metadata"]["resourceVersion"] = std::to_string(++revision);
    stored = lease.dump();
  });
  CHECK_FALSE(elector.hold({}));
  CHECK_FALSE(elector.leading());
  elector.release();  // not ours: left alone
  CHECK(Json::parse(stored)["spec"]["holderIdentity"] == "other");
  // A renewal is one PUT on top of what was written last; only when that is refused the Lease is read again.
  CHECK(client.calls()[2].verb == "put");
  CHECK(Json::parse(client.calls()[2].body)["metadata"]["resourceVersion"] == "8");
  CHECK(client.calls()[3].verb == "put");
}

// At SIGTERM a renewal was cancelled while it was on its way: it was stored after the Lease had been read to
// hand it back, which was then refused. The next leader waited 15 s.
TEST_CASE("lease: handed back although a cancelled renewal arrives in between") {
  FakeClient client;
  std::string stored;
  int revision = 1, late_renewals = 0;
  client.answer = [&](const FakeClient::Call& call) -> Result<std::string> {
    if (call.verb == "get") {
      if (stored.empty()) return fail(Error{ErrorKind::NotFound, "none", 404, {}, {}});
      const std::string seen = stored;
      if (late_renewals-- > 0) {
        Json lease = Json::parse(stored);
        lease["metadata"]["resourceVersion"] = std::to_string(++revision);
        stored = lease.dump();
      }
      return seen;
    }
    Json lease = Json::parse(call.body);
    if (!stored.empty() &&
        lease["metadata"]["resourceVersion"] != Json::parse(stored)["metadata"]["resourceVersion"])
      return fail(Error{ErrorKind::Conflict, "modified", 409, {}, {}});
    lease["metadata"]["resourceVersion"] = std::to_string(++revision);
    return stored = lease.dump();
  };
  LeaderElector elector(client, {{"ops", "model-operator"}, "me", 15s, 10s, 5ms});
  REQUIRE(elector.acquire({}));
  late_renewals = 1;
  elector.release();
  CHECK(Json::parse(stored)["spec"]["holderIdentity"] == "");
}

TEST_CASE("lease: no answer until the deadline is a loss") {
  FakeClient client;
  client.answer = [&](const FakeClient::Call& call) -> Result<std::string> {
    if (call.verb == "post") return "{}";
    if (client.calls().size() == 1) return fail(Error{ErrorKind::NotFound, "none", 404, {}, {}});
    return fail(ErrorKind::Transport, "refused");
  };
  LeaderOptions options{{"ops", "model-operator"}, "me", 15s, 100ms, 5ms};
  LeaderElector elector(client, options);
  REQUIRE(elector.acquire({}));
  CHECK_FALSE(elector.hold({}));
}

TEST_CASE("runtimes file: YAML documents become ModelRuntimes, whole or not at all") {
  const auto read = read_runtimes(R"(
apiVersion: modelops.dev/v1alpha1
kind: ModelRuntime
metadata: {name: rules}
spec:
  formats: [{name: rules, version: "1"}]
  priority: 10
  port: 8080
  template: {spec: {containers: [{name: server, image: model-server:dev}]}}
---
---
kind: ModelRuntime
metadata: {name: sklearn}
spec: {formats: [{name: sklearn, version: "1"}], template: {}}
)");
  REQUIRE(read);
  REQUIRE(read->size() == 2);
  CHECK((*read)[0].meta.key.name == "rules");
  CHECK((*read)[0].priority == 10);
  CHECK((*read)[0].formats[0].version == "1");
  CHECK_FALSE(read_runtimes("kind: Pod\nmetadata: {name: x}"));
  CHECK_FALSE(read_runtimes("kind: ModelRuntime\nspec: {}"));
  CHECK_FALSE(read_runtimes("a: [unclosed"));
  CHECK(yaml_to_json("{a: 1, b: \"1\", c: yes, d: true, e: ~, f: 1.5}").value()[0] ==
        R"({"a":1,"b":"1","c":true,"d":true,"e":null,"f":1.5})");
}

TEST_CASE("a slip of the pen in the file of runtimes is an error with its line, not a document without end",
          "[runtime]") {
  CHECK_FALSE(yaml_to_json(",,,,,GVGGV"));
  CHECK_FALSE(yaml_to_json("kind: ModelRuntime\n---\n, b"));
  CHECK_THAT(yaml_to_json("a: 1\n---\nb: 2\n---\nc: [1\n").error().message, Catch::Contains("line 6"));
  CHECK_THAT(yaml_to_json("a: 1\nb: 2\na: 3\n").error().message,
             Catch::Contains("line 3") && Catch::Contains("a key is there twice: a"));
  // A story: of two keys that differ only in broken bytes the JSON made one key, twice.
  CHECK_THAT(yaml_to_json("a\xff: 1\na\xfe: 2\n").error().message, Catch::Contains("UTF-8"));
  // Eight levels of ten aliases each are a hundred million values.
  std::string bomb = "a0: &a0 [x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + last;
    for (int n = 1; n < 10; ++n) bomb += ", " + last;
    bomb += "]\n";
  }
  CHECK_FALSE(yaml_to_json(bomb));
  CHECK(yaml_to_json("%YAML 1.2\n--- {a: 1} # one\n...\nb: |\n  ---\n  x\n---\n").value() ==
        std::vector<std::string>{R"({"a":1})", R"({"b":"---\nx\n"})"});
}

TEST_CASE("log: lines name their object in both formats and cannot be forged") {
  const std::string payload =
      "apply\x1fobject\x1fModel pay/fraud\x1fwhy\x1f"
      "a \"b\"\nc";
  CHECK(log::format_text(payload) == R"(apply object="Model pay/fraud" why="a \"b\"\nc")");
  CHECK(log::format_json(payload) == R"("msg":"apply","object":"Model pay/fraud","why":"a \"b\"\nc")");
  CHECK(log::format_text("one\ntwo") == "one two");
  CHECK(log::format_json("bad \xff byte") == "\"msg\":\"bad \xef\xbf\xbd byte\"");
}
