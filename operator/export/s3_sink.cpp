#include "operator/export/s3_sink.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "operator/core/digest.h"
#include "operator/fetch/credentials.h"
#include "operator/fetch/s3.h"

namespace mo::audit {
namespace {

constexpr std::chrono::seconds kPutDeadline{30};
constexpr size_t kLargestAnswer = 64u << 10;
constexpr size_t kHashInName = 16;
constexpr size_t kLongestPrefix = 400;  // a key has at most 1024 bytes

std::string bytes_of(std::string_view hex) {
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return out;
}

fetch::S3Settings from_environment() {
  return [](const char* key) -> std::optional<std::string> {
    const char* value = std::getenv(key);
    return value ? std::optional<std::string>(value) : std::nullopt;
  };
}

fetch::S3Words words_for(const std::string& credentials) {
  return {.uri = "--audit-export",
          .place = credentials.empty() ? " in the operator's environment" : " in " + credentials,
          .refusal = "the store refuses to write ",
          .denied = "the store does not let these keys write ",
          .way_out = "allow s3:PutObject, or change --audit-export-credentials"};
}

class S3 final : public Sink {
 public:
  S3(std::string bucket, std::string prefix, fetch::S3Settings settings, fetch::S3Words words, kube::HttpTransport& http)
      : bucket_(std::move(bucket)),
        prefix_(std::move(prefix)),
        settings_(std::move(settings)),
        words_(std::move(words)),
        http_(http) {}

  Result<void> write(const Batch& batch, std::stop_token stop) override {
    const auto bucket = fetch::s3_bucket(bucket_, settings_, words_);
    if (!bucket) return fail(ErrorKind::Transport, bucket.error().message);
    const std::string hash = sha256_of(batch.lines).substr(7);
    const std::string key = prefix_ + batch.path + "-" + hash.substr(0, kHashInName) + ".jsonl";
    kube::HttpRequest request = fetch::s3_request(*bucket, "PUT", key, "", hash);
    request.body = batch.lines;
    request.deadline = kPutDeadline;
    request.max_body = kLargestAnswer;
    request.headers.emplace_back("Content-Type", "application/x-ndjson");
    request.headers.emplace_back("If-None-Match", "*");
    // A bucket with object lock wants to know that what arrived is what was sent.
    request.headers.emplace_back("x-amz-checksum-sha256", fetch::base64(bytes_of(hash)));
    const auto answer = http_.send(request, stop);
    if (!answer)
      return fail(answer.error().kind == ErrorKind::Invalid ? ErrorKind::Transport : answer.error().kind, answer.error().message);
    if (answer->status / 100 == 2) return {};
    // It arrived before a crash, or before its answer was lost: nothing else has that name.
    if (answer->status == 412) return {};
    const bool of_lines = answer->status == 413 || answer->body.find("<Code>EntityTooLarge</Code>") != std::string::npos;
    return fail(of_lines ? ErrorKind::Invalid : ErrorKind::ServerError,
                fetch::s3_refusal(*answer, bucket_, key, bucket->endpoint, words_).message);
  }

 private:
  const std::string bucket_, prefix_;
  const fetch::S3Settings settings_;
  const fetch::S3Words words_;
  kube::HttpTransport& http_;
};

bool is_bucket(const std::string& name) {
  const auto plain = [](unsigned char c) { return std::islower(c) || std::isdigit(c) || c == '-' || c == '.'; };
  return name.size() >= 3 && name.size() <= 63 && std::all_of(name.begin(), name.end(), plain) &&
         name.find("..") == std::string::npos;
}

// Without what some stores take for a step up, or for nothing.
bool is_prefix(const std::string& text) {
  if (text.size() > kLongestPrefix) return false;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('/', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    if (std::any_of(part.begin(), part.end(),
                    [](unsigned char c) { return c <= ' ' || c >= 0x7f || c == '?' || c == '#' || c == '%'; }))
      return false;
    begin = end + 1;
  }
  return true;
}

}  // namespace

Result<std::unique_ptr<Sink>> make_s3_sink(const std::string& where, const std::string& credentials, kube::HttpTransport& http) {
  auto [bucket, prefix] = fetch::split_s3(where);
  while (prefix.ends_with('/')) prefix.pop_back();
  if (!is_bucket(bucket) || !is_prefix(prefix))
    return fail(ErrorKind::Invalid, where + " must be s3://BUCKET or s3://BUCKET/PREFIX, such as s3://audit/production");
  if (!prefix.empty()) prefix += '/';
  auto settings = credentials.empty() ? from_environment() : fetch::s3_settings_in(credentials);
  auto words = words_for(credentials);
  // Nobody is to learn weeks later that nothing was ever exported.
  const auto store = fetch::s3_bucket(bucket, settings, words);
  if (!store) return fail(ErrorKind::Invalid, store.error().message);
  if (!store->keys)
    return fail(ErrorKind::Invalid, where +
                                        " needs keys: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the folder of "
                                        "--audit-export-credentials, or in the environment");
  return std::unique_ptr<Sink>(std::make_unique<S3>(bucket, prefix, std::move(settings), std::move(words), http));
}

}  // namespace mo::audit
