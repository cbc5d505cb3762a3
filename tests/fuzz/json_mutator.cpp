// Changes JSON as JSON every other time, so that most inputs get past the parser. An input is one document a
// line; lines that are no JSON are left to libFuzzer.
#include <algorithm>
#include <cstring>
#include <random>

#include "tests/fuzz/fuzz.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

using Json = nlohmann::json;

class Mutator {
 public:
  explicit Mutator(unsigned seed) : random_(seed) {}

  void mutate(Json& document) {
    std::vector<Json*> nodes;
    collect(document, nodes);
    for (uint32_t changes = 1 + below(3); changes > 0; --changes) {
      Json& node = *nodes[below(nodes.size())];
      const Json& other = *nodes[below(nodes.size())];
      change(node, Json(other));
      nodes.clear();
      collect(document, nodes);
    }
  }

  uint32_t below(size_t bound) { return static_cast<uint32_t>(random_() % bound); }

 private:
  void collect(Json& node, std::vector<Json*>& into) {
    into.push_back(&node);
    if (node.is_structured())
      for (Json& child : node) collect(child, into);
  }

  void change(Json& node, Json other) {
    switch (below(9)) {
      case 0:
        node = odd_value();
        return;
      case 1:
        node = std::move(other);
        return;
      case 2:
        if (node.is_object() && !node.empty()) node.erase(std::next(node.begin(), below(node.size())));
        if (node.is_array() && !node.empty()) node.erase(below(node.size()));
        return;
      case 3:
        if (node.is_array()) node.insert(node.begin() + below(node.size() + 1), std::move(other));
        if (node.is_object())
          node[node.empty() ? "a" : std::next(node.begin(), below(node.size())).key()] = std::move(other);
        return;
      case 4:
        if (node.is_array() && !node.empty()) node.push_back(node[below(node.size())]);
        if (node.is_array() && node.size() > 1) std::swap(node[below(node.size())], node[below(node.size())]);
        return;
      case 5:
        if (node.is_array() && !node.empty()) change_entry(node[below(node.size())]);
        return;
      default:
        change_leaf(node);
    }
  }

  // Of a list: it loses what it is known by, or is no object any more.
  void change_entry(Json& entry) {
    if (entry.is_object() && below(2)) {
      for (const char* key : {"name", "mountPath", "containerPort"}) entry.erase(key);
    } else {
      entry = odd_value();
    }
  }

  void change_leaf(Json& node) {
    if (node.is_string()) {
      node = below(4) ? bytes_changed(node.get<std::string>()) : odd_text();
    } else if (node.is_boolean()) {
      node = !node.get<bool>();
    } else if (node.is_number_integer()) {
      node = below(3) ? Json(static_cast<int64_t>(node.get<uint64_t>() + below(5) - 2)) : odd_number();
    } else if (!node.is_structured()) {
      node = odd_value();
    }
  }

  // Kept to what JSON can say.
  std::string bytes_changed(std::string text) {
    const size_t size = text.size();
    text.resize(size + 32);
    text.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(text.data()), size, text.size()));
    return mo::fuzz::is_utf8(text) ? text : odd_text();
  }

  Json odd_number() {
    static const Json kNumbers[] = {0,          1,          -1,         2,           99,        100,
                                    101,        2147483647, 2147483648, -2147483648, INT64_MAX, INT64_MIN,
                                    UINT64_MAX, 0.5,        -0.0,       1e300};
    return kNumbers[below(std::size(kNumbers))];
  }
  std::string odd_text() {
    static const char* const kTexts[] = {"",
                                         " ",
                                         "0",
                                         "1",
                                         "-1",
                                         "100",
                                         "0.5",
                                         "1e48",
                                         "NaN",
                                         "+Inf",
                                         "true",
                                         "null",
                                         "0s",
                                         "1h",
                                         "1ns",
                                         "87600h",
                                         "2026-11-22T09:00:00Z",
                                         "0000-01-01T00:00:00+23:59",
                                         "9999-12-31T23:59:59Z",
                                         "../x",
                                         "a/b",
                                         "a.b",
                                         "{{candidate}}",
                                         "configmap://a/b",
                                         "pvc://a/b",
                                         "https://a/b",
                                         "\xc3\xa4",
                                         "\xf0\x9f\x98\x80",
                                         "\\\"\n",
                                         "$patch",
                                         "*"};
    return kTexts[below(std::size(kTexts))];
  }
  Json odd_value() {
    switch (below(6)) {
      case 0:
        return nullptr;
      case 1:
        return below(2) == 0;
      case 2:
        return odd_number();
      case 3:
        return Json::array();
      case 4:
        return Json::object();
      default:
        return odd_text();
    }
  }

  std::minstd_rand random_;
};

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  Mutator mutator(seed);
  if (mutator.below(2) == 0) return LLVMFuzzerMutate(data, size, max_size);
  const auto lines = mo::fuzz::pieces(mo::fuzz::view(data, size));
  const size_t chosen = mutator.below(lines.size());
  Json document = mo::fuzz::json_of(lines[chosen]);
  if (document.is_discarded()) return LLVMFuzzerMutate(data, size, max_size);
  mutator.mutate(document);
  std::string text;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) text += '\n';
    text +=
        i == chosen ? document.dump(-1, ' ', false, Json::error_handler_t::replace) : std::string(lines[i]);
  }
  if (text.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, text.data(), text.size());
  return text.size();
}
