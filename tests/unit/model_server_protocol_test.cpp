// The Open Inference Protocol V2: well-formed, odd and hostile requests.
#include <catch2/catch.hpp>

#include "model-server/app.h"

namespace model_server {
namespace {

using Catch::Matchers::Contains;

const char* kModel = R"({"kind": "linear", "features": ["x", "y"], "weights": [1, -1], "link": "logistic"})";
const char* kMixed = R"({"kind": "rules", "default": "pass", "rules": [
  {"if": [{"feature": "amount", "op": ">", "value": 10}, {"feature": "country", "op": "==", "value": "XX"}], "then": "block"}]})";

struct Fixture {
  App app;
  explicit Fixture(const char* model = kModel, size_t window = 1000)
      : app("fraud", "fraud-v2", load_model(model), window) {}
  Response get(const std::string& target) { return app.handle({"GET", target, ""}); }
  Response post(const std::string& target, const std::string& body) {
    return app.handle({"POST", target, body});
  }
  Response infer(const std::string& body) { return post("/v2/models/fraud/infer", body); }
  // Inference of one input named features.
  Response features(const std::string& shape, const std::string& datatype, const std::string& data) {
    return infer(R"({"inputs":[{"name":"features","shape":)" + shape + R"(,"datatype":")" + datatype +
                 R"(","data":)" + data + "}]}");
  }
  std::string metrics() { return get("/metrics").body; }
};
Json data(const Response& response, size_t output = 0) {
  INFO(response.body);
  REQUIRE(response.status == 200);
  return Json::parse(response.body)["outputs"][output]["data"];
}
std::string error(const Response& response, int status = 400) {
  CHECK(response.status == status);
  return Json::parse(response.body).value("error", "");
}

TEST_CASE("health and metadata", "[model_server]") {
  Fixture f;
  CHECK(f.get("/v2/health/live").status == 200);
  CHECK(f.get("/v2/health/ready").status == 200);
  CHECK(Json::parse(f.get("/v2").body)["name"] == "model-server");
  CHECK(f.get("/v2/models/fraud/ready").status == 200);
  CHECK(f.get("/v2/models/fraud/versions/fraud-v2/ready").status == 200);
  const Json metadata = Json::parse(f.get("/v2/models/fraud/").body);
  CHECK(metadata["versions"] == Json{"fraud-v2"});
  CHECK(metadata["inputs"] == Json::parse(R"([{"name":"features","datatype":"FP64","shape":[-1,2]}])"));
  CHECK(metadata["outputs"][1]["name"] == "probability");
  f.app.stop_being_ready();
  CHECK(f.get("/v2/health/ready").status == 503);
  CHECK(f.get("/v2/models/fraud/ready").status == 503);
  CHECK(f.get("/v2/health/live").status == 200);
}

TEST_CASE("a matrix, nested or flat, and a single row", "[model_server]") {
  Fixture f;
  CHECK(data(f.features("[2,2]", "FP64", "[[2,1],[1,2]]")) == Json{1, 0});
  CHECK(data(f.features("[2,2]", "FP32", "[2,1,1,2]")) == Json{1, 0});
  CHECK(data(f.features("[2]", "INT64", "[2,1]")) == Json{1});
  CHECK(data(f.features("[1,2]", "BOOL", "[true,0]")) == Json{1});
  CHECK(data(f.features("[1,2]", "FP64", "[0,0]"), 1) == Json{0.5});
}

TEST_CASE("one input per feature, in any order", "[model_server]") {
  Fixture f;
  const auto response =
      f.infer(R"({"id":"r1","inputs":[{"name":"y","shape":[2],"datatype":"INT32","data":[1,2]},
                                                       {"name":"x","shape":[2,1],"datatype":"FP64","data":[[2],[1.5]]}]})");
  CHECK(data(response) == Json{1, 0});
  const Json document = Json::parse(response.body);
  CHECK(document["model_name"] == "fraud");
  CHECK(document["model_version"] == "fraud-v2");
  CHECK(document["id"] == "r1");
  CHECK(document["outputs"][0]["shape"] == Json{2});
  CHECK(document["outputs"][0]["datatype"] == "INT64");
}

TEST_CASE("texts come as BYTES", "[model_server]") {
  Fixture f(kMixed);
  const auto ask = [&](const char* country) {
    return f.infer(
        R"({"inputs":[{"name":"amount","shape":[1],"datatype":"FP64","data":[11]},{"name":"country","shape":[1],"datatype":"BYTES","data":[)" +
        std::string(country) + "]}]}");
  };
  CHECK(data(ask("\"XX\"")) == Json{"block"});
  CHECK(data(ask("\"DE\"")) == Json{"pass"});
  CHECK(error(ask("3")) == "input \"country\" has datatype BYTES and a value that is no string");
  CHECK(
      Json::parse(f.get("/v2/models/fraud").body)["inputs"] ==
      Json::parse(
          R"([{"name":"amount","datatype":"FP64","shape":[-1]},{"name":"country","datatype":"BYTES","shape":[-1]}])"));
  CHECK(
      error(f.infer(
          R"({"inputs":[{"name":"amount","shape":[1],"datatype":"FP64","data":[11]},{"name":"country","shape":[1],"datatype":"FP64","data":[1]}]})")) ==
      "input \"country\" must be a text");
}

TEST_CASE("only the outputs that were asked for", "[model_server]") {
  Fixture f;
  const std::string request =
      R"({"inputs":[{"name":"features","shape":[2],"datatype":"FP64","data":[1,1]}],"outputs":[{"name":")";
  const Json outputs = Json::parse(f.infer(request + "probability\"}]}").body)["outputs"];
  REQUIRE(outputs.size() == 1);
  CHECK(outputs[0]["name"] == "probability");
  CHECK_THAT(error(f.infer(request + "logit\"}]}")), Contains("no output \"logit\""));
}

TEST_CASE("a request that cannot be answered says why", "[model_server]") {
  Fixture f;
  CHECK_THAT(error(f.infer("")), Contains("not JSON"));
  CHECK_THAT(error(f.infer("[]")), Contains("must be a JSON object"));
  CHECK_THAT(error(f.infer(std::string(100'000, '['))), Contains("nested too deep"));
  CHECK_THAT(error(f.infer("{}")), Contains("no inputs"));
  CHECK_THAT(error(f.infer(R"({"inputs":[]})")), Contains("no inputs"));
  CHECK_THAT(error(f.infer(R"({"inputs":[1]})")), Contains("must be an object"));
  CHECK_THAT(error(f.infer(R"({"id":7,"inputs":[1]})")), Contains("id must be a string"));
  CHECK_THAT(error(f.features("[2,2]", "FP64", "[1,2,3]")), Contains("has 3 values, its shape wants 4"));
  CHECK_THAT(error(f.features("[1,3]", "FP64", "[1,2,3]")), Contains("rows of 3 values, the model wants 2"));
  CHECK_THAT(error(f.features("[1,2]", "FP64", "[1,\"2\"]")), Contains("no number"));
  CHECK_THAT(error(f.features("[1,2]", "INT64", "[1,2.5]")), Contains("no whole number"));
  CHECK_THAT(error(f.features("[1,2]", "FP64", "[1,null]")), Contains("no number"));
  CHECK_THAT(error(f.features("[1,2]", "FP64", "[1,1e999]")), Contains("out of range"));
  CHECK_THAT(error(f.features("[1,2]", "FP16", "[1,2]")), Contains("datatype that is not known"));
  CHECK_THAT(error(f.features("[0,2]", "FP64", "[]")), Contains("greater than 0"));
  CHECK_THAT(error(f.features("[-1,2]", "FP64", "[1,2]")), Contains("greater than 0"));
  CHECK_THAT(error(f.features("[1,1,2]", "FP64", "[1,2]")), Contains("one or two sizes"));
  CHECK_THAT(error(f.features("[1000000,1000000]", "FP64", "[1,2]")),
             Contains("rows of 1000000 values, the model wants 2"));
  CHECK_THAT(error(f.features("[1,2]", "FP64", "[1,2,3]")),
             Contains("more than the 2 values that its shape wants"));
  CHECK_THAT(error(f.features("[1,2]", "FP64", "{}")), Contains("data must be a list"));
  CHECK_THAT(error(f.infer(R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP64","data":[1]}]})")),
             Contains("\"y\" is missing"));
  CHECK_THAT(error(f.infer(R"({"inputs":[{"name":"z","shape":[1],"datatype":"FP64","data":[1]}]})")),
             Contains("no input \"z\""));
  CHECK_THAT(
      error(f.infer(
          R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP64","data":[1]},{"name":"x","shape":[1],"datatype":"FP64","data":[1]}]})")),
      Contains("twice"));
  CHECK_THAT(
      error(f.infer(
          R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP64","data":[1]},{"name":"y","shape":[2],"datatype":"FP64","data":[1,2]}]})")),
      Contains("differ in their number of rows"));
}

TEST_CASE("too many rows are refused", "[model_server]") {
  Fixture f;
  Json values = Json::array();
  for (size_t i = 0; i < 2 * (kMaxRows + 1); ++i) values.push_back(1);
  CHECK_THAT(error(f.features("[10001,2]", "FP64", values.dump())), Contains("at most 10000 rows"));
}

// Two million zeros fit into the 4 MiB of a request: parsed and flattened before anything looked at the
// shape, two such requests took the memory of the whole pod.
TEST_CASE("a request takes no more memory than the rows that the model can use", "[model_server]") {
  Fixture f;
  const auto many = [](const char* value) {
    std::string list = std::string("[") + value;
    for (int i = 1; i < 500'000; ++i) list += std::string(",") + value;
    return list + "]";
  };
  for (const char* value : {"0", "[]", "{}", "\"\""}) {
    INFO(value);
    CHECK_THAT(error(f.features("[1,2]", "FP64", many(value))), Contains("more than it can use"));
    CHECK_THAT(error(f.infer(R"({"parameters":{"x":)" + many(value) + "}}")),
               Contains("more than it can use"));
    CHECK_THAT(error(f.post("/v2/models/fraud/feedback", R"({"labels":)" + many(value) + "}")),
               Contains("more than it can use"));
  }
  // What is too much for the shape is not read to its end, and a shape that the model does not take not at
  // all.
  CHECK_THAT(error(f.features("[1,2]", "FP64", "[1,2,3,\"x\"]")), Contains("more than the 2 values"));
  CHECK_THAT(error(f.features("[2,3]", "FP64", "[\"x\"]")), Contains("rows of 3 values, the model wants 2"));
  CHECK_THAT(
      error(f.infer(
          R"({"inputs":[{"name":"x","shape":[10001],"datatype":"FP64","data":["x"]},{"name":"y","shape":[1],"datatype":"FP64","data":[1]}]})")),
      Contains("at most 10000 rows"));
}

TEST_CASE("the largest request is answered, however its values are nested", "[model_server]") {
  Fixture f;
  Json column = Json::array(), rows = Json::array(), labels = Json::array();
  for (size_t i = 0; i < kMaxRows; ++i) {
    column.push_back(Json::array({1}));
    rows.push_back(Json::array({1, 1}));
    labels.push_back(1);
  }
  Json inputs = Json::array();
  for (const char* name : {"x", "y"})
    inputs.push_back({{"name", name}, {"shape", {kMaxRows, 1}}, {"datatype", "FP64"}, {"data", column}});
  const Json whole = {{"inputs", inputs}, {"parameters", {{"labels", labels}}}};
  CHECK(data(f.infer(whole.dump())).size() == kMaxRows);
  CHECK(data(f.features("[10000,2]", "FP64", rows.dump())).size() == kMaxRows);
  CHECK(
      f.post("/v2/models/fraud/feedback", Json{{"labels", labels}, {"predictions", labels}}.dump()).status ==
      200);
}

TEST_CASE("unknown paths, models and methods", "[model_server]") {
  Fixture f;
  for (const char* path :
       {"/", "", "/v1", "/v2/", "/v2/health", "/v2/models", "/v2/models/fraud/versions",
        "/v2/models/fraud/versions/fraud-v1", "/v2/models/fraud/explain", "/v2/models/fraud/infer/x",
        "/v2/models/other", "/metrics/x", "//", "/v2//models"}) {
    if (std::string(path) == "/v2/") continue;  // the same as /v2
    INFO(path);
    CHECK(f.get(path).status == 404);
  }
  CHECK_THAT(error(f.get("/v2/models/other"), 404), Contains("no model \"other\""));
  CHECK(error(f.get("/v2/models/fraud/infer"), 405) == "use POST here");
  CHECK(f.get("/v2/models/fraud/infer").allow == "POST");
  CHECK(f.post("/v2/health/live", "").allow == "GET");
  CHECK(f.post("/v2/models/fraud/versions/fraud-v2/infer", "{}").status == 400);
}

TEST_CASE("Prometheus is told of requests and predictions", "[model_server]") {
  Fixture f;
  f.features("[2,2]", "FP64", "[[2,1],[1,2]]");
  f.features("[1,2]", "FP64", "[[2,1]]");
  f.infer("x");
  const std::string text = f.metrics();
  CHECK_THAT(text, Contains(R"(model_requests_total{model="fraud",version="fraud-v2",code="200"} 2)"));
  CHECK_THAT(text, Contains(R"(model_requests_total{model="fraud",version="fraud-v2",code="400"} 1)"));
  CHECK_THAT(text, Contains(R"(model_predictions_total{model="fraud",version="fraud-v2",class="1"} 2)"));
  CHECK_THAT(text, Contains(R"(model_request_duration_seconds_count{model="fraud",version="fraud-v2"} 3)"));
  CHECK_THAT(text, !Contains("model_accuracy{"));  // nobody told anything yet
}

TEST_CASE("feedback becomes a measured accuracy", "[model_server]") {
  Fixture f;
  const std::string path = "/v2/models/fraud/feedback";
  SECTION("by predictions and labels of any spelling") {
    const auto response = f.post(path, R"({"predictions":[1,0,1,1],"labels":[true,0,"1",0]})");
    CHECK(
        Json::parse(response.body) ==
        Json::parse(
            R"({"model_name":"fraud","model_version":"fraud-v2","compared":4,"correct":3,"accuracy":0.75})"));
    CHECK_THAT(f.metrics(), Contains(R"(model_accuracy{model="fraud",version="fraud-v2"} 0.75)"));
    CHECK_THAT(f.metrics(), Contains(R"(model_feedback_total{model="fraud",version="fraud-v2"} 4)"));
    CHECK_THAT(f.metrics(), Contains(R"(model_correct_total{model="fraud",version="fraud-v2"} 3)"));
  }
  SECTION("by the id of a request, once") {
    f.infer(R"({"id":"r1","inputs":[{"name":"features","shape":[2,2],"datatype":"FP64","data":[2,1,1,2]}]})");
    CHECK(Json::parse(f.post(path, R"({"id":"r1","labels":[1,1]})").body)["accuracy"] == 0.5);
    CHECK_THAT(error(f.post(path, R"({"id":"r1","labels":[1,1]})"), 404), Contains("no request of that id"));
  }
  SECTION("with the request itself") {
    CHECK(
        f.infer(
             R"({"inputs":[{"name":"features","shape":[2,2],"datatype":"FP64","data":[2,1,1,2]}],"parameters":{"labels":[1,0]}})")
            .status == 200);
    CHECK_THAT(f.metrics(), Contains(R"(model_accuracy{model="fraud",version="fraud-v2"} 1)"));
    CHECK_THAT(
        error(f.infer(
            R"({"inputs":[{"name":"features","shape":[2],"datatype":"FP64","data":[2,1]}],"parameters":{"labels":[1,0]}})")),
        Contains("one per row"));
  }
}

TEST_CASE("feedback that cannot be compared says why", "[model_server]") {
  Fixture f;
  const std::string path = "/v2/models/fraud/feedback";
  CHECK_THAT(error(f.post(path, R"({"predictions":[1]})")), Contains("labels are missing"));
  CHECK_THAT(error(f.post(path, R"({"labels":[1]})")), Contains("either predictions or the id"));
  CHECK_THAT(error(f.post(path, R"({"labels":[1],"predictions":[1,2]})")),
             Contains("1 labels for 2 predictions"));
  CHECK_THAT(error(f.post(path, R"({"labels":[],"predictions":[]})")), Contains("0 labels"));
  CHECK_THAT(error(f.post(path, R"({"labels":[null],"predictions":[1]})")),
             Contains("numbers, strings, true or false"));
  CHECK_THAT(error(f.post(path, R"({"labels":[1],"id":1})")), Contains("id must be a string"));
  // Behind a Service the feedback may reach another version than the one that predicted.
  CHECK_THAT(error(f.post(path, R"({"labels":[1],"predictions":[1],"model_version":"fraud-v1"})"), 409),
             Contains("for another version"));
  Fixture regression(R"({"kind": "linear", "features": ["x"], "weights": [1]})");
  CHECK_THAT(error(regression.post(path, R"({"labels":[1],"predictions":[1]})")),
             Contains("does not classify"));
}

TEST_CASE("a zero byte ends neither a model nor a request: what follows it would be passed over",
          "[model_server]") {
  Fixture f;
  const Response response = f.infer(std::string("{}\0{", 4));
  CHECK(response.status == 400);
  CHECK_THAT(response.body, Contains("zero byte at 3"));
  CHECK_THROWS_AS(load_model(std::string(kModel) + '\0'), BadModel);
}

TEST_CASE("accuracy is over the last feedback, and memory is bounded", "[model_server]") {
  Feedback feedback(4);
  feedback.compare({"1", "1", "1", "1"}, {"0", "0", "0", "0"});
  CHECK(feedback.compare({"1", "1"}, {"1", "1"}).accuracy == 0.5);
  CHECK(feedback.compare({"1", "1"}, {"1", "1"}).accuracy == 1);
  for (int i = 0; i < 10; ++i) feedback.remember(std::to_string(i), {"1"});
  CHECK_FALSE(feedback.take("5"));
  CHECK(feedback.take("6"));
}

TEST_CASE("classes beyond a hundred are counted together", "[model_server]") {
  Telemetry telemetry("m", "v");
  for (int i = 0; i < 150; ++i) telemetry.prediction("c" + std::to_string(i));
  CHECK_THAT(telemetry.text(), Contains(R"(class="other"} 50)"));
}

}  // namespace
}  // namespace model_server
