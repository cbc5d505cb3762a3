#include "reconcilers/common/installation.h"
#include "reconcilers/common/status_write.h"

#include "operator/json/json.h"

namespace mo {

Handling handling(const api::Model& model, const Installation& installation) {
  const std::string& on_record = model.status.handled_by;
  const bool ours = !installation.name.empty() && on_record == installation.name;
  if (model.operator_class != installation.operator_class) return ours ? Handling::ToRelease : Handling::OfAnotherClass;
  const bool another = !installation.name.empty() && !on_record.empty() && !ours;
  return another && !installation.take_over ? Handling::OfAnother : Handling::Ours;
}

Plan release(const api::Model& model) {
  Result<Json> status = parse_json(model.status.raw, 4u << 20);
  if (!status || !status->is_object()) return {};  // the API server stores no other
  status->erase("operator");
  Plan plan;
  write_status(plan.actions, Kind::Model, model.meta, model.status.raw, status->dump(),
               "spec.operatorClass is \"" + model.operator_class + "\" now: another installation may handle it");
  return plan;
}

std::string stays_out(const api::Model& model, const Installation& installation) {
  return "operator installation " + installation.name + " ignores this Model, because status.operator names installation " +
         model.status.handled_by + " as the one that handles it; give one of them an --operator-class and set spec.operatorClass of the Model to it, or run " +
         installation.name + " with --take-over";
}

}  // namespace mo
