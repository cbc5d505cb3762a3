// What the object of a kind that only a Model's spec knows says, out of the API server's JSON. Pure functions, thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "operator/core/plan.h"
#include "operator/core/result.h"

namespace mo::evidence {

// What an expression of success, failure or result may be, and may cost on one object.
inline constexpr size_t kMostExpressionBytes = 1024;
inline constexpr size_t kMostExpressionSteps = 20'000;

// A JSON object of a few KiB, whatever the object's size: "there": true, "uid", "owner" (the UID of its controller), "deleting", "suspended"
// (spec.suspend is true), "succeeded" and "failed" (the expression holds), "problem" (why one of them can't be told), "says" (the object's last
// condition that holds, or its status.message), "result" (a RunResult's text) or "resultProblem", once it succeeded; "awaited": there is no
// RunResult, but may yet be one.
// ErrorKind::Malformed if the object cannot be read, Invalid if it is too large.
Result<std::string> workload_status(std::string_view object, const AskWorkload& question);

// Of an object that isn't there: "there": false, and "served": whether the API server has such a kind by `resources`, its APIResourceList for
// the group and version, or empty if it knows none.
Result<std::string> absent_workload(std::string_view resources, const AskWorkload& question);

// Whether these words are of one that succeeded, so that pods are to be asked for its RunResult.
bool reports(const std::string& words);
std::string with_result(const std::string& words, const Result<std::string>& result, bool awaited = false);

// Why Kueue has not admitted what the only Workload in this list is of, out of its conditions; empty if it doesn't say.
std::string queue_reason(std::string_view workloads);

}  // namespace mo::evidence
