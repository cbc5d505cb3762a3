// One side of a rollout: the pods of one revision of one version. Pure.
//
// A side is named version@revision, or like its version if its pods have no revision label (of older operators). It is only an identifier; no
// Kubernetes object has this name.
#pragma once

#include <map>
#include <string>

#include "operator/api/types.h"

namespace mo {

std::string side_of(const std::string& version, const std::string& revision);
std::string side_of(const api::Deployment& deployment);
std::string side_of(const api::Pod& pod);
// The side of this revision; without one, of the pods without a revision label.
std::string side_of(const std::string& version, const std::optional<api::Revision>& revision);
// The side that a Service with this selector selects; empty: all sides.
std::string side_of(const std::map<std::string, std::string>& selector);

std::string version_of(const std::string& side);
std::string revision_of(const std::string& side);

// For messages: the version, and its template if `other` is of the same version: "fraud-v2 (template 5d8c)".
std::string shown(const std::string& version, const std::string& revision, const std::string& other_version, const std::string& other_revision);
std::string shown(const std::string& side, const std::string& other);

}  // namespace mo
