// The Kubernetes objects that serve a version. Pure; the bodies are what we apply, complete.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "operator/api/types.h"
#include "operator/core/result.h"
#include "operator/json/json.h"
#include "reconcilers/common/observed.h"
#include "reconcilers/serving/ground.h"

namespace mo::serving {

struct Settings {
  std::string fetch_image;  // our own image, for the init container that brings and verifies the artifact
};

struct Rendered {
  Json body;
  std::string hash;  // of all but the replicas
};

// The ModelRuntime that serves this format: the named one, else the highest priority among those that list
// the format, then the name. ErrorKind::NotFound with what is missing.
Result<Ref<api::ModelRuntime>> choose_runtime(const api::Model& model, const api::Format& format,
                                              const std::vector<Ref<api::ModelRuntime>>& runtimes);

// ErrorKind::Invalid when the artifact's URI or the runtime's template cannot be used.
Result<Rendered> render_deployment(const api::Model& model, const api::ModelVersion& version,
                                   const api::ModelRuntime& runtime, const Settings& settings);
// Sets what render_deployment leaves open.
void set_replicas(Json& deployment, int replicas);

// `version` empty: selects every version's pods, so that replicas are the weight.
Rendered render_service(const api::Model& model, const std::string& name, const std::string& version);

// One rule for everybody, these Services, port 80, with these weights; before it the one for chosen callers. ErrorKind::Invalid
// when parentRefs cannot be used.
Result<Rendered> render_route(const api::Model& model, const std::map<std::string, int>& weights, const Apart& apart);

// apiVersion, kind, metadata with our labels and the Model as controlling owner.
Json object_of(const api::Model& model, Kind kind, const std::string& name);

}  // namespace mo::serving
