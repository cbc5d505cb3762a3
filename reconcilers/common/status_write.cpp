#include "reconcilers/common/status_write.h"

namespace mo {

WriteStatus* write_status(std::vector<Action>& actions, Kind kind, const api::ObjectMeta& meta, const RawJson& before, RawJson next, std::string why) {
  if (next == before) return nullptr;
  actions.push_back(WriteStatus{{kind, meta.key}, meta.uid, meta.resource_version, std::move(next), std::move(why)});
  return &std::get<WriteStatus>(actions.back());
}

}  // namespace mo
