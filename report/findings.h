// What needs somebody's attention.
#pragma once

#include "report/portfolio.h"

namespace mo::report {

// Fills counts and findings of each model, and those of the whole.
void find(Portfolio& portfolio);

const char* word(Severity severity);  // "high"

}  // namespace mo::report
