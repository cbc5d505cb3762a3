// What a PromQL query selects, read lightly: enough to warn, never to refuse. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mo::plugin::promql {

struct Selector {
  std::string metric;               // as it is written; empty if only labels are given
  std::vector<std::string> labels;  // that its matchers name
  std::string to_string() const;    // "http_requests_total", "{job}"
};

struct Query {
  std::vector<Selector> selectors;
  std::vector<std::string> joined_on;  // labels of on (…)
  bool zero_for_no_data = false;       // or vector(0), with any number
};

// Placeholders such as {{namespace}} stand for names. Of what is no PromQL the readable part is told.
Query read(std::string_view query);

// Whether the selector, or what it is joined with, is of one namespace: a matcher of `namespace` or of a label that
// ends in it, such as exported_namespace.
bool names_namespace(const Query& query, const Selector& selector);

}  // namespace mo::plugin::promql
