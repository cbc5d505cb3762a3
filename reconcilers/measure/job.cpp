#include "reconcilers/measure/job.h"

#include <algorithm>
#include <tuple>

#include "reconcilers/common/names.h"

namespace mo::measure {
namespace {

constexpr size_t kLongestName = 63;  // the name is a label's value on the Job's pods
constexpr size_t kHashDigits = 24;
constexpr int kKept = 3'600;       // seconds
constexpr int kKeptAtLeast = 300;  // or it may go before its words are read, and is made again

// 96 bits out of two hashes of different beginnings.
std::string long_hash(const std::string& text) { return (hash_of("1" + text) + hash_of("2" + text)).substr(0, kHashDigits); }

}  // namespace

std::string gate_job_name(const std::string& model, const std::string& gate, const std::string& ask_id) {
  std::string words = model + "-" + gate;
  for (char& c : words)
    c = std::isalnum(static_cast<unsigned char>(c)) ? static_cast<char>(std::tolower(static_cast<unsigned char>(c))) : '-';
  words.resize(std::min(words.size(), kLongestName - 1 - kHashDigits));
  return words + "-" + long_hash(model + "/" + ask_id);
}

Result<Json> render_measuring_job(const api::Model& model, const api::Gate& figure, const std::string& name, const std::string& uid,
                                  const Environment& environment, Duration deadline) {
  Result<Json> job = render_job(model, name, figure.job->job_template, "job.template", environment);
  if (!job) return job;
  (*job)["metadata"]["labels"][api::kLabelGateOf] = uid;
  (*job)["metadata"]["annotations"][api::kAnnotationGate] = figure.name;
  Json& spec = (*job)["spec"];
  if (!spec.is_object()) return job;
  if (!spec.contains("activeDeadlineSeconds"))
    spec["activeDeadlineSeconds"] = std::chrono::duration_cast<std::chrono::seconds>(deadline).count();
  Json& kept = spec["ttlSecondsAfterFinished"];
  if (kept.is_null()) kept = kKept;
  if (kept.is_number_integer() && kept < kKeptAtLeast) kept = kKeptAtLeast;
  return job;
}

Result<Json> render_gate_job(const api::Model& model, const api::Gate& gate, const std::string& name,
                             const api::ModelRollout& rollout, const std::string& stable, Duration deadline) {
  const std::string& ns = model.meta.key.ns;
  return render_measuring_job(model, gate, name, rollout.meta.uid,
                              {{"MODELOPS_MODEL", model.meta.key.name},
                               {"MODELOPS_NAMESPACE", ns},
                               {"MODELOPS_VERSION", rollout.version},
                               {"MODELOPS_STABLE_VERSION", stable},
                               {"MODELOPS_CANDIDATE_URL", "http://" + candidate_service_name(model.meta.key.name) + "." + ns + ".svc"},
                               {"MODELOPS_STABLE_URL", "http://" + model.meta.key.name + "." + ns + ".svc"},
                               {"MODELOPS_RUN_ID", name}},
                              deadline);
}

std::vector<Action> tidy_gate_jobs(const std::map<std::string, Ref<api::Job>>& jobs, const std::string& rollout_uid,
                                   const std::map<std::string, std::string>& measuring) {
  std::vector<Action> actions;
  std::map<std::string, std::vector<Ref<api::Job>>> finished;  // by gate
  for (const auto& [name, job] : jobs) {
    if (job->gate_of != rollout_uid || job->meta.deleting) continue;
    const auto gate = measuring.find(job->gate);
    if (!ended(*job) && job->gate.empty())
      actions.push_back(Delete{{Kind::Job, job->meta.key}, job->meta.uid, "an earlier operator version created it; the gate is measured again"});
    if (gate == measuring.end() || gate->second == name) continue;
    if (ended(*job))
      finished[job->gate].push_back(job);
    else
      actions.push_back(Delete{{Kind::Job, job->meta.key}, job->meta.uid, "gate " + job->gate + " is now measured by " + gate->second});
  }
  for (auto& [gate, over] : finished) {
    std::sort(over.begin(), over.end(), [](const auto& a, const auto& b) {
      return std::tie(a->meta.created, a->meta.key.name) > std::tie(b->meta.created, b->meta.key.name);
    });
    for (size_t i = kFinishedJobsKept; i < over.size(); ++i)
      actions.push_back(Delete{{Kind::Job, over[i]->meta.key}, over[i]->meta.uid, "only the last few finished Jobs of a gate are kept"});
  }
  return actions;
}

}  // namespace mo::measure
