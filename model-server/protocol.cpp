#include "model-server/protocol.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>

namespace model_server {
namespace {

constexpr int kMaxRequestDepth = 32;
constexpr size_t kMaxId = 256;

struct Tensor {
  std::string name;
  std::string datatype;
  std::vector<size_t> shape;
  const Json* data = nullptr;  // a list, as it came; null: binary
  std::string_view binary;
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

// The bytes of an input that has parameters.binary_data_size; they are taken from the front of `rest`.
std::optional<std::string_view> binary_of(const Json& input, const std::string& of, std::string_view& rest) {
  const auto parameters = input.find("parameters");
  if (parameters == input.end()) return {};
  if (!parameters->is_object()) bad(of + "'s parameters must be an object");
  const auto size = parameters->find("binary_data_size");
  if (size == parameters->end()) return {};
  if (!size->is_number_unsigned()) bad(of + "'s binary_data_size must be a whole number");
  if (size->get<uint64_t>() > rest.size())
    bad(of + "'s binary_data_size is " + size->dump() + ", and " + std::to_string(rest.size()) +
        " bytes are left behind the JSON, whose length the header Inference-Header-Content-Length says");
  const auto bytes = rest.substr(0, size->get<size_t>());
  rest.remove_prefix(bytes.size());
  return bytes;
}

// Without its values.
Tensor tensor_of(const Json& input, std::string_view& rest) {
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
  if (const auto binary = binary_of(input, of, rest)) {
    if (input.contains("data")) bad(of + " has both data and binary_data_size");
    tensor.binary = *binary;
    return tensor;
  }
  tensor.data = &field(input, "data", of);
  if (!tensor.data->is_array()) bad(of + "'s data must be a list");
  return tensor;
}

static_assert(std::endian::native == std::endian::little, "binary tensors are little-endian");

template <class T>
double number_at(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return static_cast<double>(value);
}

struct BinaryType {
  const char* datatype;
  size_t bytes;  // of a value
  double (*read)(const char* bytes);
};
constexpr BinaryType kBinaryTypes[] = {
    {"FP64", 8, number_at<double>},    {"FP32", 4, number_at<float>},     {"INT64", 8, number_at<int64_t>},
    {"INT32", 4, number_at<int32_t>},  {"INT16", 2, number_at<int16_t>},  {"INT8", 1, number_at<int8_t>},
    {"UINT64", 8, number_at<uint64_t>}, {"UINT32", 4, number_at<uint32_t>}, {"UINT16", 2, number_at<uint16_t>},
    {"UINT8", 1, number_at<uint8_t>},  {"BOOL", 1, number_at<uint8_t>}};

// Each text has its length in front, in four bytes.
void fill_texts(Tensor& tensor, size_t wanted, const std::string& of) {
  std::string_view rest = tensor.binary;
  while (!rest.empty()) {
    uint32_t length = 0;
    if (rest.size() < sizeof length) bad(of + "'s binary data ends within the length of a text");
    std::memcpy(&length, rest.data(), sizeof length);
    rest.remove_prefix(sizeof length);
    if (length > rest.size()) bad(of + "'s binary data ends within a text");
    if (tensor.values.size() == wanted)
      bad(of + " has more than the " + std::to_string(wanted) + " values that its shape wants");
    tensor.values.emplace_back(std::string(rest.substr(0, length)));
    rest.remove_prefix(length);
  }
}

void fill_binary(Tensor& tensor, size_t wanted, const std::string& of) {
  if (tensor.datatype == "BYTES") return fill_texts(tensor, wanted, of);
  const auto& type = *std::find_if(std::begin(kBinaryTypes), std::end(kBinaryTypes),
                                   [&](const BinaryType& each) { return each.datatype == tensor.datatype; });
  if (tensor.binary.size() != wanted * type.bytes)
    bad(of + " has " + std::to_string(tensor.binary.size()) + " bytes, its shape wants " +
        std::to_string(wanted * type.bytes));
  tensor.values.reserve(wanted);
  for (size_t i = 0; i < wanted; ++i) {
    const double value = type.read(tensor.binary.data() + i * type.bytes);
    if (tensor.datatype == "BOOL" && value > 1)
      bad(of + " has datatype BOOL and a value that is neither true nor false");
    if (!std::isfinite(value)) bad(of + " has a value that is no finite number");
    tensor.values.emplace_back(value);
  }
}

// Its shape has been checked: a Value is far larger than the two bytes of text that ask for one.
void fill(Tensor& tensor) {
  const std::string of = "input " + in_quotes(tensor.name);
  const size_t wanted = tensor.shape[0] * (tensor.shape.size() == 2 ? tensor.shape[1] : 1);
  if (tensor.data)
    flatten(*tensor.data, wanted, of, tensor);
  else
    fill_binary(tensor, wanted, of);
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

std::vector<std::vector<Value>> rows_of(const Json& document, std::string_view binary, const Model& model) {
  const auto inputs = document.find("inputs");
  if (inputs == document.end() || !inputs->is_array() || inputs->empty()) bad("the request has no inputs");
  if (inputs->size() > model.features().size())
    bad("the request has more inputs than the model has features");
  std::vector<Tensor> tensors;
  for (const Json& input : *inputs) tensors.push_back(tensor_of(input, binary));
  if (!binary.empty())
    bad("the request ends with " + std::to_string(binary.size()) + " bytes that no input's binary_data_size names");
  const auto& features = model.features();
  const bool named = std::find(features.begin(), features.end(), tensors.front().name) != features.end();
  if (tensors.size() == 1 && !named && tensors.front().name == "features")
    return rows_of_matrix(std::move(tensors.front()), features.size());
  return rows_of_columns(std::move(tensors), features);
}

// parameters[name] of the request or of an output.
bool flag_of(const Json& object, const char* name, bool otherwise) {
  const auto parameters = object.find("parameters");
  if (parameters == object.end()) return otherwise;
  if (!parameters->is_object()) bad("parameters must be an object");
  const auto flag = parameters->find(name);
  if (flag == parameters->end()) return otherwise;
  if (!flag->is_boolean()) bad(std::string(name) + " must be true or false");
  return flag->get<bool>();
}

std::vector<WantedOutput> outputs_of(const Json& document, bool binary) {
  std::vector<WantedOutput> names;
  const auto outputs = document.find("outputs");
  if (outputs == document.end()) return names;
  if (!outputs->is_array() || outputs->size() > 16) bad("outputs must be a list of at most 16");
  for (const Json& output : *outputs) {
    if (!output.is_object()) bad("an output must be an object");
    names.push_back({text_field(output, "name", "an output"), flag_of(output, "binary_data", binary)});
  }
  return names;
}

// Reads through JSON and throws where there is too much of it.
class Bounds : public nlohmann::json_sax<Json> {
 public:
  explicit Bounds(size_t max_values) : left_(max_values), max_(max_values) {}
  bool null() override { return one(); }
  bool boolean(bool) override { return one(); }
  bool number_integer(int64_t) override { return one(); }
  bool number_unsigned(uint64_t) override { return one(); }
  bool number_float(double, const std::string&) override { return one(); }
  bool string(std::string&) override { return one(); }
  bool binary(Json::binary_t&) override { return one(); }
  bool key(std::string&) override { return one(); }
  bool start_object(size_t) override { return begin(); }
  bool start_array(size_t) override { return begin(); }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }
  bool parse_error(size_t byte, const std::string&, const Json::exception& error) override {
    if (dynamic_cast<const Json::out_of_range*>(&error)) bad("the request has a number that is out of range");
    bad("the request is not JSON: it goes wrong at byte " + std::to_string(byte));
  }

 private:
  bool one() {
    if (left_-- == 0) bad("the request has more than " + std::to_string(max_) + " values, more than it can use");
    return true;
  }
  bool begin() {
    if (++depth_ > kMaxRequestDepth) bad("the request is nested too deep");
    return one();
  }
  bool end() {
    --depth_;
    return true;
  }
  size_t left_;
  const size_t max_;
  int depth_ = 0;
};

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

template <class T>
void append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_label(std::string& bytes, const Value& label, LabelType type) {
  if (const auto* text = std::get_if<std::string>(&label)) {
    append(bytes, static_cast<uint32_t>(text->size()));
    bytes += *text;
  } else if (type == LabelType::Int64) {
    append(bytes, static_cast<int64_t>(std::get<double>(label)));
  } else {
    append(bytes, std::get<double>(label));
  }
}

// One output of all predictions: their label, or their score.
void render_output(const WantedOutput& wanted, const std::vector<Prediction>& predictions, const Model& model,
                   Rendered& into) {
  const bool is_score = !model.score_name().empty() && wanted.name == model.score_name();
  if (!is_score && wanted.name != "predict") bad("the model has no output " + in_quotes(wanted.name));
  const LabelType type = is_score ? LabelType::Fp64 : model.label_type();
  Json output = {{"name", wanted.name}, {"shape", {predictions.size()}}, {"datatype", datatype_of(type)}};
  Json data = Json::array();
  const size_t before = into.binary.size();
  for (const Prediction& prediction : predictions) {
    const Value value = is_score ? Value(prediction.score.value()) : prediction.label;
    if (wanted.binary)
      append_label(into.binary, value, type);
    else
      data.push_back(label_json(value, type));
  }
  if (wanted.binary)
    output["parameters"] = {{"binary_data_size", into.binary.size() - before}};
  else
    output["data"] = std::move(data);
  into.has_binary = into.has_binary || wanted.binary;
  into.document["outputs"].push_back(std::move(output));
}

}  // namespace

Json parse_object(std::string_view body, size_t max_values) {
  // The parser would take it for the end and pass over what follows.
  if (const size_t zero = body.find('\0'); zero != std::string_view::npos)
    bad("the request is not JSON: it has a zero byte at " + std::to_string(zero + 1));
  // Before anything is built of it. The parser's own callback looks at all elements of a list when one of them ends.
  Bounds bounds(max_values);
  Json::sax_parse(body, &bounds);
  Json document = Json::parse(body);
  if (!document.is_object()) bad("the request must be a JSON object");
  return document;
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

Inference parse_inference(std::string_view body, std::string_view binary, const Model& model) {
  // Each value of a row may be in a list of its own, so may be each row, and each row may have a label.
  const size_t features = model.features().size();
  const Json document = parse_object(body, kMaxRows * (2 * features + 2) + 64 * features + kMaxOther);
  Inference inference;
  if (document.contains("id")) inference.id = text_field(document, "id", "the request");
  if (inference.id.size() > kMaxId)
    bad("the request's id is longer than " + std::to_string(kMaxId) + " bytes");
  inference.rows = rows_of(document, binary, model);
  inference.binary_outputs = flag_of(document, "binary_data_output", false);
  inference.outputs = outputs_of(document, inference.binary_outputs);
  const auto parameters = document.find("parameters");
  if (parameters == document.end() || !parameters->contains("labels")) return inference;
  if (!model.classifies()) bad("labels cannot be compared: this model does not classify");
  inference.labels = classes_of((*parameters)["labels"], "parameters.labels");
  if (inference.labels->size() != inference.rows.size()) bad("parameters.labels must be one per row");
  return inference;
}

Rendered render_inference(const Inference& inference, const std::vector<Prediction>& predictions,
                          const Model& model, const std::string& model_name,
                          const std::string& model_version) {
  Rendered rendered{{{"model_name", model_name}, {"model_version", model_version}, {"outputs", Json::array()}}, {}, false};
  if (!inference.id.empty()) rendered.document["id"] = inference.id;
  std::vector<WantedOutput> wanted = inference.outputs;
  if (wanted.empty()) {
    wanted.push_back({"predict", inference.binary_outputs});
    if (!model.score_name().empty()) wanted.push_back({model.score_name(), inference.binary_outputs});
  }
  for (const WantedOutput& output : wanted) render_output(output, predictions, model, rendered);
  return rendered;
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
