#include "operator/evidence/web.h"

#include <charconv>
#include <fstream>
#include <regex>

#include "operator/evidence/bounded_json.h"

namespace mo::evidence {
namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr size_t kMaxAnswer = 1u << 20;
constexpr size_t kMaxToken = 16u << 10;

Reading nothing(std::string problem) { return {std::nullopt, std::move(problem)}; }

// Nobody reads by a gate what only the operator may: of an answer its kind and size are told, none of its words.
std::string kind_of(const nlohmann::json& value) {
  if (value.is_string()) return "a text of " + std::to_string(value.get_ref<const std::string&>().size()) + " bytes";
  if (value.is_structured()) return "an " + std::string(value.type_name()) + " of " + std::to_string(value.size());
  return value.is_null() ? "null" : "a " + std::string(value.type_name());
}

// Takes one "[n]" or member from the front of `path`; nullptr if it isn't there.
const nlohmann::json* step(const nlohmann::json& from, std::string_view& path) {
  if (path.front() == '[') {
    size_t index = 0;
    const char* end = path.data() + path.size();
    const auto [rest, error] = std::from_chars(path.data() + 1, end, index);
    if (error != std::errc{} || rest == end || *rest != ']') return nullptr;
    path.remove_prefix(rest + 1 - path.data());
    return from.is_array() && index < from.size() ? &from[index] : nullptr;
  }
  if (path.front() == '.') path.remove_prefix(1);
  const size_t end = std::min(path.find_first_of(".["), path.size());
  const std::string name(path.substr(0, end));
  path.remove_prefix(end);
  if (!from.is_object()) return nullptr;
  const auto it = from.find(name);
  return it == from.end() ? nullptr : &*it;
}

// The file's text without white space at its end; empty if there is none.
std::string read_token(const std::filesystem::path& path) {
  std::string token(kMaxToken, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(token.data(), static_cast<std::streamsize>(token.size()));
  token.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  while (!token.empty() && std::isspace(static_cast<unsigned char>(token.back()))) token.pop_back();
  return token;
}

}  // namespace

Reading value_at(std::string_view json, const std::string& path) {
  const nlohmann::json document = parse_bounded(json);
  if (document.is_discarded()) return nothing("the answer, of " + std::to_string(json.size()) + " bytes, is not JSON");
  const nlohmann::json* found = &document;
  for (std::string_view rest = path; !rest.empty();)
    if (found = step(*found, rest); !found) return nothing("the answer, " + kind_of(document) + ", has nothing at " + path);
  const std::string text = found->is_string() ? found->get<std::string>() : found->dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  const auto value = found->is_number() || found->is_string() ? Decimal::parse(text) : std::nullopt;
  if (!value) return nothing("the value of the answer at " + (path.empty() ? "its root" : path) + " is not a number but " + kind_of(*found));
  return {value, ""};
}

std::string token_name(const std::string& ns, const WebOrigin& server) {
  return ns + "_" + server.host + (server.port == 443 ? "" : "_" + std::to_string(server.port));
}

bool is_token_name(const std::string& file) {
  static const std::regex shape("([a-z0-9]([-a-z0-9]*[a-z0-9])?)?_[a-z0-9][-.a-z0-9]*(_[0-9]{1,5})?");
  return std::regex_match(file, shape);
}

Web::Web(kube::HttpTransport& http, std::filesystem::path tokens, WebAccess access)
    : http_(http), tokens_(std::move(tokens)), access_(std::move(access)) {}

Result<kube::HttpRequest> Web::request(const std::string& ns, const std::string& url, bool of_cluster) const {
  const auto server = web_origin(url);
  if (!server) return fail(server.error());
  const std::string& host = server->host;
  if (const std::string why = access_.refuse_host(host); !why.empty()) return fail(ErrorKind::Forbidden, "cannot ask " + host + ": " + why);
  kube::HttpRequest request;
  request.target = url;
  request.deadline = kPatience;
  request.max_body = kMaxAnswer;
  request.refuse_peer = [this, host](const std::string& address, int port) { return access_.refuse_peer(host, address, port); };
  if (!tokens_.empty() && server->scheme == "https" && !host.starts_with('['))
    if (const std::string token = read_token(tokens_ / token_name(of_cluster ? "" : ns, *server)); !token.empty())
      request.headers.emplace_back("Authorization", "Bearer " + token);
  return request;
}

Reading Web::get(const std::string& ns, const AskWeb& question, std::stop_token stop) const {
  auto request = this->request(ns, question.url, question.of_cluster);
  if (!request) return nothing(request.error().message);
  const std::string host = web_origin(question.url)->host;
  request->headers.emplace_back("Accept", "application/json");
  const auto answer = http_.send(*request, stop);
  if (!answer && answer.error().kind == ErrorKind::Forbidden) return nothing("cannot ask " + host + ": " + answer.error().message);
  if (!answer) return nothing("cannot use what " + host + " answers: " + answer.error().message);
  if (answer->status / 100 == 3)
    return nothing(host + " answered with a redirect (" + std::to_string(answer->status) + "), which is not followed: use the target address");
  if (answer->status / 100 != 2)
    return nothing(host + " answers " + std::to_string(answer->status));
  return value_at(answer->body, question.path);
}

}  // namespace mo::evidence
