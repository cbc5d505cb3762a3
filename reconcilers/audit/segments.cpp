#include "reconcilers/audit/segments.h"

#include <algorithm>
#include <array>

#include "reconcilers/audit/steering.h"
#include "reconcilers/audit/trail.h"

namespace mo::audit {
namespace {

constexpr std::array kEnds = {"Succeeded", "RolledBack", "Aborted", "Superseded", "Failed", "ApprovalRejected", "Retired", "Pruned"};
constexpr size_t kHashShown = 10;
constexpr size_t kSegmentBytes = 100u << 10;
constexpr size_t kSeqDigits = 6;  // so that names sort as their records do

bool ends_segment(const std::string& line) { return std::find(kEnds.begin(), kEnds.end(), action_of(line)) != kEnds.end(); }

Json render(const api::Model& model, const api::AuditStatus& audit, size_t size, const std::string& name,
            const Settings& settings) {
  const SigningKey* key = settings.key.get();
  const auto end = audit.records.begin() + static_cast<std::ptrdiff_t>(size);
  const int64_t last = audit.first() + static_cast<int64_t>(size) - 1;
  const std::string head = hash_in(*(end - 1)), of = model.meta.key.to_string();
  Json spec = {{"model", {{"name", model.meta.key.name}, {"uid", model.meta.uid}}},
               {"first", audit.first()},
               {"last", last},
               {"prev", prev_in(audit.records.front())},
               {"head", head},
               {"records", std::vector<std::string>(audit.records.begin(), end)}};
  if (key)
    spec["signature"] = {
        {"algorithm", "Ed25519"}, {"keyID", key->id()}, {"value", key->sign(checkpoint(of, model.meta.uid, last, head))}};
  // Without an owner: it outlives its Model.
  Json metadata = {{"name", name},
                   {"namespace", model.meta.key.ns},
                   {"labels", {{api::kLabelManagedBy, api::kFieldManager}, {api::kLabelModel, model.meta.key.name}}}};
  if (!settings.installation.empty()) metadata["annotations"] = {{api::kAnnotationInstallation, settings.installation}};
  return {{"apiVersion", api::kApiVersion}, {"kind", "ModelAudit"}, {"metadata", std::move(metadata)}, {"spec", std::move(spec)}};
}

}  // namespace

size_t segment_size(const api::AuditStatus& audit) {
  size_t bytes = 0;
  for (size_t i = 0; i < audit.records.size(); ++i) {
    bytes += audit.records[i].size();
    if (i + 1 == kSegment || bytes >= kSegmentBytes || ends_segment(audit.records[i])) return i + 1;
  }
  return 0;
}

std::string segment_name(const std::string& model, const api::AuditStatus& audit, size_t size) {
  const std::string head = hash_in(audit.records[size - 1]);
  std::string number = std::to_string(audit.first() + static_cast<int64_t>(size) - 1);
  if (number.size() < kSeqDigits) number.insert(0, kSeqDigits - number.size(), '0');
  const size_t colon = head.find(':');
  return model + "-" + number + "-" + head.substr(colon == std::string::npos ? 0 : colon + 1, kHashShown);
}

void drop_sealed(api::AuditStatus& audit, const Observed& o) {
  while (const size_t size = segment_size(audit)) {
    if (!o.audits.count(segment_name(o.key.name, audit, size))) return;
    audit.records.erase(audit.records.begin(), audit.records.begin() + static_cast<std::ptrdiff_t>(size));
  }
}

std::vector<Action> seal(const Observed& o, const api::AuditStatus& pending, const Settings& settings) {
  std::vector<Action> actions;
  if (o.audits_denied) return actions;
  api::AuditStatus audit = pending;
  while (const size_t size = segment_size(audit)) {
    const std::string name = segment_name(o.key.name, audit, size);
    if (!o.audits.count(name)) {
      const std::string body = render(*o.model, audit, size, name, settings).dump();
      Apply apply{{Kind::ModelAudit, {o.key.ns, name}}, body, "", hash_of(body), "seal " + std::to_string(size) + " records"};
      apply.post = true;
      actions.push_back(std::move(apply));
    }
    audit.records.erase(audit.records.begin(), audit.records.begin() + static_cast<std::ptrdiff_t>(size));
  }
  return actions;
}

std::string unsealed(const Observed& o, const api::AuditStatus& audit) {
  const size_t size = segment_size(audit);
  if (size == 0) return "";
  const std::string waits = std::to_string(audit.records.size()) + " records are waiting in status.audit, which holds " +
                            std::to_string(kMostPending) + " at most";
  if (o.audits_denied)
    return "the operator may not watch ModelAudits, so it creates none: apply the CRDs and the operator's role of this version; " +
           waits;
  const std::string name = segment_name(o.key.name, audit, size);
  for (const Refusal& refusal : o.refusals)
    if (refusal.target == ObjectRef{Kind::ModelAudit, {o.key.ns, name}} && !o.audits.count(name))
      return refusal.target.to_string() + " cannot be created: " + refusal.error.message + "; " + waits;
  return "";
}

bool only_sealed(const Json& before, const Json& after) {
  const auto decided = [](const Json& audit) {
    return audit.is_object() ? std::pair(audit.value("seq", Json()), audit.value("rollout", Json())) : std::pair(Json(), Json());
  };
  return decided(before) == decided(after);
}

}  // namespace mo::audit
