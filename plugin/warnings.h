// What nothing refuses, and what is likely not meant: queries over all namespaces, weights that cost many pods.
#pragma once

#include <vector>

#include "plugin/schema.h"

namespace mo::plugin {

// Of an object that check() has found no mistake in. Pure.
std::vector<Mistake> warnings_of(const Json& object);

}  // namespace mo::plugin
