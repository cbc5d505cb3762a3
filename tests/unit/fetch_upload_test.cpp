// Files on their way into S3 stores: whole or not at all, in parts that are tried again by themselves.
#include <map>

#include "operator/fetch/s3_upload.h"
#include "tests/unit/fetch_bench.h"

namespace mo::fetch {
namespace {

using Attempt = FakeHttp::Attempt;

// A bucket that answers as S3 does, and checks what it is sent.
struct Bucket {
  TempDir dir;
  FakeHttp http;
  S3Bucket bucket{"https://store", "models", kube::S3Keys{"id", "topsecret", "us-east-1"}, "temporary"};
  std::ostringstream log;
  std::stop_source stop;
  std::map<std::string, std::string> objects;
  std::map<std::string, std::map<int, std::string>> uploads;  // by ID
  std::function<std::optional<Attempt>(const kube::HttpRequest&)> wrong;
  std::vector<std::string> asked;

  Bucket() {
    http.piece = 1000;
    http.respond = [this](const kube::HttpRequest& request) { return answer(request); };
  }
  static std::string header(const kube::HttpRequest& request, const std::string& name) {
    for (const auto& [key, value] : request.headers)
      if (key == name) return value;
    return "";
  }
  Attempt answer(const kube::HttpRequest& request) {
    const std::string base = "https://store/models/a%20key.tar";
    REQUIRE(request.target.starts_with(base));
    std::string query = request.target.substr(base.size());
    asked.push_back(request.method + " " + query);
    REQUIRE(request.sign);
    CHECK("sha256:" + header(request, "x-amz-content-sha256") == digest_of(request.body));
    CHECK(header(request, "x-amz-security-token") == "temporary");
    if (wrong)
      if (const auto attempt = wrong(request)) return *attempt;
    const std::string id = "up%2Fload~1", of_upload = "?uploadId=" + id;
    if (request.method == "PUT" && query.empty()) return objects["a key.tar"] = request.body, Attempt{200};
    if (request.method == "POST" && query == "?uploads=") {
      uploads["up/load~1"];
      return {200, "<R><Bucket>models</Bucket><UploadId>up/load~1</UploadId></R>"};
    }
    if (!uploads.count("up/load~1")) return {404, "<Error><Code>NoSuchUpload</Code></Error>"};
    auto& parts = uploads["up/load~1"];
    if (request.method == "PUT" && query.starts_with("?partNumber=") && query.ends_with("&uploadId=" + id)) {
      const int number = std::stoi(query.substr(12));
      parts[number] = request.body;
      return {200, "", {}, false, {{"etag", "\"e" + std::to_string(number) + "\""}}};
    }
    if (request.method == "POST" && query == of_upload) {
      std::string wanted, whole;
      for (const auto& [number, bytes] : parts) {
        whole += bytes;
        wanted += "<Part><PartNumber>" + std::to_string(number) + "</PartNumber><ETag>\"e" +
                  std::to_string(number) + "\"</ETag></Part>";
      }
      CHECK(request.body == "<CompleteMultipartUpload>" + wanted + "</CompleteMultipartUpload>");
      objects["a key.tar"] = whole;
      uploads.erase("up/load~1");
      return {200, "<R/>"};
    }
    if (request.method == "DELETE" && query == of_upload) return uploads.erase("up/load~1"), Attempt{204};
    return {400, "<Error><Code>InvalidRequest</Code></Error>"};
  }
  Result<void> put(const std::string& content, uint64_t part = 10, Duration timeout = 10s) {
    write(dir.path / "file", content);
    const Deadline deadline(timeout, stop.get_token());
    return s3_upload(http, bucket, "a key.tar", dir.path / "file", deadline, 1ms, log, part);
  }
};

TEST_CASE("a small file is put at once, a larger one in parts", "[fetch][s3][upload]") {
  Bucket b;
  for (const char* small : {"", "0123456789"}) {
    REQUIRE(b.put(small));
    CHECK(b.objects["a key.tar"] == small);
  }
  CHECK(b.asked == std::vector<std::string>{"PUT ", "PUT "});
  b.asked.clear();
  REQUIRE(b.put("0123456789abcdefghijklmno"));
  CHECK(b.objects["a key.tar"] == "0123456789abcdefghijklmno");
  CHECK(b.asked == std::vector<std::string>{"POST ?uploads=", "PUT ?partNumber=1&uploadId=up%2Fload~1",
                                            "PUT ?partNumber=2&uploadId=up%2Fload~1",
                                            "PUT ?partNumber=3&uploadId=up%2Fload~1",
                                            "POST ?uploadId=up%2Fload~1"});
  CHECK_THAT(b.log.str(), !Contains("topsecret"));
}

TEST_CASE("a part that fails is sent again by itself", "[fetch][s3][upload]") {
  Bucket b;
  int left = 3;
  b.wrong = [&](const kube::HttpRequest& request) -> std::optional<Attempt> {
    if (request.target.find("partNumber=2") == std::string::npos || left-- <= 0) return {};
    return left % 2 ? Attempt{503, "<Error><Code>SlowDown</Code></Error>"}
                    : Attempt{200, "", Error{ErrorKind::Transport, "body: cut", 0, {}, {}}};
  };
  REQUIRE(b.put("0123456789abcdefghijklmno"));
  CHECK(b.objects["a key.tar"] == "0123456789abcdefghijklmno");
  CHECK(b.asked.size() == 5 + 3);
}

TEST_CASE("what cannot be finished is taken back, and what was there stays", "[fetch][s3][upload]") {
  Bucket b;
  b.objects["a key.tar"] = "before";
  const auto is = [&](ErrorKind kind, const std::string& words, Duration timeout = 10s) {
    INFO(words);
    const auto done = b.put("0123456789abcdefghijklmno", 10, timeout);
    REQUIRE_FALSE(done);
    CHECK(done.error().kind == kind);
    CHECK_THAT(done.error().message, Contains(words));
    CHECK(b.objects["a key.tar"] == "before");
    CHECK(b.uploads.empty());
  };
  const auto at = [&](const std::string& query, Attempt attempt) {
    b.wrong = [query, attempt](const kube::HttpRequest& request) -> std::optional<Attempt> {
      const bool hit = request.method != "DELETE" && request.target.find(query) != std::string::npos;
      return hit ? std::optional(attempt) : std::nullopt;
    };
  };
  at("uploads", {403, "<Error><Code>AccessDenied</Code></Error>"});
  is(ErrorKind::Unauthorized,
     "the store does not let these keys write key \"a key.tar\" of bucket \"models\"; allow "
     "s3:PutObject");
  at("uploads", {404, "<Error><Code>NoSuchBucket</Code></Error>"});
  is(ErrorKind::NotFound, "bucket \"models\" does not exist");
  at("uploads", {200, "<html>welcome</html>"});
  is(ErrorKind::Invalid, "did not answer like an S3 store");
  at("partNumber=3", {403, "<Error><Code>ExpiredToken</Code></Error>"});
  is(ErrorKind::Unauthorized, "AWS_SESSION_TOKEN");
  at("partNumber=3", {200, ""});
  is(ErrorKind::Invalid, "no ETag of a part");
  at("partNumber=2", {500});
  is(ErrorKind::ServerError, "HTTP 500", 30ms);
  at("?uploadId", {200, "<Error><Code>InternalError</Code></Error>"});
  is(ErrorKind::ServerError, "could not put the parts together: InternalError");
  CHECK(b.put("x", 10));
  const Deadline deadline(1s, b.stop.get_token());
  CHECK(s3_upload(b.http, b.bucket, "a key.tar", b.dir.path / "none", deadline, 1ms, b.log).error().kind ==
        ErrorKind::Forbidden);
}

TEST_CASE("addresses of S3 are split at the first slash", "[fetch][s3]") {
  CHECK(split_s3("s3://models/a/b.tar") == std::pair<std::string, std::string>("models", "a/b.tar"));
  CHECK(split_s3("s3://models") == std::pair<std::string, std::string>("models", ""));
  CHECK(split_s3("s3://models/") == std::pair<std::string, std::string>("models", ""));
  CHECK(split_s3("s3") == std::pair<std::string, std::string>("", ""));
}

}  // namespace
}  // namespace mo::fetch
