#include "operator/api/wire.h"

#include <algorithm>

#include "operator/json/json.h"
#include "operator/json/scan.h"

namespace mo::api {
namespace {

constexpr size_t kMaxStatus = 256u << 10;

// What stands between the quotes of a raw string without escapes, such as names, tokens and resource
// versions; else nothing.
std::string_view unquoted(std::string_view raw) {
  const bool plain = raw.size() >= 2 && raw.front() == '"' && raw.find('\\') == std::string_view::npos;
  return plain ? raw.substr(1, raw.size() - 2) : std::string_view();
}

// The raw value of a member, or nothing.
std::string_view member(std::string_view object, std::string_view name) {
  std::string_view found;
  json::each_member(object, [&](std::string_view key, std::string_view value) {
    if (key == name) found = value;
    return key != name;
  });
  return found;
}

WatchEvent::Type type_of(std::string_view name) {
  using Type = WatchEvent::Type;
  static constexpr std::pair<std::string_view, Type> kTypes[] = {{"ADDED", Type::Added},
                                                                 {"MODIFIED", Type::Modified},
                                                                 {"DELETED", Type::Deleted},
                                                                 {"BOOKMARK", Type::Bookmark},
                                                                 {"ERROR", Type::Error}};
  for (const auto& [text, type] : kTypes) {
    if (name == text) return type;
  }
  return Type::Unknown;
}

Result<void> read_status(WatchEvent& event) {
  const auto status = parse_json(event.object, kMaxStatus);
  if (!status) return fail(status.error());
  if (!status->is_object()) return fail(ErrorKind::Malformed, "an ERROR event without a Status");
  const auto text = [&](const char* name) {
    const auto it = status->find(name);
    return it != status->end() && it->is_string() ? it->get<std::string>() : std::string();
  };
  event.reason = text("reason");
  event.message = text("message");
  const auto code = status->find("code");
  if (code != status->end() && code->is_number_unsigned()) {
    event.code = static_cast<int>(std::min<uint64_t>(code->get<uint64_t>(), 999));
  }
  return {};
}

}  // namespace

Result<WatchEvent> split_watch_event(std::string_view line) {
  WatchEvent event;
  std::string_view type;
  const bool whole = json::each_member(line, [&](std::string_view key, std::string_view value) {
    if (key == "type") type = unquoted(value);
    if (key == "object") event.object = value;
    return true;
  });
  if (!whole)
    return fail(ErrorKind::Malformed,
                "a watch event that is not a JSON object, or cut: " + std::string(line.substr(0, 80)));
  if (type.empty() || event.object.empty())
    return fail(ErrorKind::Malformed, "a watch event without type or object");
  event.type = type_of(type);
  if (event.type == WatchEvent::Type::Error) {
    const auto read = read_status(event);
    if (!read) return fail(read.error());
    return event;
  }
  const std::string_view metadata = member(event.object, "metadata");
  event.resource_version = unquoted(member(metadata, "resourceVersion"));
  if (event.type == WatchEvent::Type::Bookmark) {
    event.initial_events_end =
        unquoted(member(member(metadata, "annotations"), "k8s.io/initial-events-end")) == "true";
  }
  return event;
}

Result<ListMeta> split_list(std::string_view body, const std::function<void(std::string_view item)>& item) {
  ListMeta meta;
  bool has_metadata = false, has_items = false, items_whole = true;
  const bool whole = json::each_member(body, [&](std::string_view key, std::string_view value) {
    if (key == "metadata") {
      has_metadata = true;
      meta.resource_version = unquoted(member(value, "resourceVersion"));
      meta.continue_token = unquoted(member(value, "continue"));
    } else if (key == "items") {
      has_items = true;
      // Go writes an empty list as null when nobody made it.
      items_whole =
          value == "null" || json::each_item(value, [&](std::string_view one) { return item(one), true; });
    }
    return items_whole;
  });
  if (!whole || !items_whole) return fail(ErrorKind::Malformed, "a list that is not a JSON object, or cut");
  if (!has_metadata || !has_items) return fail(ErrorKind::Malformed, "a list without metadata or items");
  return meta;
}

}  // namespace mo::api
