// Objects of S3 stores: where they lie and who may read them.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "operator/core/result.h"
#include "operator/fetch/download.h"

namespace mo::fetch {

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
Error s3_refusal(const kube::HttpResponse& answer, const std::string& bucket, const std::string& key,
                 const std::string& endpoint);

}  // namespace mo::fetch
