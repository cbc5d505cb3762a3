// kubectl model audit, evidence and verify: what they show, and that a pack tells of each change to it.
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "operator/api/parse.h"
#include "operator/core/digest.h"
#include "operator/core/ed25519.h"
#include "operator/fetch/bundle.h"
#include "plugin/audit.h"
#include "plugin/evidence.h"
#include "plugin/fields.h"
#include "tests/unit/plugin_cluster.h"

using namespace mo;
using namespace mo::plugin;
using namespace mo::plugin::test;

namespace {

constexpr const char* kKey =
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIFRNFNj7F1UuoISzPRIqdDh8dnOp/vISWpKeP2wi0n9w\n-----END PRIVATE KEY-----\n";
constexpr const char* kPublic =
    "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA/LpzWqmNmakCLo8sdwnN+b2iONrSeSIEZTKqfNZ6uyU=\n-----END PUBLIC KEY-----\n";
const std::string kDigest = "sha256:" + std::string(64, 'd');

TimePoint minute(int m) { return *parse_time("2026-11-22T11:00:00Z") + std::chrono::minutes(m); }

// Model ns/m served m-v1, and m-v2 from 11:03 on, approved by bob.
struct Story {
  explicit Story(const Json& parts = Json::array()) {
    version = {{"metadata", {{"name", "m-v2"}, {"namespace", "ns"}}},
               {"spec", {{"modelRef", {{"name", "m"}}}, {"artifact", {{"digest", kDigest}, {"uri", "https://s/v2"}}}}}};
    std::string digest = kDigest;
    if (!parts.empty()) {
      version["spec"]["parts"] = parts;
      digest = api::parse<api::ModelVersion>(version.dump())->bits();
    }
    const Json policy = {{"steps", {{{"weight", 10}}}}};
    rollout = {{"metadata", {{"name", "m-v2-2"}, {"namespace", "ns"}, {"uid", "uid-r"}}},
               {"spec", {{"modelRef", {{"name", "m"}}}, {"version", "m-v2"}}},
               {"status",
                {{"phase", "Succeeded"},
                 {"digest", digest},
                 {"policy", policy},
                 {"gates", {{{"name", "accuracy"}, {"verdict", "Passed"}, {"value", "0.95"}}}},
                 {"governance",
                  {{"cleared",
                    {{{"before", "FirstTraffic"},
                      {"approvals", {{{"role", "risk"}, {"approver", "bob"}, {"name", "yes"}, {"uid", "uid-yes"}}}}}}}}}}}};
    add(0, "Serving", "ann", {{"serves", {{"version", "m-v1"}, {"digest", "sha256:1"}}}}, false);
    add(1, "RolloutStarted", "ann", {{"version", "m-v2"}, {"digest", digest}}, true, sha256_of(policy.dump()));
    add(2, "Approved", "bob",
        {{"version", "m-v2"}, {"approvals", {{{"role", "risk"}, {"approver", "bob"}, {"name", "yes"}, {"uid", "uid-yes"}}}}},
        true);
    add(3, "Succeeded", "operator",
        {{"version", "m-v2"},
         {"digest", digest},
         {"serves", {{"version", "m-v2"}, {"digest", digest}}},
         {"gates", {{{"name", "accuracy"}, {"verdict", "Passed"}, {"value", "0.95"}}}}},
        true);
    sealed = {
        {"metadata",
         {{"name", "m-000004-x"},
          {"namespace", "ns"},
          {"labels", {{"modelops.dev/model", "m"}}},
          {"creationTimestamp", "2026-11-22T11:03:00Z"}}},
        {"spec",
         {{"model", {{"name", "m"}, {"uid", "uid-m"}}},
          {"first", 1},
          {"last", 4},
          {"prev", ""},
          {"head", head},
          {"records", lines},
          {"signature",
           {{"algorithm", "Ed25519"}, {"value", SigningKey::read(kKey)->sign(audit::checkpoint("ns/m", "uid-m", 4, head))}}}}}};
    add(10, "Paused", "cat", Json::object(), false);
    model = {{"metadata", {{"name", "m"}, {"namespace", "ns"}, {"uid", "uid-m"}}},
             {"spec", {{"riskTier", "high"}, {"card", {{"intendedUse", "scores | payments"}}}}},
             {"status", {{"stableVersion", "m-v2"}, {"audit", {{"seq", 5}, {"head", head}, {"records", {lines.back()}}}}}}};
  }

  void add(int at, const std::string& action, const std::string& actor, const Json& evidence, bool of_rollout,
           const std::string& policy = "") {
    audit::Entry e{"ns/m",
                   "uid-m",
                   actor,
                   action,
                   {{"kind", of_rollout ? "ModelRollout" : "Model"},
                    {"name", of_rollout ? "m-v2-2" : "m"},
                    {"uid", of_rollout ? "uid-r" : "uid-m"}},
                   "because",
                   evidence,
                   Json::object()};
    if (!policy.empty()) e.policy["rollout"] = policy;
    const audit::Link link = audit::seal(e, static_cast<int64_t>(lines.size()) + 1, minute(at), head);
    lines.push_back(link.line);
    head = link.hash;
  }

  Evidence evidence() const {
    return {model, version, rollout, {version}, {}, trail_of("ns", "m", model, {sealed}), kPublic, kNoon};
  }

  Json model, version, rollout, sealed;
  std::vector<std::string> lines;
  std::string head;
};

bool says(const std::vector<std::string>& lines, const std::string& words) {
  return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) { return line.find(words) != std::string::npos; });
}

// As somebody would who knows how the pack is made.
void sum_anew(Files& files) {
  std::string sums;
  for (const auto& [name, bytes] : files)
    if (name != "SHA256SUMS") sums += sha256_of(bytes).substr(7) + "  " + name + "\n";
  files["SHA256SUMS"] = sums;
}

}  // namespace

TEST_CASE("what served at a time, why, and by whose word", "[plugin][audit]") {
  const Story s;
  const Trail trail = s.evidence().trail;
  CHECK(served_at(trail, minute(-5))[0] == "at 2026-11-22T10:55:00Z no version is recorded as serving");
  CHECK(served_at(trail, minute(2))[0] == "at 2026-11-22T11:02:00Z m-v1 (sha256:1) served, since 2026-11-22T11:00:00Z");
  const auto now = served_at(trail, minute(30));
  CHECK(now[0] == "at 2026-11-22T11:30:00Z m-v2 (" + kDigest + ") served, since 2026-11-22T11:03:00Z");
  for (const char* words : {"RolloutStarted by ann", "Approved by bob", "Succeeded by operator", "gate accuracy: Passed, 0.95"})
    CHECK(says(now, words));
}

TEST_CASE("kubectl model audit shows the trail, also of a Model that is gone, and what is amiss with it", "[plugin][audit]") {
  const Story s;
  ClusterClient cluster;
  cluster.objects[Kind::Model] = {s.model};
  cluster.objects[Kind::ModelAudit] = {s.sealed};
  const auto run = [&](const Auditing& auditing) {
    Printed printed;
    Session session = printed.session(cluster);
    const int code = audit_model(session, auditing);
    return std::pair(code, printed.out.str() + printed.err.str());
  };
  const auto shown = run({.model = "m"});
  CHECK(shown.first == kDone);
  for (const char* words : {"SEQ", "Approved", "bob", "ModelRollout m-v2-2", "Paused"})
    CHECK(shown.second.find(words) != std::string::npos);
  CHECK(run({.model = "m", .verify = true}) ==
        std::pair<int, std::string>(kDone, "complete: records 1 to 5; signatures were not checked: set --public-key\n"));
  CHECK(run({.model = "m", .output = "jsonl"}).second ==
        s.lines[0] + "\n" + s.lines[1] + "\n" + s.lines[2] + "\n" + s.lines[3] + "\n" + s.lines[4] + "\n");
  CHECK(Json::parse(run({.model = "m", .output = "json"}).second).size() == 5);
  CHECK(run({.model = "m", .at = "yesterday"}).first == kTrouble);
  CHECK(run({.model = "m", .verify = true, .public_keys = {"/nowhere"}}).first == kTrouble);
  cluster.objects[Kind::Model].clear();
  CHECK(run({.model = "m", .verify = true}).first == kDone);
  cluster.objects[Kind::ModelAudit][0]["spec"]["records"][1] = s.lines[0];
  CHECK(run({.model = "m", .verify = true}).first == kNo);
  CHECK(Json::parse(run({.model = "m", .verify = true, .output = "json"}).second)["findings"][0]["is"] == "replayed");
  cluster.objects[Kind::ModelAudit].clear();
  CHECK(run({.model = "m"}).first == kNo);
}

TEST_CASE("an evidence pack holds what a rollout rests on, and agrees with its trail", "[plugin][audit]") {
  const Story s;
  const Files files = pack(s.evidence());
  for (const char* name :
       {"README.txt", "model-card.md", "bom.cdx.json", "lineage.json", "policy.json", "gates.json", "approvals.json",
        "audit/records.jsonl", "audit/checkpoint.txt", "audit/checkpoint.sig", "audit/public-key.pem", "SHA256SUMS"})
    CHECK(files.count(name) == 1);
  CHECK(files.at("model-card.md").find("scores \\| payments") != std::string::npos);
  CHECK(Json::parse(files.at("bom.cdx.json"))["components"][0]["type"] == "machine-learning-model");
  const Checked checked = check(files, {kPublic});
  for (const std::string& line : checked.bad) UNSCOPED_INFO(line);
  CHECK(checked.bad.empty());
  CHECK(says(checked.good, "signed up to record 4"));
  CHECK(says(checked.good, "1 approvals are in the trail"));
}

TEST_CASE("the parts of a version are in its evidence, and the trail vouches for them", "[plugin][audit]") {
  const Story s(Json::array({{{"name", "lora"}, {"artifact", {{"uri", "s3://m/lora"}, {"digest", "sha256:" + std::string(64, 'b')}}}}}));
  Files files = pack(s.evidence());
  CHECK(files.at("model-card.md").find("| Part lora | s3://m/lora, sha256:bbb") != std::string::npos);
  CHECK(Json::parse(files.at("bom.cdx.json"))["components"][0]["components"][0]["name"] == "lora");
  CHECK(check(files, {kPublic}).bad.empty());
  // Parts that nobody can read were taken for none.
  const Story whole;
  for (const Json& bad : {Json("lora"), Json(7), Json::object({{"name", "lora"}}), Json::array({7}), Json::array({{{"name", "lora"}}}),
                          Json::array({{{"name", "lora"}, {"artifact", "s3://m/lora"}}}), Json::array({{{"name", 7}, {"artifact", {{"digest", "sha256:1"}}}}})}) {
    INFO(bad.dump());
    Files forged = pack(whole.evidence());
    Json version = Json::parse(forged["version.json"]);
    version["spec"]["parts"] = bad;
    forged["version.json"] = version.dump(2);
    sum_anew(forged);
    CHECK(says(check(forged, {kPublic}).bad, "version.json cannot be read as a ModelVersion, so its digest cannot be verified"));
  }
  const std::string was = std::string(64, 'b');
  for (auto& [name, text] : files)
    for (size_t at = text.find(was); at != std::string::npos; at = text.find(was)) text.replace(at, was.size(), std::string(64, 'e'));
  sum_anew(files);
  CHECK(says(check(files, {kPublic}).bad, "but version.json has"));
}

TEST_CASE("whatever is changed in an evidence pack is told, sums made anew or not", "[plugin][audit]") {
  struct Row {
    const char* what;
    std::function<void(Files&)> tamper;
    bool sums;
    const char* says;
  };
  const auto replace = [](Files& files, const char* name, const std::string& from, const std::string& to) {
    const size_t at = files[name].find(from);
    REQUIRE(at != std::string::npos);
    files[name].replace(at, from.size(), to);
  };
  const std::string other = "sha256:" + std::string(64, 'e');
  const Row rows[] = {
      {"a file is edited", [&](Files& f) { f["gates.json"] += " "; }, false, "gates.json has changed since it was packed"},
      {"a file is added", [&](Files& f) { f["more.txt"] = "x"; }, false, "more.txt is not listed"},
      {"a file is removed", [&](Files& f) { f.erase("gates.json"); }, false, "lists \"gates.json\", which is missing"},
      {"and from the sums", [&](Files& f) { f.erase("approvals.json"); }, true, "approvals.json is missing"},
      {"the digest", [&](Files& f) { replace(f, "version.json", kDigest, other); }, true, "but version.json has"},
      {"the policy",
       [&](Files& f) { replace(f, "policy.json", "10", "50"), replace(f, "rollout.json", "\"weight\": 10", "\"weight\": 50"); },
       true, "names another policy"},
      {"a gate's value", [&](Files& f) { replace(f, "gates.json", "0.95", "0.99"); }, true, "but gates.json differs"},
      {"an approver", [&](Files& f) { replace(f, "approvals.json", "bob", "dan"); }, true,
       "differs from the approvals in the trail"},
      {"a record", [&](Files& f) { replace(f, "audit/modelaudits.json", "because", "becausE"); }, true, "was edited"},
      {"the records that are printed", [&](Files& f) { replace(f, "audit/records.jsonl", "because", "becausE"); }, true,
       "does not hold the records"},
      {"the signature", [&](Files& f) { f["audit/checkpoint.sig"][3] ^= 1; }, true, "is not made with any of these keys"},
      {"the checkpoint", [&](Files& f) { replace(f, "audit/checkpoint.txt", "ns/m", "ns/n"); }, true,
       "belongs to no record of this trail"},
      {"the card", [&](Files& f) { replace(f, "model-card.md", "payments", "anything"); }, true, "model-card.md does not match the objects"},
      {"the rollout is left out", [&](Files& f) { f.erase("rollout.json"); }, true, "rollout.json is missing: record "},
      {"all of it is made up, and nothing is sealed",
       [&](Files& f) {
         Json pending = Json::parse(f["audit/pending.json"]), sealed = Json::parse(f["audit/modelaudits.json"]);
         Json records = sealed[0]["spec"]["records"];
         for (const Json& record : pending["audit"]["records"]) records.push_back(record);
         pending["audit"]["records"] = records;
         f["audit/pending.json"] = pending.dump(), f["audit/modelaudits.json"] = "[]";
         f.erase("audit/checkpoint.txt"), f.erase("audit/checkpoint.sig");
       },
       true, "no record of the audit trail has a signature of this key"},
      {"a ModelAudit without a name",
       [&](Files& f) {
         Json sealed = Json::parse(f["audit/modelaudits.json"]);
         sealed[0]["metadata"].erase("name");
         f["audit/modelaudits.json"] = sealed.dump();
       },
       true, "a ModelAudit has no name"},
      {"no sums", [&](Files& f) { f.erase("SHA256SUMS"); }, false, "SHA256SUMS is missing"},
      {"no JSON", [&](Files& f) { f["audit/pending.json"] = "{"; }, true, "is not JSON"},
      {"wrong kinds",
       [&](Files& f) {
         f["audit/pending.json"] = "[]", f["rollout.json"] = "7", f["policy.json"] = "null", f["bom.cdx.json"] = "{}";
       },
       true, "does not describe the trail"},
  };
  const Story s;
  for (const Row& row : rows) {
    INFO(row.what);
    Files files = pack(s.evidence());
    row.tamper(files);
    if (row.sums) sum_anew(files);
    const Checked checked = check(files, {kPublic});
    for (const std::string& line : checked.bad) UNSCOPED_INFO(line);
    CHECK(says(checked.bad, row.says));
  }
}

TEST_CASE("packs are written and read, and no other file is one", "[plugin][audit]") {
  const auto folder = std::filesystem::temp_directory_path() / ("mo-pack-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const auto path = folder / "p.tar.gz";
  const Files files = pack(Story().evidence());
  REQUIRE(fetch::write_bundle(path, files));
  CHECK(*fetch::read_bundle(path) == files);
  std::ostringstream out, err;
  CHECK(verify_evidence({path.string(), {}}, out, err) == kDone);
  std::ofstream(folder / "no.tar.gz") << "no pack";
  CHECK(verify_evidence({(folder / "no.tar.gz").string(), {}}, out, err) == kTrouble);
  CHECK(verify_evidence({(folder / "none").string(), {}}, out, err) == kTrouble);
  CHECK_FALSE(fetch::write_bundle(folder / "no" / "p.tar.gz", files));
  for (const char* name : {"../escapes", "/etc/passwd", "a/../../b"}) {
    REQUIRE(fetch::write_bundle(path, {{name, "x"}}));
    const auto read = fetch::read_bundle(path);
    REQUIRE_FALSE(read);
    CHECK(read.error().message.find("points outside of the pack") != std::string::npos);
  }
  std::filesystem::remove_all(folder);
}
