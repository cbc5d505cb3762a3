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
