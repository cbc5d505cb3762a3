// What no transport may put on the wire. For the transports alone.
#pragma once

#include "operator/core/result.h"
#include "operator/kube/transport.h"

namespace mo::kube {

// ErrorKind::Invalid if the target holds white space or control characters, or a header holds a line break:
// either could smuggle in another header or request.
Result<void> check_request(const HttpRequest& request);

}  // namespace mo::kube
