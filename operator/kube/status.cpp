// HTTP answers that are no success, as Errors.
#include <rapidjson/document.h>

#include <algorithm>
#include <charconv>

#include "operator/core/text.h"
#include "operator/kube/client.h"
#include "operator/kube/files.h"

namespace mo::kube {
namespace {

using std::chrono::seconds;

constexpr size_t max_status_bytes = 64u << 10;
constexpr size_t max_message_bytes =
    16u << 10;  // of a metav1.Status: validation of a large object has a lot to say
constexpr size_t max_junk_bytes = 300;
constexpr int max_retry_after = 3600;

ErrorKind kind_of(int status, const std::string& reason) {
  switch (status) {
    case 401:
      return ErrorKind::Unauthorized;
    case 403:
      return ErrorKind::Forbidden;
    case 404:
      return ErrorKind::NotFound;
    case 408:
      return ErrorKind::ServerError;  // the server gave up waiting, which says nothing about the request
    case 409:
      return reason == "AlreadyExists" ? ErrorKind::AlreadyExists : ErrorKind::Conflict;
    case 410:
      return ErrorKind::Gone;
    case 429:
      return ErrorKind::TooManyRequests;
    default:
      break;
  }
  if (status >= 500) return ErrorKind::ServerError;
  return status >= 400 ? ErrorKind::Invalid : ErrorKind::Malformed;
}

std::optional<std::chrono::milliseconds> retry_after_header(const HttpResponse& response) {
  const std::string* text = response.header("retry-after");
  if (!text) return std::nullopt;
  int value = 0;
  const auto [end, problem] = std::from_chars(text->data(), text->data() + text->size(), value);
  // Only seconds: Kubernetes sends no dates here.
  if (problem != std::errc() || end != text->data() + text->size() || value < 0) return std::nullopt;
  return seconds(std::min(value, max_retry_after));
}

std::string text_of(const rapidjson::Value& object, const char* name) {
  const auto it = object.FindMember(name);
  if (it == object.MemberEnd() || !it->value.IsString()) return {};
  return {it->value.GetString(), it->value.GetStringLength()};
}

// A wrong UID in a patch or an apply is answered with 422 "metadata.uid: field is immutable" and not with
// 409, as in a PUT or a DELETE. It is our precondition that failed, not the body that is wrong.
bool blames_uid(const rapidjson::Value& details) {
  const auto causes = details.FindMember("causes");
  if (causes == details.MemberEnd() || !causes->value.IsArray()) return false;
  return std::any_of(causes->value.Begin(), causes->value.End(), [](const rapidjson::Value& cause) {
    return cause.IsObject() && text_of(cause, "field") == "metadata.uid";
  });
}

// Fills in what a metav1.Status says. False if the body is none.
bool read_status(const std::string& body, Error& error, bool& wrong_uid) {
  if (body.empty() || body.size() > max_status_bytes) return false;
  rapidjson::Document document;
  // The iterative parser: nesting from outside must not use up the stack.
  document.Parse<rapidjson::kParseIterativeFlag>(body.data(), body.size());
  if (document.HasParseError() || !document.IsObject() || text_of(document, "kind") != "Status") return false;
  error.message = whole_characters(text_of(document, "message"), max_message_bytes);
  error.reason = text_of(document, "reason");
  const auto details = document.FindMember("details");
  if (details != document.MemberEnd() && details->value.IsObject()) {
    wrong_uid = blames_uid(details->value);
    const auto wait = details->value.FindMember("retryAfterSeconds");
    if (wait != details->value.MemberEnd() && wait->value.IsInt() && wait->value.GetInt() > 0) {
      error.retry_after = seconds(std::min(wait->value.GetInt(), max_retry_after));
    }
  }
  return true;
}

}  // namespace

Error error_of(const HttpResponse& response) {
  Error error;
  error.http_status = response.status;
  bool wrong_uid = false;
  if (!read_status(response.body, error, wrong_uid) || error.message.empty()) {
    const std::string said =
        bounded_text(std::string_view(response.body).substr(0, max_status_bytes), max_junk_bytes);
    error.message = "HTTP " + std::to_string(response.status) + (said.empty() ? "" : ": " + said);
  }
  error.kind = kind_of(response.status, error.reason);
  if (response.status == 422 && wrong_uid) error.kind = ErrorKind::Conflict;
  // Server-side apply answers a misspelt field with a bare 500, for ever.
  if (response.status == 500 && error.message.starts_with("failed to create typed patch object"))
    error.kind = ErrorKind::Invalid;
  if (auto wait = retry_after_header(response)) error.retry_after = wait;
  return error;
}

}  // namespace mo::kube
