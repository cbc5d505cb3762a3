#include "report/live/history.h"

#include <algorithm>
#include <cctype>
#include <set>

namespace mo::report {
namespace {

constexpr std::chrono::seconds kDeadline{5}, kKept{60}, kAway{15};
constexpr size_t kFiguresKept = 64, kNamespacesAtOnce = 40;
constexpr size_t kSeriesOfModel = 600, kSeriesOfUsage = 20'000;
constexpr const char* kNoAnswer = "Prometheus could not be reached, so figures over time are unknown";
constexpr const char* kNoUse = "Prometheus gave no answer that can be used, so figures over time are unknown";

// As a text of PromQL. Names of the API server need none of it.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out + "\"";
}

// A name as a part of a regular expression in such a text: "." stands for itself.
std::string literally(const std::string& name) {
  std::string out;
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '-') out += c;
    else out += std::string("[") + (c == ']' || c == '\\' || c == '^' || c == '"' ? '.' : c) + "]";
  }
  return out;
}

TimePoint point(int64_t unix_seconds) { return TimePoint(std::chrono::seconds(unix_seconds)); }

void take(const evidence::Series& series, Figures& figures) {
  const auto label = [&](const char* name) {
    const auto it = series.labels.find(name);
    return it == series.labels.end() ? std::string() : it->second;
  };
  const std::string monitor = label("monitor"), gate = label("gate"), of = label("of");
  if (monitor.empty() == gate.empty()) return;
  Track& track = monitor.empty() ? figures.gates[gate] : figures.monitors[monitor];
  for (const auto& [at, value] : series.at) {
    auto it = std::lower_bound(track.begin(), track.end(), point(at), [](const Point& p, TimePoint t) { return p.at < t; });
    if (it == track.end() || it->at != point(at)) it = track.insert(it, {point(at), value, value, value});
    if (of == "low") it->low = value;
    if (of == "high") it->high = value;
    if (of == "mean") it->mean = value;
  }
}

// The order of three series of one step may leave a mean outside by a last digit.
void put_in_order(Track& track) {
  for (Point& p : track) {
    p.low = std::min({p.low, p.mean, p.high});
    p.high = std::max({p.low, p.mean, p.high});
  }
}

}  // namespace

Result<std::pair<std::string, std::string>> read_label(const std::string& text) {
  const size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  const bool plain = !name.empty() && !std::isdigit(static_cast<unsigned char>(name[0])) &&
                     std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) || c == '_'; });
  if (equals == std::string::npos || !plain || equals + 1 == text.size())
    return fail(ErrorKind::Invalid, "\"" + text + "\" is no label and its value, such as cluster=prod-eu");
  return std::pair(name, text.substr(equals + 1));
}

History::History(PrometheusSource source, kube::HttpTransport& http) : source_(std::move(source)), prometheus_(source_.url, http) {}

std::string History::matchers() const {
  std::string all;
  for (const auto& [name, value] : source_.labels) all += "," + name + "=" + quoted(value);
  return all;
}

bool History::is_away() {
  std::lock_guard lock(mutex_);
  return Clock::now() < away_until_;
}

evidence::SeriesAnswer History::ask(const std::string& promql, const std::optional<evidence::Moments>& moments, std::stop_token stop) {
  auto answer = prometheus_.query_series(promql, moments, moments ? kSeriesOfModel : kSeriesOfUsage, stop, kDeadline);
  if (!answer.reached && !stop.stop_requested()) {
    std::lock_guard lock(mutex_);
    away_until_ = Clock::now() + kAway;
  }
  return answer;
}

Figures History::figures(const std::string& ns, const std::string& model, const Span& span, TimePoint now, std::stop_token stop) {
  const int64_t step = std::chrono::duration_cast<std::chrono::seconds>(span.step).count();
  const int64_t end = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count();
  Figures f;
  f.span = span.name;
  f.to = point(end);
  f.from = f.to - span.length;
  f.step = span.step;
  const std::string key = ns + "/" + model + "/" + span.name;
  {
    std::lock_guard lock(mutex_);
    std::erase_if(kept_, [at = Clock::now()](const auto& entry) { return entry.second.until < at; });
    if (const auto it = kept_.find(key); it != kept_.end()) return it->second.figures;
  }
  if (is_away()) {
    f.problem = kNoAnswer;
    return f;
  }
  const std::string series = "{__name__=~\"modelops_monitor_value|modelops_gate_value\",namespace=" + quoted(ns) + ",model=" + quoted(model) + matchers() +
                             "}[" + std::to_string(step) + "s]";
  std::string query;
  for (const auto& [of, sum, over] : {std::tuple("low", "min", "min"), std::tuple("mean", "avg", "avg"), std::tuple("high", "max", "max")})
    query += std::string(query.empty() ? "" : " or ") + "label_replace(" + sum + " by (monitor, gate) (" + over + "_over_time(" + series + ")), \"of\", \"" + of +
             "\", \"\", \"\")";
  const int64_t length = std::chrono::duration_cast<std::chrono::seconds>(span.length).count();
  const auto answer = ask(query, evidence::Moments{end - length + step, end, step}, stop);
  if (!answer.problem.empty()) {
    f.problem = answer.reached ? kNoUse : kNoAnswer;
    f.detail = answer.problem;
    if (answer.reached) keep(key, f, kAway);
    return f;
  }
  for (const evidence::Series& one : answer.series) take(one, f);
  for (auto* tracks : {&f.monitors, &f.gates})
    for (auto& [name, track] : *tracks) put_in_order(track);
  keep(key, f, kKept);
  return f;
}

void History::keep(const std::string& key, const Figures& figures, std::chrono::seconds time) {
  std::lock_guard lock(mutex_);
  if (kept_.size() >= kFiguresKept)
    kept_.erase(std::min_element(kept_.begin(), kept_.end(), [](const auto& a, const auto& b) { return a.second.until < b.second.until; }));
  kept_[key] = {figures, Clock::now() + time};
}

// Pods are summed up by the name of their Deployment, so that an answer has a row for each of these and not for each pod.
std::string History::use_in(const std::string& namespaces, std::map<std::string, Workload*>& by_name, std::stop_token stop) {
  const std::string where = "{namespace=~\"" + namespaces + "\",container!=\"\",container!=\"POD\"" + matchers() + "}[1h]";
  // A container may be told of by two kubelets' series, after a restart of it: they are one.
  const auto summed = [](const std::string& of) {
    return "sum by (namespace, workload) (label_replace(max by (namespace, pod, container) (" + of + R"x(), "workload", "$1", "pod", "(.+)-[a-z0-9]+-[a-z0-9]{5}")))x";
  };
  for (const bool cpu : {true, false}) {
    const auto answer = ask(cpu ? summed("rate(container_cpu_usage_seconds_total" + where + ")") : summed("avg_over_time(container_memory_working_set_bytes" + where + ")"),
                            {}, stop);
    if (!answer.problem.empty()) return answer.reached ? answer.problem : "Prometheus could not be reached";
    for (const evidence::Series& series : answer.series) {
      const auto label = [&](const char* name) { return series.labels.contains(name) ? series.labels.at(name) : std::string(); };
      const auto it = by_name.find(label("namespace") + "/" + label("workload"));
      if (it != by_name.end() && !series.at.empty()) (cpu ? it->second->cpu_used : it->second->memory_used) = series.at.back().second;
    }
  }
  return "";
}

std::string History::usage(std::vector<Workload>& workloads, std::stop_token stop) {
  if (!configured()) return "no Prometheus is given by --prometheus-url";
  if (is_away()) return "Prometheus could not be reached";
  std::map<std::string, Workload*> by_name;
  std::set<std::string> namespaces;
  for (Workload& w : workloads) {
    by_name[w.ns + "/" + w.deployment] = &w;
    namespaces.insert(w.ns);
  }
  std::string some;
  size_t count = 0;
  for (auto it = namespaces.begin(); it != namespaces.end();) {
    some += (some.empty() ? "" : "|") + literally(*it);
    ++it;
    if (++count % kNamespacesAtOnce != 0 && it != namespaces.end()) continue;
    if (std::string problem = use_in(some, by_name, stop); !problem.empty()) return problem;
    some.clear();
  }
  return "";
}

}  // namespace mo::report
