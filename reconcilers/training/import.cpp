#include "reconcilers/training/import.h"

#include "operator/core/size.h"
#include "reconcilers/training/image_job.h"

namespace mo::training {
namespace {

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

namespace {

std::string store_of(const api::MlflowRegistry& from) {
  return from.store_uri.empty() ? "pvc://" + from.claim + (from.folder.empty() ? "" : "/" + from.folder)
                                : from.store_uri;
}

}  // namespace

Result<api::RunResult> read_import(const api::MlflowRegistry& from, const std::string& text) {
  auto result = api::parse_import_result(text);
  if (!result || !result->artifact.uri.starts_with("s3://")) return result;
  if (from.store_uri.empty() || !result->artifact.uri.starts_with(from.store_uri + "/"))
    return fail(ErrorKind::Invalid, "it was stored as " + api::excerpt(result->artifact.uri, 300) +
                                        ", but registry.mlflow.store has changed to " + store_of(from) +
                                        "; import it again");
  result->artifact.secret = from.store_secret;
  return result;
}

RawJson import_template(const api::MlflowRegistry& from, const std::vector<std::string>& metrics,
                        const serving::Settings& settings) {
  const uint64_t most =
      from.size.empty() ? api::kDefaultArtifactBytes : parse_size(from.size).value_or(api::kDefaultArtifactBytes);
  ImageJob job("import", {"import", "mlflow"}, settings);
  job.flag("--url", from.url);
  job.flag("--model", from.model);
  job.flag("--alias", from.alias);
  job.flag("--uri", store_of(from));
  job.flag("--format", from.format);
  job.flag("--max-bytes", std::to_string(most));
  if (!from.format_version.empty()) job.flag("--format-version", from.format_version);
  for (const std::string& metric : metrics) job.flag("--metric", metric);
  if (from.store_uri.empty())
    job.volume("store", "/store", {{"persistentVolumeClaim", {{"claimName", from.claim}}}});
  // What goes to another store than a claim is packed beside its files.
  job.volume("work", "/work",
             {{"emptyDir",
               {{"sizeLimit", std::to_string((from.store_uri.empty() ? most : 2 * most) + kBesideFiles)}}}});
  if (!from.store_secret.empty()) job.flag("--store-credentials-dir", "/store-credentials");
  job.secret("store-credentials", "/store-credentials", from.store_secret);
  if (!from.secret.empty()) job.flag("--credentials-dir", "/credentials");
  job.secret("credentials", "/credentials", from.secret);
  return job.job_template(kPodsAgain);
}

}  // namespace mo::training
