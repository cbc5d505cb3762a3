#include "operator/audit/verify.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "operator/core/digest.h"
#include "operator/core/ed25519.h"

namespace mo::audit {
namespace {

constexpr int64_t kLargestNumber = int64_t{1} << 53;  // what JSON's numbers hold

class Verification {
 public:
  explicit Verification(const Expected& expected) : expected_(expected) {}

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

  void note_anchor(const Json& record, int64_t seq) {
    const auto evidence = record.find("evidence");
    if (text_in(record, "action") != "Pruned" || evidence == record.end() || !evidence->is_object()) return;
    const auto through = evidence->find("through");
    if (through == evidence->end() || !through->is_number_integer() || through->get<int64_t>() >= seq) return;
    anchors_.push_back({through->get<int64_t>(), seq, text_in(*evidence, "head")});
  }

  void take(const Segment& segment, const std::string& line, int64_t seq) {
    const auto where = [&] { return "record " + std::to_string(seq) + " (" + place(segment) + ")"; };
    ++out_.records;
    Result<Json> read = parse_json(line, kLargestRecord);
    if (!read || !read->is_object()) {
      find(Finding::Is::Unreadable, where() + " is not a JSON object");
      hash_ = "?";
      out_.last = seq;
      return;
    }
    Json& record = *read;
    // Another way to write it down may show other readers another content.
    const bool as_written = canonical(record) == line;
    const std::string said = text_in(record, "hash");
    record.erase("hash");
    const bool intact = as_written && sha256_of(canonical(record)) == said;
    const auto number = record.find("seq");
    const int64_t counted = number != record.end() && number->is_number_integer() ? number->get<int64_t>() : 0;
    if (!intact)
      find(Finding::Is::Edited, where() + " was edited: its hash does not match its content");
    else if (text_in(record, "uid") != expected_.uid || text_in(record, "model") != expected_.model)
      find(Finding::Is::Replayed, where() + " is of Model " + text_in(record, "model") + " with UID " + text_in(record, "uid"));
    else if (counted != seq && counted <= out_.last)
      find(Finding::Is::Replayed, where() + " is record " + std::to_string(counted) + " a second time");
    else if (counted != seq)
      find(Finding::Is::Reordered, where() + " is record " + std::to_string(counted) + " at a wrong position");
    else if (text_in(record, "prev") != hash_)
      find(Finding::Is::Cut,
           where() + " does not follow the record before it: one of the two was replaced, or records between them are missing");
    else
      note_anchor(record, seq);
    hash_ = said;
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
    const bool good = std::any_of(expected_.public_keys.begin(), expected_.public_keys.end(), [&](const std::string& key) {
      const Result<bool> made = verify_ed25519(key, text, segment.signature);
      return made && *made;
    });
    if (good)
      out_.signed_up_to = segment.last;
    else
      find(Finding::Is::Forged, place(segment) + ": its signature" + (segment.key_id.empty() ? "" : ", made by key " + segment.key_id + ",") +
                                    " does not match this key or its head");
  }

  const Expected& expected_;
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
  for (const std::string& key : expected.public_keys)
    if (const auto id = key_id(key); !id) return fail(id.error());
  std::sort(segments.begin(), segments.end(), [](const Segment& a, const Segment& b) {
    return std::tie(a.first, a.last, a.name) < std::tie(b.first, b.last, b.name);
  });
  Verification verification(expected);
  for (const Segment& segment : segments)
    if (!segment.records.empty() || !segment.pending) verification.take(segment);
  return verification.end();
}

}  // namespace mo::audit
