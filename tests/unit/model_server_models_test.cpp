// The three kinds of model: what they predict, and what their authors get wrong.
#include <catch2/catch.hpp>

#include "model-server/model.h"

namespace model_server {
namespace {

using Catch::Matchers::Contains;

Prediction predict(const Model& model, std::vector<Value> row) { return model.predict(row); }
std::string label(const Model& model, std::vector<Value> row) { return class_text(model.predict(row).label); }
std::string complaint(const std::string& text) {
  try {
    load_model(text);
    return "(accepted)";
  } catch (const BadModel& e) {
    return e.what();
  }
}

const char* kLogistic =
    R"({"kind": "linear", "features": ["x", "y"], "weights": [1, -2], "intercept": 0.5, "link": "logistic"})";

TEST_CASE("a logistic model predicts a class and its probability", "[model_server]") {
  const auto model = load_model(kLogistic);
  CHECK(model->features() == std::vector<std::string>{"x", "y"});
  CHECK(model->score_name() == "probability");
  const auto positive = predict(*model, {1.5, 0.0});
  CHECK(class_text(positive.label) == "1");
  CHECK(*positive.score == Approx(0.8807970779));
  CHECK(label(*model, {0.0, 1.0}) == "0");
  CHECK(label(*model, {-0.5, 0.0}) == "1");  // exactly on the threshold
  // Far out nothing overflows.
  CHECK(*predict(*model, {1e6, 0.0}).score == 1);
  CHECK(*predict(*model, {-1e6, 0.0}).score == Approx(0));
  CHECK_THROWS_AS(predict(*model, {1e308, -1e308}), BadInput);
  CHECK_THROWS_WITH(predict(*model, {1.0, std::string("a")}), "input \"y\" must be a number");
}

TEST_CASE("a linear model is a regression until it has a threshold", "[model_server]") {
  const auto regression =
      load_model(R"({"kind": "linear", "version": "1", "features": ["x"], "weights": {"x": 2}})");
  CHECK_FALSE(regression->classifies());
  CHECK(regression->label_type() == LabelType::Fp64);
  CHECK(std::get<double>(predict(*regression, {1.25}).label) == 2.5);
  const auto classifier = load_model(
      R"({"kind": "linear", "features": ["x"], "weights": [2], "threshold": 3, "labels": ["no", "yes"]})");
  CHECK(classifier->label_type() == LabelType::Bytes);
  CHECK(label(*classifier, {1.0}) == "no");
  CHECK(label(*classifier, {2.0}) == "yes");
  CHECK(*predict(*classifier, {2.0}).score == 4);
}

const char* kScorecard =
    R"({"kind": "scorecard", "base": 500, "threshold": 600, "labels": ["refuse", "grant"], "characteristics": [
  {"feature": "age", "bins": [{"below": 25, "points": 10}, {"below": 40, "points": 50}, {"points": 80}]},
  {"feature": "home", "bins": [{"in": ["own", "family"], "points": 40}, {"points": 0}]}]})";

TEST_CASE("a scorecard adds the points of its bins", "[model_server]") {
  const auto model = load_model(kScorecard);
  CHECK(*predict(*model, {24.9, std::string("rent")}).score == 510);
  CHECK(*predict(*model, {25.0, std::string("own")}).score == 590);
  CHECK(label(*model, {25.0, std::string("own")}) == "refuse");
  CHECK(label(*model, {40.0, std::string("family")}) == "grant");
  CHECK_FALSE(model->is_text(0));
  CHECK(model->is_text(1));
  CHECK_THROWS_WITH(predict(*model, {std::string("x"), std::string("own")}),
                    "input \"age\" must be a number");
  CHECK_THROWS_WITH(predict(*model, {30.0, 1.0}), "input \"home\" must be a text");
}

const char* kRules = R"({"kind": "rules", "default": "pass", "rules": [
  {"name": "huge", "if": [{"feature": "amount", "op": ">", "value": 1000}, {"feature": "country", "op": "in", "value": ["XX", "YY"]}], "then": "block"},
  {"if": [{"feature": "amount", "op": ">=", "value": 500}], "any": [{"feature": "night", "op": "==", "value": 1}, {"feature": "country", "op": "!=", "value": "DE"}], "then": "review"}]})";

TEST_CASE("the first rule that holds decides", "[model_server]") {
  const auto model = load_model(kRules);
  REQUIRE(model->features() == std::vector<std::string>{"amount", "country", "night"});
  const auto decide = [&](double amount, const char* country, double night) {
    return label(*model, {amount, std::string(country), night});
  };
  CHECK(decide(1001, "XX", 0) == "block");
  CHECK(decide(1000, "XX", 0) == "review");
  CHECK(decide(500, "DE", 1) == "review");
  CHECK(decide(500, "DE", 0) == "pass");
  CHECK(decide(499, "XX", 1) == "pass");
  CHECK(model->score_name().empty());
  CHECK_THROWS_WITH(predict(*model, {1001.0, 2.0, 3.0}), "input \"country\" must be a text");
}

TEST_CASE("operators compare as they look", "[model_server]") {
  const auto fires = [](const std::string& op, double value) {
    return label(*load_model(R"({"kind":"rules","default":0,"rules":[{"if":[{"feature":"x","op":")" + op +
                             R"(","value":2}],"then":1}]})"),
                 {value}) == "1";
  };
  CHECK((fires("<", 1) && !fires("<", 2) && fires("<=", 2) && !fires("<=", 3)));
  CHECK((fires(">", 3) && !fires(">", 2) && fires(">=", 2) && !fires(">=", 1)));
  CHECK((fires("==", 2) && !fires("==", 1) && fires("!=", 1) && !fires("!=", 2)));
}

TEST_CASE("classes are told apart by one text", "[model_server]") {
  CHECK(class_text(1.0) == "1");
  CHECK(class_text(-0.0) == "0");
  CHECK(class_text(0.5) == "0.5");
  CHECK(class_text(std::string("1")) == "1");
  CHECK(class_text(1e300) == "1e+300");
}

TEST_CASE("a bad model is refused with one sentence that names the field", "[model_server]") {
  CHECK_THAT(complaint(""), Contains("cut or empty"));
  CHECK_THAT(complaint("hello"), Contains("not JSON"));
  CHECK_THAT(complaint(R"({"kind": )"), Contains("cut or empty: it ends after 9 bytes"));
  CHECK_THAT(complaint(std::string(100'000, '[')), Contains("nested too deep"));
  CHECK_THAT(complaint("[]"), Contains("must be an object"));
  CHECK_THAT(complaint("{}"), Contains("kind is missing"));
  CHECK_THAT(complaint(R"({"kind":"tree"})"), Contains("linear, scorecard or rules"));
  CHECK_THAT(complaint(R"({"kind":"rules","version":"2"})"), Contains("version must be \"1\""));
  const std::string linear = R"({"kind":"linear","features":["x","y"],"weights":)";
  CHECK(complaint(linear + "[1]}") == "weights has 1 entries and features 2");
  CHECK(complaint(linear + "[1,\"2\"]}") == "weights[1] must be a number, it is \"2\"");
  CHECK(complaint(linear + "[1,1e999]}") == "the model has a number that is out of range");
  CHECK(complaint(linear + R"({"x":1}})") == "weights.y is missing");
  CHECK(complaint(linear + R"({"x":1,"y":2,"z":3}})") == "weights.z is not a field that is known here");
  CHECK(complaint(linear + R"([1,2],"link":"probit"})") ==
        "link must be identity or logistic, it is \"probit\"");
  CHECK(complaint(linear + R"([1,2],"labels":["a","b"]})") == "labels without a threshold mean nothing");
  CHECK(complaint(linear + R"([1,2],"threshold":1,"labels":["a",2]})") ==
        "labels must be all numbers or all texts");
  CHECK(complaint(linear + R"([1,2],"treshold":1})") == "treshold is not a field that is known here");
  CHECK(complaint(R"({"kind":"linear","features":["x","x"],"weights":[1,2]})") == "features has \"x\" twice");
  CHECK(complaint(R"({"kind":"linear","features":[],"weights":[]})") ==
        "features must be a list that is not empty, it is []");
}

TEST_CASE("scorecards that could never reach a bin are refused", "[model_server]") {
  const auto bins = [](const std::string& list) {
    return complaint(R"({"kind":"scorecard","threshold":1,"characteristics":[{"feature":"x","bins":)" + list +
                     "}]}");
  };
  CHECK(bins(R"([{"points":1}])") == "(accepted)");
  CHECK_THAT(bins(R"([{"below":2,"points":1},{"below":2,"points":1},{"points":0}])"),
             Contains("bins[1].below must be greater"));
  CHECK_THAT(bins(R"([{"below":2,"points":1}])"), Contains("bins[0] is the last"));
  CHECK_THAT(bins(R"([{"points":1},{"points":2}])"), Contains("bins[0] takes everything"));
  CHECK_THAT(bins(R"([{"below":2,"in":[1],"points":1},{"points":2}])"), Contains("both below and in"));
  CHECK_THAT(bins(R"([{"below":2,"points":1},{"in":["a"],"points":1},{"points":2}])"),
             Contains("mixes numbers and texts"));
  CHECK_THAT(bins(R"([{"below":2}])"), Contains("bins[0].points is missing"));
  CHECK_THAT(bins("[]"), Contains("must be a list that is not empty"));
}

TEST_CASE("rules that cannot be are refused", "[model_server]") {
  const auto rule = [](const std::string& text) {
    return complaint(R"({"kind":"rules","default":0,"rules":[)" + text + "]}");
  };
  CHECK_THAT(rule(R"({"then":1})"), Contains("rules[0] has no conditions"));
  CHECK_THAT(rule(R"({"if":[{"feature":"x","op":"=","value":1}],"then":1})"), Contains("op must be one of"));
  CHECK_THAT(rule(R"({"if":[{"feature":"x","op":"in","value":1}],"then":1})"),
             Contains("value must be a list"));
  CHECK_THAT(rule(R"({"if":[{"feature":"x","op":"in","value":[1,"a"]}],"then":1})"),
             Contains("mixes numbers and texts"));
  CHECK_THAT(rule(R"({"if":[{"feature":"x","op":"<","value":null}],"then":1})"),
             Contains("must be a number or a text"));
  CHECK_THAT(rule(R"({"if":[{"feature":"x","op":"<","value":1}],"then":"a"})"),
             Contains("all numbers or all texts"));
  CHECK_THAT(rule(""), Contains("rules must be a list"));
  CHECK_THAT(
      complaint(
          R"({"kind":"rules","features":["y"],"default":0,"rules":[{"if":[{"feature":"x","op":"<","value":1}],"then":1}]})"),
      Contains("\"x\", which is not one of features"));
}

}  // namespace
}  // namespace model_server
