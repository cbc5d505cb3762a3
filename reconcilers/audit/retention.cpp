#include "reconcilers/audit/retention.h"

#include <algorithm>
#include <map>
#include <sstream>

namespace mo::audit {
namespace {

// Each time costs a record and its ModelAudit: so many are to go at once, or they are overdue.
constexpr size_t kFewest = 2, kAtOnce = 10;
Duration overdue_after(Duration keep) { return std::min<Duration>(std::chrono::hours(24), keep / 10); }
constexpr size_t kMostDeletes = 100;  // in one plan; the next one goes on

struct Held {
  Ref<api::ModelAudit> object;
  Exported exported;
};

// By the UID of their Model, the oldest records first. Those that were not exported have no UID.
struct Trails {
  std::map<std::string, std::vector<Held>> by_uid;
  bool some_not_exported = false;
};

Trails trails_of(const Observed& o) {
  Trails trails;
  for (const auto& object : o.audit_objects) {
    if (object->meta.deleting) continue;
    if (auto e = exported(object->exported))
      trails.by_uid[e->uid].push_back({object, std::move(*e)});
    else
      trails.some_not_exported = true;
  }
  for (auto& [uid, held] : trails.by_uid)
    std::sort(held.begin(), held.end(), [](const Held& a, const Held& b) { return a.exported.last < b.exported.last; });
  return trails;
}

std::optional<Duration> kept(const Observed& o, const Settings& settings) {
  return o.audits_kept ? o.audits_kept : settings.keep;
}
// Nobody knows which policies were theirs, and whoever makes a Model anew must not shorten what holds for the one before.
std::optional<Duration> others_kept(const Observed& o, const Settings& settings) {
  if (!o.others_audits_kept || !settings.keep) return o.others_audits_kept ? o.others_audits_kept : settings.keep;
  return std::max(*o.others_audits_kept, *settings.keep);
}

std::string uid_of(const Observed& o) { return o.model ? o.model->meta.uid : ""; }

Delete removal(const Ref<api::ModelAudit>& object, const std::string& why) {
  return {{Kind::ModelAudit, object->meta.key}, object->meta.uid, why, object->meta.resource_version};
}

}  // namespace

std::optional<Exported> exported(const std::string& annotation) {
  std::istringstream words(annotation);
  std::string time, more;
  Exported out;
  if (!(words >> time >> out.uid >> out.first >> out.last >> out.head) || words >> more) return {};
  const auto at = parse_time(time);
  if (!at || out.first < 1 || out.last < out.first) return {};
  out.at = *at;
  return out;
}

Prunable prunable(const Observed& o, const Settings& settings, TimePoint now) {
  const auto keep = kept(o, settings);
  if (!keep || !o.model || o.audits_denied || !unsealed(o, o.model->status.audit).empty()) return {};
  Trails trails = trails_of(o);
  const auto own = trails.by_uid.find(uid_of(o));
  if (own == trails.by_uid.end()) return {};
  const std::vector<Held>& held = own->second;
  Prunable out;
  out.through = o.model->status.audit.pruned;
  out.first = out.through + 1;
  TimePoint oldest = now;
  for (size_t i = 0; i + 1 < held.size(); ++i) {
    const Held& one = held[i];
    if (one.exported.last <= o.model->status.audit.pruned) continue;  // it goes already
    // What is missing between two of them was not exported yet, or somebody deleted it: no record is to hide that.
    if (one.exported.first != out.through + 1 || one.object->meta.created + *keep > now) break;
    if (out.objects++ == 0) oldest = one.object->meta.created;
    out.through = one.exported.last;
    out.head = one.exported.head;
  }
  const bool overdue = oldest + *keep + overdue_after(*keep) <= now;
  if (out.objects < kFewest || (out.objects < kAtOnce && !overdue)) return {};
  return out;
}

std::string stopped(const Observed& o, const Settings& settings, TimePoint now) {
  const auto keep = kept(o, settings);
  if (!keep || !o.model || o.audits_denied) return "";
  const Trails trails = trails_of(o);
  const auto own = trails.by_uid.find(uid_of(o));
  // One that was not exported yet may be what is missing.
  if (own == trails.by_uid.end() || trails.some_not_exported) return "";
  int64_t through = o.model->status.audit.pruned;
  for (size_t i = 0; i + 1 < own->second.size(); ++i) {
    const Held& one = own->second[i];
    if (one.exported.last <= through) continue;
    if (one.object->meta.created + *keep > now) return "";
    if (one.exported.first != through + 1)
      return "ModelAudits are never deleted from record " + std::to_string(one.exported.first) +
             " on, because no ModelAudit holds records " + std::to_string(through + 1) + " to " +
             std::to_string(one.exported.first - 1) +
             ": it was deleted, or the records were dropped. Compare with the export, and delete those that are "
             "older than " +
             format_duration(*keep) + " by hand (ClusterRole model-operator-audit-pruner)";
    through = one.exported.last;
  }
  return "";
}

std::optional<Event> tell_stopped(const Observed& o, const std::string& why) {
  const auto& conditions = o.model->status.conditions;
  const bool known = std::any_of(conditions.begin(), conditions.end(),
                                 [](const api::Condition& c) { return c.type == "Audited" && c.reason == kRetentionStopped; });
  if (why.empty() || known) return {};
  return Event{{Kind::Model, o.key}, o.model->meta.uid, true, kRetentionStopped, why};
}

std::vector<Action> prune(const Observed& o, const api::AuditStatus* audit, const Settings& settings, TimePoint now) {
  std::vector<Action> actions;
  if (o.audits_denied || o.audit_objects.empty()) return actions;
  const auto keep = others_kept(o, settings);
  if (!keep && (!audit || audit->pruned == 0)) return actions;
  const Trails trails = trails_of(o);
  for (const auto& [uid, held] : trails.by_uid) {
    const bool own = audit && uid == uid_of(o);
    // One that was not exported may belong to any of them.
    const bool over =
        !own && keep && settings.prune_others && !trails.some_not_exported &&
        std::all_of(held.begin(), held.end(), [&](const Held& one) { return one.object->meta.created + *keep <= now; });
    for (const Held& one : held) {
      if (actions.size() == kMostDeletes) return actions;
      if (own && one.exported.last <= audit->pruned)
        actions.push_back(
            removal(one.object, "exported, and retention has passed: prunedThrough is " + std::to_string(audit->pruned)));
      else if (over)
        actions.push_back(removal(one.object, "exported, and retention has passed; its Model was deleted"));
    }
  }
  return actions;
}

std::optional<TimePoint> prunes_next(const Observed& o, const Settings& settings, TimePoint now) {
  std::optional<TimePoint> next;
  const auto take = [&](TimePoint at) {
    if (at > now && (!next || at < *next)) next = at;
  };
  if (o.audits_denied || o.audit_objects.empty()) return next;
  const auto keep = kept(o, settings), others = others_kept(o, settings);
  if (!keep && !others) return next;
  for (const auto& [uid, held] : trails_of(o).by_uid) {
    const bool own = o.model && uid == uid_of(o);
    if (own && keep)
      for (const Held& one : held) {
        take(one.object->meta.created + *keep);
        take(one.object->meta.created + *keep + overdue_after(*keep));
      }
    if (!own && others)
      for (const Held& one : held) take(one.object->meta.created + *others);
  }
  return next;
}

}  // namespace mo::audit
