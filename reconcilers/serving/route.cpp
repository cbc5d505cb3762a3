#include "reconcilers/serving/route.h"

#include <algorithm>

#include "operator/json/json.h"
#include "reconcilers/common/names.h"
#include "reconcilers/common/side.h"

namespace mo::serving {
namespace {

using Selected = ServingState::Selected;

// A gateway that doesn't say that it has taken up a route either isn't there or doesn't tell.
constexpr Duration kUnheard = std::chrono::seconds(60);
constexpr Duration kPatience = std::chrono::seconds(10);

// A clock that is ahead of ours must not make us wait for it.
std::optional<TimePoint> later(const std::optional<TimePoint>& since, Duration lag, TimePoint now) {
  if (!since || *since > now + lag || *since + lag <= now) return {};
  return *since + lag;
}

std::string selected_side(const Observed& o, const std::string& service, bool& exists) {
  const auto it = o.services.find(service);
  exists = it != o.services.end() && !it->second.object->meta.deleting;
  return exists ? side_of(it->second.object->selector) : "";
}

}  // namespace

int reaches(const Observed& o, const std::string& service, const std::string& side) {
  int pods = 0;
  for (const auto& slice : o.slices) {
    if (slice->service != service) continue;
    for (const std::string& name : slice->pods) {
      const auto pod = std::find_if(o.pods.begin(), o.pods.end(), [&](const auto& p) { return p->meta.key.name == name; });
      if (pod == o.pods.end() || (!side.empty() && side_of(**pod) != side)) return 0;
      ++pods;
    }
  }
  return pods;
}

namespace {

void look_at_gateways(const api::HttpRoute& route, RouteView& view, TimePoint now) {
  view.taken_up = !route.parents.empty();
  std::string problem;
  for (const api::HttpRoute::Parent& parent : route.parents) {
    const bool heard = parent.observed_generation == 0 || parent.observed_generation >= route.meta.generation;
    if (heard && parent.accepted && parent.resolved) continue;
    view.taken_up = false;
    if (heard && problem.empty()) problem = "Gateway " + parent.name + ": " + parent.problem;
  }
  if (view.taken_up) return;
  view.problem_at = later(route.applied_at, kPatience, now);
  if (view.problem_at) return;
  view.problem = "HTTPRoute " + route.meta.key.name +
                 (problem.empty() ? " is accepted by no Gateway: check that the Gateway in spec.serving.route.parentRefs "
                                    "exists and that its listeners allow this namespace and hostname"
                                  : " was not accepted by " + problem);
}

class RouteUpdatePlanner {
 public:
  RouteUpdatePlanner(const RouteView& v, const Wanted& w, const ServingState& g, const std::string& model, bool side_wanted,
          bool rolls, TimePoint now)
      : v_(v), w_(w), state_(g), main_(model), side_(candidate_service_name(model)), side_wanted_(side_wanted),
        rolls_(rolls), now_(now) {}

  RouteUpdate run() {
    out_.main = main();
    const int weight = this->weight();
    if (weight < 100) out_.weights[main_] = 100 - weight;
    if (weight > 0) out_.weights[side_] = weight;
    out_.rules = rules(weight);
    const bool named = weight > 0 || out_.rules.any();
    const bool moves = weight != v_.side_weight || v_.side_named != named || out_.rules != v_.rules;
    out_.calm = !moves && !v_.calm_at;
    if (!moves && v_.calm_at) out_.look_again = v_.calm_at;
    out_.side = side(named);
    for (const auto& at : {v_.problem_at, handing_over() ? v_.main_calm_at : std::nullopt})
      if (at && (!out_.look_again || *at < *out_.look_again)) out_.look_again = at;
    return std::move(out_);
  }

 private:
  std::string main() const {
    if (w_.stable.empty()) return w_.candidate;
    if (v_.main.empty() || v_.main == w_.stable) return w_.stable;
    // Others have traffic there: since a promotion nobody, or a first version that was given up.
    const bool waited = w_.drain_until && now_ >= *w_.drain_until && state_.stable.ready > 0;
    return state_.stable.ready >= state_.replicas || waited || v_.side_weight == 100 ? w_.stable : v_.main;
  }

  // The candidate of a moment ago is stable now, and has its traffic by <model>-candidate still.
  bool handing_over() const { return !w_.stable.empty() && v_.side == w_.stable && v_.side_weight > 0; }

  int weight() const {
    if (handing_over()) return v_.main == w_.stable && !v_.main_calm_at && v_.main_reaches > 0 ? 0 : v_.side_weight;
    if (w_.stable.empty() || w_.candidate.empty() || w_.draining || w_.weight <= 0) return 0;
    if (v_.side != w_.candidate || v_.main != w_.stable) return 0;
    const bool ready = state_.candidate_ready_for(w_.weight) && v_.side_reaches >= state_.goal(w_.weight).candidate;
    if (ready && !rolls_) return w_.weight;
    return std::min(v_.side_weight, w_.weight);  // it lost pods: no more, and no less, than it has
  }

  RouteRules rules(int weight) const {
    const bool may = !w_.stable.empty() && !w_.candidate.empty() && weight < 100 &&
                     v_.side == w_.candidate && v_.main == w_.stable;
    if (!may || !w_.rules.any()) return {};
    if (v_.side_reaches > 0 && state_.candidate_settled && !rolls_) return w_.rules;
    // It lost pods: nothing new, and what it has goes on as long as it is wanted.
    return {w_.rules.header_matches.empty() ? w_.rules.header_matches : v_.rules.header_matches, w_.rules.mirrored && v_.rules.mirrored};
  }

  std::optional<std::string> side(bool in_use) const {
    const bool wanted = side_wanted_ && !w_.stable.empty();
    if (!v_.side_exists) return wanted ? std::optional(w_.candidate) : std::nullopt;
    if (wanted && v_.side == w_.candidate) return w_.candidate;
    if (in_use || !out_.calm) return {};
    return wanted ? w_.candidate : "";
  }

  const RouteView& v_;
  const Wanted& w_;
  const ServingState& state_;
  const std::string main_, side_;
  const bool side_wanted_, rolls_;
  const TimePoint now_;
  RouteUpdate out_;
};

}  // namespace

std::vector<ObjectKey> gateways_of(const api::Model& model) {
  std::vector<ObjectKey> keys;
  if (!model.route) return keys;
  const Result<Json> parents = parse_json(model.route->parent_refs, 1 << 16);
  if (!parents || !parents->is_array()) return keys;
  const auto text = [](const Json& parent, const char* name, const std::string& otherwise) {
    return parent.contains(name) && parent[name].is_string() ? parent[name].get<std::string>() : otherwise;
  };
  for (const Json& parent : *parents)
    if (parent.is_object() && text(parent, "kind", "Gateway") == "Gateway")
      keys.push_back({text(parent, "namespace", model.meta.key.ns), text(parent, "name", "")});
  return keys;
}

namespace {

// A parentRef as far as it tells one listener from another.
struct Listener {
  ObjectKey gateway;
  std::string section;
  int64_t port = 0;
  // A Gateway's listeners are all meant where none is named.
  bool meets(const Listener& other) const {
    return gateway == other.gateway && (section.empty() || other.section.empty() || section == other.section) &&
           (port == 0 || other.port == 0 || port == other.port);
  }
};

std::vector<Listener> listeners_of(const api::Model& model) {
  std::vector<Listener> listeners;
  const Result<Json> parents = parse_json(model.route->parent_refs, 1 << 16);
  if (!parents || !parents->is_array()) return listeners;
  for (const Json& parent : *parents) {
    if (!parent.is_object()) continue;
    const auto text = [&](const char* name) {
      const auto it = parent.find(name);
      return it != parent.end() && it->is_string() ? it->get<std::string>() : std::string();
    };
    const auto port = parent.find("port");
    const std::string ns = text("namespace");
    listeners.push_back({{ns.empty() ? model.meta.key.ns : ns, text("name")},
                         text("sectionName"),
                         port != parent.end() && port->is_number_integer() ? port->get<int64_t>() : 0});
  }
  return listeners;
}

}  // namespace

std::optional<std::string> shared_hostname(const api::Model& one, const api::Model& other) {
  if (!one.route || !other.route) return {};
  const auto& hosts = other.route->hostnames;
  auto shared = std::find_first_of(one.route->hostnames.begin(), one.route->hostnames.end(), hosts.begin(), hosts.end());
  const bool all = one.route->hostnames.empty() && hosts.empty();
  if (!all && shared == one.route->hostnames.end()) return {};
  const auto listeners = listeners_of(other);
  for (const Listener& mine : listeners_of(one))
    for (const Listener& theirs : listeners)
      if (mine.meets(theirs)) return all ? "*" : *shared;
  return {};
}

std::optional<TimePoint> service_calm_at(const Observed& o, TimePoint now) {
  const auto it = o.services.find(o.key.name);
  if (it == o.services.end()) return {};
  return later(it->second.object->applied_at, kGatewayLag, now);
}

RouteView view_route(const Observed& o, TimePoint now) {
  RouteView view;
  view.main = selected_side(o, o.key.name, view.main_exists);
  view.side = selected_side(o, candidate_service_name(o.key.name), view.side_exists);
  view.main_reaches = reaches(o, o.key.name, view.main);
  view.side_reaches = reaches(o, candidate_service_name(o.key.name), view.side);
  view.main_calm_at = service_calm_at(o, now);
  const auto it = o.routes.find(o.key.name);
  if (it == o.routes.end()) return view;
  const api::HttpRoute& route = *it->second.object;
  const auto weight = route.weights.find(candidate_service_name(o.key.name));
  view.rules = {route.chosen, route.mirrored};
  view.side_named = weight != route.weights.end() || view.rules.any();
  if (weight != route.weights.end()) view.side_weight = std::clamp(weight->second, 0, 100);  // people may have written it
  look_at_gateways(route, view, now);
  view.calm_at = later(route.applied_at, view.taken_up ? kGatewayLag : kUnheard, now);
  return view;
}

Selected selected_by_route(const RouteView& v, const std::string& stable, const std::string& candidate) {
  if (!v.main_exists) return Selected::Nobody;
  if ((v.side_weight > 0 || !v.rules.header_matches.empty()) && v.side != stable) {
    const bool candidates = !candidate.empty() && v.side == candidate;
    return candidates && v.side_weight >= 100 ? Selected::Candidate : Selected::Both;
  }
  if (v.side_weight >= 100 || (!stable.empty() && v.main == stable)) return Selected::Stable;
  if (!candidate.empty() && v.main == candidate) return Selected::Candidate;
  return v.main.empty() || v.side_weight > 0 ? Selected::Both : Selected::Nobody;
}

RouteUpdate plan_route_update(const RouteView& view, const Wanted& wanted, const ServingState& state, const std::string& model,
          bool side_wanted, bool rolls, TimePoint now) {
  return RouteUpdatePlanner(view, wanted, state, model, side_wanted, rolls, now).run();
}

}  // namespace mo::serving
