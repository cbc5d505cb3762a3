#include "operator/evidence/outside.h"

#include <algorithm>
#include <cctype>

#include "operator/core/digest.h"
#include "operator/core/percent.h"
#include "operator/evidence/bounded_json.h"
#include "operator/kube/challenge.h"
#include "operator/kube/registry.h"

namespace mo::evidence {
namespace {

constexpr std::chrono::seconds kLookPatience{10};  // for all requests of one look
constexpr size_t kLongestNumber = 18;  // digits

std::string host_of(const std::string& url) {
  const auto origin = web_origin(url);
  return origin ? origin->host : "the server";
}

bool is_digits(const std::string& text) {
  return !text.empty() && text.size() <= kLongestNumber &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
}

// MLflow writes large numbers as numbers or as texts, from release to release.
std::string number_of(const nlohmann::json& object, const char* member) {
  const nlohmann::json value = member_of(object, member);
  const std::string text = value.is_number_unsigned() ? value.dump() : value.is_string() ? value.get<std::string>() : "";
  return is_digits(text) ? text : "";
}

tl::unexpected<Error> refused(const std::string& host, int status) {
  const std::string said = host + " answers " + std::to_string(status);
  if (status / 100 == 3)
    return fail(ErrorKind::Invalid, host + " answered with a redirect (" + std::to_string(status) +
                                        "), which is not followed: use the target address");
  if (status == 401 || status == 403)
    return fail(ErrorKind::Invalid, said + ": it requires a token; add one for this namespace to the operator's --web-gate-tokens");
  return fail(ErrorKind::Invalid, said);
}

bool is_digest(const std::string& text) {
  return text.size() == 71 && text.starts_with("sha256:") && text.find_first_not_of("0123456789abcdef", 7) == std::string::npos;
}

// One is the other, or lies below it: auth.docker.io and docker.io, registry.gitlab.com and gitlab.com.
bool of_one_domain(const std::string& a, const std::string& b) { return a == b || a.ends_with("." + b) || b.ends_with("." + a); }

struct Tag {
  std::string registry, repository, tag;
};
Result<Tag> read_tag(const std::string& reference) {
  const size_t slash = reference.find('/'), colon = reference.rfind(':');
  if (slash == std::string::npos || slash == 0 || colon == std::string::npos || colon < slash + 2 ||
      colon + 1 == reference.size())
    return fail(ErrorKind::Invalid, "dataset.oci.reference must be registry/repository:tag");
  return Tag{reference.substr(0, slash), reference.substr(slash + 1, colon - slash - 1), reference.substr(colon + 1)};
}

}  // namespace

Result<std::string> version_of_alias(std::string_view answer) {
  const nlohmann::json document = parse_bounded(answer);
  const nlohmann::json version = document.is_discarded() ? nlohmann::json() : member_of(document, "model_version");
  const std::string number = number_of(version, "version"), made = number_of(version, "creation_timestamp");
  if (number.empty())
    return fail(ErrorKind::Malformed,
                "did not send an answer of the MLflow registry API: registry.mlflow.url must be the address of an MLflow server");
  const std::string status = text_of(version, "status");
  if (!status.empty() && status != "READY")
    return fail(ErrorKind::Invalid,
                "points to version " + number + " with status " + status + "; only a READY version is imported");
  return number + "@" + (made.empty() ? "0" : made);
}

Result<kube::HttpResponse> Outside::ask(const Caller& caller, const char* method, const std::string& url, const std::string& accept,
                                        const Authorization& authorization) const {
  auto request = web_.request(caller.ns, url);
  if (!request) return fail(request.error());
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(caller.until - std::chrono::steady_clock::now());
  if (left.count() <= 0) return fail(ErrorKind::Transport, host_of(url) + " did not answer in time");
  request->deadline = std::min(request->deadline, left);
  request->method = method;
  if (!accept.empty()) request->headers.emplace_back("Accept", accept);
  if (authorization) {
    std::erase_if(request->headers, [](const auto& header) { return header.first == "Authorization"; });
    if (!authorization->empty()) request->headers.emplace_back("Authorization", *authorization);
  }
  auto answer = http_.send(*request, caller.stop);
  if (answer) return answer;
  const std::string host = host_of(url);
  const bool forbidden = answer.error().kind == ErrorKind::Forbidden, too_long = answer.error().kind == ErrorKind::Malformed;
  Error error = answer.error();
  error.message = (forbidden  ? "cannot ask "
                   : too_long ? "cannot use what "
                              : "cannot reach ") +
                  host + (too_long ? " answers: " : ": ") + error.message;
  return fail(std::move(error));
}

Result<std::string> Outside::look(const std::string& ns, const AskOutside& question, std::stop_token stop) const {
  const Caller caller{ns, stop, std::chrono::steady_clock::now() + kLookPatience};
  switch (question.what) {
    case AskOutside::What::Http:
      return look_at_page(caller, question.address);
    case AskOutside::What::OciTag:
      return look_at_tag(caller, question.address);
    case AskOutside::What::MlflowAlias:
      break;
  }
  return look_at_alias(caller, question);
}

// A server that answers HEAD by an error of its own is asked again later: with a GET in its place, one that names ETags now and
// then would look as if its data had changed.
Result<std::string> Outside::look_at_page(const Caller& caller, const std::string& url) const {
  const auto head = ask(caller, "HEAD", url, "");
  if (!head) return fail(head.error());
  const bool no_heads = head->status == 405 || head->status == 501;
  if (head->status / 100 != 2 && !no_heads) return refused(host_of(url), head->status);
  if (const std::string* etag = head->header("etag"); etag && !no_heads && !etag->empty()) {
    // A proxy that packs an answer makes a weak tag of a strong one.
    const bool weak = etag->starts_with("W/");
    return "etag:" + sha256_of(weak ? std::string_view(*etag).substr(2) : std::string_view(*etag)).substr(7, 32);
  }
  const auto page = ask(caller, "GET", url, "");
  if (!page && page.error().kind == ErrorKind::Malformed)
    return fail(
        ErrorKind::Invalid,
        page.error().message +
            "; without an ETag the response may have at most 1 MiB: use a small file, such as one with the digest of the data");
  if (!page) return fail(page.error());
  if (page->status / 100 != 2) return refused(host_of(url), page->status);
  return sha256_of(page->body);
}

Result<std::string> Outside::look_at_tag(const Caller& caller, const std::string& reference) const {
  const auto tag = read_tag(reference);
  if (!tag) return fail(tag.error());
  const std::string url = kube::repository_url(tag->registry, tag->repository) + "/manifests/" + tag->tag;
  Authorization authorization;
  auto answer = ask(caller, "HEAD", url, kube::kManifestTypes, authorization);
  if (answer && answer->status == 401) {
    const auto token = token_for(*answer, caller, tag->registry, tag->repository);
    if (!token) return fail(token.error());
    authorization = "Bearer " + *token;
    answer = ask(caller, "HEAD", url, kube::kManifestTypes, authorization);
  }
  if (!answer) return fail(answer.error());
  const std::string* digest = answer->header("docker-content-digest");
  if (answer->status / 100 == 2 && digest && is_digest(*digest)) return *digest;
  // A registry need not name the digest; the manifest's own is the same.
  if (answer->status / 100 == 2 || answer->status == 405) answer = ask(caller, "GET", url, kube::kManifestTypes, authorization);
  if (!answer) return fail(answer.error());
  if (answer->status == 404) return fail(ErrorKind::Invalid, tag->registry + " has no " + tag->repository + ":" + tag->tag);
  if (answer->status / 100 != 2) return refused(tag->registry, answer->status);
  return sha256_of(answer->body);
}

// What everybody may read is read by a token that everybody gets: the registry, which anybody may run, does not choose where the operator's
// own token goes, nor whose answer it is sent.
Result<std::string> Outside::token_for(const kube::HttpResponse& refusal, const Caller& caller, const std::string& registry,
                                       const std::string& repository) const {
  const std::string* challenge = refusal.header("www-authenticate");
  const bool bearer = challenge && (challenge->starts_with("Bearer ") || challenge->starts_with("bearer "));
  const std::string url = bearer ? kube::token_url(kube::challenge_parameters(*challenge), repository) : "";
  if (url.empty())
    return fail(ErrorKind::Invalid, registry + " answered 401: the repository must be public, or the operator's --web-gate-tokens must have a token "
                                               "for this registry and namespace");
  if (!of_one_domain(host_of(url), registry.substr(0, registry.find(':'))))
    return fail(ErrorKind::Invalid, registry + " requests a token from " + host_of(url) + ", a host of another domain, which is not allowed");
  const auto answer = ask(caller, "GET", url, "application/json", "");
  if (!answer) return fail(answer.error());
  if (answer->status / 100 != 2) return refused(host_of(url), answer->status);
  const nlohmann::json body = parse_bounded(answer->body);
  for (const char* name : {"token", "access_token"}) {
    const std::string token = body.is_discarded() ? "" : text_of(body, name);
    const bool plain = std::all_of(token.begin(), token.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
    if (!token.empty() && token.size() <= kube::kLongestToken && plain) return token;
  }
  return fail(ErrorKind::Invalid, "the registry's token service, " + host_of(url) + ", sent no token");
}

Result<std::string> Outside::look_at_alias(const Caller& caller, const AskOutside& question) const {
  const std::string url = question.address + "/api/2.0/mlflow/registered-models/alias?name=" + percent_encoded(question.model) +
                          "&alias=" + percent_encoded(question.alias);
  const auto answer = ask(caller, "GET", url, "application/json");
  if (!answer) return fail(answer.error());
  const std::string host = host_of(url);
  // An alias that is not there is an INVALID_PARAMETER_VALUE to MLflow, and a model that is not there is none that exists.
  if (answer->status == 400 || answer->status == 404) {
    const nlohmann::json body = parse_bounded(answer->body);
    const std::string code = body.is_discarded() ? "" : text_of(body, "error_code");
    if (code == "RESOURCE_DOES_NOT_EXIST" || code == "INVALID_PARAMETER_VALUE")
      return fail(ErrorKind::Invalid, "MLflow at " + host + " has no registered model \"" + question.model + "\" with alias \"" +
                                          question.alias + "\"");
    return fail(ErrorKind::Invalid, host + " answers " + std::to_string(answer->status) +
                                        ", which is not an answer of MLflow: registry.mlflow.url must be the address of an MLflow server");
  }
  if (answer->status / 100 != 2) return refused(host, answer->status);
  auto version = version_of_alias(answer->body);
  if (version) return version;
  return fail(ErrorKind::Invalid,
              (version.error().kind != ErrorKind::Malformed ? "alias \"" + question.alias + "\" of \"" + question.model + "\" "
                                                           : host + " ") +
                  version.error().message);
}

}  // namespace mo::evidence
