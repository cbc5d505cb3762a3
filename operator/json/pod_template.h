// Pod and Job templates as users write them: bounded, and of a shape that the operator can merge and complete. What else is wrong
// with a template, the API server says of the resulting object. Pure, thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "operator/core/result.h"
#include "operator/json/json.h"

namespace mo {

inline constexpr size_t kMaxTemplateBytes = 64u << 10;  // as JSON without blanks
inline constexpr size_t kMaxTemplateEntries = 256;      // of each list

enum class TemplateRole {
  Whole,    // serves by itself: $patch has no meaning in it
  Overlay,  // is merged into another: null and $patch delete
};

// A PodTemplateSpec. Lists that merge by a key (containers, env, volumes, volumeMounts, …) hold objects that have it. `where` names
// object and field: every error is ErrorKind::Invalid and begins with it, as in
// "spec.serving.template.spec.containers[1].env[0] has no name; …".
Result<Json> read_pod_template(std::string_view text, const std::string& where, TemplateRole role);

// A JobTemplateSpec, whose pod template is Whole.
Result<Json> read_job_template(std::string_view text, const std::string& where);

// Why a label or annotation under `prefix` ("modelops.dev/") stands in this metadata, which may be anything; empty if none does.
std::string owned_metadata(const Json& metadata, const std::string& where, std::string_view prefix);

}  // namespace mo
