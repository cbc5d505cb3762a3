// The model server: a model's JSON, and what callers send. Input: the model, then a request a line: "METHOD
// TARGET BODY", "BIN LENGTH BODY" of an inference whose first LENGTH bytes are JSON, or the body of an inference.
#include "model-server/app.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace model_server;

Request request_of(std::string_view line) {
  const size_t method = line.find(' ');
  if (line.starts_with("BIN ")) {
    const size_t length = std::min(line.find(' ', method + 1), line.size());
    return {"POST", "/v2/models/m/infer", std::string(line.substr(std::min(length + 1, line.size()))), Door::Callers,
            std::string(line.substr(method + 1, length - method - 1))};
  }
  if ((!line.starts_with("GET ") && !line.starts_with("POST ")))
    return {"POST", "/v2/models/m/infer", std::string(line), Door::Admin, {}};
  const size_t target = std::min(line.find(' ', method + 1), line.size());
  return {std::string(line.substr(0, method)), std::string(line.substr(method + 1, target - method - 1)),
          std::string(line.substr(std::min(target + 1, line.size()))), Door::Admin, {}};
}

void check(const Request& request, const Response& response) {
  const std::string seen = std::to_string(response.status) + " " + response.body;
  // 500 is for what nobody thought of.
  MUST_SHOW(
      response.status == 200 || response.status == 503 || (response.status >= 400 && response.status < 500),
      seen);
  if (response.content_type != "application/json" && !response.json_length) return;
  const size_t length = response.json_length.value_or(response.body.size());
  const auto document = nlohmann::json::parse(response.body.substr(0, length), nullptr, false);
  MUST_SHOW(document.is_object(), seen);
  MUST_SHOW((response.status == 200 || response.status == 503) != document.contains("error"), seen);
  if (!document.contains("outputs") || !document["outputs"].is_array()) return;
  for (const auto& output : document["outputs"]) {
    if (!output.contains("data")) continue;
    MUST_SHOW(output["data"].size() == output["shape"][0].get<size_t>(), seen + "\n" + request.body);
    for (const auto& value : output["data"]) MUST_SHOW(value.is_number() || value.is_string(), seen);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto lines = mo::fuzz::pieces(mo::fuzz::view(data, size));
  std::unique_ptr<Model> model;
  try {
    model = load_model(lines[0]);
  } catch (const BadModel&) {
    return 0;
  }
  App app("m", "1", std::move(model), 4);
  for (size_t i = 1; i < lines.size(); ++i) {
    const Request request = request_of(lines[i]);
    check(request, app.handle(request));
  }
  const Response metadata = app.handle({"GET", "/v2/models/m", "", Door::Admin, {}});
  MUST_SHOW(metadata.status == 200, metadata.body);
  MUST(app.handle({"GET", "/metrics", "", Door::Admin, {}}).status == 200);
  return 0;
}
