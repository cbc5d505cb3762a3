// How pending records are cut into ModelAudits. For this folder alone. Pure.
#pragma once

#include <string>

#include "reconcilers/common/observed.h"

namespace mo::audit {

// How many of the oldest pending records are a segment; 0: none is complete.
size_t segment_size(const api::AuditStatus& audit);

// Of the ModelAudit of the first `size` pending records.
std::string segment_name(const std::string& model, const api::AuditStatus& audit, size_t size);

// Takes out what ModelAudits hold that are seen.
void drop_sealed(api::AuditStatus& audit, const Observed& observed);

}  // namespace mo::audit
