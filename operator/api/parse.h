// Projection: one JSON object of the API server into one narrow struct, without a DOM. Thread-safe (no shared state but a
// thread-local parser). Errors are ErrorKind::Malformed. Unknown fields are passed over.
#pragma once

#include <string_view>

#include "operator/api/types.h"
#include "operator/core/result.h"

namespace mo::api {

// The kinds that stores hold.
template <class T>
struct KindOf;
template <> struct KindOf<Model> { static constexpr Kind value = Kind::Model; };
template <> struct KindOf<ModelVersion> { static constexpr Kind value = Kind::ModelVersion; };
template <> struct KindOf<ModelRollout> { static constexpr Kind value = Kind::ModelRollout; };
template <> struct KindOf<ModelRuntime> { static constexpr Kind value = Kind::ModelRuntime; };
template <> struct KindOf<Deployment> { static constexpr Kind value = Kind::Deployment; };
template <> struct KindOf<Service> { static constexpr Kind value = Kind::Service; };
template <> struct KindOf<Job> { static constexpr Kind value = Kind::Job; };
template <> struct KindOf<Pod> { static constexpr Kind value = Kind::Pod; };
template <> struct KindOf<ConfigMap> { static constexpr Kind value = Kind::ConfigMap; };

// `json` is one complete object; it need not be padded.
template <class T>
Result<T> parse(std::string_view json);

}  // namespace mo::api
