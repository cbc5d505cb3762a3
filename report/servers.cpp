#include "report/servers.h"

#include <algorithm>
#include <cctype>

#include "operator/json/fields.h"

namespace mo::report {
namespace {

using fields::items;
using fields::text;

enum class Mark { Image, Label };  // a part of the image's name without registry and tag; a label's key
struct Pattern {
  const char* product;
  Mark mark;
  const char* value;
};

// The first that fits counts: what was deployed by a platform is known by that before its server is.
constexpr Pattern kPatterns[] = {
    {"KServe", Mark::Label, "serving.kserve.io/inferenceservice"},
    {"KServe", Mark::Image, "kserve/"},
    {"Seldon", Mark::Label, "seldon-deployment-id"},
    {"Seldon", Mark::Label, "seldon-server-name"},
    {"Seldon", Mark::Image, "seldonio/"},
    {"BentoML", Mark::Label, "yatai.ai/bento-deployment"},
    {"BentoML", Mark::Image, "bentoml"},
    {"NVIDIA NIM", Mark::Image, "nim/"},
    {"Triton", Mark::Image, "tritonserver"},
    {"MLServer", Mark::Image, "mlserver"},
    {"vLLM", Mark::Image, "vllm"},
    {"Text Generation Inference", Mark::Image, "text-generation-inference"},
    {"Text Embeddings Inference", Mark::Image, "text-embeddings-inference"},
    {"Ollama", Mark::Image, "ollama/"},
    {"SGLang", Mark::Image, "sglang"},
    {"llama.cpp", Mark::Image, "llama.cpp"},
    {"TensorFlow Serving", Mark::Image, "tensorflow/serving"},
    {"TorchServe", Mark::Image, "torchserve"},
    {"OpenVINO Model Server", Mark::Image, "openvino/model_server"},
    {"Ray Serve", Mark::Label, "ray.io/serve"},
    {"MLflow", Mark::Image, "mlflow"},
    {"model-server", Mark::Image, "model-server"},
    {"model-operator sklearn", Mark::Image, "model-operator-sklearn"},
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// "nvcr.io/nvidia/tritonserver:24.05@sha256:…" without registry, tag and digest: a registry's name must not count.
std::string path_of(std::string image) {
  image = image.substr(0, image.find('@'));
  const size_t slash = image.find('/');
  const std::string first = image.substr(0, slash);
  if (slash != std::string::npos && (first.find('.') != std::string::npos || first.find(':') != std::string::npos || first == "localhost"))
    image = image.substr(slash + 1);
  const size_t colon = image.rfind(':');
  if (colon != std::string::npos && image.find('/', colon) == std::string::npos) image.resize(colon);
  return lower(image);
}

std::optional<std::string> fits(const Pattern& pattern, const Json& pod) {
  if (pattern.mark == Mark::Label) {
    const Json* labels = fields::field(pod, "metadata.labels");
    if (labels && labels->is_object() && labels->contains(pattern.value)) return "label " + std::string(pattern.value);
    return {};
  }
  for (const Json& container : items(pod, "spec.containers")) {
    const std::string image = text(container, "image");
    if (path_of(image).find(pattern.value) != std::string::npos) return "image " + image;
  }
  return {};
}

}  // namespace

std::optional<Seen> model_server(const Json& pod) {
  const std::string phase = text(pod, "status.phase");
  if (phase == "Succeeded" || phase == "Failed") return {};
  for (const Pattern& pattern : kPatterns)
    if (const auto why = fits(pattern, pod)) return Seen{pattern.product, *why};
  return {};
}

std::string model_of(const Json& pod) {
  const Json* labels = fields::field(pod, "metadata.labels");
  if (!labels || !labels->is_object()) return "";
  for (const char* key : {"modelops.dev/model", "modelops.dev/job-of"})
    if (const auto it = labels->find(key); it != labels->end() && it->is_string()) return it->get<std::string>();
  return "";
}

std::pair<std::string, std::string> workload_of(const Json& pod) {
  for (const Json& owner : items(pod, "metadata.ownerReferences")) {
    const Json* controller = fields::field(owner, "controller");
    if (!controller || !controller->is_boolean() || !controller->get<bool>()) continue;
    const std::string kind = text(owner, "kind"), name = text(owner, "name");
    // A Deployment's ReplicaSet bears its name and a hash of the template.
    const std::string hash = text(pod, "metadata.labels.pod-template-hash");
    if (kind == "ReplicaSet" && !hash.empty() && name.ends_with("-" + hash)) return {"Deployment", name.substr(0, name.size() - hash.size() - 1)};
    return {kind, name};
  }
  return {"Pod", text(pod, "metadata.name")};
}

}  // namespace mo::report
