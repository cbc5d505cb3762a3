// The values of CEL's expressions, and the functions on them that we know. Pure, and thread-safe.
#pragma once

#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "operator/core/time.h"
#include "operator/json/json.h"

namespace mo::cel {

// What is wrong with an expression, or with a value that it meets. Caught where an expression is entered, and
// by && and ||, which do not mind an error on a side that does not matter.
struct Wrong : std::runtime_error {
  static constexpr size_t kNowhere = static_cast<size_t>(-1);
  explicit Wrong(const std::string& what, size_t at = kNowhere) : std::runtime_error(what), at(at) {}
  std::string sentence() const { return at == kNowhere ? what() : what() + (" (at character " + std::to_string(at + 1) + ")"); }
  size_t at;  // of the expression's text, from 0
};

// A pointer is to a part of what is evaluated, so that looking into a large object copies nothing.
using Value = std::variant<Json, Duration, TimePoint, const Json*>;

// These throw Wrong if it is something else.
const Json& as_json(const Value& v);
const std::string& as_text(const Json& v);
const std::string& as_text(const Value& v);

// By name and number of arguments, the receiver being the first. They throw Wrong, and cost no more than the bytes of what they are given.
using Function = std::function<Value(const std::vector<Value>&)>;
using Functions = std::map<std::pair<std::string, size_t>, Function>;

// size, startsWith, endsWith, contains, upperAscii, isSorted, string, int, double, duration, timestamp, getHours.
const Functions& known_functions();

}  // namespace mo::cel
