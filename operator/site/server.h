// `model-operator report`: the report as a web site, for whoever may read the objects that it is made of. It writes nothing.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/serve/http_server.h"
#include "operator/site/caller.h"
#include "report/figures.h"
#include "report/portfolio.h"

namespace mo::site {

struct ReportOptions {
  std::string kubeconfig;
  std::string ns;  // empty: all
  std::string address = ":8088";
  int interval = 30;  // seconds between readings
  std::string prometheus_url;                   // empty: no figures over time and no usage
  std::vector<std::string> prometheus_labels;   // "cluster=prod-eu"
  std::string prices;                           // a file; empty: costs are unknown
  std::string opencost_currency;                // of OpenCost's series in Prometheus; empty: they are not asked for
  serve::TlsFiles tls;                          // without a certificate: plain HTTP
  ProxyRules proxy;                             // whose client certificates tls.client_authorities signs
  std::string log_format = "text", log_level = "info";
};

// Adds the subcommand; `chosen` is called during app.parse() if it was given.
void add_report_command(CLI::App& app, std::function<void(const ReportOptions&)> chosen);
int run_report(const ReportOptions& options, std::stop_token stop);

// A Model's figures over time.
using FiguresOf = std::function<report::Figures(const report::Model&, const report::Span&)>;

// What is answered to somebody who may see `portfolio`. `figures` is asked about Models of it alone; without it pages have none.
serve::Reply answer(const report::Portfolio& portfolio, const std::string& path, const std::string& query, const FiguresOf& figures = {});

}  // namespace mo::site
