// Result<T>: a value, or an Error that says what happened and who may retry.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace mo {

enum class ErrorKind {
  NotFound,         // 404
  Conflict,         // 409: stale resourceVersion, wrong UID, or a field that somebody else owns
  AlreadyExists,    // 409 with reason AlreadyExists
  Gone,             // 410: the resourceVersion is too old, list again
  Invalid,          // 400, 422: what we sent is wrong; a retry changes nothing
  Forbidden,        // 403: RBAC, quota or admission
  Unauthorized,     // 401
  TooManyRequests,  // 429
  ServerError,      // 5xx
  Transport,        // no answer: connect, TLS, time-out, cut stream
  Cancelled,        // we asked for it
  Malformed,        // an answer that is not what it should be
};

const char* to_string(ErrorKind kind);

struct Error {
  ErrorKind kind{};
  std::string message;  // for people, the API server's own words where there are any
  int http_status = 0;  // 0 when no answer came
  std::string reason;   // metav1.Status.reason, for instance "AlreadyExists"
  std::optional<std::chrono::milliseconds> retry_after;  // from Retry-After
};

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(ErrorKind kind, std::string message) {
  return tl::unexpected<Error>(Error{kind, std::move(message), 0, {}, {}});
}
inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

}  // namespace mo
