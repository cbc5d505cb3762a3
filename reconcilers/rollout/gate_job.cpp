#include "reconcilers/rollout/gate_job.h"

#include <algorithm>

#include "reconcilers/common/job.h"
#include "reconcilers/common/names.h"

namespace mo::rollout {
namespace {

constexpr size_t kLongestName = 63;
constexpr int kKept = 86'400;  // seconds

}  // namespace

std::string gate_job_name(const std::string& model, const std::string& gate, const std::string& ask_id) {
  std::string word = gate;
  for (char& c : word)
    c = std::isalnum(static_cast<unsigned char>(c)) ? static_cast<char>(std::tolower(static_cast<unsigned char>(c))) : '-';
  const std::string mark = "-" + hash_of(ask_id).substr(0, 8);
  word.resize(std::min(word.size(), kLongestName - model.size() - 1 - mark.size()));
  return model + "-" + word + mark;
}

Result<Json> render_gate_job(const api::Model& model, const api::Gate& gate, const std::string& name,
                             const api::ModelRollout& rollout, const std::string& stable, Duration deadline) {
  const std::string& ns = model.meta.key.ns;
  Result<Json> job =
      render_job(model, name, gate.job->job_template, "job.template",
                 {{"MODELOPS_MODEL", model.meta.key.name},
                  {"MODELOPS_NAMESPACE", ns},
                  {"MODELOPS_VERSION", rollout.version},
                  {"MODELOPS_STABLE_VERSION", stable},
                  {"MODELOPS_CANDIDATE_URL", "http://" + candidate_service_name(model.meta.key.name) + "." + ns + ".svc"},
                  {"MODELOPS_STABLE_URL", "http://" + model.meta.key.name + "." + ns + ".svc"},
                  {"MODELOPS_RUN_ID", name}});
  if (!job) return job;
  (*job)["metadata"]["labels"][api::kLabelGateOf] = rollout.meta.uid;
  Json& spec = (*job)["spec"];
  if (!spec.is_object()) return job;
  if (!spec.contains("activeDeadlineSeconds"))
    spec["activeDeadlineSeconds"] = std::chrono::duration_cast<std::chrono::seconds>(deadline).count();
  if (!spec.contains("ttlSecondsAfterFinished")) spec["ttlSecondsAfterFinished"] = kKept;
  return job;
}

}  // namespace mo::rollout
