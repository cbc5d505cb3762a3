#include "operator/runtime/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <stdexcept>
#include <vector>

#include "operator/json/json.h"

namespace mo::log {
namespace {

// Between message and fields in the payload that goes through spdlog. A control character: no message of ours
// has it, and one that comes from outside with it merely yields an odd field.
constexpr char kSeparator = '\x1f';

std::vector<std::string_view> split(std::string_view payload) {
  std::vector<std::string_view> parts;
  for (size_t at; (at = payload.find(kSeparator)) != std::string_view::npos; payload.remove_prefix(at + 1))
    parts.push_back(payload.substr(0, at));
  parts.push_back(payload);
  return parts;
}

// Text from outside may hold broken UTF-8: those bytes become U+FFFD.
std::string quoted(std::string_view text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Line breaks from outside (a query's error, a termination message) must not forge lines.
std::string one_line(std::string_view text) {
  std::string line(text);
  for (char& c : line)
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  return line;
}

class PayloadFlag : public spdlog::custom_flag_formatter {
 public:
  explicit PayloadFlag(bool json) : json_(json) {}
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    const std::string_view payload(message.payload.data(), message.payload.size());
    const std::string text = json_ ? format_json(payload) : format_text(payload);
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<PayloadFlag>(json_);
  }

 private:
  bool json_;
};

}  // namespace

std::string format_text(std::string_view payload) {
  const auto parts = split(payload);
  std::string line = one_line(parts[0]);
  for (size_t i = 1; i + 1 < parts.size(); i += 2)
    line += " " + std::string(parts[i]) + "=" + quoted(parts[i + 1]);
  return line;
}

std::string format_json(std::string_view payload) {
  const auto parts = split(payload);
  std::string members = "\"msg\":" + quoted(parts[0]);
  for (size_t i = 1; i + 1 < parts.size(); i += 2)
    members += "," + quoted(parts[i]) + ":" + quoted(parts[i + 1]);
  return members;
}

void set_up(const std::string& format, const std::string& level) {
  if (format != "text" && format != "json") throw std::invalid_argument("--log-format must be text or json");
  const auto parsed = spdlog::level::from_str(level == "error" ? "err" : level);
  if (parsed == spdlog::level::off) throw std::invalid_argument("unknown log level " + level);
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  const bool json = format == "json";
  formatter->add_flag<PayloadFlag>('*', json);
  formatter->set_pattern(json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%*})"
                              : "%Y-%m-%dT%H:%M:%S.%eZ %-7l %*");
  auto logger = std::make_shared<spdlog::logger>("", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_formatter(std::move(formatter));
  logger->set_level(parsed);
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

void write(spdlog::level::level_enum level, std::string_view message, std::string_view object,
           Fields fields) {
  auto* logger = spdlog::default_logger_raw();
  if (!logger || !logger->should_log(level)) return;
  std::string payload(message);
  auto field = [&](std::string_view key, std::string_view value) {
    payload += kSeparator;
    payload += key;
    payload += kSeparator;
    payload += value;
  };
  if (!object.empty()) field("object", object);
  for (const auto& [key, value] : fields)
    if (!value.empty()) field(key, value);
  logger->log(level, spdlog::string_view_t(payload.data(), payload.size()));
}

std::string to_string(const Error& error) {
  std::string text = mo::to_string(error.kind);
  if (error.http_status) text += " (" + std::to_string(error.http_status) + ")";
  return text + ": " + error.message;
}

}  // namespace mo::log
