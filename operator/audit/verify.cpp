#include "operator/audit/verify.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <string_view>
#include <tuple>

#include "operator/core/digest.h"
#include "operator/core/ed25519.h"
#include "operator/json/canonical.h"
#include "operator/json/scan.h"

namespace mo::audit {
namespace {

constexpr int64_t kLargestNumber = int64_t{1} << 53;  // what JSON's numbers hold
constexpr int kDeepest = 32;                          // more than a record of ours is

// What is looked at of a record.
struct Record {
  std::string action, hash, model, prev, uid;
  int64_t seq = 0;
  std::string rest;         // that its hash is of
  bool as_written = false;  // another way to write it down may show other readers another content
};

// Of a line that is written as it is to be, and whose members above have no escapes: nearly all. In a third of the time of read().
std::optional<Record> read_plain(const std::string& line) {
  if (line.size() > kLargestRecord || !json::is_canonical(line, kDeepest)) return {};
  Record r;
  r.as_written = true;
  bool plain = true;
  std::string_view hash;  // its value, in the line
  const auto text = [&](std::string_view value, std::string& to) {
    plain = plain && value.size() >= 2 && value.front() == '"' && value.find('\\') == std::string_view::npos;
    if (plain) to = value.substr(1, value.size() - 2);
  };
  const bool object = json::each_member(line, [&](std::string_view key, std::string_view value) {
    if (key == "action") text(value, r.action);
    if (key == "hash") text(hash = value, r.hash);
    if (key == "model") text(value, r.model);
    if (key == "prev") text(value, r.prev);
    if (key == "uid") text(value, r.uid);
    if (key == "seq") {
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), r.seq);
      plain = plain && error == std::errc() && end == value.data() + value.size();
    }
    return plain;
  });
  // Others come after it, or it is none of ours.
  constexpr std::string_view kName = "\"hash\":";
  const size_t at = hash.empty() ? 0 : static_cast<size_t>(hash.data() - line.data()), end = at + hash.size();
  if (!object || !plain || at < kName.size() || line.compare(end, 1, ",") != 0) return {};
  r.rest = line;
  r.rest.erase(at - kName.size(), kName.size() + hash.size() + 1);
  return r;
}

std::optional<Record> read(const std::string& line) {
  Result<Json> record = parse_json(line, kLargestRecord);
  if (!record || !record->is_object()) return {};
  const auto number = record->find("seq");
  Record r{text_in(*record, "action"), text_in(*record, "hash"), text_in(*record, "model"), text_in(*record, "prev"), text_in(*record, "uid"),
           number != record->end() && number->is_number_integer() ? number->get<int64_t>() : 0, "", canonical(*record) == line};
  record->erase("hash");
  r.rest = canonical(*record);
  return r;
}

class Verification {
 public:
  Verification(const Expected& expected, std::vector<PublicKey> keys) : expected_(expected), keys_(std::move(keys)) {}

  void take(const Segment& segment) {
    if (segment.first < 1 || segment.last < segment.first || segment.last > kLargestNumber)
      return find(Finding::Is::Unreadable, place(segment) + " claims to hold records " + range(segment.first, segment.last));
    if (!segment.pending && segment.name.empty()) return find(Finding::Is::Unreadable, "a ModelAudit has no name");
    begin(segment);
    for (size_t i = 0; i < segment.records.size(); ++i)
      take(segment, segment.records[i], segment.first + static_cast<int64_t>(i));
    if (segment.last - segment.first + 1 != static_cast<int64_t>(segment.records.size()))
      find(Finding::Is::Cut, place(segment) + " claims to hold records " + range(segment.first, segment.last) +
                                 " but holds " + std::to_string(segment.records.size()));
    if (!segment.records.empty() && segment.head != hash_)
      find(Finding::Is::Edited, place(segment) + ": its head is not the hash of its last record");
    heads_[segment.last] = hash_;
    check_signature(segment);
  }

  Verified end() {
    out_.end_known = expected_.seq > 0;
    check_beginning();
    if (!unsigned_.empty()) find(Finding::Is::Forged, unsigned_ + " and all after it are not signed");
    if (expected_.seq > out_.last)
      find(Finding::Is::Cut, "records " + range(out_.last + 1, expected_.seq) +
                                 " are missing at the end: status.audit of the Model counts " + std::to_string(expected_.seq));
    else if (expected_.seq > 0 && expected_.seq == out_.last && expected_.head != hash_)
      find(Finding::Is::Edited, "the last record does not match status.audit.head of the Model");
    else if (expected_.seq > 0 && expected_.seq < out_.last)
      find(Finding::Is::Replayed,
           "there are records after " + std::to_string(expected_.seq) + ", the last one in status.audit of the Model");
    return std::move(out_);
  }

 private:
  static std::string range(int64_t a, int64_t b) {
    return a == b ? std::to_string(a) : std::to_string(a) + " to " + std::to_string(b);
  }
  static std::string place(const Segment& segment) {
    return segment.pending ? "status.audit" : "ModelAudit " + segment.name;
  }

  void find(Finding::Is is, std::string what) {
    if (out_.findings.size() < kMostFindings) out_.findings.push_back({is, std::move(what)});
  }

  void begin(const Segment& segment) {
    if (segment.model != expected_.model || segment.uid != expected_.uid)
      find(Finding::Is::Replayed, place(segment) + " is of Model " + segment.model + " with UID " + segment.uid + ", not of " +
                                      expected_.model + " with UID " + expected_.uid);
    if (out_.first == 0) {
      out_.first = segment.first;
      before_ = hash_ = segment.prev;
      out_.last = segment.first - 1;
    } else if (segment.first > out_.last + 1) {
      find(Finding::Is::Cut, "records " + range(out_.last + 1, segment.first - 1) + " are missing before " + place(segment) +
                                 ": a ModelAudit was deleted, or records were dropped");
      hash_ = segment.prev;
    } else if (segment.first <= out_.last) {
      find(Finding::Is::Replayed,
           place(segment) + " begins with record " + std::to_string(segment.first) + ", which already exists");
    }
    if (segment.prev != hash_)
      find(Finding::Is::Cut, place(segment) + " does not continue the previous record: its prev is another hash");
  }

  // What the operator pruned it said before, in a record of the same trail.
  void check_beginning() {
    if (out_.first <= 1) return;
    const int64_t missing = out_.first - 1;
    const auto names_it = [&](const Anchor& a) {
      if (a.through == missing) return a.head == before_;
      const auto known = heads_.find(a.through);  // a part of what was pruned is there yet
      return a.through > missing && known != heads_.end() && known->second == a.head;
    };
    // A later one may wait for its signature: the one before it vouches as well.
    auto said = std::find_if(anchors_.rbegin(), anchors_.rend(),
                             [&](const Anchor& a) { return a.seq <= out_.signed_up_to && names_it(a); });
    if (said == anchors_.rend()) said = std::find_if(anchors_.rbegin(), anchors_.rend(), names_it);
    const std::string which = "records " + range(1, missing) + " are missing at the beginning: ";
    if (said == anchors_.rend())
      return find(Finding::Is::Cut, which + "their ModelAudits were deleted; compare with the export");
    if (!expected_.public_keys.empty() && said->seq > out_.signed_up_to)
      return find(Finding::Is::Cut, which + "record " + std::to_string(said->seq) +
                                        " says that they were exported and pruned, but it is not signed");
    out_.pruned = missing;
    out_.pruned_by = said->seq;
  }

  void note_anchor(const std::string& line, int64_t seq) {
    const Result<Json> record = parse_json(line, kLargestRecord);
    if (!record) return;
    const auto evidence = record->find("evidence");
    if (evidence == record->end() || !evidence->is_object()) return;
    const auto through = evidence->find("through");
    if (through == evidence->end() || !through->is_number_integer() || through->get<int64_t>() >= seq) return;
    anchors_.push_back({through->get<int64_t>(), seq, text_in(*evidence, "head")});
  }

  void take(const Segment& segment, const std::string& line, int64_t seq) {
    const auto where = [&] { return "record " + std::to_string(seq) + " (" + place(segment) + ")"; };
    ++out_.records;
    std::optional<Record> record = read_plain(line);
    if (!record) record = read(line);
    if (!record) {
      find(Finding::Is::Unreadable, where() + " is not a JSON object");
      hash_ = "?";
      out_.last = seq;
      return;
    }
    if (!record->as_written || sha256_of(record->rest) != record->hash)
      find(Finding::Is::Edited, where() + " was edited: its hash does not match its content");
    else if (record->uid != expected_.uid || record->model != expected_.model)
      find(Finding::Is::Replayed, where() + " is of Model " + record->model + " with UID " + record->uid);
    else if (record->seq != seq && record->seq <= out_.last)
      find(Finding::Is::Replayed, where() + " is record " + std::to_string(record->seq) + " a second time");
    else if (record->seq != seq)
      find(Finding::Is::Reordered, where() + " is record " + std::to_string(record->seq) + " at a wrong position");
    else if (record->prev != hash_)
      find(Finding::Is::Cut,
           where() + " does not follow the record before it: one of the two was replaced, or records between them are missing");
    else if (record->action == "Pruned")
      note_anchor(line, seq);
    hash_ = record->hash;
    out_.last = std::max(out_.last, seq);
  }

  // One signature covers all records before it, so that what is older than the key need not be signed.
  void check_signature(const Segment& segment) {
    if (expected_.public_keys.empty() || segment.pending) return;
    unsigned_.clear();
    if (segment.signature.empty()) {
      unsigned_ = place(segment);
      return;
    }
    const std::string text = checkpoint(segment.model, segment.uid, segment.last, segment.head);
    const bool good = std::any_of(keys_.begin(), keys_.end(), [&](const PublicKey& key) { return key.made(text, segment.signature); });
    if (good)
      out_.signed_up_to = segment.last;
    else
      find(Finding::Is::Forged, place(segment) + ": its signature" + (segment.key_id.empty() ? "" : ", made by key " + segment.key_id + ",") +
                                    " does not match this key or its head");
  }

  const Expected& expected_;
  const std::vector<PublicKey> keys_;
  Verified out_;
  struct Anchor {
    int64_t through, seq;
    std::string head;
  };
  std::string hash_;      // of the record before
  std::string before_;    // the same of the first that is there
  std::vector<Anchor> anchors_;
  std::map<int64_t, std::string> heads_;  // of the last record of each ModelAudit
  std::string unsigned_;  // the last ModelAudit, if it bears no signature
};

}  // namespace

const char* to_string(Finding::Is is) {
  static constexpr const char* kWords[] = {"edited", "cut", "reordered", "replayed", "forged", "unreadable"};
  return kWords[static_cast<size_t>(is)];
}

Result<Verified> verify(std::vector<Segment> segments, const Expected& expected) {
  std::vector<PublicKey> keys;
  for (const std::string& pem : expected.public_keys) {
    auto key = PublicKey::read(pem);
    if (!key) return fail(key.error());
    keys.push_back(std::move(*key));
  }
  std::sort(segments.begin(), segments.end(), [](const Segment& a, const Segment& b) {
    return std::tie(a.first, a.last, a.name) < std::tie(b.first, b.last, b.name);
  });
  Verification verification(expected, std::move(keys));
  for (const Segment& segment : segments)
    if (!segment.records.empty() || !segment.pending) verification.take(segment);
  return verification.end();
}

}  // namespace mo::audit
