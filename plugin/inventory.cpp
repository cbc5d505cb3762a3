#include "plugin/inventory.h"

#include <algorithm>
#include <map>

#include "operator/api/types.h"
#include "plugin/crds.h"
#include "plugin/fields.h"
#include "plugin/names.h"
#include "plugin/rollouts.h"
#include "plugin/show.h"
#include "plugin/watching.h"

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
class ModelTable {
 public:
  ModelTable(Session& session, const Getting& getting)
      : session_(session), everywhere_(getting.everywhere), columns_(columns(getting.output == "wide")),
        table_(session.out, header()) {}

  void print(const std::vector<Json>& models) {
    std::vector<std::vector<std::string>> rows;
    for (const Json& model : models) rows.push_back(row(model));
    if (!rows.empty()) table_.print(std::move(rows));
  }

  // What a person sees of it, but for its age.
  std::vector<std::string> told(const Json& model) const {
    std::vector<std::string> cells;
    for (const Json& column : columns_)
      if (text(column, "type") != "date") cells.push_back(cell(model, column, {}));
    return cells;
  }

 private:
  static std::vector<Json> columns(bool wide) {
    std::vector<Json> all;
    for (const Json& column : items(crd_of("Model")->version, "additionalPrinterColumns"))
      if (wide || number(column, "priority") == 0) all.push_back(column);
    return all;
  }

  std::vector<std::string> header() const {
    std::vector<std::string> all = {"NAME"};
    if (everywhere_) all.insert(all.begin(), "NAMESPACE");
    for (const Json& column : columns_) all.push_back(upper(text(column, "name")));
    return all;
  }

  std::vector<std::string> row(const Json& model) const {
    std::vector<std::string> cells = {name_of(model)};
    if (everywhere_) cells.insert(cells.begin(), text(model, "metadata.namespace"));
    for (const Json& column : columns_) cells.push_back(cell(model, column, session_.now()));
    return cells;
  }

  Session& session_;
  const bool everywhere_;
  const std::vector<Json> columns_;
  Table table_;
};

class Get {
 public:
  Get(Session& session, const Getting& getting)
      : session_(session), getting_(getting), drawn_(getting.output.empty() || getting.output == "wide"),
        table_(session, getting) {}

  int run() {
    for (const std::string& word : getting_.selection.names) {
      const auto name = name_as(Kind::Model, word);
      if (!name) return complain(session_, name.error());
      names_.push_back(*name);
    }
    int code = kDone;
    const auto models = names_.empty() ? all() : by_name(code);
    if (!models) return complain(session_, models.error());
    show(*models, code);
    return getting_.watch && code == kDone ? follow(*models) : code;
  }

 private:
  Result<std::vector<Json>> all() {
    kube::ListOptions labelled;
    labelled.label_selector = getting_.selection.selector;
    return list(session_, Kind::Model, labelled);
  }

  // Those that there are; the others are complained of.
  Result<std::vector<Json>> by_name(int& code) {
    std::vector<Json> models;
    for (const std::string& name : names_) {
      auto model = get(session_, Kind::Model, name);
      if (model)
        models.push_back(std::move(*model));
      else
        code = complain(session_, model.error());
    }
    return models;
  }

  void show(const std::vector<Json>& models, int code) {
    if (drawn_)
      table_.print(models);
    else if (getting_.watch)
      for (const Json& model : models) print(model);
    else
      print_objects(session_.out, models, getting_.output, getting_.selection.names.size() != 1);
    if (drawn_ && models.empty() && code == kDone)
      session_.err << "no Models" << (session_.ns.empty() ? "" : " in namespace " + session_.ns)
                   << (getting_.selection.selector.empty() ? "" : " with labels " + getting_.selection.selector) << "\n";
  }

  void print(const Json& model) {
    if (drawn_) return table_.print({model});
    if (getting_.output == "yaml") session_.out << "---\n";
    print_objects(session_.out, {model}, getting_.output, false);
  }

  static std::string id(const Json& model) { return text(model, "metadata.namespace") + "/" + name_of(model); }
  // Whatever of it is printed.
  Json told(const Json& model) const {
    if (getting_.output == "name") return name_of(model);
    return drawn_ ? Json(table_.told(model)) : model;
  }

  // Ends when nobody reads what it prints, and by itself never.
  int follow(const std::vector<Json>& models) {
    std::map<std::string, Json> before;
    for (const Json& model : models) before[id(model)] = told(model);
    Seen seen;
    const Watches watches(session_, seen, {{Kind::Model, getting_.selection.selector}});
    std::string problem;
    while (session_.out.flush() && !session_.stop.stop_requested()) {
      seen.wait(std::chrono::steady_clock::now() + std::chrono::seconds(1));
      if (const std::string now = watches.problem(); now != std::exchange(problem, now) && !now.empty())
        session_.err << "possibly out of date: " << printable(now) << std::endl;
      if (watches.listed()) print_news(seen.all(Kind::Model), before);
    }
    return kDone;
  }

  void print_news(const std::vector<Json>& models, std::map<std::string, Json>& before) {
    std::map<std::string, Json> after;
    for (const Json& model : models) {
      if (!names_.empty() && std::find(names_.begin(), names_.end(), name_of(model)) == names_.end()) continue;
      const auto known = before.find(id(model));
      Json now = told(model);
      if (known == before.end() || known->second != now) print(model);
      after[id(model)] = std::move(now);
    }
    for (const auto& [id, model] : before)
      if (!after.contains(id)) session_.err << "Model " << printable(id) << " was deleted" << std::endl;
    before = std::move(after);
  }

  Session& session_;
  const Getting& getting_;
  const bool drawn_;  // as a table
  ModelTable table_;
  std::vector<std::string> names_;  // none: all
};

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
  if (getting.everywhere) session.ns.clear();
  return Get(session, getting).run();
}

int history(Session& session, const Past& past) {
  const auto model = name_as(Kind::Model, past.model);
  if (!model) return complain(session, model.error());
  const auto rollouts = read(session, *model);
  if (!rollouts) return complain(session, rollouts.error());
  if (!past.output.empty()) {
    print_objects(session.out, rollouts->all, past.output, true);
    return kDone;
  }
  if (rollouts->all.empty()) {
    session.err << "Model " << *model << " has no rollout yet\n";
    return kDone;
  }
  std::vector<std::vector<std::string>> rows;
  for (const Json& r : rollouts->all)
    rows.push_back({name_of(r), from_text(r), to_text(r),
                    text(r, "status.phase"), text(r, "status.startedAt"), text(r, "status.finishedAt"),
                    origin_of(r), text(r, "status.message")});
  print_table(session.out, {"ROLLOUT", "FROM", "TO", "PHASE", "STARTED", "FINISHED", "BY", "WHY"}, rows);
  return kDone;
}

}  // namespace mo::plugin
