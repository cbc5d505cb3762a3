#include "operator/app/options.h"

#include <algorithm>
#include <memory>

namespace mo::app {
namespace {

// As the CRD has it for spec.operatorClass.
std::string is_operator_class(const std::string& text) {
  const auto word = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const bool good = !text.empty() && text.size() <= 40 && word(text.front()) && word(text.back()) &&
                    std::all_of(text.begin(), text.end(), [&](char c) { return word(c) || c == '-'; });
  return good ? "" : "must be at most 40 lower case letters, digits and \"-\", such as team-a";
}

std::string is_retention(const std::string& text) {
  const auto span = parse_duration(text);
  return span && *span > Duration(0) ? "" : "must be a duration of hours, minutes and seconds such as 87600h, at most ten years";
}

}  // namespace

void add_run_command(CLI::App& app, std::function<void(const RunOptions&)> chosen) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* run = app.add_subcommand("run", "Run the operator against a cluster until SIGTERM");
  run->add_option("--kubeconfig", options->kubeconfig,
                  "Kubeconfig file (default: $KUBECONFIG, else in-cluster)");
  run->add_option("--namespace", options->ns,
                  "Watch only this namespace, with the rights of a Role (default: all)");
  run->add_option("--prometheus-url", options->prometheus_url,
                  "Prometheus that answers the queries of gates, http://host:port");
  run->add_option("--web-gate-tokens", options->web_gate_tokens,
                  "Folder of the bearer tokens that web gates send to https servers: file NAMESPACE_HOST or NAMESPACE_HOST_PORT for gates of that "
                  "namespace, _HOST or _HOST_PORT for those of ClusterModelGateSets")
      ->check(CLI::ExistingDirectory);
  run->add_option("--web-gate-allow", options->web_gate_allow,
                  "Host, *.suffix, * or network (10.1.0.0/16) that web gates may query, and no other; may be repeated. Loopback, link-local and "
                  "metadata addresses need a network that holds them (default: every host, but for these addresses)");
  run->add_option("--notifications", options->notifications,
                  "YAML file with the Events that go to Slack, Teams, PagerDuty or as CloudEvents to a web address (docs/notifications.md)")
      ->check(CLI::ExistingFile);
  run->add_option("--metrics-address", options->metrics_address, "Address of /metrics; 0 disables it")
      ->capture_default_str();
  run->add_flag("--metrics-tls", options->metrics_tls,
                "Serve /metrics by HTTPS (default: true); --metrics-tls=false serves plain HTTP, so anyone on the network path can read the bearer "
                "tokens");
  run->add_option("--metrics-cert-dir", options->metrics_cert_dir,
                  "Folder with tls.crt and tls.key for /metrics, read again when they change (default: a certificate that the operator signs itself)")
      ->check(CLI::ExistingDirectory);
  run->add_flag("--metrics-auth", options->metrics_auth,
                "Answer /metrics only to bearer tokens whose owner may get the path /metrics (TokenReview, SubjectAccessReview; "
                "default: true); --metrics-auth=false answers everybody");
  run->add_option("--health-address", options->health_address,
                  "Address of /healthz and /readyz; 0 disables them")
      ->capture_default_str();
  run->add_flag("--leader-elect", options->leader_elect, "Work only while holding the Lease model-operator");
  run->add_option("--leader-election-namespace", options->leader_election_namespace,
                  "Namespace of the Lease (default: the operator's own, or the context's)");
  run->add_option("--operator-class", options->operator_class,
                  "Handle only Models whose spec.operatorClass is this (default: those without one)")
      ->check(is_operator_class);
  run->add_option("--installation", options->installation,
                  "Name of this installation in Model.status.operator (default: namespace and name of the Lease)");
  run->add_flag("--take-over", options->take_over, "Take over Models that another installation handles; remove the flag afterwards");
  run->add_flag("--unconfined", options->unconfined, "Start although no admission policy confines the operator's account, for development");
  run->add_option("--workers", options->workers, "Models reconciled at the same time")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  run->add_option("--log-format", options->log_format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  run->add_option("--log-level", options->log_level, "trace, debug, info, warn or error")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error"}))
      ->capture_default_str();
  run->add_option("--http-client", options->http_client,
                  "Library that talks to the API server: cpprest or curl")
      ->check(CLI::IsMember({"cpprest", "curl"}))
      ->capture_default_str();
  run->add_option("--runtimes-file", options->runtimes_file,
                  "YAML with ModelRuntimes to use instead of the cluster's (read again when it changes)");
  run->add_option("--audit-key", options->audit_key,
                  "File with the Ed25519 private key, in PEM, that signs ModelAudits; it is read at the start (default: they are not signed)")
      ->check(CLI::ExistingFile);
  run->add_option("--audit-export", options->audit_export,
                  "Where the records of ModelAudits are also written, as JSON lines: stdout, file:PATH, an http(s) address, or s3://BUCKET/PREFIX (default: nowhere)");
  run->add_option("--audit-export-token", options->audit_export_token,
                  "File with the bearer token for the address of --audit-export; it is read for each request")
      ->check(CLI::ExistingFile);
  run->add_option("--audit-export-credentials", options->audit_export_credentials,
                  "Folder, such as a mounted Secret, with the files AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, AWS_REGION, AWS_SESSION_TOKEN "
                  "and ca.crt for an s3:// address of --audit-export; all but ca.crt are read for each request (default: the environment)")
      ->check(CLI::ExistingDirectory);
  run->add_option_function<std::string>(
         "--audit-retention", [options](const std::string& text) { options->audit_retention = parse_duration(text); },
         "How long exported ModelAudits are kept if no ModelPolicy sets spec.retention.audit, such as 87600h (default: for ever)")
      ->check(is_retention);
  run->add_option("--fetch-image", options->fetch_image,
                  "Image of the init container that fetches and verifies artifacts")
      ->envname("MODEL_OPERATOR_IMAGE")
      ->capture_default_str();
  run->callback([options, chosen = std::move(chosen)] { chosen(*options); });
}

}  // namespace mo::app
