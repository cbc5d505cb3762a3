// Audit trails: what a record says, and that whatever is changed in a trail is found, and where.
#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>

#include "operator/audit/verify.h"
#include "operator/core/digest.h"
#include "operator/core/ed25519.h"

using namespace mo;
using namespace mo::audit;

namespace {

const TimePoint kAt = *parse_time("2026-11-30T12:00:00Z");
// openssl genpkey -algorithm ed25519, and its public key; made for these tests.
constexpr const char* kKey =
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIFRNFNj7F1UuoISzPRIqdDh8dnOp/vISWpKeP2wi0n9w\n-----END PRIVATE KEY-----\n";
constexpr const char* kPublic =
    "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA/LpzWqmNmakCLo8sdwnN+b2iONrSeSIEZTKqfNZ6uyU=\n-----END PUBLIC KEY-----\n";
constexpr const char* kOther =
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIMeiIEyiujzTva2fYhMWuxI5OTKhSR19JGpsrAx8AbH/\n-----END PRIVATE KEY-----\n";

Entry entry(const std::string& action, const std::string& uid = "uid-1") {
  return {"pay/fraud",
          uid,
          "ann",
          action,
          {{"kind", "Model"}, {"name", "fraud"}, {"uid", uid}},
          "because",
          {{"weight", 10}},
          {{"rollout", "sha256:p"}}};
}

std::vector<std::string> chain(int records, const std::string& uid = "uid-1") {
  std::vector<std::string> lines;
  std::string prev;
  for (int i = 1; i <= records; ++i) {
    const Link link = seal(entry("StepEntered", uid), i, kAt, prev);
    lines.push_back(link.line);
    prev = link.hash;
  }
  return lines;
}

// Of `size` records each, signed if there is a key.
std::vector<Segment> segments(const std::vector<std::string>& lines, size_t size, const SigningKey* key = nullptr) {
  std::vector<Segment> all;
  for (size_t from = 0; from < lines.size(); from += size) {
    Segment s;
    s.name = "fraud-" + std::to_string(from + size);
    s.model = "pay/fraud";
    s.uid = "uid-1";
    s.first = static_cast<int64_t>(from) + 1;
    s.last = s.first + static_cast<int64_t>(size) - 1;
    s.records = {lines.begin() + static_cast<std::ptrdiff_t>(from), lines.begin() + static_cast<std::ptrdiff_t>(from + size)};
    s.prev = prev_in(s.records.front());
    s.head = hash_in(s.records.back());
    if (key) s.key_id = key->id(), s.signature = key->sign(checkpoint(s.model, s.uid, s.last, s.head));
    all.push_back(std::move(s));
  }
  return all;
}

Expected expected(const std::vector<std::string>& lines, const std::vector<std::string>& keys = {}) {
  return {"pay/fraud", "uid-1", static_cast<int64_t>(lines.size()), hash_in(lines.back()), keys};
}

std::string replace(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

// As a forger would who knows the rules, but not the key.
std::string rehash(const std::string& line) {
  Json record = Json::parse(line);
  record.erase("hash");
  record["hash"] = sha256_of(record.dump());
  return record.dump();
}

}  // namespace

TEST_CASE("a record is canonical JSON whose hash is that of the rest of it", "[audit]") {
  const Link link = seal(entry("RolloutStarted"), 1, kAt, "");
  Json record = Json::parse(link.line);
  CHECK(record.dump() == link.line);
  CHECK(record["seq"] == 1);
  CHECK(record["time"] == "2026-11-30T12:00:00Z");
  CHECK(record["prev"] == "");
  for (const char* field : {"model", "uid", "actor", "action", "object", "why", "evidence", "policy", "hash"})
    CHECK(record.contains(field));
  CHECK(action_of(link.line) == "RolloutStarted");
  record.erase("hash");
  CHECK(sha256_of(record.dump()) == link.hash);
  CHECK(hash_in(link.line) == link.hash);
}

TEST_CASE("a record has a bound, whatever people write", "[audit]") {
  Entry large = entry("Paused");
  large.why = std::string(100'000, 'w');
  large.actor = std::string(5000, 'a');
  for (int i = 0; i < 1000; ++i) large.evidence["gates"].push_back({{"name", std::string(60, 'g')}});
  const Link link = seal(large, 7, kAt, "sha256:x");
  CHECK(link.line.size() <= kLargestRecord);
  CHECK(Json::parse(link.line)["evidence"].contains("leftOut"));
  // Bytes that are no text do no harm.
  large.why = "\xff\xfe";
  large.evidence = Json::object();
  CHECK(Json::parse(seal(large, 8, kAt, "").line)["seq"] == 8);
}

TEST_CASE("a trail that nobody touched is whole, however it is cut into ModelAudits", "[audit]") {
  const auto lines = chain(12);
  for (const size_t size : {1, 3, 4, 12}) {
    auto all = segments(lines, size);
    std::reverse(all.begin(), all.end());  // lists come in any order
    const auto verified = verify(all, expected(lines));
    REQUIRE(verified);
    CHECK(verified->findings.empty());
    CHECK(verified->records == 12);
    CHECK(verified->last == 12);
  }
  CHECK(verify({}, {"pay/fraud", "uid-1"})->findings.empty());
}

TEST_CASE("whatever is changed in a trail is found, and where", "[audit]") {
  using Is = Finding::Is;
  struct Row {
    const char* what;
    std::function<void(std::vector<Segment>&)> tamper;
    Is is;
    const char* says;
  };
  const auto other = chain(12, "uid-2");
  const Row rows[] = {
      {"a word is edited", [](auto& s) { s[1].records[1] = replace(s[1].records[1], "because", "becausE"); }, Is::Edited,
       "record 6 (ModelAudit fraud-8) was edited"},
      {"the actor is edited and the hash made anew",
       [](auto& s) { s[1].records[1] = rehash(replace(s[1].records[1], "\"ann\"", "\"bob\"")); }, Is::Cut,
       "record 7 (ModelAudit fraud-8) does not follow the record before it"},
      {"blanks are put in", [](auto& s) { s[0].records[0] = replace(s[0].records[0], "\"why\":", "\"why\": "); }, Is::Edited,
       "record 1"},
      {"its hash is taken away",
       [](auto& s) {
         Json record = Json::parse(s[1].records[1]);
         record.erase("hash");
         s[1].records[1] = record.dump();
       },
       Is::Edited, "record 6 (ModelAudit fraud-8) was edited"},
      {"its hash is empty", [](auto& s) { s[1].records[1] = replace(s[1].records[1], hash_in(s[1].records[1]), ""); }, Is::Edited,
       "record 6 (ModelAudit fraud-8) was edited"},
      {"a record is taken out", [](auto& s) { s[1].records.erase(s[1].records.begin() + 1); }, Is::Reordered,
       "record 6 (ModelAudit fraud-8) is record 7 at a wrong position"},
      {"the last is taken out", [](auto& s) { s[2].records.pop_back(); }, Is::Cut,
       "claims to hold records 9 to 12 but holds 3"},
      {"a ModelAudit is deleted", [](auto& s) { s.erase(s.begin() + 1); }, Is::Cut,
       "records 5 to 8 are missing before ModelAudit fraud-12"},
      {"the first is deleted", [](auto& s) { s.erase(s.begin()); }, Is::Cut, "records 1 to 4 are missing at the beginning"},
      {"the last is deleted", [](auto& s) { s.pop_back(); }, Is::Cut, "records 9 to 12 are missing at the end"},
      {"two change places", [](auto& s) { std::swap(s[1].records[1], s[1].records[2]); }, Is::Reordered,
       "record 6 (ModelAudit fraud-8) is record 7 at a wrong position"},
      {"one comes twice", [](auto& s) { s[1].records[2] = s[1].records[0]; }, Is::Replayed,
       "record 7 (ModelAudit fraud-8) is record 5 a second time"},
      {"a ModelAudit comes twice", [](auto& s) { s.push_back(s[0]); }, Is::Replayed,
       "begins with record 1, which already exists"},
      {"another Model's record", [&](auto& s) { s[1].records[0] = other[4]; }, Is::Replayed,
       "record 5 (ModelAudit fraud-8) is of Model pay/fraud with UID uid-2"},
      {"another Model's ModelAudit", [&](auto& s) { s[1].uid = "uid-2"; }, Is::Replayed,
       "ModelAudit fraud-8 is of Model pay/fraud with UID uid-2"},
      {"the head is edited", [](auto& s) { s[2].head = "sha256:0"; }, Is::Edited, "its head is not the hash of its last record"},
      {"prev is edited", [](auto& s) { s[2].prev = "sha256:0"; }, Is::Cut,
       "ModelAudit fraud-12 does not continue the previous record"},
      {"no JSON", [](auto& s) { s[1].records[1] = "{"; }, Is::Unreadable, "record 6 (ModelAudit fraud-8) is not a JSON object"},
      {"numbers beyond all bounds", [](auto& s) { s[0].first = INT64_MIN, s[0].last = INT64_MAX; }, Is::Unreadable,
       "ModelAudit fraud-4 claims to hold records"},
      {"no object", [](auto& s) { s[1].records[1] = "[]"; }, Is::Unreadable, "record 6"},
      {"wrong kinds of values", [](auto& s) { s[1].records[1] = R"({"hash":1,"prev":[],"seq":"x","uid":{}})"; }, Is::Edited,
       "record 6"},
  };
  const auto lines = chain(12);
  for (const Row& row : rows) {
    INFO(row.what);
    auto all = segments(lines, 4);
    row.tamper(all);
    const auto verified = verify(all, expected(lines));
    REQUIRE(verified);
    REQUIRE_FALSE(verified->findings.empty());
    INFO(verified->findings[0].what);
    CHECK(std::string(to_string(verified->findings[0].is)) == to_string(row.is));
    CHECK(verified->findings[0].what.find(row.says) != std::string::npos);
  }
}

TEST_CASE("a trail that was written anew as a whole is told by Model.status, and by a signature", "[audit]") {
  const auto lines = chain(4);
  std::vector<std::string> forged;
  std::string prev;
  for (int i = 1; i <= 4; ++i) {
    Entry e = entry("StepEntered");
    e.actor = "mallory";
    const Link link = seal(e, i, kAt, prev);
    forged.push_back(link.line);
    prev = link.hash;
  }
  CHECK(verify(segments(forged, 4), expected(lines))->findings[0].what.find("status.audit.head") != std::string::npos);
  const auto key = SigningKey::read(kKey), other = SigningKey::read(kOther);
  REQUIRE(key);
  REQUIRE(other);
  const Expected gone{"pay/fraud", "uid-1", 0, "", {kPublic}};  // the Model is deleted
  CHECK(verify(segments(lines, 2, &*key), gone)->findings.empty());
  CHECK(verify(segments(lines, 2, &*key), gone)->signed_up_to == 4);
  CHECK(verify(segments(forged, 4, &*other), gone)->findings[0].is == Finding::Is::Forged);
  auto copied = segments(forged, 4);
  copied[0].signature = segments(lines, 4, &*key)[0].signature;
  CHECK(verify(copied, gone)->findings[0].is == Finding::Is::Forged);
  CHECK(verify(segments(lines, 4), gone)->findings[0].what == "ModelAudit fraud-4 and all after it are not signed");
  // One signature covers what came before it.
  auto late = segments(lines, 2, &*key);
  late[0].signature.clear();
  CHECK(verify(late, gone)->findings.empty());
  CHECK(verify(late, {"pay/fraud", "uid-1", 0, "", {"no key"}}).error().kind == ErrorKind::Invalid);
}

TEST_CASE("keys and signatures", "[audit]") {
  const auto key = SigningKey::read(kKey);
  REQUIRE(key);
  const auto read = PublicKey::read(kPublic);
  CHECK(key->id() == read->id());
  CHECK(key->sign("a") == key->sign("a"));
  CHECK(read->made("a", key->sign("a")));
  CHECK_FALSE(read->made("b", key->sign("a")));
  for (const char* bad : {"", "x", "QUJD", "===="}) CHECK_FALSE(read->made("a", bad));
  for (const char* bad : {"", "no PEM", kPublic}) CHECK_FALSE(SigningKey::read(bad));
  CHECK_FALSE(PublicKey::read(kKey));
  CHECK(from_base64(to_base64(std::string("\0\xff\x10", 3))) == std::string("\0\xff\x10", 3));
}

TEST_CASE("what the operator pruned is told, and nothing else that is missing at the beginning", "[audit]") {
  const auto key = SigningKey::read(kKey);
  // Records 1 to 8, and the ninth says that those up to `through` were pruned.
  const auto trail = [&](int64_t through, const std::string& head, const char* action = "Pruned") {
    auto lines = chain(8);
    Entry pruned = entry(action);
    pruned.evidence = {{"through", through}, {"head", head}};
    lines.push_back(seal(pruned, 9, kAt, hash_in(lines.back())).line);
    for (int i = 10; i <= 12; ++i) lines.push_back(seal(entry("StepEntered"), i, kAt, hash_in(lines.back())).line);
    return lines;
  };
  const std::string four = hash_in(chain(4).back()), eight = hash_in(chain(8).back());
  const auto checked = [&](const std::vector<std::string>& lines, size_t gone, const std::vector<std::string>& keys = {}, bool with_key = true) {
    auto all = segments(lines, 4, with_key ? &*key : nullptr);
    all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(gone));
    return *verify(all, expected(lines, keys));
  };
  const auto good = checked(trail(4, four), 1, {kPublic});
  CHECK(good.findings.empty());
  CHECK((good.pruned == 4 && good.pruned_by == 9 && good.first == 5));
  CHECK(checked(trail(8, eight), 2).pruned == 8);
  CHECK(checked(trail(8, eight), 1).pruned == 4);  // the next is yet to go
  CHECK(checked(trail(8, eight), 0).pruned == 0);
  struct Row {
    const char* what;
    Verified verified;
  };
  const Row rows[] = {{"more is gone than it says", checked(trail(4, four), 2)},
                      {"another hash", checked(trail(4, eight), 1)},
                      {"another hash of what is there yet", checked(trail(8, four), 1)},
                      {"another action", checked(trail(4, four, "Paused"), 1)},
                      {"of a record after itself", checked(trail(12, four), 1)},
                      {"not signed", checked(trail(4, four), 1, {kPublic}, false)}};
  for (const Row& row : rows) {
    INFO(row.what);
    REQUIRE_FALSE(row.verified.findings.empty());
    CHECK(row.verified.pruned == 0);
  }
  // A second one waits for its signature yet: the first vouches as before.
  auto twice = trail(4, four);
  Entry again = entry("Pruned");
  again.evidence = {{"through", 8}, {"head", eight}};
  for (int i = 13; i <= 16; ++i) twice.push_back(seal(i == 13 ? again : entry("StepEntered"), i, kAt, hash_in(twice.back())).line);
  auto all = segments(twice, 4, &*key);
  all.erase(all.begin());
  all.back().pending = true, all.back().signature.clear();
  const auto waits = *verify(all, expected(twice, {kPublic}));
  for (const Finding& finding : waits.findings) UNSCOPED_INFO(finding.what);
  CHECK((waits.findings.empty() && waits.pruned == 4 && waits.pruned_by == 9));
  // A record that was edited says nothing.
  auto forged = trail(4, eight);
  forged[8] = replace(forged[8], eight, four);
  CHECK(checked(forged, 1).pruned == 0);
}
