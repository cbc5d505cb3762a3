#include "plugin/inventory.h"

#include <algorithm>

#include "operator/api/types.h"
#include "plugin/crds.h"
#include "plugin/fields.h"
#include "plugin/rollouts.h"
#include "plugin/show.h"

namespace mo::plugin {
namespace {

std::string cell(const Json& object, const Json& column, TimePoint now) {
  const std::string path = text(column, "jsonPath");
  if (text(column, "type") != "date") return text(object, path);
  const auto at = time_of(object, path);
  return at ? age(now - *at) : "";
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

// The columns that kubectl prints too: those of the CRD.
void print_models(Session& session, const std::vector<Json>& models, const Getting& getting) {
  std::vector<std::string> header = {"NAME"};
  if (getting.everywhere) header.insert(header.begin(), "NAMESPACE");
  std::vector<Json> columns;
  for (const Json& column : items(crd_of("Model")->version, "additionalPrinterColumns")) {
    if (number(column, "priority") > 0 && getting.output != "wide") continue;
    columns.push_back(column);
    header.push_back(upper(text(column, "name")));
  }
  std::vector<std::vector<std::string>> rows;
  for (const Json& model : models) {
    std::vector<std::string> row = {name_of(model)};
    if (getting.everywhere) row.insert(row.begin(), text(model, "metadata.namespace"));
    for (const Json& column : columns) row.push_back(cell(model, column, session.now()));
    rows.push_back(std::move(row));
  }
  print_table(session.out, header, rows);
}

// Who asked for it: the operator for the spec or for a training run, or the program that a person or a
// pipeline made it with.
std::string origin_of(const Json& rollout) {
  const auto label = Json::json_pointer("/metadata/labels/modelops.dev~1origin");
  if (rollout.contains(label)) return rollout[label].get<std::string>();
  std::string maker, since;
  for (const Json& entry : items(rollout, "metadata.managedFields")) {
    const std::string at = text(entry, "time");
    if (field(entry, "subresource") || (!since.empty() && at >= since)) continue;
    maker = text(entry, "manager");
    since = at;
  }
  return maker;
}

}  // namespace

int get_models(Session& session, const Getting& getting) {
  std::vector<Json> models;
  bool missing = false;
  if (getting.everywhere) session.ns.clear();
  if (getting.models.empty()) {
    auto all = list(session, Kind::Model);
    if (!all) return complain(session, all.error());
    models = std::move(*all);
  }
  for (const std::string& name : getting.models) {
    auto model = get(session, Kind::Model, name);
    if (!model) {
      missing = true;
      complain(session, model.error());
    } else {
      models.push_back(std::move(*model));
    }
  }
  const bool table = getting.output.empty() || getting.output == "wide";
  if (!table)
    print_objects(session.out, models, getting.output, getting.models.size() != 1);
  else if (!models.empty())
    print_models(session, models, getting);
  else if (!missing)
    session.err << "no Models" << (session.ns.empty() ? "" : " in namespace " + session.ns) << "\n";
  return missing ? kTrouble : kDone;
}

int history(Session& session, const Past& past) {
  const auto rollouts = read(session, past.model);
  if (!rollouts) return complain(session, rollouts.error());
  if (!past.output.empty()) {
    print_objects(session.out, rollouts->all, past.output, true);
    return kDone;
  }
  if (rollouts->all.empty()) {
    session.err << "Model " << past.model << " had no rollout yet\n";
    return kDone;
  }
  std::vector<std::vector<std::string>> rows;
  for (const Json& r : rollouts->all)
    rows.push_back({name_of(r), text(r, "status.fromVersion"), text(r, "spec.version"),
                    text(r, "status.phase"), text(r, "status.startedAt"), text(r, "status.finishedAt"),
                    origin_of(r), text(r, "status.message")});
  print_table(session.out, {"ROLLOUT", "FROM", "TO", "PHASE", "STARTED", "FINISHED", "BY", "WHY"}, rows);
  return kDone;
}

}  // namespace mo::plugin
