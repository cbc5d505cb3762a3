// The flags of `model-operator fetch`, `pack`, `import` and `mirror`.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "operator/fetch/fetch.h"
#include "operator/fetch/import.h"
#include "operator/fetch/mirror.h"
#include "operator/fetch/pack.h"

namespace mo {

// Adds the subcommand. `chosen` is called during app.parse() if it was given, with its flags; run fetch_main
// there or later.
void add_fetch_command(CLI::App& app, std::function<void(const FetchOptions&)> chosen);
void add_pack_command(CLI::App& app, std::function<void(const PackOptions&)> chosen);
void add_import_command(CLI::App& app, std::function<void(const ImportOptions&)> chosen);
void add_mirror_command(CLI::App& app, std::function<void(const MirrorOptions&)> chosen);

}  // namespace mo
