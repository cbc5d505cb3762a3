// Where the API server is and how to prove who we are: from kubeconfig files or from the pod we run in.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "operator/core/result.h"

namespace mo::kube {

// PEM text given in place, or a file that is read again when it changes. `data` wins; both empty: not
// configured.
struct PemSource {
  std::string data;
  std::filesystem::path file;
  bool empty() const { return data.empty() && file.empty(); }
};

// A program that prints an ExecCredential (client.authentication.k8s.io/v1 or v1beta1).
struct ExecPlugin {
  std::string command;  // a name looked up in PATH, or an absolute path
  std::vector<std::string> args;
  std::vector<std::pair<std::string, std::string>> env;  // added to ours
  std::string api_version;
  std::string install_hint;
  bool provide_cluster_info = false;
};

// Whom the API server is to take us for. Groups, UID and extra need a user, as they do for kubectl.
struct Impersonation {
  std::string user;
  std::string uid;
  std::vector<std::string> groups;
  std::vector<std::pair<std::string, std::string>> extra;  // a key may come more than once
};

struct Config {
  std::string server;          // "https://host:port/prefix", without a final '/'
  std::string ns = "default";  // the context's or the pod's namespace
  std::string source;          // where it came from, for messages and the log
  PemSource ca;                // empty: the system's
  PemSource client_cert, client_key;
  std::string token;
  std::filesystem::path token_file;  // wins over `token`
  std::string username, password;
  Impersonation impersonate;
  bool insecure_skip_tls_verify = false;
  std::string tls_server_name;  // empty: the host of `server`
  std::string proxy_url;        // empty: no proxy
  std::optional<ExecPlugin> exec;
};

// The places to look at, so that tests can name others.
struct ConfigPlaces {
  std::string kubeconfig;      // --kubeconfig: one file, which must exist
  std::string context;         // --context: one of the files' contexts, instead of their current-context
  std::string kubeconfig_env;  // $KUBECONFIG: files separated by ':'; those that do not exist are passed over
  std::string home;            // $HOME
  std::string service_host;    // $KUBERNETES_SERVICE_HOST
  std::string service_port;    // $KUBERNETES_SERVICE_PORT
  std::filesystem::path service_account = "/var/run/secrets/kubernetes.io/serviceaccount";

  static ConfigPlaces from_environment();
};

// In this order: --kubeconfig, $KUBECONFIG, the pod's service account, ~/.kube/config. Several files are
// merged as kubectl does: the first to name a cluster, user, context or current-context wins; paths are
// relative to the file that names them. Files with certificates and tokens are not read here. Errors are
// ErrorKind::Invalid, with the file and what is wrong in it.
Result<Config> load_config(const ConfigPlaces& places);

// The names of all contexts of the kubeconfig files that load_config() would read, sorted; none if there is no such
// file.
Result<std::vector<std::string>> context_names(const ConfigPlaces& places);

}  // namespace mo::kube
