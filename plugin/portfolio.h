// `inventory` and `report`: what models there are, with the caller's rights.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "operator/kube/transport.h"
#include "plugin/session.h"

namespace mo::plugin {

// Where else figures come from.
struct Asked {
  std::string prometheus_url;                  // empty: what pods use, and figures over time, are unknown
  std::vector<std::string> prometheus_labels;  // "cluster=prod-eu"
  std::string prices;                          // a file; empty: costs are unknown
  std::string opencost_currency;               // of OpenCost's series in Prometheus; empty: they are not asked for
};

void takes_sources(CLI::App& verb, Asked& asked);  // options of a command line

struct Inventory {
  Asked asked = {};
  bool everywhere = false;
  std::string output;             // empty | wide | csv | json | cyclonedx
  std::string table = "models";   // of csv
  std::string selector;           // of Models
};
int inventory(Session& session, const Inventory& wanted, kube::HttpTransport& http);

struct Reporting {
  Asked asked = {};
  std::string span = "7d";  // of figures over time
  bool everywhere = false;
  std::string output = "html";  // html | json
};
int report(Session& session, const Reporting& wanted, kube::HttpTransport& http);

}  // namespace mo::plugin
