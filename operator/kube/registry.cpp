#include "operator/kube/registry.h"

#include "operator/core/percent.h"

namespace mo::kube {

std::string repository_url(const std::string& registry, const std::string& repository) {
  return "https://" + (registry == "docker.io" ? "registry-1.docker.io" : registry) + "/v2/" + repository;
}

std::string token_url(const std::map<std::string, std::string>& challenge, const std::string& repository) {
  const auto realm = challenge.find("realm"), service = challenge.find("service");
  if (realm == challenge.end() || !realm->second.starts_with("https://")) return "";
  std::string url = realm->second + (realm->second.find('?') == std::string::npos ? "?" : "&") +
                    "scope=" + percent_encoded("repository:" + repository + ":pull");
  if (service != challenge.end()) url += "&service=" + percent_encoded(service->second);
  return url;
}

}  // namespace mo::kube
