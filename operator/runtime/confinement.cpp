#include "operator/runtime/confinement.h"

#include <spdlog/spdlog.h>

#include <condition_variable>
#include <mutex>

#include "operator/json/json.h"
#include "operator/runtime/log.h"

namespace mo {
namespace {

using Monotonic = std::chrono::steady_clock;

bool pause_for(std::chrono::milliseconds time, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

void log_open(const std::string& ns) {
  spdlog::critical(
      "no admission policy confines this account: the API server would create a Deployment without an owner in namespace {} for it. Apply "
      "manifests/admission (ValidatingAdmissionPolicy {}) and the operator's role from the same version, whose verb reconcile on models is how "
      "the policy knows the operator; bind no role with all verbs to its account. --unconfined starts without this protection",
      ns, kConfiningPolicy);
}

}  // namespace

Confinement judge_confinement(const Result<std::string>& answer) {
  if (answer) return Confinement::Open;
  const Error& error = answer.error();
  const bool refused = error.kind == ErrorKind::Forbidden || error.kind == ErrorKind::Invalid;
  return refused && error.message.find(kConfiningPolicy) != std::string::npos ? Confinement::Confined : Confinement::Unknown;
}

std::string confinement_probe(const std::string& ns) {
  const Json labels = {{"app.kubernetes.io/name", "model-operator-probe"}};
  const Json security = {{"allowPrivilegeEscalation", false},
                         {"capabilities", {{"drop", {"ALL"}}}},
                         {"runAsNonRoot", true},
                         {"seccompProfile", {{"type", "RuntimeDefault"}}}};
  const Json container = {{"name", "none"}, {"image", "none"}, {"securityContext", security}};
  return Json{{"apiVersion", "apps/v1"},
              {"kind", "Deployment"},
              {"metadata", {{"name", "model-operator-probe"}, {"namespace", ns}, {"labels", labels}}},
              {"spec",
               {{"replicas", 0},
                {"selector", {{"matchLabels", labels}}},
                {"template", {{"metadata", {{"labels", labels}}}, {"spec", {{"containers", {container}}}}}}}}}
      .dump();
}

bool wait_until_confined(kube::Client& client, const std::string& ns, std::stop_token stop, std::chrono::milliseconds patience,
                         std::chrono::milliseconds pause) {
  const std::string probe = confinement_probe(ns);
  const auto began = Monotonic::now();
  auto next_word = began + std::chrono::seconds(5);
  do {
    const auto answer = client.dry_run_post(Kind::Deployment, ns, probe, stop);
    const Confinement is = judge_confinement(answer);
    const auto now = Monotonic::now();
    if (is == Confinement::Confined) return true;
    if (is == Confinement::Open && now >= began + patience) return log_open(ns), false;
    if (now < next_word || stop.stop_requested()) continue;
    if (is == Confinement::Unknown)
      spdlog::warn("still waiting for proof that ValidatingAdmissionPolicy {} confines this account: {}", kConfiningPolicy, log::to_string(answer.error()));
    next_word = now + std::chrono::seconds(30);
  } while (pause_for(pause, stop));
  return false;
}

bool still_confined(kube::Client& client, const std::string& ns, std::stop_token stop) {
  if (judge_confinement(client.dry_run_post(Kind::Deployment, ns, confinement_probe(ns), stop)) != Confinement::Open) return true;
  log_open(ns);
  return false;
}

}  // namespace mo
