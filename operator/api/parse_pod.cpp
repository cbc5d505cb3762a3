// Pods: whether they are ready, and if not what keeps them from it, in the cluster's own words.
#include <algorithm>

#include "operator/api/parse.h"
#include "operator/api/read.h"
#include "operator/api/read_kubernetes.h"

namespace mo::api {
namespace read {
namespace {

constexpr std::string_view kFetchContainer = "modelops-fetch", kImageVolume = "modelops-image";
// And, for parts and in Jobs that evaluate, with more behind it.
bool is_called(std::string_view name, std::string_view ours) { return name.starts_with(ours) && (name.size() == ours.size() || name[ours.size()] == '-'); }
bool fetches(std::string_view container) { return is_called(container, kFetchContainer); }
constexpr int kDigestMismatch = 65, kBadSignature = 76;  // exit codes of the fetch container

struct Terminated {
  int exit_code = 0;
  std::string reason, message;
  std::optional<TimePoint> started, finished;
};
constexpr Field<Terminated> kTerminated[] = {{"exitCode", member<&Terminated::exit_code>},
                                             {"startedAt", member<&Terminated::started>},
                                             {"finishedAt", member<&Terminated::finished>},
                                             {"reason", member<&Terminated::reason>},
                                             {"message", member<&Terminated::message>}};
bool read(value& v, Terminated& out, const Path& at) { return read_object(v, out, kTerminated, at); }

struct Waiting {
  std::string reason, message;
};
constexpr Field<Waiting> kWaiting[] = {{"reason", member<&Waiting::reason>},
                                       {"message", member<&Waiting::message>}};
bool read(value& v, Waiting& out, const Path& at) { return read_object(v, out, kWaiting, at); }

struct ContainerState {
  bool running = false;
  std::optional<TimePoint> running_since;
  std::optional<Waiting> waiting;
  std::optional<Terminated> terminated;
};
constexpr Field<ContainerState> kRunning[] = {{"startedAt", member<&ContainerState::running_since>}};
constexpr Field<ContainerState> kState[] = {{"running",
                                             [](value& v, ContainerState& out, const Path& at) {
                                               out.running = true;
                                               read_object(v, out, kRunning, at);
                                             }},
                                            {"waiting", member<&ContainerState::waiting>},
                                            {"terminated", member<&ContainerState::terminated>}};
bool read(value& v, ContainerState& out, const Path& at) { return read_object(v, out, kState, at); }

struct ContainerStatus {
  std::string name;
  ContainerState state, last_state;
  bool ready = false;
  int restarts = 0;
};
constexpr Field<ContainerStatus> kContainerStatus[] = {
    {"name", member<&ContainerStatus::name>},
    {"state", member<&ContainerStatus::state>},
    {"lastState", member<&ContainerStatus::last_state>},
    {"ready", member<&ContainerStatus::ready>},
    {"restartCount", member<&ContainerStatus::restarts>},
};
bool read(value& v, ContainerStatus& out, const Path& at) {
  return read_object(v, out, kContainerStatus, at);
}

// How the container ended, if it ended badly and did not end well since.
const Terminated* failure_of(const ContainerStatus& c) {
  if (c.state.terminated) return c.state.terminated->exit_code != 0 ? &*c.state.terminated : nullptr;
  const auto& last = c.last_state.terminated;
  return last && last->exit_code != 0 && !c.ready ? &*last : nullptr;
}

// "Back-off pulling image "x": ErrImagePull: no such image" and "ErrImagePull: no such image" take turns for
// as long as the image is missing. Said alike they do not turn into a status write each time.
std::string image_problem(const Waiting& waiting) {
  constexpr std::string_view kInner = "ErrImagePull: ";
  const size_t inner =
      waiting.reason == "ImagePullBackOff" ? waiting.message.find(kInner) : std::string::npos;
  return inner == std::string::npos ? joined(waiting.reason, waiting.message) : waiting.message.substr(inner);
}

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
}

// Like image_problem, the same words whether the container waits for its next try, runs it or has just failed
// it.
std::string crash_problem(const ContainerStatus& c, const Terminated& end) {
  if (fetches(c.name) && !trimmed(end.message).empty()) return trimmed(end.message);
  const std::string how = end.reason.empty() || end.reason == "Error" ? "" : " (" + end.reason + ")";
  return joined(std::string(c.restarts > 0 ? "CrashLoopBackOff: " : "") + "container " + c.name +
                    " ended with exit code " + std::to_string(end.exit_code) + how,
                trimmed(end.message));
}

std::string problem_of(const ContainerStatus& c) {
  if (const Terminated* end = failure_of(c)) return crash_problem(c, *end);
  const auto& waiting = c.state.waiting;
  if (!waiting || waiting->reason == "PodInitializing" || waiting->reason == "ContainerCreating") return "";
  return image_problem(*waiting);
}

struct PodStatus {
  std::string phase, reason, message;
  std::string unscheduled;
  std::optional<TimePoint> scheduled;
  bool ready = false;
  std::vector<ContainerStatus> init_containers, containers;
};
void read_pod_conditions(value& v, PodStatus& out, const Path& at) {
  each_condition(v, at, [&](const PlainCondition& c) {
    if (c.type == "Ready") out.ready = c.status == "True";
    if (c.type != "PodScheduled") return;
    if (c.status == "False") out.unscheduled = joined(c.reason, c.message);
    if (c.status == "True") out.scheduled = c.last_transition;
  });
}
constexpr Field<PodStatus> kPodStatus[] = {
    {"phase", member<&PodStatus::phase>},
    {"reason", member<&PodStatus::reason>},
    {"message", member<&PodStatus::message>},
    {"conditions", read_pod_conditions},
    {"initContainerStatuses", member<&PodStatus::init_containers>},
    {"containerStatuses", member<&PodStatus::containers>},
};

// The first of: no node, a container in the order they start, the pod as a whole (evicted).
std::string problem_of(const PodStatus& status) {
  if (status.ready) return "";
  if (!status.unscheduled.empty()) return status.unscheduled;
  for (const auto* containers : {&status.init_containers, &status.containers}) {
    for (const ContainerStatus& c : *containers) {
      if (std::string problem = problem_of(c); !problem.empty()) return problem;
    }
  }
  return status.phase == "Failed" ? joined(status.reason, status.message) : "";
}

// A pod, and what of it is needed no longer once spec and status were read, in whatever order.
struct Found : Pod {
  bool mounts_images = false;  // artifacts that the kubelet brings
  PodStatus status;
};

void read_volumes(value& v, Found& out, const Path& at) {
  each_item(v, at, [&](value& item, const Path& here) {
    struct Volume {
      std::string name;
    } volume;
    static constexpr Field<Volume> kVolume[] = {{"name", member<&Volume::name>}};
    if (read_object(item, volume, kVolume, here)) out.mounts_images |= is_called(volume.name, kImageVolume);
  });
}
constexpr Field<Found> kPodSpec[] = {{"volumes", read_volumes}};

// Between two fetch containers the pod still fetches.
void find_fetching(Found& out) {
  std::optional<TimePoint> since, done;
  bool first_try = true, all = true;
  for (const ContainerStatus& c : out.status.init_containers) {
    if (!fetches(c.name)) continue;
    const auto& ended = c.state.terminated;
    first_try = first_try && c.restarts == 0 && (!ended || ended->exit_code == 0);
    const auto began = ended ? ended->started : c.state.running_since;
    if (began && (!since || *began < *since)) since = began;
    if (!ended || ended->exit_code != 0) all = false;
    if (ended && ended->finished && (!done || *done < *ended->finished)) done = ended->finished;
  }
  if (all) out.fetched_at = done;
  else if (first_try) out.fetching_since = since;
}

void conclude(Found& out) {
  const PodStatus& status = out.status;
  out.ready = status.ready;
  out.ended = status.phase == "Failed" || status.phase == "Succeeded";
  const auto begun = [](const ContainerStatus& c) { return c.state.running || c.state.terminated; };
  out.begun = out.ended || status.phase == "Running" ||
              std::any_of(status.init_containers.begin(), status.init_containers.end(), begun);
  out.problem = problem_of(status);
  find_fetching(out);
  // The kubelet pulls all images before it starts the first container, and says nothing meanwhile.
  if (out.mounts_images && !out.begun && out.problem.empty()) out.fetching_since = status.scheduled;
  for (const ContainerStatus& c : status.init_containers) {
    const Terminated* end = failure_of(c);
    if (!fetches(c.name) || end == nullptr) continue;
    out.digest_mismatch |= end->exit_code == kDigestMismatch;
    out.bad_signature |= end->exit_code == kBadSignature;
  }
}

void read_pod_status(value& v, Root<Found>& out, const Path& at) { read_object(v, out.object.status, kPodStatus, at); }
constexpr Field<Root<Found>> kPod[] = {{"metadata", root_metadata}, {"spec", root_part<kPodSpec>}, {"status", read_pod_status}};

}  // namespace

static void take(Extra& extra, Pod& out) {
  out.model = std::move(extra.model);
  out.job_of = std::move(extra.job_of);
  out.version = std::move(extra.version);
  out.revision = std::move(extra.revision);
  if (!out.version.empty() && out.revision.empty()) out.template_hash = std::move(extra.template_hash);
}

}  // namespace read

template <>
Result<Pod> parse<Pod>(std::string_view json, Coverage* coverage) {
  auto found = read::parse_with(json, read::kPod, coverage);
  if (!found) return fail(found.error());
  read::conclude(*found);
  return Pod(std::move(*found));
}

}  // namespace mo::api
