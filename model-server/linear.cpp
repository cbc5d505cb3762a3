// linear: intercept + weights · features, through a link, and over a threshold where there is one.
#include <cmath>

#include "model-server/reader.h"

namespace model_server {
namespace {

enum class Link { Identity, Logistic };

struct LinearParts {
  std::vector<double> weights;
  double intercept = 0;
  Link link = Link::Identity;
  std::optional<double> threshold;  // absent: a regression
  Value low = 0.0, high = 1.0;      // the labels below the threshold, and from it on
};

double logistic(double x) {
  // Two forms, so that exp never overflows.
  if (x >= 0) return 1 / (1 + std::exp(-x));
  const double e = std::exp(x);
  return e / (1 + e);
}

class Linear final : public Model {
 public:
  Linear(Shape shape, LinearParts parts) : Model(std::move(shape)), parts_(std::move(parts)) {}

  Prediction predict(std::span<const Value> row) const override {
    double sum = parts_.intercept;
    for (size_t i = 0; i < parts_.weights.size(); ++i) {
      const auto* number = std::get_if<double>(&row[i]);
      if (!number) throw BadInput("input \"" + features()[i] + "\" must be a number");
      sum += parts_.weights[i] * *number;
    }
    if (!std::isfinite(sum)) throw BadInput("the inputs are so large that the sum is not finite");
    const double score = parts_.link == Link::Logistic ? logistic(sum) : sum;
    if (!parts_.threshold) return {score, std::nullopt};
    return {score >= *parts_.threshold ? parts_.high : parts_.low, score};
  }

  static std::unique_ptr<Model> load(Reader& reader);

 private:
  const LinearParts parts_;
};

std::vector<double> read_weights(const Json& value, const std::vector<std::string>& features) {
  std::vector<double> weights;
  if (value.is_array()) {
    if (value.size() != features.size())
      throw BadModel("weights has " + std::to_string(value.size()) + " entries and features " +
                     std::to_string(features.size()));
    for (size_t i = 0; i < value.size(); ++i)
      weights.push_back(number_of(value[i], "weights[" + std::to_string(i) + "]"));
    return weights;
  }
  Reader reader(value, "weights");
  for (const std::string& feature : features) weights.push_back(reader.number(feature));
  reader.nothing_else();
  return weights;
}

Link read_link(Reader& reader) {
  if (!reader.find("link")) return Link::Identity;
  const std::string link = reader.text("link");
  if (link == "identity") return Link::Identity;
  if (link == "logistic") return Link::Logistic;
  throw BadModel("link must be identity or logistic, it is \"" + link + "\"");
}

void read_labels(Reader& reader, LinearParts& parts) {
  const Json* labels = reader.find("labels");
  if (!labels) return;
  if (!parts.threshold) throw BadModel("labels without a threshold mean nothing");
  if (!labels->is_array() || labels->size() != 2)
    throw BadModel("labels must be two, for below and from the threshold on, they are " + shown(*labels));
  parts.low = label_of((*labels)[0], "labels[0]");
  parts.high = label_of((*labels)[1], "labels[1]");
}

std::unique_ptr<Model> Linear::load(Reader& reader) {
  Shape shape;
  shape.kind = "linear";
  shape.features = names_of(reader.list("features"), "features");
  LinearParts parts;
  parts.weights = read_weights(reader.get("weights"), shape.features);
  parts.intercept = reader.maybe_number("intercept").value_or(0);
  parts.link = read_link(reader);
  parts.threshold = reader.maybe_number("threshold");
  if (!parts.threshold && parts.link == Link::Logistic) parts.threshold = 0.5;
  read_labels(reader, parts);
  reader.nothing_else();
  shape.classifies = parts.threshold.has_value();
  shape.label_type = shape.classifies ? common_type({parts.low, parts.high}, "labels") : LabelType::Fp64;
  if (shape.classifies) shape.score_name = parts.link == Link::Logistic ? "probability" : "score";
  return std::make_unique<Linear>(std::move(shape), std::move(parts));
}

}  // namespace

std::unique_ptr<Model> load_linear(Reader& reader) { return Linear::load(reader); }

}  // namespace model_server
