// The Kubernetes API by verb and kind. Bodies are JSON text; parsing is the api room's work.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "operator/core/ids.h"
#include "operator/core/result.h"
#include "operator/kube/transport.h"

namespace mo::kube {

struct ListOptions {
  std::string ns;              // empty: all namespaces
  std::string label_selector;  // unescaped
  std::string field_selector;
  std::string resource_version;        // sent if set (also "0")
  std::string resource_version_match;  // "NotOlderThan", "Exact"
  std::string continue_token;
  int limit = 0;
  bool metadata_only = false;  // PartialObjectMetadata(List)
};

struct WatchOptions {
  std::string ns;
  std::string label_selector;
  std::string resource_version;
  bool send_initial_events = false;  // WatchList: with resourceVersionMatch=NotOlderThan, allowWatchBookmarks=true
  bool metadata_only = false;
  std::chrono::seconds timeout{300};  // timeoutSeconds
};

// Told of every finished call: verb (get, list, watch, apply, patch, put, post, delete), plural, HTTP status (0: no answer), seconds.
using CallObserver = std::function<void(std::string_view verb, std::string_view plural, int status, double seconds)>;

// Thread-safe. Adds credentials to each request, reads them again at a 401 once, and sets User-Agent model-operator/<version>.
// GETs are repeated at 429 and 5xx (Retry-After is obeyed, at most 3 times); writes never: that is for the caller, who knows
// whether name and preconditions make a repeat harmless. HTTP errors come back as Error with the API server's message word for word.
class Client {
 public:
  virtual ~Client() = default;

  virtual Result<std::string> get(const ObjectRef& ref, std::stop_token stop) = 0;
  virtual Result<std::string> list(Kind kind, const ListOptions& options, std::stop_token stop) = 0;
  // Each line is one watch event. Returns when the server ends the stream (success) or with what went wrong.
  virtual Result<void> watch(Kind kind, const WatchOptions& options, const LineSink& line, std::stop_token stop) = 0;

  // Server-side apply with field manager model-operator. Returns the object as stored.
  virtual Result<std::string> apply(const ObjectRef& ref, const std::string& body, bool force, std::stop_token stop) = 0;
  // JSON merge patch; `subresource` may be empty, "status" or "scale". Put metadata.uid / resourceVersion in the body as preconditions.
  virtual Result<std::string> merge_patch(const ObjectRef& ref, const std::string& body, const std::string& subresource, std::stop_token stop) = 0;
  virtual Result<std::string> put(const ObjectRef& ref, const std::string& body, const std::string& subresource, std::stop_token stop) = 0;
  virtual Result<std::string> post(Kind kind, const std::string& ns, const std::string& body, std::stop_token stop) = 0;
  // propagationPolicy Background; `uid` (if set) is a precondition.
  virtual Result<void> remove(const ObjectRef& ref, const std::string& uid, std::stop_token stop) = 0;
};

}  // namespace mo::kube
