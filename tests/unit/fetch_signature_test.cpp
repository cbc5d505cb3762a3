// Signatures: bundles that the real model_signing made (tests/unit/signatures), and what is not what it signed.
#include "operator/fetch/signature.h"
#include "operator/json/json.h"
#include "tests/unit/fetch_bench.h"

namespace mo {
namespace {

std::string fixture(const char* name) {
  const std::string text = read(fs::path(MO_SOURCE_DIR) / "tests/unit/signatures" / name);
  REQUIRE_FALSE(text.empty());
  return text;
}

const fetch::Files kFolder = {
    {".gitattributes", digest_of("anything")}, {"MLmodel", digest_of("flavor")}, {"data/größe.bin", digest_of("y")}};

TEST_CASE("a folder and a file that model_signing signed are taken", "[fetch][signature]") {
  const auto folder = fetch::verify_bundle(fixture("folder.sig"), fixture("p256.pub"));
  REQUIRE(folder);
  CHECK(folder->files.size() == 2);
  CHECK(folder->ignored.count(".gitattributes"));
  CHECK(fetch::compare(*folder, kFolder));
  const auto file = fetch::verify_bundle(fixture("file.sig"), fixture("p384.pub"));
  REQUIRE(file);
  CHECK(fetch::compare(*file, {{".", digest_of("{\"a\":1}")}}));
}

TEST_CASE("other files than those that were signed are told", "[fetch][signature]") {
  const auto statement = fetch::verify_bundle(fixture("folder.sig"), fixture("p256.pub"));
  REQUIRE(statement);
  const auto why = [&](fetch::Files files) {
    const auto same = fetch::compare(*statement, files);
    return same ? "" : same.error().message;
  };
  fetch::Files files = kFolder;
  files["MLmodel"] = digest_of("evil");
  CHECK(why(files) == "file \"MLmodel\" differs from what was signed");
  files = kFolder;
  files.erase("MLmodel");
  CHECK(why(files) == "the signed file \"MLmodel\" is missing");
  files = kFolder;
  files["evil.py"] = digest_of("x");
  CHECK(why(files) == "file \"evil.py\" is not signed");
  files = kFolder;
  files[".github/x"] = digest_of("x");
  CHECK(why(files) == "");
  files[".githubx"] = digest_of("x");
  CHECK(why(files) == "file \".githubx\" is not signed");
}

TEST_CASE("what that key did not sign is refused", "[fetch][signature]") {
  const auto why = [](const std::string& bundle, const std::string& key) {
    const auto read = fetch::verify_bundle(bundle, key);
    return read ? "" : read.error().message;
  };
  const std::string bundle = fixture("folder.sig"), key = fixture("p256.pub");
  CHECK_THAT(why(bundle, fixture("p384.pub")), Contains("not signed by the key of artifact.signature.publicKey"));
  CHECK_THAT(why(fixture("file.sig"), key), Contains("not signed by the key"));
  CHECK_THAT(why(bundle, "x"), Contains("no public key in PEM"));
  CHECK_THAT(why("<html>", key), Contains("not a JSON object"));
  CHECK_THAT(why("{}", key), Contains("no sigstore bundle"));
  const auto changed = [&](const std::function<void(Json&)>& change) {
    Json json = Json::parse(bundle);
    change(json);
    return why(json.dump(), key);
  };
  CHECK_THAT(changed([](Json& b) { b["dsseEnvelope"]["payload"] = "e30="; }), Contains("not signed by the key"));
  CHECK_THAT(changed([](Json& b) { b["dsseEnvelope"]["payload"] = "e30"; }), Contains("cannot be read"));
  CHECK_THAT(changed([](Json& b) { b["dsseEnvelope"]["payloadType"] = "text/plain"; }), Contains("cannot be read"));
  CHECK_THAT(changed([](Json& b) { b["dsseEnvelope"]["signatures"] = Json::array(); }), Contains("cannot be read"));
  CHECK_THAT(changed([](Json& b) { b["dsseEnvelope"] = 7; }), Contains("cannot be read"));
  CHECK_THAT(changed([](Json& b) {
               b["verificationMaterial"] = {{"x509CertificateChain", Json::object()}};
             }),
             Contains("certificate"));
}

TEST_CASE("nothing is put in place before its signature is right", "[fetch][signature]") {
  Fixture f;
  fs::create_directory(f.dir.path / "signature");
  f.options.signature_dir = f.dir.path / "signature";
  write(f.options.signature_dir / "file.sig", fixture("file.sig"));
  f.options.signature_uri = "configmap://signatures/file.sig";
  f.options.public_key = fixture("p384.pub");
  f.options.digest = digest_of("{\"a\":1}");
  f.http.attempts = {{200, "{\"a\":1}", {}, false, {}}};
  CHECK(f.run() == 0);
  CHECK_THAT(f.said(), Contains(", signed"));
  fs::remove(f.options.output);
  f.options.digest = digest_of("evil");
  f.http.attempts = {{200, "evil", {}, false, {}}};
  CHECK(f.run() == kFetchSignature);
  CHECK(f.said() == "bad signature: http://store/model.json: file \".\" differs from what was signed");
  CHECK(f.nothing_left());
  f.options.public_key = fixture("p256.pub");
  const size_t sent = f.http.requests.size();
  CHECK(f.run() == kFetchSignature);
  CHECK(f.http.requests.size() == sent);  // the artifact was not asked for
  f.options.signature_uri = "configmap://signatures/absent.sig";
  CHECK(f.run() == kFetchNoSource);
  CHECK_THAT(f.said(), StartsWith("signature configmap://signatures/absent.sig: cannot read absent.sig"));
}

TEST_CASE("the files of an image volume are those that were signed", "[fetch][signature]") {
  Fixture f;
  f.options.uri = "oci://store/team/fraud@" + digest_of("manifest");
  f.options.digest = digest_of("manifest");
  f.options.output = f.dir.path / "mounted";
  f.options.mounted = true;
  fs::create_directories(f.options.output / "data");
  write(f.options.output / ".gitattributes", "anything");
  write(f.options.output / "MLmodel", "flavor");
  write(f.options.output / "data/größe.bin", "y");
  CHECK(f.run() == 0);  // without a signature the files are no matter
  CHECK(f.said() == "mounted " + f.options.uri);
  f.options.signature_dir = f.dir.path;
  write(f.dir.path / "folder.sig", fixture("folder.sig"));
  f.options.signature_uri = "configmap://signatures/folder.sig";
  f.options.public_key = fixture("p256.pub");
  CHECK(f.run() == 0);
  CHECK(f.said() == "mounted " + f.options.uri + ", 3 files, signed");
  write(f.options.output / "MLmodel", "evil");
  CHECK(f.run() == kFetchSignature);
  CHECK_THAT(f.said(), StartsWith("bad signature: oci://store/team/fraud@") && Contains("\"MLmodel\" differs"));
  write(f.options.output / "MLmodel", "flavor");
  fs::create_symlink("/etc/passwd", f.options.output / "data/more");
  CHECK(f.run() == kFetchNoSource);
  CHECK_THAT(f.said(), Contains("\"data/more\" is neither a file nor a folder"));
  f.options.output = f.dir.path / "absent";
  CHECK(f.run() == kFetchNoSource);
  fs::create_directories(f.options.output / "data");
  CHECK(f.run() == kFetchNoSource);
  CHECK_THAT(f.said(), Contains("holds no file: it is not an image"));
  CHECK(f.http.requests.empty());
}

TEST_CASE("credentials of the artifact's host go to no other for the signature", "[fetch][signature]") {
  Fixture f;
  f.options.credentials_dir = f.dir.path / "credentials";
  fs::create_directory(f.options.credentials_dir);
  write(f.options.credentials_dir / "token", "abc");
  f.options.uri = "https://store/model.json";
  f.options.public_key = fixture("p256.pub");
  f.http.attempts = {{200, "no bundle", {}, false, {}}};
  f.options.signature_uri = "https://other/model.sig";
  CHECK(f.run() == kFetchSignature);
  CHECK(f.http.headers.empty());
  f.options.signature_uri = "https://store/model.sig";
  CHECK(f.run() == kFetchSignature);
  CHECK(f.http.headers.size() == 1);
}

}  // namespace
}  // namespace mo
