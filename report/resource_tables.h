// Resources and cost in tables and on pages.
#pragma once

#include "report/html.h"
#include "report/portfolio.h"
#include "report/table.h"

namespace mo::report {

// Each version that has pods, the dearest first; at most so many rows.
Table resources_table(const Portfolio& portfolio, const std::vector<const Model*>& models, size_t most = SIZE_MAX);

Cell cores_cell(const std::optional<double>& cores);
Cell gib_cell(const std::optional<double>& bytes);
Cell money_cell(const std::optional<double>& amount, const Portfolio& portfolio);

// Sums, what each team has of them, and the table.
void put_resources(Html& html, const Portfolio& portfolio, const Links& links);
void put_resources_of(Html& html, const Portfolio& portfolio, const Model& model, const Links& links);

}  // namespace mo::report
