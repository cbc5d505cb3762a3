#include "operator/kube/transport.h"

#include <algorithm>

#include "operator/kube/request_check.h"

namespace mo::kube {
namespace {

bool breaks_line(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

}  // namespace

const std::string* HttpResponse::header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_case_name) return &value;
  }
  return nullptr;
}

Result<void> check_request(const HttpRequest& request) {
  const bool plain = std::all_of(request.target.begin(), request.target.end(),
                                 [](unsigned char c) { return c > ' ' && c != 0x7f; });
  if (request.target.empty() || !plain)
    return fail(ErrorKind::Invalid, "not a request target: \"" + request.target + "\"");
  for (const auto& [name, value] : request.headers) {
    if (breaks_line(name) || breaks_line(value)) {
      return fail(ErrorKind::Invalid,
                  "the header " + name.substr(0, name.find_first_of("\r\n")) + " holds a line break");
    }
  }
  return {};
}

}  // namespace mo::kube
