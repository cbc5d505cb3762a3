#include "operator/fetch/s3.h"

#include <algorithm>
#include <cctype>

#include "operator/core/percent.h"
#include "operator/core/text.h"
#include "operator/fetch/credentials.h"

namespace mo::fetch {
namespace {

constexpr const char* kUnsigned = "UNSIGNED-PAYLOAD";

// The text of <name>…</name>, as far as it is a plain word.
std::string element(std::string_view xml, std::string_view name) {
  const std::string open = "<" + std::string(name) + ">", close = "</" + std::string(name) + ">";
  const size_t begin = xml.find(open);
  if (begin == std::string_view::npos) return "";
  const std::string_view rest = xml.substr(begin + open.size());
  const std::string_view word = rest.substr(0, std::min(rest.find(close), rest.size()));
  const bool plain =
      word.size() <= 64 && std::all_of(word.begin(), word.end(), [](unsigned char c) { return std::isalnum(c) || c == '-'; });
  return plain ? std::string(word) : "";
}

// Reads settings, and says of one that cannot be used where it is.
class Reading {
 public:
  Reading(const S3Settings& settings, const S3Words& words) : settings_(settings), words_(words) {}

  Result<S3Bucket> bucket(const std::string& name) const {
    const std::string region = settings_("AWS_REGION").value_or("us-east-1");
    if (region.empty() || !std::all_of(region.begin(), region.end(), [](unsigned char c) { return std::isalnum(c) || c == '-'; }))
      return unusable("AWS_REGION", "must be a region such as eu-central-1");
    auto endpoint = this->endpoint(region);
    if (!endpoint) return fail(endpoint.error());
    auto keys = this->keys(region);
    if (!keys) return fail(keys.error());
    S3Bucket out{std::move(*endpoint), name, std::move(*keys), ""};
    if (const auto token = settings_("AWS_SESSION_TOKEN"); out.keys && token) {
      if (!is_word(*token)) return unusable("AWS_SESSION_TOKEN", "is empty or contains spaces or control characters");
      out.token = *token;
    }
    return out;
  }

 private:
  static bool is_word(const std::string& text) { return is_plain(text) && text.find(' ') == std::string::npos; }

  tl::unexpected<Error> unusable(const std::string& key, const std::string& why) const {
    return fail(ErrorKind::Unauthorized, "the key " + key + words_.place + " " + why);
  }

  Result<std::string> endpoint(const std::string& region) const {
    auto endpoint = settings_("AWS_ENDPOINT_URL");
    if (!endpoint) return "https://s3." + region + ".amazonaws.com";
    while (endpoint->ends_with('/')) endpoint->pop_back();
    const size_t scheme = endpoint->find("://");
    const bool http = endpoint->starts_with("http://") || endpoint->starts_with("https://");
    if (!http || endpoint->size() == scheme + 3 || endpoint->find_first_of(" @?#\\\t\r\n") != std::string::npos)
      return unusable("AWS_ENDPOINT_URL", "must be http(s)://host or http(s)://host:port");
    return *endpoint;
  }

  Result<std::optional<kube::S3Keys>> keys(const std::string& region) const {
    const auto id = settings_("AWS_ACCESS_KEY_ID"), secret = settings_("AWS_SECRET_ACCESS_KEY");
    if (!id && !secret) return std::nullopt;
    if (!id) return unusable("AWS_ACCESS_KEY_ID", "is missing, but AWS_SECRET_ACCESS_KEY is set");
    if (!secret) return unusable("AWS_SECRET_ACCESS_KEY", "is missing, but AWS_ACCESS_KEY_ID is set");
    if (!is_word(*id)) return unusable("AWS_ACCESS_KEY_ID", "is empty or contains spaces or control characters");
    if (!is_plain(*secret)) return unusable("AWS_SECRET_ACCESS_KEY", "is empty or contains control characters");
    return kube::S3Keys{*id, *secret, region};
  }

  const S3Settings& settings_;
  const S3Words& words_;
};

std::string named(const char* what, std::string_view name) {
  return std::string(what) + " \"" + whole_characters(name, 300) + "\"";
}

}  // namespace

Error s3_refusal(const kube::HttpResponse& answer, const std::string& bucket, const std::string& key, const std::string& endpoint,
                 const S3Words& words) {
  const std::string code = element(answer.body, "Code");
  const auto error = [&](ErrorKind kind, const std::string& text) {
    return Error{
        kind,
        text + " (" + (code.empty() ? "" : code + ", ") + "HTTP " + std::to_string(answer.status) + " of " + endpoint + ")",
        answer.status,
        {},
        {}};
  };
  if (code == "NoSuchBucket")
    return error(ErrorKind::NotFound, named("bucket", bucket) + " does not exist; check " + words.uri +
                                          ", and AWS_ENDPOINT_URL and AWS_REGION" + words.place);
  if (code == "NoSuchKey" || (code.empty() && answer.status == 404))
    return error(ErrorKind::NotFound, named("bucket", bucket) + " has no " + named("key", key) + "; check " + words.uri);
  if (code == "InvalidAccessKeyId" || code == "SignatureDoesNotMatch" || code == "InvalidToken" || code == "ExpiredToken")
    return error(
        ErrorKind::Unauthorized,
        std::string("the store does not know these keys; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN") +
            words.place);
  if (code == "RequestTimeTooSkewed")
    return error(ErrorKind::Unauthorized, "the clocks of this node and of the store differ by more than 15 minutes");
  if (code == "PermanentRedirect" || code == "AuthorizationHeaderMalformed" || code == "TemporaryRedirect" ||
      answer.status / 100 == 3) {
    const std::string region = element(answer.body, "Region");
    return error(ErrorKind::Invalid, named("bucket", bucket) + " is in another region" + (region.empty() ? "" : ", " + region) +
                                         "; set AWS_REGION" + words.place);
  }
  if (answer.status == 401 || answer.status == 403)
    return error(ErrorKind::Unauthorized,
                 words.denied + named("key", key) + " of " + named("bucket", bucket) + "; " + words.way_out);
  return error(ErrorKind::NotFound, words.refusal + named("key", key) + " of " + named("bucket", bucket));
}

S3Settings s3_settings_in(std::filesystem::path folder) {
  return [folder = std::move(folder)](const char* key) { return read_key(folder, key); };
}

std::pair<std::string, std::string> split_s3(std::string_view uri) {
  const std::string_view rest = uri.substr(std::min(std::string_view("s3://").size(), uri.size()));
  const size_t slash = std::min(rest.find('/'), rest.size());
  return {std::string(rest.substr(0, slash)), std::string(rest.substr(std::min(slash + 1, rest.size())))};
}

Result<S3Bucket> s3_bucket(const std::string& name, const S3Settings& settings, const S3Words& words) { return Reading(settings, words).bucket(name); }

Result<S3Bucket> s3_bucket(const std::string& name, const std::filesystem::path& folder) {
  if (folder.empty() || !std::filesystem::exists(folder))
    return fail(ErrorKind::Unauthorized,
                "s3:// needs artifact.credentials: a Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
  return s3_bucket(name, s3_settings_in(folder), {});
}

kube::HttpRequest s3_request(const S3Bucket& bucket, const std::string& method, const std::string& key,
                             const std::string& query, const std::string& payload) {
  kube::HttpRequest out;
  out.method = method;
  out.target = bucket.endpoint + "/" + bucket.name + "/" +
               percent_encoded(key, "/");  // as the signature has it: one way of writing each key
  if (!query.empty()) out.target += "?" + query;
  out.sign = bucket.keys;
  if (bucket.keys) out.headers.emplace_back("x-amz-content-sha256", payload.empty() ? kUnsigned : payload);
  if (!bucket.token.empty()) out.headers.emplace_back("x-amz-security-token", bucket.token);
  return out;
}

Result<Download> s3_download(std::string_view uri, const std::filesystem::path& folder, uint64_t max_bytes) {
  const auto [name, key] = split_s3(uri);
  const auto bucket = s3_bucket(name, folder);
  if (!bucket) return fail(bucket.error());
  Download out;
  out.request = s3_request(*bucket, "GET", key, "", "");
  out.shown = redact_uri(uri);
  out.max_bytes = max_bytes;
  out.refused = [name = name, key = key, endpoint = bucket->endpoint](const kube::HttpResponse& answer) {
    return s3_refusal(answer, name, key, endpoint);
  };
  return out;
}

}  // namespace mo::fetch
