// Reads what reports are made of from the API server, with the rights of the client, page by page.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "operator/kube/client.h"
#include "report/portfolio.h"

namespace mo::report {

struct Wanted {
  std::string ns;        // empty: all
  std::string selector;  // of Models
  bool pods = true;      // to find model servers that no Model knows; not with a selector
};

// An Error if Models cannot be read. What else cannot be read is a gap, which the reports tell; kinds that a cluster lacks are none.
Result<Portfolio> read_portfolio(kube::Client& client, const Wanted& wanted, TimePoint now, std::stop_token stop);

// The Deployments that the operator made for versions, in this namespace or, without one, in all.
Result<std::vector<Workload>> read_workloads(kube::Client& client, const std::string& ns, std::stop_token stop);

}  // namespace mo::report
