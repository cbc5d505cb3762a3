#include "operator/fetch/command.h"

#include <memory>

namespace mo {

void add_fetch_command(CLI::App& app, std::function<void(const FetchOptions&)> chosen) {
  auto options = std::make_shared<FetchOptions>();
  CLI::App* command = app.add_subcommand(
      "fetch", "Bring an artifact, verify its digest and put it in place (the init container)");
  command->add_option("--uri", options->uri, "configmap://name/key, pvc://claim/path or http(s)://…")
      ->required();
  command
      ->add_option("--digest", options->digest, "sha256:<64 hexadecimal digits> that the artifact must have")
      ->required();
  command->add_option("--output", options->output, "the file to write")->required();
  command->add_option("--source-dir", options->source_dir, "where the ConfigMap or claim is mounted")
      ->capture_default_str();
  command
      ->add_option("--termination-log", options->termination_log,
                   "file that takes the last sentence, if it is there")
      ->capture_default_str();
  command->add_option("--credentials-dir", options->credentials_dir,
                      "where a Secret with token, or username and password, is mounted; for https:// alone");
  command->add_option("--max-bytes", options->max_bytes, "the largest artifact that is taken")
      ->capture_default_str();
  command
      ->add_option_function<std::string>(
          "--timeout",
          [options](const std::string& text) {
            const auto timeout = parse_duration(text);
            if (!timeout || timeout->count() == 0)
              throw CLI::ValidationError("--timeout",
                                         "must be a duration such as 10m or 1h30m, it is " + text);
            options->timeout = *timeout;
          },
          "for everything, retries too")
      ->default_str("10m");
  command->callback([options, chosen = std::move(chosen)] { chosen(*options); });
}

}  // namespace mo
