#include "plugin/trail.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>

#include "operator/core/ed25519.h"
#include "plugin/fields.h"

namespace mo::plugin {
namespace {

constexpr std::streamoff kLargestKey = 1 << 16;

std::vector<std::string> texts(const Json& object, const char* path) {
  std::vector<std::string> all;
  for (const Json& item : items(object, path)) all.push_back(item.is_string() ? item.get<std::string>() : item.dump());
  return all;
}

audit::Segment segment_of(const Json& object, const std::string& ns) {
  audit::Segment s;
  s.name = name_of(object);
  s.model = ns + "/" + text(object, "spec.model.name");
  s.uid = text(object, "spec.model.uid");
  s.first = number(object, "spec.first");
  s.last = number(object, "spec.last");
  s.prev = text(object, "spec.prev");
  s.head = text(object, "spec.head");
  s.records = texts(object, "spec.records");
  s.key_id = text(object, "spec.signature.keyID");
  s.signature = text(object, "spec.signature.value");
  return s;
}

// What waits in the status. Of what a ModelAudit holds already some may still be there.
std::optional<audit::Segment> pending_of(const Json& model, const Trail& trail, int64_t sealed) {
  audit::Segment s;
  s.pending = true;
  s.model = trail.model;
  s.uid = trail.uid;
  s.records = texts(model, "status.audit.records");
  s.last = number(model, "status.audit.seq");
  s.head = text(model, "status.audit.head");
  if (s.last < static_cast<int64_t>(s.records.size()) || s.last >= int64_t{1} << 53) return std::nullopt;
  s.first = s.last - static_cast<int64_t>(s.records.size()) + 1;
  const int64_t twice = sealed < s.first ? 0 : std::min(sealed - s.first + 1, static_cast<int64_t>(s.records.size()));
  s.records.erase(s.records.begin(), s.records.begin() + static_cast<std::ptrdiff_t>(twice));
  s.first += twice;
  if (s.records.empty()) return std::nullopt;
  s.prev = audit::prev_in(s.records.front());
  return s;
}

std::string told_as(const Json& record) {
  return text(record, "action") + " by " + text(record, "actor") + " at " + text(record, "time") + " (record " +
         text(record, "seq") + "): " + text(record, "why");
}

}  // namespace

Trail trail_of(const std::string& ns, const std::string& name, const std::optional<Json>& model, const std::vector<Json>& audits,
               const std::string& uid) {
  Trail trail;
  trail.model = ns + "/" + name;
  std::map<std::string, std::string> uids;  // the newest ModelAudit of each
  for (const Json& object : audits) {
    std::string& newest = uids[text(object, "spec.model.uid")];
    newest = std::max(newest, text(object, "metadata.creationTimestamp"));
  }
  trail.uid = !uid.empty() ? uid : model ? text(*model, "metadata.uid") : "";
  if (trail.uid.empty() && !uids.empty())
    trail.uid =
        std::max_element(uids.begin(), uids.end(), [](const auto& a, const auto& b) { return a.second < b.second; })->first;
  for (const auto& [other, newest] : uids)
    if (other != trail.uid) trail.others.push_back(other);
  for (const Json& object : audits) {
    if (text(object, "spec.model.uid") != trail.uid) continue;
    trail.objects.push_back(object);
    trail.segments.push_back(segment_of(object, ns));
  }
  std::sort(trail.segments.begin(), trail.segments.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  if (!model || text(*model, "metadata.uid") != trail.uid) return trail;
  if (const Json* audit = field(*model, "status.audit")) trail.status = *audit;
  trail.seq = number(*model, "status.audit.seq");
  trail.head = text(*model, "status.audit.head");
  int64_t sealed = 0;
  for (const auto& segment : trail.segments) sealed = std::max(sealed, segment.last);
  if (auto pending = pending_of(*model, trail, sealed)) trail.segments.push_back(std::move(*pending));
  return trail;
}

namespace {

Result<std::optional<Json>> find_model(Session& session, const std::string& name) {
  auto found = get(session, Kind::Model, name);
  if (found) return std::optional<Json>(std::move(*found));
  if (found.error().kind == ErrorKind::NotFound) return std::optional<Json>();
  return fail(found.error());
}

}  // namespace

// The Model first: what is sealed meanwhile is then in both, not in none.
Result<Trail> read_trail(Session& session, const std::string& name, const std::string& uid) {
  auto model = find_model(session, name);
  if (!model) return fail(model.error());
  kube::ListOptions options;
  options.label_selector = std::string(api::kLabelModel) + "=" + name;
  const auto audits = list(session, Kind::ModelAudit, options);
  if (!audits) return fail(audits.error());
  if (!*model && audits->empty()) return refuse("no Model is named " + name + ", and no ModelAudit of a deleted one exists");
  Trail trail = trail_of(session.ns, name, *model, *audits, uid);
  const bool went_on = trail.seq > 0 && std::any_of(trail.segments.begin(), trail.segments.end(),
                                                    [&](const auto& s) { return s.last > trail.seq; });
  if (!went_on) return trail;
  if (model = find_model(session, name); !model) return fail(model.error());
  return trail_of(session.ns, name, *model, *audits, uid);
}

std::vector<Json> records_of(const Trail& trail) {
  std::map<int64_t, Json> all;
  for (const auto& segment : trail.segments)
    for (const std::string& line : segment.records)
      if (auto record = parse_json(line, audit::kLargestRecord); record && record->is_object())
        all.emplace(number(*record, "seq"), std::move(*record));
  std::vector<Json> records;
  for (auto& [seq, record] : all) records.push_back(std::move(record));
  return records;
}

Result<audit::Verified> verify(const Trail& trail, const std::vector<std::string>& public_keys) {
  return audit::verify(trail.segments, {trail.model, trail.uid, trail.seq, trail.head, public_keys});
}

std::vector<std::string> lines_of(const audit::Verified& verified, bool signatures_checked) {
  std::vector<std::string> lines;
  const std::string signatures = !signatures_checked          ? "; signatures were not checked: set --public-key"
                                 : verified.signed_up_to == 0 ? "; no record is signed"
                                                              : "; signed up to record " + std::to_string(verified.signed_up_to);
  if (verified.records == 0)
    lines.push_back("no records yet");
  else if (verified.findings.empty())
    lines.push_back("complete: records " + std::to_string(verified.first) + " to " + std::to_string(verified.last) + signatures +
                    (verified.pruned == 0 ? "" : "; those up to " + std::to_string(verified.pruned) + " were exported and pruned, as record " +
                                                     std::to_string(verified.pruned_by) + " says") +
                    (verified.end_known ? "" : "; the Model was deleted, so later records may be missing"));
  for (const auto& finding : verified.findings) lines.push_back(std::string(audit::to_string(finding.is)) + ": " + finding.what);
  return lines;
}

std::vector<std::string> served_at(const Trail& trail, TimePoint at) {
  std::optional<Json> last;
  const std::vector<Json> records = records_of(trail);
  for (const Json& record : records) {
    const auto time = time_of(record, "time");
    const Json evidence = record.value("evidence", Json::object());
    if (time && *time <= at && evidence.is_object() && evidence.contains("serves")) last = record;
  }
  const std::string when = "at " + format_time(at) + " ";
  const std::string earlier = records.empty() || number(records.front(), "seq") <= 1 ? "" : "; records up to " +
      std::to_string(number(records.front(), "seq") - 1) + " are not here any more: see the export";
  if (!last) return {when + "no version is recorded as serving" + earlier};
  if (text(*last, "evidence.serves.version").empty()) return {when + "no version served: " + told_as(*last)};
  const std::string digest = text(*last, "evidence.serves.digest");
  // A record of action Pruned repeats what serves; since when is in one that went.
  const std::string since = text(*last, "action") == "Pruned" ? " served, since before record " + text(*last, "seq") + earlier : " served, since " + text(*last, "time");
  std::vector<std::string> lines = {when + text(*last, "evidence.serves.version") + (digest.empty() ? "" : " (" + digest + ")") + since};
  const std::string rollout = text(*last, "object.kind") == "ModelRollout" ? text(*last, "object.uid") : "";
  for (const Json& record : records) {
    const std::string action = text(record, "action");
    const bool told = action == "RolloutStarted" || action == "Approved" || action == "GatesSkipped";
    if (!rollout.empty() && told && text(record, "object.uid") == rollout) lines.push_back("  " + told_as(record));
  }
  lines.push_back("  " + told_as(*last));
  for (const Json& gate : items(*last, "evidence.gates"))
    lines.push_back("  gate " + text(gate, "name") + ": " + text(gate, "verdict") +
                    (text(gate, "value").empty() ? "" : ", " + text(gate, "value")));
  return lines;
}

Result<std::vector<std::string>> read_keys(const std::vector<std::string>& files) {
  std::vector<std::string> keys;
  for (const std::string& name : files) {
    std::ifstream file(name, std::ios::binary | std::ios::ate);
    if (!file || file.tellg() > kLargestKey) return fail(ErrorKind::Invalid, "--public-key " + name + " cannot be read");
    file.seekg(0);
    keys.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    if (const auto read = PublicKey::read(keys.back()); !read) return fail(read.error().kind, "--public-key " + name + " " + read.error().message);
  }
  return keys;
}

}  // namespace mo::plugin
