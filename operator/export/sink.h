// Where audit records go: standard output, a file, a web address, or a bucket.
#pragma once

#include <memory>
#include <string>

#include "operator/core/result.h"
#include "operator/kube/transport.h"

namespace mo::audit {

// The records of one ModelAudit.
struct Batch {
  std::string id;     // the same for the same lines
  std::string path;   // NAMESPACE/MODEL/UID/FIRST-LAST, of a trail in the order of its records
  std::string lines;  // whole ones
};

class Sink {
 public:
  virtual ~Sink() = default;
  // Returns once they are where they are to be. ErrorKind::Invalid: these lines are refused, others may pass; any other error:
  // nothing passes now.
  virtual Result<void> write(const Batch& batch, std::stop_token stop) = 0;
};

struct SinkOptions {
  std::string where;        // "stdout", "file:PATH", an http(s) URL, or "s3://BUCKET[/PREFIX]"
  std::string token_file;   // with the bearer token for an https address, read for each request; may be empty
  std::string credentials;  // folder with the settings of fetch::S3Settings as files, read for each request; empty: they are in
                            // the environment
};

// ErrorKind::Invalid: it is none of these, or what it needs is missing. `http` must outlive the sink.
Result<std::unique_ptr<Sink>> make_sink(const SinkOptions& options, kube::HttpTransport& http);

}  // namespace mo::audit
