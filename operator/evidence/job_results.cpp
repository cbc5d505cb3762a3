#include "operator/evidence/job_results.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "operator/api/run_result.h"
#include "operator/evidence/bounded_json.h"

namespace mo::evidence {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxPodList = 64u << 20;   // what no Job's pods reach
constexpr size_t kMaxConfigMap = 4u << 20;  // the object as JSON, escapes and metadata included
constexpr size_t kMaxText = 1u << 20;

const Json& at(const Json& object, const char* member) {
  static const Json none;
  if (!object.is_object()) return none;
  const auto it = object.find(member);
  return it == object.end() ? none : *it;
}

struct ContainerMessage {
  bool ended_well = false;  // exit code 0
  bool speaks_of_result = false;
  std::string message;
  auto rank() const { return std::tuple(ended_well, speaks_of_result); }
};

struct EndedPod {
  bool succeeded = false;
  std::string finished;  // RFC 3339 in UTC and whole seconds, as Kubernetes writes it: sorts as text
  std::string name;
  std::vector<ContainerMessage> words;
  bool speaks = false;  // of a RunResult, where that counts
  auto rank() const { return std::tie(succeeded, speaks, finished, name); }
};

bool speaks_of_result(const std::string& message) {
  return message.find("RunResult") != std::string::npos || api::result_reference(message).has_value();
}

// Nothing if a container still runs or none ran.
std::optional<EndedPod> ended_pod(const Json& pod) {
  EndedPod ended;
  ended.name = text_of(at(pod, "metadata"), "name");
  const std::string phase = text_of(at(pod, "status"), "phase");
  ended.succeeded = phase == "Succeeded";
  if (!ended.succeeded && phase != "Failed") return std::nullopt;
  for (const Json& container : at(at(pod, "status"), "containerStatuses")) {
    const Json& terminated = at(at(container, "state"), "terminated");
    if (!terminated.is_object()) continue;
    ended.finished = std::max(ended.finished, text_of(terminated, "finishedAt"));
    std::string message = text_of(terminated, "message");
    if (message.find_first_not_of(" \t\r\n") == std::string::npos) continue;
    const bool speaks = speaks_of_result(message);
    ended.words.push_back({at(terminated, "exitCode") == 0, speaks, std::move(message)});
  }
  return ended;
}

bool speaks(const EndedPod& pod) {
  return std::any_of(pod.words.begin(), pod.words.end(), [](const ContainerMessage& words) { return words.speaks_of_result; });
}

}  // namespace

bool may_yet_report(std::string_view pod_list) {
  if (pod_list.size() > kMaxPodList) return false;
  const Json document = parse_bounded(pod_list);
  bool one_goes_on = false;
  for (const Json& item : at(document, "items")) {
    const auto ended = ended_pod(item);
    if (ended && speaks(*ended)) return false;
    one_goes_on |= !ended;
  }
  return one_goes_on;
}

Result<std::string> termination_message(std::string_view pod_list, const std::string& workload) {
  const std::string who = workload.empty() ? "the Job" : workload;
  if (pod_list.size() > kMaxPodList)
    return fail(ErrorKind::Invalid, "the list of the Job's pods is longer than 64 MiB");
  const Json document = parse_bounded(pod_list);
  if (!at(document, "items").is_array())
    return fail(ErrorKind::Malformed, "the list of the Job's pods cannot be read");
  std::vector<EndedPod> pods;
  for (const Json& item : at(document, "items"))
    if (auto pod = ended_pod(item)) pods.push_back(std::move(*pod));
  if (!workload.empty())
    for (EndedPod& pod : pods) pod.speaks = speaks(pod);
  if (pods.empty())
    return fail(ErrorKind::NotFound,
                who + " ended without a RunResult: all of its pods are deleted, so there is no termination message");
  const auto& newest = *std::max_element(pods.begin(), pods.end(),
                                         [](const auto& a, const auto& b) { return a.rank() < b.rank(); });
  // The first of several that rank alike: containers stand in the order of the pod's spec.
  const auto best = std::max_element(newest.words.begin(), newest.words.end(),
                                     [](const auto& a, const auto& b) { return a.rank() < b.rank(); });
  if (best == newest.words.end())
    return fail(ErrorKind::NotFound,
                who + " ended without a RunResult: pod " + newest.name + " left no termination message");
  return best->message;
}

Result<std::string> configmap_text(std::string_view configmap, const std::string& key) {
  if (configmap.size() > kMaxConfigMap)
    return fail(ErrorKind::Invalid, "the ConfigMap is longer than 4 MiB");
  const Json document = parse_bounded(configmap);
  if (!document.is_object()) return fail(ErrorKind::Malformed, "the ConfigMap cannot be read");
  const Json& value = at(at(document, "data"), key.c_str());
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (text.size() > kMaxText)
      return fail(ErrorKind::Invalid, "its key \"" + key + "\" holds more than 1 MiB");
    return text;
  }
  if (at(document, "binaryData").is_object() && at(document, "binaryData").contains(key))
    return fail(ErrorKind::NotFound, "its key \"" + key + "\" is binary, not text");
  return fail(ErrorKind::NotFound, "it has no key \"" + key + "\"");
}

Result<std::string> configmap_content(std::string_view configmap) {
  if (configmap.size() > kMaxConfigMap)
    return fail(ErrorKind::Invalid, "the ConfigMap is longer than 4 MiB");
  const Json document = parse_bounded(configmap);
  if (!document.is_object()) return fail(ErrorKind::Malformed, "the ConfigMap cannot be read");
  Json content = Json::object();
  for (const char* part : {"data", "binaryData"})
    if (const Json& found = at(document, part); found.is_object() && !found.empty()) content[part] = found;
  return content.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace mo::evidence
