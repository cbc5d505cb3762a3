// What is the same for everybody who asks an OCI registry. Source: the OCI distribution specification 1.1 and Docker's token authentication.
#pragma once

#include <map>
#include <string>

namespace mo::kube {

inline constexpr const char* kManifestTypes =
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr size_t kLongestToken = 64u << 10;  // bytes, of an answer that holds one

// "https://registry.example/v2/team/fraud". Pure.
std::string repository_url(const std::string& registry, const std::string& repository);

// Where a token to pull is asked for, by the parameters of the registry's challenge; empty if they name no https address. Pure.
std::string token_url(const std::map<std::string, std::string>& challenge, const std::string& repository);

}  // namespace mo::kube
