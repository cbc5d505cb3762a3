// Objects of S3 stores: where they lie, and who may read or write them.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "operator/core/result.h"
#include "operator/fetch/download.h"

namespace mo::fetch {

// What is said of a store, by the names that AWS's own tools have for these variables; nothing for what is not said:
//   AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY   both, or neither for what everybody may read
//   AWS_SESSION_TOKEN                          of temporary keys
//   AWS_ENDPOINT_URL                           http(s)://host[:port]; without it Amazon's of the region
//   AWS_REGION                                 us-east-1 unless said otherwise
using S3Settings = std::function<std::optional<std::string>(const char* key)>;
// Those that are files in a folder, as a mounted Secret has them; read when asked for.
S3Settings s3_settings_in(std::filesystem::path folder);

// For sentences: what names the object, where the keys come from, and what the store is asked for.
struct S3Words {
  std::string uri = "artifact.uri";
  std::string place = " in the Secret of artifact.credentials";
  std::string refusal = "the store refuses to read ";
  std::string denied = "the store does not let these keys read ";
  std::string way_out = "allow s3:GetObject, or name another Secret in artifact.credentials";
};

// Of who writes an artifact by the same Secret.
inline S3Words s3_words_of_writing() {
  return {.refusal = "the store refuses to write ",
          .denied = "the store does not let these keys write ",
          .way_out = "allow s3:PutObject, or name another Secret in artifact.credentials"};
}

// A bucket of a store, and who asks it. Buckets are named in the path, which every store takes.
struct S3Bucket {
  std::string endpoint, name;
  std::optional<kube::S3Keys> keys;  // absent: what everybody may do
  std::string token;                 // of temporary keys; may be empty
};

// "s3://bucket/a/key" -> "bucket", "a/key".
std::pair<std::string, std::string> split_s3(std::string_view uri);

// ErrorKind::Unauthorized says which setting is missing or unusable, and never what it is.
Result<S3Bucket> s3_bucket(const std::string& name, const S3Settings& settings, const S3Words& words);
// As the mounted Secret in `folder` says.
Result<S3Bucket> s3_bucket(const std::string& name, const std::filesystem::path& folder);

// Signed, where there are keys. `query`: "" or "name=value&name=value", in the order of names and percent-encoded. `payload`: 64 hexadecimal
// digits of the body's SHA-256, which the store then checks; empty: it is not signed.
kube::HttpRequest s3_request(const S3Bucket& bucket, const std::string& method, const std::string& key, const std::string& query,
                             const std::string& payload);

// The download of s3://bucket/key with what the mounted Secret in `folder` says. Errors as above.
Result<Download> s3_download(std::string_view uri, const std::filesystem::path& folder, uint64_t max_bytes);

// What the store's answer means, in words that say what to change. Pure.
Error s3_refusal(const kube::HttpResponse& answer, const std::string& bucket, const std::string& key, const std::string& endpoint,
                 const S3Words& words = {});

}  // namespace mo::fetch
