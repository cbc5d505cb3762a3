// The language of rules in CRDs, which may ask for regular expressions beside what the operator itself evaluates.
#pragma once

#include "operator/cel/expression.h"

namespace mo::plugin {

Result<cel::Expression> parse_rule(std::string_view text);

}  // namespace mo::plugin
