#include "plugin/lineage.h"

#include <algorithm>
#include <map>
#include <set>

#include "operator/core/decimal.h"
#include "plugin/fields.h"
#include "plugin/names.h"
#include "plugin/show.h"

namespace mo::plugin {
namespace {

constexpr size_t kDigestShown = 19;  // "sha256:" and 12 digits

// ---- runs ----

std::string parameters_of(const Json* parameters) {
  std::string all;
  if (parameters && parameters->is_object())
    for (const auto& [name, value] : parameters->items())
      all += (all.empty() ? "" : ", ") + name + "=" + (value.is_string() ? value.get<std::string>() : value.dump());
  return all;
}

void print_run(Session& session, const Json& run) {
  std::vector<std::vector<std::string>> stages, trials;
  for (const Json& stage : items(run, "status.stages"))
    stages.push_back({text(stage, "name"), text(stage, "phase"), text(stage, "job.name"), text(stage, "startedAt"), text(stage, "finishedAt"),
                      parameters_of(field(stage, "metrics")), text(stage, "message")});
  for (const Json& trial : items(run, "status.trials"))
    trials.push_back({text(trial, "attempt"), text(trial, "index"), text(trial, "phase"), parameters_of(field(trial, "parameters")),
                      parameters_of(field(trial, "metrics")), text(trial, "job.name"), text(trial, "message")});
  session.out << printable(name_of(run)) << ": " << printable(text(run, "status.phase")) << ": " << printable(text(run, "status.message")) << "\n";
  if (!stages.empty()) print_table(session.out, {"STAGE", "PHASE", "JOB", "STARTED", "FINISHED", "METRICS", "WHY"}, stages);
  if (!trials.empty()) print_table(session.out, {"ATTEMPT", "TRIAL", "PHASE", "PARAMETERS", "METRICS", "JOB", "WHY"}, trials);
}

// ---- lineage ----

std::string short_digest(const std::string& digest) { return digest.substr(0, kDigestShown); }

const Json* figures_of(const Json& version) {
  const Json* evaluated = field(version, "status.evaluation.metrics");
  return evaluated ? evaluated : field(version, "spec.metrics");
}

// What is known of one version, a line for each part.
std::vector<std::pair<std::string, std::string>> parts_of(const Json& version) {
  std::vector<std::pair<std::string, std::string>> parts;
  const auto add = [&](const std::string& name, const std::string& value) {
    if (!value.empty()) parts.emplace_back(name, value);
  };
  add("artifact", text(version, "spec.artifact.digest") + " " + text(version, "spec.artifact.uri"));
  for (const Json& part : items(version, "spec.parts"))
    add("part", text(part, "name") + " " + text(part, "artifact.digest") + " " + text(part, "artifact.uri"));
  if (field(version, "spec.lineage.run")) {
    std::string run = text(version, "spec.lineage.run.kind") + " " + text(version, "spec.lineage.run.name");
    if (const std::string seed = text(version, "spec.lineage.run.seed"); !seed.empty()) run += ", seed " + seed;
    if (const std::string told = parameters_of(field(version, "spec.lineage.run.parameters")); !told.empty()) run += ", " + told;
    add("run", run);
  }
  std::string code = text(version, "spec.lineage.code.repository");
  if (const std::string revision = text(version, "spec.lineage.code.revision"); !revision.empty()) code += "@" + revision;
  add("code", code);
  for (const Json& set : items(version, "spec.lineage.data")) {
    const std::string rows = text(set, "rows");
    add("data", text(set, "name") + " " + text(set, "digest") + (rows.empty() ? "" : " (" + rows + " rows)"));
  }
  add("image", text(version, "spec.lineage.environment.image"));
  add("metrics", parameters_of(figures_of(version)));
  return parts;
}

std::string parent_of(const Json& version) { return text(version, "spec.lineage.parent"); }

void print_line(Session& session, const std::vector<Json>& line) {
  std::string indent;
  for (const Json& version : line) {
    const std::string phase = text(version, "status.phase");
    session.out << indent << (indent.empty() ? "" : "└─ ") << printable(name_of(version)) << (phase.empty() ? "" : " (" + printable(phase) + ")") << "\n";
    if (!indent.empty()) indent += "   ";
    for (const auto& [name, value] : parts_of(version))
      session.out << indent << "  " << name << std::string(10 - name.size(), ' ') << printable(value) << "\n";
    if (indent.empty()) indent = " ";
  }
  const std::string missing = parent_of(line.back());
  if (!missing.empty()) session.out << indent << "└─ " << printable(missing) << " (its record is deleted)\n";
}

Result<std::string> version_to_trace(Session& session, const std::string& word) {
  if (const auto model = name_as(Kind::Model, word)) {
    auto found = get(session, Kind::Model, *model);
    if (found) {
      const std::string stable = text(*found, "status.stableVersion");
      if (stable.empty()) return refuse("Model " + *model + " serves no version yet: name a ModelVersion");
      return stable;
    }
    if (found.error().kind != ErrorKind::NotFound) return fail(found.error());
  }
  auto version = name_as(Kind::ModelVersion, word);
  if (!version) return fail(version.error());
  if (auto found = get(session, Kind::ModelVersion, *version); !found)
    return found.error().kind == ErrorKind::NotFound ? refuse("no Model or ModelVersion is named " + *version) : fail(found.error());
  return *version;
}

// ---- diff ----

using Flat = std::map<std::string, std::string>;

void flatten(const Json& value, const std::string& path, Flat& into) {
  if (value.is_object()) {
    for (const auto& [name, inner] : value.items()) flatten(inner, path + "." + name, into);
  } else if (value.is_array()) {
    for (size_t i = 0; i < value.size(); ++i) {
      // Data sets and parts are known by their name, in whatever order they stand.
      const std::string name = text(value[i], "name");
      flatten(value[i], path + "[" + (name.empty() ? std::to_string(i) : name) + "]", into);
    }
  } else {
    into[path] = value.is_string() ? value.get<std::string>() : value.dump();
  }
}

Flat told_of(const Json& version) {
  Flat all;
  for (const char* part : {"artifact", "parts", "lineage"})
    if (const Json* found = field(version, std::string("spec.") + part)) flatten(*found, part, all);
  if (const Json* figures = figures_of(version)) flatten(*figures, "metrics", all);
  return all;
}

// By how much a figure is more.
std::string change_of(const Difference& d) {
  const auto from = Decimal::parse(d.from), to = Decimal::parse(d.to);
  if (!d.field.starts_with("metrics.") || !from || !to) return "";
  const std::string by = (*to - *from).to_string();
  return by.starts_with("-") ? by : "+" + by;
}

std::string dot_text(const std::string& text) {
  std::string out = "\"";
  for (const char c : printable(text)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

}  // namespace

std::vector<Json> line_of(const std::string& start, const std::vector<Json>& versions) {
  std::vector<Json> line;
  std::set<std::string> seen;
  std::string wanted = start;
  while (!wanted.empty() && seen.insert(wanted).second) {
    const auto found = std::find_if(versions.begin(), versions.end(), [&](const Json& v) { return name_of(v) == wanted; });
    if (found == versions.end()) break;
    line.push_back(*found);
    wanted = parent_of(*found);
  }
  return line;
}

std::vector<Difference> version_differences(const Json& from, const Json& to) {
  const Flat a = told_of(from), b = told_of(to);
  std::set<std::string> fields;
  for (const Flat* flat : {&a, &b})
    for (const auto& [name, value] : *flat) fields.insert(name);
  std::vector<Difference> all;
  for (const std::string& name : fields) {
    const auto at = [&](const Flat& flat) { return flat.count(name) ? flat.at(name) : ""; };
    if (at(a) != at(b)) all.push_back({name, at(a), at(b)});
  }
  return all;
}

std::string dot_of(const std::vector<Json>& line) {
  std::string out = "digraph lineage {\n  rankdir=LR;\n";
  for (const Json& version : line) {
    const std::string name = name_of(version);
    out += "  " + dot_text(name) + " [shape=box];\n";
    const std::string run = text(version, "spec.lineage.run.name");
    if (!run.empty()) out += "  " + dot_text("run " + run) + " -> " + dot_text(name) + ";\n";
    for (const Json& set : items(version, "spec.lineage.data"))
      out += "  " + dot_text("data " + text(set, "name") + " " + short_digest(text(set, "digest"))) + " -> " + dot_text(run.empty() ? name : "run " + run) + ";\n";
    for (const Json& part : items(version, "spec.parts"))
      out += "  " + dot_text("part " + text(part, "name") + " " + short_digest(text(part, "artifact.digest"))) + " -> " + dot_text(name) + ";\n";
    const std::string revision = text(version, "spec.lineage.code.revision");
    if (!revision.empty()) out += "  " + dot_text("code " + revision) + " -> " + dot_text(run.empty() ? name : "run " + run) + ";\n";
    if (const std::string parent = parent_of(version); !parent.empty()) out += "  " + dot_text(parent) + " -> " + dot_text(name) + " [label=parent];\n";
  }
  return out + "}\n";
}

int runs(Session& session, const Running& running) {
  const auto model = name_as(Kind::Model, running.model);
  if (!model) return complain(session, model.error());
  kube::ListOptions of_model;
  of_model.field_selector = "spec.modelRef.name=" + *model;
  auto found = list(session, Kind::TrainingRun, of_model);
  if (!found) return complain(session, found.error());
  if (!running.run.empty()) {
    const auto name = name_as(Kind::TrainingRun, running.run);
    if (!name) return complain(session, name.error());
    std::erase_if(*found, [&](const Json& run) { return name_of(run) != *name; });
    if (found->empty()) return complain(session, refuse("Model " + *model + " has no TrainingRun " + *name).value());
  }
  std::stable_sort(found->begin(), found->end(), [](const Json& a, const Json& b) {
    return std::pair(text(a, "metadata.creationTimestamp"), name_of(a)) > std::pair(text(b, "metadata.creationTimestamp"), name_of(b));
  });
  if (!running.output.empty()) {
    print_objects(session.out, *found, running.output, running.run.empty());
    return kDone;
  }
  if (!running.run.empty()) {
    print_run(session, found->front());
    return kDone;
  }
  if (found->empty()) {
    session.err << "Model " << *model << " has no TrainingRun yet\n";
    return kDone;
  }
  std::vector<std::vector<std::string>> rows;
  for (const Json& run : *found)
    rows.push_back({name_of(run), text(run, "spec.trigger.name"), text(run, "status.phase"), text(run, "status.stage"),
                    std::to_string(items(run, "status.trials").size()), text(run, "status.version"), text(run, "status.score"),
                    text(run, "status.startedAt"), text(run, "status.finishedAt"), text(run, "status.message")});
  print_table(session.out, {"RUN", "TRIGGER", "PHASE", "STAGE", "TRIALS", "VERSION", "SCORE", "STARTED", "FINISHED", "WHY"}, rows);
  return kDone;
}

int lineage(Session& session, const Tracing& tracing) {
  const auto start = version_to_trace(session, tracing.name);
  if (!start) return complain(session, start.error());
  const auto versions = list(session, Kind::ModelVersion);
  if (!versions) return complain(session, versions.error());
  const std::vector<Json> line = line_of(*start, *versions);
  if (line.empty()) return complain(session, refuse("no record exists of ModelVersion " + *start).value());
  if (tracing.output == "json") {
    Json out = Json::array();
    for (const Json& version : line)
      out.push_back({{"version", name_of(version)},
                     {"phase", text(version, "status.phase")},
                     {"artifact", version["spec"]["artifact"]},
                     {"parts", items(version, "spec.parts")},
                     {"lineage", field(version, "spec.lineage") ? *field(version, "spec.lineage") : Json::object()},
                     {"metrics", figures_of(version) ? *figures_of(version) : Json::object()}});
    session.out << out.dump(2) << "\n";
  } else if (tracing.output == "dot") {
    session.out << dot_of(line);
  } else {
    print_line(session, line);
  }
  return kDone;
}

int diff_versions(Session& session, const Comparing& comparing) {
  std::vector<Json> both;
  for (const std::string* word : {&comparing.from, &comparing.to}) {
    const auto name = name_as(Kind::ModelVersion, *word);
    if (!name) return complain(session, name.error());
    auto version = get(session, Kind::ModelVersion, *name);
    if (!version) return complain(session, version.error());
    both.push_back(std::move(*version));
  }
  const auto all = version_differences(both[0], both[1]);
  if (comparing.output == "json") {
    Json out = Json::array();
    for (const Difference& d : all) out.push_back({{"field", d.field}, {"from", d.from}, {"to", d.to}});
    session.out << out.dump(2) << "\n";
    return all.empty() ? kDone : kNo;
  }
  if (all.empty()) {
    session.err << name_of(both[0]) << " and " << name_of(both[1]) << " have the same artifact, parts, lineage and metrics\n";
    return kDone;
  }
  std::vector<std::vector<std::string>> rows;
  for (const Difference& d : all) rows.push_back({d.field, d.from, d.to, change_of(d)});
  print_table(session.out, {"FIELD", printable(name_of(both[0])), printable(name_of(both[1])), "CHANGE"}, rows);
  return kNo;
}

}  // namespace mo::plugin
