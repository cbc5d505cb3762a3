// The inventory as a CycloneDX 1.6 ML-BOM: one machine-learning-model for each Model, with the digest that serves and its model card.
#pragma once

#include "report/portfolio.h"

namespace mo::report {

Json to_cyclonedx(const Portfolio& portfolio, const std::string& version_of_program);

}  // namespace mo::report
