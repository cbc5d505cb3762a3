// The init container: only the right bytes arrive, whole; and it says what went wrong.
#include "operator/fetch/fetch.h"

#include <sys/stat.h>

#include <fstream>

#include "operator/fetch/command.h"
#include "operator/fetch/source.h"
#include "tests/unit/fetch_bench.h"

namespace mo {
namespace {

TEST_CASE("a digest is what sha256sum prints", "[fetch]") {
  CHECK(digest_of("") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(fetch::is_digest(digest_of("x")));
  for (const char* bad : {"", "sha256:", "sha256:abc", "md5:abc"}) CHECK_FALSE(fetch::is_digest(bad));
}

TEST_CASE("a mounted file is verified and put in place read-only", "[fetch]") {
  Fixture f;
  // As the kubelet mounts a ConfigMap.
  fs::create_directory(f.options.source_dir / "..2026_01");
  write(f.options.source_dir / "..2026_01" / "model.json", "model");
  fs::create_symlink("..2026_01", f.options.source_dir / "..data");
  fs::create_symlink("..data/model.json", f.options.source_dir / "model.json");
  f.options.uri = "configmap://rules/model.json";
  CHECK(f.run() == 0);
  CHECK(read(f.options.output) == "model");
  struct stat status {};
  REQUIRE(::stat(f.options.output.c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0444);
  CHECK(f.said() == "fetched configmap://rules/model.json, 5 bytes, " + digest_of("model"));
  CHECK(f.log.str() == f.said() + "\n");
  CHECK(f.run() == 0);  // the container restarts
}

TEST_CASE("a wrong digest never arrives", "[fetch]") {
  Fixture f;
  fs::create_directory(f.options.source_dir / "fraud");
  write(f.options.source_dir / "fraud" / "2.json", "another");
  f.options.uri = "pvc://models/fraud/2.json";
  CHECK(f.run() == kFetchMismatch);
  CHECK(f.said() == "digest mismatch: pvc://models/fraud/2.json has " + digest_of("another") + ", expected " +
                        digest_of("model"));
  CHECK(f.nothing_left());
}

TEST_CASE("nothing outside the mount is read", "[fetch]") {
  Fixture f;
  write(f.dir.path / "secret", "model");
  fs::create_directory(f.dir.path / "source-beside");
  write(f.dir.path / "source-beside" / "x", "model");
  fs::create_symlink("../secret", f.options.source_dir / "link");
  fs::create_symlink(f.dir.path / "source-beside", f.options.source_dir / "beside");
  for (const char* path : {"link", "beside/x"}) {
    f.options.uri = std::string("pvc://models/") + path;
    CHECK(f.run() == kFetchNoSource);
    CHECK_THAT(f.said(), Contains("leads out of"));
  }
  for (const char* uri : {"pvc://models/../secret", "pvc://models/a/../../secret", "pvc://models//etc/passwd",
                          "pvc://models", "pvc://models/", "configmap://x", "file:///etc/passwd", "s3://a", "s3:///b", "oci://a/b", "oci://a/b@sha256:1",
                          "", "x", "http://", "https:///x"}) {
    f.options.uri = uri;
    CHECK(f.run() == kFetchUsage);
    CHECK_THAT(f.said(), StartsWith("--uri"));
  }
  CHECK(f.nothing_left());
  CHECK(f.http.requests.empty());
}

TEST_CASE("what is no file is said to be none", "[fetch]") {
  Fixture f;
  f.options.uri = "pvc://models/x";
  CHECK(f.run() == kFetchNoSource);
  CHECK(f.said() == "pvc://models/x: cannot read x: No such file or directory");
  fs::create_directory(f.options.source_dir / "x");
  CHECK(f.run() == kFetchNoSource);
  CHECK_THAT(f.said(), Contains("it is a directory"));
  fs::remove(f.options.source_dir / "x");
  REQUIRE(::mkfifo((f.options.source_dir / "x").c_str(), 0600) == 0);
  CHECK(f.run() == kFetchNoSource);
  CHECK_THAT(f.said(), Contains("no regular file"));
  f.options.source_dir = f.dir.path / "absent";
  CHECK(f.run() == kFetchNoSource);
}

TEST_CASE("a download begins anew until it is whole", "[fetch]") {
  Fixture f;
  f.http.attempts = {{200, "mod", Error{ErrorKind::Transport, "body: cut", 0, {}, {}}, false},
                     {503, "busy", {}, false},
                     {429, "", {}, false},
                     {200, "model", {}, false}};
  CHECK(f.run() == 0);
  CHECK(read(f.options.output) == "model");
  CHECK(f.http.requests.size() == 4);
  CHECK_THAT(f.log.str(), Contains("body: cut; again in ") && Contains("HTTP 503"));
}

TEST_CASE("a server's refusal is final", "[fetch]") {
  Fixture f;
  f.http.attempts = {{404, "no such model", {}, false}};
  CHECK(f.run() == kFetchNoSource);
  CHECK(f.said() == "http://store/model.json: the server answered HTTP 404");
  CHECK(f.http.requests.size() == 1);
}

TEST_CASE("time is bounded, for a dead server and for a silent one", "[fetch]") {
  Fixture f;
  f.options.timeout = 50ms;
  f.http.attempts = {{200, "", Error{ErrorKind::Transport, "connect: refused", 0, {}, {}}, false}};
  CHECK(f.run() == kFetchNetwork);
  CHECK_THAT(f.said(), StartsWith("http://store/model.json: connect: refused; given up after 50ms"));
  f.http.attempts = {{200, "", {}, true}};
  CHECK(f.run() == kFetchNetwork);
  CHECK(f.said() == "http://store/model.json: not complete within 50ms");
  CHECK(f.nothing_left());
}

TEST_CASE("a stop ends it at once", "[fetch]") {
  Fixture f;
  f.http.attempts = {{200, "", {}, true}};
  std::jthread stopper([&] {
    std::this_thread::sleep_for(10ms);
    f.stop.request_stop();
  });
  CHECK(f.run() == kFetchStopped);
  CHECK(f.nothing_left());
}

TEST_CASE("size is bounded", "[fetch]") {
  Fixture f;
  f.options.max_bytes = 4;
  f.http.attempts = {{200, "model", {}, false}};
  CHECK(f.run() == kFetchNoSource);
  CHECK_THAT(f.said(), Contains("is larger than the 4 bytes"));
  CHECK(f.nothing_left());
  f.options.max_bytes = 5;
  CHECK(f.run() == 0);
}

TEST_CASE("folders on the way to the output are made", "[fetch]") {
  Fixture f;
  f.http.attempts = {{200, "model", {}, false}};
  f.options.output = f.dir.path / "parts" / "adapters" / "x";
  CHECK(f.run() == 0);
  CHECK(std::filesystem::file_size(f.options.output) == 5);
}

TEST_CASE("an output that cannot be written is told from a source that cannot be read", "[fetch]") {
  Fixture f;
  f.http.attempts = {{200, "model", {}, false}};
  std::ofstream(f.dir.path / "file") << "x";
  f.options.output = f.dir.path / "file" / "x";
  CHECK(f.run() == kFetchOutput);
  CHECK_THAT(f.said(), Contains("cannot create"));
  f.options.digest = "sha256:abc";
  CHECK(f.run() == kFetchUsage);
}

TEST_CASE("a URI is shown without what it keeps secret", "[fetch]") {
  Fixture f;
  f.options.uri = "https://jane:pass@store/model.json?X-Amz-Signature=abc";
  f.http.attempts = {{503, "", {}, false}, {200, "model", {}, false}};
  CHECK(f.run() == 0);
  CHECK(f.http.requests.back() == f.options.uri);
  CHECK_THAT(f.said(), StartsWith("fetched https://***@store/model.json?X-Amz-Signature=***, 5 bytes"));
  f.options.digest = digest_of("other");
  CHECK(f.run() == kFetchMismatch);
  f.options.uri = "ftp://jane:pass@store/model.json?X-Amz-Signature=abc";
  CHECK(f.run() == kFetchUsage);
  CHECK_THAT(f.log.str(), !Contains("pass") && !Contains("abc"));
}

TEST_CASE("credentials come from a mounted Secret, for https alone", "[fetch]") {
  Fixture f;
  const fs::path folder = f.dir.path / "credentials";
  fs::create_directory(folder);
  f.options.credentials_dir = folder;
  f.options.uri = "https://store/model.json";
  f.http.attempts = {{200, "model", {}, false}};
  using Headers = std::vector<std::pair<std::string, std::string>>;
  CHECK(f.run() == kFetchCredentials);
  CHECK_THAT(f.said(), Contains("the Secret of artifact.credentials does not exist, or has neither"));
  write(folder / "username", "jane\n");
  CHECK(f.run() == kFetchCredentials);
  write(folder / "password", "p:ss w");
  CHECK(f.run() == 0);
  CHECK(f.http.headers == Headers{{"Authorization", "Basic amFuZTpwOnNzIHc="}});
  write(folder / "token", "abc.def\n");
  CHECK(f.run() == 0);
  CHECK(f.http.headers == Headers{{"Authorization", "Bearer abc.def"}});
  for (const char* bad : {"", "\n", "a b", "a\r\nX-Evil: 1"}) {
    write(folder / "token", bad);
    CHECK(f.run() == kFetchCredentials);
  }
  write(folder / "token", "abc.def");
  f.http.attempts = {{403, "", {}, false}};
  CHECK(f.run() == kFetchNoSource);
  CHECK_THAT(f.said(), Contains("HTTP 403; check the Secret of artifact.credentials"));
  const size_t sent = f.http.requests.size();
  f.options.uri = "http://store/model.json";
  CHECK(f.run() == kFetchUsage);
  CHECK_THAT(f.said(), Contains("only to https:// addresses"));
  CHECK(f.http.requests.size() == sent);
  CHECK_THAT(f.log.str(), !Contains("abc.def"));
}

TEST_CASE("the flags of fetch", "[fetch]") {
  CLI::App app;
  std::optional<FetchOptions> chosen;
  add_fetch_command(app, [&](const FetchOptions& options) { chosen = options; });
  app.parse("fetch --uri http://a/b --digest sha256:1 --output /artifact/b --timeout 1m30s --max-bytes 7 --credentials-dir /c",
            false);
  REQUIRE(chosen);
  CHECK(chosen->uri == "http://a/b");
  CHECK(chosen->output == "/artifact/b");
  CHECK(chosen->timeout == 90s);
  CHECK(chosen->max_bytes == 7);
  CHECK(chosen->credentials_dir == "/c");
  CHECK(chosen->source_dir == "/source");
  CHECK_FALSE(chosen->mounted);
  app.parse("fetch --uri oci://a/b --digest sha256:1 --output /artifact/b --mounted", false);
  CHECK(chosen->mounted);
  CHECK_THROWS_AS(app.parse("fetch --uri x --digest y --output z --timeout soon", false), CLI::ParseError);
  CHECK_THROWS_AS(app.parse("fetch --uri x", false), CLI::ParseError);
}

}  // namespace
}  // namespace mo
