#include "plugin/crd_rules.h"

#include <re2/re2.h>

#include <map>
#include <memory>

namespace mo::plugin {
namespace {

bool matches(const std::string& text, const std::string& pattern) {
  static thread_local std::map<std::string, std::unique_ptr<RE2>> known;
  auto& re = known[pattern];
  if (!re) re = std::make_unique<RE2>(pattern, RE2::Quiet);
  if (!re->ok()) throw cel::Wrong("not a regular expression: " + pattern);
  return RE2::PartialMatch(text, *re);
}

cel::Functions with_expressions() {
  cel::Functions all = cel::known_functions();
  all[{"matches", 2}] = [](const std::vector<cel::Value>& v) -> cel::Value { return Json(matches(cel::as_text(v[0]), cel::as_text(v[1]))); };
  return all;
}

}  // namespace

Result<cel::Expression> parse_rule(std::string_view text) {
  static const cel::Functions functions = with_expressions();
  return cel::Expression::parse(text, {.functions = &functions});
}

}  // namespace mo::plugin
