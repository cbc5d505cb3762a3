// Connections that break in the middle, and S3 stores.
#include "operator/fetch/s3.h"
#include "tests/unit/fetch_bench.h"

namespace mo {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;
const Error kCut{ErrorKind::Transport, "body: cut", 0, {}, {}};

const std::string* header(const Headers& headers, const std::string& name) {
  for (const auto& [key, value] : headers)
    if (key == name) return &value;
  return nullptr;
}

TEST_CASE("after a broken connection the rest is asked for", "[fetch][resume]") {
  Fixture f;
  f.http.attempts = {{200, "mo", kCut, false, {{"etag", "\"v1\""}}},
                     {503, "", {}, false, {}},
                     {206, "d", kCut, false, {{"content-range", "bytes 2-4/5"}}},
                     {206, "el", {}, false, {{"content-range", "bytes 3-4/5"}}}};
  CHECK(f.run() == 0);
  CHECK(read(f.options.output) == "model");
  REQUIRE(f.http.all_headers.size() == 4);
  CHECK(header(f.http.all_headers[0], "Range") == nullptr);
  for (const int i : {1, 2}) {
    CHECK(*header(f.http.all_headers[i], "Range") == "bytes=2-");
    CHECK(*header(f.http.all_headers[i], "If-Range") == "\"v1\"");
  }
  CHECK(*header(f.http.all_headers[3], "Range") == "bytes=3-");
}

TEST_CASE("a server that knows no ranges, or has another content, sends all anew", "[fetch][resume]") {
  Fixture f;
  f.http.attempts = {{200, "mox", kCut, false, {{"etag", "W/\"weak\""}}}, {200, "model", {}, false, {}}};
  CHECK(f.run() == 0);
  CHECK(header(f.http.all_headers[1], "If-Range") == nullptr);
  CHECK(read(f.options.output) == "model");
  // It had more before.
  f.http.attempts = {{200, "model and more", kCut, false, {}}, {416, "", {}, false, {}}, {200, "model", {}, false, {}}};
  CHECK(f.run() == 0);
  CHECK(header(f.http.all_headers.back(), "Range") == nullptr);
  // It sends another range than it was asked for.
  f.http.attempts = {{200, "mo", kCut, false, {}},
                     {206, "mode", {}, false, {{"content-range", "bytes 0-3/5"}}},
                     {200, "model", {}, false, {}}};
  CHECK(f.run() == 0);
  // What it sends in the end is something else.
  f.http.attempts = {{200, "xx", kCut, false, {}}, {206, "del", {}, false, {{"content-range", "bytes 2-4/5"}}}};
  CHECK(f.run() == kFetchMismatch);
  CHECK(f.said() == "digest mismatch: http://store/model.json has " + digest_of("xxdel") + ", expected " + digest_of("model"));
}

TEST_CASE("what says that it is too large is not fetched", "[fetch]") {
  Fixture f;
  f.options.max_bytes = 5;
  f.http.attempts = {{200, "never sent", {}, false, {{"content-length", "10"}}}};
  CHECK(f.run() == kFetchNoSource);
  CHECK_THAT(
      f.said(),
      Contains("it is larger than the 5 bytes allowed: the server has 10; if the artifact is right, set artifact.size"));
  f.http.attempts = {{200, "model", {}, false, {{"content-length", "99999999999999999999999"}}}};
  CHECK(f.run() == 0);
}

struct Store : Fixture {
  Store() {
    options.uri = "s3://models/fraud/2 +ü.tar";
    options.credentials_dir = dir.path / "credentials";
    fs::create_directory(options.credentials_dir);
    http.attempts = {{200, "model", {}, false, {}}};
    http.respond = [this](const kube::HttpRequest& request) {
      last = request;
      const auto attempt = http.attempts.front();
      if (http.attempts.size() > 1) http.attempts.pop_front();
      return attempt;
    };
  }
  void secret(const char* key, const std::string& value) { write(options.credentials_dir / key, value); }
  kube::HttpRequest last;
};

TEST_CASE("an object of S3 is asked for with a signature, where the Secret says", "[fetch][s3]") {
  Store f;
  f.secret("AWS_ACCESS_KEY_ID", "id\n");
  CHECK(f.run() == kFetchCredentials);
  CHECK_THAT(f.said(), Contains("the key AWS_SECRET_ACCESS_KEY in the Secret of artifact.credentials is missing"));
  f.secret("AWS_SECRET_ACCESS_KEY", "topsecret\n");
  CHECK(f.run() == 0);
  CHECK(f.last.target == "https://s3.us-east-1.amazonaws.com/models/fraud/2%20%2B%C3%BC.tar");
  f.secret("AWS_ENDPOINT_URL", "http://seaweed.store:8333/\n");
  f.secret("AWS_REGION", "eu-central-1");
  f.secret("AWS_SESSION_TOKEN", "temporary");
  CHECK(f.run() == 0);
  CHECK(f.last.target == "http://seaweed.store:8333/models/fraud/2%20%2B%C3%BC.tar");
  REQUIRE(f.last.sign);
  CHECK(f.last.sign->id == "id");
  CHECK(f.last.sign->secret == "topsecret");
  CHECK(f.last.sign->region == "eu-central-1");
  CHECK(*header(f.last.headers, "x-amz-security-token") == "temporary");
  CHECK(read(f.options.output) == "model");
  f.http.attempts = {{200, "mo", kCut, false, {{"etag", "\"e\""}}},
                     {206, "del", {}, false, {{"content-range", "bytes 2-4/5"}}}};
  CHECK(f.run() == 0);
  CHECK(*header(f.last.headers, "Range") == "bytes=2-");
  CHECK(f.last.sign);
  CHECK_THAT(f.log.str(), !Contains("topsecret") && !Contains("temporary"));
  for (const char* bad : {"seaweed:8333", "ftp://x", "http://", "http://a b", "http://jane:pass@x", "http://x?y"}) {
    f.secret("AWS_ENDPOINT_URL", bad);
    CHECK(f.run() == kFetchCredentials);
    CHECK_THAT(f.said(), Contains("AWS_ENDPOINT_URL"));
  }
}

TEST_CASE("what everybody may read needs no keys, but a Secret that says where", "[fetch][s3]") {
  Store f;
  f.secret("AWS_ENDPOINT_URL", "http://store");
  CHECK(f.run() == 0);
  CHECK_FALSE(f.last.sign);
  f.options.credentials_dir.clear();
  CHECK(f.run() == kFetchCredentials);
  CHECK_THAT(f.said(), Contains("s3:// needs artifact.credentials"));
}

TEST_CASE("a store's refusal says what to change", "[fetch][s3]") {
  Store f;
  f.secret("AWS_ENDPOINT_URL", "http://store");
  struct Row {
    int status;
    const char *code, *words;
    int exit;
  };
  const Row rows[] = {
      {404, "NoSuchBucket", "bucket \"models\" does not exist; check artifact.uri", kFetchNoSource},
      {404, "NoSuchKey", "bucket \"models\" has no key \"fraud/2 +ü.tar\"", kFetchNoSource},
      {403, "InvalidAccessKeyId", "the store does not know these keys; check AWS_ACCESS_KEY_ID", kFetchCredentials},
      {403, "SignatureDoesNotMatch", "the store does not know these keys", kFetchCredentials},
      {400, "ExpiredToken", "AWS_SESSION_TOKEN", kFetchCredentials},
      {403, "RequestTimeTooSkewed", "clocks", kFetchCredentials},
      {403, "AccessDenied", "allow s3:GetObject", kFetchCredentials},
      {301, "PermanentRedirect", "another region, eu-west-1; set AWS_REGION", kFetchUsage},
      {400, "<b>\n", "the store refuses to read", kFetchNoSource},
  };
  for (const Row& row : rows) {
    INFO(row.code);
    const size_t sent = f.http.requests.size();
    f.http.attempts = {
        {row.status, "<Error><Code>" + std::string(row.code) + "</Code><Region>eu-west-1</Region></Error>", {}, false, {}}};
    CHECK(f.run() == row.exit);
    CHECK_THAT(f.said(), Contains(row.words) && Contains("HTTP " + std::to_string(row.status)));
    CHECK(f.http.requests.size() == sent + 1);
    CHECK(f.nothing_left());
  }
  f.http.attempts = {{503, "<Code>SlowDown</Code>", {}, false, {}}, {200, "model", {}, false, {}}};
  CHECK(f.run() == 0);
}

}  // namespace
}  // namespace mo
