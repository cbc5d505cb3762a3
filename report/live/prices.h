// Prices of resources, from a file.
#pragma once

#include <string>

#include "report/resources.h"

namespace mo::report {

// Of a file of YAML or JSON: docs/report.md. ErrorKind::Invalid names the file and what is wrong with it.
Result<Prices> read_price_file(const std::string& path);

}  // namespace mo::report
