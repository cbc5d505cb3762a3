// What triggers of Model.spec.retraining watch outside of the cluster.
#pragma once

#include <string>

#include "operator/core/time.h"

namespace mo::api {

// dataset.http: data behind an address; another ETag, or else another body, is other data.
struct HttpDataset {
  std::string url;
  Duration every = std::chrono::minutes(5);
};

// dataset.oci: data behind a tag of a registry; another digest is other data.
struct OciDataset {
  std::string reference;  // registry/repository:tag
  Duration every = std::chrono::minutes(5);
};

// registry.mlflow: a registered model; another version behind its alias is imported.
struct MlflowRegistry {
  std::string url, model, alias;
  Duration every = std::chrono::minutes(1);
  // Where imported versions are kept: a PersistentVolumeClaim, and a folder in it ("": its root), or
  // s3://bucket/prefix with its Secret.
  std::string claim, folder, store_uri, store_secret;
  std::string format = "mlflow", format_version;  // of the artifact; version: may be empty
  std::string size;                               // a bound for the version's files; empty: as for artifacts
  std::string secret;                             // for our own Jobs alone; empty: none
  std::string serving_alias;  // mirror: names the version that serves; empty: nothing is written back
};

}  // namespace mo::api
