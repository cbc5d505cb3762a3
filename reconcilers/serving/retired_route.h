// The HTTPRoute of a retired Model: no Service behind it, and a filter of the gateway's own that answers callers. Pure.
//
// The Gateway API has no answer of its own, 410 Gone least of all. Gateways have: Envoy Gateway's HTTPRouteFilter, kgateway's DirectResponse,
// Traefik's Middleware. spec.serving.route.retired names one; without it the HTTPRoute goes with the rest.
#pragma once

#include <optional>

#include "reconcilers/common/observed.h"
#include "reconcilers/serving/render.h"

namespace mo::serving {

bool keeps_route(const api::Model& model);

// ErrorKind::Invalid when parentRefs cannot be used.
Result<Rendered> render_retired_route(const api::Model& model);

// What there is to write, if it is not as it should be yet. None without `retired`.
std::optional<Apply> retire_route(const Observed& observed);

// Callers of what was retired get their answer until pods can give a better one.
bool answers_for_retired(const Observed& observed);

}  // namespace mo::serving
