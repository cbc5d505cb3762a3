// Archives: what is unpacked is what was packed, and no archive reaches outside its folder.
#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <memory>

#include "operator/fetch/folder.h"
#include "operator/fetch/pack.h"
#include "tests/unit/fetch_bench.h"

namespace mo {
namespace {

struct Entry {
  std::string path, content;
  unsigned int type = AE_IFREG;
  std::string link = {};  // symbolic
  std::string hard_link = {};
  int mode = 0644;
};

using Filter = int (*)(archive*);
constexpr Filter kGzip = archive_write_add_filter_gzip, kZstd = archive_write_add_filter_zstd;

// By libarchive's writer of pax archives, which any name and link goes into.
std::string archive_of(const std::vector<Entry>& entries, Filter filter = nullptr) {
  std::string out(16u << 20, '\0');
  size_t used = 0;
  archive* a = archive_write_new();
  archive_write_set_format_pax_restricted(a);
  if (filter) REQUIRE(filter(a) == ARCHIVE_OK);
  archive_write_set_bytes_in_last_block(a, 1);
  REQUIRE(archive_write_open_memory(a, out.data(), out.size(), &used) == ARCHIVE_OK);
  for (const Entry& e : entries) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, e.path.c_str());
    archive_entry_set_filetype(entry, e.type);
    archive_entry_set_perm(entry, static_cast<__LA_MODE_T>(e.mode));
    archive_entry_set_uid(entry, 0);
    archive_entry_set_size(entry, static_cast<la_int64_t>(e.type == AE_IFREG && e.hard_link.empty() ? e.content.size() : 0));
    if (!e.link.empty()) archive_entry_set_symlink(entry, e.link.c_str());
    if (!e.hard_link.empty()) archive_entry_set_hardlink(entry, e.hard_link.c_str());
    if (e.type == AE_IFCHR) archive_entry_set_rdev(entry, 0x103);
    REQUIRE(archive_write_header(a, entry) >= ARCHIVE_WARN);
    if (e.hard_link.empty()) archive_write_data(a, e.content.data(), e.content.size());
    archive_entry_free(entry);
  }
  REQUIRE(archive_write_close(a) == ARCHIVE_OK);
  archive_write_free(a);
  out.resize(used);
  return out;
}

// All files below, as "path=content".
std::string tree(const fs::path& folder) {
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    files.push_back(entry.path().lexically_relative(folder).string() +
                    (entry.is_regular_file() ? "=" + read(entry.path()) : "/"));
  std::sort(files.begin(), files.end());
  std::string out;
  for (const std::string& file : files) out += file + " ";
  return out;
}

struct Unpacking : Fixture {
  Unpacking() {
    options.unpack = true;
    options.output = dir.path / "artifact" / "model";
    http.piece = 1000;
  }
  int run_with(const std::string& archive) {
    options.digest = digest_of(archive);
    http.attempts = {{200, archive, {}, false, {}}};
    return run();
  }
};

TEST_CASE("an archive becomes a folder, however it is packed", "[fetch][unpack]") {
  const std::vector<Entry> entries = {{"./", "", AE_IFDIR, "", "", 0755},
                                      {"./MLmodel", "flavor"},
                                      {"data/größe.bin", std::string(3'000'000, 'x'), AE_IFREG, "", "", 0600},
                                      {"run.sh", "exit", AE_IFREG, "", "", 06755},
                                      {"empty", "", AE_IFDIR, "", "", 0777}};
  for (const Filter filter : {Filter(nullptr), kGzip, kZstd}) {
    Unpacking f;
    const std::string archive = archive_of(entries, filter);
    CHECK(f.run_with(archive) == 0);
    CHECK(f.said() == "fetched http://store/model.json, " + std::to_string(archive.size()) + " bytes, " + digest_of(archive));
    CHECK(tree(f.options.output) ==
          "MLmodel=flavor data/ data/größe.bin=" + std::string(3'000'000, 'x') + " empty/ run.sh=exit ");
    for (const char* file : {"MLmodel", "data/größe.bin", "run.sh"}) {
      struct stat status {};
      REQUIRE(::stat((f.options.output / file).c_str(), &status) == 0);
      CHECK((status.st_mode & 07777) == 0444);
    }
    CHECK(f.run() == 0);  // the container restarts
    CHECK(std::distance(fs::directory_iterator(f.dir.path / "artifact"), {}) == 1);
  }
}

TEST_CASE("no archive reaches outside its folder", "[fetch][unpack]") {
  const std::string deep = [] {
    std::string path;
    for (int i = 0; i < 40; ++i) path += "a/";
    return path + "x";
  }();
  struct Row {
    const char* name;
    std::vector<Entry> entries;
    const char* words;
  };
  const std::vector<Row> rows = {
      {"up", {{"../evil", "x"}}, "points outside of the folder"},
      {"up inside", {{"a/../../evil", "x"}}, "points outside of the folder"},
      {"up after files", {{"fine", "x"}, {"a/..", "", AE_IFDIR}}, "points outside of the folder"},
      {"absolute", {{"/tmp/evil", "x"}}, "is absolute"},
      {"symbolic link", {{"link", "", AE_IFLNK, "/etc"}}, "\"link\" is a symbolic link"},
      {"write through a symbolic link", {{"link", "", AE_IFLNK, ".."}, {"link/evil", "x"}}, "is a symbolic link"},
      {"hard link", {{"a", "x"}, {"b", "", AE_IFREG, "", "a"}}, "\"b\" is a hard link"},
      {"hard link outside", {{"b", "", AE_IFREG, "", "/etc/passwd"}}, "is a hard link"},
      {"hard link that is a folder", {{"b", "", AE_IFDIR, "", "/etc"}}, "is a hard link"},
      {"device", {{"null", "", AE_IFCHR}}, "is a device"},
      {"FIFO", {{"pipe", "", AE_IFIFO}}, "is a FIFO"},
      {"twice", {{"a", "x"}, {"a", "y"}}, "contains \"a\" twice"},
      {"twice in other words", {{"a", "x"}, {"./a", "y"}}, "contains \"a\" twice"},
      {"a file that is a folder", {{"a", "x"}, {"a/b", "y"}}, "goes through a file"},
      {"a folder that is a file", {{"a/b", "x"}, {"a", "y"}}, "contains \"a\" twice"},
      {"line break", {{"a\nb", "x"}}, "control characters"},
      {"no UTF-8", {{"a\xff", "x"}}, "not valid UTF-8"},
      {"long", {{std::string(2000, 'a'), "x"}}, "longer than 1024 bytes"},
      {"long name", {{std::string(300, 'a'), "x"}}, "longer than 255 bytes"},
      {"deep", {{deep, "x"}}, "more than 32 folders deep"},
      {"nothing", {{"a", "", AE_IFDIR}}, "an archive without files"},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    Unpacking f;
    CHECK(f.run_with(archive_of(row.entries)) == kFetchNoSource);
    CHECK_THAT(f.said(), Contains(row.words));
    CHECK(f.nothing_left());
    CHECK_FALSE(fs::exists(f.dir.path / "evil"));
    CHECK_FALSE(fs::exists(f.dir.path / "artifact" / "evil"));
  }
}

TEST_CASE("bombs are bounded in bytes, entries and memory", "[fetch][unpack]") {
  Unpacking f;
  f.options.max_bytes = 1 << 20;
  const std::string bomb = archive_of({{"zeros", std::string(8 << 20, '\0')}}, kGzip);
  REQUIRE(bomb.size() < f.options.max_bytes);
  CHECK(f.run_with(bomb) == kFetchNoSource);
  CHECK_THAT(f.said(), Contains("unpacked it takes more than the 1048576 bytes") && Contains("artifact.size"));
  CHECK(f.nothing_left());
  // Small files fill whole blocks.
  std::vector<Entry> many;
  for (int i = 0; i < 300; ++i) many.push_back({"f" + std::to_string(i), "x"});
  CHECK(f.run_with(archive_of(many, kZstd)) == kFetchNoSource);
  many.resize(200);
  CHECK(f.run_with(archive_of(many, kZstd)) == 0);
  // A frame that wants 128 MiB of memory (RFC 8878): the window's exponent is 27 - 10.
  std::string frame =
      std::string("\x28\xb5\x2f\xfd\x00", 5) + char(17 << 3) + std::string("\x01\x00\x00", 3) + std::string(20, '\0');
  CHECK(f.run_with(frame) == kFetchNoSource);
  CHECK_THAT(f.said(), Contains("window above 64 MiB"));
}

TEST_CASE("what is unpacked is what came, whichever thread is faster", "[fetch][unpack]") {
  TempDir dir;
  std::string content;
  for (unsigned i = 0, x = 1; i < 2'500'000; ++i, x = x * 1664525 + 1013904223) content += static_cast<char>(x >> 24);
  const std::string archive = archive_of({{"a", content}});
  for (int i = 0; i < 50; ++i) {
    fetch::FolderReceiver receiver(dir.path / "model", 1 << 30);
    REQUIRE(receiver.start());
    REQUIRE(receiver.write(archive));  // three pieces at once, maybe before the other thread asks for the first
    REQUIRE(receiver.end());
    REQUIRE(receiver.keep());
    REQUIRE(read(dir.path / "model" / "a") == content);
  }
}

TEST_CASE("what is cut, no archive, or another one is told apart", "[fetch][unpack]") {
  Unpacking f;
  const std::string whole = archive_of({{"a", std::string(50'000, 'x')}, {"b", "y"}});
  for (const Filter filter : {Filter(nullptr), kGzip, kZstd}) {
    std::string noise;
    for (unsigned i = 0, x = 1; i < 50'000; ++i, x = x * 1664525 + 1013904223) noise += static_cast<char>(x >> 24);
    std::string cut = archive_of({{"a", noise}, {"b", "y"}}, filter);
    cut.resize(cut.size() / 2);
    CHECK(f.run_with(cut) == kFetchNoSource);
    CHECK_THAT(f.said(), Contains("no whole tar, tar.gz or tar.zst archive"));
    CHECK(f.nothing_left());
  }
  for (const std::string& text : {std::string("<html>not found</html>"), std::string(), std::string("PK\x03\x04zip")}) {
    CHECK(f.run_with(text) == kFetchNoSource);
    CHECK_THAT(f.said(), Contains("archive"));
  }
  f.options.digest = digest_of(whole);
  f.http.attempts = {{200, "<html>log in</html>", {}, false, {}}};
  CHECK(f.run() == kFetchMismatch);
  CHECK(f.nothing_left());
}

TEST_CASE("a volume that cannot be written is told from an archive that is wrong", "[fetch][unpack]") {
  Unpacking f;
  std::ofstream(f.dir.path / "file") << "x";
  f.options.output = f.dir.path / "file" / "model";
  CHECK(f.run_with(archive_of({{"a", "x"}})) == kFetchOutput);
  CHECK_THAT(f.said(), Contains("cannot create"));
}

TEST_CASE("what is packed twice has the same bytes, and is unpacked as it was", "[fetch][pack]") {
  TempDir dir;
  const auto make = [&](const char* name, bool backwards) {
    const fs::path folder = dir.path / name;
    fs::create_directories(folder / "data" / "empty");
    std::vector<std::pair<std::string, std::string>> files = {
        {"MLmodel", "flavor"}, {"data/größe", "y"}, {"data-2", "z"}, {std::string(200, 'l'), "long"}};
    if (backwards) std::reverse(files.begin(), files.end());
    for (const auto& [path, content] : files) write(folder / path, content);
    return folder;
  };
  const fs::path one = make("one", false), two = make("two", true);
  fs::permissions(two / "MLmodel", fs::perms::owner_read);
  const auto first = pack(one, dir.path / "one.tar"), second = pack(two, dir.path / "two.tar");
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->digest == second->digest);
  CHECK(first->digest == digest_of(read(dir.path / "one.tar")));
  // Nothing of this machine is in it: the same bytes everywhere.
  CHECK(first->digest == "sha256:ad63e6d93629d244844688f882324f1a65388056ebdcf2944efc7e2942b31516");
  CHECK(first->files == 4);
  CHECK(first->on_disk == 6 * 4096);
  Unpacking f;
  CHECK(f.run_with(read(dir.path / "one.tar")) == 0);
  CHECK(tree(f.options.output) == tree(one));

  fs::create_symlink("MLmodel", one / "link");
  CHECK_THAT(pack(one, dir.path / "one.tar").error().message, Contains("is a symbolic link") && Contains("cp -rL"));
  fs::remove(one / "link");
  CHECK_THAT(pack(one, one / "MLmodel").error().message, Contains("contain itself"));
  fs::create_directory(dir.path / "empty");
  CHECK_THAT(pack(dir.path / "empty", dir.path / "x.tar").error().message, Contains("has no files"));
  CHECK_THAT(pack(dir.path / "none", dir.path / "x.tar").error().message, Contains("is not a folder"));
  CHECK_FALSE(fs::exists(dir.path / "x.tar.part"));
}

}  // namespace
}  // namespace mo
