// `runs`, `lineage` and `diff VERSION VERSION`: where versions came from, and what makes them differ.
#pragma once

#include <string>
#include <vector>

#include "plugin/session.h"

namespace mo::plugin {

struct Running {
  std::string model;   // "fraud" or "model/fraud"
  std::string run;     // one TrainingRun, with its stages and trials; empty: all, the newest first
  std::string output;  // empty | json | yaml | name
};
int runs(Session& session, const Running& running);

struct Tracing {
  std::string name;    // a Model, whose serving version is meant, or a ModelVersion
  std::string output;  // empty | json | dot
};
int lineage(Session& session, const Tracing& tracing);

struct Comparing {
  std::string from, to;  // ModelVersions
  std::string output;    // empty | json
};
// kNo if they differ.
int diff_versions(Session& session, const Comparing& comparing);

// ---- pure ----

// From `start` to the first of its parents, the latest first; ends where a parent is missing or comes a second time.
std::vector<Json> line_of(const std::string& start, const std::vector<Json>& versions);

struct Difference {
  std::string field, from, to;
  bool operator==(const Difference&) const = default;
};
// Of artifact, lineage and figures, by their path; figures are those that gates read.
std::vector<Difference> version_differences(const Json& from, const Json& to);

// A graph for graphviz. Every text of others is quoted.
std::string dot_of(const std::vector<Json>& line);

}  // namespace mo::plugin
