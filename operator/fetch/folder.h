// The folder that an artifact becomes: absent, or complete and verified, and nothing in between.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <string_view>

#include "operator/core/result.h"
#include "operator/fetch/receiver.h"
#include "operator/fetch/unpack.h"

namespace mo::fetch {

inline constexpr uint64_t kMostEntries = 100'000;  // files and folders of one artifact

// Why a path cannot be one of an artifact, "" if it can. It must be relative and plain ("." segments are left out), at most
// 1,024 bytes of UTF-8 without control characters, and at most 32 folders deep. Pure.
std::string path_problem(std::string_view path);

// Files and folders below a hidden folder beside `path`, which moves to `path` in the end. It holds nothing but regular files
// and folders, all made here, so no name can lead out of it. Not thread-safe. Errors as a Receiver's; each names the entry.
class Folder {
 public:
  // Every file counts with whole blocks of 4 KiB against `max_bytes`, as it does on the disk, and every folder with one.
  Folder(std::filesystem::path path, uint64_t max_bytes);
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  Result<void> start();  // from nothing; what an earlier container left is removed
  Result<void> add_folder(std::string_view path);
  Result<void> open_file(
      std::string_view path);  // and its folders; a file that is there already must not come again, unless layered
  Result<void> write(std::string_view bytes);  // to the open file
  Result<void> empty_file();                   // the open one: what was written of it is void
  Result<void> close_file();
  void layered() { layered_ = true; }  // archives are layers of an image: later files take the place of earlier ones
  Result<void> keep();
  Result<Files> files() const;
  uint64_t file_count() const { return file_count_; }

 private:
  Result<void> count_entry();
  Result<void> count_bytes(uint64_t bytes);
  void close_quietly();
  tl::unexpected<Error> failed(const char* doing, const std::string& what) const;

  const std::filesystem::path path_, part_;
  const uint64_t max_bytes_;
  uint64_t entries_ = 0, blocks_ = 0, file_count_ = 0, file_size_ = 0;
  bool started_ = false, layered_ = false;
  int file_ = -1;
  std::string file_path_;
};

// Whether there is no file below `folder`, nor a link. ErrorKind::NotFound if it cannot be read.
Result<bool> is_without_files(const std::filesystem::path& folder);

// The digests of all files below `folder`, which others made. ErrorKind::Malformed where it holds anything but regular files and folders, as an artifact that
// is unpacked never does, or too many of them; ErrorKind::Cancelled once `stop` asks.
Result<Files> files_below(const std::filesystem::path& folder, std::stop_token stop);

// An archive that is unpacked into a folder while it comes. What is wrong with the archive is told by end(), so that the caller
// can first see whether it is the right one.
class FolderReceiver : public Receiver {
 public:
  FolderReceiver(std::filesystem::path path, uint64_t max_bytes)
      : Receiver(max_bytes), folder_(std::move(path), max_bytes), unpacker_(folder_) {}
  Result<void> end() override { return unpacker_.finish(); }
  Result<void> keep() override { return folder_.keep(); }
  Result<Files> files() override { return folder_.files(); }

 private:
  Result<void> begin() override;
  Result<void> take(std::string_view bytes) override { return unpacker_.write(bytes); }

  Folder folder_;
  Unpacker unpacker_;
};

}  // namespace mo::fetch
