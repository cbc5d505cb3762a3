// Where audit records go: standard output, a file, or a web address.
#pragma once

#include <memory>
#include <string>

#include "operator/core/result.h"
#include "operator/kube/transport.h"

namespace mo::audit {

class Sink {
 public:
  virtual ~Sink() = default;
  // Whole lines. Returns once they are where they are to be. `id`: the same for the same lines. ErrorKind::Invalid: these lines
  // are refused, others may pass; any other error: nothing passes now.
  virtual Result<void> write(const std::string& id, const std::string& lines, std::stop_token stop) = 0;
};

// `where`: "stdout", "file:PATH", or an http(s) URL, to which `token_file` (may be empty; of https alone) holds the bearer
// token, read for each request. ErrorKind::Invalid: it is none of these. `http` must outlive the sink.
Result<std::unique_ptr<Sink>> make_sink(const std::string& where, const std::string& token_file, kube::HttpTransport& http);

}  // namespace mo::audit
