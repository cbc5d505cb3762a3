// CEL as the operator evaluates it: what it means, what it costs, and how it speaks of mistakes.
#include "operator/cel/expression.h"

#include <catch2/catch.hpp>

using namespace mo;
using Catch::Contains;

namespace {

const cel::Language kSmall{.most_bytes = 1024, .most_steps = 20'000};

const char* const kJobSet = R"json({"metadata": {"name": "j"}, "spec": {"suspend": false}, "status": {"restarts": 1, "conditions": [
  {"type": "Suspended", "status": "False"}, {"type": "Completed", "status": "True", "message": "done"}], "big": 9007199254740993}})json";

bool holds(const std::string& text, const std::string& self = kJobSet) {
  const auto expression = cel::Expression::parse(text, kSmall);
  INFO(text << (expression ? "" : ": " + expression.error().message));
  REQUIRE(expression);
  const auto is = expression->holds(Json::parse(self));
  INFO((is ? "" : is.error().message));
  REQUIRE(is);
  return *is;
}

// Whether it is one of parsing or of evaluating.
std::string mistake(const std::string& text, const std::string& self = kJobSet) {
  const auto expression = cel::Expression::parse(text, kSmall);
  if (!expression) return expression.error().message;
  const auto is = expression->holds(Json::parse(self));
  REQUIRE_FALSE(is);
  CHECK(is.error().kind == ErrorKind::Invalid);
  return is.error().message;
}

std::string repeated(const std::string& part, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += part;
  return all;
}

}  // namespace

TEST_CASE("cel: what success and failure of a workload are written in") {
  CHECK(holds("self.status.conditions.exists(c, c.type == 'Completed' && c.status == 'True')"));
  CHECK_FALSE(holds("self.status.conditions.exists(c, c.type == 'Failed')"));
  CHECK(holds("has(self.status) && has(self.status.conditions) && size(self.status.conditions) == 2"));
  CHECK(holds("self.status.conditions.all(c, c.status in ['True', 'False'])"));
  CHECK(holds("'conditions' in self.status && self.status.restarts <= 3 && !self.spec.suspend"));
  CHECK(holds("self.status.conditions[1].message.startsWith('do') || self.none"));
  CHECK(holds("self.status['restarts'] == 1 && self.status.big > 9007199254740992"));
  CHECK(holds("self.status.conditions.filter(c, c.status == 'True').size() == 1"));
}

// A diverged training reports NaN: it was taken for one that is good enough.
TEST_CASE("cel: what is no number is neither less nor more nor equal") {
  const std::string diverged = R"({"loss": "NaN"})";
  CHECK_FALSE(holds("double(self.loss) <= 0.1", diverged));
  CHECK_FALSE(holds("double(self.loss) >= 0.1", diverged));
  CHECK(holds("2 <= 2 && 2 >= 2 && 1 <= 2 && !(2 <= 1)"));
  CHECK(holds("int('42') == 42 && int(1.9) == 1"));
  for (const char* text : {"int('1.9') == 1", "int('0x1') == 1", "int(' 1') == 1", "int('') == 0"}) CHECK_THAT(mistake(text), Contains("not a whole number"));
  CHECK_THAT(mistake("string(self.status) == ''"), Contains("string() is for texts"));
}

TEST_CASE("cel: a mistake names what is wrong and where") {
  CHECK(mistake("self.status.phase == 'Done'") == "no such field: phase (at character 13)");
  CHECK(mistake("self.frobnicate()") == "the function frobnicate() is not known here (at character 6), in: self.frobnicate()");
  CHECK_THAT(mistake("status.phase == 'x'"), Contains("no such variable: status (at character 1)"));
  CHECK_THAT(mistake("self.status.restarts"), Contains("true or false is wanted"));
  CHECK_THAT(mistake("self.status.restarts < 'a'"), Contains("different types"));
  CHECK_THAT(mistake("self.status.conditions[2].type == 'x'"), Contains("index out of range"));
  CHECK_THAT(mistake("self.status.conditions.exists(c)"), Contains("exists() is written wrongly"));
  CHECK_THAT(mistake("'a' in self.status.restarts"), Contains("in is for lists and maps"));
  CHECK_THAT(mistake("self.a == 'x"), Contains("a text without end"));
  CHECK_THAT(mistake("self.metadata.name.matches('j')"), Contains("matches() is not known"));  // it belongs to CRDs
}

TEST_CASE("cel: no number is too large, no division by zero ends more than the evaluation") {
  for (const char* text : {"9223372036854775807 + 1 > 0", "-9223372036854775807 - 2 < 0", "9223372036854775807 * 2 > 0", "1 / 0 == 1", "1 % 0 == 1",
                           "1.0 / 0.0 > 1.0", "int(1e300) > 0", "(-9223372036854775807 - 1) / -1 > 0"})
    CHECK_FALSE(mistake(text).empty());
  CHECK(holds("(-9223372036854775807 - 1) % -1 == 0"));
}

TEST_CASE("cel: what is evaluated is bounded, whatever it is evaluated on") {
  CHECK_THAT(mistake(repeated("(", 400) + "true" + repeated(")", 400)), Contains("nested more than"));
  CHECK_THAT(mistake(repeated("!", 400) + "true"), Contains("nested more than"));
  CHECK_THAT(mistake("'" + repeated("x", 2000) + "' == ''"), Contains("at most 1024 bytes, and this one has 2008"));
  Json large{{"l", Json::array()}, {"t", repeated("a", 100'000)}};
  for (int i = 0; i < 1000; ++i) large["l"].push_back(i);
  for (const char* text : {"self.l.all(a, self.l.all(b, a + b >= 0))", "self.l.map(x, self).size() == 1", "self.l.exists(x, self == [1])",
                           "self.l.exists(x, self.t.contains(self.t + 'b'))", "[self, self, self].size() == 4 && self.l.map(x, self.t).size() == 1"})
    CHECK_THAT(mistake(text, large.dump()), Contains("costs too much"));
  CHECK(holds("self.l.exists(x, x == 999) && self.t.size() == 100000", large.dump()));
}

TEST_CASE("cel: long chains are no deep ones") {
  CHECK(holds("false" + repeated(" || false", 80) + " || true"));
  CHECK_THAT(mistake("self" + repeated(".a", 400) + " == 1"), Contains("no such field: a"));
}
