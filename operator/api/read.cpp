#include "operator/api/read.h"

#include <limits>
#include <memory>

#include "operator/core/text.h"
#include "operator/json/canonical.h"
#include "operator/json/json.h"

namespace mo::api::read {
namespace {

// Larger than what the API server stores in one object (1.5 MB).
constexpr size_t kMaxDocument = 8u << 20;
// What a thread keeps for the next document.
constexpr size_t kKeptCapacity = 256u << 10;
constexpr int kMaxDepth = 128;  // of raw parts, which are built to be sorted

std::string shortened(std::string_view text) {
  return whole_characters(text, 80) + (text.size() > 80 ? "…" : "");
}

// simdjson says these of values that are whole but not what was asked for; everything else speaks of broken
// text.
bool is_mismatch(simdjson::error_code error) {
  return error == simdjson::INCORRECT_TYPE || error == simdjson::NUMBER_ERROR ||
         error == simdjson::NUMBER_OUT_OF_RANGE || error == simdjson::NO_SUCH_FIELD;
}

template <class Number>
bool read_number(value& v, Number& out, const Path& at) {
  int64_t found = 0;
  if (const auto error = v.get_int64().get(found)) {
    at.mismatch(v, error, "a whole number");
    return false;
  }
  if (found < std::numeric_limits<Number>::min() || found > std::numeric_limits<Number>::max()) {
    at.blame(std::to_string(found) + " is out of range");
    return false;
  }
  out = static_cast<Number>(found);
  return true;
}

bool read_text(value& v, std::string_view& out, const Path& at) {
  if (const auto error = v.get_string().get(out)) {
    at.mismatch(v, error, "a text");
    return false;
  }
  return true;
}

template <class T, class Parse>
bool read_parsed(value& v, T& out, const Path& at, const Parse& parse, const char* wanted) {
  std::string_view text;
  if (!read_text(v, text, at)) return false;
  const auto parsed = parse(text);
  if (!parsed) {
    at.blame("\"" + shortened(text) + "\" is not " + wanted);
    return false;
  }
  out = *parsed;
  return true;
}

// Text that simdjson may read a few bytes beyond, and its parser.
struct Reader {
  std::string padded;
  simdjson::ondemand::parser parser;

  simdjson::padded_string_view pad(std::string_view json) {
    padded.assign(json);
    padded.resize(json.size() + simdjson::SIMDJSON_PADDING);
    return simdjson::padded_string_view(padded.data(), json.size(), padded.size());
  }
};

void walk(Reader& reader, std::string_view json, const Path& root,
          const std::function<void(simdjson::ondemand::object&, const Path&)>& visit) {
  simdjson::ondemand::document document;
  simdjson::ondemand::object object;
  auto error = reader.parser.iterate(reader.pad(json)).get(document);
  if (!error) error = document.get_object().get(object);
  if (error) return root.broken(error);
  visit(object, root);
  if (root.report().broken.empty() && document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
    root.report().broken = "text follows the object";
  }
}

// ---- metadata ----

struct Metadata {
  ObjectMeta meta;
  Extra extra;
};

struct Owner {
  std::string uid;
  bool controller = false;
};
constexpr Field<Owner> kOwner[] = {{"uid", member<&Owner::uid>}, {"controller", member<&Owner::controller>}};

void read_owners(value& v, Metadata& out, const Path& at) {
  each_item(v, at, [&](value& item, const Path& here) {
    Owner owner;
    read_object(item, owner, kOwner, here);
    if (owner.controller) out.meta.controller_uid = owner.uid;
  });
}

void read_finalizers(value& v, Metadata& out, const Path& at) {
  each_item(v, at, [&](value& item, const Path& here) {
    std::string name;
    if (read(item, name, here)) out.meta.finalizers.push_back(std::move(name));
  });
}

void read_labels(value& v, Metadata& out, const Path& at) {
  static constexpr Field<Extra> kLabels[] = {
      {kLabelModel, member<&Extra::model>},       {kLabelVersion, member<&Extra::version>},
      {kLabelRevision, member<&Extra::revision>}, {kLabelTemplateHash, member<&Extra::template_hash>},
      {kLabelOrigin, member<&Extra::origin>},     {kLabelGateOf, member<&Extra::gate_of>},
      {kLabelJobOf, member<&Extra::job_of>},      {kLabelMirrorOf, member<&Extra::mirror_of>},
      {kLabelService, member<&Extra::service>}};
  read_object(v, out.extra, kLabels, at);
}

void read_annotations(value& v, Metadata& out, const Path& at) {
  static constexpr Field<Extra> kAnnotations[] = {{kAnnotationApplied, member<&Extra::applied_hash>},
                                                  {kAnnotationNotSticky, member<&Extra::sessions_refused>},
                                                  {kAnnotationCopyOf, member<&Extra::copy_of>},
                                                  {kAnnotationCopiedAt, member<&Extra::copied_at>},
                                                  {kAnnotationGate, member<&Extra::gate>},
                                                  {kAnnotationChangedBy, member<&Extra::changed_by>},
                                                  {kAnnotationSteeredBy, member<&Extra::steered_by>},
                                                  {kAnnotationExported, member<&Extra::exported>},
                                                  {kAnnotationInstallation, member<&Extra::installation>}};
  read_object(v, out.extra, kAnnotations, at);
}

// One entry of managedFields, narrowed to the question whether it owns a part of spec.
struct Manager {
  std::string name, subresource;
  bool owns_spec = false;
  std::optional<TimePoint> time;
};

void read_owned_spec(value& v, Manager& out, const Path& at) {
  simdjson::ondemand::object fields;
  if (v.get_object().get(fields)) return;
  each_field(fields, at, [&](std::string_view key, value&) {
    if (key != "f:replicas" && key != ".") out.owns_spec = true;
  });
}
constexpr Field<Manager> kOwnedFields[] = {{"f:spec", read_owned_spec}};
constexpr Field<Manager> kManager[] = {{"manager", member<&Manager::name>},
                                       {"subresource", member<&Manager::subresource>},
                                       {"time", member<&Manager::time>},
                                       {"fieldsV1", into<kOwnedFields>}};

void read_managers(value& v, Metadata& out, const Path& at) {
  each_item(v, at, [&](value& item, const Path& here) {
    Manager manager;
    read_object(item, manager, kManager, here);
    const bool elsewhere = manager.subresource == "status" || manager.subresource == "scale";
    if (!manager.owns_spec || elsewhere) return;
    if (manager.name == kFieldManager)
      out.extra.applied_at = manager.time;
    else
      out.extra.foreign_spec_manager = true;
  });
}

void read_deletion(value& v, Metadata& out, const Path& at) {
  std::string time;
  if (read(v, time, at)) out.meta.deleting = true;
}

template <auto Member>
void meta_member(value& v, Metadata& out, const Path& at) {
  read(v, out.meta.*Member, at);
}
void read_name(value& v, Metadata& out, const Path& at) { read(v, out.meta.key.name, at); }
void read_generate_name(value& v, Metadata& out, const Path& at) { read(v, out.extra.generate_name, at); }
void read_namespace(value& v, Metadata& out, const Path& at) { read(v, out.meta.key.ns, at); }

constexpr Field<Metadata> kMetadata[] = {
    {"name", read_name},
    {"generateName", read_generate_name},
    {"namespace", read_namespace},
    {"uid", meta_member<&ObjectMeta::uid>},
    {"resourceVersion", meta_member<&ObjectMeta::resource_version>},
    {"generation", meta_member<&ObjectMeta::generation>},
    {"creationTimestamp", meta_member<&ObjectMeta::created>},
    {"deletionTimestamp", read_deletion},
    {"ownerReferences", read_owners},
    {"finalizers", read_finalizers},
    {"labels", read_labels},
    {"annotations", read_annotations},
    {"managedFields", read_managers},
};

}  // namespace

std::string Path::text() const {
  if (parent_ == nullptr) return "";
  const std::string before = parent_->text();
  if (name_.empty()) return before + "[" + std::to_string(index_) + "]";
  return before.empty() ? std::string(name_) : before + "." + std::string(name_);
}

bool Path::under_people() const {
  if (parent_ == nullptr) return false;
  if (parent_->parent_ == nullptr) return name_ == "spec";
  if (parent_->parent_->parent_ == nullptr && name_ == "policy") return parent_->name_ == "status";
  return parent_->under_people();
}

void Path::blame(const std::string& problem) const {
  if (report_.problem.empty() && under_people()) report_.problem = text() + ": " + problem;
}

void Path::mismatch(value& found, simdjson::error_code error, const char* wanted) const {
  if (!is_mismatch(error)) return broken(error);
  bool null = false;
  if (const auto type = found.type(); type.error() == simdjson::SUCCESS)
    null = type.value_unsafe() == simdjson::ondemand::json_type::null;
  if (!null) blame(std::string("is not ") + wanted);
}

void Path::broken(simdjson::error_code error) const {
  if (report_.broken.empty())
    report_.broken = std::string(simdjson::error_message(error)) + (parent_ ? " at " + text() : "");
}

bool read(value& v, std::string& out, const Path& at) {
  std::string_view text;
  if (!read_text(v, text, at)) return false;
  out.assign(text);
  return true;
}

bool read(value& v, bool& out, const Path& at) {
  if (const auto error = v.get_bool().get(out)) {
    at.mismatch(v, error, "true or false");
    return false;
  }
  return true;
}

bool read(value& v, int& out, const Path& at) { return read_number(v, out, at); }
bool read(value& v, int64_t& out, const Path& at) { return read_number(v, out, at); }
bool read(value& v, Decimal& out, const Path& at) {
  return read_parsed(v, out, at, Decimal::parse, "a decimal number");
}
bool read(value& v, Duration& out, const Path& at) {
  return read_parsed(v, out, at, parse_duration, "a duration such as 90s or 1h30m");
}
bool read(value& v, TimePoint& out, const Path& at) {
  return read_parsed(v, out, at, parse_time, "a time such as 2026-11-22T09:00:00Z");
}

bool read(value& v, std::map<std::string, std::string>& out, const Path& at) {
  simdjson::ondemand::object object;
  if (const auto error = v.get_object().get(object)) {
    at.mismatch(v, error, "an object");
    return false;
  }
  each_field(object, at, [&](std::string_view key, value& item) {
    std::string text;
    if (read(item, text, Path(at, key))) out.insert_or_assign(std::string(key), std::move(text));
  });
  return true;
}

bool canonical(std::string_view text, RawJson& out, const Path& at) {
  if (text.size() <= kMaxDocument && json::is_canonical(text, kMaxDepth)) {
    out.assign(text);
    out.shrink_to_fit();
    return true;
  }
  const auto parsed = parse_json(text, kMaxDocument, kMaxDepth);
  if (!parsed) {
    at.report().broken = parsed.error().message + " at " + at.text();
    return false;
  }
  out = parsed->dump(-1, ' ', false, Json::error_handler_t::replace);
  out.shrink_to_fit();
  return true;
}

std::string_view raw_text(value& v, const Path& at) {
  std::string_view text;
  if (const auto error = simdjson::to_json_string(v).get(text)) {
    at.broken(error);
    return {};
  }
  return text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
}

bool read_raw(value& v, RawJson& out, const Path& at) {
  const std::string_view text = raw_text(v, at);
  return !text.empty() && text != "null" && canonical(text, out, at);
}

namespace {
constexpr EnumNames<bool> kHeaderMatch[] = {{"Exact", false}, {"RegularExpression", true}};
constexpr Field<HeaderMatch> kHeader[] = {{"name", member<&HeaderMatch::name>},
                                          {"value", member<&HeaderMatch::value>},
                                          {"type", word<&HeaderMatch::regular_expression, kHeaderMatch>}};
}  // namespace
bool read(value& v, HeaderMatch& out, const Path& at) { return read_object(v, out, kHeader, at); }

void read_metadata(value& v, ObjectMeta& out, Extra& extra, const Path& at) {
  Metadata metadata;
  read_object(v, metadata, kMetadata, at);
  out = std::move(metadata.meta);
  extra = std::move(metadata.extra);
}

Result<void> read_document(std::string_view json, Report& report,
                           const std::function<void(simdjson::ondemand::object&, const Path&)>& visit) {
  if (json.size() > kMaxDocument)
    return fail(ErrorKind::Malformed, "an object of " + std::to_string(json.size()) + " bytes");
  const Path root(report);
  if (json.size() > kKeptCapacity) {
    const auto once = std::make_unique<Reader>();
    walk(*once, json, root, visit);
  } else {
    static thread_local Reader kept;
    walk(kept, json, root, visit);
  }
  if (!report.broken.empty())
    return fail(ErrorKind::Malformed, "the object cannot be read: " + report.broken);
  return {};
}

}  // namespace mo::api::read
