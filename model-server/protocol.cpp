#include "model-server/protocol.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace model_server {
namespace {

constexpr int kMaxRequestDepth = 32;
constexpr size_t kMaxId = 256;

struct Tensor {
  std::string name;
  std::string datatype;
  std::vector<size_t> shape;
  const Json* data = nullptr;  // a list, as it came
  std::vector<Value> values;   // flat, row by row; filled once the shape is known to be one the model takes
};

[[noreturn]] void bad(const std::string& message) { throw ApiError(400, message); }

std::string in_quotes(const std::string& text) {
  return "\"" + (text.size() > 80 ? text.substr(0, 80) + "..." : text) + "\"";
}

const Json& field(const Json& object, const char* name, const std::string& of) {
  const auto it = object.find(name);
  if (it == object.end()) bad(of + " has no " + name);
  return *it;
}

std::string text_field(const Json& object, const char* name, const std::string& of) {
  const Json& value = field(object, name, of);
  if (!value.is_string()) bad(of + "'s " + name + " must be a string");
  return value.get<std::string>();
}

Value value_of(const Json& value, const std::string& datatype, const std::string& of) {
  if (datatype == "BYTES") {
    if (value.is_string()) return value.get<std::string>();
    bad(of + " has datatype BYTES and a value that is no string");
  }
  if (datatype == "BOOL") {
    if (value.is_boolean()) return value.get<bool>() ? 1.0 : 0.0;
    if (value == 0 || value == 1) return value.get<double>();
    bad(of + " has datatype BOOL and a value that is neither true nor false");
  }
  const bool whole = datatype != "FP64" && datatype != "FP32";
  if (!value.is_number() || (whole && !value.is_number_integer()))
    bad(of + " has datatype " + datatype + " and a value that is " +
        (whole ? "no whole number" : "no number"));
  return value.get<double>();
}

void flatten(const Json& data, size_t wanted, const std::string& of, Tensor& into) {
  for (const Json& entry : data) {
    if (entry.is_array()) {
      flatten(entry, wanted, of, into);  // as deep as parse_object lets it be
      continue;
    }
    if (into.values.size() == wanted)
      bad(of + " has more than the " + std::to_string(wanted) + " values that its shape wants");
    into.values.push_back(value_of(entry, into.datatype, of));
  }
}

std::vector<size_t> shape_of(const Json& value, const std::string& of) {
  std::vector<size_t> shape;
  if (!value.is_array() || value.empty() || value.size() > 2) bad(of + "'s shape must be one or two sizes");
  for (const Json& size : value) {
    if (!size.is_number_unsigned() || size < 1 || size > 1'000'000)
      bad(of + "'s shape must hold whole numbers greater than 0");
    shape.push_back(size.get<size_t>());
  }
  return shape;
}

// Without its values.
Tensor tensor_of(const Json& input) {
  if (!input.is_object()) bad("an input must be an object");
  Tensor tensor;
  tensor.name = text_field(input, "name", "an input");
  const std::string of = "input " + in_quotes(tensor.name);
  tensor.datatype = text_field(input, "datatype", of);
  constexpr const char* known[] = {"FP64",   "FP32",   "INT64",  "INT32", "INT16", "INT8",
                                   "UINT64", "UINT32", "UINT16", "UINT8", "BOOL",  "BYTES"};
  if (std::find(std::begin(known), std::end(known), tensor.datatype) == std::end(known))
    bad(of + " has a datatype that is not known: " + in_quotes(tensor.datatype));
  tensor.shape = shape_of(field(input, "shape", of), of);
  tensor.data = &field(input, "data", of);
  if (!tensor.data->is_array()) bad(of + "'s data must be a list");
  return tensor;
}

// Its shape has been checked: a Value is far larger than the two bytes of text that ask for one.
void fill(Tensor& tensor) {
  const std::string of = "input " + in_quotes(tensor.name);
  const size_t wanted = tensor.shape[0] * (tensor.shape.size() == 2 ? tensor.shape[1] : 1);
  flatten(*tensor.data, wanted, of, tensor);
  if (tensor.values.size() != wanted)
    bad(of + " has " + std::to_string(tensor.values.size()) + " values, its shape wants " +
        std::to_string(wanted));
}

void check_rows(size_t count) {
  if (count > kMaxRows) bad("a request may have at most " + std::to_string(kMaxRows) + " rows");
}

std::vector<std::vector<Value>> rows_of_matrix(Tensor tensor, size_t width) {
  // A vector as long as a row is one row.
  if (tensor.shape.size() == 1) tensor.shape = {1, tensor.shape[0]};
  if (tensor.shape[1] != width)
    bad("input \"" + tensor.name + "\" has rows of " + std::to_string(tensor.shape[1]) +
        " values, the model wants " + std::to_string(width));
  check_rows(tensor.shape[0]);
  fill(tensor);
  std::vector<std::vector<Value>> rows(tensor.shape[0]);
  auto value = tensor.values.begin();
  for (auto& row : rows) {
    row.assign(std::make_move_iterator(value),
               std::make_move_iterator(value + static_cast<ptrdiff_t>(width)));
    value += static_cast<ptrdiff_t>(width);
  }
  return rows;
}

std::vector<std::vector<Value>> rows_of_columns(std::vector<Tensor> tensors,
                                                const std::vector<std::string>& features) {
  std::map<std::string, Tensor*> by_name;
  for (Tensor& tensor : tensors) {
    if (std::find(features.begin(), features.end(), tensor.name) == features.end())
      bad("the model has no input " + in_quotes(tensor.name));
    if (!by_name.emplace(tensor.name, &tensor).second)
      bad("input " + in_quotes(tensor.name) + " is there twice");
    if (tensor.shape.size() == 2 && tensor.shape[1] != 1)
      bad("input " + in_quotes(tensor.name) + " must have the shape [n] or [n, 1]");
    check_rows(tensor.shape[0]);
    if (tensor.shape[0] != tensors.front().shape[0]) bad("the inputs differ in their number of rows");
  }
  const size_t count = tensors.front().shape[0];
  std::vector<std::vector<Value>> rows(count);
  for (const std::string& feature : features) {
    const auto it = by_name.find(feature);
    if (it == by_name.end()) bad("input " + in_quotes(feature) + " is missing");
    fill(*it->second);
    for (size_t i = 0; i < count; ++i) rows[i].push_back(std::move(it->second->values[i]));
  }
  return rows;
}

std::vector<std::vector<Value>> rows_of(const Json& document, const Model& model) {
  const auto inputs = document.find("inputs");
  if (inputs == document.end() || !inputs->is_array() || inputs->empty()) bad("the request has no inputs");
  if (inputs->size() > model.features().size())
    bad("the request has more inputs than the model has features");
  std::vector<Tensor> tensors;
  for (const Json& input : *inputs) tensors.push_back(tensor_of(input));
  const auto& features = model.features();
  const bool named = std::find(features.begin(), features.end(), tensors.front().name) != features.end();
  if (tensors.size() == 1 && !named && tensors.front().name == "features")
    return rows_of_matrix(std::move(tensors.front()), features.size());
  return rows_of_columns(std::move(tensors), features);
}

std::vector<std::string> outputs_of(const Json& document) {
  std::vector<std::string> names;
  const auto outputs = document.find("outputs");
  if (outputs == document.end()) return names;
  if (!outputs->is_array() || outputs->size() > 16) bad("outputs must be a list of at most 16");
  for (const Json& output : *outputs) {
    if (!output.is_object()) bad("an output must be an object");
    names.push_back(text_field(output, "name", "an output"));
  }
  return names;
}

const char* datatype_of(LabelType type) {
  switch (type) {
    case LabelType::Int64:
      return "INT64";
    case LabelType::Fp64:
      return "FP64";
    case LabelType::Bytes:
      return "BYTES";
  }
  return "";
}

Json label_json(const Value& label, LabelType type) {
  if (const auto* text = std::get_if<std::string>(&label)) return *text;
  return type == LabelType::Int64 ? Json(static_cast<int64_t>(std::get<double>(label)))
                                  : Json(std::get<double>(label));
}

}  // namespace

Json parse_object(std::string_view body, size_t max_values) {
  // The parser would take it for the end and pass over what follows.
  if (const size_t zero = body.find('\0'); zero != std::string_view::npos)
    bad("the request is not JSON: it has a zero byte at " + std::to_string(zero + 1));
  size_t values = 0;
  try {
    Json document = Json::parse(body, [&](int depth, Json::parse_event_t event, Json&) {
      if (depth > kMaxRequestDepth) bad("the request is nested too deep");
      const bool ends = event == Json::parse_event_t::object_end || event == Json::parse_event_t::array_end;
      if (!ends && ++values > max_values)
        bad("the request has more than " + std::to_string(max_values) + " values, more than it can use");
      return true;
    });
    if (!document.is_object()) bad("the request must be a JSON object");
    return document;
  } catch (const Json::parse_error& e) {
    bad("the request is not JSON: it goes wrong at byte " + std::to_string(e.byte));
  } catch (const Json::exception&) {
    bad("the request has a number that is out of range");
  }
}

std::vector<std::string> classes_of(const Json& list, const std::string& name) {
  if (!list.is_array()) bad(name + " must be a list");
  if (list.size() > kMaxRows) bad(name + " may have at most " + std::to_string(kMaxRows) + " entries");
  std::vector<std::string> classes;
  for (const Json& entry : list) {
    if (entry.is_string())
      classes.push_back(entry.get<std::string>());
    else if (entry.is_boolean())
      classes.push_back(entry.get<bool>() ? "1" : "0");
    else if (entry.is_number())
      classes.push_back(class_text(entry.get<double>()));
    else
      bad(name + " must hold numbers, strings, true or false");
  }
  return classes;
}

Inference parse_inference(std::string_view body, const Model& model) {
  // Each value of a row may be in a list of its own, so may be each row, and each row may have a label.
  const size_t features = model.features().size();
  const Json document = parse_object(body, kMaxRows * (2 * features + 2) + 64 * features + kMaxOther);
  Inference inference;
  if (document.contains("id")) inference.id = text_field(document, "id", "the request");
  if (inference.id.size() > kMaxId)
    bad("the request's id is longer than " + std::to_string(kMaxId) + " bytes");
  inference.rows = rows_of(document, model);
  inference.outputs = outputs_of(document);
  const auto parameters = document.find("parameters");
  if (parameters == document.end()) return inference;
  if (!parameters->is_object()) bad("parameters must be an object");
  if (!parameters->contains("labels")) return inference;
  if (!model.classifies()) bad("labels cannot be compared: this model does not classify");
  inference.labels = classes_of((*parameters)["labels"], "parameters.labels");
  if (inference.labels->size() != inference.rows.size()) bad("parameters.labels must be one per row");
  return inference;
}

Json render_inference(const Inference& inference, const std::vector<Prediction>& predictions,
                      const Model& model, const std::string& model_name, const std::string& model_version) {
  Json labels = Json::array(), scores = Json::array();
  for (const Prediction& prediction : predictions) {
    labels.push_back(label_json(prediction.label, model.label_type()));
    if (prediction.score) scores.push_back(*prediction.score);
  }
  const Json shape = {predictions.size()};
  Json all = Json::array({{{"name", "predict"},
                           {"shape", shape},
                           {"datatype", datatype_of(model.label_type())},
                           {"data", std::move(labels)}}});
  if (!model.score_name().empty())
    all.push_back(
        {{"name", model.score_name()}, {"shape", shape}, {"datatype", "FP64"}, {"data", std::move(scores)}});
  Json outputs = Json::array();
  for (const std::string& name : inference.outputs) {
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const Json& output) { return output["name"] == name; });
    if (found == all.end()) bad("the model has no output " + in_quotes(name));
    outputs.push_back(*found);
  }
  Json response = {{"model_name", model_name},
                   {"model_version", model_version},
                   {"outputs", inference.outputs.empty() ? std::move(all) : std::move(outputs)}};
  if (!inference.id.empty()) response["id"] = inference.id;
  return response;
}

Json render_metadata(const Model& model, const std::string& model_name, const std::string& model_version) {
  Json inputs = Json::array();
  const auto& features = model.features();
  bool texts = false;
  for (size_t i = 0; i < features.size(); ++i) texts = texts || model.is_text(i);
  if (!texts)
    inputs.push_back({{"name", "features"}, {"datatype", "FP64"}, {"shape", {-1, features.size()}}});
  for (size_t i = 0; texts && i < features.size(); ++i)
    inputs.push_back(
        {{"name", features[i]}, {"datatype", model.is_text(i) ? "BYTES" : "FP64"}, {"shape", {-1}}});
  Json outputs =
      Json::array({{{"name", "predict"}, {"datatype", datatype_of(model.label_type())}, {"shape", {-1}}}});
  if (!model.score_name().empty())
    outputs.push_back({{"name", model.score_name()}, {"datatype", "FP64"}, {"shape", {-1}}});
  return {{"name", model_name},
          {"versions", {model_version}},
          {"platform", "model-server-" + model.kind()},
          {"inputs", std::move(inputs)},
          {"outputs", std::move(outputs)},
          {"parameters", {{"features", model.features()}}}};
}

}  // namespace model_server
