// What Models ask of the cluster, what they use of it and what that costs. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "operator/core/result.h"
#include "operator/json/json.h"

namespace mo::report {

struct Model;
struct Portfolio;

// A Deployment that serves a version.
struct Workload {
  std::string ns, model, version, deployment;
  int64_t pods = 0;
  // That one pod asks for: cores and bytes; nothing: some container of it does not say.
  std::optional<double> cpu, memory;
  std::map<std::string, double> devices;  // "nvidia.com/gpu"
  // That all its pods used, on average over the last hour.
  std::optional<double> cpu_used, memory_used;
  // That all its pods ask for, as kube-state-metrics tells it: with what admission added to them.
  std::optional<double> cpu_told, memory_told;
  std::optional<double> cost_hour;  // of all its pods, as OpenCost tells it
};
// That all its pods ask for.
std::optional<double> cpu_asked(const Workload& workload);
std::optional<double> memory_asked(const Workload& workload);
// Nothing if it is not one that the operator made for a version.
std::optional<Workload> read_workload(const Json& deployment);

// "250m", "1.5", "2Gi", "1e3": a Kubernetes quantity, from 0 on.
std::optional<double> quantity(std::string_view text);

struct Prices {
  std::string currency;
  std::optional<double> cpu_hour, memory_gib_hour;  // of a core and a GiB that are asked for, by the hour
  std::map<std::string, double> device_hour;        // by the name of the resource
  bool opencost = false;                            // OpenCost's costs come before these prices; they are in the same currency
};
// Of {currency, cpuHour, memoryGiBHour, deviceHour: {nvidia.com/gpu: …}}. ErrorKind::Invalid names the field that is wrong.
Result<Prices> read_prices(const Json& document);

inline constexpr double kHoursOfMonth = 730;
// These prices, with OpenCost's costs in that currency before them; empty: without. ErrorKind::Invalid if they speak of another currency.
Result<std::optional<Prices>> with_opencost(std::optional<Prices> prices, const std::string& currency);

// As OpenCost tells it, or of what its pods ask for, for a month as it is now; nothing where an amount or a price of it is unknown.
std::optional<double> monthly_cost(const Workload& workload, const std::optional<Prices>& prices);

struct Totals {  // each nothing where a part of it is unknown
  std::optional<double> cpu = 0.0, memory = 0.0, cpu_used = 0.0, memory_used = 0.0, cost = 0.0;
  int64_t pods = 0;
  std::map<std::string, double> devices;
};
// Of a Model. Everything is unknown if its Deployments were not read.
Totals totals_of(const Model& model, const std::optional<Prices>& prices);

// Hands the Deployments out to the Models that they serve.
void take_workloads(Portfolio& portfolio, const std::vector<Workload>& workloads);

std::string in_cores(double cores);
std::string in_gib(double bytes);
std::string in_money(double amount, const std::string& currency);

}  // namespace mo::report
