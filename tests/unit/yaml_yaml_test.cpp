#include "operator/yaml/yaml.h"

#include <catch2/catch.hpp>

using namespace mo;

TEST_CASE("YAML: values have the types and the lines that kubectl sees", "[yaml]") {
  const auto documents =
      yaml::read("a: 1\nb:\n  c: [x, {d/e: 'on'}]\n---\nf: on\ng: 0x10\nh: 2026-11-22T09:00:00Z\n");
  REQUIRE(documents);
  REQUIRE(documents->size() == 2);
  const yaml::Document& first = (*documents)[0];
  CHECK(first.value == Json::parse(R"({"a":1,"b":{"c":["x",{"d/e":"on"}]}})"));
  CHECK(first.line_of("/b") == 2);
  CHECK(first.line_of("/b/c/1/d~1e") == 3);
  CHECK(first.line_of("/b/c/7/none") == 3);
  CHECK(first.line_of("/none") == 1);
  CHECK((*documents)[1].value == Json::parse(R"({"f":true,"g":16,"h":"2026-11-22T09:00:00Z"})"));
  CHECK((*documents)[1].line_of("/f") == 5);
}

// `defaultMode: 0644` was 644 here and 420 to kubectl: `kubectl model plan` told of a change that would not
// come, and a file of runtimes meant something else than the same text applied. The right column is what
// sigs.k8s.io/yaml (go-yaml 2.4) makes of the left.
TEST_CASE("YAML: a number is the one that kubectl reads, octal, signed or with underscores", "[yaml]") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"0644", "420"},
      {"0o644", "420"},
      {"+0644", "420"},
      {"-0644", "-420"},
      {"0_7", "7"},
      {"00", "0"},
      {"-0", "0"},
      {"08", "8"},
      {"09.5", "9.5"},
      {"0644.5", "644.5"},
      {"+1", "1"},
      {"+1.5", "1.5"},
      {"1_000", "1000"},
      {"1_0.5", "10.5"},
      {"1_", "1"},
      {"0x10", "16"},
      {"0X1F", "31"},
      {"-0x10", "-16"},
      {"0b101", "5"},
      {"1.0", "1"},
      {"1.", "1"},
      {"-.5", "-0.5"},
      {"1e3", "1000"},
      {"9223372036854775807", "9223372036854775807"},
      {"-9223372036854775808", "-9223372036854775808"},
      {"18446744073709551615", "18446744073709551615"},
      {"18446744073709551616", "18446744073709551616.0"},
      {"+18446744073709551615", "18446744073709551615.0"},
  };
  for (const auto& [text, json] : cases) {
    INFO(text);
    const auto read = yaml::read("a: " + text + "\n");
    REQUIRE(read);
    const Json& value = (*read)[0].value["a"];
    CHECK(value.dump() == Json::parse(json).dump());
    // The same text as a text stays one when it is written and read again.
    const auto again = yaml::read(yaml::write({{"a", text}}));
    REQUIRE(again);
    CHECK((*again)[0].value["a"] == Json(text));
  }
  for (const char* text : {"0o8", "0o", "0x", "0xfg", "0x-5", "_1", "._5", "+-5", "1-2", "+", "1e", "e5",
                           "1e999", "0.0.1", "12:30:45", "2026-11-22"}) {
    INFO(text);
    const auto read = yaml::read(std::string("a: ") + text + "\n");
    REQUIRE(read);
    CHECK((*read)[0].value["a"] == Json(text));
  }
}

TEST_CASE("YAML: merge keys are laid under what is written out", "[yaml]") {
  const auto documents = yaml::read("base: &b {a: 1, b: 2}\nc: {<<: *b, b: 3}\n");
  REQUIRE(documents);
  CHECK((*documents)[0].value["c"] == Json::parse(R"({"a":1,"b":3})"));
}

TEST_CASE("YAML: mistakes come with their line", "[yaml]") {
  CHECK(yaml::read("a: 1\nb: [1\n").error().line >= 2);
  CHECK(yaml::read("a: 1\n---\nb: 1\nb: 2\n").error().line == 4);
}

TEST_CASE("YAML: what is written is read back as it was", "[yaml]") {
  const Json value = Json::parse(
      R"({"a":"yes","b":"1","c":[{"d":"x: y","e":[],"f":{}},"- z"],"g":true,"h":1.5,"i":null,"j":"two\nlines","k":"","l":"~",
          "m":"#no","n":"2026-11-22T09:00:00Z","on":"{{x}}"})");
  const auto again = yaml::read(yaml::write(value));
  REQUIRE(again);
  CHECK((*again)[0].value == value);
}
