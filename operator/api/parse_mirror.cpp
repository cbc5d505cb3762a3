// What a Model remembers of a registry that it tells what serves, and where a version was imported from. The
// tables are those of the CRDs, as in parse_modelops.cpp.
#include "operator/api/statuses.h"
#include "operator/api/stored.h"

namespace mo::api::read {

constexpr Field<MirroredVersion> kMirrored[] = {always<&MirroredVersion::version>("version"),
                                                always<&MirroredVersion::name>("modelVersion"),
                                                always<&MirroredVersion::state>("state"),
                                                always<&MirroredVersion::reason>("reason")};
bool read(value& v, MirroredVersion& out, const Path& at) {
  return read_object(v, out, kMirrored, at) && !out.version.empty();
}
bool write(const MirroredVersion& from, Out out) { return write_object(from, kMirrored, out); }

constexpr Field<MirrorStatus> kMirror[] = {
    always<&MirrorStatus::registry>("registry"), stored<&MirrorStatus::versions>("versions"),
    always<&MirrorStatus::change>("change"),     always<&MirrorStatus::written>("written"),
    stored<&MirrorStatus::writing>("writing"),   stored<&MirrorStatus::job>("job"),
    stored<&MirrorStatus::attempts>("attempts"), stored<&MirrorStatus::retry_at>("retryAt"),
    stored<&MirrorStatus::message>("message")};
bool read(value& v, MirrorStatus& out, const Path& at) { return read_object(v, out, kMirror, at); }
bool write(const MirrorStatus& from, Out out) { return write_object(from, kMirror, out) && !from.registry.empty() && (from.change > 0 || !from.versions.empty()); }

// Of spec.lineage.run.parameters, which may be a hundred, and none of which anybody else reads.
void read_origin(value& v, LineageFacts& out, const Path& at) {
  simdjson::ondemand::object object;
  if (const auto error = v.get_object().get(object)) return at.mismatch(v, error, "an object");
  RegistryOrigin origin;
  each_field(object, at, [&](std::string_view name, value& item) {
    std::string* const into = name == "mlflow_url"       ? &origin.url
                              : name == "mlflow_model"   ? &origin.model
                              : name == "mlflow_version" ? &origin.version
                                                         : nullptr;
    if (into) read(item, *into, Path(at, name));
  });
  if (!origin.url.empty() && !origin.model.empty() && !origin.version.empty())
    out.registry = std::make_shared<const RegistryOrigin>(std::move(origin));
}

}  // namespace mo::api::read

namespace mo::api {

Json to_json(const MirrorStatus& mirror) {
  Json out;
  return read::write(mirror, read::Out{out}) ? out : nullptr;
}

}  // namespace mo::api
