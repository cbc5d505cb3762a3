// What `model-operator run` can be told.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "operator/core/time.h"

namespace mo::app {

struct RunOptions {
  std::string kubeconfig;                 // empty: KUBECONFIG, else in-cluster, else ~/.kube/config
  std::string ns;                         // empty: all
  std::string prometheus_url;             // empty: gates by Prometheus are inconclusive and say so
  std::string notifications;              // file; empty: nobody is told
  std::string web_gate_tokens;            // folder; empty: web gates send no token
  std::vector<std::string> web_gate_allow;  // as for evidence::WebAccess; empty: web gates may ask every host
  std::string metrics_address = ":9090";  // "0": none
  bool metrics_tls = true;                // false: bearer tokens travel in the clear
  std::string metrics_cert_dir;           // folder of tls.crt and tls.key; empty: a certificate that is made at the start
  bool metrics_auth = true;               // /metrics asks Kubernetes who may read it
  std::string health_address = ":8081";   // "0": none
  bool leader_elect = false;
  std::string leader_election_namespace;  // empty: the namespace we run in, or the context's
  std::string operator_class;  // handles Models of this spec.operatorClass alone
  std::string installation;    // recorded in status.operator; empty: "<namespace>/<Lease>"
  bool take_over = false;      // also Models that another installation handles
  bool unconfined = false;     // starts although admission does not confine the operator's account
  int workers = 16;  // each waits for the API server most of the time
  std::string log_format = "text";
  std::string log_level = "info";
  std::string http_client = "curl";
  std::string audit_key;      // file; empty: ModelAudits are not signed
  std::string audit_export;   // as for audit::make_sink(); empty: ModelAudits are not exported, and none is ever pruned
  std::string audit_export_token;           // file; empty: no token is sent
  std::string audit_export_credentials;     // folder with the keys of an S3 store; empty: the environment has them
  std::optional<Duration> audit_retention;  // of exported ModelAudits where no ModelPolicy says; nothing: for ever
  std::string runtimes_file;  // empty: ModelRuntimes come from the cluster
  std::string fetch_image = "localhost/model-operator:dev";
};

// Adds the subcommand; `chosen` is called during app.parse() if it was given.
void add_run_command(CLI::App& app, std::function<void(const RunOptions&)> chosen);

}  // namespace mo::app
