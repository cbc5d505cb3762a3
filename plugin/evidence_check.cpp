// Whether an evidence pack is what it says: its files, its trail, and that the one agrees with the other.
#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "operator/api/parse.h"
#include "operator/core/digest.h"
#include "operator/core/ed25519.h"
#include "operator/fetch/bundle.h"
#include "plugin/evidence.h"
#include "plugin/fields.h"
#include "reconcilers/rollout/advance.h"

namespace mo::plugin {
namespace {

constexpr size_t kApprovalsInRecord = 20;  // reconcilers/audit/trail.cpp lists no more

class Check {
 public:
  Check(const Files& files, const std::vector<std::string>& keys) : files_(files), keys_(keys) {}

  Checked run() {
    sums();
    trail();
    for (const char* name : {"model.json", "version.json", "bom.cdx.json", "policy.json", "gates.json", "approvals.json"})
      if (!files_.count(name)) bad(std::string(name) + " is missing");
    version();
    rollout();
    card();
    checkpoint();
    return std::move(out_);
  }

 private:
  void good(std::string line) { out_.good.push_back(std::move(line)); }
  void bad(std::string line) { out_.bad.push_back(std::move(line)); }

  Json json(const std::string& name) {
    const auto found = files_.find(name);
    if (found == files_.end()) return Json();
    auto value = parse_json(found->second, fetch::kLargestFiles, 200);
    if (!value) bad(name + " is not JSON: " + value.error().message);
    return value ? std::move(*value) : Json();
  }

  void sums() {
    const auto found = files_.find("SHA256SUMS");
    if (found == files_.end()) return bad("SHA256SUMS is missing");
    std::set<std::string> listed;
    std::istringstream lines(found->second);
    for (std::string line; std::getline(lines, line);) {
      const size_t blanks = line.find("  ");
      const std::string name = blanks == std::string::npos ? "" : line.substr(blanks + 2);
      const auto file = files_.find(name);
      if (file == files_.end())
        bad("SHA256SUMS lists \"" + name + "\", which is missing");
      else if (sha256_of(file->second) != "sha256:" + line.substr(0, blanks))
        bad(name + " has changed since it was packed");
      listed.insert(name);
    }
    for (const auto& [name, bytes] : files_)
      if (name != "SHA256SUMS" && !listed.count(name)) bad(name + " is not listed in SHA256SUMS");
    if (out_.bad.empty()) good(std::to_string(files_.size() - 1) + " files are unchanged since they were packed");
  }

  void trail() {
    const Json pending = json("audit/pending.json"), sealed = json("audit/modelaudits.json");
    const std::string model = text(pending, "model");
    const size_t slash = model.find('/');
    if (slash == std::string::npos || !sealed.is_array())
      return bad("audit/pending.json or audit/modelaudits.json does not describe the trail");
    const Json as_model = {{"metadata", {{"uid", text(pending, "uid")}}},
                           {"status", {{"audit", pending.value("audit", Json::object())}}}};
    trail_ =
        trail_of(model.substr(0, slash), model.substr(slash + 1), as_model, {sealed.begin(), sealed.end()}, text(pending, "uid"));
    records_ = records_of(trail_);
    std::string lines;
    for (const auto& segment : trail_.segments)
      for (const std::string& line : segment.records) lines += line + "\n";
    const auto found = files_.find("audit/records.jsonl");
    if (found == files_.end() || found->second != lines)
      bad("audit/records.jsonl does not hold the records of audit/modelaudits.json and audit/pending.json");
    const auto verified = verify(trail_, keys_);
    if (!verified) return bad(verified.error().message);
    for (const std::string& line : lines_of(*verified, !keys_.empty()))
      (verified->findings.empty() ? out_.good : out_.bad).push_back("audit trail: " + line);
    signed_up_to_ = verified->signed_up_to;
    if (verified->pruned > 0)
      pruned_ = "; its records up to " + std::to_string(verified->pruned) + " were pruned before this pack was made: see the export";
    if (!keys_.empty() && signed_up_to_ == 0) bad("no record of the audit trail has a signature of this key");
  }

  // With a key, only what it signed counts: whoever makes a pack can add records of their own behind that.
  bool vouched(const Json& record) {
    if (keys_.empty() || number(record, "seq") <= signed_up_to_) return true;
    bad("record " + text(record, "seq") + " (" + text(record, "action") + ") is not signed; collect the evidence again after the rollout");
    return false;
  }

  std::vector<Json> records_of_rollout(const std::string& uid) const {
    std::vector<Json> found;
    for (const Json& record : records_)
      if (!uid.empty() && text(record, "object.uid") == uid) found.push_back(record);
    return found;
  }

  // As the trail knows it: with parts, of all of them. Whoever cannot read the parts must not take the first for the whole.
  static Result<std::string> digest_of(const Json& version, const std::string& artifact) {
    const auto unreadable = [](const std::string& why) {
      return fail(ErrorKind::Invalid, "version.json cannot be read as a ModelVersion, so its digest cannot be verified: " + why);
    };
    if (!version.is_object() || name_of(version).empty()) return unreadable("it is not an object with a name");
    const Json* parts = field(version, "spec.parts");
    if (parts && !parts->is_array()) return unreadable("spec.parts is not a list");
    if (!parts || parts->empty()) return artifact;
    const auto parsed = api::parse<api::ModelVersion>(version.dump());
    if (!parsed) return unreadable(parsed.error().message);
    if (parsed->parts.size() != parts->size()) return unreadable("spec.parts has entries that are no parts");
    for (const auto& part : parsed->parts)
      if (part.name.empty() || part.artifact.digest.empty()) return unreadable("a part of spec.parts has no name, or no digest");
    return parsed->bits();
  }

  // The trail vouches for the digest.
  void version() {
    const Json version = json("version.json"), bom = json("bom.cdx.json");
    const std::string name = name_of(version), artifact = text(version, "spec.artifact.digest");
    if (!files_.count("version.json")) return;  // said already
    const auto digest_read = digest_of(version, artifact);
    if (!digest_read) return bad(digest_read.error().message);
    const std::string& digest = *digest_read;
    const Json& component = items(bom, "components").empty() ? Json::object() : items(bom, "components")[0];
    const Json& hashes = items(component, "hashes");
    if (hashes.empty() || "sha256:" + text(hashes[0], "content") != artifact)
      bad("bom.cdx.json has another digest than version.json");
    bool told = false;
    for (const Json& record : records_) {
      const bool serves = text(record, "evidence.serves.version") == name, rolled = text(record, "evidence.version") == name;
      const std::string said = serves ? text(record, "evidence.serves.digest") : rolled ? text(record, "evidence.digest") : "";
      if (said.empty()) continue;
      if (!vouched(record)) return;
      told = true;
      if (said != digest)
        return bad("record " + text(record, "seq") + " has digest " + said + " for " + name + ", but version.json has " + digest);
    }
    if (told)
      good("the trail and version.json agree on the digest of " + name);
    else
      bad("the trail does not mention " + name + pruned_);
  }

  void rollout() {
    const Json policy = json("policy.json"), gates = json("gates.json"), approvals = json("approvals.json");
    const Json* applied = policy.is_object() ? field(policy, "rollout") : nullptr;
    if (!files_.count("rollout.json")) return without_rollout(applied, gates, approvals);
    const Json rollout = json("rollout.json");
    const std::vector<Json> records = records_of_rollout(text(rollout, "metadata.uid"));
    if (records.empty()) return bad("the trail does not mention ModelRollout " + name_of(rollout) + pruned_);
    for (const Json& record : records)
      if (!vouched(record)) return;
    const Json none, *of_rollout = field(rollout, "status.policy");
    if ((applied ? *applied : none) != (of_rollout ? *of_rollout : none)) bad("policy.json is not the policy of rollout.json");
    bool named = false;
    for (const Json& record : records) {
      const std::string said = text(record, "policy.rollout");
      named |= !said.empty();
      if (!said.empty() && said != sha256_of((applied ? *applied : none).dump()))
        return bad("record " + text(record, "seq") + " names another policy than policy.json holds");
    }
    good(named ? "the trail and policy.json agree on the policy that applied" : "the trail has no policy to compare policy.json with");
    if (!rollout::is_over(text(rollout, "status.phase")))
      return good("ModelRollout " + name_of(rollout) + " is in progress: its gates and approvals are not compared yet");
    gates_agree(records, gates);
    approvals_agree(records, approvals);
  }

  // Then nothing may be said of one.
  void without_rollout(const Json* policy, const Json& gates, const Json& approvals) {
    const std::string version = name_of(json("version.json"));
    for (const Json& record : records_)
      if (text(record, "object.kind") == "ModelRollout" && text(record, "evidence.version") == version)
        return bad("rollout.json is missing: record " + text(record, "seq") + " is of ModelRollout " + text(record, "object.name"));
    if ((policy && !policy->is_null()) || !gates.empty() || !items(approvals, "used").empty())
      bad("policy.json, gates.json or approvals.json mention a ModelRollout, but rollout.json is missing");
  }

  // What no hash of the trail is of. The card has to say what these say.
  void card() {
    Evidence e;
    e.model = json("model.json");
    e.version = json("version.json");
    e.rollout = files_.count("rollout.json") ? json("rollout.json") : Json::object();
    e.trail.model = trail_.model;
    const auto found = files_.find("model-card.md");
    if (found == files_.end() || found->second != card_of(e)) bad("model-card.md does not match the objects of the pack");
    good("not covered by the trail: model.json, lineage.json, and version.json except the digest");
  }

  // What was decided on last is what gates.json says.
  void gates_agree(const std::vector<Json>& records, const Json& gates) {
    const auto& rests_on = items(records.back(), "evidence.gates");
    if (rests_on.empty()) return good("the last record has no gate to compare gates.json with");
    for (const Json& told : rests_on) {
      const auto same = [&](const Json& gate) {
        return text(gate, "name") == text(told, "name") && text(gate, "verdict") == text(told, "verdict") &&
               text(gate, "value") == text(told, "value");
      };
      if (!gates.is_array() || std::none_of(gates.begin(), gates.end(), same))
        return bad("record " + text(records.back(), "seq") + " has gate " + text(told, "name") + " as " +
                   text(told, "verdict") + " " + text(told, "value") + ", but gates.json differs");
    }
    good("the trail and gates.json agree on the gates of the last decision");
  }

  void approvals_agree(const std::vector<Json>& records, const Json& approvals) {
    const auto word = [](const Json& one) { return text(one, "uid") + " " + text(one, "approver") + " " + text(one, "role"); };
    std::map<std::string, std::set<std::string>> last;  // by what they opened: it may have been decided twice
    for (const Json& record : records) {
      if (text(record, "action") != "Approved") continue;
      auto& words = last[text(record, "evidence.before")];
      words.clear();
      for (const Json& one : items(record, "evidence.approvals")) words.insert(word(one));
      if (words.empty() || words.size() >= kApprovalsInRecord)
        return good("record " + text(record, "seq") + " does not list all approvals, so approvals.json is not compared");
    }
    std::set<std::string> told, used;
    for (const auto& [before, words] : last) told.insert(words.begin(), words.end());
    for (const Json& cleared : items(approvals, "used"))
      for (const Json& one : items(cleared, "approvals")) used.insert(word(one));
    if (told != used) return bad("approvals.json differs from the approvals in the trail");
    good(std::to_string(used.size()) + " approvals are in the trail");
  }

  void checkpoint() {
    const auto words = files_.find("audit/checkpoint.txt"), signature = files_.find("audit/checkpoint.sig");
    if (words == files_.end() && signature == files_.end()) return;
    if (words == files_.end() || signature == files_.end()) return bad("audit/checkpoint.txt or audit/checkpoint.sig is missing");
    const bool of_trail = std::any_of(trail_.segments.begin(), trail_.segments.end(), [&](const audit::Segment& s) {
      return audit::checkpoint(s.model, s.uid, s.last, s.head) == words->second;
    });
    if (!of_trail) return bad("audit/checkpoint.txt belongs to no record of this trail");
    const bool made = std::any_of(keys_.begin(), keys_.end(), [&](const std::string& key) {
      const auto read = PublicKey::read(key);
      return read && read->made(words->second, to_base64(signature->second));
    });
    if (!keys_.empty() && !made) return bad("audit/checkpoint.sig is not made with any of these keys");
    if (!keys_.empty()) good("audit/checkpoint.txt is signed by this key");
  }

  const Files& files_;
  const std::vector<std::string>& keys_;
  Trail trail_;
  std::vector<Json> records_;
  int64_t signed_up_to_ = 0;
  std::string pruned_;
  Checked out_;
};

}  // namespace

Checked check(const Files& files, const std::vector<std::string>& public_keys) { return Check(files, public_keys).run(); }

}  // namespace mo::plugin
