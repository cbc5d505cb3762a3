#include "plugin/evidence.h"

#include <algorithm>

#include "operator/core/digest.h"
#include "operator/core/ed25519.h"
#include "operator/fetch/bundle.h"
#include "plugin/fields.h"
#include "plugin/lineage.h"
#include "plugin/names.h"
#include "plugin/rollouts.h"
#include "report/cyclonedx.h"

namespace mo::plugin {
namespace {

constexpr const char* kReadme = R"(What this is
  What one rollout of a model rests on: the model card (model-card.md, bom.cdx.json as CycloneDX ML-BOM), where the version
  came from (lineage.json), the policy as it applied (policy.json), what gates measured (gates.json), who approved
  (approvals.json), and the Model's audit trail (audit/).

How to check it
  kubectl model verify FILE.tar.gz --public-key audit.pub
      all of it, without a cluster
  sha256sum -c SHA256SUMS
      that no file is another than it was
  openssl pkeyutl -verify -pubin -inkey audit.pub -rawin -in audit/checkpoint.txt -sigfile audit/checkpoint.sig
      that the operator signed the trail up to this record
Take the public key from whoever runs the operator, not from this file. The trail names the digest, the policy's hash and the
approvals, so that the signature vouches for them, too.
)";

Json plain(Json object) {
  if (object.is_object() && object.contains("metadata")) object["metadata"].erase("managedFields");
  return object;
}

std::string digits_of(const std::string& digest) { return digest.starts_with("sha256:") ? digest.substr(7) : digest; }

// The card is of the version that is packed, whatever serves now.
Json bom_of(const Evidence& e) {
  report::Collector collector;
  Json model = e.model;
  model["status"]["stableVersion"] = name_of(e.version);
  model["status"]["stableDigest"] = text(e.version, "spec.artifact.digest");
  collector.add("Model", model);
  collector.add("ModelVersion", e.version);
  Json bom = report::to_cyclonedx(std::move(collector).finish(e.at, "one ModelVersion"), MODEL_OPERATOR_VERSION);
  if (const std::string uid = text(e.version, "metadata.uid"); uid.size() == 36) bom["serialNumber"] = "urn:uuid:" + uid;
  return bom;
}

const audit::Segment* last_signed(const Trail& trail) {
  const audit::Segment* last = nullptr;
  for (const auto& segment : trail.segments)
    if (!segment.signature.empty()) last = &segment;
  return last;
}

void put_trail(Files& files, const Evidence& e) {
  std::string lines;
  for (const auto& segment : e.trail.segments)
    for (const std::string& line : segment.records) lines += line + "\n";
  files["audit/records.jsonl"] = lines;
  Json sealed = Json::array();
  for (const Json& object : e.trail.objects) sealed.push_back(plain(object));
  files["audit/modelaudits.json"] = sealed.dump(2) + "\n";
  files["audit/pending.json"] = Json{{"model", e.trail.model},
                                     {"uid", e.trail.uid},
                                     {"audit", e.trail.status}}
                                    .dump(2) +
                                "\n";
  if (const auto* checkpoint = last_signed(e.trail)) {
    files["audit/checkpoint.txt"] = audit::checkpoint(checkpoint->model, checkpoint->uid, checkpoint->last, checkpoint->head);
    files["audit/checkpoint.sig"] = from_base64(checkpoint->signature);
  }
  if (!e.public_key.empty()) files["audit/public-key.pem"] = e.public_key;
}

std::string sums_of(const Files& files) {
  std::string sums;
  for (const auto& [name, bytes] : files)
    if (name != "SHA256SUMS") sums += digits_of(sha256_of(bytes)) + "  " + name + "\n";
  return sums;
}

// A table row for Markdown: what people wrote must not end its cell.
std::string markdown_cell(const std::string& value) {
  std::string out;
  for (const char c : printable(value)) {
    if (c == '|' || c == '\\' || c == '<' || c == '`' || c == '[' || c == '*' || c == '_') out += '\\';
    out += c;
  }
  return out;
}

// ---- gathering ----

Result<std::pair<Json, Json>> rollout_and_version(Session& session, const std::string& word) {
  const auto what = plugin::named(word, {Kind::ModelRollout, Kind::ModelVersion});
  if (!what) return fail(what.error());
  auto rollout = what->kind == Kind::ModelRollout ? get(session, Kind::ModelRollout, what->name) : fail(ErrorKind::NotFound, "");
  if (!rollout && rollout.error().kind != ErrorKind::NotFound) return fail(rollout.error());
  const std::string name = rollout ? text(*rollout, "spec.version") : what->name;
  auto version = get(session, Kind::ModelVersion, name);
  if (!version && version.error().kind == ErrorKind::NotFound)
    return refuse(rollout ? "ModelVersion " + name + " of ModelRollout " + what->name + " does not exist any more"
                          : "no ModelRollout or ModelVersion is named " + name);
  if (!version) return fail(version.error());
  if (rollout) return std::pair(std::move(*rollout), std::move(*version));
  auto all = list(session, Kind::ModelRollout);
  if (!all) return fail(all.error());
  sort_newest_first(*all);
  const auto of = [&](const Json& r) {
    return text(r, "spec.version") == name && text(r, "spec.modelRef.name") == text(*version, "spec.modelRef.name");
  };
  auto found =
      std::find_if(all->begin(), all->end(), [&](const Json& r) { return of(r) && text(r, "status.phase") == "Succeeded"; });
  if (found == all->end()) found = std::find_if(all->begin(), all->end(), of);
  return std::pair(found == all->end() ? Json::object() : *found, std::move(*version));
}

Result<Evidence> gather(Session& session, const std::string& word) {
  auto found = rollout_and_version(session, word);
  if (!found) return fail(found.error());
  Evidence e;
  e.at = session.now();
  e.rollout = std::move(found->first);
  e.version = std::move(found->second);
  const std::string name = text(e.version, "spec.modelRef.name");
  auto model = get(session, Kind::Model, name);
  if (!model) return fail(model.error());
  e.model = std::move(*model);
  auto versions = list(session, Kind::ModelVersion);
  if (!versions) return fail(versions.error());
  e.lineage = line_of(name_of(e.version), *versions);
  auto approvals = list(session, Kind::ModelApproval);
  if (!approvals) return fail(approvals.error());
  for (Json& one : *approvals)
    if (text(one, "spec.rolloutRef.name") == name_of(e.rollout)) e.approvals.push_back(std::move(one));
  auto trail = read_trail(session, name);
  if (!trail) return fail(trail.error());
  e.trail = std::move(*trail);
  if (!e.rollout.contains("metadata")) return e;
  // Once more: what it says now is no older than the trail.
  auto rollout = get(session, Kind::ModelRollout, name_of(e.rollout));
  if (!rollout) return fail(rollout.error());
  e.rollout = std::move(*rollout);
  return e;
}

}  // namespace

std::string card_of(const Evidence& e) {
  std::string out = "# " + markdown_cell(name_of(e.version)) + "\n\n| | |\n|---|---|\n";
  const auto row = [&](const std::string& name, const std::string& value) {
    if (!value.empty()) out += "| " + name + " | " + markdown_cell(value) + " |\n";
  };
  row("Model", e.trail.model);
  row("Description", text(e.model, "spec.description"));
  row("Class", text(e.model, "spec.class"));
  row("Risk tier", text(e.model, "spec.riskTier"));
  row("Owner", text(e.model, "spec.owner.team") + " " + text(e.model, "spec.owner.contact"));
  for (const auto& [field, title] :
       {std::pair("businessOwner", "Business owner"), std::pair("businessValue", "Business value"),
        std::pair("intendedUse", "Intended use"), std::pair("outOfScope", "Out of scope"),
        std::pair("limitations", "Limitations"), std::pair("ethicalConsiderations", "Ethical considerations")})
    row(title, text(e.model, std::string("spec.card.") + field));
  row("Artifact", text(e.version, "spec.artifact.uri"));
  row("Digest", text(e.version, "spec.artifact.digest"));
  row("Format", text(e.version, "spec.artifact.format.name") + " " + text(e.version, "spec.artifact.format.version"));
  for (const Json& part : items(e.version, "spec.parts"))
    row("Part " + markdown_cell(text(part, "name")), text(part, "artifact.uri") + ", " + text(part, "artifact.digest"));
  row("Code", text(e.version, "spec.lineage.code.repository") + " " + text(e.version, "spec.lineage.code.revision"));
  row("Trained by", text(e.version, "spec.lineage.run.name"));
  for (const Json& data : items(e.version, "spec.lineage.data")) row("Data", text(data, "name") + " " + text(data, "digest"));
  if (const Json* metrics = field(e.version, "spec.metrics"); metrics && metrics->is_object())
    for (const auto& [name, value] : metrics->items())
      row("Metric " + markdown_cell(name), value.is_string() ? value.get<std::string>() : value.dump());
  if (!e.rollout.contains("metadata")) return out;
  out += "\n## ModelRollout " + markdown_cell(name_of(e.rollout)) + "\n\n| | |\n|---|---|\n";
  row("Ended", text(e.rollout, "status.phase") + " " + text(e.rollout, "status.finishedAt"));
  row("Why", text(e.rollout, "status.message"));
  for (const Json& gate : items(e.rollout, "status.gates"))
    row("Gate " + markdown_cell(text(gate, "name")),
        text(gate, "verdict") + " " + text(gate, "value") +
            (text(gate, "stableValue").empty() ? "" : " (stable: " + text(gate, "stableValue") + ")"));
  for (const Json& cleared : items(e.rollout, "status.governance.cleared"))
    for (const Json& used : items(cleared, "approvals"))
      row("Approved by", text(used, "approver") + " for role " + text(used, "role") + ", " + text(cleared, "at"));
  return out;
}

Files pack(const Evidence& e) {
  const auto put = [](const Json& value) { return value.dump(2) + "\n"; };
  const Json status = e.rollout.value("status", Json::object());
  Json lineage = Json::array(), approvals = Json::array();
  for (const Json& one : e.lineage) lineage.push_back(plain(one));
  for (const Json& one : e.approvals) approvals.push_back(plain(one));
  Files files = {
      {"README.txt", kReadme},
      {"model-card.md", card_of(e)},
      {"bom.cdx.json", put(bom_of(e))},
      {"model.json", put(plain(e.model))},
      {"version.json", put(plain(e.version))},
      {"lineage.json", put(lineage)},
      {"policy.json", put({{"rollout", status.value("policy", Json())}, {"governance", status.value("governance", Json())}})},
      {"gates.json", put(status.value("gates", Json::array()))},
      {"approvals.json", put({{"used", items(e.rollout, "status.governance.cleared")}, {"objects", approvals}})}};
  if (e.rollout.contains("metadata")) files["rollout.json"] = put(plain(e.rollout));
  put_trail(files, e);
  files["SHA256SUMS"] = sums_of(files);
  return files;
}

int gather_evidence(Session& session, const Gathering& gathering) {
  const auto keys = read_keys(gathering.public_keys);
  if (!keys) return complain(session, keys.error());
  auto evidence = gather(session, gathering.name);
  if (!evidence) return complain(session, evidence.error());
  if (!keys->empty()) evidence->public_key = keys->front();
  const Files files = pack(*evidence);
  if (const auto written = fetch::write_bundle(gathering.file, files); !written) return complain(session, written.error());
  session.out << printable("wrote " + gathering.file + ": " + std::to_string(files.size()) + " files on " +
                           name_of(evidence->version) +
                           (evidence->rollout.contains("metadata") ? " and ModelRollout " + name_of(evidence->rollout)
                                                                   : ", without a ModelRollout"))
              << "\n";
  return kDone;
}

int verify_evidence(const Checking& checking, std::ostream& out, std::ostream& err) {
  const auto keys = read_keys(checking.public_keys);
  const auto files = keys ? fetch::read_bundle(checking.file) : fail(keys.error());
  if (!files) {
    err << "error: " << printable(files.error().message) << "\n";
    return kTrouble;
  }
  const Checked checked = check(*files, *keys);
  for (const std::string& line : checked.good) out << "ok: " << printable(line) << "\n";
  for (const std::string& line : checked.bad) out << "BAD: " << printable(line) << "\n";
  return checked.bad.empty() ? kDone : kNo;
}

}  // namespace mo::plugin
