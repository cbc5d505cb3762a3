// What the API server would write into a PodTemplateSpec by itself. Pure, thread-safe.
#pragma once

#include "operator/json/json.h"

namespace mo {

// The template without the fields that say what the API server takes for granted (terminationGracePeriodSeconds: 30, protocol: TCP): two that
// differ by these alone make the same pods. What is not of the type that Kubernetes wants there is passed over.
Json without_defaults(Json pod_template);

}  // namespace mo
