// One side of a rollout: the pods of one revision of one version. Pure.
//
// A side is named like its version where its pods bear no revision, as those of an operator before there were any; else version@revision. No
// object of Kubernetes has such a name: it only tells sides apart.
#pragma once

#include <map>
#include <string>

#include "operator/api/types.h"

namespace mo {

std::string side_of(const std::string& version, const std::string& revision);
std::string side_of(const api::Deployment& deployment);
std::string side_of(const api::Pod& pod);
// Of the version with this record; without one it is that of pods without a label.
std::string side_of(const std::string& version, const std::optional<api::Revision>& revision);
// Whom a Service with this selector leads to; empty: every side.
std::string side_of(const std::map<std::string, std::string>& selector);

std::string version_of(const std::string& side);
std::string revision_of(const std::string& side);

// For people: the version, and where `other` is of the same one, which template: "fraud-v2 (template 5d8c)".
std::string shown(const std::string& version, const std::string& revision, const std::string& other_version, const std::string& other_revision);
std::string shown(const std::string& side, const std::string& other);

}  // namespace mo
