// The file that an artifact becomes: absent, or complete and verified, and nothing in between.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "operator/fetch/receiver.h"

namespace mo::fetch {

// Writes beside `path` and moves the file there once its digest is right.
class Target : public Receiver {
 public:
  Target(std::filesystem::path path, uint64_t max_bytes);
  ~Target() override;

  Result<void> keep() override;  // flushed to the disk, too
  Result<Files> files() override;

 private:
  Result<void> begin() override;
  Result<void> take(std::string_view bytes) override;
  void close();
  tl::unexpected<Error> failed(const char* doing) const;

  const std::filesystem::path path_;
  const std::filesystem::path part_;
  int file_ = -1;
};

}  // namespace mo::fetch
