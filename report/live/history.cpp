#include "report/live/history.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <set>
#include <tuple>

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

// A container may be told of by two exporters' series, after a restart of these: they are one.
std::string by_container(const std::string& promql) { return "max by (namespace, pod, container) (" + promql + ")"; }

// Pods are summed up by the name of their Deployment, so that an answer has a row for each of these and not for each pod.
std::string by_workload(const std::string& promql) {
  return "sum by (namespace, workload) (label_replace(" + promql + R"x(, "workload", "$1", "pod", "(.+)-[a-z0-9]+-[a-z0-9]{5}"))x" + ")";
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

std::string History::take_sums(const std::string& promql, const ByName& by_name, Amount amount, std::stop_token stop) {
  const auto answer = ask(promql, {}, stop);
  if (!answer.problem.empty()) return answer.reached ? answer.problem : "Prometheus could not be reached";
  for (const evidence::Series& series : answer.series) {
    const auto label = [&](const char* name) { return series.labels.contains(name) ? series.labels.at(name) : std::string(); };
    const auto it = by_name.find(label("namespace") + "/" + label("workload"));
    if (it != by_name.end() && !series.at.empty()) it->second->*amount = series.at.back().second;
  }
  return "";
}

std::string History::use_in(const std::string& namespaces, const ByName& by_name, std::stop_token stop) {
  const std::string in = "namespace=~\"" + namespaces + "\"" + matchers();
  const std::string where = "{" + in + ",container!=\"\",container!=\"POD\"}[1h]";
  // Pods that ended ask for nothing any more.
  const auto told = [&](const char* resource) {
    return by_workload(by_container("kube_pod_container_resource_requests{resource=\"" + std::string(resource) + "\"," + in + "}") +
                       " * on (namespace, pod) group_left () max by (namespace, pod) (kube_pod_status_phase{phase=~\"Pending|Running\"," + in + "})");
  };
  const std::pair<std::string, Amount> all[] = {
      {by_workload(by_container("rate(container_cpu_usage_seconds_total" + where + ")")), &Workload::cpu_used},
      {by_workload(by_container("avg_over_time(container_memory_working_set_bytes" + where + ")")), &Workload::memory_used},
      {told("cpu"), &Workload::cpu_told},
      {told("memory"), &Workload::memory_told}};
  for (const auto& [promql, amount] : all)
    if (std::string problem = take_sums(promql, by_name, amount, stop); !problem.empty()) return problem;
  return source_.opencost ? cost_in(namespaces, by_name, stop) : "";
}

// What a pod has is priced by its node, as OpenCost documents its metrics. On average over the hour, in which pods came and went; of what came
// in the last minutes as it is now.
std::string History::cost_in(const std::string& namespaces, const ByName& by_name, std::stop_token stop) {
  std::map<std::string, Workload> parts[3];
  const std::tuple<const char*, const char*, const char*> priced[] = {{"container_cpu_allocation", "node_cpu_hourly_cost", ""},
                                                                      {"container_memory_allocation_bytes", "node_ram_hourly_cost", " / 1073741824"},
                                                                      {"container_gpu_allocation", "node_gpu_hourly_cost", ""}};
  for (size_t i = 0; i < std::size(priced); ++i) {
    const auto& [amount, price, per] = priced[i];
    ByName into;
    for (const auto& [name, workload] : by_name) into[name] = &parts[i][name];
    const std::string now = by_workload("max by (namespace, pod, container, node) (" + std::string(amount) + "{namespace=~\"" + namespaces +
                               "\",container!=\"\"" + matchers() + "})" + per + " * on (node) group_left () max by (node) (" + price + "{node!=\"\"" + matchers() + "})");
    if (std::string problem = take_sums("avg_over_time((" + now + ")[1h:5m]) or " + now, into, &Workload::cost_hour, stop); !problem.empty()) return problem;
  }
  for (const auto& [name, workload] : by_name) {
    const auto &cpu = parts[0][name].cost_hour, &memory = parts[1][name].cost_hour, &gpu = parts[2][name].cost_hour;
    const bool has_devices = std::any_of(workload->devices.begin(), workload->devices.end(), [](const auto& device) { return device.second > 0; });
    if (cpu && memory && (gpu || !has_devices)) workload->cost_hour = *cpu + *memory + gpu.value_or(0);
  }
  return "";
}

std::string History::usage(std::vector<Workload>& workloads, std::stop_token stop) {
  if (!configured()) return "no Prometheus is given by --prometheus-url";
  if (is_away()) return "Prometheus could not be reached";
  ByName by_name;
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
