// What Jobs report, as they report it when they are right, wrong, cut or lying.
#include <catch2/catch.hpp>

#include "operator/api/run_result.h"

namespace mo::api {
namespace {

using Catch::Matchers::Contains;

const std::string kDigest = "sha256:" + std::string(64, 'a');

nlohmann::json good() {
  return {{"apiVersion", "modelops.dev/v1alpha1"},
          {"kind", "RunResult"},
          {"metrics", {{"accuracy", "0.947"}, {"f1", "9.3e-01"}}},
          {"artifact",
           {{"uri", "pvc://models/fraud/42.joblib"},
            {"digest", kDigest},
            {"format", {{"name", "sklearn"}, {"version", "1"}}}}},
          {"lineage",
           {{"data", {{{"name", "payments"}, {"digest", kDigest}, {"rows", 120000}}}},
            {"parameters", {{"C", "0.1"}}},
            {"seed", "7"}}}};
}

std::string message(std::string_view text) {
  const auto result = parse_run_result(text);
  return result ? "(accepted)" : result.error().message;
}

// `change` merged into a good result.
std::string changed(const char* patch) {
  auto document = good();
  document.merge_patch(nlohmann::json::parse(patch));
  return message(document.dump());
}

TEST_CASE("a RunResult as the API describes it is read whole", "[run_result]") {
  const auto result = parse_run_result("\n" + good().dump(2) + "\n");
  REQUIRE(result);
  CHECK(result->metrics == std::map<std::string, std::string>{{"accuracy", "0.947"}, {"f1", "9.3e-01"}});
  CHECK(result->artifact == Artifact{"pvc://models/fraud/42.joblib", kDigest, {"sklearn", "1"}});
  CHECK(result->lineage == good()["lineage"]);
}

TEST_CASE("metrics and lineage may be left out of a RunResult", "[run_result]") {
  auto document = good();
  document.erase("metrics");
  document.erase("lineage");
  const auto result = parse_run_result(document.dump());
  REQUIRE(result);
  CHECK(result->metrics.empty());
  CHECK(result->lineage == nlohmann::json::object());
}

TEST_CASE("a missing, cut or foreign text is refused with its beginning", "[run_result]") {
  CHECK(message("") == "the RunResult is missing: the Job reported an empty text");
  CHECK(message(" \n ") == "the RunResult is missing: the Job reported an empty text");
  const std::string text = good().dump();
  CHECK_THAT(message(text.substr(0, 60)),
             Contains("is cut: its JSON ends after 60 bytes: {\"apiVersion\"") ||
                 Contains("is cut: its JSON ends after 60 bytes: {\"artifact\""));
  CHECK_THAT(message("Traceback (most recent call last):\n  File \"train.py\""),
             Contains("is not JSON (byte 1): Traceback (most recent call last): File \"train.py\""));
  CHECK(message("[1, 2]") == "the RunResult must be a JSON object, got [1,2]");
  CHECK(message("null") == "the RunResult must be a JSON object, got null");
  CHECK_THAT(message(text + "}"), Contains("is not JSON"));
  CHECK_THAT(message(R"({"metrics": {"a": NaN}})"),
             Contains("holds NaN (byte 19), which is not a JSON number: leave out that metric"));
  CHECK_THAT(message(R"({"metrics": {"a": -Infinity}})"), Contains("holds Infinity (byte 20)"));
  CHECK_THAT(message(R"({"a": 1e999})"), Contains("cannot be parsed as JSON"));
}

TEST_CASE("every prefix of a RunResult is refused without a crash", "[run_result]") {
  const std::string text = good().dump();
  for (size_t n = 0; n < text.size(); ++n) CHECK_FALSE(parse_run_result(std::string_view(text).substr(0, n)));
}

TEST_CASE("an oversized RunResult is told from one that is wrong", "[run_result]") {
  auto document = good();
  document["lineage"]["parameters"]["notes"] = std::string(4000, 'x');
  const std::string text = document.dump();
  REQUIRE(text.size() > kTerminationMessageLimit);
  CHECK(message(text) == "(accepted)");  // from a ConfigMap
  // The kubelet keeps the end of the message.
  CHECK_THAT(message(std::string_view(text).substr(text.size() - kTerminationMessageLimit)),
             Contains("oversized: Kubernetes keeps only the last 4096 bytes"));
  CHECK_THAT(message(std::string(kRunResultLimit + 1, 'x')), Contains("oversized: 1048577 bytes"));
}

TEST_CASE("nesting is bounded", "[run_result]") {
  CHECK_THAT(message(std::string(100'000, '[')), Contains("nested too deep"));
  CHECK_THAT(message(std::string(10, '[')), Contains("is cut"));
}

// By the square of its length this held a worker for minutes.
TEST_CASE("the longest list is refused in time that its length asks for", "[run_result]") {
  std::string text = R"({"apiVersion": "modelops.dev/v1alpha1", "kind": "RunResult", "metrics": [{})";
  while (text.size() < kRunResultLimit - 10) text += ",{}";
  CHECK_THAT(message(text + "]}"), Contains("metrics"));
}

TEST_CASE("apiVersion and kind must be right", "[run_result]") {
  CHECK_THAT(changed(R"({"apiVersion": "v1"})"),
             Contains(R"(apiVersion must be "modelops.dev/v1alpha1", got "v1")"));
  CHECK_THAT(changed(R"({"kind": "Result"})"), Contains(R"(kind must be "RunResult", got "Result")"));
  CHECK_THAT(changed(R"({"kind": null})"), Contains("kind is missing"));
}

// The first run of a new user, whose script called json.dumps, was once rejected after six hours of training.
TEST_CASE("metrics that are JSON numbers are taken as they are written", "[run_result]") {
  const std::string text = R"({"kind": "RunResult", "apiVersion": "modelops.dev/v1alpha1", "metrics":
    {"f1": 0.93, "loss": 1e-3, "rows": 120000, "third": 0.3333333333333333, "zero": 0.10, "p\u0031": -2.5E-7, "many": 123456789012345678901}})";
  const auto result = parse_run_result(text, true);
  REQUIRE(result);
  CHECK(result->metrics == std::map<std::string, std::string>{{"f1", "0.93"},
                                                              {"loss", "1e-3"},
                                                              {"rows", "120000"},
                                                              {"third", "0.3333333333333333"},
                                                              {"zero", "0.10"},
                                                              {"p1", "-2.5E-7"},
                                                              {"many", "123456789012345678901"}});
  const auto twice = parse_run_result(
      R"({"kind": "RunResult", "apiVersion": "modelops.dev/v1alpha1", "metrics": {"a": 1}, "metrics": {"b": 2, "b": 3.0}})", true);
  REQUIRE(twice);
  CHECK(twice->metrics == std::map<std::string, std::string>{{"b", "3.0"}});
}

TEST_CASE("what is no decimal is no metric", "[run_result]") {
  for (const char* bad : {R"("NaN")", R"("")", R"("0,9")", "true", "[]", R"("Infinity")"})
    CHECK_THAT(changed((R"({"metrics": {"accuracy": )" + std::string(bad) + "}}").c_str()),
               Contains("metrics.accuracy must be a decimal such as 0.947 or \"0.947\", got "));
  CHECK_THAT(changed(R"({"metrics": [1]})"), Contains("metrics must be an object"));
  CHECK_THAT(changed(R"({"metrics": {"": "1"}})"), Contains("name that is empty"));
}

TEST_CASE("the artifact is checked field by field", "[run_result]") {
  CHECK_THAT(changed(R"({"artifact": null})"), Contains("artifact is missing"));
  CHECK_THAT(changed(R"({"artifact": {"uri": null}})"), Contains("artifact.uri is missing"));
  CHECK_THAT(changed(R"({"artifact": {"digest": null}})"), Contains("artifact.digest is missing"));
  CHECK_THAT(changed(R"({"artifact": {"format": null}})"), Contains("artifact.format is missing"));
  CHECK_THAT(changed(R"({"artifact": {"weight": 3}})"), Contains("artifact.weight is not a known field"));
  CHECK_THAT(changed(R"({"artifact": {"format": {"name": ""}}})"), Contains("artifact.format.name"));
  CHECK_THAT(changed(R"({"artifact": {"digest": "sha256:abc"}})"),
             Contains(R"(64 hexadecimal digits in lower case, got "sha256:abc")"));
  CHECK_THAT(changed(R"({"artifact": {"digest": "md5:abc"}})"), Contains("artifact.digest"));
  CHECK_THAT(changed(R"({"artifact": "x"})"), Contains("artifact must be an object"));
  CHECK_THAT(changed(R"({"artifact": {"size": "much"}})"), Contains("artifact.size must be a size such as"));
  CHECK_THAT(changed(R"({"artifact": {"unpack": "yes"}})"), Contains("artifact.unpack must be true or false"));
}

TEST_CASE("a run may make a folder", "[run_result]") {
  auto document = good();
  CHECK_FALSE(parse_run_result(document.dump())->artifact.unpack);
  document["artifact"]["unpack"] = true;
  document["artifact"]["size"] = "2Gi";
  const auto result = parse_run_result(document.dump());
  REQUIRE(result);
  CHECK(result->artifact.unpack);
  CHECK(result->artifact.size == "2Gi");
}

TEST_CASE("an artifact's URI is one that can be fetched", "[run_result]") {
  const auto with_uri = [](const std::string& uri) {
    return changed(nlohmann::json{{"artifact", {{"uri", uri}}}}.dump().c_str());
  };
  for (const char* fine : {"configmap://rules/model.json", "pvc://models/a/b.json", "http://x/y",
                           "https://store.example:8443/fraud/2.joblib?x=1"})
    CHECK(with_uri(fine) == "(accepted)");
  for (const char* bad :
       {"s3://bucket/x", "file:///etc/passwd", "model.json", "", "configmap://rules", "configmap://Rules/x",
        "configmap://../x", "configmap://a/..", "pvc://models", "pvc://models/", "pvc://models/../other/x",
        "pvc://models/a/", "http:///x", "https://a b/", "http://a/\x01"})
    CHECK_THAT(with_uri(bad), Contains("artifact.uri"));
}

TEST_CASE("lineage holds what the API names and nothing else", "[run_result]") {
  CHECK(
      changed(
          R"({"lineage": {"code": {"repository": "r", "revision": "9f"}, "environment": {"image": "t@sha256:1"}}})") ==
      "(accepted)");
  CHECK_THAT(changed(R"({"lineage": {"seed": 7}})"),
             Contains("lineage.seed must be a string such as \"7\", got 7"));
  CHECK_THAT(changed(R"({"lineage": {"parameters": {"C": 0.1}}})"),
             Contains("lineage.parameters.C must be a string such as \"0.1\", got 0.1"));
  CHECK_THAT(changed(R"({"lineage": {"data": [{"name": "x", "rows": -1}]}})"),
             Contains("lineage.data[0].rows"));
  CHECK_THAT(changed(R"({"lineage": {"data": [{"name": "x", "rows": 1.5}]}})"),
             Contains("lineage.data[0].rows"));
  CHECK_THAT(changed(R"({"lineage": {"data": [{"name": "x", "rows": 18446744073709551615}]}})"),
             Contains("lineage.data[0].rows"));
  CHECK_THAT(changed(R"({"lineage": {"data": [{"rows": 1}]}})"), Contains("lineage.data[0].name is missing"));
  CHECK_THAT(changed(R"({"lineage": {"data": {}}})"), Contains("lineage.data must be a list"));
  CHECK_THAT(changed(R"({"lineage": {"parent": "fraud-v1"}})"), Contains("lineage.parent is not a known field"));
  CHECK_THAT(changed(R"({"surprise": 1})"), Contains("the RunResult's surprise is not a known field"));
}

TEST_CASE("a termination message can name a ConfigMap", "[run_result]") {
  CHECK(result_reference(R"({"configMapKeyRef": {"name": "r1", "key": "out"}})") ==
        ConfigMapKey{"r1", "out"});
  CHECK(
      result_reference(
          R"( {"apiVersion": "modelops.dev/v1alpha1", "kind": "RunResult", "configMapKeyRef": {"name": "r1"}} )") ==
      ConfigMapKey{"r1", "result"});
  CHECK(result_reference("configmap://r1/out\n") == ConfigMapKey{"r1", "out"});
  CHECK(result_reference("configmap://r1") == ConfigMapKey{"r1", "result"});
  for (const char* none :
       {"", "hello", "configmap://", "configmap://../x", "configmap://a/b/c", R"({"configMapKeyRef": "r1"})",
        R"({"configMapKeyRef": {"name": "../secrets/x"}})", R"({"configMapKeyRef": {"name": 3}})", "{"})
    CHECK_FALSE(result_reference(none));
  CHECK_FALSE(result_reference(good().dump()));
}

TEST_CASE("an excerpt is short, on one line and valid UTF-8", "[run_result]") {
  CHECK(excerpt("a\n\t b") == "a b");
  CHECK(excerpt("a\x01\xff"
                "b") == "a??b");
  CHECK(excerpt(std::string(100, 'x')) == std::string(80, 'x') + "…");
  CHECK(excerpt(std::string(79, 'x') + "é") == std::string(79, 'x') + "…");
  CHECK(excerpt("é") == "é");
  CHECK(excerpt("\xc3") == "?");
  CHECK(excerpt("\xed\xa0\x80") == "???");
}

TEST_CASE("a zero byte ends no RunResult: what follows it would be passed over", "[api]") {
  const auto result = parse_run_result(std::string_view("{}\0 {}", 6));
  REQUIRE_FALSE(result);
  CHECK(result.error().message == "the RunResult is not JSON (byte 3): {}? {}");
}

}  // namespace
}  // namespace mo::api
