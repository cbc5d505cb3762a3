#include "operator/json/json.h"

#include <catch2/catch.hpp>

#include "operator/json/scan.h"

using namespace mo;

TEST_CASE("JSON is read within bounds", "[json]") {
  CHECK(parse_json(R"({"b":1,"a":[true,null,"x"]})", 100)->dump() == R"({"a":[true,null,"x"],"b":1})");
  CHECK(parse_json(" 7 ", 3).has_value());
  CHECK(parse_json(R"({"a":1,"a":2})", 100)->dump() == R"({"a":2})");
  CHECK_FALSE(parse_json("[1,2,3]", 6));
  CHECK(parse_json("[[[1]]]", 100, 3).has_value());
  CHECK_FALSE(parse_json("[[[[1]]]]", 100, 3));
  CHECK(parse_json(R"(["[[[[[[[\"[[["])", 100, 1).has_value());
}

TEST_CASE("what is no JSON is an error that says where", "[json]") {
  for (const std::string& text :
       {std::string(""), std::string("{"), std::string("{\"a\":}"), std::string("[1,]"), std::string("nul"),
        std::string("{} {}"), std::string("\"\xff\xfe\""), std::string("\"\\ud800\""), std::string("1e999"),
        std::string("'a'"), std::string("NaN"), std::string("\0", 1), std::string(1000000, '['),
        std::string(1000000, '{'), "{\"a\":" + std::string(100000, '[')}) {
    const auto parsed = parse_json(text, 2000000);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().kind == ErrorKind::Malformed);
    CHECK(parsed.error().message.find("json.exception") == std::string::npos);
  }
}

TEST_CASE("a zero byte ends no JSON: what follows it would be passed over", "[json]") {
  const auto parsed = parse_json(std::string_view("{}\0{\"x\"", 7), 100);
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error().message == "the JSON text has a zero byte at 3");
}

// They are stored in annotations: a release that computed others would write every object once.
TEST_CASE("hashes never change", "[json]") {
  CHECK(hash_of("") == "cbf29ce484222325");
  CHECK(hash_of("foobar") == "85944171f73967e8");
  Hasher pieces;
  pieces.add("foo");
  pieces.add("bar");
  CHECK(pieces.hex() == hash_of("foobar"));
}

TEST_CASE("members and items are cut without parsing them", "[json]") {
  std::vector<std::string> seen;
  const auto member = [&](std::string_view key, std::string_view value) {
    seen.push_back(std::string(key) + "=" + std::string(value));
    return true;
  };
  CHECK(json::each_member(R"( {"a" : {"x":[1,"]}"]} , "b\"":"}\\", "c":-1.5e3,"d":null} )", member));
  CHECK(seen == std::vector<std::string>{R"(a={"x":[1,"]}"]})", R"(b\"="}\\")", "c=-1.5e3", "d=null"});
  CHECK(json::each_member("{}", member));
  for (const char* text : {"", "{", "}", "[]", "{\"a\"}", "{\"a\":}", "{\"a\":1", "{\"a\":1,}", "{\"a\":1}x",
                           "{\"a\":\"x}", "{\"a\":\"x\\", "{a:1}", "{\"a\":{}", "{\"a\":1 \"b\":2}"}) {
    INFO(text);
    CHECK_FALSE(json::each_member(text, member));
  }
  int items = 0;
  CHECK(json::each_item(R"([1, [2,3], "4,5" ,{}])", [&](std::string_view) { return ++items, true; }));
  CHECK(items == 4);
  CHECK(json::each_item(
      "[1,2,3", [&](std::string_view) { return false; }));  // ended early: the rest was never looked at
}
