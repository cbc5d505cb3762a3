#include "operator/fetch/import_store.h"

#include <algorithm>
#include <random>
#include <tuple>

#include "operator/core/text.h"
#include "operator/fetch/s3_upload.h"

namespace mo::fetch {
namespace {

namespace fs = std::filesystem;

constexpr const char* kImporting = ".importing";  // ends the name of what is not whole yet

std::string name_of(const std::string& begin, const Packed& packed) {
  return begin + "-" + packed.digest.substr(std::string_view("sha256:").size(), 12) + ".tar";
}

std::string random_word() {
  std::random_device random;
  return std::to_string(random()) + std::to_string(random());
}

class Claim final : public ImportStore {
 public:
  explicit Claim(const ImportOptions& options) : options_(options) {
    const size_t slash = options.uri.find('/', std::string_view("pvc://").size());
    claim_ = options.uri.substr(0, slash);
    if (slash != std::string::npos) below_ = options.uri.substr(slash + 1);
  }

  Result<void> prepare() override {
    const fs::path folder = options_.store / below_;
    if (below_.is_absolute() || std::find(below_.begin(), below_.end(), "..") != below_.end())
      return fail(ErrorKind::Invalid,
                  "--uri must name a folder below its claim, it is " + redact_uri(options_.uri));
    std::error_code error;
    fs::create_directories(folder, error);
    if (error)
      return fail(ErrorKind::Forbidden,
                  "cannot create " + folder.string() + " in the claim: " + error.message());
    return {};
  }

  // The name holds the digest: what is there already under it is the same.
  Result<Stored> put(const fs::path& files, const std::string& begin) override {
    const fs::path folder = options_.store / below_;
    std::error_code error;
    remove_left_over(folder);
    // Of its own: another Model, or a pod that is on its way out, may import the same into this folder.
    const fs::path part = folder / ("." + begin + "-" + random_word() + kImporting);
    const auto packed = pack(files, part);
    fs::remove_all(files, error);
    if (!packed) {
      fs::remove(part, error);
      return fail(ErrorKind::Forbidden, packed.error().message);
    }
    const std::string name = name_of(begin, *packed);
    const Stored stored{*packed, claim_ + "/" + (below_ / name).string()};
    if (fs::exists(folder / name, error)) return fs::remove(part, error), stored;
    fs::rename(part, folder / name, error);
    if (error) return fail(ErrorKind::Forbidden, "cannot put " + name + " in place: " + error.message());
    return stored;
  }

 private:
  // Of imports that were killed; a day is longer than any takes.
  static void remove_left_over(const fs::path& folder) {
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      const std::string name = it->path().filename();
      const auto age = fs::file_time_type::clock::now() - it->last_write_time(error);
      if (!error && name.starts_with('.') && name.ends_with(kImporting) && age > std::chrono::hours(24))
        fs::remove(it->path(), error);
    }
  }

  const ImportOptions& options_;
  std::string claim_;  // pvc://claim
  fs::path below_;
};

class Bucket final : public ImportStore {
 public:
  Bucket(const ImportOptions& options, kube::PlainTransport& http, const Deadline& deadline,
         std::ostream& log)
      : options_(options), http_(http), deadline_(deadline), log_(log) {
    std::tie(name_, prefix_) = split_s3(options.uri);
    while (prefix_.ends_with('/')) prefix_.pop_back();
  }

  Result<void> prepare() override {
    if (name_.empty())
      return fail(ErrorKind::Invalid, "--uri must name a bucket, it is " + redact_uri(options_.uri));
    const auto bucket = s3_bucket(name_, options_.store_credentials_dir);
    if (!bucket) return fail(in_words(bucket.error()));
    return has_keys(*bucket);
  }

  // What is there already under its name is written once more: it may be the work of somebody else.
  Result<Stored> put(const fs::path& files, const std::string& begin) override {
    std::error_code error;
    const fs::path archive = options_.work / "model.tar";
    const auto packed = pack(files, archive);
    fs::remove_all(files, error);
    if (!packed) return fail(ErrorKind::Forbidden, packed.error().message);
    const auto bucket =
        s3_bucket(name_, options_.store_credentials_dir);  // read again: keys may have been renewed
    if (!bucket) return fail(in_words(bucket.error()));
    if (const auto keys = has_keys(*bucket); !keys) return fail(keys.error());
    const std::string key = (prefix_.empty() ? "" : prefix_ + "/") + name_of(begin, *packed);
    const auto done = s3_upload(http_, *bucket, key, archive, deadline_, options_.first_retry, log_);
    fs::remove(archive, error);
    if (!done) return fail(in_words(done.error()));
    return Stored{*packed, "s3://" + name_ + "/" + key};
  }

 private:
  // Before anything is downloaded; what nobody signs anybody could write.
  static Result<void> has_keys(const S3Bucket& bucket) {
    if (bucket.keys) return {};
    return fail(ErrorKind::Unauthorized,
                "the Secret of registry.mlflow.store.credentials does not exist, or has no AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
  }

  static Error in_words(Error error) {
    for (const auto& [from, to] : {std::pair("artifact.credentials", "registry.mlflow.store.credentials"),
                                   std::pair("artifact.uri", "registry.mlflow.store.uri")})
      for (size_t at = 0; (at = error.message.find(from, at)) != std::string::npos;
           at += std::string_view(to).size())
        error.message.replace(at, std::string_view(from).size(), to);
    return error;
  }

  const ImportOptions& options_;
  kube::PlainTransport& http_;
  const Deadline& deadline_;
  std::ostream& log_;
  std::string name_, prefix_;
};

}  // namespace

Result<std::unique_ptr<ImportStore>> make_import_store(const ImportOptions& options,
                                                       kube::PlainTransport& http, const Deadline& deadline,
                                                       std::ostream& log) {
  if (options.uri.starts_with("pvc://")) return std::make_unique<Claim>(options);
  if (options.uri.starts_with("s3://")) return std::make_unique<Bucket>(options, http, deadline, log);
  return fail(ErrorKind::Invalid,
              "--uri must be pvc://claim, pvc://claim/folder, s3://bucket or s3://bucket/prefix, it is " +
                  redact_uri(options.uri));
}

}  // namespace mo::fetch
