// Files on their way into S3 stores.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <string>

#include "operator/core/result.h"
#include "operator/fetch/download.h"
#include "operator/fetch/s3.h"

namespace mo::fetch {

inline constexpr uint64_t kUploadPart = 8u << 20;  // bytes; one part at a time is in memory
inline constexpr uint64_t kMostParts = 10'000;     // as Amazon has it
inline constexpr uint64_t kLargestPart = 64u << 20;

// Puts the file at that key: it is there whole, or what was there before stays. A file of more than `part`
// bytes goes up in parts, each tried again by itself as ask() does; larger files have larger parts. The store
// checks the SHA-256 of each. What cannot be finished is taken back. ErrorKind::Forbidden if the file cannot
// be read; the store's refusals are those of s3_refusal().
Result<void> s3_upload(kube::PlainTransport& http, const S3Bucket& bucket, const std::string& key,
                       const std::filesystem::path& file, const Deadline& deadline, Duration first_retry,
                       std::ostream& log, uint64_t part = kUploadPart);

}  // namespace mo::fetch
