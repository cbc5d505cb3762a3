#include "operator/api/namespace.h"

#include <algorithm>

#include "operator/api/parse.h"
#include "operator/api/read.h"

namespace mo::api {

// As metav1.LabelSelector has it: what is not there is in no list, and in each that it is not to be in.
bool LabelSelector::matches(const Labels& labels) const {
  const auto has = [&](const auto& wanted) {
    const auto found = labels.find(wanted.first);
    return found != labels.end() && found->second == wanted.second;
  };
  const auto meets = [&](const Expression& e) {
    const auto found = labels.find(e.key);
    const bool listed = found != labels.end() && std::find(e.values.begin(), e.values.end(), found->second) != e.values.end();
    if (e.op == "In") return listed;
    if (e.op == "NotIn") return !listed;
    return (found != labels.end()) == (e.op == "Exists");
  };
  return std::all_of(match_labels.begin(), match_labels.end(), has) &&
         std::all_of(expressions.begin(), expressions.end(), meets);
}

namespace read {

// Of other kinds nobody reads labels but our own.
constexpr Field<Namespace> kNamespaceMetadata[] = {
    {"name", [](value& v, Namespace& out, const Path& at) { read(v, out.meta.key.name, at); }},
    {"uid", [](value& v, Namespace& out, const Path& at) { read(v, out.meta.uid, at); }},
    {"resourceVersion", [](value& v, Namespace& out, const Path& at) { read(v, out.meta.resource_version, at); }},
    {"creationTimestamp", [](value& v, Namespace& out, const Path& at) { read(v, out.meta.created, at); }},
    {"labels", member<&Namespace::labels>}};
constexpr Field<Namespace> kNamespace[] = {{"metadata", into<kNamespaceMetadata>}};

}  // namespace read

template <>
Result<Namespace> parse<Namespace>(std::string_view json, Coverage* coverage) {
  read::Report report{{}, {}, coverage};
  Namespace found;
  const auto done = read::read_document(json, report, [&](simdjson::ondemand::object& object, const read::Path& at) {
    read::read_fields(object, found, read::kNamespace, at);
  });
  if (!done) return fail(done.error());
  if (found.meta.key.name.empty()) return fail(ErrorKind::Malformed, "the object has no metadata.name");
  return found;
}

}  // namespace mo::api
