#include "operator/evidence/prometheus.h"

#include <algorithm>

#include "operator/api/run_result.h"
#include "operator/evidence/bounded_json.h"

namespace mo::evidence {
namespace {

using Json = nlohmann::json;

// Prometheus is to give a slow query up that much before we do: its own 503 is an answer about one query, whereas our giving
// up first reads as a Prometheus that is gone.
constexpr std::chrono::seconds kBefore{2};
constexpr size_t kMaxBody = 1u << 20;
// Longer queries go by POST: proxies bound the length of a URL. Short ones go by GET, which may be repeated
// on a fresh connection when a pooled one turns out to be dead.
constexpr size_t kMaxGetQuery = 2000;

Reading no(std::string problem) { return Reading{std::nullopt, std::move(problem)}; }

Reading number(const Json& sample) {
  // [ <unix time>, "<value>" ]
  if (!sample.is_array() || sample.size() != 2 || !sample[1].is_string())
    return no("Prometheus answered with a sample that is not a time and a value");
  const auto& text = sample[1].get_ref<const std::string&>();
  if (auto value = Decimal::parse(text)) return Reading{*value, ""};
  return no("the query returned " + api::excerpt(text) + ", it must return a finite number");
}

Reading of_vector(const Json& result) {
  if (result.empty()) return no("no data");
  if (result.size() > 1)
    return no("the query returned " + std::to_string(result.size()) +
              " series, it must return one: aggregate it, for instance with avg()");
  const Json& series = result[0];
  if (!series.is_object() || !series.contains("value"))
    return no("the query returned a histogram, it must return one number");
  return number(series["value"]);
}

Reading of_error(int http_status, const Json& document, std::string_view body) {
  const std::string status = "HTTP " + std::to_string(http_status);
  if (document.is_object() && document.contains("error")) {
    const std::string type = text_of(document, "errorType");
    return no("Prometheus refused the query: " + (type.empty() ? status : type) + ": " +
              api::excerpt(text_of(document, "error"), 300));
  }
  return no("Prometheus answered " + status + (body.empty() ? "" : ": " + api::excerpt(body)));
}

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view unreserved =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  constexpr const char* hex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (unreserved.find(c) != std::string_view::npos) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', hex[byte >> 4], hex[byte & 15]};
    }
  }
  return out;
}

std::string without_password(std::string url) {
  const size_t begin = url.find("://");
  if (begin == std::string::npos) return url;
  const size_t end = url.find('/', begin + 3);
  const size_t at = url.substr(0, end).rfind('@');
  if (at != std::string::npos) url.erase(begin + 3, at + 1 - (begin + 3));
  return url;
}

}  // namespace

Reading reading_of(int http_status, std::string_view body) {
  if (body.size() > kMaxBody) return no("Prometheus' answer is longer than 1 MiB");
  const Json document = parse_bounded(body);
  if (http_status != 200 || text_of(document, "status") == "error")
    return of_error(http_status, document, body);
  if (document.is_discarded()) return no("Prometheus' answer is cut or not JSON: " + api::excerpt(body));
  const auto data = document.is_object() ? document.find("data") : document.end();
  if (text_of(document, "status") != "success" || data == document.end() || !data->is_object() ||
      !data->contains("result"))
    return no("the answer is not one of Prometheus' query API: " + api::excerpt(body));
  const std::string type = text_of(*data, "resultType");
  const Json& result = (*data)["result"];
  if (type == "scalar") return number(result);
  if (type == "vector" && result.is_array()) return of_vector(result);
  if (type == "matrix")
    return no(
        "the query returned a range of values, it must return one number: use a function such as "
        "avg_over_time()");
  return no("the query returned a " + api::excerpt(type) + ", it must return one number");
}

Prometheus::Prometheus(std::string url, kube::HttpTransport& http) : url_(std::move(url)), http_(http) {
  while (url_.ends_with('/')) url_.pop_back();
  shown_ = without_password(url_);
}

Prometheus::Queried Prometheus::query(const std::string& promql, std::stop_token stop, std::chrono::seconds deadline) const {
  if (url_.empty())
    return {no("no Prometheus is configured: start the operator with --prometheus-url"), false};
  if (!url_.starts_with("http://") && !url_.starts_with("https://"))
    return {no("--prometheus-url must be an http:// or https:// address, it is " + shown_), false};
  kube::HttpRequest request;
  request.target = url_ + "/api/v1/query";
  request.deadline = deadline;
  request.max_body = kMaxBody;
  request.headers = {{"Accept", "application/json"}};
  const std::string form =
      "timeout=" + std::to_string(std::max(deadline - kBefore, std::chrono::seconds(1)).count()) + "s&query=" + percent_encoded(promql);
  if (form.size() <= kMaxGetQuery) {
    request.target += "?" + form;
  } else {
    request.method = "POST";
    request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
    request.body = form;
  }
  const auto answer = http_.send(request, stop);
  if (answer) return {reading_of(answer->status, answer->body), true};
  if (answer.error().kind == ErrorKind::Malformed)
    return {no("Prometheus at " + shown_ + " sent an answer that cannot be used: " + answer.error().message),
            true};
  return {no("cannot reach Prometheus at " + shown_ + ": " + answer.error().message), false};
}

}  // namespace mo::evidence
