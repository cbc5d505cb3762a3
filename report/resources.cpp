#include "report/resources.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "operator/json/fields.h"
#include "report/portfolio.h"

namespace mo::report {
namespace {

constexpr double kGiB = 1024.0 * 1024 * 1024;
constexpr size_t kDevicesKept = 8, kContainersRead = 50, kPricesRead = 50;

using Amounts = std::map<std::string, double>;

// What a container asks for: what it may use at most where it says nothing else, as the API server has it.
Amounts asked_by(const Json& container) {
  Amounts amounts;
  for (const char* path : {"resources.limits", "resources.requests"}) {
    const Json* found = fields::field(container, path);
    if (!found || !found->is_object()) continue;
    for (const auto& [name, value] : found->items())
      if (const auto amount = quantity(value.is_string() ? value.get<std::string>() : value.dump())) amounts[name] = *amount;
  }
  return amounts;
}

bool is_device(const std::string& name) { return name.find('/') != std::string::npos; }

// A pod is placed by what runs at once: its containers and the init containers that stay, or one init container that is more than these.
class Pod {
 public:
  explicit Pod(const Json& spec) {
    size_t read = 0;
    for (const Json& container : fields::items(spec, "containers"))
      if (++read <= kContainersRead) add(asked_by(container));
    for (const Json& container : fields::items(spec, "initContainers"))
      if (fields::text(container, "restartPolicy") == "Always" && ++read <= kContainersRead) add(asked_by(container));
    for (const Json& container : fields::items(spec, "initContainers")) {
      if (fields::text(container, "restartPolicy") == "Always" || ++read > kContainersRead) continue;
      for (const auto& [name, amount] : asked_by(container))
        if (!open_.contains(name)) sum_[name] = std::max(sum_[name], amount);
    }
    whole_ = read > 0 && read <= kContainersRead;
  }

  std::optional<double> of(const std::string& name) const {
    const auto it = sum_.find(name);
    return !whole_ || open_.contains(name) || it == sum_.end() ? std::nullopt : std::optional(it->second);
  }
  Amounts devices() const {
    Amounts devices;
    for (const auto& [name, amount] : sum_)
      if (is_device(name) && devices.size() < kDevicesKept) devices[name] = amount;
    return devices;
  }

 private:
  void add(const Amounts& amounts) {
    for (const char* name : {"cpu", "memory"})
      if (!amounts.contains(name)) open_.insert(name);
    for (const auto& [name, amount] : amounts) sum_[name] += amount;
  }
  Amounts sum_;
  std::set<std::string> open_;  // that some container does not say
  bool whole_ = false;
};

Result<std::optional<double>> price(const Json& document, const std::string& name) {
  if (!document.contains(name)) return std::optional<double>();
  const Json& value = document[name];
  const auto amount = value.is_string() ? quantity(value.get<std::string>()) : value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
  if (!amount || !std::isfinite(*amount) || *amount < 0) return fail(ErrorKind::Invalid, name + " must be a price such as \"0.031\", it is " + value.dump());
  return amount;
}

void add(std::optional<double>& sum, const std::optional<double>& part) { sum = sum && part ? std::optional(*sum + *part) : std::nullopt; }

// The Deployment does not show what admission adds to pods, nor the told sum what init containers ask for; without the Deployment's word
// some container of them asks for nothing that is known.
std::optional<double> asked(const std::optional<double>& one, const std::optional<double>& told, int64_t pods) {
  if (pods == 0) return 0.0;
  return one ? std::optional(std::max(*one * static_cast<double>(pods), told.value_or(0))) : std::nullopt;
}

std::string decimals(double value) {
  char text[48];
  std::snprintf(text, sizeof text, value >= 100 ? "%.0f" : value >= 10 ? "%.1f" : value >= 0.1 || value == 0 ? "%.2f" : "%.3f", value);
  return text;
}

}  // namespace

std::optional<double> quantity(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, double>, 15> kUnits = {{{"", 1},
                                                                                  {"n", 1e-9},
                                                                                  {"u", 1e-6},
                                                                                  {"m", 1e-3},
                                                                                  {"k", 1e3},
                                                                                  {"M", 1e6},
                                                                                  {"G", 1e9},
                                                                                  {"T", 1e12},
                                                                                  {"P", 1e15},
                                                                                  {"E", 1e18},
                                                                                  {"Ki", 1024},
                                                                                  {"Mi", 1024.0 * 1024},
                                                                                  {"Gi", kGiB},
                                                                                  {"Ti", kGiB * 1024},
                                                                                  {"Pi", kGiB * 1024 * 1024}}};
  if (text.empty() || text.size() > 40) return {};
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !std::isfinite(number) || number < 0) return {};
  const std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  for (const auto& [name, factor] : kUnits)
    if (unit == name) return number * factor;
  return {};
}

std::optional<Workload> read_workload(const Json& object) {
  const Json* labels = fields::field(object, "metadata.labels");
  const auto label = [&](const char* name) {
    return labels && labels->is_object() && labels->contains(name) && (*labels)[name].is_string() ? (*labels)[name].get<std::string>() : std::string();
  };
  Workload w;
  w.ns = fields::text(object, "metadata.namespace");
  w.deployment = fields::text(object, "metadata.name");
  w.model = label("modelops.dev/model");
  w.version = label("modelops.dev/version");
  if (w.model.empty() || w.version.empty() || label("app.kubernetes.io/managed-by") != "model-operator") return {};
  const bool observed = fields::field(object, "status.observedGeneration") != nullptr;
  w.pods = std::max<int64_t>(0, observed ? fields::number(object, "status.replicas") : fields::number(object, "spec.replicas", 1));
  const Json* spec = fields::field(object, "spec.template.spec");
  if (!spec) return w;
  const Pod pod(*spec);
  w.cpu = pod.of("cpu");
  w.memory = pod.of("memory");
  w.devices = pod.devices();
  return w;
}

Result<Prices> read_prices(const Json& document) {
  if (!document.is_object()) return fail(ErrorKind::Invalid, "prices must be an object with currency, cpuHour, memoryGiBHour and deviceHour");
  for (const auto& [name, value] : document.items())
    if (name != "currency" && name != "cpuHour" && name != "memoryGiBHour" && name != "deviceHour")
      return fail(ErrorKind::Invalid, fields::printable(name) + " is no field of prices: they are currency, cpuHour, memoryGiBHour and deviceHour");
  Prices prices;
  if (!document.contains("currency") || !document["currency"].is_string() || document["currency"].get<std::string>().empty() ||
      document["currency"].get<std::string>().size() > 16)
    return fail(ErrorKind::Invalid, "currency must be a text such as EUR");
  prices.currency = document["currency"];
  for (const auto& [name, member] : {std::pair("cpuHour", &Prices::cpu_hour), std::pair("memoryGiBHour", &Prices::memory_gib_hour)}) {
    const auto amount = price(document, name);
    if (!amount) return fail(amount.error());
    prices.*member = *amount;
  }
  if (!document.contains("deviceHour")) return prices;
  const Json& devices = document["deviceHour"];
  if (!devices.is_object() || devices.size() > kPricesRead)
    return fail(ErrorKind::Invalid, "deviceHour must be an object of at most 50 prices by the name of the resource, such as nvidia.com/gpu");
  for (const auto& [name, value] : devices.items()) {
    const auto amount = price(devices, name);
    if (!amount) return fail(ErrorKind::Invalid, "deviceHour: " + amount.error().message);
    prices.device_hour[name] = **amount;
  }
  return prices;
}

std::optional<double> cpu_asked(const Workload& w) { return asked(w.cpu, w.cpu_told, w.pods); }
std::optional<double> memory_asked(const Workload& w) { return asked(w.memory, w.memory_told, w.pods); }

Result<std::optional<Prices>> with_opencost(std::optional<Prices> prices, const std::string& currency) {
  if (currency.empty()) return prices;
  if (currency.size() > 16) return fail(ErrorKind::Invalid, "--opencost-currency must be a text of up to 16 bytes such as USD");
  if (prices && prices->currency != currency)
    return fail(ErrorKind::Invalid, "--opencost-currency is " + currency + ", but --prices speaks of " + prices->currency + ": one report has one currency");
  if (!prices) prices.emplace().currency = currency;
  prices->opencost = true;
  return prices;
}

std::optional<double> monthly_cost(const Workload& w, const std::optional<Prices>& prices) {
  if (w.pods == 0) return 0.0;
  if (prices && prices->opencost && w.cost_hour) return *w.cost_hour * kHoursOfMonth;
  const auto cpu = cpu_asked(w), memory = memory_asked(w);
  if (!prices || !cpu || !memory || !prices->cpu_hour || !prices->memory_gib_hour) return {};
  double hour = *cpu * *prices->cpu_hour + *memory / kGiB * *prices->memory_gib_hour;
  for (const auto& [name, amount] : w.devices) {
    if (amount == 0) continue;
    const auto it = prices->device_hour.find(name);
    if (it == prices->device_hour.end()) return {};
    hour += amount * static_cast<double>(w.pods) * it->second;
  }
  return hour * kHoursOfMonth;
}

Totals totals_of(const Model& m, const std::optional<Prices>& prices) {
  Totals t;
  if (!m.workloads) return {{}, {}, {}, {}, {}, 0, {}};
  if (!prices) t.cost.reset();
  for (const Workload& w : *m.workloads) {
    t.pods += w.pods;
    add(t.cpu, cpu_asked(w));
    add(t.memory, memory_asked(w));
    add(t.cpu_used, w.cpu_used);
    add(t.memory_used, w.memory_used);
    add(t.cost, monthly_cost(w, prices));
    for (const auto& [name, amount] : w.devices) t.devices[name] += amount * static_cast<double>(w.pods);
  }
  return t;
}

void take_workloads(Portfolio& p, const std::vector<Workload>& workloads) {
  std::map<std::pair<std::string, std::string>, Model*> models;
  for (Model& m : p.models) {
    m.workloads.emplace();
    models[{m.ns, m.name}] = &m;
  }
  for (const Workload& w : workloads)
    if (const auto it = models.find({w.ns, w.model}); it != models.end()) it->second->workloads->push_back(w);
  // The list of Deployments may be older than the Model: of one that serves without any nothing is known.
  for (Model& m : p.models)
    if (m.workloads->empty() && !m.version.empty() && !m.retired()) m.workloads.reset();
}

std::string in_cores(double cores) { return decimals(cores); }
std::string in_gib(double bytes) { return decimals(bytes / kGiB); }
std::string in_money(double amount, const std::string& currency) {
  char text[64];
  std::snprintf(text, sizeof text, amount >= 100 ? "%.0f" : "%.2f", amount);
  return std::string(text) + " " + currency;
}

}  // namespace mo::report
