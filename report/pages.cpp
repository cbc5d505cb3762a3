#include "report/pages.h"

#include <algorithm>

#include "operator/json/fields.h"
#include "report/delivery.h"
#include "report/findings.h"
#include "report/frame.h"
#include "report/plots.h"
#include "report/resource_tables.h"
#include "report/sections.h"
#include "report/tables.h"

namespace mo::report {
namespace {

constexpr size_t kNeedsShown = 15, kLongestQuery = 2048, kActivityShown = 200;

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

std::string from_url(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](size_t at) { return at < text.size() && std::isxdigit(static_cast<unsigned char>(text[at])); };
    if (text[i] == '%' && digit(i + 1) && digit(i + 2)) {
      out += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

size_t number_of(const std::string& text, size_t otherwise) {
  if (text.empty() || text.size() > 6 || !std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); })) return otherwise;
  return std::stoul(text);
}

std::string query_of(const Filter& f, size_t page) {
  std::string query = "/?page=" + std::to_string(page);
  for (const auto& [name, value] : {std::pair("q", &f.text), std::pair("team", &f.team), std::pair("class", &f.model_class), std::pair("tier", &f.tier),
                                    std::pair("stage", &f.stage)})
    if (!value->empty()) query += std::string("&") + name + "=" + in_url(*value);
  return query;
}

void put_choice(Html& h, const char* name, const char* title, const std::string& chosen, const std::set<std::string>& values) {
  h << "<label>";
  h.text(title) << "<select";
  h.attribute("name", name) << "><option value=\"\">all</option>";
  for (const std::string& value : values) {
    if (value.empty()) continue;
    h << "<option";
    h.attribute("value", value);
    if (value == chosen) h << " selected";
    h << ">";
    h.text(value) << "</option>";
  }
  h << "</select></label>";
}

void put_filter(Html& h, const Portfolio& p, const Filter& f) {
  std::set<std::string> teams, classes, tiers, stages;
  for (const Model& m : p.models) {
    if (teams.size() < 500) teams.insert(m.team);
    classes.insert(m.model_class);
    tiers.insert(m.tier);
    stages.insert(m.stage);
  }
  h << "<form class=\"filter\" method=\"get\" action=\"/\"><label>Search<input type=\"search\" name=\"q\"";
  h.attribute("value", f.text) << "></label>";
  put_choice(h, "team", "Team", f.team, teams);
  put_choice(h, "class", "Class", f.model_class, classes);
  put_choice(h, "tier", "Tier", f.tier, tiers);
  put_choice(h, "stage", "Stage", f.stage, stages);
  h << "<button>Show</button></form>";
}

void put_pages(Html& h, const Filter& f, size_t all) {
  const size_t pages = (all + kRowsPerPage - 1) / kRowsPerPage;
  if (pages < 2) return;
  h << "<nav class=\"files\" aria-label=\"More Models\">";
  const auto link = [&](size_t page, const char* title) {
    h << "<a";
    h.attribute("href", query_of(f, page)) << ">";
    h.text(title) << "</a>";
  };
  if (f.page > 1) link(f.page - 1, "Previous");
  h << "<span>";
  h.text("Page " + std::to_string(f.page) + " of " + std::to_string(pages)) << "</span>";
  if (f.page < pages) link(f.page + 1, "Next");
  h << "</nav>";
}

void put_files(Html& h, const std::string& table) {
  h << "<p class=\"files\"><a";
  h.attribute("href", "/data/" + table + ".csv") << ">CSV</a><a";
  h.attribute("href", "/data/" + table + ".json") << ">JSON</a></p>";
}

Frame frame_of(const Portfolio& p, const std::string& title, const std::string& page) {
  return {title, p.scope, page, p.at, {}, 0, true};
}

void put_portfolio(Html& h, const Portfolio& p, const Filter* filter, const Links& links) {
  put_heading(h, "Portfolio", "Every Model, what serves of it, who answers for it, and what needs attention first.");
  put_gaps(h, p);
  if (p.models.empty()) return put_beginning(h, p);
  put_tiles(h, p);
  h << "<h2>What needs attention</h2>";
  put_needs(h, p.findings, kNeedsShown, links, true);
  h << "<h2>At a glance</h2>";
  put_shares(h, p);
  h << "<h2>Models</h2>";
  if (filter) put_filter(h, p, *filter);
  const auto all = filter ? filtered(p, *filter) : all_of(p);
  auto shown = all;
  if (filter) {
    const size_t from = std::min(all.size(), (filter->page - 1) * kRowsPerPage);
    shown.assign(all.begin() + static_cast<std::ptrdiff_t>(from), all.begin() + static_cast<std::ptrdiff_t>(std::min(all.size(), from + kRowsPerPage)));
  } else if (all.size() > kRowsInFile) {
    shown.resize(kRowsInFile);
  }
  put_table(h, narrow(models_table(shown, p)), links,
            !filter && all.size() > shown.size() ? std::to_string(all.size() - shown.size()) + " more are in kubectl model inventory -A -o csv" : "");
  if (filter) {
    put_pages(h, *filter, all.size());
    put_files(h, "models");
  }
  if (!p.servers_known && p.servers.empty()) return;
  h << "<h2>Model servers that no Model knows</h2>";
  put_table(h, servers_table(p), links);
}

void put_delivery(Html& h, const Portfolio& p, const Links& links) {
  put_heading(h, "Delivery", "How often and how safely new versions get to production: the four figures of DORA, over the last 90 days.");
  put_gaps(h, p);
  const auto all = all_of(p);
  put_delivery_tiles(h, delivery_of(all, p.at));
  h << "<h2>Week by week</h2><div class=\"card\">";
  put_weeks(h, weeks_of(all, p.at));
  h << "</div><h2>By Model</h2>";
  const size_t most = links.one_file ? kRowsInFile : kRowsPerPage;
  const Table table = delivery_table(all, p.at, most);
  put_table(h, table, links, table.rows.size() == most ? "those with most failures; the table as CSV or JSON has all" : "");
  if (!links.one_file) put_files(h, "delivery");
  h << "<h2>What the figures mean</h2><dl class=\"definitions\">";
  for (const Definition& d : delivery_definitions()) {
    h << "<dt>";
    h.text(d.figure) << "</dt><dd>";
    h.text(d.meaning) << "</dd>";
  }
  h << "</dl>";
}

void put_compliance(Html& h, const Portfolio& p, const Links& links) {
  put_heading(h, "Compliance", "What policies demand, who meets it, and what Models do not say about themselves.");
  put_gaps(h, p);
  if (!p.policies_known)
    h << "<p class=\"gap\">No ModelPolicy could be read here, so whether a Model is compliant is unknown. What each Model says about itself is shown all the "
         "same.</p>";
  const size_t most = links.one_file ? kRowsInFile : kRowsPerPage;
  const Table table = compliance_table(all_of(p), most);
  put_table(h, table, links, table.rows.size() == most ? "those that are not compliant first; the table as CSV or JSON has all" : "");
  if (!links.one_file) put_files(h, "compliance");
}

void put_activity(Html& h, const Portfolio& p, const Links& links) {
  put_heading(h, "Activity", "The latest rollouts of all Models.");
  put_gaps(h, p);
  std::vector<const Rollout*> all;
  for (const Model& m : p.models)
    for (const Rollout& r : m.rollouts) all.push_back(&r);
  const auto when = [](const Rollout* r) { return r->finished.value_or(r->started.value_or(r->created.value_or(TimePoint{}))); };
  const size_t shown = std::min(all.size(), kActivityShown), more = all.size() - shown;
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(shown), all.end(), [&](const Rollout* a, const Rollout* b) { return when(a) > when(b); });
  all.resize(shown);
  put_table(h, rollouts_table(all, false), links, more ? std::to_string(more) + " older ones are on the pages of their Models" : "");
  if (!links.one_file) put_files(h, "rollouts");
}

// What a reader of the file most likely looks for: where something is wrong, then what serves.
std::vector<const Model*> in_file(const Portfolio& p) {
  auto models = all_of(p);
  std::stable_sort(models.begin(), models.end(), [](const Model* a, const Model* b) { return a->findings.size() > b->findings.size(); });
  if (models.size() > kModelsInFile) models.resize(kModelsInFile);
  std::sort(models.begin(), models.end(), [](const Model* a, const Model* b) { return std::tie(a->ns, a->name) < std::tie(b->ns, b->name); });
  return models;
}

void open_section(Html& h, const std::string& id, bool first = false) {
  h << "<section";
  h.attribute("id", id).attribute("class", first ? "" : "model") << ">";
}

}  // namespace

Filter filter_of(const std::string& query) {
  Filter f;
  const std::string bounded = query.substr(0, kLongestQuery);
  for (size_t from = 0; from < bounded.size();) {
    const size_t end = std::min(bounded.find('&', from), bounded.size());
    const std::string part = bounded.substr(from, end - from);
    const size_t equals = std::min(part.find('='), part.size());
    const std::string name = part.substr(0, equals), value = equals < part.size() ? from_url(part.substr(equals + 1)) : "";
    if (name == "q") f.text = value;
    if (name == "team") f.team = value;
    if (name == "class") f.model_class = value;
    if (name == "tier") f.tier = value;
    if (name == "stage") f.stage = value;
    if (name == "span") f.span = value;
    if (name == "page") f.page = std::max<size_t>(1, number_of(value, 1));
    if (name == "refresh") f.refresh = static_cast<int>(std::clamp<size_t>(number_of(value, 0), 0, 86400));
    from = end + 1;
  }
  if (f.refresh > 0) f.refresh = std::max(f.refresh, 15);
  return f;
}

std::vector<const Model*> filtered(const Portfolio& p, const Filter& f) {
  std::vector<const Model*> found;
  const std::string wanted = lower_case(f.text);
  for (const Model& m : p.models) {
    if ((!f.team.empty() && m.team != f.team) || (!f.model_class.empty() && m.model_class != f.model_class) || (!f.tier.empty() && m.tier != f.tier) ||
        (!f.stage.empty() && m.stage != f.stage))
      continue;
    const bool named = wanted.empty() || lower_case(m.ns + "/" + m.name + " " + m.team + " " + m.version + " " + m.description).find(wanted) != std::string::npos;
    if (named) found.push_back(&m);
  }
  return found;
}

std::string portfolio_page(const Portfolio& p, const Filter& filter) {
  Html h;
  put_portfolio(h, p, &filter, {});
  Frame frame = frame_of(p, "Portfolio", "portfolio");
  frame.refresh = filter.refresh;
  return document(frame, h);
}

std::string model_page(const Portfolio& p, const Model& model, const Figures* figures) {
  Html h;
  put_model(h, model, p, {}, figures);
  return document(frame_of(p, model.name, ""), h);
}

std::string resources_page(const Portfolio& p) {
  Html h;
  put_resources(h, p, {});
  put_files(h, "resources");
  return document(frame_of(p, "Resources", "resources"), h);
}
std::string delivery_page(const Portfolio& p) {
  Html h;
  put_delivery(h, p, {});
  return document(frame_of(p, "Delivery", "delivery"), h);
}
std::string compliance_page(const Portfolio& p) {
  Html h;
  put_compliance(h, p, {});
  return document(frame_of(p, "Compliance", "compliance"), h);
}
std::string activity_page(const Portfolio& p) {
  Html h;
  put_activity(h, p, {});
  return document(frame_of(p, "Activity", "activity"), h);
}

std::string missing_page() {
  Html h;
  put_heading(h, "Not found", "There is no such page, or you may not see it.");
  h << "<p><a href=\"/\">To the portfolio</a></p>";
  return document({"Not found", "this cluster", "", {}, {}, 0, true}, h);
}

std::string one_file(const Portfolio& p, const std::function<Figures(const Model&)>& figures) {
  const Links links{true};
  Html h;
  open_section(h, "portfolio", true);
  put_portfolio(h, p, nullptr, links);
  h << "</section>";
  for (const auto& [id, put] : {std::pair("delivery", &put_delivery), std::pair("compliance", &put_compliance), std::pair("resources", &put_resources), std::pair("activity", &put_activity)}) {
    open_section(h, id);
    put(h, p, links);
    h << "</section>";
  }
  const auto models = in_file(p);
  for (const Model* m : models) {
    open_section(h, "model-" + as_id(m->ns) + "-" + as_id(m->name));
    const auto known = figures ? std::optional(figures(*m)) : std::nullopt;
    put_model(h, *m, p, links, known ? &*known : nullptr);
    h << "</section>";
  }
  if (models.size() < p.models.size()) {
    h << "<p class=\"gap\">";
    h.text("Pages of " + std::to_string(p.models.size() - models.size()) + " more Models are left out; name a namespace by -n to have them.") << "</p>";
  }
  Frame frame = frame_of(p, "Portfolio", "portfolio");
  frame.links = links;
  return document(frame, h);
}

}  // namespace mo::report
