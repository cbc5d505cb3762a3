#include "plugin/crds.h"

#include <stdexcept>

#include "operator/yaml/yaml.h"
#include "plugin/fields.h"

namespace mo::plugin {
namespace {

Crd read_crd(std::string_view text_of_it) {
  const auto documents = yaml::read(std::string(text_of_it));
  if (!documents || documents->size() != 1) throw std::logic_error("a CRD was not read");
  const Json& crd = documents->front().value;
  Crd out;
  out.kind = text(crd, "spec.names.kind");
  out.names = {text(crd, "spec.names.plural"), text(crd, "spec.names.singular")};
  for (const Json& name : items(crd, "spec.names.shortNames")) out.names.push_back(name.get<std::string>());
  out.version = items(crd, "spec.versions").at(0);
  out.api_version = text(crd, "spec.group") + "/" + text(out.version, "name");
  out.namespaced = text(crd, "spec.scope") == "Namespaced";
  out.schema = *field(out.version, "schema.openAPIV3Schema");
  return out;
}

}  // namespace

const std::vector<Crd>& crds() {
  static const std::vector<Crd> all = [] {
    std::vector<Crd> read;
    for (const std::string_view text : kCrdTexts) read.push_back(read_crd(text));
    return read;
  }();
  return all;
}

const Crd* crd_of(std::string_view kind) {
  for (const Crd& crd : crds())
    if (crd.kind == kind) return &crd;
  return nullptr;
}

}  // namespace mo::plugin
