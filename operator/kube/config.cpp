#include "operator/kube/config.h"

#include <yaml-cpp/yaml.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <system_error>

#include "operator/kube/files.h"

namespace mo::kube {
namespace {

namespace fs = std::filesystem;

constexpr size_t max_kubeconfig_bytes = 4u << 20;

std::string env(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// One named entry ("clusters: [{name, cluster: {...}}]") and the file that its relative paths start from.
struct Entry {
  YAML::Node node;
  fs::path file;
};

struct Merged {
  std::string current_context;
  std::string files;  // for messages
  std::map<std::string, Entry> clusters, users, contexts;
};

// All that is wrong with a kubeconfig is thrown as this and becomes an Error at the one exit.
struct Wrong : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::string text(const YAML::Node& parent, const char* key, const fs::path& file) {
  const YAML::Node node = parent[key];
  if (!node || node.IsNull()) return {};
  if (!node.IsScalar()) throw Wrong(file.string() + ": " + key + " is not a text");
  return node.Scalar();
}

bool flag(const YAML::Node& parent, const char* key, const fs::path& file) {
  const std::string value = text(parent, key, file);
  if (value.empty() || value == "false") return false;
  if (value == "true") return true;
  throw Wrong(file.string() + ": " + key + " is neither true nor false");
}

fs::path path_in(const YAML::Node& parent, const char* key, const fs::path& file) {
  const std::string value = text(parent, key, file);
  if (value.empty()) return {};
  return fs::absolute(file).parent_path() / value;
}

std::string base64_data(const YAML::Node& parent, const char* key, const fs::path& file) {
  const std::string value = text(parent, key, file);
  auto decoded = decode_base64(value);
  if (!decoded) throw Wrong(file.string() + ": " + key + " is not base64");
  return *decoded;
}

void merge_entries(const YAML::Node& document, const char* list, const char* item, const fs::path& file,
                   std::map<std::string, Entry>& into) {
  const YAML::Node entries = document[list];
  if (!entries || entries.IsNull()) return;
  if (!entries.IsSequence()) throw Wrong(file.string() + ": " + list + " is not a list");
  for (const YAML::Node& entry : entries) {
    if (!entry.IsMap()) throw Wrong(file.string() + ": an entry of " + list + " is not a mapping");
    const YAML::Node node = entry[item];
    if (node && !node.IsNull() && !node.IsMap())
      throw Wrong(file.string() + ": " + item + " is not a mapping");
    into.try_emplace(text(entry, "name", file),
                     Entry{node && node.IsMap() ? node : YAML::Node(YAML::NodeType::Map), file});
  }
}

void merge_file(const fs::path& file, Merged& merged) {
  auto content = read_file(file, max_kubeconfig_bytes);
  if (!content) throw Wrong(content.error().message);
  YAML::Node document;
  try {
    document = YAML::Load(*content);
  } catch (const YAML::Exception& e) {
    throw Wrong(file.string() + ": not YAML: " + e.what());
  }
  merged.files += (merged.files.empty() ? "" : ":") + file.string();
  if (document.IsNull()) return;
  if (!document.IsMap()) throw Wrong(file.string() + ": not a kubeconfig");
  if (merged.current_context.empty()) merged.current_context = text(document, "current-context", file);
  merge_entries(document, "clusters", "cluster", file, merged.clusters);
  merge_entries(document, "users", "user", file, merged.users);
  merge_entries(document, "contexts", "context", file, merged.contexts);
}

const Entry& find(const std::map<std::string, Entry>& entries, const std::string& name, const char* what,
                  const Merged& merged) {
  const auto it = entries.find(name);
  if (it == entries.end()) {
    throw Wrong(merged.files + ": context \"" + merged.current_context + "\" names the " + what + " \"" +
                name + "\", which does not exist");
  }
  return it->second;
}

PemSource pem(const Entry& entry, const std::string& key) {
  return {base64_data(entry.node, (key + "-data").c_str(), entry.file),
          path_in(entry.node, key.c_str(), entry.file)};
}

void read_cluster(const Entry& entry, Config& config) {
  config.server = text(entry.node, "server", entry.file);
  while (config.server.ends_with('/')) config.server.pop_back();
  if (config.server.empty()) throw Wrong(entry.file.string() + ": the cluster has no server");
  if (config.server.find("://") == std::string::npos) config.server = "https://" + config.server;
  if (!config.server.starts_with("https://") && !config.server.starts_with("http://")) {
    throw Wrong(entry.file.string() + ": server " + config.server + " is neither https nor http");
  }
  config.ca = pem(entry, "certificate-authority");
  config.insecure_skip_tls_verify = flag(entry.node, "insecure-skip-tls-verify", entry.file);
  config.tls_server_name = text(entry.node, "tls-server-name", entry.file);
  config.proxy_url = text(entry.node, "proxy-url", entry.file);
  if (config.insecure_skip_tls_verify && !config.ca.empty()) {
    throw Wrong(entry.file.string() +
                ": certificate-authority and insecure-skip-tls-verify exclude each other");
  }
}

ExecPlugin read_exec(const YAML::Node& node, const fs::path& file) {
  ExecPlugin exec;
  exec.command = text(node, "command", file);
  exec.api_version = text(node, "apiVersion", file);
  exec.install_hint = text(node, "installHint", file);
  exec.provide_cluster_info = flag(node, "provideClusterInfo", file);
  if (exec.command.empty()) throw Wrong(file.string() + ": exec has no command");
  if (exec.api_version != "client.authentication.k8s.io/v1" &&
      exec.api_version != "client.authentication.k8s.io/v1beta1") {
    throw Wrong(file.string() + ": exec apiVersion \"" + exec.api_version + "\" is not supported");
  }
  if (text(node, "interactiveMode", file) == "Always") {
    throw Wrong(file.string() + ": exec wants interactiveMode Always, and nobody is there to answer");
  }
  // A name with a slash is relative to its kubeconfig; a bare one is looked up in PATH.
  if (exec.command.find('/') != std::string::npos) exec.command = path_in(node, "command", file).string();
  // The cpprestsdk transport empties these two for the process; plugins are to see them as they were.
  for (const char* name : {"SSL_CERT_FILE", "SSL_CERT_DIR"}) {
    if (std::string value = env(name); !value.empty()) exec.env.emplace_back(name, std::move(value));
  }
  for (const YAML::Node& arg : node["args"]) exec.args.push_back(arg.as<std::string>());
  for (const YAML::Node& pair : node["env"])
    exec.env.emplace_back(text(pair, "name", file), text(pair, "value", file));
  return exec;
}

// A text, or a list of texts.
std::vector<std::string> texts(const YAML::Node& node, const std::string& what, const fs::path& file) {
  std::vector<std::string> all;
  if (!node || node.IsNull()) return all;
  if (!node.IsSequence()) throw Wrong(file.string() + ": " + what + " is not a list");
  for (const YAML::Node& item : node) {
    if (!item.IsScalar()) throw Wrong(file.string() + ": " + what + " holds something that is not a text");
    all.push_back(item.Scalar());
  }
  return all;
}

Impersonation read_impersonation(const Entry& entry) {
  Impersonation as;
  as.user = text(entry.node, "as", entry.file);
  as.uid = text(entry.node, "as-uid", entry.file);
  as.groups = texts(entry.node["as-groups"], "as-groups", entry.file);
  const YAML::Node extra = entry.node["as-user-extra"];
  if (extra && !extra.IsNull() && !extra.IsMap())
    throw Wrong(entry.file.string() + ": as-user-extra is not a mapping");
  for (const auto& pair : extra)
    for (const std::string& value : texts(pair.second, "as-user-extra", entry.file))
      as.extra.emplace_back(pair.first.Scalar(), value);
  if (as.user.empty() && !(as.uid.empty() && as.groups.empty() && as.extra.empty()))
    throw Wrong(entry.file.string() + ": as-uid, as-groups and as-user-extra need as, the user");
  return as;
}

void read_user(const Entry& entry, Config& config) {
  config.client_cert = pem(entry, "client-certificate");
  config.client_key = pem(entry, "client-key");
  if (config.client_cert.empty() != config.client_key.empty()) {
    throw Wrong(entry.file.string() + ": client-certificate and client-key go together");
  }
  config.token = text(entry.node, "token", entry.file);
  config.token_file = path_in(entry.node, "tokenFile", entry.file);
  config.username = text(entry.node, "username", entry.file);
  config.password = text(entry.node, "password", entry.file);
  config.impersonate = read_impersonation(entry);
  const YAML::Node exec = entry.node["exec"];
  if (exec && exec.IsMap()) config.exec = read_exec(exec, entry.file);
  const YAML::Node provider = entry.node["auth-provider"];
  if (provider && !provider.IsNull()) {
    throw Wrong(entry.file.string() + ": auth-provider is no longer supported by Kubernetes; use exec");
  }
}

Config from_files(const std::vector<fs::path>& files, const std::string& chosen_context) {
  Merged merged;
  for (const fs::path& file : files) merge_file(file, merged);
  if (!chosen_context.empty()) merged.current_context = chosen_context;
  if (merged.current_context.empty()) throw Wrong(merged.files + ": no current-context");
  const auto context = merged.contexts.find(merged.current_context);
  if (context == merged.contexts.end()) {
    throw Wrong(merged.files + ": " + (chosen_context.empty() ? "current-context" : "context") + " \"" +
                merged.current_context + "\" does not exist");
  }
  const Entry& chosen = context->second;
  Config config;
  config.source = merged.files + ", context " + merged.current_context;
  if (std::string ns = text(chosen.node, "namespace", chosen.file); !ns.empty()) config.ns = std::move(ns);
  read_cluster(find(merged.clusters, text(chosen.node, "cluster", chosen.file), "cluster", merged), config);
  if (std::string user = text(chosen.node, "user", chosen.file); !user.empty()) {
    read_user(find(merged.users, user, "user", merged), config);
  }
  return config;
}

std::vector<fs::path> existing(const std::string& separated_by_colons) {
  std::vector<fs::path> files;
  std::istringstream in(separated_by_colons);
  for (std::string name; std::getline(in, name, ':');) {
    std::error_code ignored;
    if (!name.empty() && fs::exists(name, ignored)) files.emplace_back(name);
  }
  return files;
}

Config in_cluster(const ConfigPlaces& places) {
  Config config;
  const bool ipv6 = places.service_host.find(':') != std::string::npos;
  config.server = "https://" + (ipv6 ? "[" + places.service_host + "]" : places.service_host) + ":" +
                  (places.service_port.empty() ? "443" : places.service_port);
  config.token_file = places.service_account / "token";
  config.ca.file = places.service_account / "ca.crt";
  config.source = "the service account in " + places.service_account.string();
  if (auto ns = read_file(places.service_account / "namespace", 4096)) {
    if (std::string name = trimmed(*ns); !name.empty()) config.ns = std::move(name);
  }
  return config;
}

// --kubeconfig or $KUBECONFIG; none if neither is set.
std::vector<fs::path> named_files(const ConfigPlaces& places) {
  if (!places.kubeconfig.empty()) return {places.kubeconfig};
  if (places.kubeconfig_env.empty()) return {};
  auto files = existing(places.kubeconfig_env);
  if (files.empty()) throw Wrong("KUBECONFIG names no file that exists: " + places.kubeconfig_env);
  return files;
}

fs::path default_file_of(const ConfigPlaces& places) { return fs::path(places.home) / ".kube" / "config"; }

bool has_default_file(const ConfigPlaces& places) {
  std::error_code ignored;
  return !places.home.empty() && fs::exists(default_file_of(places), ignored);
}

Config load_or_throw(const ConfigPlaces& places) {
  if (const auto files = named_files(places); !files.empty()) return from_files(files, places.context);
  std::error_code ignored;
  if (!places.service_host.empty() && fs::exists(places.service_account / "token", ignored))
    return in_cluster(places);
  const fs::path default_file = default_file_of(places);
  if (has_default_file(places)) return from_files({default_file}, places.context);
  throw Wrong(
      "no cluster: neither --kubeconfig nor KUBECONFIG is set, this is not a pod with a service account (" +
      places.service_account.string() + "), and " + default_file.string() + " does not exist");
}

}  // namespace

ConfigPlaces ConfigPlaces::from_environment() {
  ConfigPlaces places;
  places.kubeconfig_env = env("KUBECONFIG");
  places.home = env("HOME");
  places.service_host = env("KUBERNETES_SERVICE_HOST");
  places.service_port = env("KUBERNETES_SERVICE_PORT");
  return places;
}

Result<Config> load_config(const ConfigPlaces& places) {
  try {
    return load_or_throw(places);
  } catch (const std::exception& e) {  // Wrong, and what yaml-cpp throws for odd documents
    return fail(ErrorKind::Invalid, e.what());
  }
}

Result<std::vector<std::string>> context_names(const ConfigPlaces& places) {
  try {
    auto files = named_files(places);
    if (files.empty() && has_default_file(places)) files = {default_file_of(places)};
    Merged merged;
    for (const fs::path& file : files) merge_file(file, merged);
    std::vector<std::string> names;
    for (const auto& [name, entry] : merged.contexts) names.push_back(name);
    return names;
  } catch (const std::exception& e) {
    return fail(ErrorKind::Invalid, e.what());
  }
}

}  // namespace mo::kube
