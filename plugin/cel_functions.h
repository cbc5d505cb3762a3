// The values of CEL's expressions, and the functions on them that we know. For cel*.cpp alone. Pure, and
// thread-safe.
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

namespace mo::plugin::cel {

// What is wrong with an expression, or with a value that it meets. Caught where an expression is entered, and
// by && and ||, which do not mind an error on a side that does not matter.
struct Wrong : std::runtime_error {
  using std::runtime_error::runtime_error;
};

using Value = std::variant<Json, Duration, TimePoint>;

// These throw Wrong if it is something else.
const Json& as_json(const Value& v);
const std::string& as_text(const Json& v);
const std::string& as_text(const Value& v);

// By name and number of arguments, the receiver being the first. They throw Wrong.
using Function = std::function<Value(const std::vector<Value>&)>;
const std::map<std::pair<std::string, size_t>, Function>& functions();

}  // namespace mo::plugin::cel
