// Fields of statuses: one row of a table reads a field and writes it. Private to the api room; statuses.h is what others call.
//
// A row of `stored` leaves out what says nothing: an empty text, list or map, no value, 0, false. One of `always` writes that, too.
#pragma once

#include "operator/api/read.h"
#include "operator/json/json.h"

namespace mo::api::read {

// Where a value goes. It makes the overloads below found wherever a row is.
struct Out {
  Json& json;
};

constexpr size_t kLargestRaw = 4u << 20;

// ---- leaves and compositions: false if the value says nothing ----

inline bool write(const std::string& value, Out out) { return out.json = value, !value.empty(); }
inline bool write(bool value, Out out) { return out.json = value, value; }
inline bool write(int value, Out out) { return out.json = value, value != 0; }
inline bool write(int64_t value, Out out) { return out.json = value, value != 0; }
inline bool write(TimePoint value, Out out) { return out.json = format_time(value), true; }
inline bool write(Duration value, Out out) { return out.json = format_duration(value), true; }
inline bool write(const std::map<std::string, std::string>& value, Out out) { return out.json = value, !value.empty(); }

template <class T>
bool write(const std::optional<T>& value, Out out) {
  if (value) write(*value, out);
  return value.has_value();
}

template <class T>
bool write(const std::vector<T>& values, Out out) {
  out.json = Json::array();
  for (const T& value : values) {
    Json one;
    write(value, Out{one});
    out.json.push_back(std::move(one));
  }
  return !values.empty();
}

bool write(const LifecycleStatus& from, Out out);
bool write(const MirrorStatus& from, Out out);
bool write(const AuditStatus& from, Out out);
bool write(const Artifact& from, Out out);

// JSON that was kept as text.
inline bool write_raw(const RawJson& text, Out out) {
  if (text.empty()) return false;
  Result<Json> value = parse_json(text, kLargestRaw);
  if (!value || value->empty()) return false;
  out.json = std::move(*value);
  return true;
}

template <class T, size_t N>
bool write_object(const T& value, const Field<T> (&table)[N], Out out) {
  out.json = Json::object();
  for (const Field<T>& field : table)
    if (field.writer) field.writer(value, out.json, field.name);
  return !out.json.empty();
}

template <class T, size_t N>
Json json_of(const T& value, const Field<T> (&table)[N]) {
  Json out;
  write_object(value, table, Out{out});
  return out;
}

// ---- rows ----

template <auto Member>
using ObjectOf = typename OwnerOf<decltype(Member)>::type;

inline void put(Json& object, std::string_view name, bool says_something, Json&& value) {
  if (says_something) object[std::string(name)] = std::move(value);
}

template <auto Member>
constexpr Field<ObjectOf<Member>> stored(std::string_view name) {
  return {name, member<Member>, [](const ObjectOf<Member>& from, Json& object, std::string_view field) {
            Json value;
            const bool says = write(from.*Member, Out{value});
            put(object, field, says, std::move(value));
          }};
}

template <auto Member>
constexpr Field<ObjectOf<Member>> always(std::string_view name) {
  return {name, member<Member>, [](const ObjectOf<Member>& from, Json& object, std::string_view field) {
            Json value;
            write(from.*Member, Out{value});
            put(object, field, true, std::move(value));
          }};
}

template <auto Member>
constexpr Field<ObjectOf<Member>> stored_raw(std::string_view name) {
  return {name, raw_member<Member>, [](const ObjectOf<Member>& from, Json& object, std::string_view field) {
            Json value;
            const bool says = write_raw(from.*Member, Out{value});
            put(object, field, says, std::move(value));
          }};
}

// A time that people wrote: with its fraction of a second cut off it would look like another one for ever.
template <auto Member>
constexpr Field<ObjectOf<Member>> exact(std::string_view name) {
  return {name, member<Member>, [](const ObjectOf<Member>& from, Json& object, std::string_view field) {
            if (from.*Member) put(object, field, true, format_exact_time(*(from.*Member)));
          }};
}

template <auto Member, const auto& Table>
constexpr Field<ObjectOf<Member>> stored_word(std::string_view name) {
  return {name, word<Member, Table>, [](const ObjectOf<Member>& from, Json& object, std::string_view field) {
            for (const auto& [text, meaning] : Table)
              if (meaning == from.*Member) put(object, field, true, std::string(text));
          }};
}

// An object whose fields are members of the struct around it.
template <const auto& Table>
constexpr auto group(std::string_view name) {
  using T = typename std::remove_cvref_t<decltype(Table[0])>::Object;
  return Field<T>{name, into<Table, T>, [](const T& from, Json& object, std::string_view field) {
                    Json value;
                    const bool says = write_object(from, Table, Out{value});
                    put(object, field, says, std::move(value));
                  }};
}

}  // namespace mo::api::read
