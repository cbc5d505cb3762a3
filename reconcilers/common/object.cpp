#include "reconcilers/common/object.h"

#include "operator/core/kinds.h"

namespace mo {

Json object_of(const api::Model& model, Kind kind, const std::string& name) {
  const KindInfo& k = info(kind);
  return {{"apiVersion", k.api_version()},
          {"kind", k.kind},
          {"metadata",
           {{"name", name},
            {"namespace", model.meta.key.ns},
            {"labels", {{api::kLabelManagedBy, "model-operator"}, {api::kLabelModel, model.meta.key.name}}},
            {"ownerReferences",
             {{{"apiVersion", api::kApiVersion},
               {"kind", "Model"},
               {"name", model.meta.key.name},
               {"uid", model.meta.uid},
               {"controller", true},
               {"blockOwnerDeletion", true}}}}}}};
}

}  // namespace mo
