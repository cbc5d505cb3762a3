// Config that belongs to a revision: immutable copies of the ConfigMaps that its pod template names. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "reconcilers/common/observed.h"
#include "reconcilers/serving/serve.h"

namespace mo::serving {

// The copies that the pods of this side read: by the ConfigMap that each is of.
std::map<std::string, Ref<api::ConfigMap>> copies_of(const Observed& observed, const std::string& side);

// Makes the copy of ConfigMap `source` that the side is to have from now on: its name. Nothing as long as the ConfigMap is not read, or
// isn't there, which `out` then says. `optional`: pods start without it.
std::optional<std::string> pin(const Observed& observed, const std::string& side, const std::string& source, bool optional,
                               Served& out);

// Those that no side needs any more.
void remove_copies(const Observed& observed, const Wanted& wanted, Served& out);

}  // namespace mo::serving
