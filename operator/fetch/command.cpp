#include "operator/fetch/command.h"

#include <memory>

namespace mo {
namespace {

template <class Options>
void add_timeout(CLI::App& command, const std::shared_ptr<Options>& options, const char* otherwise) {
  const auto take = [options](const std::string& text) {
    const auto timeout = parse_duration(text);
    if (!timeout || timeout->count() == 0)
      throw CLI::ValidationError("--timeout", "must be a duration such as 10m or 1h30m, it is " + text);
    options->timeout = *timeout;
  };
  command.add_option_function<std::string>("--timeout", take, "for all attempts together")->default_str(otherwise);
}

}  // namespace

void add_fetch_command(CLI::App& app, std::function<void(const FetchOptions&)> chosen) {
  auto options = std::make_shared<FetchOptions>();
  CLI::App* command =
      app.add_subcommand("fetch", "Fetch an artifact, verify its digest and write it to its place (the init container)");
  command
      ->add_option("--uri", options->uri,
                   "configmap://name/key, pvc://claim/path, http(s)://…, s3://bucket/key or oci://registry/repository@sha256:…")
      ->required();
  command->add_option("--digest", options->digest, "sha256:<64 hexadecimal digits> that the artifact must have")->required();
  command->add_option("--output", options->output, "the file to write, or the folder of what is unpacked")->required();
  command->add_flag("--unpack", options->unpack, "the artifact is a tar, tar.gz or tar.zst archive, to be unpacked");
  command->add_flag("--mounted", options->mounted, "the output is an image volume, which must hold files, those that the signature vouches for; nothing is fetched");
  command->add_option("--source-dir", options->source_dir, "where the ConfigMap or claim is mounted")->capture_default_str();
  command->add_option("--termination-log", options->termination_log, "file for the last message, if it exists")
      ->capture_default_str();
  command->add_option("--credentials-dir", options->credentials_dir, "where the Secret of artifact.credentials is mounted");
  command->add_option("--signature-uri", options->signature_uri, "a model_signing bundle that must verify the artifact");
  command->add_option("--signature-dir", options->signature_dir, "where the ConfigMap or claim of the signature is mounted")
      ->capture_default_str();
  command->add_option("--public-key", options->public_key, "the signer's public key in PEM");
  command->add_option("--max-bytes", options->max_bytes, "the largest allowed artifact")->capture_default_str();
  add_timeout(*command, options, "10m");
  command->callback([options, chosen = std::move(chosen)] { chosen(*options); });
}

void add_pack_command(CLI::App& app, std::function<void(const PackOptions&)> chosen) {
  auto options = std::make_shared<PackOptions>();
  CLI::App* command =
      app.add_subcommand("pack", "Write a folder into a reproducible archive and print its digest");
  command->add_option("DIR", options->folder, "the folder")->required();
  command->add_option("-o,--output", options->output, "the archive (default: DIR.tar in the current folder)");
  command->callback([options, chosen = std::move(chosen)] { chosen(*options); });
}

void add_import_command(CLI::App& app, std::function<void(const ImportOptions&)> chosen) {
  auto options = std::make_shared<ImportOptions>();
  CLI::App* group = app.add_subcommand(
      "import", "Import a version of a registered model into a store (the Job of a registry trigger)");
  group->require_subcommand(1);
  CLI::App* command = group->add_subcommand("mlflow", "from an MLflow server that serves its artifacts");
  command->add_option("--url", options->url, "the server's http(s):// address")->required();
  command->add_option("--model", options->model, "the registered model")->required();
  command->add_option("--alias", options->alias, "the version that this alias names, without --version")->required();
  command->add_option("--version", options->version, "the version")->envname("MODELOPS_PARAM_MLFLOW_VERSION");
  command
      ->add_option("--uri", options->uri,
                   "pvc://claim, pvc://claim/folder, s3://bucket or s3://bucket/prefix: where it is stored")
      ->required();
  command->add_option("--store-dir", options->store, "where that claim is mounted")->capture_default_str();
  command->add_option("--store-credentials-dir", options->store_credentials_dir,
                      "where the Secret of registry.mlflow.store.credentials is mounted");
  command->add_option("--work-dir", options->work, "folder for files during the download")->capture_default_str();
  command->add_option("--format", options->format, "the artifact's format.name")->capture_default_str();
  command->add_option("--format-version", options->format_version, "the artifact's format.version");
  command->add_option("--credentials-dir", options->credentials_dir, "where the Secret of registry.mlflow.credentials is mounted");
  command->add_option("--result", options->result, "file for the RunResult")->envname("MODELOPS_RESULT")->capture_default_str();
  command->add_option("--metric", options->metrics, "a metric to report before others; may be repeated");
  command->add_option("--max-bytes", options->max_bytes, "the largest allowed version")->capture_default_str();
  add_timeout(*command, options, "30m");
  command->callback([options, chosen = std::move(chosen)] { chosen(*options); });
}

void add_mirror_command(CLI::App& app, std::function<void(const MirrorOptions&)> chosen) {
  auto options = std::make_shared<MirrorOptions>();
  CLI::App* group = app.add_subcommand(
      "mirror", "Write to a model registry which version serves (the Job of registry.mlflow.mirror)");
  group->require_subcommand(1);
  CLI::App* command = group->add_subcommand("mlflow", "by an alias and tags of an MLflow server");
  command->add_option("--url", options->url, "the server's http(s):// address")->required();
  command->add_option("--model", options->model, "the registered model")->required();
  command->add_option("--alias", options->alias, "the alias of the version that serves")->required();
  command
      ->add_option("--state", options->states,
                   R"({"version", "modelVersion", "state", "reason"} of a version; may be repeated)")
      ->take_all();
  command->add_option("--credentials-dir", options->credentials_dir,
                      "where the Secret of registry.mlflow.credentials is mounted");
  command->add_option("--result", options->result, "file for the last message")
      ->envname("MODELOPS_RESULT")
      ->capture_default_str();
  add_timeout(*command, options, "2m");
  command->callback([options, chosen = std::move(chosen)] { chosen(*options); });
}

}  // namespace mo
