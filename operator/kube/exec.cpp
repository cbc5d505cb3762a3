#include "operator/kube/exec.h"

#include <fcntl.h>
#include <poll.h>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <thread>
#include <vector>

#include "operator/kube/files.h"

extern char** environ;

namespace mo::kube {
namespace {

using std::chrono::steady_clock;

constexpr size_t max_output = 1u << 20;
constexpr size_t max_complaint = 512;

struct Pipe {
  std::array<int, 2> fd{-1, -1};
  Pipe() {
    if (::pipe2(fd.data(), O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  void close_end(size_t end) {
    if (fd[end] >= 0) ::close(fd[end]);
    fd[end] = -1;
  }
};

// posix_spawn's two objects, initialised and destroyed together.
struct SpawnSettings {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  SpawnSettings(const Pipe& out, const Pipe& err) {
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out.fd[1], 1);
    posix_spawn_file_actions_adddup2(&files, err.fd[1], 2);
    posix_spawn_file_actions_addclosefrom_np(&files, 3);
    posix_spawnattr_init(&attributes);
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  ~SpawnSettings() {
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
  }
};

// What the plugin is told in KUBERNETES_EXEC_INFO.
std::string exec_info(const Config& config) {
  rapidjson::StringBuffer out;
  rapidjson::Writer<rapidjson::StringBuffer> json(out);
  json.StartObject();
  json.Key("apiVersion");
  json.String(config.exec->api_version.c_str());
  json.Key("kind");
  json.String("ExecCredential");
  json.Key("spec");
  json.StartObject();
  json.Key("interactive");
  json.Bool(false);
  if (config.exec->provide_cluster_info) {
    json.Key("cluster");
    json.StartObject();
    json.Key("server");
    json.String(config.server.c_str());
    if (!config.tls_server_name.empty()) {
      json.Key("tls-server-name");
      json.String(config.tls_server_name.c_str());
    }
    json.Key("insecure-skip-tls-verify");
    json.Bool(config.insecure_skip_tls_verify);
    std::string ca = config.ca.data;
    if (ca.empty() && !config.ca.file.empty()) ca = read_file(config.ca.file, max_output).value_or("");
    if (!ca.empty()) {
      json.Key("certificate-authority-data");
      json.String(encode_base64(ca).c_str());
    }
    json.EndObject();
  }
  json.EndObject();
  json.EndObject();
  return out.GetString();
}

std::vector<std::string> environment(const Config& config) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view have(*entry);
    bool replaced =
        have.starts_with("KUBERNETES_EXEC_INFO=") || have == "SSL_CERT_FILE=" || have == "SSL_CERT_DIR=";
    for (const auto& [name, value] : config.exec->env) replaced = replaced || have.starts_with(name + "=");
    if (!replaced) all.emplace_back(have);
  }
  for (const auto& [name, value] : config.exec->env) all.push_back(name + "=" + value);
  all.push_back("KUBERNETES_EXEC_INFO=" + exec_info(config));
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

Result<pid_t> spawn(const Config& config, const Pipe& out, const Pipe& err) {
  const SpawnSettings settings(out, err);
  std::vector<std::string> args{config.exec->command};
  args.insert(args.end(), config.exec->args.begin(), config.exec->args.end());
  std::vector<std::string> env = environment(config);
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, args[0].c_str(), &settings.files, &settings.attributes,
                                   pointers(args).data(), pointers(env).data());
  if (error == 0) return pid;
  const std::string hint =
      config.exec->install_hint.empty() ? "" : "; " + bounded_text(config.exec->install_hint, max_complaint);
  return fail(ErrorKind::Unauthorized,
              "cannot run the credential plugin " + args[0] + ": " + error_text(error) + hint);
}

// Reads both pipes until both are closed. False if the deadline came first or there was too much.
bool collect(Pipe& out, Pipe& err, std::string& output, std::string& complaint,
             steady_clock::time_point deadline) {
  while (out.fd[0] >= 0 || err.fd[0] >= 0) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_clock::now()).count();
    if (left <= 0) return false;
    std::array<pollfd, 2> waiting{{{out.fd[0], POLLIN, 0}, {err.fd[0], POLLIN, 0}}};
    if (::poll(waiting.data(), 2, static_cast<int>(left)) <= 0)
      continue;  // the loop's head looks at the clock
    for (size_t i = 0; i < 2; ++i) {
      if (waiting[i].fd < 0 || waiting[i].revents == 0) continue;
      char piece[8192];
      const ssize_t got = ::read(waiting[i].fd, piece, sizeof piece);
      if (got <= 0) {
        (i == 0 ? out : err).close_end(0);
      } else if (i == 0) {
        output.append(piece, static_cast<size_t>(got));
        if (output.size() > max_output) return false;
      } else if (complaint.size() < 4 * max_complaint) {
        complaint.append(piece, static_cast<size_t>(got));
      }
    }
  }
  return true;
}

// Waits for the child until the deadline, then kills its group. The wait status, or nothing if it had to be
// killed.
std::optional<int> reap(pid_t pid, bool in_time, steady_clock::time_point deadline) {
  int status = 0;
  for (;;) {
    const pid_t got = ::waitpid(pid, &status, in_time ? WNOHANG : 0);
    if (got == pid) return in_time ? std::optional(status) : std::nullopt;
    if (got < 0 && errno != EINTR) return std::nullopt;
    if (in_time && steady_clock::now() >= deadline) {
      ::kill(-pid, SIGKILL);
      in_time = false;
    } else if (in_time) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
}

std::string member_text(const rapidjson::Value& object, const char* name) {
  const auto it = object.FindMember(name);
  return it != object.MemberEnd() && it->value.IsString()
             ? std::string(it->value.GetString(), it->value.GetStringLength())
             : "";
}

Result<ExecCredential> parse(const Config& config, const std::string& output) {
  const std::string who = "the credential plugin " + config.exec->command;
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(output.data(), output.size());
  if (document.HasParseError() || !document.IsObject() || member_text(document, "kind") != "ExecCredential") {
    return fail(ErrorKind::Unauthorized, who + " did not print an ExecCredential");
  }
  if (member_text(document, "apiVersion") != config.exec->api_version) {
    return fail(ErrorKind::Unauthorized,
                who + " answered with another apiVersion than " + config.exec->api_version);
  }
  const auto status = document.FindMember("status");
  if (status == document.MemberEnd() || !status->value.IsObject()) {
    return fail(ErrorKind::Unauthorized, who + " printed an ExecCredential without status");
  }
  ExecCredential credential{member_text(status->value, "token"),
                            member_text(status->value, "clientCertificateData"),
                            member_text(status->value, "clientKeyData"),
                            {}};
  if (const std::string expires = member_text(status->value, "expirationTimestamp"); !expires.empty()) {
    credential.expires = parse_time(expires);
    if (!credential.expires) return fail(ErrorKind::Unauthorized, who + " printed a bad expirationTimestamp");
  }
  if (credential.token.empty() && credential.client_certificate.empty()) {
    return fail(ErrorKind::Unauthorized, who + " printed neither a token nor a certificate");
  }
  if (credential.client_certificate.empty() != credential.client_key.empty()) {
    return fail(ErrorKind::Unauthorized,
                who + " printed a certificate without its key, or a key without its certificate");
  }
  return credential;
}

}  // namespace

Result<ExecCredential> run_exec_plugin(const Config& config, std::chrono::milliseconds limit) {
  Pipe out, err;
  const auto pid = spawn(config, out, err);
  if (!pid) return fail(pid.error());
  out.close_end(1);
  err.close_end(1);
  const auto deadline = steady_clock::now() + limit;
  std::string output, complaint;
  const bool in_time = collect(out, err, output, complaint, deadline);
  if (!in_time) ::kill(-*pid, SIGKILL);
  const auto status = reap(*pid, in_time, deadline);
  const std::string who = "the credential plugin " + config.exec->command;
  if (!status && output.size() > max_output)
    return fail(ErrorKind::Unauthorized, who + " printed more than 1 MiB");
  if (!status) {
    return fail(ErrorKind::Unauthorized,
                who + " did not end within " + format_duration(limit) + " and was killed");
  }
  if (!WIFEXITED(*status) || WEXITSTATUS(*status) != 0) {
    const std::string how = WIFEXITED(*status) ? "exit code " + std::to_string(WEXITSTATUS(*status))
                                               : "signal " + std::to_string(WTERMSIG(*status));
    return fail(ErrorKind::Unauthorized,
                who + " failed with " + how + ": " + bounded_text(complaint, max_complaint));
  }
  return parse(config, output);
}

}  // namespace mo::kube
