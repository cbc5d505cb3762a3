// spec.lifecycle and status.lifecycle of a Model.
#include "operator/api/parse.h"
#include "operator/api/read.h"

namespace mo::api::read {

using Stage = Lifecycle::Stage;
constexpr EnumNames<Stage> kStages[] = {{"Development", Stage::Development},
                                    {"Staging", Stage::Staging},
                                    {"Production", Stage::Production},
                                    {"Deprecated", Stage::Deprecated},
                                    {"Retired", Stage::Retired}};
constexpr Field<Lifecycle> kLifecycle[] = {
    {"stage", word<&Lifecycle::stage, kStages>},
    {"deprecateAt", member<&Lifecycle::deprecate_at>},
    {"retireAt", member<&Lifecycle::retire_at>},
    {"reviewBy", member<&Lifecycle::review_by>},
    {"successor", member<&Lifecycle::successor>},
};
bool read(value& v, Lifecycle& out, const Path& at) { return read_object(v, out, kLifecycle, at); }

constexpr Field<LifecycleStatus> kLifecycleStatus[] = {
    {"stage", member<&LifecycleStatus::stage>},
    {"since", member<&LifecycleStatus::since>},
    {"notices", member<&LifecycleStatus::notices>},
    {"announced", member<&LifecycleStatus::announced>},
};
bool read(value& v, LifecycleStatus& out, const Path& at) { return read_object(v, out, kLifecycleStatus, at); }

}  // namespace mo::api::read
