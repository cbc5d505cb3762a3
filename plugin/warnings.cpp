#include "plugin/warnings.h"

#include <algorithm>

#include "operator/api/parse.h"
#include "plugin/fields.h"
#include "plugin/promql.h"
#include "reconcilers/serving/capacity.h"

namespace mo::plugin {
namespace {

class Warnings {
 public:
  std::vector<Mistake> of(const Json& object) {
    const std::string kind = text(object, "kind");
    if (kind == "Model") {
      check_gates(object, {"spec", "rollout", "gates"});
      check_weights(object);
    }
    if (kind == "ModelGateSet" || kind == "ClusterModelGateSet") {
      check_gates(object, {"spec", "gates"});
      check_gates(object, {"spec", "monitors"});
    }
    return std::move(warnings_);
  }

 private:
  // A place by the names that lead there.
  static Mistake at(const std::vector<std::string>& names, const std::string& message) {
    Mistake out{"", "", message};
    for (const std::string& name : names) {
      const bool index = name.find_first_not_of("0123456789") == std::string::npos;
      out.pointer += "/" + name;
      out.path += index ? "[" + name + "]" : (out.path.empty() ? "" : ".") + name;
    }
    return out;
  }

  void check_gates(const Json& object, std::vector<std::string> place) {
    std::string path;
    for (const std::string& name : place) path += "." + name;
    const Json& gates = items(object, path);
    for (size_t i = 0; i < gates.size(); ++i)
      for (const auto& [part, query] : {std::pair("prometheus", "query"), std::pair("versusStable", "query"),
                                        std::pair("versusStable", "samplesQuery"), std::pair("samples", "query")}) {
        auto names = place;
        names.insert(names.end(), {std::to_string(i), part, query});
        check_query(text(gates[i], std::string(part) + "." + query), names);
      }
  }

  void check_query(const std::string& query, const std::vector<std::string>& place) {
    const promql::Query read = promql::read(query);
    std::string wide;
    for (const promql::Selector& selector : read.selectors) {
      const std::string one = selector.to_string();
      const bool told = (", " + wide + ",").find(", " + one + ",") != std::string::npos;
      if (!promql::names_namespace(read, selector) && !told) wide += (wide.empty() ? "" : ", ") + one;
    }
    if (!wide.empty())
      warnings_.push_back(at(place, "selects " + wide +
                                        " of all namespaces, so a pod of another namespace can change the result; "
                                        "add namespace=\"{{namespace}}\" to each selector"));
    if (read.zero_for_no_data)
      warnings_.push_back(at(place,
                             "\"or vector(…)\" turns no data into a number, so a gate without data passes or fails; "
                             "remove it: no data is then inconclusive. For a share of errors, write 1 - good / all"));
  }

  void check_weights(const Json& object) {
    const auto model = api::parse<api::Model>(object.dump());
    if (!model || model->route || model->max_surge || model->rollout.strategy != api::RolloutPolicy::Strategy::Canary) return;
    const int replicas = model->autoscaling ? std::min(model->replicas, model->autoscaling->min) : model->replicas;
    for (size_t i = 0; i < model->rollout.steps.size(); ++i) {
      const auto& weight = model->rollout.steps[i].weight;
      if (!weight) continue;
      const serving::Capacity pods = serving::capacity_for(replicas, *weight);
      if (pods.stable + pods.candidate <= std::max(2 * replicas + 2, 3 * replicas)) continue;
      warnings_.push_back(
          at({"spec", "rollout", "steps", std::to_string(i), "weight"},
             "weight " + std::to_string(*weight) + " with " + std::to_string(replicas) +
                 (replicas == 1 ? " replica" : " replicas") + " takes " +
                 std::to_string(pods.stable + pods.candidate) + " pods (" + std::to_string(pods.stable) +
                 " stable, " + std::to_string(pods.candidate) +
                 " candidate), because without a route the replica counts make the weight; choose a larger weight, or set spec.serving.route"));
    }
  }

  std::vector<Mistake> warnings_;
};

}  // namespace

std::vector<Mistake> warnings_of(const Json& object) { return Warnings().of(object); }

}  // namespace mo::plugin
