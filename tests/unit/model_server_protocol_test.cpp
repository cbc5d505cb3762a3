// The Open Inference Protocol V2: well-formed, odd and hostile requests.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

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
  Response get(const std::string& target) { return app.handle({"GET", target, "", Door::Admin, {}}); }
  Response post(const std::string& target, const std::string& body) {
    return app.handle({"POST", target, body, Door::Admin, {}});
  }
  Response from_caller(const std::string& method, const std::string& target, const std::string& body) {
    return app.handle({method, target, body, Door::Callers, {}});
  }
  // Inference with binary tensors behind the JSON.
  Response binary(const std::string& json, const std::string& bytes) {
    return app.handle({"POST", "/v2/models/fraud/infer", json + bytes, Door::Callers, std::to_string(json.size())});
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

TEST_CASE("callers are told neither metrics nor what was right: that is for the admin port", "[model_server]") {
  Fixture f;
  const std::string feedback = R"({"predictions":[1],"labels":[1]})";
  CHECK_THAT(error(f.from_caller("POST", "/v2/models/fraud/feedback", feedback), 403), Contains("only on the admin port"));
  CHECK_THAT(error(f.from_caller("POST", "/v2/models/fraud/versions/fraud-v2/feedback", feedback), 403),
             Contains("feedback is taken only on the admin port"));
  CHECK_THAT(error(f.from_caller("GET", "/metrics", ""), 403), Contains("metrics are told only on the admin port"));
  const std::string labelled =
      R"({"inputs":[{"name":"features","shape":[2],"datatype":"FP64","data":[2,1]}],"parameters":{"labels":[1]}})";
  CHECK_THAT(error(f.from_caller("POST", "/v2/models/fraud/infer", labelled), 403),
             Contains("labels in parameters are taken only on the admin port"));
  CHECK_THAT(f.metrics(), !Contains("model_accuracy{"));
  CHECK(f.infer(labelled).status == 200);
  CHECK_THAT(f.metrics(), Contains("model_accuracy{"));
  for (const char* path : {"/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/fraud", "/v2/models/fraud/ready"})
    CHECK(f.from_caller("GET", path, "").status == 200);
}

template <class... T>
std::string bytes(T... values) {
  std::string all;
  (all.append(reinterpret_cast<const char*>(&values), sizeof values), ...);
  return all;
}

// A request with one binary input named features.
std::string binary_features(const std::string& shape, const std::string& datatype, size_t size, const std::string& more = "") {
  return R"({"inputs":[{"name":"features","shape":)" + shape + R"(,"datatype":")" + datatype +
         R"(","parameters":{"binary_data_size":)" + std::to_string(size) + "}}]" + more + "}";
}

TEST_CASE("binary tensors of every datatype are taken", "[model_server]") {
  Fixture f;
  const auto check = [&](const char* datatype, const std::string& values) {
    INFO(datatype);
    CHECK(data(f.binary(binary_features("[2,2]", datatype, values.size()), values)) == Json{1, 0});
  };
  check("FP64", bytes(2.0, 1.0, 1.0, 2.0));
  check("FP32", bytes(2.0f, 1.0f, 1.0f, 2.0f));
  check("INT64", bytes(int64_t{2}, int64_t{-1}, int64_t{-1}, int64_t{2}));
  check("INT32", bytes(int32_t{2}, int32_t{-1}, int32_t{-1}, int32_t{2}));
  check("INT16", bytes(int16_t{2}, int16_t{-1}, int16_t{-1}, int16_t{2}));
  check("INT8", bytes(int8_t{2}, int8_t{-1}, int8_t{-1}, int8_t{2}));
  check("UINT64", bytes(uint64_t{2}, uint64_t{1}, uint64_t{1}, uint64_t{2}));
  check("UINT32", bytes(uint32_t{2}, uint32_t{1}, uint32_t{1}, uint32_t{2}));
  check("UINT16", bytes(uint16_t{2}, uint16_t{1}, uint16_t{1}, uint16_t{2}));
  check("UINT8", bytes(uint8_t{2}, uint8_t{1}, uint8_t{1}, uint8_t{2}));
  check("BOOL", bytes(uint8_t{1}, uint8_t{0}, uint8_t{0}, uint8_t{1}));
}

TEST_CASE("binary texts, and inputs of both forms in one request", "[model_server]") {
  Fixture f(kMixed);
  const std::string countries = bytes(uint32_t{2}) + "XX" + bytes(uint32_t{0}) + bytes(uint32_t{2}) + "DE";
  const std::string amounts = bytes(11.0, 11.0, 11.0);
  const auto country = R"({"name":"country","shape":[3],"datatype":"BYTES","parameters":{"binary_data_size":)" +
                       std::to_string(countries.size()) + "}}";
  CHECK(data(f.binary(R"({"inputs":[)" + country + R"(,{"name":"amount","shape":[3],"datatype":"FP64","data":[11,11,11]}]})",
                      countries)) == Json{"block", "pass", "pass"});
  // The bytes come in the order of the inputs.
  CHECK(data(f.binary(R"({"inputs":[{"name":"amount","shape":[3],"datatype":"FP64","parameters":{"binary_data_size":24}},)" +
                          country + "]}",
                      amounts + countries)) == Json{"block", "pass", "pass"});
}

// What tritonclient asks for unless told otherwise: binary_data of each output, or binary_data_output of all.
TEST_CASE("outputs come as bytes where that is asked for", "[model_server]") {
  Fixture f;
  const auto split = [](const Response& response) {
    INFO(response.body);
    REQUIRE(response.status == 200);
    REQUIRE(response.json_length);
    CHECK(response.content_type == "application/octet-stream");
    return std::pair(Json::parse(response.body.substr(0, *response.json_length)), response.body.substr(*response.json_length));
  };
  const std::string values = bytes(2.0, 1.0, 1.0, 1.0);
  {
    const auto [document, tail] = split(
        f.binary(binary_features("[2,2]", "FP64", values.size(), R"(,"parameters":{"binary_data_output":true})"), values));
    CHECK(tail.substr(0, 16) == bytes(int64_t{1}, int64_t{1}));
    double probability = 0;
    std::memcpy(&probability, tail.data() + 24, 8);
    CHECK(probability == 0.5);
    for (const Json& output : document["outputs"]) {
      CHECK(output["parameters"]["binary_data_size"] == 16);
      CHECK_FALSE(output.contains("data"));
    }
  }
  const auto [document, tail] = split(f.binary(
      binary_features("[2,2]", "FP64", values.size(),
                      R"(,"outputs":[{"name":"probability","parameters":{"binary_data":true}},{"name":"predict"}])"),
      values));
  CHECK(tail.size() == 16);
  CHECK(document["outputs"][1]["data"] == Json{1, 1});
  // An output's own word goes before the request's, and a JSON request may ask for bytes too.
  const auto plain = f.infer(
      R"({"inputs":[{"name":"features","shape":[2],"datatype":"FP64","data":[2,1]}],"parameters":{"binary_data_output":true},
          "outputs":[{"name":"predict","parameters":{"binary_data":false}}]})");
  CHECK(data(plain) == Json{1});
  CHECK_FALSE(plain.json_length);
  Fixture texts(kMixed);
  const auto [ignored, label] = split(texts.infer(
      R"({"inputs":[{"name":"amount","shape":[1],"datatype":"FP64","data":[1]},{"name":"country","shape":[1],"datatype":"BYTES","data":["X"]}],
          "parameters":{"binary_data_output":true}})"));
  CHECK(label == bytes(uint32_t{4}) + "pass");
}

TEST_CASE("binary data that does not fit its request says why", "[model_server]") {
  Fixture f;
  const std::string values = bytes(2.0, 1.0);
  const auto ask = [&](const std::string& json, const std::string& tail) { return error(f.binary(json, tail)); };
  CHECK_THAT(ask(binary_features("[1,2]", "FP64", 16), ""), Contains("0 bytes are left behind the JSON"));
  CHECK_THAT(ask(binary_features("[1,2]", "FP64", 17), values), Contains("binary_data_size is 17, and 16 bytes are left"));
  CHECK_THAT(ask(binary_features("[1,2]", "FP64", 8), values), Contains("8 bytes that no input's binary_data_size names"));
  CHECK_THAT(ask(binary_features("[1,2]", "FP32", 16), values), Contains("has 16 bytes, its shape wants 8"));
  CHECK_THAT(ask(binary_features("[1000000,2]", "FP64", 16), values), Contains("at most 10000 rows"));
  CHECK_THAT(ask(binary_features("[1,2]", "FP16", 16), values), Contains("datatype that is not known"));
  for (const char* size : {"-1", "1.5", R"("16")", "null", "18446744073709551616"})
    CHECK_THAT(ask(R"({"inputs":[{"name":"features","shape":[1,2],"datatype":"FP64","parameters":{"binary_data_size":)" +
                       std::string(size) + "}}]}",
                   values),
               Contains("binary_data_size must be a whole number"));
  CHECK_THAT(ask(R"({"inputs":[{"name":"features","shape":[1,2],"datatype":"FP64","data":[1,2],"parameters":{"binary_data_size":16}}]})",
                 values),
             Contains("both data and binary_data_size"));
  CHECK_THAT(ask(binary_features("[1,2]", "FP64", 16), bytes(1.0, std::nan(""))), Contains("no finite number"));
  CHECK_THAT(ask(binary_features("[1,2]", "BOOL", 2), bytes(uint8_t{1}, uint8_t{2})), Contains("neither true nor false"));
  Fixture texts(kMixed);
  const auto text = [&](const std::string& tail) {
    return error(texts.binary(
        R"({"inputs":[{"name":"country","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":)" +
            std::to_string(tail.size()) + R"(}},{"name":"amount","shape":[1],"datatype":"FP64","data":[1]}]})",
        tail));
  };
  CHECK_THAT(text("ab"), Contains("ends within the length of a text"));
  CHECK_THAT(text(bytes(uint32_t{0xffffffff}) + "ab"), Contains("ends within a text"));
  CHECK_THAT(text(""), Contains("has 0 values, its shape wants 1"));
  CHECK_THAT(text(bytes(uint32_t{0}, uint32_t{0})), Contains("more than the 1 values"));
  for (const char* length : {"", "-1", "1e3", "0x10", "99999999999999999999", "100000", " 5"})
    CHECK_THAT(error(f.app.handle({"POST", "/v2/models/fraud/infer", "{}", Door::Callers, length})),
               Contains("Inference-Header-Content-Length must be a whole number"));
  CHECK_THAT(error(f.app.handle({"POST", "/v2/models/fraud/infer", "{}", Door::Callers, "0"})), Contains("needs JSON"));
  CHECK_THAT(error(f.infer(R"({"inputs":[{"name":"features","shape":[2],"datatype":"FP64","data":[2,1]}],"parameters":{"binary_data_output":1}})")),
             Contains("binary_data_output must be true or false"));
}

// 1,000 requests of 10,000 rows each were 320 MB of a pod that may have 256.
TEST_CASE("callers can make a server remember no more than a fixed number of bytes", "[model_server]") {
  constexpr size_t kBound = 1 << 20;
  Feedback feedback(1'000'000, kBound);
  size_t most = 0;
  for (int i = 0; i < 2'000; ++i) {
    feedback.remember(std::string(200, 'i') + std::to_string(i), std::vector<std::string>(2'000, std::string(i % 2 * 30, 'x')));
    if (i % 3 == 0) feedback.take(std::string(200, 'i') + std::to_string(i));
    most = std::max(most, feedback.remembered_bytes());
  }
  CHECK(most <= kBound);
  CHECK(most > kBound / 2);
  const std::string last = std::string(200, 'i') + "1999";
  CHECK(feedback.take(last));
  feedback.remember("huge", std::vector<std::string>(10'000, "1"));
  CHECK_FALSE(feedback.take("huge"));
  // Ids alone, each taken back at once, are remembered too.
  for (int i = 0; i < 20'000; ++i) {
    feedback.remember(std::to_string(i), {"1"});
    feedback.take(std::to_string(i));
  }
  CHECK(feedback.remembered_bytes() <= kBound);
  // And the same id again and again.
  for (int i = 0; i < 20'000; ++i) feedback.remember("same", {"1"});
  CHECK(feedback.remembered_bytes() <= kBound);
  CHECK(feedback.take("same"));
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
