#include "report/sections.h"

#include <algorithm>
#include <cstdio>

#include "operator/json/fields.h"
#include "report/findings.h"
#include "report/plots.h"
#include "report/resource_tables.h"
#include "report/tables.h"

namespace mo::report {
namespace {

void tile(Html& h, const std::string& value, const std::string& what, Tone tone = Tone::None) {
  h << "<li";
  h.attribute("class", tone == Tone::Bad ? "tile bad" : tone == Tone::Warn ? "tile warn" : "tile") << "><b";
  if (value == "unknown") h << " class=\"unknown\"";
  h << ">";
  h.text(value) << "</b><span>";
  h.text(what) << "</span></li>";
}

std::string known(const std::optional<Duration>& d) { return d ? length(*d) : "unknown"; }

size_t count_findings(const Portfolio& p, const std::string& kind) {
  return static_cast<size_t>(std::count_if(p.findings.begin(), p.findings.end(), [&](const Finding& f) { return f.kind == kind; }));
}

template <class Of>
std::vector<Share> shares_of(const Portfolio& p, Of of) {
  std::map<std::string, size_t> counts;
  for (const Model& m : p.models) ++counts[of(m)];
  std::vector<Share> shares;
  for (const auto& [name, count] : counts) shares.push_back({name, count});
  return shares;
}

void card(Html& h, const std::string& title, const std::string& what, std::vector<Share> shares) {
  h << "<div class=\"card\"><h3>";
  h.text(title) << "</h3>";
  put_bars(h, what, std::move(shares));
  h << "</div>";
}

// A term and what is known of it.
void fact(Html& h, const std::string& term, const std::string& text) {
  h << "<dt>";
  h.text(term) << "</dt><dd>";
  if (text.empty()) h << "<span class=\"unknown\">unknown</span>";
  else h.text(text);
  h << "</dd>";
}
void fact_if(Html& h, const std::string& term, const std::string& text) {
  if (!text.empty()) fact(h, term, text);
}
std::string minute(const std::optional<TimePoint>& at) {
  return at ? format_time(*at).substr(0, 10) + " " + format_time(*at).substr(11, 5) + " UTC" : "";
}

void put_what_serves(Html& h, const Model& m, TimePoint now) {
  h << "<div class=\"card\"><h2>What serves</h2><dl class=\"facts\">";
  fact(h, "Version", m.retired() ? "none; last it was " + m.version : m.version);
  if (!m.retired()) {
    fact(h, "Since", m.since ? minute(m.since) + ", for " + fields::age(now - *m.since) : "");
    fact(h, "Because", m.why);
    fact_if(h, "Traffic", m.traffic);
    fact_if(h, "Pods ready", m.ready);
  }
  if (const Version* v = m.record()) {
    std::string figures;
    for (const auto& [name, value] : v->metrics) figures += (figures.empty() ? "" : ", ") + name + " " + value;
    fact(h, "Recorded figures", figures);
    fact(h, "Evaluated", minute(m.evaluated));
    fact(h, "Artifact", v->digest);
    for (const auto& [name, digest] : v->parts) fact(h, "Part " + name, digest);
  }
  fact_if(h, "On its way", m.candidate.empty() ? "" : m.candidate + (m.rollout.empty() ? "" : " by ModelRollout " + m.rollout));
  fact_if(h, "Last training", m.last_training);
  h << "</dl></div>";
}

void put_who(Html& h, const Model& m) {
  h << "<div class=\"card\"><h2>Who and what for</h2><dl class=\"facts\">";
  fact(h, "Owner", m.team.empty() ? m.contact : m.team + (m.contact.empty() ? "" : ", " + m.contact));
  fact_if(h, "Business owner", m.card.count("businessOwner") ? m.card.at("businessOwner") : "");
  fact(h, "Class", m.model_class);
  fact(h, "Risk tier", m.tier);
  fact(h, "Stage", m.stage);
  fact_if(h, "Deprecated from", minute(m.deprecate_at));
  fact_if(h, "Retires", minute(m.retire_at));
  fact_if(h, "Successor", m.successor);
  fact_if(h, "Review by", minute(m.review_by));
  if (!m.compliant.empty()) fact(h, "Compliant", (m.compliant == "True" ? "yes" : m.compliant == "False" ? "no" : "unknown") + (m.compliance.empty() ? "" : ": " + m.compliance));
  static constexpr std::pair<const char*, const char*> kCard[] = {{"intendedUse", "Intended use"},
                                                                  {"outOfScope", "Out of scope"},
                                                                  {"limitations", "Limitations"},
                                                                  {"ethicalConsiderations", "Ethical considerations"},
                                                                  {"businessValue", "Business value"}};
  for (const auto& [field, title] : kCard)
    if (const auto it = m.card.find(field); it != m.card.end()) fact(h, title, it->second);
  h << "</dl></div>";
}

// Landmarks of one page have names of their own.
Table of(const Model& m, Table table) {
  table.title += " of " + m.ns + "/" + m.name;
  return table;
}

void put_monitors(Html& h, const Model& m, TimePoint now, const Links& links) {
  h << "<h2>Monitors against their targets</h2>";
  bool any = false;
  for (const Monitor& monitor : m.monitors) any |= !monitor.value.empty();
  if (any) {
    h << "<div class=\"grid charts\">";
    for (const Monitor& monitor : m.monitors) {
      h << "<div class=\"card\"><h3>";
      h.text(monitor.name + (monitor.about.empty() ? "" : " · " + monitor.about)).text(" ");
      put_badge(h, monitor.state.empty() ? "unknown" : monitor.state,
                monitor.state == "OK" ? Tone::Good : monitor.state == "Breached" ? Tone::Bad : Tone::Warn);
      h << "</h3>";
      if (monitor.value.empty()) h << "<p class=\"unknown\">no figure</p>";
      else put_gauge(h, monitor);
      h << "</div>";
    }
    h << "</div><div class=\"space\"></div>";
  }
  put_table(h, of(m, monitors_table(m, now)), links);
}

void put_approvals(Html& h, const Model& m) {
  if (m.approvals.empty()) return;
  h << "<h2>Approvals</h2><ul>";
  for (const Approval& a : m.approvals) {
    h << "<li>";
    h.text(a.decision + " by " + a.approver + " as " + a.role + " for " + a.rollout + (a.at ? " on " + minute(a.at) : "") +
           (a.ticket.empty() ? "" : ", ticket " + a.ticket) + (a.reason.empty() ? "" : ": " + a.reason))
        << "</li>";
  }
  h << "</ul>";
}

void put_need(Html& h, const Finding& f, const Links& links, bool name_models) {
  h << "<li><span>";
  put_badge(h, word(f.severity), f.severity == Severity::High ? Tone::Bad : f.severity == Severity::Medium ? Tone::Warn : Tone::Dim);
  h << "</span>";
  if (name_models && !f.model.empty()) {
    h << "<a";
    h.attribute("href", links.model(f.ns, f.model)) << ">";
    h.text(f.ns + "/" + f.model) << "</a>";
  } else {
    h << "<span>";
    std::string kind = f.kind;
    std::replace(kind.begin(), kind.end(), '-', ' ');
    h.text(name_models ? f.ns : kind) << "</span>";
  }
  h << "<p>";
  h.text(f.text) << "</p></li>";
}

}  // namespace

void put_heading(Html& h, const std::string& title, const std::string& lead) {
  h << "<h1>";
  h.text(title) << "</h1><p class=\"lead\">";
  h.text(lead) << "</p>";
}

void put_gaps(Html& h, const Portfolio& p) {
  for (const std::string& gap : p.gaps) {
    h << "<p class=\"gap\">";
    h.text(gap) << "</p>";
  }
}

void put_beginning(Html& h, const Portfolio& p) {
  h << "<div class=\"card\"><h2>There is no Model yet</h2><p>A Model says what serves, how new versions are rolled out and who answers for it. Write one, "
       "check it with <code>kubectl model lint -f model.yaml</code> and apply it; this page then shows it. If you expected Models here, ask whoever runs the "
       "cluster for the right to list them.</p></div>";
  if (p.servers.empty()) return;
  h << "<h2>Model servers that no Model knows</h2>";
  put_table(h, servers_table(p), {});
}

void put_tiles(Html& h, const Portfolio& p) {
  size_t serving = 0, breaches = 0, rolled_back = 0, retired = 0, attention = 0;
  for (const Model& m : p.models) {
    retired += m.retired();
    serving += !m.retired() && !m.version.empty();
    breaches += m.breaches;
    rolled_back += m.rolled_back;
    attention += std::any_of(m.findings.begin(), m.findings.end(), [](const Finding& f) { return f.severity != Severity::Low; });
  }
  const size_t unowned = count_findings(p, "no-owner"), late = count_findings(p, "past-review");
  h << "<ul class=\"tiles\">";
  tile(h, std::to_string(p.models.size()), retired ? "Models, " + std::to_string(retired) + " of them retired" : "Models");
  tile(h, std::to_string(serving), "serve");
  tile(h, std::to_string(attention), "need attention", attention ? Tone::Warn : Tone::None);
  tile(h, std::to_string(breaches), "open breaches", breaches ? Tone::Bad : Tone::None);
  tile(h, std::to_string(rolled_back), "rolled back in 90 days");
  tile(h, std::to_string(unowned), "without an owner", unowned ? Tone::Warn : Tone::None);
  if (late) tile(h, std::to_string(late), "past their review", Tone::Warn);
  if (p.servers_known) tile(h, std::to_string(p.servers.size()), "servers no Model knows", p.servers.empty() ? Tone::None : Tone::Warn);
  h << "</ul>";
}

void put_delivery_tiles(Html& h, const Delivery& d) {
  char rate[32] = "unknown";
  if (d.per_week) std::snprintf(rate, sizeof rate, "%.1f", *d.per_week);
  h << "<ul class=\"tiles\">";
  tile(h, rate, "deployments per week (" + std::to_string(d.deployments) + " in 90 days)");
  tile(h, known(d.lead_time), "lead time, median" + (d.lead_time_p90 ? "; nine of ten within " + length(*d.lead_time_p90) : std::string()));
  tile(h, d.failure_rate ? percent(*d.failure_rate) : "unknown", "change failure rate (" + std::to_string(d.failures) + " failed)");
  tile(h, d.failures ? known(d.restore) : "none failed", "time to restore, median");
  tile(h, std::to_string(d.pending), "under way now");
  h << "</ul>";
}

void put_needs(Html& h, const std::vector<Finding>& findings, size_t most, const Links& links, bool name_models) {
  if (findings.empty()) {
    h << "<p class=\"empty\">Nothing needs attention, as far as is known.</p>";
    return;
  }
  const auto list = [&](size_t from, size_t to) {
    h << "<ul class=\"needs\">";
    for (size_t i = from; i < to; ++i) put_need(h, findings[i], links, name_models);
    h << "</ul>";
  };
  const size_t open = std::min(findings.size(), most), all = std::min(findings.size(), most * 8);
  list(0, open);
  if (all == open) return;
  h << "<details class=\"more\"><summary>";
  h.text(std::to_string(findings.size() - open) + " more") << "</summary>";
  list(open, all);
  if (findings.size() > all) {
    h << "<p class=\"more\">";
    h.text(std::to_string(findings.size() - all) + " more are on the pages of their Models") << "</p>";
  }
  h << "</details>";
}

void put_shares(Html& h, const Portfolio& p) {
  h << "<div class=\"grid four\">";
  card(h, "By team", "Models by team", shares_of(p, [](const Model& m) { return m.team; }));
  card(h, "By class", "Models by class", shares_of(p, [](const Model& m) { return m.model_class; }));
  card(h, "By risk tier", "Models by risk tier", shares_of(p, [](const Model& m) { return m.tier; }));
  card(h, "By stage", "Models by stage", shares_of(p, [](const Model& m) { return m.stage; }));
  h << "</div>";
}

void put_model(Html& h, const Model& m, const Portfolio& p, const Links& links, const Figures* figures) {
  h << "<p class=\"crumb\"><a";
  h.attribute("href", links.page("portfolio")) << ">Portfolio</a> / ";
  h.text(m.ns) << "</p><h1>";
  h.text(m.name).text(" ");
  put_badge(h, m.phase.empty() ? "unknown" : m.phase, tone_of_phase(m.phase));
  h << "</h1><p class=\"lead\">";
  h.text(m.description.empty() ? m.message : m.description) << "</p>";
  if (!m.findings.empty()) put_needs(h, m.findings, 20, links, false);
  h << "<div class=\"space\"></div><div class=\"grid\">";
  put_what_serves(h, m, p.at);
  put_who(h, m);
  h << "</div>";
  put_monitors(h, m, p.at, links);
  if (figures) put_figures(h, m, *figures, !links.one_file);
  h << "<h2>Rollouts</h2>";
  if (std::any_of(m.rollouts.begin(), m.rollouts.end(), [](const Rollout& r) { return r.started.has_value(); })) {
    h << "<div class=\"card\">";
    put_time_line(h, m, p.at);
    h << "</div><div class=\"space\"></div>";
  }
  std::vector<const Rollout*> rollouts;
  for (const Rollout& r : m.rollouts)
    if (rollouts.size() < 50) rollouts.push_back(&r);
  put_table(h, of(m, rollouts_table(rollouts, true)), links, m.rollouts.size() > 50 ? std::to_string(m.rollouts.size() - 50) + " older ones are left out" : "");
  put_approvals(h, m);
  if (!m.retired() || (m.workloads && !m.workloads->empty())) put_resources_of(h, p, m, links);
  if (!m.runs.empty()) {
    h << "<h2>Training runs</h2>";
    put_table(h, of(m, runs_table(m)), links);
  }
  if (const Version* v = m.record()) {
    Html picture;
    put_lineage(picture, m, *v);
    h << "<h2>Where it came from</h2>";
    if (picture.str().empty()) {
      h << "<p class=\"empty\">Unknown: the version that serves records no lineage.</p>";
    } else {
      h << "<div class=\"card\">";
      h.append(picture) << "</div>";
    }
  }
  h << "<h2>Versions</h2>";
  Table versions = of(m, versions_table(m));
  const size_t more = versions.rows.size() > 50 ? versions.rows.size() - 50 : 0;
  versions.rows.resize(versions.rows.size() - more);
  put_table(h, versions, links, more ? std::to_string(more) + " older ones are left out" : "");
}

}  // namespace mo::report
