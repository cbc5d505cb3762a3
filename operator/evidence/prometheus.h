// Instant queries to Prometheus, each answered by exactly one finite number or by why there is none.
#pragma once

#include <chrono>
#include <stop_token>
#include <string>
#include <string_view>

#include "operator/core/plan.h"
#include "operator/kube/transport.h"

namespace mo::evidence {

// What an answer of /api/v1/query says. Pure. A vector of one sample or a scalar is a value; it is taken as
// text and never becomes a float.
Reading reading_of(int http_status, std::string_view body);

// Thread-safe if the transport is.
class Prometheus {
 public:
  // `url` is the server's address, with a path prefix if it has one; empty: none is configured, and every
  // reading says so. `http` must outlive this.
  Prometheus(std::string url, kube::HttpTransport& http);

  struct Queried {
    Reading reading;
    bool reached = true;  // false: no answer came, so asking the next thing at once is no use
  };
  // Blocks for at most `deadline`. Answers longer than 1 MiB are refused.
  Queried query(const std::string& promql, std::stop_token stop, std::chrono::seconds deadline = std::chrono::seconds(10)) const;

 private:
  std::string url_;    // without a slash at its end
  std::string shown_;  // the same without a password, for messages
  kube::HttpTransport& http_;
};

}  // namespace mo::evidence
