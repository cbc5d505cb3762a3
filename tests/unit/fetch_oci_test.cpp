// Pulling from a registry: every byte has the digest that names it, and what goes wrong is said.
#include "operator/fetch/oci_manifest.h"
#include "operator/json/json.h"
#include "tests/unit/fetch_bench.h"

namespace mo {
namespace {

using Attempt = FakeHttp::Attempt;

// A tar with one file, by hand (POSIX ustar).
std::string tar_of(const std::string& name, const std::string& content) {
  std::string header(512, '\0');
  header.replace(0, name.size(), name);
  header.replace(100, 7, "0000644");
  char size[13];
  std::snprintf(size, sizeof size, "%011zo", content.size());
  header.replace(124, 11, size);
  header.replace(136, 11, "00000000000");
  header[156] = '0';
  header.replace(257, 5, "ustar");
  header.replace(263, 2, "00");
  header.replace(148, 8, "        ");
  unsigned sum = 0;
  for (const unsigned char c : header) sum += c;
  std::snprintf(size, sizeof size, "%06o", sum);
  header.replace(148, 7, std::string(size) + '\0');
  std::string body = content;
  body.resize((content.size() + 511) / 512 * 512);
  return header + body + std::string(1024, '\0');
}

// Answers as a registry does: with tokens, and ranges.
struct RegistryFixture : Fixture {
  std::map<std::string, std::string> blobs;  // by digest
  Json layers = Json::array();
  bool wants_token = true;
  std::string token = "first";
  int cuts = 0;

  RegistryFixture() {
    options.output = dir.path / "artifact" / "model";
    http.piece = 100;
    http.respond = [this](const kube::HttpRequest& request) { return answer(request); };
  }
  std::string put(const std::string& content) {
    blobs[digest_of(content)] = content;
    return digest_of(content);
  }
  void layer(const std::string& type, const std::string& content, Json annotations = Json::object()) {
    layers.push_back(
        {{"mediaType", type}, {"digest", put(content)}, {"size", content.size()}, {"annotations", std::move(annotations)}});
  }
  void refer_to(const std::string& manifest) {
    options.digest = put(manifest);
    options.uri = "oci://registry.example/team/fraud@" + options.digest;
  }
  int pull() {
    refer_to(Json({{"schemaVersion", 2}, {"layers", layers}}).dump());
    return run();
  }
  static const std::string* header(const kube::HttpRequest& request, const std::string& name) {
    for (const auto& [key, value] : request.headers)
      if (key == name) return &value;
    return nullptr;
  }
  Attempt answer(const kube::HttpRequest& request) {
    const std::string* authorization = header(request, "Authorization");
    if (request.target == "https://auth.example/token?scope=repository%3Ateam%2Ffraud%3Apull&service=registry.example") {
      asked_for_token.push_back(authorization ? *authorization : "");
      return {200, Json({{"token", token}}).dump(), {}, false, {}};
    }
    REQUIRE_THAT(request.target, StartsWith("https://registry.example/v2/team/fraud/"));
    if (wants_token && (!authorization || *authorization != "Bearer " + token))
      return {401,
              "",
              {},
              false,
              {{"www-authenticate",
                R"(Bearer realm="https://auth.example/token",service="registry.example",scope="repository:team/fraud:pull")"}}};
    const auto found = blobs.find(request.target.substr(request.target.find("sha256:")));
    if (found == blobs.end()) return {404, "", {}, false, {}};
    const std::string* range = header(request, "Range");
    const size_t from = range ? std::stoul(range->substr(6)) : 0;
    std::string rest = found->second.substr(from);
    if (rest.size() > 500 && cuts > 0) {
      --cuts;
      return {range ? 206 : 200, rest.substr(0, 300), Error{ErrorKind::Transport, "body: cut", 0, {}, {}}, false, head(from)};
    }
    return {range ? 206 : 200, rest, {}, false, head(from)};
  }
  static std::vector<std::pair<std::string, std::string>> head(size_t from) {
    return {{"content-range", "bytes " + std::to_string(from) + "-9/10"}};
  }
  std::vector<std::string> asked_for_token;
};

constexpr const char* kTar = "application/vnd.oci.image.layer.v1.tar";
constexpr const char* kRaw = "application/octet-stream";
Json titled(const std::string& name) { return {{"org.opencontainers.image.title", name}}; }

TEST_CASE("files and archives of a registry become one folder", "[fetch][oci]") {
  RegistryFixture f;
  f.layer(kTar, tar_of("model/weights.bin", std::string(5000, 'w')));
  f.layer(kTar, tar_of("model/config.json", "{}"));
  f.layer(kRaw, "card", titled("README.md"));
  f.layer(kTar, "no tar: oras calls files so", titled("plain.txt"));
  f.layer(kTar, tar_of("model/config.json", "{\"later\": true}"));
  f.cuts = 3;
  CHECK(f.pull() == 0);
  CHECK(read(f.options.output / "model" / "weights.bin") == std::string(5000, 'w'));
  CHECK(read(f.options.output / "model" / "config.json") == "{\"later\": true}");
  CHECK(read(f.options.output / "README.md") == "card");
  CHECK(read(f.options.output / "plain.txt") == "no tar: oras calls files so");
  CHECK(f.said() == "fetched " + f.options.uri + ", 5 files");
  CHECK(f.asked_for_token == std::vector<std::string>{""});
  CHECK(f.run() == 0);  // the container restarts
}

TEST_CASE("an account gets a token, and a new one when that expires", "[fetch][oci]") {
  RegistryFixture f;
  f.options.credentials_dir = f.dir.path / "credentials";
  fs::create_directory(f.options.credentials_dir);
  write(f.options.credentials_dir / ".dockerconfigjson",
        R"({"auths": {"https://other.example/v1/": {"auth": "b3RoZXI="}, "registry.example": {"auth": "amFuZTpwYXNz"}}})");
  f.layer(kRaw, std::string(2000, 'x'), titled("a"));
  f.cuts = 1;
  const auto honest = f.http.respond;
  f.http.respond = [&, honest](const kube::HttpRequest& request) {
    if (RegistryFixture::header(request, "Range")) f.token = "second";
    return honest(request);
  };
  CHECK(f.pull() == 0);
  CHECK(f.asked_for_token == std::vector<std::string>{"Basic amFuZTpwYXNz", "Basic amFuZTpwYXNz"});
  write(f.options.credentials_dir / ".dockerconfigjson", R"({"auths": {"other.example": {"auth": "b3RoZXI="}}})");
  CHECK(f.run() == kFetchCredentials);
  CHECK_THAT(f.said(), Contains("has no entry for registry registry.example"));
  CHECK_THAT(f.log.str(), !Contains("amFuZTpwYXNz") && !Contains("second"));
}

TEST_CASE("who has no account, or the wrong one, is told", "[fetch][oci]") {
  RegistryFixture f;
  f.layer(kRaw, "x", titled("a"));
  f.http.respond = [](const kube::HttpRequest&) {
    return Attempt{401, "", {}, false, {{"www-authenticate", "Basic realm=\"x\""}}};
  };
  CHECK(f.pull() == kFetchCredentials);
  CHECK_THAT(f.said(), Contains("the registry requires credentials (HTTP 401); name a Secret in artifact.credentials"));
  f.options.credentials_dir = f.dir.path / "credentials";
  fs::create_directory(f.options.credentials_dir);
  write(f.options.credentials_dir / "username", "jane");
  write(f.options.credentials_dir / "password", "pass");
  CHECK(f.run() == kFetchCredentials);
  CHECK_THAT(f.said(), Contains("does not let this account pull team/fraud (HTTP 401); check the Secret"));
  f.http.respond = [](const kube::HttpRequest&) {
    return Attempt{401, "", {}, false, {{"www-authenticate", "Bearer realm=\"http://plain.example/\""}}};
  };
  CHECK(f.run() == kFetchCredentials);
  CHECK_THAT(f.said(), Contains("no token service with an https address"));
}

// A blob store behind a registry could name a token service, which then got the registry's account.
TEST_CASE("the account goes nowhere by the word of a host that the registry redirects to", "[fetch][oci]") {
  RegistryFixture f;
  f.layer(kRaw, "x", titled("a"));
  f.options.credentials_dir = f.dir.path / "credentials";
  fs::create_directory(f.options.credentials_dir);
  write(f.options.credentials_dir / "username", "jane");
  write(f.options.credentials_dir / "password", "pass");
  f.http.respond = [](const kube::HttpRequest&) {
    return Attempt{401, "", {}, false, {{"www-authenticate", "Bearer realm=\"https://thief.example/token\""}}, true};
  };
  CHECK(f.pull() == kFetchCredentials);
  CHECK_THAT(f.said(), Contains("redirects to requires other credentials"));
  for (const std::string& target : f.http.requests) CHECK_THAT(target, !Contains("thief.example"));
}

TEST_CASE("a registry that lies about a digest is found out", "[fetch][oci]") {
  for (const bool archive : {false, true}) {
    RegistryFixture f;
    f.layer(kTar, archive ? tar_of("a", "right") : "right", archive ? Json::object() : titled("a"));
    const std::string layer = f.layers[0]["digest"];
    f.blobs[layer] = archive ? tar_of("a", "wrong") : "wrong";
    CHECK(f.pull() == kFetchMismatch);
    CHECK_THAT(f.said(), StartsWith("digest mismatch: oci://") && Contains("the registry sent a layer with digest " +
                                                                           digest_of(f.blobs[layer]) + ", expected " + layer));
    CHECK(f.nothing_left());
  }
  RegistryFixture f;
  f.layer(kRaw, "x", titled("a"));
  f.refer_to("{}");
  f.blobs[f.options.digest] = "{\"another\": 1}";
  CHECK(f.run() == kFetchMismatch);
  CHECK_THAT(f.said(), Contains("the registry sent a manifest with digest"));
  f.options.digest = digest_of("other");
  CHECK(f.run() == kFetchUsage);
}

TEST_CASE("what the registry has not, or has too much of, is told", "[fetch][oci]") {
  RegistryFixture f;
  f.wants_token = false;
  f.layer(kRaw, "much too much", titled("a"));
  f.options.max_bytes = 5;
  CHECK(f.pull() == kFetchNoSource);
  CHECK_THAT(f.said(), Contains("larger than the 5 bytes"));
  f.options.max_bytes = 1 << 20;
  f.blobs.erase(digest_of("much too much"));
  CHECK(f.run() == kFetchNoSource);
  CHECK_THAT(f.said(), Contains("the registry has no team/fraud@"));
  CHECK(f.nothing_left());
  // A layer that is longer than the manifest says ends there.
  f.blobs[digest_of("much too much")] = std::string(100'000, 'x');
  CHECK(f.run() != 0);
  CHECK(f.nothing_left());
}

TEST_CASE("an index leads to the image for this machine", "[fetch][oci]") {
  const auto index = [](std::initializer_list<std::pair<const char*, const char*>> platforms) {
    Json manifests = Json::array();
    for (const auto& [os, architecture] : platforms)
      manifests.push_back(
          {{"digest", digest_of(std::string(os) + architecture)}, {"platform", {{"os", os}, {"architecture", architecture}}}});
    return Json({{"manifests", manifests}}).dump();
  };
  CHECK(fetch::read_manifest(index({{"linux", "arm64"}, {"linux", "amd64"}}), "amd64", 9)->image == digest_of("linuxamd64"));
  CHECK(fetch::read_manifest(index({{"windows", "arm64"}}), "amd64", 9)->image == digest_of("windowsarm64"));
  CHECK_THAT(fetch::read_manifest(index({{"linux", "arm64"}, {"linux", "s390x"}}), "amd64", 9).error().message,
             Contains("lists 2 images and none of them is for linux/amd64"));
}

TEST_CASE("a manifest that cannot be used says what is wrong", "[fetch][oci]") {
  const auto why = [](const std::string& text) {
    const auto read = fetch::read_manifest(text, "amd64", 1000);
    return read ? "" : read.error().message;
  };
  const auto one = [](Json layer) { return Json({{"layers", Json::array({std::move(layer)})}}).dump(); };
  const std::string digest = digest_of("x");
  CHECK_THAT(why("[]"), Contains("no JSON object"));
  CHECK_THAT(why("{\"layers\": []}"), Contains("has no layers"));
  CHECK_THAT(why(one({{"digest", "sha256:1"}, {"size", 1}})), Contains("layer 1 without digest"));
  CHECK_THAT(why(one({{"digest", digest}, {"size", -1}})), Contains("layer 1 without digest (sha256) or size"));
  CHECK_THAT(why(one({{"digest", digest}, {"size", 1}, {"mediaType", "text/plain"}})),
             Contains("\"text/plain\", which is not a tar"));
  CHECK_THAT(why(one({{"digest", digest}, {"size", 1}, {"annotations", titled("../evil")}})),
             Contains("points outside of the folder"));
  CHECK_THAT(why(one({{"digest", digest}, {"size", 1}, {"annotations", titled("/evil")}})), Contains("is absolute"));
  CHECK_THAT(why(one({{"digest", digest}, {"size", 1001}, {"annotations", titled("a")}})),
             Contains("larger than the 1000 bytes"));
  CHECK_THAT(why(one({{"digest", digest}, {"size", 2}, {"mediaType", "application/vnd.oci.empty.v1+json"}})),
             Contains("no layers with content"));
  // A model as CNCF's ModelPack writes it.
  const Json note = {{"org.cncf.model.filepath", "weights.bin"}};
  const auto raw = fetch::read_manifest(
      one({{"digest", digest}, {"size", 1}, {"mediaType", "application/vnd.cncf.model.weight.v1.raw"}, {"annotations", note}}),
      "amd64", 9);
  const auto tar = fetch::read_manifest(
      one({{"digest", digest}, {"size", 1}, {"mediaType", "application/vnd.cncf.model.weight.v1.tar"}, {"annotations", note}}),
      "amd64", 9);
  REQUIRE(raw);
  REQUIRE(tar);
  CHECK(raw->layers[0].path == "weights.bin");
  CHECK(tar->layers[0].path.empty());
}

}  // namespace
}  // namespace mo
