#include "reconcilers/common/names.h"

#include <cstdio>

namespace mo {

std::string version_suffix(const std::string& model, const std::string& version) {
  const std::string prefix = model + "-";
  if (version.size() > prefix.size() && version.compare(0, prefix.size(), prefix) == 0)
    return version.substr(prefix.size());
  return version;
}

std::string deployment_name(const std::string& model, const std::string& version) {
  return model + "-" + version_suffix(model, version);
}

std::string candidate_service_name(const std::string& model) { return model + "-candidate"; }

std::string version_name_for(const std::string& model, const std::string& digest) {
  return model + "-" + digest.substr(digest.find(':') + 1, 10);
}

std::string long_version_name_for(const std::string& model, const std::string& digest) {
  return model + "-" + digest.substr(digest.find(':') + 1, 14);
}

std::string spec_rollout_name(const std::string& model, const std::string& version, int64_t generation) {
  return deployment_name(model, version) + "-" + std::to_string(generation);
}

std::string retraining_rollout_name(const std::string& model, const std::string& version, int64_t run) {
  return deployment_name(model, version) + "-run" + std::to_string(run);
}

namespace {
std::string numbered(const std::string& name, int64_t number) {
  char digits[24];
  std::snprintf(digits, sizeof digits, "%06lld", static_cast<long long>(number));
  return name + digits;
}
}  // namespace

std::string training_run_name(const std::string& model, int64_t run) { return numbered(model + "-run-", run); }

std::string old_run_job_name(const std::string& model, int64_t run) { return numbered(model + "-retrain-", run); }

std::string run_job_name(const std::string& run, const std::string& part) {
  constexpr size_t kLongest = 63, kHashDigits = 10;
  if (run.size() + 1 + part.size() <= kLongest) return run + "-" + part;
  return run.substr(0, kLongest - part.size() - kHashDigits - 2) + "-" + hash_of(run).substr(0, kHashDigits) + "-" + part;
}

std::string runtime_rollout_name(const std::string& model, const std::string& version, const std::string& runtime_uid, int64_t generation,
                                 const std::string& revision) {
  constexpr size_t kLongest = 253;
  const std::string mark = "-rt-" + hash_of(runtime_uid + "/" + std::to_string(generation) + "/" + revision).substr(0, 10);
  return deployment_name(model, version).substr(0, kLongest - mark.size()) + mark;
}

}  // namespace mo
