#include "operator/fetch/unpack.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "operator/core/text.h"
#include "operator/fetch/folder.h"

namespace mo::fetch {
namespace {

constexpr size_t kPiece = 1u << 20;
constexpr uint64_t kLargestWindow = 64u << 20;  // of zstd, which keeps it in memory

tl::unexpected<Error> broken(const std::string& why) { return fail(ErrorKind::Malformed, why); }

std::string shown_path(const char* path) { return '"' + whole_characters(path ? path : "", 200) + '"'; }

const char* kind_of(archive_entry* entry) {
  if (archive_entry_hardlink(entry)) return "a hard link";
  switch (archive_entry_filetype(entry)) {
    case AE_IFLNK:
      return "a symbolic link";
    case AE_IFCHR:
    case AE_IFBLK:
      return "a device";
    case AE_IFIFO:
      return "a FIFO";
    case AE_IFSOCK:
      return "a socket";
    default:
      return "of an unknown kind";
  }
}

// What zstd will keep in memory for the frame that begins here (RFC 8878, 3.1.1.1); 0 if it cannot be told.
uint64_t window_of(std::string_view bytes) {
  const auto byte = [&](size_t i) { return static_cast<uint64_t>(static_cast<unsigned char>(bytes[i])); };
  if (bytes.size() < 18 || !bytes.starts_with("\x28\xb5\x2f\xfd")) return 0;
  const bool single_segment = byte(4) & 0x20;
  if (!single_segment) return ((uint64_t{1} << (10 + (byte(5) >> 3))) / 8) * (8 + (byte(5) & 7));
  constexpr int id_sizes[] = {0, 1, 2, 4}, content_sizes[] = {1, 2, 4, 8};
  const size_t at = 5 + id_sizes[byte(4) & 3];
  const int size = content_sizes[byte(4) >> 6];
  uint64_t content = size == 2 ? 256 : 0;
  for (int i = 0; i < size; ++i) content += byte(at + i) << (8 * i);
  return content;
}

}  // namespace

// libarchive's side: one archive from its first byte to its last.
class Unpacker::Reading {
 public:
  explicit Reading(Unpacker& unpacker)
      : unpacker_(unpacker), archive_(archive_read_new(), &archive_read_free), buffer_(256u << 10) {
    if (!archive_) throw std::bad_alloc();
    archive_read_support_format_tar(archive_.get());
    archive_read_support_filter_gzip(archive_.get());
    archive_read_support_filter_zstd(archive_.get());
  }

  Result<void> run() {
    if (archive_read_open(archive_.get(), this, nullptr, &read, nullptr) != ARCHIVE_OK) return unreadable();
    for (;;) {
      archive_entry* entry = nullptr;
      const int got = archive_read_next_header(archive_.get(), &entry);
      if (got == ARCHIVE_EOF) break;
      if (got != ARCHIVE_OK && got != ARCHIVE_WARN) return unreadable();
      if (auto taken = take(entry); !taken) return taken;
    }
    return unpacker_.folder_.file_count() == 0 ? broken("it is an archive without files") : Result<void>{};
  }

 private:
  static la_ssize_t read(archive* a, void* self, const void** bytes) {
    Reading& reading = *static_cast<Reading*>(self);
    const auto next = reading.unpacker_.next();
    if (!next) {
      archive_set_error(a, 0, "abandoned");
      return -1;
    }
    if (!std::exchange(reading.began_, true) && window_of(*next) > kLargestWindow) {
      archive_set_error(a, 0, "it is packed by zstd with a window above 64 MiB; pack it by zstd -19 or less");
      return -1;
    }
    *bytes = next->data();
    return static_cast<la_ssize_t>(next->size());
  }

  Result<void> take(archive_entry* entry) {
    const char* path = archive_entry_pathname(entry);
    if (!path) return broken("an entry has no path");
    const auto type = archive_entry_filetype(entry);
    if (type == AE_IFDIR && !archive_entry_hardlink(entry)) return unpacker_.folder_.add_folder(path);
    if (type != AE_IFREG || archive_entry_hardlink(entry))
      return broken("its entry " + shown_path(path) + " is " + kind_of(entry) +
                    ", and artifacts hold files and folders alone; pack it with model-operator pack, or with tar --dereference "
                    "--hard-dereference");
    if (auto opened = unpacker_.folder_.open_file(path); !opened) return opened;
    for (;;) {
      const la_ssize_t got = archive_read_data(archive_.get(), buffer_.data(), buffer_.size());
      if (got == 0) return unpacker_.folder_.close_file();
      if (got < 0) return unreadable();
      if (auto written = unpacker_.folder_.write({buffer_.data(), static_cast<size_t>(got)}); !written) return written;
    }
  }

  Result<void> unreadable() {
    const char* why = archive_error_string(archive_.get());
    return broken("it is no whole tar, tar.gz or tar.zst archive: " + whole_characters(why ? why : "unknown error", 300));
  }

  Unpacker& unpacker_;
  const std::unique_ptr<archive, int (*)(archive*)> archive_;
  std::vector<char> buffer_;
  bool began_ = false;
};

void Unpacker::start() {
  filling_.clear();
  filling_.reserve(kPiece);
  reading_.reserve(kPiece);
  piece_ = Piece::None;
  last_ = abandoned_ = done_ = false;
  outcome_ = {};
  thread_ = std::jthread([this] { run(); });
}

void Unpacker::run() {
  Result<void> outcome;
  try {
    outcome = Reading(*this).run();
  } catch (const std::exception& e) {
    outcome = fail(ErrorKind::Forbidden, e.what());
  }
  const std::lock_guard lock(mutex_);
  outcome_ = std::move(outcome);
  done_ = true;
  changed_.notify_all();
}

// The piece that was handed out before is used up once the next is asked for.
std::optional<std::string_view> Unpacker::next() {
  std::unique_lock lock(mutex_);
  if (piece_ == Piece::Reading) piece_ = Piece::None;
  changed_.notify_all();
  changed_.wait(lock, [&] { return piece_ == Piece::Ready || last_ || abandoned_; });
  if (abandoned_) return std::nullopt;
  if (piece_ != Piece::Ready) return std::string_view();
  piece_ = Piece::Reading;
  return reading_;
}

Result<void> Unpacker::hand_over() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return done_ || piece_ == Piece::None; });
  if (done_) {
    filling_.clear();
    return outcome_ || outcome_.error().kind == ErrorKind::Malformed ? Result<void>{} : outcome_;
  }
  std::swap(filling_, reading_);
  filling_.clear();
  piece_ = Piece::Ready;
  changed_.notify_all();
  return {};
}

Result<void> Unpacker::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t take = std::min(bytes.size(), kPiece - filling_.size());
    filling_.append(bytes.substr(0, take));
    bytes.remove_prefix(take);
    if (filling_.size() < kPiece) continue;
    if (auto handed = hand_over(); !handed) return handed;
  }
  return {};
}

Result<void> Unpacker::finish() {
  if (!thread_.joinable()) return outcome_;
  if (!filling_.empty())
    if (auto handed = hand_over(); !handed) return handed;
  {
    const std::lock_guard lock(mutex_);
    last_ = true;
    changed_.notify_all();
  }
  thread_.join();
  return outcome_;
}

void Unpacker::abandon() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

}  // namespace mo::fetch
