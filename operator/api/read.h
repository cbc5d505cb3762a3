// How parse_*.cpp read: one table of names and readers a JSON object, walked once over the text. Private to
// the api module.
//
// A reader that finds another type than it wants (or null) leaves the target as it was. The walk goes on: one
// bad field must not hide the rest of an object from its reconciler. What cannot be read in a part of the
// object that a person wrote becomes Report::problem.
#pragma once

#include <simdjson.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "operator/api/parse.h"
#include "operator/api/types.h"
#include "operator/core/result.h"
#include "operator/json/json.h"

namespace mo::api::read {

using simdjson::ondemand::value;

// What is found out on the way besides the object itself.
struct Report {
  std::string problem;           // the first; for people
  std::string broken;            // the text is not JSON: nothing of it can be trusted
  Coverage* coverage = nullptr;  // if set: is filled
};

// Where in the object: "spec.rollout.gates[1].min". Lives on the stack, a frame each level.
class Path {
 public:
  explicit Path(Report& report) : report_(report) {}
  Path(const Path& parent, std::string_view name) : report_(parent.report_), parent_(&parent), name_(name) {}
  Path(const Path& parent, size_t index) : report_(parent.report_), parent_(&parent), index_(index) {}

  Report& report() const { return report_; }
  std::string text() const;
  // Says that `found` is not what should stand here, if a person wrote it.
  void blame(const std::string& problem) const;
  // A reader that wanted `wanted` got `error` instead. Null is as good as absent.
  void mismatch(value& found, simdjson::error_code error, const char* wanted) const;
  // The text itself is wrong.
  void broken(simdjson::error_code error) const;

 private:
  bool under_people() const;  // spec, or the policy that a rollout took a snapshot of
  Report& report_;
  const Path* parent_ = nullptr;
  std::string_view name_;
  size_t index_ = 0;
};

// ---- leaves: true if `out` was set ----

bool read(value& v, std::string& out, const Path& at);
bool read(value& v, bool& out, const Path& at);
bool read(value& v, int& out, const Path& at);
bool read(value& v, int64_t& out, const Path& at);
bool read(value& v, Decimal& out, const Path& at);
bool read(value& v, Duration& out, const Path& at);
bool read(value& v, TimePoint& out, const Path& at);
bool read(value& v, std::map<std::string, std::string>& out, const Path& at);
// Any value as canonical JSON text (sorted keys, no blanks).
bool read_raw(value& v, RawJson& out, const Path& at);
// As text that is complete but not canonical; valid until the next parse on this thread.
std::string_view raw_text(value& v, const Path& at);
bool canonical(std::string_view text, RawJson& out, const Path& at);

// ---- objects ----

template <class T>
struct Field {
  using Object = T;
  std::string_view name;
  void (*reader)(value& v, T& out, const Path& at);
  void (*writer)(const T& from, Json& object, std::string_view name) = nullptr;  // of a status (stored.h)
};

template <class Visitor>
void each_field(simdjson::ondemand::object& object, const Path& at, const Visitor& visit) {
  for (auto field : object) {
    std::string_view key;
    value v;
    simdjson::error_code error = field.unescaped_key().get(key);
    if (!error) error = field.value().get(v);
    if (error) return at.broken(error);
    visit(key, v);
    if (!at.report().broken.empty()) return;
  }
}

template <class T, size_t N>
void read_fields(simdjson::ondemand::object& object, T& out, const Field<T> (&table)[N], const Path& at) {
  Coverage* const coverage = at.report().coverage;
  bool seen[N] = {};
  each_field(object, at, [&](std::string_view key, value& v) {
    const auto* field =
        std::find_if(std::begin(table), std::end(table), [&](const Field<T>& f) { return f.name == key; });
    const Path here(at, key);
    if (field != std::end(table)) {
      seen[field - table] = true;
      field->reader(v, out, here);
    } else if (coverage != nullptr) {
      coverage->unread.push_back(here.text());
    }
  });
  for (size_t i = 0; coverage != nullptr && i < N; ++i) {
    if (!seen[i]) coverage->absent.push_back(Path(at, table[i].name).text());
  }
}

template <class T, size_t N>
bool read_object(value& v, T& out, const Field<T> (&table)[N], const Path& at) {
  simdjson::ondemand::object object;
  if (const auto error = v.get_object().get(object)) {
    at.mismatch(v, error, "an object");
    return false;
  }
  read_fields(object, out, table, at);
  return true;
}

// As read_object, and keeps the whole of it as canonical text.
template <class T, size_t N>
bool read_object_and_raw(value& v, T& out, RawJson& raw, const Field<T> (&table)[N], const Path& at) {
  simdjson::ondemand::object object;
  if (const auto error = v.get_object().get(object)) {
    at.mismatch(v, error, "an object");
    return false;
  }
  std::string_view text;
  if (const auto error = object.raw_json().get(text)) return at.broken(error), false;
  if (!canonical(text, raw, at)) return false;
  if (const auto error = object.reset().error()) return at.broken(error), false;
  read_fields(object, out, table, at);
  return true;
}

template <class Visitor>
void each_item(value& v, const Path& at, const Visitor& visit) {
  simdjson::ondemand::array array;
  if (const auto error = v.get_array().get(array)) return at.mismatch(v, error, "a list");
  size_t index = 0;
  for (auto element : array) {
    value item;
    if (const auto error = element.get(item)) return at.broken(error);
    visit(item, Path(at, index++));
    if (!at.report().broken.empty()) return;
  }
}

// ---- compositions; they find `read` of a struct by its namespace ----

template <class T>
bool read(value& v, std::optional<T>& out, const Path& at) {
  T found{};
  if (!read(v, found, at)) return false;
  out = std::move(found);
  return true;
}

template <class T>
bool read(value& v, std::vector<T>& out, const Path& at) {
  each_item(v, at, [&](value& item, const Path& here) {
    T found{};
    if (read(item, found, here)) out.push_back(std::move(found));
  });
  out.shrink_to_fit();
  return true;
}

// The reader of one member: {"name", member<&Gate::name>}.
template <class>
struct OwnerOf;
template <class T, class M>
struct OwnerOf<M T::*> {
  using type = T;
};
template <auto Member>
void member(value& v, typename OwnerOf<decltype(Member)>::type& out, const Path& at) {
  read(v, out.*Member, at);
}
template <auto Member>
void raw_member(value& v, typename OwnerOf<decltype(Member)>::type& out, const Path& at) {
  read_raw(v, out.*Member, at);
}
// An object whose fields go into the struct around it: {"runtime", into<kRuntimeRef>}.
template <const auto& Table, class T>
void into(value& v, T& out, const Path& at) {
  read_object(v, out, Table, at);
}

// A word of a fixed set: {"onFailure", word<&RolloutPolicy::on_failure, kOnFailure>}.
template <class E>
using EnumNames = std::pair<std::string_view, E>;
template <auto Member, const auto& Table>
void word(value& v, typename OwnerOf<decltype(Member)>::type& out, const Path& at) {
  std::string text;
  if (!read(v, text, at)) return;
  for (const auto& [name, meaning] : Table) {
    if (name == text) return void(out.*Member = meaning);
  }
  std::string wanted;
  for (const auto& entry : Table) wanted += (wanted.empty() ? "" : ", ") + std::string(entry.first);
  at.blame("\"" + text + "\" is not one of " + wanted);
}

bool read(value& v, HeaderMatch& out, const Path& at);
bool read(value& v, Lifecycle& out, const Path& at);
bool read(value& v, LifecycleStatus& out, const Path& at);
bool read(value& v, MirrorStatus& out, const Path& at);
void read_origin(value& v, LineageFacts& out, const Path& at);
bool read(value& v, AuditStatus& out, const Path& at);
bool read(value& v, CountedSteering& out, const Path& at);
bool read(value& v, Condition& out, const Path& at);
bool read(value& v, Artifact& out, const Path& at);
bool read(value& v, Retraining& out, const Path& at);

// ---- metadata, and the whole ----

// Labels, annotations and managed fields as far as a kind wants them.
struct Extra {
  std::string model, version, revision, template_hash, origin, gate_of, job_of, mirror_of, service;  // labels
  std::string applied_hash, copy_of, copied_at, sessions_refused, gate, changed_by, steered_by, exported, installation;  // annotations
  std::string generate_name;
  bool foreign_spec_manager = false;
  std::optional<TimePoint> applied_at;  // by us, to spec
};
void read_metadata(value& v, ObjectMeta& out, Extra& extra, const Path& at);

// Walks `json` with `visit(object, path)`; an error if the text is broken.
Result<void> read_document(std::string_view json, Report& report,
                           const std::function<void(simdjson::ondemand::object&, const Path&)>& visit);

// An object together with what its metadata said of it.
template <class T>
struct Root {
  T object;
  Extra extra;
};
template <class T>
void root_metadata(value& v, Root<T>& out, const Path& at) {
  read_metadata(v, out.object.meta, out.extra, at);
}
// {"spec", root_part<kModelSpec>}
template <const auto& Table, class T>
void root_part(value& v, Root<T>& out, const Path& at) {
  read_object(v, out.object, Table, at);
}
// For apiVersion and kind: who asks knows them.
template <class T>
void ignored(value&, T&, const Path&) {}

template <class T, size_t N>
Result<Root<T>> read_root(std::string_view json, const Field<Root<T>> (&table)[N], Report& report) {
  Root<T> root;
  const auto done = read_document(json, report, [&](simdjson::ondemand::object& object, const Path& at) {
    read_fields(object, root, table, at);
  });
  if (!done) return fail(done.error());
  if (root.object.meta.key.name.empty()) return fail(ErrorKind::Malformed, "the object has no metadata.name");
  return root;
}

}  // namespace mo::api::read
