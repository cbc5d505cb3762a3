#include "operator/core/percent.h"
#include "operator/evidence/prometheus.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "operator/api/run_result.h"
#include "operator/evidence/bounded_json.h"
#include "operator/evidence/together.h"

namespace mo::evidence {
namespace {

using Json = nlohmann::json;

// Prometheus is to give a slow query up that much before we do: its own 503 is an answer about one query, whereas our giving
// up first reads as a Prometheus that is gone.
constexpr std::chrono::seconds kBefore{2};
constexpr size_t kMaxBody = 1u << 20;
constexpr size_t kMaxPast = 32u << 20;
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
  return no("the query returned " + api::excerpt(text) + "; it must return a finite number");
}

Reading too_many(size_t series) {
  return no("the query returned " + std::to_string(series) + " series; it must return one: aggregate it, for example with avg()");
}

Reading of_vector(const Json& result) {
  if (result.empty()) return no("no data");
  if (result.size() > 1) return too_many(result.size());
  const Json& series = result[0];
  if (!series.is_object() || !series.contains("value"))
    return no("the query returned a histogram; it must return one number");
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

// Each moment of a series has one sample at most; a moment of several series is of none.
void take_series(const Json& series, std::map<int64_t, Reading>& at, std::map<int64_t, size_t>& seen) {
  const auto each = [&](const char* member, const auto& read) {
    const auto samples = series.find(member);
    if (samples == series.end() || !samples->is_array()) return;
    for (const Json& sample : *samples) {
      if (!sample.is_array() || sample.empty() || !sample[0].is_number()) continue;
      const int64_t moment = std::llround(std::clamp(sample[0].get<double>(), -1e15, 1e15));
      const size_t n = ++seen[moment];
      at[moment] = n == 1 ? read(sample) : too_many(n);
    }
  };
  if (!series.is_object()) return;
  each("values", [](const Json& sample) { return number(sample); });
  each("histograms", [](const Json&) { return no("the query returned a histogram; it must return one number"); });
}

// The part of an answer that holds its result, or why there is none.
struct Answered {
  Json data;
  std::string problem;
};
Answered data_of(int http_status, std::string_view body) {
  Json document = parse_bounded(body);
  if (http_status != 200 || text_of(document, "status") == "error") return {{}, of_error(http_status, document, body).problem};
  if (document.is_discarded()) return {{}, "the answer of Prometheus is cut off or is not JSON: " + api::excerpt(body)};
  const auto data = document.is_object() ? document.find("data") : document.end();
  if (text_of(document, "status") != "success" || data == document.end() || !data->is_object() || !data->contains("result"))
    return {{}, "the answer is not from the Prometheus query API: " + api::excerpt(body)};
  return {std::move(*data), ""};
}

std::string range_form(const std::string& promql, const Moments& moments) {
  return "start=" + std::to_string(moments.first) + "&end=" + std::to_string(moments.last) + "&step=" + std::to_string(moments.step) +
         "&query=" + percent_encoded(promql);
}

std::optional<std::pair<int64_t, double>> sample_of(const Json& sample) {
  if (!sample.is_array() || sample.size() != 2 || !sample[0].is_number() || !sample[1].is_string()) return {};
  const auto& text = sample[1].get_ref<const std::string&>();
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return {};
  return std::pair(static_cast<int64_t>(std::llround(std::clamp(sample[0].get<double>(), -1e15, 1e15))), value);
}

std::string without_password(std::string url) {
  const size_t begin = url.find("://");
  if (begin == std::string::npos) return url;
  const size_t end = url.find('/', begin + 3);
  const size_t at = url.substr(0, end).rfind('@');
  if (at != std::string::npos) url.erase(begin + 3, at + 1 - (begin + 3));
  return url;
}

Prometheus::Queried queried_of(int http_status, std::string_view body) {
  const auto of = [](Reading reading, bool is_vector = false) { return Prometheus::Queried{std::move(reading), true, is_vector}; };
  if (body.size() > kMaxBody) return of(no("the answer of Prometheus is longer than 1 MiB"));
  const Answered answered = data_of(http_status, body);
  if (!answered.problem.empty()) return of(no(answered.problem));
  const std::string type = text_of(answered.data, "resultType");
  const Json& result = answered.data["result"];
  if (type == "scalar") return of(number(result));
  if (type == "vector" && result.is_array()) return of(of_vector(result), true);
  if (type == "matrix")
    return of(no(
        "the query returned a range of values; it must return one number: use a function such as "
        "avg_over_time()"));
  return of(no("the query returned a " + api::excerpt(type) + "; it must return one number"));
}

// The place that the series tells, if it is one of `count`.
std::optional<size_t> place_of(const Json& series, size_t count) {
  const std::string text = text_of(member_of(series, "metric"), kPlaceLabel);
  size_t place = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), place);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || place >= count) return {};
  return place;
}

}  // namespace

Reading reading_of(int http_status, std::string_view body) { return queried_of(http_status, body).reading; }

std::vector<Reading> readings_of(int http_status, std::string_view body, size_t count) {
  if (body.size() > kMaxBody) return {};
  Answered answered = data_of(http_status, body);
  if (!answered.problem.empty() || text_of(answered.data, "resultType") != "vector") return {};
  Json& result = answered.data["result"];
  if (!result.is_array()) return {};
  std::vector<Json> found(count, Json::array());
  for (Json& series : result) {
    const auto place = place_of(series, count);
    if (!place) return {};  // by somebody who did not do what was asked
    found[*place].push_back(std::move(series));
  }
  std::vector<Reading> readings;
  for (const Json& vector : found) readings.push_back(of_vector(vector));
  return readings;
}

Past past_of(int http_status, std::string_view body) {
  if (body.size() > kMaxPast) return {{}, "the answer of Prometheus is longer than 32 MiB: use a shorter time range, or aggregate the query"};
  const Answered answered = data_of(http_status, body);
  if (!answered.problem.empty()) return {{}, answered.problem};
  const Json& result = answered.data["result"];
  if (text_of(answered.data, "resultType") != "matrix" || !result.is_array())
    return {{}, "the answer is not from the Prometheus range API: " + api::excerpt(body)};
  Past past;
  std::map<int64_t, size_t> seen;
  for (const Json& series : result) take_series(series, past.at, seen);
  return past;
}

SeriesAnswer series_of(int http_status, std::string_view body, size_t most_series) {
  if (body.size() > kMaxPast) return {{}, "the answer of Prometheus is longer than 32 MiB"};
  const Answered answered = data_of(http_status, body);
  if (!answered.problem.empty()) return {{}, answered.problem};
  const Json& result = answered.data["result"];
  const std::string type = text_of(answered.data, "resultType");
  if ((type != "matrix" && type != "vector") || !result.is_array()) return {{}, "the query returned a " + api::excerpt(type) + "; it must return series"};
  if (result.size() > most_series)
    return {{}, "the query returned " + std::to_string(result.size()) + " series; at most " + std::to_string(most_series) + " are allowed"};
  SeriesAnswer answer;
  for (const Json& one : result) {
    if (!one.is_object()) continue;
    Series series;
    if (const auto metric = one.find("metric"); metric != one.end() && metric->is_object())
      for (const auto& [name, value] : metric->items())
        if (value.is_string()) series.labels[name] = value.get<std::string>();
    if (const auto value = one.find("value"); value != one.end())
      if (const auto sample = sample_of(*value)) series.at.push_back(*sample);
    if (const auto values = one.find("values"); values != one.end() && values->is_array())
      for (const Json& value : *values)
        if (const auto sample = sample_of(value)) series.at.push_back(*sample);
    answer.series.push_back(std::move(series));
  }
  return answer;
}

Prometheus::Prometheus(std::string url, kube::HttpTransport& http) : url_(std::move(url)), http_(http) {
  while (url_.ends_with('/')) url_.pop_back();
  shown_ = without_password(url_);
}

Prometheus::Sent Prometheus::send(const std::string& path, const std::string& form, size_t max_body, std::stop_token stop,
                                 std::chrono::seconds deadline) const {
  const auto unasked = [](std::string why) { return Sent{fail(ErrorKind::Invalid, ""), std::move(why)}; };
  if (url_.empty()) return unasked("no Prometheus is configured: start the operator with --prometheus-url");
  if (!url_.starts_with("http://") && !url_.starts_with("https://"))
    return unasked("--prometheus-url must be an http:// or https:// address, but is " + shown_);
  kube::HttpRequest request;
  request.target = url_ + path;
  request.deadline = deadline;
  request.max_body = max_body;
  request.headers = {{"Accept", "application/json"}};
  const std::string whole = "timeout=" + std::to_string(std::max(deadline - kBefore, std::chrono::seconds(1)).count()) + "s&" + form;
  if (whole.size() <= kMaxGetQuery) {
    request.target += "?" + whole;
  } else {
    request.method = "POST";
    request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
    request.body = whole;
  }
  return {http_.send(request, stop), ""};
}

Prometheus::Queried Prometheus::failed(const Sent& sent) const {
  if (!sent.problem.empty()) return {no(sent.problem), false};
  const Error& error = sent.answer.error();
  if (error.kind == ErrorKind::Malformed)
    return {no("Prometheus at " + shown_ + " sent an unusable answer: " + error.message), true};
  return {no("cannot reach Prometheus at " + shown_ + ": " + error.message), false};
}

Prometheus::Queried Prometheus::query(const std::string& promql, std::stop_token stop, std::chrono::seconds deadline) const {
  const Sent sent = send("/api/v1/query", "query=" + percent_encoded(promql), kMaxBody, stop, deadline);
  return sent.answer ? queried_of(sent.answer->status, sent.answer->body) : failed(sent);
}

Prometheus::QueriedTogether Prometheus::query_together(const std::vector<std::string>& queries, std::stop_token stop, std::chrono::seconds deadline) const {
  const Sent sent = send("/api/v1/query", "query=" + percent_encoded(together(queries)), kMaxBody, stop, deadline);
  if (sent.answer) return {readings_of(sent.answer->status, sent.answer->body, queries.size()), true, ""};
  const Queried why = failed(sent);
  return {{}, why.reached, why.reading.problem};
}

Prometheus::QueriedPast Prometheus::query_past(const std::string& promql, const Moments& moments, std::stop_token stop,
                                               std::chrono::seconds deadline) const {
  const Sent sent = send("/api/v1/query_range", range_form(promql, moments), kMaxPast, stop, deadline);
  if (sent.answer) return {past_of(sent.answer->status, sent.answer->body), true};
  const Queried why = failed(sent);
  return {{{}, why.reading.problem}, why.reached};
}

SeriesAnswer Prometheus::query_series(const std::string& promql, const std::optional<Moments>& moments, size_t most_series, std::stop_token stop,
                                      std::chrono::seconds deadline) const {
  const Sent sent = moments ? send("/api/v1/query_range", range_form(promql, *moments), kMaxPast, stop, deadline)
                            : send("/api/v1/query", "query=" + percent_encoded(promql), kMaxPast, stop, deadline);
  if (sent.answer) return series_of(sent.answer->status, sent.answer->body, most_series);
  const Queried why = failed(sent);
  return {{}, why.reading.problem, why.reached};
}

}  // namespace mo::evidence
