// Traffic by an HTTPRoute of the Gateway API. Pure.
//
// Service <model> selects the stable version, <model>-candidate the candidate; the route's weights between the two are
// exact. Gateways follow changes with a delay, so Services and pods are changed or deleted only after
// the gateways have stopped sending requests to them:
//
//   weights    stable 100 -> 100-w / w -> 0 / 100          (its Service reaches ready pods before it has weight)
//   promotion  <model> selects the new stable version -> stable 100 -> <model>-candidate goes, old pods go
//   rollback   stable 100 -> <model>-candidate goes, candidate's pods go
//
// Matched headers have their own rule before the main rule; mirroring is a filter of the main rule. A rollback removes both in the same
// write as the weight.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reconcilers/common/observed.h"
#include "reconcilers/serving/serve.h"

namespace mo::serving {

// The number of pods of this side (empty: of any) in the EndpointSlices of a Service; 0 while they list pods of other sides. A ready pod gets
// requests only after it is listed; before that, a route to the Service has no backend or an old one.
int reaches(const Observed& observed, const std::string& service, const std::string& side);

// How long proxies may use the previous state of a Service or a route: gateways follow routes and endpoints within two
// seconds by default (Traefik: providersThrottleDuration), kube-proxy a Service within one (its minSyncPeriod).
inline constexpr Duration kGatewayLag = std::chrono::seconds(5);

// When no proxy uses the previous selector of <model> any more; empty: now.
std::optional<TimePoint> service_calm_at(const Observed& observed, TimePoint now);

// The observed Services and HTTPRoute.
struct RouteView {
  bool main_exists = false, side_exists = false;
  std::string main, side;  // the sides that <model> and <model>-candidate select; empty: none, or all
  int main_reaches = 0, side_reaches = 0;  // ready pods of that side; 0 as long as they reach others' too
  bool side_named = false;  // the route names <model>-candidate
  int side_weight = 0;
  RouteRules rules;
  bool taken_up = false;
  std::string problem;
  std::optional<TimePoint> calm_at;       // when no proxy uses the previous route any more; empty: now
  std::optional<TimePoint> main_calm_at;  // the same for the selector of <model>
  std::optional<TimePoint> problem_at;    // when a route that is not accepted becomes a problem
};

// The Gateways of the Model's route.
std::vector<ObjectKey> gateways_of(const api::Model& model);

// The hostname that both Models use on one listener of a Gateway, or * if neither sets any; nothing if they do not overlap.
std::optional<std::string> shared_hostname(const api::Model& one, const api::Model& other);

RouteView view_route(const Observed& observed, TimePoint now);

ServingState::Selected selected_by_route(const RouteView& view, const std::string& stable,
                                   const std::string& candidate);

// The next state of the Services and the route.
struct RouteUpdate {
  std::string main;                       // side
  std::optional<std::string> side;        // side; empty: delete <model>-candidate; nothing: keep it
  std::map<std::string, int> weights;     // by Service
  RouteRules rules;
  bool calm = false;                      // no requests go to other pods
  std::optional<TimePoint> look_again;
};

// `side_wanted`: <model>-candidate must select the candidate. `rolls`: this plan changes its template.
RouteUpdate plan_route_update(const RouteView& view, const Wanted& wanted, const ServingState& state, const std::string& model,
          bool side_wanted, bool rolls, TimePoint now);

}  // namespace mo::serving
