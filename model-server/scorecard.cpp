// scorecard: points per bin of each characteristic, summed on a base and held against a threshold.
#include <algorithm>
#include <cmath>

#include "model-server/reader.h"

namespace model_server {
namespace {

struct Bin {  // exactly one of below and in; with neither: everything else
  std::optional<double> below;
  std::vector<Value> in;
  double points = 0;

  bool takes(const Value& value) const {
    if (below) return std::get<double>(value) < *below;
    return in.empty() || std::find(in.begin(), in.end(), value) != in.end();
  }
};

struct Characteristic {
  std::vector<Bin> bins;
  bool of_text = false;
};

class Scorecard final : public Model {
 public:
  Scorecard(Shape shape, std::vector<Characteristic> characteristics, double base, double threshold,
            Value low, Value high)
      : Model(std::move(shape)),
        characteristics_(std::move(characteristics)),
        base_(base),
        threshold_(threshold),
        low_(std::move(low)),
        high_(std::move(high)) {}

  Prediction predict(std::span<const Value> row) const override {
    double score = base_;
    for (size_t i = 0; i < characteristics_.size(); ++i) {
      const Characteristic& characteristic = characteristics_[i];
      if (std::holds_alternative<std::string>(row[i]) != characteristic.of_text)
        throw BadInput("input \"" + features()[i] + "\" must be a " +
                       (characteristic.of_text ? "text" : "number"));
      // There is one: the last bin takes everything.
      score += std::find_if(characteristic.bins.begin(), characteristic.bins.end(), [&](const Bin& bin) {
                 return bin.takes(row[i]);
               })->points;
    }
    return {score >= threshold_ ? high_ : low_, score};
  }

  static std::unique_ptr<Model> load(Reader& reader);

 private:
  const std::vector<Characteristic> characteristics_;
  const double base_, threshold_;
  const Value low_, high_;
};

Bin read_bin(const Json& value, const std::string& path) {
  Reader reader(value, path);
  Bin bin;
  bin.points = reader.number("points");
  bin.below = reader.maybe_number("below");
  if (const Json* in = reader.find("in")) {
    if (bin.below) throw BadModel(path + " has both below and in");
    if (!in->is_array() || in->empty())
      throw BadModel(path + ".in must be a list that is not empty, it is " + shown(*in));
    for (const Json& entry : *in) bin.in.push_back(label_of(entry, path + ".in"));
  }
  reader.nothing_else();
  return bin;
}

// Bins are looked at in order, so a limit that does not rise would never be reached.
void check_bins(const std::vector<Bin>& bins, const std::string& path) {
  std::optional<double> limit;
  for (size_t i = 0; i < bins.size(); ++i) {
    const bool open = !bins[i].below && bins[i].in.empty();
    const std::string at = path + "[" + std::to_string(i) + "]";
    if (open != (i + 1 == bins.size()))
      throw BadModel(at +
                     (open ? " takes everything, so it must be the last"
                           : " is the last, so it must take everything that is left: neither below nor in"));
    if (!bins[i].below) continue;
    if (limit && *bins[i].below <= *limit) throw BadModel(at + ".below must be greater than the one before");
    limit = bins[i].below;
  }
}

Characteristic read_characteristic(Reader& reader) {
  Characteristic characteristic;
  const Json& bins = reader.list("bins");
  bool numbers = false;
  for (size_t i = 0; i < bins.size(); ++i) {
    characteristic.bins.push_back(read_bin(bins[i], reader.path_of("bins") + "[" + std::to_string(i) + "]"));
    const Bin& bin = characteristic.bins.back();
    numbers = numbers || bin.below;
    for (const Value& value : bin.in)
      (std::holds_alternative<std::string>(value) ? characteristic.of_text : numbers) = true;
  }
  if (numbers && characteristic.of_text) throw BadModel(reader.path_of("bins") + " mixes numbers and texts");
  check_bins(characteristic.bins, reader.path_of("bins"));
  reader.nothing_else();
  return characteristic;
}

std::unique_ptr<Model> Scorecard::load(Reader& reader) {
  Shape shape;
  shape.kind = "scorecard";
  shape.score_name = "score";
  std::vector<Characteristic> characteristics;
  Json names = Json::array();
  const Json& list = reader.list("characteristics");
  for (size_t i = 0; i < list.size(); ++i) {
    Reader entry(list[i], "characteristics[" + std::to_string(i) + "]");
    names.push_back(entry.text("feature"));
    characteristics.push_back(read_characteristic(entry));
    shape.is_text.push_back(characteristics.back().of_text);
  }
  shape.features = names_of(names, "characteristics' features");
  const double base = reader.maybe_number("base").value_or(0);
  const double threshold = reader.number("threshold");
  std::vector<Value> labels{0.0, 1.0};
  if (const Json* given = reader.find("labels")) {
    if (!given->is_array() || given->size() != 2)
      throw BadModel("labels must be two, for below and from the threshold on, they are " + shown(*given));
    labels = {label_of((*given)[0], "labels[0]"), label_of((*given)[1], "labels[1]")};
  }
  shape.label_type = common_type(labels, "labels");
  reader.nothing_else();
  return std::make_unique<Scorecard>(std::move(shape), std::move(characteristics), base, threshold, labels[0],
                                     labels[1]);
}

}  // namespace

std::unique_ptr<Model> load_scorecard(Reader& reader) { return Scorecard::load(reader); }

}  // namespace model_server
