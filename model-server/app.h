// What the server answers, apart from how it travels.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model-server/feedback.h"
#include "model-server/model.h"
#include "model-server/protocol.h"
#include "model-server/telemetry.h"

namespace model_server {

// Whoever asks for predictions is not whoever probes, scrapes and tells what was right: each has a port.
enum class Door {
  Callers,  // metadata, health, predictions
  Admin,    // the same, and metrics and feedback
};

struct Request {
  std::string method;
  std::string target;  // path and query
  std::string body;
  Door door = Door::Callers;
  // The header Inference-Header-Content-Length: how many bytes of the body are JSON, before binary tensors.
  std::optional<std::string> json_length;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::string allow;  // with 405: the methods that would do
  std::optional<size_t> json_length;  // as the Request's
};

// {"error": message}
Response error_response(int status, const std::string& message);

// Thread-safe.
class App {
 public:
  App(std::string name, std::string version, std::unique_ptr<const Model> model, size_t feedback_window);

  // Never throws: every failure is a response.
  Response handle(const Request& request);
  // From now on /v2/health/ready says 503; everything else is answered as before.
  void stop_being_ready() { ready_ = false; }

  const std::string& name() const { return name_; }
  const std::string& version() const { return version_; }

 private:
  Response route(const Request& request);
  Response of_model(const Request& request, const std::vector<std::string_view>& path);
  Response infer(const Request& request);
  Response feedback(const std::string& body);
  Response ready_response(const char* name) const;
  std::vector<Prediction> predict(const Inference& inference) const;
  void learn(const Inference& inference, const std::vector<Prediction>& predictions);

  const std::string name_;
  const std::string version_;
  const std::unique_ptr<const Model> model_;
  Feedback feedback_;
  Telemetry telemetry_;
  std::atomic<bool> ready_{true};
};

}  // namespace model_server
