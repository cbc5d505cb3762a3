#include "operator/cel/functions.h"

#include <date/tz.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace mo::cel {

const Json& as_json(const Value& v) {
  if (const Json* const* there = std::get_if<const Json*>(&v)) return **there;
  const Json* json = std::get_if<Json>(&v);
  if (!json) throw Wrong("no such operation on a time");
  return *json;
}

const std::string& as_text(const Json& v) {
  if (!v.is_string()) throw Wrong("a text is wanted");
  return v.get_ref<const std::string&>();
}
const std::string& as_text(const Value& v) { return as_text(as_json(v)); }

namespace {

int64_t size_of(const Json& v) {
  if (v.is_array() || v.is_object()) return static_cast<int64_t>(v.size());
  const std::string& text = as_text(v);
  return std::count_if(text.begin(), text.end(), [](unsigned char c) { return (c & 0xC0) != 0x80; });
}

double to_double(const Json& v) {
  if (v.is_number()) return v.get<double>();
  const std::string& text = as_text(v);
  size_t read = 0;
  double number = 0;
  try {
    number = std::stod(text, &read);
  } catch (const std::exception&) {
  }
  if (read == 0 || read != text.size()) throw Wrong("not a number: " + text);
  return number;
}

int64_t to_int(const Json& v) {
  if (v.is_number_integer()) return v.get<int64_t>();
  if (v.is_string()) {
    const std::string& text = as_text(v);
    int64_t whole = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) throw Wrong("not a whole number: " + text);
    return whole;
  }
  const double number = to_double(v);
  if (!(std::abs(number) < 9.2e18)) throw Wrong("out of range of whole numbers");
  return static_cast<int64_t>(number);
}

int64_t hours_in(TimePoint t, const std::string& zone) {
  try {
    const auto local = date::make_zoned(zone, t).get_local_time();
    return std::chrono::floor<std::chrono::hours>(local - date::floor<date::days>(local)).count();
  } catch (const std::exception&) {
    throw Wrong("no such time zone: " + zone);
  }
}

bool is_sorted(const Json& list) {
  if (!list.is_array()) throw Wrong("isSorted() is for lists");
  return std::is_sorted(list.begin(), list.end());
}

}  // namespace

const Functions& known_functions() {
  using V = const std::vector<Value>&;
  static const Functions all = {
      {{"size", 1}, [](V v) { return Json(size_of(as_json(v[0]))); }},
      {{"startsWith", 2}, [](V v) { return Json(as_text(v[0]).starts_with(as_text(v[1]))); }},
      {{"endsWith", 2}, [](V v) { return Json(as_text(v[0]).ends_with(as_text(v[1]))); }},
      {{"upperAscii", 1},
       [](V v) {
         std::string upper = as_text(v[0]);
         for (char& c : upper)
           if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
         return Json(upper);
       }},
      {{"contains", 2}, [](V v) { return Json(as_text(v[0]).find(as_text(v[1])) != std::string::npos); }},
      {{"double", 1}, [](V v) { return Json(to_double(as_json(v[0]))); }},
      {{"int", 1}, [](V v) { return Json(to_int(as_json(v[0]))); }},
      {{"string", 1},
       [](V v) {
         const Json& value = as_json(v[0]);
         if (value.is_structured() || value.is_null()) throw Wrong("string() is for texts, numbers, true and false");
         return Json(value.is_string() ? as_text(value) : value.dump());
       }},
      {{"isSorted", 1}, [](V v) { return Json(is_sorted(as_json(v[0]))); }},
      {{"duration", 1},
       [](V v) -> Value {
         if (const auto d = parse_duration(as_text(v[0]))) return *d;
         throw Wrong("not a duration: " + as_text(v[0]));
       }},
      {{"timestamp", 1},
       [](V v) -> Value {
         if (const auto t = parse_time(as_text(v[0]))) return *t;
         throw Wrong("not a time: " + as_text(v[0]));
       }},
      {{"getHours", 2},
       [](V v) {
         const TimePoint* t = std::get_if<TimePoint>(&v[0]);
         if (!t) throw Wrong("getHours() is for times");
         return Json(hours_in(*t, as_text(v[1])));
       }},
  };
  return all;
}

}  // namespace mo::cel
