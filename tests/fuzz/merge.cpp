// JSON from outside, its canonical form and hash, and the strategic merge of pod templates. Input: a
// template, and an overlay on the next line.
#include "operator/json/json.h"
#include "operator/json/scan.h"
#include "operator/json/strategic_merge.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace mo;

// The parser that builds and the scanner that cuts find the same members and items.
void check_scan(const Json& value, std::string_view text) {
  size_t count = 0;
  const auto one_more = [&](std::string_view part) {
    ++count;
    return MUST_SHOW(Json::accept(part), std::string(part)), true;
  };
  if (value.is_object()) {
    std::set<std::string> keys;  // the last of a key that is there twice counts
    MUST(json::each_member(text, [&](std::string_view key, std::string_view part) {
      keys.insert(Json::parse("\"" + std::string(key) + "\"").get<std::string>());
      return one_more(part);
    }));
    MUST(keys.size() == value.size() && count >= keys.size());
  } else if (value.is_array()) {
    MUST(json::each_item(text, one_more));
    MUST(count == value.size());
  }
  MUST(json::depth_of(text) <= 64);
}

void check_canonical(const Json& value) {
  const std::string text = value.dump();
  const auto again = parse_json(text, text.size());
  MUST_SHOW(again && *again == value && again->dump() == text, text);
  Hasher hasher;
  for (const char c : text) hasher.add(std::string_view(&c, 1));
  MUST(hasher.hex() == hash_of(text) && hash_of(text).size() == 16);
}

bool holds_null(const Json& value) {
  if (!value.is_structured()) return value.is_null();
  return std::any_of(value.begin(), value.end(), holds_null);
}

void check_merge(const Json& base, const Json& overlay) {
  const Json merged = merge_pod_template(base, overlay);
  MUST(merge_pod_template(base, nullptr) == base);
  if (base.is_object()) MUST(merge_pod_template(base, Json::object()) == base);
  if (!overlay.is_object()) return;
  // What an overlay sets is set, and nothing that it does not name is touched.
  for (const auto& [name, value] : overlay.items()) {
    if (name == "$patch") continue;
    if (value.is_null()) MUST(!merged.contains(name));
    if (value.is_primitive() && !value.is_null() && overlay.value("$patch", Json()) != "delete")
      MUST(merged.at(name) == value);
  }
  if (base.is_object() && !overlay.contains("$patch"))
    for (const auto& [name, value] : base.items())
      if (!overlay.contains(name)) MUST(merged.at(name) == value);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<Json> values;
  for (const std::string_view text : fuzz::pieces(fuzz::view(data, size))) {
    json::each_member(text, [](std::string_view, std::string_view) { return true; });
    json::each_item(text, [](std::string_view) { return true; });
    const auto value = parse_json(text, 1u << 20);
    if (!value) {
      MUST(value.error().kind == ErrorKind::Malformed);
      continue;
    }
    if (!text.starts_with("\xef\xbb\xbf")) check_scan(*value, text);  // a mark that the parser passes over
    check_canonical(*value);
    values.push_back(*value);
  }
  if (values.size() >= 2) check_merge(values[0], values[1]);
  return 0;
}
