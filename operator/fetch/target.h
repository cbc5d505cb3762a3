// The file that an artifact becomes: absent, or complete and verified, and nothing in between.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "operator/core/result.h"
#include "operator/fetch/sha256.h"

namespace mo::fetch {

// Writes beside `path` and moves the file there once its digest is right. Not thread-safe. Errors name the
// file; until keep() succeeded nothing is at `path` that was not there before, and the destructor removes
// what was written.
class Target {
 public:
  Target(std::filesystem::path path, uint64_t max_bytes);
  ~Target();
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  Result<void> start();  // again after a failed attempt: from nothing
  Result<void> write(std::string_view bytes);
  uint64_t size() const { return size_; }
  // Once, after the last write.
  std::string digest() { return hash_.finish(); }
  Result<void> keep();  // flushed to the disk, readable by all and writable by none

 private:
  void close();
  tl::unexpected<Error> failed(const char* doing) const;

  const std::filesystem::path path_;
  const std::filesystem::path part_;
  const uint64_t max_bytes_;
  uint64_t size_ = 0;
  int file_ = -1;
  Sha256 hash_;
};

}  // namespace mo::fetch
