#include "operator/fetch/signature.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <memory>
#include <optional>
#include <vector>

#include "operator/core/text.h"
#include "operator/fetch/sha256.h"
#include "operator/json/json.h"

namespace mo::fetch {
namespace {

constexpr const char* kPayloadType = "application/vnd.in-toto+json";
constexpr const char* kStatement = "https://in-toto.io/Statement/v1";
constexpr const char* kPredicate = "https://model_signing/signature/v1.0";

struct FreeKey {
  void operator()(BIO* b) const { BIO_free(b); }
  void operator()(EVP_PKEY* k) const { EVP_PKEY_free(k); }
  void operator()(EVP_MD_CTX* c) const { EVP_MD_CTX_free(c); }
};
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;

tl::unexpected<Error> untrusted(const std::string& why) { return fail(ErrorKind::Unauthorized, why); }

const Json& value_at(const Json& object, std::initializer_list<const char*> path) {
  static const Json none;
  const Json* found = &object;
  for (const char* name : path) {
    const auto it = found->is_object() ? found->find(name) : found->end();
    if (it == found->end()) return none;
    found = &*it;
  }
  return *found;
}
std::string text_in(const Json& object, std::initializer_list<const char*> path) {
  const Json& value = value_at(object, path);
  return value.is_string() ? value.get<std::string>() : "";
}

std::optional<std::string> unbase64(const std::string& text) {
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  std::string out(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  out.resize(static_cast<size_t>(size) - padding);
  return out;
}

Key read_key_of(const std::string& pem) {
  const std::unique_ptr<BIO, FreeKey> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return Key(bio ? PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr) : nullptr);
}

// The hash goes with the curve, as sigstore has it.
const EVP_MD* hash_of_key(EVP_PKEY* key) {
  if (EVP_PKEY_base_id(key) != EVP_PKEY_EC) return nullptr;
  switch (EVP_PKEY_bits(key)) {
    case 256:
      return EVP_sha256();
    case 384:
      return EVP_sha384();
    case 521:
      return EVP_sha512();
    default:
      return nullptr;
  }
}

bool signed_by(EVP_PKEY* key, const EVP_MD* hash, const std::string& payload, const std::string& signature) {
  const std::string message = "DSSEv1 " + std::to_string(std::string_view(kPayloadType).size()) + " " + kPayloadType + " " +
                              std::to_string(payload.size()) + " " + payload;
  const std::unique_ptr<EVP_MD_CTX, FreeKey> context(EVP_MD_CTX_new());
  return context && EVP_DigestVerifyInit(context.get(), nullptr, hash, nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
                          reinterpret_cast<const unsigned char*>(message.data()), message.size()) == 1;
}

Result<Statement> read_statement(const std::string& payload) {
  const Result<Json> said = parse_json(payload, kLargestBundle, 16);
  if (!said) return untrusted("its signed statement is no JSON");
  if (text_in(*said, {"_type"}) != kStatement || text_in(*said, {"predicateType"}) != kPredicate)
    return untrusted("its signed statement is not of the type " + std::string(kPredicate) +
                     "; sign it with model_signing 1.0 or later");
  const std::string method = text_in(*said, {"predicate", "serialization", "method"}),
                    hash = text_in(*said, {"predicate", "serialization", "hash_type"});
  if (method != "files" || hash != "sha256")
    return untrusted("it signs " + whole_characters(method, 50) + " by " + whole_characters(hash, 50) +
                     ", and only files by sha256 are supported");
  Statement out;
  if (const Json& ignored = value_at(*said, {"predicate", "serialization", "ignore_paths"}); ignored.is_array())
    for (const Json& path : ignored)
      if (path.is_string()) out.ignored.insert(path.get<std::string>());
  const Json& resources = value_at(*said, {"predicate", "resources"});
  if (!resources.is_array()) return untrusted("its signed statement names no files");
  for (const Json& one : resources) {
    const std::string name = text_in(one, {"name"}), digest = "sha256:" + text_in(one, {"digest"});
    if (text_in(one, {"algorithm"}) != "sha256" || !is_digest(digest) || !out.files.emplace(name, digest).second)
      return untrusted("its signed statement has an entry that cannot be used: " + whole_characters(name, 200));
  }
  return out;
}

bool is_ignored(const Statement& statement, const std::string& path) {
  for (size_t end = path.find('/');; end = path.find('/', end + 1)) {
    if (statement.ignored.count(path.substr(0, end))) return true;
    if (end == std::string::npos) return false;
  }
}

}  // namespace

Result<Statement> verify_bundle(std::string_view bundle, const std::string& public_key) {
  const Key key = read_key_of(public_key);
  if (!key) return untrusted("artifact.signature.publicKey is no public key in PEM");
  const EVP_MD* hash = hash_of_key(key.get());
  if (!hash) return untrusted("artifact.signature.publicKey is no elliptic curve key of P-256, P-384 or P-521");
  const Result<Json> parsed = parse_json(bundle, kLargestBundle, 16);
  if (!parsed || !parsed->is_object()) return untrusted("the signature is no bundle of model_signing: it is not a JSON object");
  if (!text_in(*parsed, {"mediaType"}).starts_with("application/vnd.dev.sigstore.bundle"))
    return untrusted("the signature is no sigstore bundle as model_signing writes it");
  if (!value_at(*parsed, {"verificationMaterial", "publicKey"}).is_object())
    return untrusted("it was made with a certificate, and only keys are supported; sign it with model_signing sign key");
  const Json& signatures = value_at(*parsed, {"dsseEnvelope", "signatures"});
  const auto payload = unbase64(text_in(*parsed, {"dsseEnvelope", "payload"}));
  const auto signature = unbase64(signatures.is_array() && signatures.size() == 1 ? text_in(signatures[0], {"sig"}) : "");
  if (!payload || !signature || text_in(*parsed, {"dsseEnvelope", "payloadType"}) != kPayloadType)
    return untrusted("the signature's envelope cannot be read");
  if (!signed_by(key.get(), hash, *payload, *signature))
    return untrusted("it is not signed by the key of artifact.signature.publicKey");
  return read_statement(*payload);
}

Result<void> compare(const Statement& statement, const Files& files) {
  for (const auto& [path, digest] : statement.files) {
    const auto found = files.find(path);
    if (found == files.end()) return untrusted("the signed file \"" + whole_characters(path, 200) + "\" is missing");
    if (found->second != digest) return untrusted("file \"" + whole_characters(path, 200) + "\" differs from what was signed");
  }
  for (const auto& [path, digest] : files)
    if (!statement.files.count(path) && !is_ignored(statement, path))
      return untrusted("file \"" + whole_characters(path, 200) + "\" is not signed");
  return {};
}

}  // namespace mo::fetch
