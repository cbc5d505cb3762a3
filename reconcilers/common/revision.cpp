#include "reconcilers/common/revision.h"

namespace mo {

bool same(const std::optional<api::Revision>& a, const std::optional<api::Revision>& b) {
  return a && b && !a->name.empty() && a->name == b->name;
}

}  // namespace mo
