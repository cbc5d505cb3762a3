#include "operator/fetch/s3_upload.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <stop_token>

#include "operator/core/percent.h"
#include "operator/core/text.h"
#include "operator/fetch/sha256.h"

namespace mo::fetch {
namespace {

constexpr size_t kLargestUploadAnswer = 64u << 10;
constexpr size_t kLongestId = 1024;
constexpr std::chrono::seconds kTakingBack{10};

std::string hash_of_bytes(std::string_view bytes) {
  Sha256 hash;
  hash.add(bytes);
  return hash.finish().substr(std::string_view("sha256:").size());
}

// The text of <name>…</name>; empty if there is none that an address can hold.
std::string text_of(std::string_view xml, std::string_view name) {
  const std::string open = "<" + std::string(name) + ">", close = "</" + std::string(name) + ">";
  const size_t begin = xml.find(open);
  if (begin == std::string_view::npos) return "";
  const std::string_view rest = xml.substr(begin + open.size());
  const std::string_view text = rest.substr(0, std::min(rest.find(close), rest.size()));
  const bool plain = text.size() <= kLongestId && std::all_of(text.begin(), text.end(), [](char c) {
                       return c > ' ' && c < 127 && c != '&' && c != '<';
                     });
  return plain ? std::string(text) : "";
}

class Upload {
 public:
  Upload(kube::PlainTransport& http, const S3Bucket& bucket, const std::string& key,
         const std::filesystem::path& file, const Deadline& deadline, Duration first_retry, std::ostream& log)
      : http_(http),
        bucket_(bucket),
        key_(key),
        file_(file),
        deadline_(deadline),
        first_retry_(first_retry),
        log_(log) {}

  Result<void> run(uint64_t part) {
    std::error_code error;
    const uint64_t size = std::filesystem::file_size(file_, error);
    if (error) return fail(ErrorKind::Forbidden, "cannot read " + file_.string() + ": " + error.message());
    in_.open(file_, std::ios::binary);
    if (size <= part) {
      auto bytes = next(size);
      if (!bytes) return fail(bytes.error());
      const auto put = send("PUT", "", std::move(*bytes));
      return put ? Result<void>{} : fail(put.error());
    }
    part = std::max(part, (size + kMostParts - 1) / kMostParts);
    if (part > kLargestPart)
      return fail(ErrorKind::Malformed, "it has " + std::to_string(size) +
                                            " bytes, and a store takes at most " +
                                            std::to_string(kMostParts * kLargestPart));
    auto done = in_parts(size, part);
    if (!done && !id_.empty()) take_back();
    return done;
  }

 private:
  Result<void> in_parts(uint64_t size, uint64_t part) {
    const auto begun = send("POST", "uploads=", "");
    if (!begun) return fail(begun.error());
    id_ = text_of(begun->body, "UploadId");
    if (id_.empty())
      return fail(ErrorKind::Invalid,
                  bucket_.endpoint + " did not answer like an S3 store: no upload ID");
    std::string parts;
    for (uint64_t at = 0, number = 1; at < size; at += part, ++number) {
      auto bytes = next(std::min(part, size - at));
      if (!bytes) return fail(bytes.error());
      const auto sent =
          send("PUT", "partNumber=" + std::to_string(number) + "&uploadId=" + percent_encoded(id_),
               std::move(*bytes));
      if (!sent) return fail(sent.error());
      const std::string* etag = sent->header("etag");
      if (!etag || etag->find_first_of("<&") != std::string::npos)
        return fail(ErrorKind::Invalid,
                    bucket_.endpoint + " does not answer as an S3 store does: it names no ETag of a part");
      parts +=
          "<Part><PartNumber>" + std::to_string(number) + "</PartNumber><ETag>" + *etag + "</ETag></Part>";
    }
    const auto done = send("POST", "uploadId=" + percent_encoded(id_),
                           "<CompleteMultipartUpload>" + parts + "</CompleteMultipartUpload>");
    if (!done) return fail(done.error());
    // It may go wrong after the store has answered that it is well.
    if (done->body.find("<Error>") != std::string::npos)
      return fail(ErrorKind::ServerError, "the store could not put the parts together: " +
                                              whole_characters(text_of(done->body, "Code"), 100));
    return {};
  }

  Result<std::string> next(uint64_t size) {
    std::string bytes(static_cast<size_t>(size), '\0');
    if (in_.read(bytes.data(), static_cast<std::streamsize>(size))) return bytes;
    return fail(ErrorKind::Forbidden, "cannot read " + file_.string() + ": " +
                                          (errno ? std::strerror(errno) : "it is shorter than it was"));
  }

  kube::HttpRequest request(const char* method, const std::string& query, std::string body) const {
    kube::HttpRequest out = s3_request(bucket_, method, key_, query, hash_of_bytes(body));
    if (!body.empty()) out.headers.emplace_back("Content-Type", "application/octet-stream");
    out.body = std::move(body);
    return out;
  }

  Result<kube::HttpResponse> send(const char* method, const std::string& query, std::string body) {
    auto answer = ask(http_, request(method, query, std::move(body)), "s3://" + bucket_.name + "/" + key_,
                      kLargestUploadAnswer, deadline_, first_retry_, log_);
    if (answer && answer->status / 100 != 2)
      return fail(s3_refusal(*answer, bucket_.name, key_, bucket_.endpoint, s3_words_of_writing()));
    return answer;
  }

  // Once, also where the time is up: a store keeps, and bills, parts that nobody takes back.
  void take_back() {
    kube::HttpRequest last = request("DELETE", "uploadId=" + percent_encoded(id_), "");
    last.idle_deadline = kTakingBack;
    last.max_body = kLargestUploadAnswer;
    const Deadline soon(kTakingBack, std::stop_token());
    const auto gone = http_.download(
        last, [](std::string_view) { return true; }, soon.token());
    if (!gone || gone->status / 100 != 2)
      log_ << "the parts of upload " << id_ << " stay in bucket " << bucket_.name << std::endl;
  }

  kube::PlainTransport& http_;
  const S3Bucket& bucket_;
  const std::string& key_;
  const std::filesystem::path& file_;
  const Deadline& deadline_;
  const Duration first_retry_;
  std::ostream& log_;
  std::ifstream in_;
  std::string id_;
};

}  // namespace

Result<void> s3_upload(kube::PlainTransport& http, const S3Bucket& bucket, const std::string& key,
                       const std::filesystem::path& file, const Deadline& deadline, Duration first_retry,
                       std::ostream& log, uint64_t part) {
  return Upload(http, bucket, key, file, deadline, first_retry, log).run(part);
}

}  // namespace mo::fetch
