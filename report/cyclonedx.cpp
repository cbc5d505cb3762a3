#include "report/cyclonedx.h"

#include "operator/json/fields.h"

namespace mo::report {
namespace {

Json property(const std::string& name, const std::string& value) { return {{"name", "modelops.dev:" + name}, {"value", value}}; }

Json properties_of(const Model& m, const Version* v) {
  Json list = Json::array();
  const auto add = [&](const std::string& name, const std::string& value) {
    if (!value.empty()) list.push_back(property(name, value));
  };
  add("namespace", m.ns);
  add("owner.team", m.team);
  add("owner.contact", m.contact);
  add("businessOwner", m.card.count("businessOwner") ? m.card.at("businessOwner") : "");
  add("class", m.model_class);
  add("riskTier", m.tier);
  add("stage", m.stage);
  add("phase", m.phase);
  add("successor", m.successor);
  add("servesSince", m.since ? format_time(*m.since) : "");
  add("compliant", m.compliant);
  if (!v) return list;
  add("format", v->format);
  add("run", v->run);
  add("code.repository", v->repository);
  add("code.revision", v->revision);
  add("parent", v->parent);
  return list;
}

Json card_of(const Model& m, const Version* v) {
  Json card = Json::object();
  const auto said = [&](const char* field) { return m.card.count(field) ? m.card.at(field) : std::string(); };
  Json considerations = Json::object();
  if (!said("intendedUse").empty()) considerations["useCases"] = Json::array({said("intendedUse")});
  for (const char* field : {"limitations", "outOfScope"})
    if (!said(field).empty()) considerations["technicalLimitations"].push_back(said(field));
  if (!said("ethicalConsiderations").empty())
    considerations["ethicalConsiderations"] = Json::array({Json{{"name", said("ethicalConsiderations")}}});
  if (!considerations.empty()) card["considerations"] = std::move(considerations);
  if (!v) return card;
  for (const auto& [name, digest] : v->data) {
    Json data = {{"type", "dataset"}, {"name", name}};
    if (!digest.empty()) data["contents"]["properties"] = Json::array({property("digest", digest)});
    card["modelParameters"]["datasets"].push_back(std::move(data));
  }
  for (const auto& [name, value] : v->metrics)
    card["quantitativeAnalysis"]["performanceMetrics"].push_back({{"type", name}, {"value", value}});
  return card;
}

}  // namespace

Json to_cyclonedx(const Portfolio& p, const std::string& version_of_program) {
  Json components = Json::array();
  for (const Model& m : p.models) {
    const Version* v = m.record();
    Json one = {{"type", "machine-learning-model"}, {"bom-ref", m.ns + "/" + m.name}, {"group", m.ns}, {"name", m.name}};
    if (!m.version.empty()) one["version"] = m.version;
    if (!m.description.empty()) one["description"] = m.description;
    const std::string& digest = v && !v->digest.empty() ? v->digest : m.digest;
    if (digest.starts_with("sha256:")) one["hashes"] = Json::array({Json{{"alg", "SHA-256"}, {"content", digest.substr(7)}}});
    for (const auto& [name, of_part] : v ? v->parts : decltype(v->parts){}) {
      Json part = {{"type", "data"}, {"bom-ref", m.ns + "/" + m.name + "/" + name}, {"name", name}};
      if (of_part.starts_with("sha256:")) part["hashes"] = Json::array({Json{{"alg", "SHA-256"}, {"content", of_part.substr(7)}}});
      one["components"].push_back(std::move(part));
    }
    if (Json card = card_of(m, v); !card.empty()) one["modelCard"] = std::move(card);
    one["properties"] = properties_of(m, v);
    components.push_back(std::move(one));
  }
  return {{"bomFormat", "CycloneDX"},
          {"specVersion", "1.6"},
          {"version", 1},
          {"metadata",
           {{"timestamp", format_time(p.at)},
            {"tools", {{"components", Json::array({Json{{"type", "application"}, {"name", "kubectl-model"}, {"version", version_of_program}}})}}},
            {"properties", Json::array({property("scope", p.scope)})}}},
          {"components", std::move(components)}};
}

}  // namespace mo::report
