#include "operator/audit/chain.h"

#include "operator/core/digest.h"
#include "operator/core/text.h"

namespace mo::audit {

std::string canonical(const Json& record) { return record.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string text_in(const Json& record, const char* name) {
  const auto found = record.find(name);
  return found != record.end() && found->is_string() ? found->get<std::string>() : "";
}

namespace {

std::string member_in(const std::string& line, const char* name) {
  const Result<Json> record = parse_json(line, kLargestRecord);
  return record && record->is_object() ? text_in(*record, name) : "";
}

Link close(Json record) {
  const std::string hash = sha256_of(canonical(record));
  record["hash"] = hash;
  return {canonical(record), hash};
}

}  // namespace

Link seal(const Entry& entry, int64_t seq, TimePoint at, const std::string& prev) {
  Json record = {{"seq", seq},
                 {"time", format_time(at)},
                 {"model", entry.model},
                 {"uid", entry.uid},
                 {"actor", whole_characters(entry.actor, 253)},
                 {"action", entry.action},
                 {"object", entry.object},
                 {"why", whole_characters(entry.why, kLongestWhy)},
                 {"evidence", entry.evidence},
                 {"policy", entry.policy},
                 {"prev", prev}};
  Link link = close(record);
  if (link.line.size() <= kLargestRecord) return link;
  const std::string left_out = sha256_of(canonical(Json{{"evidence", entry.evidence}, {"policy", entry.policy}}));
  record["evidence"] = {{"leftOut", "too large for a record"}, {"digest", left_out}};
  record["policy"] = Json::object();
  return close(std::move(record));
}

// Its keys are sorted, so this one comes first.
std::string action_of(const std::string& line) {
  constexpr std::string_view begin = R"({"action":")";
  if (!line.starts_with(begin)) return "";
  const size_t end = line.find('"', begin.size());
  return end == std::string::npos ? "" : line.substr(begin.size(), end - begin.size());
}

std::string hash_in(const std::string& line) { return member_in(line, "hash"); }
std::string prev_in(const std::string& line) { return member_in(line, "prev"); }

std::string checkpoint(const std::string& model, const std::string& uid, int64_t seq, const std::string& head) {
  return "modelops.dev/audit/v1\n" + model + "\n" + uid + "\n" + std::to_string(seq) + "\n" + head + "\n";
}

}  // namespace mo::audit
