// Readers of one parse_*.cpp that another uses.
#pragma once

#include "operator/api/policies.h"
#include "operator/api/stored.h"

namespace mo::api::read {

inline constexpr EnumNames<RolloutPolicy::Strategy> kStrategies[] = {{"Canary", RolloutPolicy::Strategy::Canary},
                                                                 {"BlueGreen", RolloutPolicy::Strategy::BlueGreen},
                                                                 {"Shadow", RolloutPolicy::Strategy::Shadow},
                                                                 {"Recreate", RolloutPolicy::Strategy::Recreate}};

bool read(value& v, Condition& out, const Path& at);         // parse_modelops.cpp
bool read(value& v, Revision& out, const Path& at);
bool read(value& v, Gate& out, const Path& at);              // parse_gates.cpp
bool read(value& v, RolloutPolicy& out, const Path& at);
bool read(value& v, Monitor& out, const Path& at);
bool read(value& v, GateSetRef& out, const Path& at);
bool read(value& v, GovernanceRecord& out, const Path& at);  // parse_governance.cpp
bool read(value& v, AwaitedApproval& out, const Path& at);

bool write(const Condition& from, Out out);
bool write(const Revision& from, Out out);
bool write(const GovernanceRecord& from, Out out);
bool write(const AwaitedApproval& from, Out out);

}  // namespace mo::api::read
