#include "reconcilers/training/image_job.h"

namespace mo::training {
namespace {

constexpr int kImageUser = 65532;

}  // namespace

ImageJob::ImageJob(const std::string& container, Json command, const serving::Settings& settings)
    : container_{{"name", container},
                 {"image", settings.fetch_image},
                 {"args", std::move(command)},
                 {"volumeMounts", Json::array()},
                 {"resources",
                  {{"requests", {{"cpu", "10m"}, {"memory", "32Mi"}}},
                   {"limits", {{"cpu", "1"}, {"memory", "128Mi"}}}}},
                 {"securityContext", serving::restricted({})}} {}

// With "=", since a value may begin with "-"; the kubelet reads "$$" as "$", and "$(NAME)" as a variable.
void ImageJob::flag(const char* name, std::string value) {
  for (size_t at = 0; (at = value.find('$', at)) != std::string::npos; at += 2) value.insert(at, "$");
  container_["args"].push_back(std::string(name) + "=" + value);
}

void ImageJob::volume(const char* name, const char* path, Json source, bool read_only) {
  Json mount = {{"name", name}, {"mountPath", path}};
  if (read_only) mount["readOnly"] = true;
  container_["volumeMounts"].push_back(std::move(mount));
  source["name"] = name;
  volumes_.push_back(std::move(source));
}

void ImageJob::secret(const char* name, const char* path, const std::string& secret) {
  if (!secret.empty()) volume(name, path, {{"secret", {{"secretName", secret}, {"optional", true}}}}, true);
}

RawJson ImageJob::job_template(int again) const {
  // The group lets our user write into a volume that is made for this claim.
  const Json pod = {
      {"restartPolicy", "Never"},
      {"automountServiceAccountToken", false},
      {"securityContext",
       {{"runAsNonRoot", true}, {"fsGroup", kImageUser}, {"fsGroupChangePolicy", "OnRootMismatch"}}},
      {"containers", Json::array({container_})},
      {"volumes", volumes_}};
  return Json{{"spec", {{"backoffLimit", again}, {"template", {{"spec", pod}}}}}}.dump();
}

}  // namespace mo::training
