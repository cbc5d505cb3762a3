// Projection: one JSON object of the API server into one narrow struct, without a DOM. Thread-safe (no shared
// state but a thread-local parser, which keeps at most a few hundred kB a thread). Errors are
// ErrorKind::Malformed: the text is not JSON, not an object, or has no metadata.name. Anything else that is
// not what it should be (admission lets it not happen) leaves its field at the default; within the spec of a
// Model, ModelRollout or gate set the first such field is named in `problem`. Null is as good as absent.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "operator/api/policies.h"
#include "operator/api/types.h"
#include "operator/core/result.h"

namespace mo::api {

// The kinds that stores hold.
template <class T>
struct KindOf;
template <>
struct KindOf<Model> {
  static constexpr Kind value = Kind::Model;
};
template <>
struct KindOf<ModelVersion> {
  static constexpr Kind value = Kind::ModelVersion;
};
template <>
struct KindOf<ModelRollout> {
  static constexpr Kind value = Kind::ModelRollout;
};
template <>
struct KindOf<ModelRuntime> {
  static constexpr Kind value = Kind::ModelRuntime;
};
template <>
struct KindOf<ModelGateSet> {
  static constexpr Kind value = Kind::ModelGateSet;
};
template <>
struct KindOf<ClusterModelGateSet> {
  static constexpr Kind value = Kind::ClusterModelGateSet;
};
template <>
struct KindOf<ModelPolicy> {
  static constexpr Kind value = Kind::ModelPolicy;
};
template <>
struct KindOf<ModelApproval> {
  static constexpr Kind value = Kind::ModelApproval;
};
template <>
struct KindOf<Deployment> {
  static constexpr Kind value = Kind::Deployment;
};
template <>
struct KindOf<Service> {
  static constexpr Kind value = Kind::Service;
};
template <>
struct KindOf<HttpRoute> {
  static constexpr Kind value = Kind::HttpRoute;
};
template <>
struct KindOf<EndpointSlice> {
  static constexpr Kind value = Kind::EndpointSlice;
};
template <>
struct KindOf<Autoscaler> {
  static constexpr Kind value = Kind::HorizontalPodAutoscaler;
};
template <>
struct KindOf<Job> {
  static constexpr Kind value = Kind::Job;
};
template <>
struct KindOf<Pod> {
  static constexpr Kind value = Kind::Pod;
};
template <>
struct KindOf<ConfigMap> {
  static constexpr Kind value = Kind::ConfigMap;
};

// How well a text and the parser's tables agree; for the test that holds the CRDs against the parser.
struct Coverage {
  std::vector<std::string> unread;  // paths in the text that no table names: "spec.lineage.code"
  std::vector<std::string>
      absent;  // paths that a table names and that the text lacks, though it has the object around them
};

// `json` is one complete object of at most 8 MB; it need not be padded. `coverage` costs time; leave it out.
template <class T>
Result<T> parse(std::string_view json, Coverage* coverage = nullptr);

}  // namespace mo::api
