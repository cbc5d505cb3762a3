#include "model-server/app.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <exception>
#include <utility>

namespace model_server {
namespace {

Response json(const Json& document, int status = 200) {
  return {status, "application/json", document.dump(-1, ' ', false, Json::error_handler_t::replace), "", {}};
}

// "/v2/models/x?y" as {"v2", "models", "x"}; a slash at the end is passed over.
std::vector<std::string_view> segments(std::string_view target) {
  std::string_view path = target.substr(0, target.find_first_of("?#"));
  std::vector<std::string_view> found;
  while (!path.empty()) {
    path.remove_prefix(1);
    const size_t slash = std::min(path.find('/'), path.size());
    found.push_back(path.substr(0, slash));
    path.remove_prefix(slash);
  }
  if (!found.empty() && found.back().empty()) found.pop_back();
  return found;
}

void only(const char* method, const Request& request) {
  if (request.method != method) throw ApiError(405, std::string("use ") + method + " here");
}

void admin_only(const char* what, const Request& request) {
  if (request.door != Door::Admin)
    throw ApiError(403, std::string(what) + " only on the admin port (ADMIN_PORT, 8081 unless set otherwise), not on the port of callers");
}

// The JSON of a request and the binary tensors behind it.
std::pair<std::string_view, std::string_view> parts_of(const Request& request) {
  const std::string_view body = request.body;
  if (!request.json_length) return {body, {}};
  size_t length = 0;
  const std::string& text = *request.json_length;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (error != std::errc() || end != text.data() + text.size() || length > body.size())
    throw ApiError(400, "Inference-Header-Content-Length must be a whole number of at most the " + std::to_string(body.size()) +
                            " bytes of the request");
  if (length == 0) throw ApiError(400, "a request needs JSON that says what its binary data is");
  return {body.substr(0, length), body.substr(length)};
}

std::vector<std::string> classes_of(const std::vector<Prediction>& predictions) {
  std::vector<std::string> classes;
  for (const Prediction& prediction : predictions) classes.push_back(class_text(prediction.label));
  return classes;
}

}  // namespace

Response error_response(int status, const std::string& message) {
  Response response = json({{"error", message}}, status);
  if (status == 405) response.allow = message.find("POST") != std::string::npos ? "POST" : "GET";
  return response;
}

App::App(std::string name, std::string version, std::unique_ptr<const Model> model, size_t feedback_window)
    : name_(std::move(name)),
      version_(std::move(version)),
      model_(std::move(model)),
      feedback_(feedback_window),
      telemetry_(name_, version_) {}

Response App::handle(const Request& request) {
  try {
    return route(request);
  } catch (const ApiError& e) {
    return error_response(e.status, e.what());
  } catch (const std::exception& e) {
    return error_response(500, std::string("an error of the server: ") + e.what());
  }
}

Response App::route(const Request& request) {
  const auto path = segments(request.target);
  if (path.size() == 1 && path[0] == "metrics") {
    only("GET", request);
    admin_only("metrics are told", request);
    return {200, "text/plain; version=0.0.4; charset=utf-8", telemetry_.text(), "", {}};
  }
  if (path.empty() || path[0] != "v2") throw ApiError(404, "there is nothing here");
  if (path.size() == 1) {
    only("GET", request);
    return json({{"name", "model-server"}, {"version", MODEL_SERVER_VERSION}, {"extensions", {"binary_tensor_data", "feedback"}}});
  }
  if (path.size() == 3 && path[1] == "health" && path[2] == "live") {
    only("GET", request);
    return json({{"live", true}});
  }
  if (path.size() == 3 && path[1] == "health" && path[2] == "ready") {
    only("GET", request);
    return ready_response("ready");
  }
  if (path.size() >= 3 && path[1] == "models") return of_model(request, path);
  throw ApiError(404, "there is nothing here");
}

Response App::ready_response(const char* name) const {
  return json({{name, ready_.load()}}, ready_ ? 200 : 503);
}

// /v2/models/{name}[/versions/{version}][/ready|/infer|/feedback]
Response App::of_model(const Request& request, const std::vector<std::string_view>& path) {
  if (path[2] != name_)
    throw ApiError(
        404, "there is no model \"" + std::string(path[2].substr(0, 80)) + "\" here, only \"" + name_ + "\"");
  size_t next = 3;
  if (path.size() > 3 && path[3] == "versions") {
    if (path.size() < 5 || path[4] != version_)
      throw ApiError(404, "there is no such version of \"" + name_ + "\" here, only \"" + version_ + "\"");
    next = 5;
  }
  const std::string_view verb = path.size() == next + 1 ? path[next] : path.size() == next ? "" : "?";
  if (verb == "infer") {
    only("POST", request);
    return infer(request);
  }
  if (verb == "feedback") {
    only("POST", request);
    admin_only("feedback is taken", request);
    return feedback(request.body);
  }
  if (verb != "" && verb != "ready") throw ApiError(404, "there is nothing here");
  only("GET", request);
  if (verb == "") return json(render_metadata(*model_, name_, version_));
  Response response = ready_response("ready");
  response.body = Json{{"name", name_}, {"ready", response.status == 200}}.dump();
  return response;
}

Response App::infer(const Request& request) {
  const auto begin = std::chrono::steady_clock::now();
  Response response;
  try {
    const auto [document, binary] = parts_of(request);
    const Inference inference = parse_inference(document, binary, *model_);
    if (inference.labels) admin_only("labels in parameters are taken", request);
    const auto predictions = predict(inference);
    const Rendered rendered = render_inference(inference, predictions, *model_, name_, version_);
    response = json(rendered.document);
    if (rendered.has_binary) {
      response.content_type = "application/octet-stream";
      response.json_length = response.body.size();
      response.body += rendered.binary;
    }
    learn(inference, predictions);
  } catch (const ApiError& e) {
    response = error_response(e.status, e.what());
  }
  telemetry_.request(response.status, std::chrono::steady_clock::now() - begin);
  return response;
}

std::vector<Prediction> App::predict(const Inference& inference) const {
  std::vector<Prediction> predictions;
  predictions.reserve(inference.rows.size());
  try {
    for (const auto& row : inference.rows) predictions.push_back(model_->predict(row));
  } catch (const BadInput& e) {
    throw ApiError(400, e.what());
  }
  return predictions;
}

void App::learn(const Inference& inference, const std::vector<Prediction>& predictions) {
  if (!model_->classifies()) return;
  auto classes = classes_of(predictions);
  for (const std::string& class_text : classes) telemetry_.prediction(class_text);
  if (inference.labels) telemetry_.feedback(feedback_.compare(classes, *inference.labels));
  if (!inference.id.empty() && !inference.labels) feedback_.remember(inference.id, std::move(classes));
}

Response App::feedback(const std::string& body) {
  if (!model_->classifies()) throw ApiError(400, "feedback cannot be compared: this model does not classify");
  const Json document = parse_object(body, 2 * kMaxRows + kMaxOther);  // labels and predictions
  // Behind a Service any version may get the feedback; it must not be credited with another's predictions.
  if (const auto version = document.find("model_version"); version != document.end() && *version != version_)
    throw ApiError(409, "the feedback is for another version, this is \"" + version_ + "\"");
  if (!document.contains("labels")) throw ApiError(400, "labels are missing");
  const auto labels = model_server::classes_of(document["labels"], "labels");
  std::vector<std::string> predictions;
  if (document.contains("predictions") == document.contains("id"))
    throw ApiError(400, "give either predictions or the id of an inference request");
  if (document.contains("predictions")) {
    predictions = model_server::classes_of(document["predictions"], "predictions");
  } else {
    if (!document["id"].is_string()) throw ApiError(400, "id must be a string");
    auto taken = feedback_.take(document["id"].get<std::string>());
    if (!taken) throw ApiError(404, "no request of that id is remembered here");
    predictions = std::move(*taken);
  }
  if (labels.empty() || labels.size() != predictions.size())
    throw ApiError(400, "there are " + std::to_string(labels.size()) + " labels for " +
                            std::to_string(predictions.size()) + " predictions");
  const auto tally = feedback_.compare(predictions, labels);
  telemetry_.feedback(tally);
  return json({{"model_name", name_},
               {"model_version", version_},
               {"compared", tally.compared},
               {"correct", tally.correct},
               {"accuracy", tally.accuracy}});
}

}  // namespace model_server
