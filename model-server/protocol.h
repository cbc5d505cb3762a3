// The Open Inference Protocol V2: requests into rows of values, predictions into responses. Tensors come and go as
// JSON, or as bytes behind it (Triton's extension binary_tensor_data).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "model-server/model.h"

namespace model_server {

using Json = nlohmann::json;

inline constexpr size_t kMaxRows = 10'000;  // of one request

// Becomes the response {"error": what()} with this HTTP status.
struct ApiError : std::runtime_error {
  ApiError(int status, const std::string& message) : std::runtime_error(message), status(status) {}
  int status;
};

struct WantedOutput {
  std::string name;
  bool binary = false;
};

struct Inference {
  std::string id;  // empty if the caller gave none
  std::vector<std::vector<Value>> rows;
  std::vector<WantedOutput> outputs;  // those asked for; empty: all
  bool binary_outputs = false;        // of those that were not asked for by name
  std::optional<std::vector<std::string>>
      labels;  // parameters.labels: what would have been right, one class per row
};

// What a request may have beside its rows: names, shapes, parameters.
inline constexpr size_t kMaxOther = 10'000;

// A JSON object from outside, of at most `max_values` values, lists, objects and keys: parsed, each takes
// many times the bytes it came in. Throws ApiError 400.
Json parse_object(std::string_view body, size_t max_values);

// `binary` follows the JSON: of each input with parameters.binary_data_size so many bytes, in the order of inputs.
// Throws ApiError 400 with what is wrong.
Inference parse_inference(std::string_view document, std::string_view binary, const Model& model);

// A list of labels (numbers, texts, true and false) as class texts. Throws ApiError 400.
std::vector<std::string> classes_of(const Json& list, const std::string& name);

struct Rendered {
  Json document;
  std::string binary;  // of the outputs that have parameters.binary_data_size, in their order
  bool has_binary = false;
};

// Throws ApiError 400 if an output is asked for that this model does not have.
Rendered render_inference(const Inference& inference, const std::vector<Prediction>& predictions,
                          const Model& model, const std::string& model_name, const std::string& model_version);

// The answer to GET /v2/models/{name}.
Json render_metadata(const Model& model, const std::string& model_name, const std::string& model_version);

}  // namespace model_server
