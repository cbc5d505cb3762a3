// spec.lifecycle and status.lifecycle of a Model.
#include "operator/api/parse.h"
#include "operator/api/stored.h"

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
    always<&LifecycleStatus::stage>("stage"),
    stored<&LifecycleStatus::since>("since"),
    stored<&LifecycleStatus::notices>("notices"),
    stored<&LifecycleStatus::announced>("announced"),
};
bool read(value& v, LifecycleStatus& out, const Path& at) { return read_object(v, out, kLifecycleStatus, at); }
bool write(const LifecycleStatus& from, Out out) { return write_object(from, kLifecycleStatus, out) && !from.stage.empty(); }

}  // namespace mo::api::read
