#include "plugin/audit.h"

#include "plugin/fields.h"
#include "plugin/names.h"
#include "plugin/show.h"
#include "plugin/trail.h"

namespace mo::plugin {
namespace {

void say(Session& session, const std::vector<std::string>& lines) {
  for (const std::string& line : lines) session.out << printable(line) << "\n";
}

void print_records(Session& session, const Trail& trail, const std::string& output) {
  if (output == "jsonl") {  // byte for byte what the hashes are of
    for (const auto& segment : trail.segments)
      for (const std::string& line : segment.records) session.out << line << "\n";
    return;
  }
  const std::vector<Json> records = records_of(trail);
  if (output == "json") {
    session.out << Json(records).dump(2) << "\n";
    return;
  }
  std::vector<std::vector<std::string>> rows;
  for (const Json& r : records)
    rows.push_back({text(r, "seq"), text(r, "time"), text(r, "action"), text(r, "actor"),
                    text(r, "object.kind") + " " + text(r, "object.name"), text(r, "why")});
  for (auto& row : rows)
    for (std::string& cell : row) cell = printable(cell);
  if (rows.empty())
    session.err << "no records yet\n";
  else
    print_table(session.out, {"SEQ", "TIME", "ACTION", "ACTOR", "OBJECT", "WHY"}, rows);
}

int print_verified(Session& session, const audit::Verified& verified, const Auditing& auditing) {
  const int code = verified.findings.empty() ? kDone : kNo;
  if (auditing.output.empty()) {
    say(session, lines_of(verified, !auditing.public_keys.empty()));
    return code;
  }
  Json findings = Json::array();
  for (const auto& finding : verified.findings)
    findings.push_back({{"is", audit::to_string(finding.is)}, {"what", finding.what}});
  session.out << Json{{"whole", verified.findings.empty()},
                      {"first", verified.first},
                      {"last", verified.last},
                      {"records", verified.records},
                      {"signedUpTo", verified.signed_up_to},
                      {"prunedThrough", verified.pruned},
                      {"findings", std::move(findings)}}
                     .dump(2)
              << "\n";
  return code;
}

}  // namespace

int audit_model(Session& session, const Auditing& auditing) {
  const auto at = auditing.at.empty() ? std::nullopt : parse_time(auditing.at);
  if (!auditing.at.empty() && !at)
    return complain(session,
                    {ErrorKind::Invalid, "--at " + auditing.at + " is not a time such as 2026-11-30T12:00:00Z", 0, {}, {}});
  const auto keys = read_keys(auditing.public_keys);
  if (!keys) return complain(session, keys.error());
  const auto model = name_as(Kind::Model, auditing.model);
  if (!model) return complain(session, model.error());
  const auto trail = read_trail(session, *model, auditing.uid);
  if (!trail) return complain(session, trail.error());
  for (const std::string& other : trail->others)
    session.err << "note: an earlier Model of that name has an audit trail too: --uid " << printable(other) << "\n";
  if (auditing.verify) {
    const auto verified = verify(*trail, *keys);
    if (!verified) return complain(session, verified.error());
    return print_verified(session, *verified, auditing);
  }
  if (at)
    say(session, served_at(*trail, *at));
  else
    print_records(session, *trail, auditing.output);
  return kDone;
}

}  // namespace mo::plugin
