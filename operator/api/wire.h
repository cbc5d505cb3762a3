// The envelopes that objects come in: watch lines and lists. Cuts only; what is inside goes to parse<T>.
// Pure, thread-safe. Errors are ErrorKind::Malformed.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "operator/core/result.h"

namespace mo::api {

struct WatchEvent {
  enum class Type { Added, Modified, Deleted, Bookmark, Error, Unknown } type = Type::Unknown;
  std::string_view object;          // raw JSON, a view into the line; never empty
  std::string resource_version;     // of any but Error
  bool initial_events_end = false;  // Bookmark: annotated k8s.io/initial-events-end: "true"
  // Error: a metav1.Status
  int code = 0;
  std::string reason, message;
};
Result<WatchEvent> split_watch_event(std::string_view line);

struct ListMeta {
  std::string resource_version;
  std::string continue_token;  // empty on the last page
};
// Calls `item` with the raw JSON of each item, a view into `body`. An item lacks apiVersion and kind. Nothing
// is built or indexed, so a list of megabytes costs its own text and no more. Items may have been handed over
// before an error is found.
Result<ListMeta> split_list(std::string_view body, const std::function<void(std::string_view item)>& item);

}  // namespace mo::api
