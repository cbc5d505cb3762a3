#include "operator/json/canonical.h"

#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

#include "operator/json/json.h"

using namespace mo;

namespace {

// What it stands for, written anew; "" if it is no JSON.
std::string rewritten(const std::string& text) {
  const auto parsed = parse_json(text, 1u << 20);
  return parsed ? parsed->dump(-1, ' ', false, Json::error_handler_t::replace) : "";
}

}  // namespace

TEST_CASE("text that dump() would write as it is, is known as that", "[json]") {
  for (const char* text : {"null", "true", "false", "0", "-1", "123456789012345678", R"("")", R"("a \" \\ \n b")", "[]", "{}", "[[],{},[{}]]",
                           R"({"a":1,"aa":{"x":[1,2,{"y":null}]},"b":"c"})", R"({"":0,"A":0,"a":0})"}) {
    INFO(text);
    CHECK(json::is_canonical(text, 64));
    CHECK(rewritten(text) == text);
  }
}

TEST_CASE("anything else is not", "[json]") {
  for (const std::string& text :
       {std::string(""), std::string(" 1"), std::string("1 "), std::string("01"), std::string("-0"), std::string("-"), std::string("1.0"), std::string("1e3"),
        std::string("1234567890123456789"), std::string("tru"), std::string("nullx"), std::string("\"a"), std::string("\"\\u0041\""), std::string("\"\\/\""),
        std::string("\"\\\""), std::string("\"\x01\""), std::string("\"\xc3\xa4\""), std::string("\"\x7f\""), std::string("{\"b\":1,\"a\":2}"),
        std::string("{\"a\":1,\"a\":2}"), std::string("{\"a\": 1}"), std::string("{\"a\"}"), std::string("{\"a\":}"), std::string("{,}"), std::string("{\"a\":1,}"),
        std::string("{\"\\n\":1}"), std::string("[1,]"), std::string("[,1]"), std::string("[1 ,2]"), std::string("[1"), std::string("{\"a\":1"), std::string("[1]]"),
        std::string("[1}"), std::string("{\"a\":1]"), std::string("{1:2}"), std::string("[1][2]"), std::string("{}{}"), std::string("\0", 1), std::string("1\0", 2)}) {
    INFO(text);
    CHECK_FALSE(json::is_canonical(text, 64));
  }
  CHECK(json::is_canonical("[[1]]", 2));
  CHECK_FALSE(json::is_canonical("[[[1]]]", 2));
  CHECK_FALSE(json::is_canonical(std::string(100000, '['), 128));
}

// One byte of text that was canonical is another, is gone or is there twice.
TEST_CASE("whatever it takes for canonical is what dump() writes", "[json]") {
  const std::string texts[] = {R"({"a":[1,-2,"x\"y\\"],"b":{"c":null,"d":[true,false,{}]},"bb":"z"})", R"([[],[{"k":"v","l":10}],"\n\t"])"};
  const std::string bytes = "{}[]\",:\\ 019-.eutfnabk\x01\x80";
  std::mt19937 random(7);
  int taken = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text = texts[random() % 2];
    for (int changes = 1 + static_cast<int>(random() % 2); changes > 0; --changes) {
      const size_t at = random() % text.size();
      if (const auto what = random() % 3; what == 0)
        text[at] = bytes[random() % bytes.size()];
      else if (what == 1)
        text.erase(at, 1);
      else
        text.insert(at, 1, text[random() % text.size()]);
    }
    if (!json::is_canonical(text, 64)) continue;
    ++taken;
    INFO(text);
    CHECK(rewritten(text) == text);
  }
  CHECK(taken > 100);
}
