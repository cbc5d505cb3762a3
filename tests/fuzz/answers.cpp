// What others report: Prometheus' answers, RunResults, Jobs' pods, ConfigMaps, the API server's errors.
// Input: a number that is the HTTP status, and the body after a line feed; every reader reads each body.
#include "operator/api/run_result.h"
#include "operator/evidence/job_results.h"
#include "operator/evidence/prometheus.h"
#include "operator/kube/client.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace mo;

void check_reading(int status, std::string_view body) {
  const Reading reading = evidence::reading_of(status, body);
  MUST_SHOW(reading.value.has_value() == reading.problem.empty(), reading.problem);
  MUST_SHOW(reading.problem.size() < 1000 && fuzz::is_utf8(reading.problem), reading.problem);
  if (!reading.value) return;
  MUST(status == 200);
  const auto document = fuzz::json_of(body);
  const auto& result = document.at("data").at("result");
  const auto& sample = document["data"]["resultType"] == "scalar" ? result : result.at(0).at("value");
  MUST(Decimal::parse(sample.at(1).get<std::string>()) == reading.value);
}

void check_run_result(std::string_view text) {
  const auto result = api::parse_run_result(text);
  if (!result) {
    MUST_SHOW(!result.error().message.empty() && fuzz::is_utf8(result.error().message),
              result.error().message);
    return;
  }
  const auto& artifact = result->artifact;
  nlohmann::json format = {{"name", artifact.format.name}};
  if (!artifact.format.version.empty()) format["version"] = artifact.format.version;
  const nlohmann::json again = {
      {"apiVersion", "modelops.dev/v1alpha1"},
      {"kind", "RunResult"},
      {"metrics", result->metrics},
      {"artifact", {{"uri", artifact.uri}, {"digest", artifact.digest}, {"format", format}}},
      {"lineage", result->lineage}};
  const auto second = api::parse_run_result(again.dump());
  MUST_SHOW(second.has_value(), again.dump() + "\n" + (second ? "" : second.error().message));
  MUST(second->metrics == result->metrics && second->artifact == result->artifact &&
       second->lineage == result->lineage);
}

void check_reference(std::string_view text) {
  const auto reference = api::result_reference(text);
  if (!reference) return;
  MUST(api::result_reference("configmap://" + reference->name + "/" + reference->key) == reference);
}

void check_excerpt(std::string_view text) {
  for (const size_t most : {0, 1, 2, 3, 10, 80}) {
    const std::string shown = api::excerpt(text, most);
    MUST_SHOW(shown.size() <= most + 3 && fuzz::is_utf8(shown), shown);
  }
}

void check_error(int status, std::string_view body) {
  kube::HttpResponse response;
  response.status = status;
  response.headers = {{"retry-after", std::string(body.substr(0, 12))}};
  response.body = body;
  const Error error = kube::error_of(response);
  MUST(!error.message.empty());
  if (error.retry_after) MUST(error.retry_after->count() >= 0 && *error.retry_after <= std::chrono::hours(1));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input = fuzz::view(data, size);
  const size_t end = std::min(input.find('\n'), input.size());
  const auto number = Decimal::parse(input.substr(0, std::min<size_t>(end, 3)));
  const int status = number ? std::atoi(number->to_string().c_str()) : 200;
  const std::string_view body = end < input.size() ? input.substr(end + 1) : input;
  check_reading(status, body);
  check_run_result(body);
  check_reference(body);
  check_excerpt(body);
  if (status / 100 != 2) check_error(status, body);
  if (const auto words = evidence::termination_message(body)) {
    check_run_result(*words);
    check_reference(*words);
  }
  static_cast<void>(evidence::configmap_text(body, "result"));
  return 0;
}
