#include "operator/kube/access_review.h"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include "operator/kube/credentials.h"

namespace mo::kube {
namespace {

using Document = rapidjson::Document;
using Value = rapidjson::Value;

constexpr size_t kMaxAnswer = 1u << 20;  // groups and extra may be many

std::string text_of(const Document& document) {
  rapidjson::StringBuffer out;
  rapidjson::Writer<rapidjson::StringBuffer> writer(out);
  document.Accept(writer);
  return out.GetString();
}

// {"apiVersion":…,"kind":…,"spec":{}}
Document review(const char* api_version, const char* kind) {
  Document document(rapidjson::kObjectType);
  auto& memory = document.GetAllocator();
  document.AddMember("apiVersion", Value(api_version, memory), memory);
  document.AddMember("kind", Value(kind, memory), memory);
  document.AddMember("spec", Value(rapidjson::kObjectType), memory);
  return document;
}

const Value* member(const Value& object, const char* name) {
  if (!object.IsObject()) return nullptr;
  const auto it = object.FindMember(name);
  return it == object.MemberEnd() ? nullptr : &it->value;
}

bool is_true(const Value& object, const char* name) {
  const Value* value = member(object, name);
  return value && value->IsBool() && value->GetBool();
}

// The status of a review that was answered.
Result<const Value*> status_of(Document& document, const std::string& answer, const char* kind) {
  document.Parse<rapidjson::kParseIterativeFlag>(answer.data(), answer.size());
  const Value* status = document.HasParseError() ? nullptr : member(document, "status");
  if (!status || !status->IsObject())
    return fail(ErrorKind::Malformed, std::string("the answer to a ") + kind + " has no status");
  return status;
}

// The user as TokenReview tells it, in the words of a SubjectAccessReview.
Document access_review_of(const Value& user) {
  Document body = review("authorization.k8s.io/v1", "SubjectAccessReview");
  auto& memory = body.GetAllocator();
  Value& spec = body["spec"];
  for (const auto& [theirs, ours] : {std::pair("username", "user"), {"uid", "uid"}, {"groups", "groups"}, {"extra", "extra"}})
    if (const Value* value = member(user, theirs))
      spec.AddMember(rapidjson::StringRef(ours), Value(*value, memory), memory);
  return body;
}

void attribute(Document& body, Value& attributes, const char* name, const std::string& value) {
  attributes.AddMember(rapidjson::StringRef(name), Value(value.c_str(), body.GetAllocator()), body.GetAllocator());
}

std::string access_body(const Value& user, const std::string& path) {
  Document body = access_review_of(user);
  Value attributes(rapidjson::kObjectType);
  attribute(body, attributes, "path", path);
  attribute(body, attributes, "verb", "get");
  body["spec"].AddMember("nonResourceAttributes", attributes, body.GetAllocator());
  return text_of(body);
}

}  // namespace

AccessReviews::AccessReviews(std::unique_ptr<HttpTransport> transport, std::shared_ptr<Credentials> credentials,
                             ClientOptions options)
    : transport_(std::move(transport)), credentials_(std::move(credentials)), options_(std::move(options)) {}

Result<Identity> AccessReviews::who(const std::string& token, std::stop_token stop) {
  Document body = review("authentication.k8s.io/v1", "TokenReview");
  body["spec"].AddMember("token", Value(token.c_str(), body.GetAllocator()), body.GetAllocator());
  const auto who = post("tokenreviews", "/apis/authentication.k8s.io/v1/tokenreviews", text_of(body), stop);
  if (!who) return fail(who.error());
  Document told;
  const auto identity = status_of(told, *who, "TokenReview");
  if (!identity) return fail(identity.error());
  if (!is_true(**identity, "authenticated")) return Identity{};
  const Value* user = member(**identity, "user");
  const Value* name = user ? member(*user, "username") : nullptr;
  if (!name || !name->IsString() || name->GetStringLength() == 0)
    return fail(ErrorKind::Malformed, "the answer to a TokenReview names no user");
  Document copy;
  copy.CopyFrom(*user, copy.GetAllocator());
  return Identity{true, name->GetString(), text_of(copy)};
}

Result<AccessVerdict> AccessReviews::may_get(const std::string& path, const std::string& token,
                                             std::stop_token stop) {
  const auto who = this->who(token, stop);
  if (!who) return fail(who.error());
  if (!who->authenticated) return AccessVerdict{};
  Document user;
  user.Parse(who->user.c_str());
  const auto may = allowed(access_body(user, path), stop);
  if (!may) return fail(may.error());
  return AccessVerdict{true, *may, who->name};
}

Result<bool> AccessReviews::may_list(const Identity& who, const std::string& plural, const std::string& ns, std::stop_token stop) {
  Document user;
  user.Parse(who.user.c_str());
  Document body = access_review_of(user);
  Value attributes(rapidjson::kObjectType);
  for (const auto& [name, value] : {std::pair("group", std::string("modelops.dev")), {"resource", plural}, {"verb", std::string("list")}})
    attribute(body, attributes, name, value);
  if (!ns.empty()) attribute(body, attributes, "namespace", ns);
  body["spec"].AddMember("resourceAttributes", attributes, body.GetAllocator());
  return allowed(text_of(body), stop);
}

Result<bool> AccessReviews::allowed(const std::string& body, std::stop_token stop) {
  const auto may = post("subjectaccessreviews", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body, stop);
  if (!may) return fail(may.error());
  Document answered;
  const auto right = status_of(answered, *may, "SubjectAccessReview");
  if (!right) return fail(right.error());
  return is_true(**right, "allowed") && !is_true(**right, "denied");
}

// A 401 is about our own token: tried again once another one can be had.
Result<std::string> AccessReviews::post(const char* plural, const std::string& target, const std::string& body,
                                        const std::stop_token& stop) {
  for (bool again = false;; again = true) {
    const auto authorization = credentials_->authorization();
    if (!authorization) return fail(authorization.error());
    HttpRequest request{.method = "POST", .target = target, .headers = {}, .body = body, .deadline = options_.deadline,
                        .max_body = kMaxAnswer, .opened = {}};
    request.headers = {{"Accept", "application/json"},
                       {"Content-Type", "application/json"},
                       {"User-Agent", options_.program + "/" + options_.version}};
    if (!authorization->empty()) request.headers.emplace_back("Authorization", *authorization);
    const auto begin = std::chrono::steady_clock::now();
    auto response = transport_->send(request, stop);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    if (options_.observer) options_.observer("post", plural, response ? response->status : 0, took.count());
    if (!response) return fail(response.error());
    if (response->status >= 200 && response->status < 300) return std::move(response->body);
    if (response->status != 401 || again || !credentials_->refresh(*authorization)) return fail(error_of(*response));
  }
}

}  // namespace mo::kube
