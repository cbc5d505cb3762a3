// Models that a person can read: rows of features in, predictions out.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace model_server {

// A feature's value, or a predicted label.
using Value = std::variant<double, std::string>;

// The text that tells classes apart: 1, 1.0 and true are one class "1".
std::string class_text(const Value& label);

struct Prediction {
  Value label;
  std::optional<double> score;  // the probability or the points behind the label, for models that have one
};

// The model's file says something that cannot be. The message is one sentence that names the field.
struct BadModel : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// The row cannot be judged: a text where a number is needed. The message names the feature.
struct BadInput : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class LabelType { Int64, Fp64, Bytes };

// Immutable, so thread-safe.
class Model {
 public:
  virtual ~Model() = default;
  // `row` holds one value per feature, in the order of features(). Throws BadInput.
  virtual Prediction predict(std::span<const Value> row) const = 0;

  const std::string& kind() const { return shape_.kind; }
  const std::vector<std::string>& features() const { return shape_.features; }
  LabelType label_type() const { return shape_.label_type; }
  // The name of Prediction::score as an output ("probability", "score"), or empty if there is none.
  const std::string& score_name() const { return shape_.score_name; }
  // False for a regression, whose labels are no classes to count or compare.
  bool classifies() const { return shape_.classifies; }
  // Whether the feature of that index is a text, for what it is compared with.
  bool is_text(size_t feature) const { return feature < shape_.is_text.size() && shape_.is_text[feature]; }

 protected:
  struct Shape {
    std::string kind;
    std::vector<std::string> features;
    LabelType label_type = LabelType::Int64;
    std::string score_name;
    bool classifies = true;
    std::vector<bool> is_text;  // per feature; empty: none is
  };
  explicit Model(Shape shape) : shape_(std::move(shape)) {}

 private:
  Shape shape_;
};

// From the JSON text of a linear, scorecard or rules model (README.md). Throws BadModel.
std::unique_ptr<Model> load_model(std::string_view text);

}  // namespace model_server
