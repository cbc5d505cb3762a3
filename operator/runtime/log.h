// Log lines that name their object: spdlog, with fields that come out as key="value" in text and as members
// in JSON.
#pragma once

#include <spdlog/common.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "operator/core/ids.h"
#include "operator/core/result.h"

namespace mo::log {

using Fields = std::initializer_list<std::pair<std::string_view, std::string_view>>;

// Sets up spdlog's default logger to write to stderr. Lines that other modules write with plain spdlog::info
// come out well formed in both formats. `level` is one of trace, debug, info, warn, error. Throws
// std::invalid_argument.
void set_up(const std::string& format, const std::string& level);

// `object` is "Model payments/fraud" or empty where a line concerns none.
void write(spdlog::level::level_enum level, std::string_view message, std::string_view object,
           Fields fields = {});

inline void info(std::string_view message, const ObjectRef& object, Fields fields = {}) {
  write(spdlog::level::info, message, object.to_string(), fields);
}
inline void warn(std::string_view message, const ObjectRef& object, Fields fields = {}) {
  write(spdlog::level::warn, message, object.to_string(), fields);
}
inline void error(std::string_view message, const ObjectRef& object, Fields fields = {}) {
  write(spdlog::level::err, message, object.to_string(), fields);
}
inline void debug(std::string_view message, const ObjectRef& object, Fields fields = {}) {
  write(spdlog::level::debug, message, object.to_string(), fields);
}

// "Conflict (409): the object has been modified"
std::string to_string(const Error& error);

// One line of either format, for tests: `payload` is as write() packs it.
std::string format_text(std::string_view payload);
std::string format_json(std::string_view payload);  // members without the braces

}  // namespace mo::log
