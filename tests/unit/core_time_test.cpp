#include <catch2/catch.hpp>

#include "operator/core/ids.h"
#include "operator/core/time.h"

using namespace mo;

namespace {

std::string again(const char* text) {
  const auto t = parse_time(text);
  return t ? format_time(*t) : "nothing";
}

std::string span(const char* text) {
  const auto d = parse_duration(text);
  return d ? format_duration(*d) : "nothing";
}

}  // namespace

TEST_CASE("RFC 3339 in, Kubernetes' form out", "[core]") {
  CHECK(again("2026-11-22T09:00:00Z") == "2026-11-22T09:00:00Z");
  CHECK(again("2026-11-22T09:00:00.999999Z") == "2026-11-22T09:00:00Z");
  CHECK(again("2026-11-22T01:30:00+02:00") == "2026-11-21T23:30:00Z");
  CHECK(again("2026-11-22t09:00:00-05:30") == "2026-11-22T14:30:00Z");
  CHECK(again("2024-02-29T00:00:00Z") == "2024-02-29T00:00:00Z");
  CHECK(again("1969-12-31T23:59:59Z") == "1969-12-31T23:59:59Z");
  CHECK(again("0001-01-01T00:00:00Z") == "0001-01-01T00:00:00Z");
  CHECK(format_micro_time(*parse_time("2026-11-22T09:00:00.123456Z")) == "2026-11-22T09:00:00.123000Z");
  CHECK(format_micro_time(*parse_time("1969-12-31T23:59:59.5Z")) == "1969-12-31T23:59:59.500000Z");
}

TEST_CASE("what is no time is nothing", "[core]") {
  for (const char* text :
       {"", "2026-11-22", "2026-11-22T09:00:00", "2026-11-22 09:00:00Z", "2026-11-22T09:00Z",
        "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T09:60:00Z",
        "2026-11-22T09:00:60Z", "2026-11-22T09:00:00.Z", "2026-11-22T09:00:00+2:00", "2026-11-22T09:00:00ZZ",
        "26-11-22T09:00:00Z", "2026-11-22T09:00:00+24:00", "now"}) {
    INFO(text);
    CHECK_FALSE(parse_time(text));
  }
}

TEST_CASE("a time whose offset leads out of the four-digit years cannot be written again and is nothing",
          "[core]") {
  CHECK_FALSE(parse_time("0000-01-01T00:00:00+23:59"));
  CHECK_FALSE(parse_time("9999-12-31T23:59:59.999-23:59"));
  CHECK(again("0000-01-01T00:00:00Z") == "0000-01-01T00:00:00Z");
  CHECK(again("9999-12-31T23:59:59.999+23:59") == "9999-12-31T00:00:59Z");
}

TEST_CASE("durations as Go writes them", "[core]") {
  CHECK(span("0") == "0s");
  CHECK(span("0s") == "0s");
  CHECK(span("300ms") == "300ms");
  CHECK(span("1h30m") == "1h30m");
  CHECK(span("90m") == "1h30m");
  CHECK(span("1.5h") == "1h30m");
  CHECK(span("1.5s") == "1.5s");
  CHECK(span("61s") == "1m1s");
  CHECK(span(".5m") == "30s");
  CHECK(span("1h0m0s") == "1h");
  CHECK(span("1m5ms") == "1m5ms");
  CHECK(span("87600h") == "87600h");
  CHECK(format_duration(-std::chrono::seconds(90)) == "-1m30s");
  CHECK(parse_duration("1us") == std::chrono::milliseconds(1));  // never an interval of nothing
  CHECK(parse_duration("1000\u00b5s") == std::chrono::milliseconds(1));
}

TEST_CASE("what is no duration is nothing", "[core]") {
  for (const char* text :
       {"", "5", "-5m", "+5m", "m", ".", ".m", "5 m", "5d", "1h30", "P1D", "5mm5", "1e3s", "87600h1ms",
        "99999999999999999999h", "9999999999999999999999999999999999999999ns"}) {
    INFO(text);
    CHECK_FALSE(parse_duration(text));
  }
}

TEST_CASE("resource versions compare as numbers of any length", "[core]") {
  CHECK(rv_less("9", "10"));
  CHECK_FALSE(rv_less("10", "9"));
  CHECK(rv_less("", "0"));
  CHECK_FALSE(rv_less("7", "7"));
  CHECK(rv_less("9007199254740992", "9007199254740993"));  // equal as doubles
  CHECK(rv_less("99999999999999999999", "100000000000000000000"));
}

TEST_CASE("kinds know their addresses", "[core]") {
  CHECK(info(Kind::Model).api_version() == "modelops.dev/v1alpha1");
  CHECK(info(Kind::Pod).api_version() == "v1");
  CHECK(info(Kind::Event).api_version() == "events.k8s.io/v1");
  CHECK_FALSE(info(Kind::ModelRuntime).namespaced);
  CHECK(ObjectRef{Kind::Deployment, {"payments", "fraud-v1"}}.to_string() == "Deployment payments/fraud-v1");
}
