// Watch streams and lists: bytes in pieces of any size, to lines, to events, through the watch's state
// machine, into a store.
//
// Input: one byte that chooses how pieces are cut and whether the server knows WatchList; then what it
// answers, calls apart by a zero byte.
#include <spdlog/spdlog.h>

#include "operator/api/wire.h"
#include "operator/kube/lines.h"
#include "operator/runtime/watcher.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/runtime_fake_client.h"

namespace {

using namespace mo;
using mo::kube::LineSplitter;

// Pieces of 1 byte up to `most`, or all at once.
void feed(LineSplitter& splitter, std::string_view bytes, size_t most, LineSplitter::Fed& last) {
  uint32_t state = static_cast<uint32_t>(bytes.size()) * 2654435761u + static_cast<uint32_t>(most);
  last = LineSplitter::Fed::More;
  while (!bytes.empty() && last == LineSplitter::Fed::More) {
    state = state * 1664525u + 1013904223u;
    const size_t take = most == 0 ? bytes.size() : std::min<size_t>(bytes.size(), 1 + (state >> 16) % most);
    last = splitter.feed(bytes.substr(0, take));
    bytes.remove_prefix(take);
  }
}

struct Split {
  std::vector<std::string> lines;
  LineSplitter::Fed last{};
  bool inside_line = false;
  bool operator==(const Split&) const = default;
};

Split split(std::string_view bytes, size_t most, size_t max_line, size_t max_lines) {
  Split result;
  const kube::LineSink sink = [&](std::string_view line) {
    result.lines.emplace_back(line);
    return result.lines.size() < max_lines;
  };
  LineSplitter splitter(sink, max_line);
  feed(splitter, bytes, most, result.last);
  // After TooLong what is kept depends on where it was cut, and nobody asks.
  result.inside_line = result.last == LineSplitter::Fed::More && splitter.inside_line();
  return result;
}

void check_framing(std::string_view bytes, size_t most) {
  const Split whole = split(bytes, 0, bytes.size(), SIZE_MAX);
  MUST(whole == split(bytes, most, bytes.size(), SIZE_MAX));
  std::string joined;
  for (const std::string& line : whole.lines) joined += line + "\n";
  MUST(whole.last == LineSplitter::Fed::More && bytes.starts_with(joined));
  MUST(bytes.substr(joined.size()).find('\n') == std::string_view::npos);
  MUST(whole.inside_line == (joined.size() < bytes.size()));
  MUST(split(bytes, 0, 40, SIZE_MAX) == split(bytes, most, 40, SIZE_MAX));
  MUST(split(bytes, 0, bytes.size(), 2) == split(bytes, most, bytes.size(), 2));
}

// What both readings of one line say alike: ours cuts, the other one builds.
void check_event(std::string_view line) {
  const auto event = api::split_watch_event(line);
  const auto document = fuzz::json_of(line);
  if (!document.is_object()) return;
  if (!event) {
    const bool usable = document.contains("type") && document["type"].is_string() &&
                        document.contains("object") && document["type"] != "ERROR";
    MUST_SHOW(!usable || line.find('\\') != std::string_view::npos || document["type"] == "",
              event.error().message);
    return;
  }
  if (line.find('\\') != std::string_view::npos) return;  // keys may be escaped; the API server does not
  MUST(fuzz::json_of(event->object) == document["object"]);
}

// One watch from its beginning until it would wait: what the store then holds.
std::vector<std::string> held_after(const std::vector<std::string_view>& answers, bool knows_watch_list,
                                    size_t most) {
  Store<api::ConfigMap> store;
  FakeClient client;
  std::stop_source stop;
  size_t next = 0;
  const auto answer = [&] { return next < answers.size() ? answers[next++] : std::string_view(); };
  client.on_watch = [&](const kube::WatchOptions& options, const kube::LineSink& sink,
                        std::stop_token) -> Result<void> {
    if (options.send_initial_events && !knows_watch_list)
      return fail(Error{ErrorKind::Invalid, "", 400, {}, {}});
    LineSplitter splitter(sink);
    LineSplitter::Fed last{};
    feed(splitter, answer(), most, last);
    stop.request_stop();
    return {};
  };
  client.on_list = [&](const kube::ListOptions&) -> Result<std::string> {
    const std::string_view page = answer();
    if (next == answers.size() || !api::split_list(page, [](std::string_view) {})) stop.request_stop();
    return std::string(page);
  };
  WatcherOptions options;
  options.kind = Kind::ConfigMap;
  auto sink = std::make_unique<StoreSink<api::ConfigMap>>(store, [](const api::ConfigMap&, bool) {});
  Watcher watcher(client, options, std::move(sink), Meters{}, 1);
  watcher.run(stop.get_token());
  std::vector<std::string> held;
  for (const auto& object : store.all())
    held.push_back(object->meta.key.to_string() + " " + object->meta.uid + " " +
                   object->meta.resource_version);
  std::sort(held.begin(), held.end());
  return held;
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  spdlog::set_level(spdlog::level::off);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes = fuzz::view(data + 1, size - 1);
  const size_t most = 1 + data[0] / 2 % 64;
  check_framing(bytes, most);
  for (const std::string_view line : fuzz::pieces(bytes)) check_event(line);
  const auto answers = fuzz::pieces(bytes, '\0');
  const bool knows_watch_list = data[0] % 2 == 0;
  MUST(held_after(answers, knows_watch_list, 0) == held_after(answers, knows_watch_list, most));
  return 0;
}
