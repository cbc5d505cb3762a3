// Wiring and nothing else.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <functional>

#include "operator/app/operator.h"
#include "operator/app/options.h"
#include "operator/app/signals.h"
#include "operator/fetch/command.h"
#include "operator/site/server.h"

int main(int argc, char** argv) {
  CLI::App app("Serves models on Kubernetes, rolls their versions out by evidence, and retrains them.",
               "model-operator");
  app.set_version_flag("--version", "model-operator " MODEL_OPERATOR_VERSION);
  app.require_subcommand(1);
  std::function<int(std::stop_token)> chosen;
  mo::app::add_run_command(app, [&](const mo::app::RunOptions& options) {
    chosen = [options](std::stop_token stop) { return mo::app::run(options, stop); };
  });
  mo::site::add_report_command(app, [&](const mo::site::ReportOptions& options) {
    chosen = [options](std::stop_token stop) { return mo::site::run_report(options, stop); };
  });
  mo::add_fetch_command(app, [&](const mo::FetchOptions& options) {
    chosen = [options](std::stop_token stop) { return mo::fetch_main(options, stop); };
  });
  mo::add_pack_command(app, [&](const mo::PackOptions& options) {
    chosen = [options](std::stop_token) { return mo::pack_main(options); };
  });
  mo::add_import_command(app, [&](const mo::ImportOptions& options) {
    chosen = [options](std::stop_token stop) { return mo::import_main(options, stop); };
  });
  mo::add_mirror_command(app, [&](const mo::MirrorOptions& options) {
    chosen = [options](std::stop_token stop) { return mo::mirror_main(options, stop); };
  });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : mo::kFetchUsage;  // 64, as sysexits.h has it, for run too
  }
  try {
    mo::app::Signals signals(std::chrono::seconds(25));
    return chosen(signals.stop());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "model-operator: %s\n", e.what());
    return 1;
  }
}
