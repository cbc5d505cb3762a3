// The Kubernetes objects that serve a version. Pure; the bodies are what we apply, complete.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "operator/api/types.h"
#include "operator/core/result.h"
#include "operator/json/json.h"
#include "reconcilers/audit/trail.h"
#include "reconcilers/common/installation.h"
#include "reconcilers/common/object.h"
#include "reconcilers/common/observed.h"
#include "reconcilers/serving/serving_state.h"

namespace mo::serving {

struct Settings {
  std::string fetch_image;  // our own image, for the init container that brings and verifies the artifact
  Installation installation = {};
  audit::Settings audit = {};
};

struct Rendered {
  Json body;
  std::string hash;  // of all but the replicas
  std::map<std::string, bool> unpinned;  // ConfigMaps that still want a copy: whether pods start without them
};

// A copy of a ConfigMap for one version.
struct Copied {
  std::string name;
  Json body;
};

// The ModelRuntime that serves this format: the named one, else the highest priority among those that list
// the format, then the name. ErrorKind::NotFound with what is missing.
Result<Ref<api::ModelRuntime>> choose_runtime(const api::Model& model, const api::Format& format,
                                              const std::vector<Ref<api::ModelRuntime>>& runtimes);

// A template by itself, as spec.serving.template and ModelRuntime.spec.template have it. ErrorKind::Invalid with the path of what is
// wrong: read_pod_template() and check_reserved().
Result<Json> read_template(const api::Model& model);
Result<Json> read_template(const api::ModelRuntime& runtime);

// A hash of what spec.serving says of how pods are made: the runtime that it names, its template, pinConfig and ociArtifacts.
std::string asked_of(const api::Model& model);

// The name of the revision that `version` has by what Model and runtime say now. What the operator adds of its own counts for nothing: its
// image, labels and annotations; nor do fields that say what the API server takes for granted. ErrorKind::Invalid when the artifact's URI or a template cannot be used.
Result<std::string> revision_name(const api::Model& model, const api::ModelVersion& version, const api::ModelRuntime& runtime);

// All its names, the present one first: operators of before took a field that says what the API server takes for granted for another revision, and what they
// made is not to be rolled out anew. None where the templates cannot be used.
std::vector<std::string> revision_names(const api::Model& model, const api::ModelVersion& version, const api::ModelRuntime& runtime);
// Whether it has that name.
bool is_revision(const std::string& name, const api::Model& model, const api::ModelVersion& version, const api::ModelRuntime& runtime);

// The same with its pod template, for a Deployment of the version's own name. `unlabelled`: as an operator made it that knew no revisions.
Result<api::Revision> make_revision(const api::Model& model, const api::ModelVersion& version, const api::ModelRuntime& runtime,
                                    const Settings& settings, bool unlabelled = false);

// One that was on record without its pod template: what Model and runtime say now, under the names of then.
Result<api::Revision> make_revision_as(const api::Model& model, const api::ModelVersion& version, const api::ModelRuntime& runtime,
                                       const Settings& settings, const api::Revision& record);

// ErrorKind::Invalid when the revision's template cannot be read. `copies`: what the template calls a ConfigMap -> the copy to name in its
// place. `in_place`: pods of an old template go before those of the new one come.
Result<Rendered> render_deployment(const api::Model& model, const std::string& version, const api::Revision& revision,
                                   const std::map<std::string, std::string>& copies = {}, bool in_place = false);
// Of what Model and runtime say now.
Result<Rendered> render_deployment(const api::Model& model, const api::ModelVersion& version,
                                   const api::ModelRuntime& runtime, const Settings& settings,
                                   const std::map<std::string, std::string>& copies = {}, bool in_place = false);
// For the pods of a Job: fetches and verifies the artifact as for serving, in an init container of that role, and mounts it in every
// container at /artifact/<role>. ErrorKind::Invalid when a URI or a size cannot be used.
struct Mounted {
  std::string path;  // of its file or folder
  std::vector<std::pair<std::string, std::string>> parts;  // as part_variables() of fetching.h
};
Result<Mounted> mount_artifact(Json& pod_spec, const api::Artifact& artifact, const std::vector<api::Part>& parts, const std::string& role,
                               const Settings& settings);
// Sets what render_deployment leaves open.
void set_replicas(Json& deployment, int replicas);

// `side` empty: selects every side's pods, so that replicas are the weight. `template_hash`: of pods without a revision, where others of
// their version are there. A Service that the Model took over has
// no owner as long as it is to be given back; it keeps its ports: the one named http, or else 80, or else the only one leads to the pods.
Rendered render_service(const api::Model& model, const std::string& name, const std::string& side, const std::string& template_hash = "");

// One rule for everybody, these Services, port 80, with these weights; before it the one for chosen callers. ErrorKind::Invalid
// when parentRefs cannot be used. `sticky` false: without the sessionPersistence that spec.serving.route names, and marked so.
Result<Rendered> render_route(const api::Model& model, const std::map<std::string, int>& weights, const RouteRules& rules, bool sticky,
                              const std::map<std::string, std::string>& headers = {});
// Tells one wish of sessionPersistence from another; empty: there is none.
std::string session_wish(const api::Model& model);

// An immutable copy, for the pods of this side, of ConfigMap `source`: `content` is its data as AskConfig gives it
// ("null": there is none, and the pods do without), `source_version` its resourceVersion. Of the same content it has
// the same name.
Result<Copied> render_copy(const api::Model& model, const std::string& side, const std::string& source,
                           const std::string& source_version, const std::string& content);

// Of the Model as a whole, by its scale subresource. ErrorKind::Invalid when its metrics or behaviour cannot be read.
Result<Rendered> render_autoscaler(const api::Model& model);

// An adopted Service as it was: the body for an apply by UID, which takes back what else we had applied.
Result<Json> render_returned_service(const api::Model& model);
// Why a Service with these ports cannot be taken over; empty if it can.
std::string ports_problem(const Json& ports, bool routed);
// Labels that the pods of every version bear, as far as the Model says.
Json labels_of_pods(const api::Model& model);

// All that Pod Security's level "restricted" asks of a container of our image, whatever the rest of the pod says.
Json restricted(const Json& pod_security);

// With the hash of what it says, by which it is known again.
Rendered sealed(Json body);

}  // namespace mo::serving
