#include "reconcilers/training/import.h"

#include "operator/core/size.h"

namespace mo::training {
namespace {

constexpr int kImageUser = 65532;
// An MLflow that is away is asked for half an hour by each of these pods.
constexpr int kPodsAgain = 3;
constexpr uint64_t kBesideFiles = 16u << 20;  // what the volume takes beside the files

}  // namespace

const api::Trigger* import_of(const api::Retraining& spec, const std::string& trigger) {
  const api::Trigger* first = nullptr;
  for (const api::Trigger& one : spec.triggers) {
    if (one.mlflow && !first) first = &one;
    if (one.mlflow && one.name == trigger) return &one;
  }
  return spec.job_template.empty() && !spec.workload ? first : nullptr;
}

api::Retraining for_import(const api::Retraining& spec) {
  api::Retraining out = spec;
  out.trials.reset();
  if (out.retry) out.retry->attempts = 1;
  return out;
}

std::string version_of(const std::string& found) { return found.substr(0, found.find('@')); }

RawJson import_template(const api::MlflowRegistry& from, const std::vector<std::string>& metrics,
                        const serving::Settings& settings) {
  const uint64_t most =
      from.size.empty() ? api::kDefaultArtifactBytes : parse_size(from.size).value_or(api::kDefaultArtifactBytes);
  Json args = {"import", "mlflow"};
  // With "=", since a name may begin with "-"; the kubelet reads "$$" as "$", and "$(NAME)" as a variable.
  const auto flag = [&](const char* name, std::string value) {
    for (size_t at = 0; (at = value.find('$', at)) != std::string::npos; at += 2) value.insert(at, "$");
    args.push_back(std::string(name) + "=" + value);
  };
  flag("--url", from.url);
  flag("--model", from.model);
  flag("--alias", from.alias);
  flag("--uri", "pvc://" + from.claim + (from.folder.empty() ? "" : "/" + from.folder));
  flag("--format", from.format);
  flag("--max-bytes", std::to_string(most));
  Json mounts = Json::array({{{"name", "store"}, {"mountPath", "/store"}}, {{"name", "work"}, {"mountPath", "/work"}}});
  Json volumes = Json::array({{{"name", "store"}, {"persistentVolumeClaim", {{"claimName", from.claim}}}},
                              {{"name", "work"}, {"emptyDir", {{"sizeLimit", std::to_string(most + kBesideFiles)}}}}});
  if (!from.format_version.empty()) flag("--format-version", from.format_version);
  for (const std::string& metric : metrics) flag("--metric", metric);
  if (!from.secret.empty()) {
    flag("--credentials-dir", "/credentials");
    mounts.push_back({{"name", "credentials"}, {"mountPath", "/credentials"}, {"readOnly", true}});
    // Without the Secret the container starts, and says what is missing.
    volumes.push_back({{"name", "credentials"}, {"secret", {{"secretName", from.secret}, {"optional", true}}}});
  }
  const Json container = {
      {"name", "import"},
      {"image", settings.fetch_image},
      {"args", std::move(args)},
      {"volumeMounts", std::move(mounts)},
      {"resources", {{"requests", {{"cpu", "10m"}, {"memory", "32Mi"}}}, {"limits", {{"cpu", "1"}, {"memory", "128Mi"}}}}},
      {"securityContext", serving::restricted({})}};
  // The group lets our user write into a volume that is made for this claim.
  const Json pod = {
      {"restartPolicy", "Never"},
      {"automountServiceAccountToken", false},
      {"securityContext", {{"runAsNonRoot", true}, {"fsGroup", kImageUser}, {"fsGroupChangePolicy", "OnRootMismatch"}}},
      {"containers", Json::array({container})},
      {"volumes", std::move(volumes)}};
  return Json{{"spec", {{"backoffLimit", kPodsAgain}, {"template", {{"spec", pod}}}}}}.dump();
}

}  // namespace mo::training
