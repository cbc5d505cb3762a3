// tar archives, plain or packed by gzip or zstd, unpacked while their bytes come in.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "operator/core/result.h"

namespace mo::fetch {

class Folder;

// libarchive asks for bytes, and our sources hand them over: it runs on a thread of its own, at most two buffers of 1 MiB
// behind. Takes regular files and folders alone; owners, times, modes and attributes are left out. An instance is used by one
// thread.
class Unpacker {
 public:
  explicit Unpacker(Folder& folder) : folder_(folder) {}
  ~Unpacker() { abandon(); }
  Unpacker(const Unpacker&) = delete;
  Unpacker& operator=(const Unpacker&) = delete;

  void start();
  // Fails only where the volume cannot be written. An archive that is wrong takes all the same, and finish() says so.
  Result<void> write(std::string_view bytes);
  Result<void> finish();  // no more bytes come: whether all is unpacked
  void abandon();         // whatever it is at; start() may follow

 private:
  class Reading;
  Result<void> hand_over();
  void run();
  std::optional<std::string_view> next();  // the thread's: nothing if it is to end, empty at the end of the bytes

  Folder& folder_;
  std::string filling_, reading_;
  std::mutex mutex_;
  std::condition_variable changed_;
  // What reading_ holds: nothing that is still wanted, a piece that the thread has yet to take, or the one that libarchive reads
  // right now. Only in the first state is it the writer's.
  enum class Piece { None, Ready, Reading };
  Piece piece_ = Piece::None;
  bool last_ = false, abandoned_ = false, done_ = false;
  Result<void> outcome_;
  std::jthread thread_;
};

}  // namespace mo::fetch
