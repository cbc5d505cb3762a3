// The ConfigMaps that a PodTemplateSpec names: in volumes (projected ones too) and in the environment of its
// containers. Pure. What is not of the type that Kubernetes wants there is passed over.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "operator/json/json.h"

namespace mo {

// By name, with whether every mention of it is `optional`: pods start without it.
std::map<std::string, bool> configs_of(const Json& pod_template);

// Their names alone, sorted, of a template as text; none if it cannot be read or is larger than a template may be.
std::vector<std::string> configmaps_of(const std::string& pod_template);

// Names others in their place; those that `names` lacks stay.
void rename_configs(Json& pod_template, const std::map<std::string, std::string>& names);

}  // namespace mo
