#include "operator/core/result.h"

namespace mo {

const char* to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::NotFound:
      return "NotFound";
    case ErrorKind::Conflict:
      return "Conflict";
    case ErrorKind::AlreadyExists:
      return "AlreadyExists";
    case ErrorKind::Gone:
      return "Gone";
    case ErrorKind::Invalid:
      return "Invalid";
    case ErrorKind::Forbidden:
      return "Forbidden";
    case ErrorKind::Unauthorized:
      return "Unauthorized";
    case ErrorKind::TooManyRequests:
      return "TooManyRequests";
    case ErrorKind::ServerError:
      return "ServerError";
    case ErrorKind::Transport:
      return "Transport";
    case ErrorKind::Cancelled:
      return "Cancelled";
    case ErrorKind::Malformed:
      return "Malformed";
  }
  return "Unknown";
}

}  // namespace mo
