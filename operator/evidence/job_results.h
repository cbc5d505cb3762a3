// What a finished Job's pods said, out of the API server's JSON. Pure functions, thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "operator/core/result.h"

namespace mo::evidence {

// The termination message that counts, out of a PodList of one Job's pods: of the newest pod that succeeded,
// or of the newest that ended if none did; of its containers the one that ended with 0 and, of several, the
// one that reports or names a RunResult. ErrorKind::NotFound with a sentence for people when there is none.
// Of a `workload`, which has pods that train side by side, those come first that report or name a RunResult.
Result<std::string> termination_message(std::string_view pod_list, const std::string& workload = "");

// Whether pods of a workload may yet say more: one has not ended, and none has reported or named a RunResult.
bool may_yet_report(std::string_view pod_list);

// The text of one key out of a ConfigMap's JSON. ErrorKind::NotFound when the key is absent or binary. Of both functions: Malformed when
// the JSON is broken, Invalid when it, or the text, is longer than it may be.
Result<std::string> configmap_text(std::string_view configmap, const std::string& key);

// All that a ConfigMap holds, as JSON with its `data` and `binaryData`, each only if there is something in it. Errors as above.
Result<std::string> configmap_content(std::string_view configmap);

}  // namespace mo::evidence
