// Traffic by an HTTPRoute of the Gateway API. Pure.
//
// Service <model> selects the stable version, <model>-candidate the candidate; the route's weights between the two are
// exact. A gateway learns of each change a moment later, so a Service changes or goes, and pods go, only once
// the gateways have long stopped to send it anything:
//
//   weights    stable 100 -> 100-w / w -> 0 / 100          (its Service reaches ready pods before it has weight)
//   promotion  <model> selects the new stable version -> stable 100 -> <model>-candidate goes, old pods go
//   way back   stable 100 -> <model>-candidate goes, candidate's pods go
//
// Chosen callers have a rule of their own before the one for everybody; copies are a filter of that one. Both go in the same
// write as the weight on the way back.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reconcilers/common/observed.h"
#include "reconcilers/serving/serve.h"

namespace mo::serving {

// So many pods of this side (empty: of any) the EndpointSlices of a Service name; 0 as long as they name others too. A ready pod gets requests
// once they do; who follows a route sooner than those finds nobody there, or the pods that the Service selected before.
int reaches(const Observed& observed, const std::string& service, const std::string& side);

// So long whoever passes requests on may go by what a Service or a route said before: gateways follow routes and endpoints within two
// seconds by default (Traefik: providersThrottleDuration), kube-proxy a Service within one (its minSyncPeriod).
inline constexpr Duration kGatewayLag = std::chrono::seconds(5);

// When nobody goes any more by what <model> selected before; empty: now.
std::optional<TimePoint> service_calm_at(const Observed& observed, TimePoint now);

// What the Services and the HTTPRoute say.
struct RouteView {
  bool main_exists = false, side_exists = false;
  std::string main, side;  // the sides that <model> and <model>-candidate select; empty: none, or all
  int main_reaches = 0, side_reaches = 0;  // ready pods of that side; 0 as long as they reach others' too
  bool side_named = false;  // the route names <model>-candidate
  int side_weight = 0;
  RouteRules rules;
  bool taken_up = false;
  std::string problem;
  std::optional<TimePoint> calm_at;       // when what the route said before last is of no matter any more; empty: now
  std::optional<TimePoint> main_calm_at;  // the same of what <model> selected
  std::optional<TimePoint> problem_at;    // when what is not taken up yet becomes a problem
};

// The Gateways that take up the Model's route.
std::vector<ObjectKey> gateways_of(const api::Model& model);

// Whether both Models want requests for the same hostname of one listener of a Gateway: that hostname, or * if neither names any.
std::optional<std::string> shared_hostname(const api::Model& one, const api::Model& other);

RouteView view_route(const Observed& observed, TimePoint now);

ServingState::Selected selected_by_route(const RouteView& view, const std::string& stable,
                                   const std::string& candidate);

// What the Services and the route are to say now.
struct RouteUpdate {
  std::string main;                       // side
  std::optional<std::string> side;        // side; empty: <model>-candidate is to go; nothing: leave it
  std::map<std::string, int> weights;     // by Service
  RouteRules rules;
  bool calm = false;                      // nobody sends anything to any other pods
  std::optional<TimePoint> look_again;
};

// `side_wanted`: the candidate is to be reached by <model>-candidate. `rolls`: its template changes in this very plan.
RouteUpdate plan_route_update(const RouteView& view, const Wanted& wanted, const ServingState& state, const std::string& model,
          bool side_wanted, bool rolls, TimePoint now);

}  // namespace mo::serving
