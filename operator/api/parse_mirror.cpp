// What a Model remembers of a registry that it tells what serves, and where a version was imported from. The
// tables are those of the CRDs, as in parse_modelops.cpp.
#include "operator/api/read.h"

namespace mo::api::read {

constexpr Field<MirroredVersion> kMirrored[] = {{"version", member<&MirroredVersion::version>},
                                                {"modelVersion", member<&MirroredVersion::name>},
                                                {"state", member<&MirroredVersion::state>},
                                                {"reason", member<&MirroredVersion::reason>}};
bool read(value& v, MirroredVersion& out, const Path& at) {
  return read_object(v, out, kMirrored, at) && !out.version.empty();
}

constexpr Field<MirrorStatus> kMirror[] = {
    {"registry", member<&MirrorStatus::registry>}, {"versions", member<&MirrorStatus::versions>},
    {"change", member<&MirrorStatus::change>},     {"written", member<&MirrorStatus::written>},
    {"writing", member<&MirrorStatus::writing>},   {"job", member<&MirrorStatus::job>},
    {"attempts", member<&MirrorStatus::attempts>}, {"retryAt", member<&MirrorStatus::retry_at>},
    {"message", member<&MirrorStatus::message>}};
bool read(value& v, MirrorStatus& out, const Path& at) { return read_object(v, out, kMirror, at); }

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
