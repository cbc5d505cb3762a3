// Expressions of success and failure on objects of kinds that the operator doesn't know.
// Input: the expression's line, then the object as JSON.
#include "operator/cel/expression.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mo;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t line = std::min(input.find('\n'), input.size());
  const auto expression = cel::Expression::parse(input.substr(0, line), {.most_bytes = 1024, .most_steps = 20'000});
  if (!expression) {
    MUST(!expression.error().message.empty());
    return 0;
  }
  const auto object = parse_json(line < input.size() ? input.substr(line + 1) : "{}", 1 << 16);
  if (!object) return 0;
  const auto first = expression->holds(*object), again = expression->holds(*object);
  MUST(first.has_value() == again.has_value());
  if (first) MUST(*first == *again);
  (void)expression->say(*object);
  return 0;
}
