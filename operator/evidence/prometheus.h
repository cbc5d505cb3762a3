// Queries to Prometheus, each answered by exactly one finite number or by why there is none: now, or at moments of the past.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "operator/core/plan.h"
#include "operator/kube/transport.h"

namespace mo::evidence {

// What an answer of /api/v1/query says. Pure. A vector of one sample or a scalar is a value; it is taken as
// text and never becomes a float.
Reading reading_of(int http_status, std::string_view body);

// What it says of `count` queries that were asked together(): a reading for each, or none at all if it cannot be told. Pure.
std::vector<Reading> readings_of(int http_status, std::string_view body, size_t count);

// What an answer of /api/v1/query_range says: at each moment (Unix seconds) what an instant query would have answered then. Pure.
struct Past {
  std::map<int64_t, Reading> at;  // a moment without an entry has no data
  std::string problem;            // why nothing is known; empty: `at` is all there is
};
Past past_of(int http_status, std::string_view body);

// What an answer says that may have many series, of an instant or of a range. Values that are no finite numbers are left out. Pure.
struct Series {
  std::map<std::string, std::string> labels;
  std::vector<std::pair<int64_t, double>> at;  // by Unix seconds
};
struct SeriesAnswer {
  std::vector<Series> series;
  std::string problem;  // why nothing is known; empty: `series` is all there is
  bool reached = true;  // false: no answer came, so asking the next thing at once is no use
};
SeriesAnswer series_of(int http_status, std::string_view body, size_t most_series);

// Prometheus refuses more moments in one query.
inline constexpr int64_t kMostMoments = 11'000;

// From the first moment to the last, both among them.
struct Moments {
  int64_t first = 0, last = 0;  // Unix seconds
  int64_t step = 1;             // seconds
};

// Thread-safe if the transport is.
class Prometheus {
 public:
  // `url` is the server's address, with a path prefix if it has one; empty: none is configured, and every
  // reading says so. `http` must outlive this.
  Prometheus(std::string url, kube::HttpTransport& http);

  struct Queried {
    Reading reading;
    bool reached = true;      // false: no answer came, so asking the next thing at once is no use
    bool is_vector = false;
  };
  // Blocks for at most `deadline`. Answers longer than 1 MiB are refused.
  Queried query(const std::string& promql, std::stop_token stop, std::chrono::seconds deadline = std::chrono::seconds(10)) const;

  struct QueriedTogether {
    std::vector<Reading> readings;  // empty: none of them is answered, and each is to be asked alone
    bool reached = true;
    std::string problem;            // if it was not reached
  };
  // Several at once, in one request. All stand in brackets.
  QueriedTogether query_together(const std::vector<std::string>& queries, std::stop_token stop,
                                 std::chrono::seconds deadline = std::chrono::seconds(10)) const;

  struct QueriedPast {
    Past past;
    bool reached = true;
  };
  // The same over the past, at most kMostMoments of it. Answers longer than 32 MiB are refused.
  QueriedPast query_past(const std::string& promql, const Moments& moments, std::stop_token stop,
                         std::chrono::seconds deadline = std::chrono::seconds(60)) const;

  // Of `moments`, or of now. More series than that are refused, and answers longer than 32 MiB.
  SeriesAnswer query_series(const std::string& promql, const std::optional<Moments>& moments, size_t most_series, std::stop_token stop,
                            std::chrono::seconds deadline) const;

 private:
  struct Sent {
    Result<kube::HttpResponse> answer;
    std::string problem;  // nothing was asked
  };
  Sent send(const std::string& path, const std::string& form, size_t max_body, std::stop_token stop, std::chrono::seconds deadline) const;
  Queried failed(const Sent& sent) const;

  std::string url_;    // without a slash at its end
  std::string shown_;  // the same without a password, for messages
  kube::HttpTransport& http_;
};

}  // namespace mo::evidence
