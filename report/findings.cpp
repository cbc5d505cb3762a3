#include "report/findings.h"

#include <algorithm>
#include <array>
#include <map>

#include "operator/core/text.h"

namespace mo::report {
namespace {

using std::chrono::hours;

std::string day(TimePoint at) { return format_time(at).substr(0, 10); }
std::string few(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < 5; ++i) text += (i ? ", " : "") + names[i];
  return text + (names.size() > 5 ? " and " + std::to_string(names.size() - 5) + " more" : "");
}

class ModelFindings {
 public:
  ModelFindings(Model& m, TimePoint now) : m_(m), now_(now) {}

  void run() {
    m_.findings.clear();
    count();
    if (m_.retired()) return;  // nothing of it serves, and nobody has to do anything
    about_serving();
    about_monitors();
    about_rules();
    about_people();
    about_end_of_life();
  }

 private:
  void say(Severity severity, const std::string& kind, const std::string& text) { m_.findings.push_back({severity, kind, m_.ns, m_.name, text}); }

  void count() {
    m_.breaches = static_cast<size_t>(std::count_if(m_.monitors.begin(), m_.monitors.end(), [](const Monitor& x) { return x.state == "Breached"; }));
    m_.rolled_back = static_cast<size_t>(std::count_if(m_.rollouts.begin(), m_.rollouts.end(), [&](const Rollout& r) {
      return r.phase == "RolledBack" && r.finished && now_ - *r.finished <= kWindow;
    }));
    std::vector<std::string> unused;
    for (const Version& v : m_.versions)
      if (!v.served && v.phase != "Candidate") unused.push_back(v.name);
    m_.never_served = unused.size();
    if (!unused.empty() && !m_.retired())
      say(Severity::Low, "never-served",
          std::to_string(unused.size()) + " of " + std::to_string(m_.versions.size()) + " versions never served: " + few(unused));
  }

  void about_serving() {
    if (m_.phase == "Degraded") say(Severity::High, "degraded", m_.message.empty() ? "the Model is Degraded" : m_.message);
    bool asked = false;
    for (const Rollout& r : m_.rollouts) {
      if (r.over() || r.awaits != "AwaitingApproval") continue;
      say(Severity::Medium, "awaits-approval", "ModelRollout " + r.name + ": " + r.message);
      asked = true;
    }
    if (m_.phase == "Paused" && !asked) say(Severity::Medium, "paused", m_.message);
    if (m_.version.empty() && m_.phase == "Pending") say(Severity::Medium, "never-served", "no version has served yet: " + m_.message);
  }

  void about_monitors() {
    for (const Monitor& monitor : m_.monitors) {
      if (monitor.state == "Breached")
        say(Severity::High, "open-breach", "monitor " + monitor.name + " is breached" + (monitor.since ? " since " + day(*monitor.since) : "") + ": " + monitor.message);
      if (monitor.state == "NoData") say(Severity::Medium, "no-data", "monitor " + monitor.name + " has no data: " + monitor.message);
    }
    if (m_.monitors.empty() && !m_.version.empty() && m_.stage != "Development" && m_.stage != "Staging")
      say(Severity::Low, "not-monitored", "it serves without a monitor: the quality of its answers is unknown");
  }

  void about_rules() {
    if (m_.compliant == "False") say(Severity::High, "not-compliant", m_.compliance.empty() ? "a policy is not met" : m_.compliance);
  }

  void about_people() {
    if (m_.team.empty() && m_.contact.empty())
      say(Severity::Medium, "no-owner", "it has no owner: set spec.owner");
    if (m_.review_by && *m_.review_by < now_) say(Severity::Medium, "past-review", "its review was due on " + day(*m_.review_by));
  }

  void about_end_of_life() {
    const std::string successor = m_.successor.empty() ? "; no successor is named" : "; callers should switch to " + m_.successor;
    if (m_.retire_at && *m_.retire_at - now_ <= hours(24 * 30))
      say(Severity::Medium, "retires-soon", "it retires on " + day(*m_.retire_at) + successor);
    else if (m_.stage == "Deprecated")
      say(Severity::Low, "deprecated", "it is deprecated" + (m_.retire_at ? " and retires on " + day(*m_.retire_at) : std::string()) + successor);
  }

  Model& m_;
  TimePoint now_;
};

// The same bits under several Models: reuse that nobody planned, or a copy that nobody maintains.
void find_duplicates(Portfolio& p) {
  std::map<std::string, std::vector<Model*>> users;
  for (Model& m : p.models) {
    const Version* record = m.record();
    // With parts the Model's own digest is that of all of them: the same base with another adapter is no copy.
    const bool whole = record && record->parts.empty() && !record->digest.empty();
    const std::string& digest = whole ? record->digest : m.digest;
    if (!digest.empty() && !m.retired()) users[digest].push_back(&m);
  }
  for (const auto& [digest, models] : users) {
    if (models.size() < 2) continue;
    for (Model* m : models) {
      std::vector<std::string> others;
      for (const Model* other : models)
        if (other != m) others.push_back(other->ns + "/" + other->name);
      m->findings.push_back({Severity::Low, "duplicate", m->ns, m->name, "it serves the same artifact (" + whole_characters(digest, 19) + "…) as " + few(others)});
    }
  }
}

// Of two that are as severe, what happens now comes before what is only due; of reviews, the one that is due for longest.
constexpr std::array kOrder = {"degraded",       "open-breach",  "not-compliant", "awaits-approval", "paused",     "no-data",
                               "unknown-server", "retires-soon", "no-owner",      "never-served",    "past-review"};

bool worse(const Finding& a, const Finding& b) {
  const auto place = [](const Finding& f) { return std::find(kOrder.begin(), kOrder.end(), f.kind) - kOrder.begin(); };
  if (a.severity != b.severity) return a.severity < b.severity;
  if (place(a) != place(b)) return place(a) < place(b);
  return a.kind == "past-review" && a.text < b.text;  // they are of one kind; its text ends with the date
}

}  // namespace

const char* word(Severity severity) {
  return severity == Severity::High ? "high" : severity == Severity::Medium ? "medium" : "low";
}

void find(Portfolio& p) {
  p.findings.clear();
  for (Model& m : p.models) ModelFindings(m, p.at).run();
  find_duplicates(p);
  for (Model& m : p.models) std::stable_sort(m.findings.begin(), m.findings.end(), worse);
  for (const Model& m : p.models) p.findings.insert(p.findings.end(), m.findings.begin(), m.findings.end());
  for (const Server& s : p.servers)
    p.findings.push_back({Severity::Medium, "unknown-server", s.ns, "",
                          s.kind + " " + s.ns + "/" + s.name + " looks like a model server (" + s.product + ", by its " + s.why + "), but no Model manages it"});
  std::stable_sort(p.findings.begin(), p.findings.end(), worse);
}

}  // namespace mo::report
