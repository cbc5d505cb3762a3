#include "plugin/tree.h"

#include <algorithm>
#include <map>

#include "operator/api/parse.h"
#include "operator/api/types.h"
#include "plugin/fields.h"
#include "plugin/rollouts.h"
#include "reconcilers/common/side.h"
#include "reconcilers/rollout/steps.h"

namespace mo::plugin {
namespace {

enum class Tone { Plain, Strong, Dim, Good, Bad, Now };

struct Branch {
  std::string text;
  std::vector<Branch> twigs;
};

bool is_ready(const Json& pod) {
  return !field(pod, "metadata.deletionTimestamp") && condition(pod, "Ready") == "True";
}

std::string label(const Json& object, const char* name) {
  const Json* labels = field(object, "metadata.labels");
  if (!labels || !labels->is_object() || !labels->contains(name)) return "";
  const Json& value = (*labels)[name];
  return value.is_string() ? value.get<std::string>() : "";
}

// A policy as the operator reads it.
std::optional<api::RolloutPolicy> parsed(const Json& policy) {
  const Json model = {{"metadata", {{"name", "policy"}}}, {"spec", {{"rollout", policy}}}};
  auto read = api::parse<api::Model>(model.dump());
  if (!read) return {};
  return std::move(read->rollout);
}

class Tree {
 public:
  Tree(const Snapshot& s, TimePoint now, const DisplayOptions& display) : s_(s), now_(now), display_(display) {}

  std::vector<std::string> lines() {
    const std::string phase = text(s_.model, "status.phase");
    const std::string ns = text(s_.model, "metadata.namespace");
    lines_.push_back(paint(Tone::Strong, "Model " + (ns.empty() ? "" : ns + "/") + name_of(s_.model)) + "  " +
                     paint(tone_of(phase), phase) + seen());
    std::vector<Branch> branches;
    if (const std::string message = text(s_.model, "status.message"); !message.empty())
      branches.push_back({message, {}});
    branches.push_back(versions());
    for (const Json* r : rollouts_to_show()) branches.push_back(rollout(*r));
    if (!items(s_.model, "spec.monitors").empty() || !items(s_.model, "status.monitors").empty()) branches.push_back(monitors());
    if (field(s_.model, "spec.retraining")) branches.push_back(retraining());
    grow(branches, "");
    return std::move(lines_);
  }

 private:
  std::string paint(Tone tone, const std::string& text) const {
    static const std::map<Tone, const char*> codes = {
        {Tone::Strong, "1"}, {Tone::Dim, "2"}, {Tone::Good, "32"}, {Tone::Bad, "31"}, {Tone::Now, "33"}};
    if (!display_.colour || tone == Tone::Plain || text.empty()) return text;
    return std::string("\x1b[") + codes.at(tone) + "m" + text + "\x1b[0m";
  }

  static Tone tone_of(const std::string& word) {
    for (const char* good : {"Ready", "Succeeded", "Passed", "Serving", "OK"})
      if (word == good) return Tone::Good;
    for (const char* bad : {"Degraded", "RolledBack", "Failed", "Aborted", "Rejected", "Breached"})
      if (word == bad) return Tone::Bad;
    return Tone::Now;
  }

  void grow(const std::vector<Branch>& branches, const std::string& indent) {
    for (const Branch& branch : branches) {
      const bool last = &branch == &branches.back();
      lines_.push_back(indent + (last ? "└─ " : "├─ ") + branch.text);
      grow(branch.twigs, indent + (last ? "   " : "│  "));
    }
  }

  std::string seen() const {
    const bool current =
        number(s_.model, "status.observedGeneration", -1) == number(s_.model, "metadata.generation");
    return current ? "" : paint(Tone::Now, "  (the operator has not observed the latest change yet)");
  }

  // "3m left" or "until …", "in 3m" or "at …".
  std::string left(TimePoint until) const {
    if (!display_.ticking) return "until " + format_time(until);
    return until > now_ ? span(until - now_) + " left" : "time is up";
  }
  std::string since(TimePoint t) const {
    return display_.ticking ? "since " + age(now_ - t) : "since " + format_time(t);
  }

  // ---- versions ----

  Branch versions() const {
    Branch branch{"Versions", {}};
    std::map<std::string, std::pair<int, int>> pods;  // ready, all
    for (const Json& pod : s_.pods) {
      const std::string version = label(pod, api::kLabelVersion);
      if (version.empty()) continue;
      auto& [ready, all] = pods[row_of(version, label(pod, api::kLabelRevision))];
      ready += is_ready(pod);
      all += !field(pod, "metadata.deletionTimestamp");
    }
    std::map<std::string, std::string> shares;
    std::vector<std::string> order;
    const auto add = [&](const std::string& version) {
      if (!version.empty() && std::find(order.begin(), order.end(), version) == order.end())
        order.push_back(version);
    };
    add(text(s_.model, "status.stableVersion"));
    for (const Json& share : items(s_.model, "status.traffic")) {
      const std::string row = row_of(text(share, "version"), text(share, "revision"));
      shares[row] = text(share, "weight") + "%";
      add(row);
    }
    add(text(s_.model, "status.candidateVersion"));
    for (const auto& [version, count] : pods)
      if (count.second > 0) add(version);
    size_t width = 0;
    for (const std::string& version : order) width = std::max(width, version.size());
    for (const std::string& version : order) {
      std::string share = shares.count(version) ? shares[version] : "0%";
      const auto [ready, all] = pods[version];
      branch.twigs.push_back({version + std::string(width - version.size(), ' ') + "  " +
                                  std::string(4 - std::min<size_t>(4, share.size()), ' ') + share + "  " +
                                  std::to_string(ready) + "/" + std::to_string(all) + " pods ready" +
                                  phase_of(version) + (is_warm(version) ? "  warm" : ""),
                              {}});
    }
    if (branch.twigs.empty()) branch.text += ": no version serves";
    return branch;
  }

  // Another template of the version that serves has a row of its own.
  std::string row_of(const std::string& version, const std::string& revision) const {
    return shown(version, revision, text(s_.model, "status.stableVersion"), text(s_.model, "status.stableRevision.name"));
  }

  bool is_warm(const std::string& version) const {
    const Json& warm = items(s_.model, "status.warmVersions");
    return std::find(warm.begin(), warm.end(), Json(version)) != warm.end();
  }

  std::string phase_of(const std::string& version) const {
    for (const Json& v : s_.versions) {
      const std::string phase = text(v, "status.phase");
      if (name_of(v) == version && !phase.empty()) return "  " + paint(tone_of(phase), phase);
    }
    return "";
  }

  // ---- rollouts ----

  // Those that are not over; else the last one.
  std::vector<const Json*> rollouts_to_show() const {
    std::vector<const Json*> shown;
    for (const Json& r : s_.rollouts)
      if (!over(r)) shown.push_back(&r);
    if (shown.empty() && !s_.rollouts.empty()) shown.push_back(&s_.rollouts.front());
    return shown;
  }

  Branch rollout(const Json& r) const {
    const std::string phase = text(r, "status.phase");
    Branch branch{title(r) + "  " + paint(tone_of(phase), phase), {}};
    const bool dull = over(r) && phase != "RolledBack" && phase != "Failed" && phase != "Aborted";
    if (over(r) && field(r, "status.finishedAt")) {
      branch.text += display_.ticking ? "  " + age(now_ - *time_of(r, "status.finishedAt")) + " ago"
                                   : "  at " + text(r, "status.finishedAt");
    } else if (started(r)) {
      branch.text +=
          "  step " + text(r, "status.stepSummary") + "  " + text(r, "status.weights.candidate") + "%";
    }
    const std::string strategy = text(r, "status.policy.strategy");
    if (!strategy.empty() && strategy != "Canary") branch.text += "  " + strategy;
    const std::string wants = text(r, "spec.desiredState");
    if (!over(r) && !wants.empty() && wants != "Running") branch.text += "  asked: " + wants;
    if (const std::string message = text(r, "status.message"); !message.empty())
      branch.twigs.push_back({message, {}});
    if (!dull && started(r)) add_steps(r, branch);
    return branch;
  }

  // The place among steps_of(policy) where it stands.
  static int64_t place_of(const Json& r, const Json& policy) {
    const auto count = static_cast<int64_t>(steps_of(policy).size());
    return field(r, "status.bakingSince") ? count : std::min(number(r, "status.step.index"), count);
  }

  // Where each gate was measured last, or is being watched from.
  static std::map<std::string, int64_t> places_of_gates(const Json& r, const Json& policy) {
    std::map<std::string, int64_t> places;
    const int64_t current = place_of(r, policy);
    const auto put = [&](const Json& names, int64_t place) {
      for (const Json& name : names)
        if (name.is_string()) places[name.get<std::string>()] = place;
    };
    const Json& steps = items(policy, "steps");
    for (int64_t i = 1; i <= std::min<int64_t>(current, steps.size()); ++i)
      for (const char* kind : {"gates", "background"}) put(items(steps[i - 1], kind), i);
    if (field(r, "status.bakingSince")) put(items(policy, "bake.gates"), current);
    return places;
  }

  void add_steps(const Json& r, Branch& branch) const {
    const Json* policy = field(r, "status.policy");
    if (!policy) return;
    const int64_t current = place_of(r, *policy);
    const bool ended = over(r) || field(r, "status.ending");
    const std::vector<std::string> steps = steps_of(*policy);
    const std::map<std::string, int64_t> places = places_of_gates(r, *policy);
    for (int64_t i = 1; i <= static_cast<int64_t>(steps.size()); ++i) {
      Branch step{mark(i, current, ended) + " " + std::to_string(i) + " " + steps[i - 1], {}};
      if (i == current && !ended) step.text += clock(r, *policy);
      for (const Json& gate : items(r, "status.gates")) {
        const auto it = places.find(text(gate, "name"));
        if (it != places.end() && it->second == i) step.twigs.push_back({gate_line(gate, *policy), {}});
      }
      branch.twigs.push_back(std::move(step));
    }
    for (const Json& gate : items(r, "status.gates"))
      if (!places.count(text(gate, "name"))) branch.twigs.push_back({gate_line(gate, *policy), {}});
  }

  std::string mark(int64_t step, int64_t current, bool ended) const {
    if (step < current) return paint(Tone::Good, "✔");
    if (step > current) return paint(Tone::Dim, "·");
    return ended ? paint(Tone::Bad, "✖") : paint(Tone::Now, "▶");
  }

  // What is left of the step under way: of a pause, or until its deadline.
  std::string clock(const Json& r, const Json& policy) const {
    const auto began = time_of(r, "status.stepStartedAt");
    if (const auto paused = time_of(r, "status.pausedAt"))
      return paint(Tone::Now, "  paused " + since(*paused));
    if (const auto baking = time_of(r, "status.bakingSince")) {
      const auto duration = parse_duration(text(policy, "bake.duration"));
      return paint(Tone::Now, duration ? "  " + left(*baking + *duration) : "");
    }
    if (!began) return "";
    const int64_t index = number(r, "status.step.index");
    const Json& steps = items(policy, "steps");
    const Json* step =
        index >= 1 && index <= static_cast<int64_t>(steps.size()) ? &steps[index - 1] : nullptr;
    const bool waits_for_pods = field(r, "status.waitingSince") != nullptr;
    if (step && field(*step, "pause") && !waits_for_pods) {
      const auto duration = parse_duration(text(*step, "pause.duration"));
      return paint(Tone::Now, duration ? "  " + left(*began + *duration) : "  waits for resume");
    }
    if (!waits_for_pods) return "";
    const auto limit = std::chrono::seconds(number(policy, "progressDeadlineSeconds", 600));
    return paint(Tone::Now, "  deadline: " + left(time_of(r, "status.waitingSince").value_or(*began) + limit));
  }

  std::string gate_line(const Json& gate, const Json& policy) const {
    const std::string name = text(gate, "name"), verdict = text(gate, "verdict");
    const Json* defined = nullptr;
    for (const Json& one : items(policy, "gates"))
      if (text(one, "name") == name) defined = &one;
    const std::string sign = verdict == "Passed"         ? "✔"
                             : verdict == "Failed"       ? "✖"
                             : verdict == "Inconclusive" ? "?"
                                                         : "…";
    std::string line = paint(tone_of(verdict), sign) + " " + name;
    if (const std::string value = text(gate, "value"); !value.empty())
      line += " " + paint(Tone::Strong, value);
    if (const std::string stable = text(gate, "stableValue"); !stable.empty())
      line += " (stable " + stable + ")";
    if (defined && !bounds(*defined).empty()) line += "  " + bounds(*defined);
    line += "  " + paint(tone_of(verdict), verdict);
    const int64_t passed = number(gate, "passed"), count = defined ? number(*defined, "count", 1) : 1;
    line += " " + std::to_string(passed) + (passed > count ? " passed" : "/" + std::to_string(count));
    for (const char* bad : {"failed", "inconclusive"})
      if (number(gate, bad) > 0) line += ", " + text(gate, bad) + " " + bad;
    if (defined && field(*defined, "dryRun") && defined->at("dryRun") == true) line += " (dry run)";
    const std::string message = text(gate, "message");
    return message.empty() ? line : line + ": " + message;
  }

  // ---- monitors ----

  // One of a set that is no stand-in for a monitor of the spec, which is in the list already.
  bool is_of_set(const Json& status) const {
    const auto& own = items(s_.model, "spec.monitors");
    return !text(status, "set").empty() && std::none_of(own.begin(), own.end(), [&](const Json& one) { return text(one, "name") == text(status, "name"); });
  }

  Branch monitors() const {
    Branch branch{"Monitors", {}};
    const Json none = Json::object();
    for (const Json& monitor : items(s_.model, "spec.monitors")) {
      const Json* found = &none;
      for (const Json& one : items(s_.model, "status.monitors"))
        if (text(one, "name") == text(monitor, "name")) found = &one;
      const bool required = !text(*found, "set").empty();  // by a set: bounds are not the Model's own
      branch.twigs.push_back({monitor_line(required ? *found : monitor, *found), {}});
    }
    for (const Json& one : items(s_.model, "status.monitors"))
      if (!text(one, "policy").empty() || is_of_set(one)) branch.twigs.push_back({monitor_line(one, one), {}});
    return branch;
  }

  std::string monitor_line(const Json& monitor, const Json& status) const {
    const std::string state = text(status, "state"), value = text(status, "value"), message = text(status, "message");
    std::string line = text(monitor, "name") + "  " + (state.empty() ? "not measured yet" : paint(tone_of(state), state));
    if (!value.empty()) line += "  " + paint(Tone::Strong, value);
    if (!bounds(monitor).empty()) line += "  " + bounds(monitor);
    if (const auto from = time_of(status, "since")) line += "  " + since(*from);
    return message.empty() ? line : line + ": " + message;
  }

  // ---- retraining ----

  Branch retraining() const {
    std::vector<std::string> parts;
    const Json none = Json::object();
    const Json* found = field(s_.model, "status.retraining");
    const Json& t = found ? *found : none;
    if (const std::string run = text(t, "run.name"); !run.empty()) {
      const auto began = time_of(t, "run.startedAt");
      parts.push_back("run " + run + " (" + text(t, "run.trigger") + ") is running" +
                      (began ? " " + since(*began) : ""));
    }
    if (const std::string last = text(t, "lastResult"); !last.empty())
      parts.push_back("last: " + text(t, "lastRun") + ": " + last);
    if (const auto next = time_of(t, "nextScheduled"))
      parts.push_back("next " + (display_.ticking ? "in " + span(*next - now_) : "at " + format_time(*next)));
    if (const std::string why = text(t, "suppressed"); !why.empty()) parts.push_back(why);
    std::string line = "Retraining: ";
    for (const std::string& part : parts) line += (&part == &parts.front() ? "" : "; ") + part;
    return {parts.empty() ? "Retraining: no run yet" : line, {}};
  }

  const Snapshot& s_;
  const TimePoint now_;
  const DisplayOptions& display_;
  std::vector<std::string> lines_;
};

}  // namespace

std::vector<std::string> steps_of(const Json& policy) {
  std::vector<std::string> steps;
  if (const auto read = parsed(policy))
    for (const api::Step& step : read->steps) steps.push_back(rollout::describe(step));
  steps.push_back("all traffic");
  if (const std::string bake = text(policy, "bake.duration"); !bake.empty()) steps.push_back("bake " + bake);
  return steps;
}

std::string bounds(const Json& gate) {
  std::string all;
  const auto add = [&](const std::string& one) { all += (all.empty() ? "" : ", ") + one; };
  for (const char* bound : {"min", "max"})
    if (const std::string value = text(gate, bound); !value.empty()) add(std::string(bound) + " " + value);
  if (const std::string most = text(gate, "versusStable.maxRegression"); !most.empty())
    add("at most " + most + " worse than stable" +
        (field(gate, "versusStable.confidence") ? " at confidence " + text(gate, "versusStable.confidence") : ""));
  if (const std::string least = text(gate, "samples.min"); !least.empty()) add(least + " samples");
  return all.empty() ? "" : "(" + all + ")";
}

std::vector<std::string> render(const Snapshot& snapshot, TimePoint now, const DisplayOptions& display) {
  const auto all = [](std::vector<Json> objects) {
    for (Json& object : objects) object = printable(std::move(object));
    return objects;
  };
  const Snapshot shown{printable(snapshot.model), all(snapshot.versions), all(snapshot.rollouts),
                       all(snapshot.pods)};
  return Tree(shown, now, display).lines();
}

std::optional<int> at_rest(const Snapshot& s) {
  const auto seen = [](const Json& object) {
    return number(object, "status.observedGeneration", -1) == number(object, "metadata.generation");
  };
  if (!seen(s.model)) return {};
  for (const Json& r : s.rollouts)
    if (!over(r) && !(seen(r) && condition(r, "Stalled") == "True")) return {};
  if (condition(s.model, "Ready") == "True") return kDone;
  if (condition(s.model, "Stalled") == "True") return kNo;
  return {};
}

}  // namespace mo::plugin
