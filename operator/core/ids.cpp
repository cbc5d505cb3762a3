#include "operator/core/ids.h"

namespace mo {

const KindInfo& info(Kind kind) {
  static constexpr KindInfo kRows[] = {
#define MO_ROW(name, type, store, group, version, plural, text, scope, watched, present) \
  {group, version, plural, text, Scope::scope == Scope::Namespaced, Watched::watched, Present::present},
      MODEL_OPERATOR_STORED_KINDS(MO_ROW)
#undef MO_ROW
#define MO_ROW(name, group, version, plural, text, scope) {group, version, plural, text, Scope::scope == Scope::Namespaced},
          MODEL_OPERATOR_OTHER_KINDS(MO_ROW)
#undef MO_ROW
  };
  return kRows[static_cast<size_t>(kind)];
}

std::string ObjectRef::to_string() const { return std::string(info(kind).kind) + " " + key.to_string(); }

bool rv_less(const std::string& a, const std::string& b) {
  if (a.size() != b.size()) return a.size() < b.size();
  return a < b;
}

}  // namespace mo
