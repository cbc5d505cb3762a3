// A recorded watch, cut at every byte: wherever that is, the store ends up as if it had not been cut, and
// nothing is seen twice as news or taken for what it is not.
#include <spdlog/spdlog.h>

#include <catch2/catch.hpp>
#include <map>

#include "operator/kube/lines.h"
#include "operator/runtime/watcher.h"
#include "runtime_fake_client.h"

using namespace mo;
using namespace std::chrono_literals;

namespace {

struct Recorded {
  std::string rv;
  std::string line;
};

std::string event(const std::string& type, const std::string& name, const std::string& rv,
                  const std::string& words) {
  return R"({"type":")" + type +
         R"(","object":{"apiVersion":"modelops.dev/v1alpha1","kind":"Model","metadata":{"name":")" + name +
         R"(","namespace":"pay","uid":"u-)" + name + R"(","resourceVersion":")" + rv +
         R"("},"spec":{"version":"v","description":")" + words + "\"}}}\n";
}

// Characters of two, three and four bytes, an escaped one, and a line break that is none.
const std::vector<Recorded> kStream = {
    {"3", event("ADDED", "a", "3", "Zahlungspr\u00fcfung")},
    {"5", event("ADDED", "b", "5", "\u652f\u6255\u3044 \\u2713\\n")},
    {"7",
     R"({"type":"BOOKMARK","object":{"kind":"Model","metadata":{"resourceVersion":"7","annotations":{"k8s.io/initial-events-end":"true"}}}})"
     "\n"},
    {"9", event("MODIFIED", "a", "9", "\U0001F600\U0001F680")},
    {"10", event("DELETED", "b", "10", "\u652f\u6255\u3044")},
    {"11", R"({"type":"BOOKMARK","object":{"kind":"Model","metadata":{"resourceVersion":"11"}}})"
           "\n"},
    {"12", event("ADDED", "c", "12", "\u00df\u2713")},
    {"13", event("MODIFIED", "c", "13", "\u65b0")},
};

std::string bytes_after(const std::string& rv) {
  std::string bytes;
  for (const Recorded& recorded : kStream)
    if (rv.empty() || rv_less(rv, recorded.rv)) bytes += recorded.line;
  return bytes;
}

struct Seen {
  std::map<std::string, std::string> store;  // name: resourceVersion
  std::vector<std::string> changes;
  int unreadable = 0, calls = 0;
};

// The watch of `first` bytes, cut; then whatever is asked for, whole.
Seen watched(size_t first, size_t piece) {
  Seen seen;
  FakeClient client;
  std::stop_source stop;
  client.on_list = [](const kube::ListOptions&) -> Result<std::string> {
    return R"({"metadata":{"resourceVersion":"13"},"items":[]})";
  };
  client.on_watch = [&](const kube::WatchOptions& options, const kube::LineSink& sink,
                        std::stop_token) -> Result<void> {
    const bool cut = seen.calls++ == 0;
    const std::string bytes =
        bytes_after(options.resource_version).substr(0, cut ? first : std::string::npos);
    kube::LineSplitter splitter(sink);
    for (size_t at = 0; at < bytes.size(); at += piece)
      if (splitter.feed(std::string_view(bytes).substr(at, piece)) != kube::LineSplitter::Fed::More)
        return fail(ErrorKind::Malformed, "the sink had enough");
    if (cut) return fail(ErrorKind::Transport, "body: the stream ended in the middle of a line");
    stop.request_stop();
    return fail(ErrorKind::Cancelled, "stop");
  };
  Store<api::Model> store;
  Meters meters;
  meters.unreadable = [&](Kind) { ++seen.unreadable; };
  WatcherOptions options;
  options.kind = Kind::Model;
  options.machine.backoff_base = options.machine.backoff_least = 0ms;
  auto changed = [&](const api::Model& model, bool removed) {
    seen.changes.push_back((removed ? "-" : "+") + model.meta.key.name + model.meta.resource_version);
  };
  Watcher watcher(client, options, std::make_unique<StoreSink<api::Model>>(store, changed), meters, 1);
  watcher.run(stop.get_token());
  for (const auto& model : store.all()) seen.store[model->meta.key.name] = model->meta.resource_version;
  return seen;
}

}  // namespace

TEST_CASE("watcher: a stream cut at every byte") {
  spdlog::set_level(spdlog::level::off);
  const std::string whole = bytes_after("");
  for (size_t cut = 0; cut <= whole.size(); ++cut) {
    CAPTURE(cut);
    const Seen seen = watched(cut, whole.size());
    REQUIRE(seen.store == std::map<std::string, std::string>{{"a", "9"}, {"c", "13"}});
    REQUIRE(seen.unreadable == 0);
    REQUIRE(seen.calls == 2);
    std::vector<std::string> changes = seen.changes;
    std::sort(changes.begin(), changes.begin() + 2);  // of a list, in no order
    REQUIRE(changes == std::vector<std::string>{"+a3", "+b5", "+a9", "-b10", "+c12", "+c13"});
  }
  spdlog::set_level(spdlog::level::info);
}

TEST_CASE("watcher: a stream in pieces of every size") {
  const std::string whole = bytes_after("");
  for (size_t piece = 1; piece <= whole.size(); piece = piece < 64 ? piece + 1 : piece * 2) {
    CAPTURE(piece);
    const Seen seen = watched(0, piece);
    REQUIRE(seen.store == std::map<std::string, std::string>{{"a", "9"}, {"c", "13"}});
    REQUIRE(seen.unreadable == 0);
  }
}
