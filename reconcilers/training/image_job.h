// JobTemplateSpecs of our own image. Pure.
#pragma once

#include <string>

#include "operator/json/json.h"
#include "reconcilers/serving/render.h"

namespace mo::training {

// One container, restricted, without a token of the cluster.
class ImageJob {
 public:
  ImageJob(const std::string& container, Json command, const serving::Settings& settings);

  void flag(const char* name, std::string value);  // passes `value` as it is, whatever it is
  // `source` is what a volume has beside its name.
  void volume(const char* name, const char* path, Json source, bool read_only = false);
  // Nothing for an empty name. Without the Secret the container starts, and says what is missing.
  void secret(const char* name, const char* path, const std::string& secret);

  // `again`: so many more pods try where one fails.
  RawJson job_template(int again) const;

 private:
  Json container_, volumes_ = Json::array();
};

}  // namespace mo::training
