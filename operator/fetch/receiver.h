// What the bytes of an artifact become: a file, or a folder that they are unpacked into.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "operator/core/result.h"
#include "operator/fetch/sha256.h"

namespace mo::fetch {

// The digests of the files of an artifact, by their path; a single file has the path ".".
using Files = std::map<std::string, std::string>;

// Takes bytes in order, hashes them and bounds them. Not thread-safe. Errors: ErrorKind::Forbidden where the volume cannot be
// written, ErrorKind::Malformed for bytes that are too many or are no archive. Until keep() succeeded nothing is at the
// receiver's path (start() removes what an earlier run left there), and the destructor removes what was written.
class Receiver {
 public:
  explicit Receiver(uint64_t max_bytes) : max_bytes_(max_bytes) {}
  virtual ~Receiver() = default;
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  Result<void> start();  // from nothing, also after a failed attempt
  Result<void> write(std::string_view bytes);
  uint64_t size() const { return size_; }          // bytes that came since start()
  std::string digest() { return hash_.finish(); }  // once, after the last write
  virtual Result<void> end() { return {}; }        // after the last write: whether the bytes are whole
  virtual Result<void> keep() = 0;                 // readable by all and writable by none
  virtual Result<Files> files() = 0;               // between end() and keep()

 protected:
  virtual Result<void> begin() = 0;
  virtual Result<void> take(std::string_view bytes) = 0;
  const uint64_t max_bytes_;

 private:
  uint64_t size_ = 0;
  Sha256 hash_;
};

// "it is larger than the 5 bytes that are allowed"
tl::unexpected<Error> too_large(uint64_t max_bytes);

}  // namespace mo::fetch
