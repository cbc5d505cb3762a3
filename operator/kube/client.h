// The Kubernetes API by verb and kind. Bodies are JSON text; parsing is the api module's work.
#pragma once

#include <chrono>
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
  std::string ns;                   // empty: all namespaces
  std::string label_selector = {};  // unescaped
  std::string field_selector = {};
  std::string resource_version = {};        // sent if set (also "0")
  std::string resource_version_match = {};  // "NotOlderThan", "Exact"
  std::string continue_token = {};
  int limit = 0;
  bool metadata_only = false;  // PartialObjectMetadata(List)
};

struct WatchOptions {
  std::string ns;
  std::string label_selector;
  std::string resource_version;
  bool send_initial_events =
      false;  // WatchList: with resourceVersionMatch=NotOlderThan, allowWatchBookmarks=true
  bool metadata_only = false;
  std::chrono::seconds timeout{300};  // timeoutSeconds
  // The longest silence before the connection counts as dead; the API server sends a bookmark each minute.
  std::chrono::milliseconds idle_deadline{90'000};
  std::function<void()>
      opened;  // may be empty; called on the caller's thread once the API server has accepted the watch
};

// Told of every finished HTTP exchange, repeats too: verb (get, list, watch, apply, patch, put, post,
// delete), plural, HTTP status (0: no answer), seconds. Called on the caller's thread; must be thread-safe.
using CallObserver =
    std::function<void(std::string_view verb, std::string_view plural, int status, double seconds)>;

// Thread-safe. Adds credentials to each request. After a 401, which means that nothing was executed, it reads
// them again and repeats any verb once. GETs are repeated at 429 and 5xx, at most 3 times: after Retry-After
// if that is at most 10 s (else the Error comes back at once and carries it), without one after 0.5, 1 and 2
// s, each with jitter. Writes never: that is for the caller, who knows whether name and preconditions make a
// repeat harmless. Watches neither. HTTP errors come back as Error with the API server's message word for
// word; a body that is no metav1.Status is cut to a line. A failed precondition (UID, resourceVersion) is
// always a Conflict, whatever its status. A Transport error on a write does not say whether it was executed.
class Client {
 public:
  virtual ~Client() = default;

  // As HttpTransport's.
  virtual void close_idle() {}

  // For who was answered 401: blocks for `longest`, or until it makes sense to try again, which is when there are other credentials than those
  // that were refused, or when others are let in. It looks each second.
  virtual void await_credentials(std::chrono::milliseconds longest, std::stop_token stop);

  virtual Result<std::string> get(const ObjectRef& ref, std::stop_token stop) = 0;
  // Of a path and query of the API server that is of none of these kinds, sent as it is: "/api/v1/namespaces".
  virtual Result<std::string> get_raw(const std::string& /*target*/, std::stop_token) {
    return fail(ErrorKind::Invalid, "this client knows kinds only");
  }
  // The same for what is created: reviews, and objects of kinds that are not known.
  virtual Result<std::string> post_raw(const std::string& /*target*/, const std::string& /*body*/, std::stop_token) {
    return fail(ErrorKind::Invalid, "this client knows kinds only");
  }
  // DELETE of an object by its path, with the UID as precondition and propagationPolicy Background.
  virtual Result<void> remove_raw(const std::string& /*target*/, const std::string& /*uid*/, std::stop_token) {
    return fail(ErrorKind::Invalid, "this client knows kinds only");
  }
  virtual Result<std::string> list(Kind kind, const ListOptions& options, std::stop_token stop) = 0;
  // Each line is one watch event, handed over on this thread; a sink that returns false ends the watch
  // (success). Returns when the server ends the stream (success) or with what went wrong. A 410 also comes as
  // an ERROR event inside the stream: that is the sink's.
  virtual Result<void> watch(Kind kind, const WatchOptions& options, const LineSink& line,
                             std::stop_token stop) = 0;

  // Server-side apply. Returns the object as stored.
  // apply and post ask for fieldValidation=Strict: a misspelt field in a pod template is an error and not
  // silently dropped.
  virtual Result<std::string> apply(const ObjectRef& ref, const std::string& body, bool force,
                                    std::stop_token stop) = 0;
  // JSON merge patch; `subresource` may be empty, "status" or "scale". Put metadata.uid / resourceVersion in
  // the body as preconditions.
  virtual Result<std::string> merge_patch(const ObjectRef& ref, const std::string& body,
                                          const std::string& subresource, std::stop_token stop) = 0;
  virtual Result<std::string> put(const ObjectRef& ref, const std::string& body,
                                  const std::string& subresource, std::stop_token stop) = 0;
  virtual Result<std::string> post(Kind kind, const std::string& ns, const std::string& body,
                                   std::stop_token stop) = 0;
  // As post, with dryRun=All: authorization, validation and admission decide as they would, and nothing is stored.
  virtual Result<std::string> dry_run_post(Kind kind, const std::string& ns, const std::string& body,
                                           std::stop_token stop) = 0;
  // propagationPolicy Background; `uid` and `resource_version` are preconditions if they are set.
  virtual Result<void> remove(const ObjectRef& ref, const std::string& uid,
                              const std::string& resource_version, std::stop_token stop) = 0;
};

struct ClientOptions {
  std::string version = "dev";             // for the User-Agent
  std::string program = "model-operator";  // the same, and the field manager of all writes
  bool dry_run = false;  // all writes: admission has its say, nothing is stored
  CallObserver observer;                   // may be empty
  std::chrono::milliseconds first_backoff{500};
  std::chrono::milliseconds longest_wait{10'000};
  std::chrono::milliseconds deadline{30'000};  // of each exchange but watches
};

// `transport` talks to the server of `credentials`.
std::unique_ptr<Client> make_client(std::unique_ptr<HttpTransport> transport,
                                    std::shared_ptr<Credentials> credentials, ClientOptions options = {});

// What an HTTP answer that is not 2xx means.
Error error_of(const HttpResponse& response);

}  // namespace mo::kube
