// Objects of S3 stores: where they lie and who may read them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "operator/core/result.h"
#include "operator/fetch/download.h"

namespace mo::fetch {

// A bucket of a store, and who asks it.
struct S3Bucket {
  std::string endpoint, name;
  std::optional<kube::S3Keys> keys;  // absent: what everybody may do
  std::string token;                 // of temporary keys; may be empty
};

// "s3://bucket/a/key" -> "bucket", "a/key".
std::pair<std::string, std::string> split_s3(std::string_view uri);

// As the mounted Secret in `folder` says; errors as those of s3_download().
Result<S3Bucket> s3_bucket(const std::string& name, const std::filesystem::path& folder);

// Signed, where there are keys. `query`: "" or "name=value&name=value", in the order of names and
// percent-encoded. `payload`: 64 hexadecimal digits of the body's SHA-256, which the store then checks;
// empty: it is not signed.
kube::HttpRequest s3_request(const S3Bucket& bucket, const std::string& method, const std::string& key,
                             const std::string& query, const std::string& payload);

// The download of s3://bucket/key with what the mounted Secret in `folder` says (the names that AWS's own tools have for these
// variables):
//   AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY   both, or neither for what everybody may read
//   AWS_SESSION_TOKEN                          of temporary keys
//   AWS_ENDPOINT_URL                           http(s)://host[:port]; without it Amazon's of the region
//   AWS_REGION                                 us-east-1 unless said otherwise
// Buckets are named in the path, which every store takes. ErrorKind::Unauthorized says which file is missing or unusable, and
// never what is in it.
Result<Download> s3_download(std::string_view uri, const std::filesystem::path& folder, uint64_t max_bytes);

// What the store's answer to that means, in words that say what to change. Pure.
enum class S3Does { Read, Write };
Error s3_refusal(const kube::HttpResponse& answer, const std::string& bucket, const std::string& key,
                 const std::string& endpoint, S3Does does = S3Does::Read);

}  // namespace mo::fetch
