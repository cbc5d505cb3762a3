// Archives from stores: whatever they hold, nothing but files and folders comes of them, below one folder and within its
// bounds.
#include <sys/stat.h>

#include <filesystem>

#include "operator/fetch/folder.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace mo;
namespace fs = std::filesystem;

constexpr uint64_t kMostBytes = 1 << 20;

// In memory, since each input makes and removes a tree.
const fs::path& root() {
  static const fs::path made = [] {
    std::string name = "/dev/shm/fuzz-archive-XXXXXX";
    MUST(::mkdtemp(name.data()) != nullptr);
    return fs::path(name);
  }();
  return made;
}

// What there is of the folder beside which nothing may be.
uint64_t check_tree(const fs::path& folder) {
  uint64_t files = 0, bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    struct stat status {};
    MUST(::lstat(entry.path().c_str(), &status) == 0);
    MUST_SHOW(S_ISDIR(status.st_mode) || S_ISREG(status.st_mode), entry.path().string());
    if (!S_ISREG(status.st_mode)) continue;
    MUST_SHOW((status.st_mode & 07777) == 0444 && status.st_nlink == 1, entry.path().string());
    bytes += static_cast<uint64_t>(status.st_size);
    ++files;
  }
  MUST(bytes <= kMostBytes);
  return files;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::view(data, size);
  const fs::path out = root() / "model";
  fs::remove_all(out);
  {
    fetch::FolderReceiver receiver(out, kMostBytes);
    MUST(receiver.start());
    // In two pieces, as they come.
    MUST(receiver.write(bytes.substr(0, size / 2)));
    MUST(receiver.write(bytes.substr(size / 2)));
    const auto whole = receiver.end();
    if (whole)
      MUST(receiver.keep());
    else
      MUST_SHOW(whole.error().kind == ErrorKind::Malformed && fuzz::is_utf8(whole.error().message), whole.error().message);
    MUST(fs::exists(out) == whole.has_value());
    if (whole) MUST(check_tree(out) > 0);
  }
  const auto left = std::distance(fs::directory_iterator(root()), fs::directory_iterator());
  MUST(left == (fs::exists(out) ? 1 : 0));
  return 0;
}
