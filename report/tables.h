// The tables of the reports.
#pragma once

#include <cstdint>

#include "report/delivery.h"
#include "report/portfolio.h"
#include "report/table.h"

namespace mo::report {

Table models_table(const std::vector<const Model*>& models, const Portfolio& portfolio);
Table findings_table(const std::vector<Finding>& findings);
Table servers_table(const Portfolio& portfolio);
Table rollouts_table(const std::vector<const Rollout*>& rollouts, bool of_one_model);
Table versions_table(const Model& model);
Table monitors_table(const Model& model, TimePoint now);
Table runs_table(const Model& model);
// Those that failed most often first; at most so many rows.
Table delivery_table(const std::vector<const Model*>& models, TimePoint now, size_t most = SIZE_MAX);
Table compliance_table(const std::vector<const Model*>& models, size_t most = SIZE_MAX);  // those that are not compliant first

Tone tone_of_phase(const std::string& phase);
// "2h 5m", "3 days"
std::string length(Duration d);
std::string percent(double share);

// The names that table_of() knows.
const std::vector<std::string>& table_names();
std::optional<Table> table_of(const Portfolio& portfolio, const std::string& name);
// All of it, for scripts: {"at", "scope", "gaps", and the tables by name}.
Json to_json(const Portfolio& portfolio);

std::vector<const Model*> all_of(const Portfolio& portfolio);

}  // namespace mo::report
