// model-server: one model from a file, served over the Open Inference Protocol V2. Everything is set by the
// environment (README.md).
#include <pthread.h>
#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <thread>

#include "model-server/server.h"

namespace {

using namespace model_server;

constexpr int kUsage = 64, kBadModel = 65, kNoModel = 66, kNoPort = 69;  // after sysexits.h
constexpr std::streamsize kMaxModel = 64 << 20;

struct Failure {
  int code;
  std::string sentence;
};

std::string text_from_env(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  if (value && *value) return value;
  if (!otherwise) throw Failure{kUsage, std::string(name) + " is not set"};
  return otherwise;
}

long number_from_env(const char* name, long otherwise, long min, long max) {
  const std::string text = text_from_env(name, std::to_string(otherwise).c_str());
  long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < min || value > max)
    throw Failure{kUsage, std::string(name) + " must be a whole number from " + std::to_string(min) + " to " +
                              std::to_string(max) + ", it is " + text};
  return value;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Failure{kNoModel, "cannot read the model " + path};
  std::string text(static_cast<size_t>(kMaxModel) + 1, '\0');
  file.read(text.data(), kMaxModel + 1);
  if (file.bad()) throw Failure{kNoModel, "cannot read the model " + path};
  if (file.gcount() > kMaxModel) throw Failure{kBadModel, "the model " + path + " is larger than 64 MiB"};
  text.resize(static_cast<size_t>(file.gcount()));
  text.shrink_to_fit();
  return text;
}

std::unique_ptr<const Model> load(const std::string& path) {
  try {
    return load_model(read_file(path));
  } catch (const BadModel& e) {
    throw Failure{kBadModel, "the model " + path + " cannot be used: " + e.what()};
  }
}

// Few connections, and bounds for each address: who probes and scrapes has few, and they are short.
ServerOptions admin_from_env(uint16_t callers_port) {
  ServerOptions options;
  options.door = Door::Admin;
  options.port = static_cast<uint16_t>(number_from_env("ADMIN_PORT", 8081, 0, 65535));
  if (options.port == callers_port && callers_port != 0)
    throw Failure{kUsage, "ADMIN_PORT and PORT must differ, both are " + std::to_string(callers_port)};
  options.threads = 1;
  options.max_connections = 64;
  options.max_per_peer = 16;
  options.request = std::chrono::seconds(10);
  options.shutdown_delay = std::chrono::milliseconds(0);
  options.shutdown_limit = std::chrono::seconds(1);
  return options;
}

std::unique_ptr<Server> listen(App& app, const ServerOptions& options) {
  try {
    return std::make_unique<Server>(app, options);
  } catch (const std::exception& e) {
    throw Failure{kNoPort, "cannot listen on port " + std::to_string(options.port) + ": " + e.what()};
  }
}

int serve() {
  const std::string path = text_from_env("MODEL_PATH", nullptr);
  ServerOptions options;
  options.port = static_cast<uint16_t>(number_from_env("PORT", 8080, 0, 65535));
  options.threads = static_cast<int>(number_from_env("THREADS", 4, 1, 64));
  options.shutdown_delay = std::chrono::seconds(number_from_env("SHUTDOWN_DELAY", 3, 0, 300));
  const auto window = static_cast<size_t>(number_from_env("FEEDBACK_WINDOW", 1000, 1, 1'000'000));
  const ServerOptions admin_options = admin_from_env(options.port);
  App app(text_from_env("MODEL_NAME", "model"), text_from_env("MODEL_VERSION", "1"), load(path), window);

  // Blocked here and in every thread that comes, and waited for below.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  const auto server = listen(app, options), admin = listen(app, admin_options);
  spdlog::info("model {} version {} from {} answers callers on port {}, and probes, metrics and feedback on port {}", app.name(),
               app.version(), path, server->port(), admin->port());
  std::jthread administering([&](std::stop_token stop) { admin->run(stop); });  // to the very end
  std::jthread running([&](std::stop_token stop) { server->run(stop); });
  int signal = 0;
  sigwait(&signals, &signal);
  spdlog::info("signal {}: not ready any more, finishing what is under way", signal);
  running.request_stop();
  running.join();
  spdlog::info("done");
  return EXIT_SUCCESS;
}

}  // namespace

int main() {
  try {
    spdlog::set_default_logger(spdlog::stderr_logger_mt("model-server"));
    return serve();
  } catch (const Failure& failure) {
    std::cerr << failure.sentence << std::endl;
    return failure.code;
  } catch (const std::exception& e) {
    std::cerr << "cannot serve: " << e.what() << std::endl;
    return kNoPort;
  }
}
