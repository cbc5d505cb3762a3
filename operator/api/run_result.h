// What a Job of ours reports when it ends: one RunResult, by termination message or in a ConfigMap that the
// message names. Pure functions, thread-safe. Errors are ErrorKind::Invalid with one sentence for people that
// quotes what was wrong.
#pragma once

#include <cstddef>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "operator/api/types.h"
#include "operator/core/result.h"

namespace mo::api {

// Kubernetes keeps the last so many bytes of a container's termination message and drops what came before.
inline constexpr size_t kTerminationMessageLimit = 4096;
// The longest text that is read from a ConfigMap (the API server holds no larger one).
inline constexpr size_t kRunResultLimit = 1u << 20;

struct RunResult {
  std::map<std::string, std::string> metrics;  // name to decimal, as the Job wrote it: a JSON string or number
  std::map<std::string, std::string> champion_metrics;  // championMetrics: of an evaluation, the same figures of what serves
  Artifact artifact;
  // An object with at most the fields code, data, environment, parameters and seed, each checked for its
  // shape.
  nlohmann::json lineage = nlohmann::json::object();
};

// `gate`: of a gate's Job, which makes no artifact.
Result<RunResult> parse_run_result(std::string_view text, bool gate = false);
// Of a Job that imports: its artifact may also lie in s3://, whose Secret the Model names.
Result<RunResult> parse_import_result(std::string_view text);

struct ConfigMapKey {
  std::string name;
  std::string key;
  bool operator==(const ConfigMapKey&) const = default;
};

// The ConfigMap (in the Job's namespace) that a termination message names instead of holding the RunResult
// itself:
// {"configMapKeyRef": {"name": …, "key": …}}, with or without apiVersion and kind, or the text
// configmap://name/key. The key may be left out and is then "result". Nothing if the message names none.
std::optional<ConfigMapKey> result_reference(std::string_view termination_message);

// The first characters of a text for a message: control characters and broken UTF-8 replaced, never cut
// inside a character.
std::string excerpt(std::string_view text, size_t max_bytes = 80);

}  // namespace mo::api
