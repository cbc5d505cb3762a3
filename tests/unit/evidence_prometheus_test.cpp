// Prometheus' answers, and every way in which they are none.
#include <catch2/catch.hpp>

#include "operator/evidence/prometheus.h"

namespace mo::evidence {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

class CannedHttp : public kube::HttpTransport {
 public:
  Result<kube::HttpResponse> send(const kube::HttpRequest& request, std::stop_token) override {
    requests.push_back(request);
    return answer;
  }
  Result<kube::HttpResponse> stream(const kube::HttpRequest&, const kube::LineSink&,
                                    std::stop_token) override {
    return fail(ErrorKind::Invalid, "not used");
  }
  Result<kube::HttpResponse> answer =
      kube::HttpResponse{200, {}, R"({"status":"success","data":{"resultType":"scalar","result":[1,"2"]}})"};
  std::vector<kube::HttpRequest> requests;
};

std::string vector_of(const std::string& samples) {
  return R"({"status":"success","data":{"resultType":"vector","result":[)" + samples + "]}}";
}
std::string sample(const std::string& value) {
  return R"({"metric":{"v":"1"},"value":[1435781451.781,")" + value + "\"]}";
}
std::string problem(const std::string& body, int status = 200) {
  const auto reading = reading_of(status, body);
  CHECK_FALSE(reading.value);
  return reading.problem;
}

TEST_CASE("one finite number is a reading, kept to the digit", "[prometheus]") {
  const auto reading = reading_of(200, vector_of(sample("0.9470000000000001")));
  REQUIRE(reading.value);
  CHECK(reading.value->to_string() == "0.9470000000000001");
  CHECK(reading.problem.empty());
  CHECK(reading_of(200, vector_of(sample("1e-05"))).value == Decimal::parse("0.00001"));
  CHECK(reading_of(200, R"({"status":"success","data":{"resultType":"scalar","result":[1,"-3"]}})").value ==
        Decimal::parse("-3"));
}

TEST_CASE("what is not one finite number says what it is", "[prometheus]") {
  CHECK(problem(vector_of("")) == "no data");
  CHECK(problem(vector_of(sample("NaN"))) == "the query returned NaN; it must return a finite number");
  CHECK(problem(vector_of(sample("+Inf"))) == "the query returned +Inf; it must return a finite number");
  CHECK(problem(vector_of(sample("1") + "," + sample("2") + "," + sample("3"))) ==
        "the query returned 3 series; it must return one: aggregate it, for example with avg()");
  CHECK_THAT(problem(R"({"status":"success","data":{"resultType":"string","result":[1,"x"]}})"),
             StartsWith("the query returned a string"));
  CHECK_THAT(problem(R"({"status":"success","data":{"resultType":"matrix","result":[]}})"),
             StartsWith("the query returned a range"));
  CHECK_THAT(problem(vector_of(R"({"metric":{},"histogram":[1,{}]})")),
             StartsWith("the query returned a histogram"));
}

TEST_CASE("Prometheus' own words come through", "[prometheus]") {
  CHECK(
      problem(
          R"({"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:5: parse error"})",
          400) == "Prometheus refused the query: bad_data: invalid parameter \"query\": 1:5: parse error");
  CHECK(problem("<html>Bad Gateway</html>", 502) == "Prometheus answered HTTP 502: <html>Bad Gateway</html>");
  CHECK(problem("", 401) == "Prometheus answered HTTP 401");
}

TEST_CASE("answers that are cut, foreign or hostile are problems", "[prometheus]") {
  const std::string good = vector_of(sample("1"));
  for (size_t n = 0; n < good.size(); ++n)
    CHECK_THAT(problem(good.substr(0, n)), StartsWith("the answer of Prometheus is cut off or is not JSON"));
  CHECK_THAT(problem("hello"), Contains("not JSON: hello"));
  CHECK_THAT(problem(std::string(500'000, '[')), StartsWith("the answer of Prometheus is cut off or is not JSON"));
  CHECK_THAT(problem(std::string((1 << 20) + 1, ' ')), Contains("longer than 1 MiB"));
  for (const char* odd : {"{}", "[]", "1", R"({"status":"success"})", R"({"status":"success","data":[]})",
                          R"({"status":3,"data":{"result":1}})"})
    CHECK_THAT(problem(odd), StartsWith("the answer is not from the Prometheus"));
  for (const char* odd : {R"([1])", R"([1,2])", R"({})", R"("x")", R"([1,"2",3])"})
    CHECK_THAT(
        problem(R"({"status":"success","data":{"resultType":"scalar","result":)" + std::string(odd) + "}}"),
        Contains("sample"));
  for (const char* odd : {"1", "{}", "null", R"({"value":1})", R"({"value":[1,1]})"})
    CHECK_FALSE(problem(vector_of(odd)).empty());
}

TEST_CASE("the query is sent below the prefix of the configured address", "[prometheus]") {
  CannedHttp http;
  const Prometheus prometheus("http://user:secret@prom.example/prefix/", http);
  CHECK(prometheus.query(R"(avg(x{v="a b"}))", {}).reading.value == Decimal::parse("2"));
  CHECK(http.requests.at(0).target ==
        "http://user:secret@prom.example/prefix/api/v1/"
        "query?timeout=8s&query=avg%28x%7Bv%3D%22a%20b%22%7D%29");
  prometheus.query(std::string(5000, 'x'), {});
  CHECK(http.requests.at(1).method == "POST");
  CHECK_THAT(http.requests.at(1).body, Contains("&query=xxx"));
  http.answer = fail(ErrorKind::Transport, "connect: Connection refused");
  const auto queried = prometheus.query("x", {});
  CHECK_FALSE(queried.reached);
  CHECK(queried.reading.problem ==
        "cannot reach Prometheus at http://prom.example/prefix: connect: Connection refused");
  http.answer = fail(ErrorKind::Malformed, "the body is longer than 1048576 bytes");
  CHECK(prometheus.query("x", {}).reached);
}

// Both were 10 s: we always gave up first, and one Model's slow query was taken for a dead Prometheus, which
// is not asked again for 5 s by anyone.
TEST_CASE("Prometheus gives a slow query up before we do", "[prometheus]") {
  CannedHttp http;
  const Prometheus prometheus("http://prom.example", http);
  prometheus.query("x", {});
  prometheus.query(std::string(5000, 'x'), {});
  for (const std::string& form : {http.requests.at(0).target, http.requests.at(1).body}) {
    INFO(form.substr(0, 100));
    const size_t at = form.find("timeout=");
    REQUIRE(at != std::string::npos);
    const std::chrono::seconds theirs{std::stoi(form.substr(at + 8))};
    CHECK(theirs + std::chrono::seconds(1) <= http.requests.at(0).deadline);
  }
  http.answer = kube::HttpResponse{
      503,
      {},
      R"({"status":"error","errorType":"timeout","error":"query timed out in expression evaluation"})"};
  const auto queried = prometheus.query("x", {});
  CHECK(queried.reached);
  CHECK_THAT(queried.reading.problem, Contains("timeout: query timed out"));
}

TEST_CASE("without an address every reading says so", "[prometheus]") {
  CannedHttp http;
  CHECK_THAT(Prometheus("", http).query("x", {}).reading.problem, Contains("no Prometheus is configured"));
  CHECK_THAT(Prometheus("file:///etc/passwd", http).query("x", {}).reading.problem,
             Contains("must be an http:// or https:// address"));
  CHECK(http.requests.empty());
}

}  // namespace
}  // namespace mo::evidence
