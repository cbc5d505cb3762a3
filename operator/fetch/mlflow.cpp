#include "operator/fetch/mlflow.h"

#include <ostream>
#include <vector>

#include "operator/core/decimal.h"
#include "operator/core/percent.h"
#include "operator/core/text.h"
#include "operator/fetch/credentials.h"
#include "operator/fetch/fetch.h"

namespace mo::fetch {
namespace {

constexpr const char* kApi = "/api/2.0/mlflow/";
constexpr const char* kProxy = "/api/2.0/mlflow-artifacts/artifacts";
constexpr const char* kScheme = "mlflow-artifacts:";
constexpr size_t kLargestAnswer = 8u << 20;

const Json& member(const Json& object, const char* name) {
  static const Json none;
  const auto it = object.is_object() ? object.find(name) : object.end();
  return it == object.end() ? none : *it;
}
std::string text_member(const Json& object, const char* name) {
  const Json& value = member(object, name);
  return value.is_string() ? value.get<std::string>() : value.is_number_unsigned() ? value.dump() : "";
}

// NaN and infinities come as texts.
void add_metrics(const Json& list, std::map<std::string, std::string>& out) {
  if (!list.is_array()) return;
  for (const Json& one : list) {
    const std::string name = text_member(one, "key");
    const Json& value = member(one, "value");
    const std::string text = value.is_number() ? value.dump() : "";
    if (!name.empty() && Decimal::parse(text)) out[name] = text;
  }
}
void add_texts(const Json& list, std::map<std::string, std::string>& out) {
  if (!list.is_array()) return;
  for (const Json& one : list)
    if (const std::string name = text_member(one, "key"); !name.empty()) out[name] = text_member(one, "value");
}

}  // namespace

Record read_record(const Json& run, const Json& logged_model) {
  Record out;
  const Json &of_run = member(member(run, "run"), "data"), &of_model = member(member(logged_model, "model"), "data");
  std::map<std::string, std::string> tags;
  for (const Json* data : {&of_run, &of_model}) {
    add_metrics(member(*data, "metrics"), out.metrics);
    add_texts(member(*data, "params"), out.parameters);
  }
  add_texts(member(of_run, "tags"), tags);
  out.repository = tags["mlflow.source.git.repoURL"];
  out.revision = tags["mlflow.source.git.commit"];
  return out;
}

namespace {

Error of_registry(Error error) {
  constexpr std::string_view field = "artifact.credentials";
  if (const size_t at = error.message.find(field); at != std::string::npos)
    error.message.replace(at, field.size(), "registry.mlflow.credentials");
  return error;
}

}  // namespace

Result<std::string> mlflow_authorization(const std::filesystem::path& folder, const std::string& url) {
  if (folder.empty()) return "";
  auto text = read_authorization(folder);
  if (text && !url.starts_with("https://"))
    return fail(
        ErrorKind::Invalid,
        "credentials are sent only to https:// addresses, but registry.mlflow.url is " + redact_uri(url));
  if (text) return text;
  const bool ca_alone =
      !ca_file(folder).empty() && !read_key(folder, "token") && !read_key(folder, "username");
  return ca_alone ? Result<std::string>("") : fail(of_registry(text.error()));
}

Mlflow::Mlflow(kube::PlainTransport& http, std::string url, std::string authorization, const Deadline& deadline,
               Duration first_retry, std::ostream& log)
    : http_(http),
      url_(std::move(url)),
      authorization_(std::move(authorization)),
      deadline_(deadline),
      first_retry_(first_retry),
      log_(log) {}

Result<kube::HttpResponse> Mlflow::get(const std::string& path) { return call("GET", path, ""); }

Result<kube::HttpResponse> Mlflow::call(const char* method, const std::string& path, std::string body) {
  kube::HttpRequest request;
  request.method = method;
  request.target = url_ + path;
  request.headers = {{"Accept", "application/json"}};
  if (!body.empty()) request.headers.emplace_back("Content-Type", "application/json");
  request.body = std::move(body);
  if (!authorization_.empty()) request.headers.emplace_back("Authorization", authorization_);
  return ask(http_, std::move(request), redact_uri(url_), kLargestAnswer, deadline_, first_retry_, log_);
}

Result<Json> Mlflow::get_json(const std::string& path, const std::string& what) {
  const auto answer = get(path);
  if (!answer) return fail(answer.error());
  if (answer->status / 100 != 2) return fail(refusal(*answer, what));
  auto json = parse_json(answer->body, kLargestAnswer);
  if (json && json->is_object()) return json;
  return fail(ErrorKind::Invalid,
              "its answer is not from MLflow; registry.mlflow.url must be the address of an MLflow server");
}

Error Mlflow::refusal(const kube::HttpResponse& answer, const std::string& what, const char* to_do) const {
  const std::string http = " (HTTP " + std::to_string(answer.status) + ")";
  const auto error = [&](ErrorKind kind, const std::string& text) { return Error{kind, text + http, answer.status, {}, {}}; };
  if (answer.status == 401 || answer.status == 403)
    return error(ErrorKind::Unauthorized,
                 authorization_.empty()
                     ? "MLflow requires credentials; name a Secret in registry.mlflow.credentials"
                     : std::string("MLflow does not let this account ") + to_do + " " + what +
                           "; check the Secret of registry.mlflow.credentials");
  if (answer.status / 100 == 3)
    return error(ErrorKind::Invalid, "it answered with a redirect, which is not followed: use the target address");
  const auto body = parse_json(answer.body, 64u << 10);
  const std::string code = body ? text_member(*body, "error_code") : "";
  if (code == "RESOURCE_DOES_NOT_EXIST" || code == "INVALID_PARAMETER_VALUE")
    return error(ErrorKind::NotFound, "MLflow has no " + what);
  if (answer.status == 404)
    return error(ErrorKind::NotFound, "it has no " + what + ", or is not an MLflow server; check registry.mlflow.url");
  return error(ErrorKind::NotFound, "it does not serve " + what);
}

Result<Tags> Mlflow::tags_of(const std::string& model, const std::string& number) {
  const std::string what = "version " + number + " of registered model \"" + model + "\"";
  const auto answer = get_json(std::string(kApi) + "model-versions/get?name=" + percent_encoded(model) +
                                   "&version=" + percent_encoded(number),
                               what);
  if (!answer) return fail(answer.error());
  Tags tags;
  add_texts(member(member(*answer, "model_version"), "tags"), tags);
  return tags;
}

Result<void> Mlflow::write(const char* method, const std::string& path, const Json& body,
                           const std::string& what) {
  const auto answer = call(method, kApi + path, body.dump(-1, ' ', false, Json::error_handler_t::replace));
  if (!answer) return fail(answer.error());
  if (answer->status / 100 != 2) return fail(refusal(*answer, what, "write to"));
  return {};
}

Result<void> Mlflow::set_tag(const std::string& model, const std::string& number, const std::string& key,
                             const std::string& value) {
  return write("POST", "model-versions/set-tag",
               {{"name", model}, {"version", number}, {"key", key}, {"value", value}},
               "version " + number + " of registered model \"" + model + "\"");
}

Result<void> Mlflow::set_alias(const std::string& model, const std::string& alias,
                               const std::string& number) {
  return write("POST", "registered-models/alias", {{"name", model}, {"alias", alias}, {"version", number}},
               "version " + number + " of registered model \"" + model + "\"");
}

Result<void> Mlflow::delete_alias(const std::string& model, const std::string& alias) {
  return write("DELETE", "registered-models/alias", {{"name", model}, {"alias", alias}},
               "registered model \"" + model + "\"");
}

Result<RegisteredVersion> Mlflow::read_version(const Result<Json>& answer, const std::string& what) const {
  if (!answer) return fail(answer.error());
  const Json& version = member(*answer, "model_version");
  RegisteredVersion out{text_member(version, "version"), text_member(version, "run_id"), text_member(version, "model_id")};
  if (out.number.empty())
    return fail(ErrorKind::Invalid,
                "it names no version for " + what + "; registry.mlflow.url must be the address of an MLflow server");
  if (const std::string status = text_member(version, "status"); !status.empty() && status != "READY")
    return fail(ErrorKind::NotFound, what + " is " + status + "; only a READY version is imported");
  // Releases before a field of its own have it in the source alone.
  const std::string source = text_member(version, "source");
  if (out.model_id.empty() && source.starts_with("models:/m-")) out.model_id = source.substr(std::string_view("models:/").size());
  return out;
}

Result<RegisteredVersion> Mlflow::version(const std::string& model, const std::string& number) {
  const std::string what = "version " + number + " of registered model \"" + model + "\"";
  return read_version(
      get_json(std::string(kApi) + "model-versions/get?name=" + percent_encoded(model) + "&version=" + percent_encoded(number),
               what),
      what);
}

Result<RegisteredVersion> Mlflow::version_of_alias(const std::string& model, const std::string& alias) {
  const std::string what = "registered model \"" + model + "\" with alias \"" + alias + "\"";
  return read_version(
      get_json(std::string(kApi) + "registered-models/alias?name=" + percent_encoded(model) + "&alias=" + percent_encoded(alias),
               what),
      what);
}

Result<std::string> Mlflow::folder_of(const std::string& model, const std::string& number) {
  const std::string what = "files of version " + number + " of \"" + model + "\"";
  const auto answer = get_json(std::string(kApi) + "model-versions/get-download-uri?name=" + percent_encoded(model) +
                                   "&version=" + percent_encoded(number),
                               what);
  if (!answer) return fail(answer.error());
  const std::string uri = text_member(*answer, "artifact_uri");
  if (!uri.starts_with(kScheme))
    return fail(
        ErrorKind::NotFound,
        "the files of version " + number + " lie at " + redact_uri(whole_characters(uri, 300)) +
            "; only files that MLflow serves itself can be imported; run MLflow with --serve-artifacts and --artifacts-destination");
  std::string_view path = std::string_view(uri).substr(std::string_view(kScheme).size());
  if (path.starts_with("//")) path.remove_prefix(std::min(path.find('/', 2), path.size()));  // a host
  while (path.starts_with('/')) path.remove_prefix(1);
  while (path.ends_with('/')) path.remove_suffix(1);
  if (path.empty()) return fail(ErrorKind::Invalid, "version " + number + " names no folder for its files");
  return std::string(path);
}

Result<void> Mlflow::bring(const std::string& path, uint64_t max_bytes, Folder& into) {
  if (auto started = into.start(); !started) return started;
  std::vector<std::string> folders = {""};  // those to look into, below `path`
  size_t listed = 0;                        // also what is named twice
  while (!folders.empty()) {
    const std::string folder = folders.back();
    folders.pop_back();
    const std::string at = folder.empty() ? path : path + "/" + folder;
    const auto answer = get_json(std::string(kProxy) + "?path=" + percent_encoded(at), "list of the files in " + at);
    if (!answer) return fail(answer.error());
    const Json& files = member(*answer, "files");
    if (!files.is_array()) continue;
    if ((listed += files.size()) > kMostEntries)
      return fail(ErrorKind::Malformed, "it has more than " + std::to_string(kMostEntries) + " files and folders");
    for (const Json& file : files) {
      const std::string base = text_member(file, "path");
      if (base.empty() || base == "." || base.find('/') != std::string::npos)
        return fail(ErrorKind::Malformed,
                    "MLflow lists a file in " + at + " whose name is \"" + whole_characters(base, 200) + "\", which is not allowed");
      const std::string name = (folder.empty() ? "" : folder + "/") + base;
      const bool is_folder = member(file, "is_dir").is_boolean() && member(file, "is_dir").get<bool>();
      auto done = is_folder ? into.add_folder(name) : bring_file(path + "/" + name, max_bytes, name, into);
      if (!done) return done;
      if (is_folder) folders.push_back(name);
    }
  }
  return into.file_count() == 0 ? fail(ErrorKind::NotFound, "MLflow has no files for it at " + path) : Result<void>{};
}

Result<void> Mlflow::bring_file(const std::string& path, uint64_t max_bytes, const std::string& name, Folder& into) {
  if (auto opened = into.open_file(name); !opened) return opened;
  Download what;
  what.request.target = url_ + kProxy + "/" + percent_encoded(path, "/");
  if (!authorization_.empty()) what.request.headers.emplace_back("Authorization", authorization_);
  what.shown = name;
  what.max_bytes = max_bytes;
  what.refused = [&](const kube::HttpResponse& answer) { return refusal(answer, "file " + name); };
  const Bytes bytes{[&] { return into.empty_file(); }, [&](std::string_view piece) { return into.write(piece); }};
  if (auto brought = download(http_, what, bytes, deadline_, first_retry_, log_); !brought) return brought;
  return into.close_file();
}

// A run may have been deleted since.
Result<Json> Mlflow::get_record(const std::string& path) {
  const auto answer = get(path);
  if (!answer) return fail(answer.error());
  if (answer->status / 100 != 2) return Json();
  auto json = parse_json(answer->body, kLargestAnswer);
  return json ? std::move(*json) : Json();
}

Result<Record> Mlflow::record_of(const RegisteredVersion& version) {
  Json run, logged_model;
  if (!version.run_id.empty()) {
    auto got = get_record(std::string(kApi) + "runs/get?run_id=" + percent_encoded(version.run_id));
    if (!got) return fail(got.error());
    run = std::move(*got);
  }
  if (!version.model_id.empty()) {
    auto got = get_record(std::string(kApi) + "logged-models/" + percent_encoded(version.model_id));
    if (!got) return fail(got.error());
    logged_model = std::move(*got);
  }
  return read_record(run, logged_model);
}

JobEnd job_end(const Error& error, const std::string& shown, const std::string& unfinished, Duration timeout, bool stopped, bool too_late) {
  const std::string sentence = shown + ": " + error.message;
  if (stopped) return {kFetchStopped, shown + ": stopped, " + unfinished};
  switch (error.kind) {
    case ErrorKind::Invalid:
      return {kFetchUsage, sentence};
    case ErrorKind::Forbidden:
      return {kFetchOutput, sentence};  // a Folder's word for a volume that cannot be written
    case ErrorKind::Unauthorized:
      return {kFetchCredentials, sentence};
    case ErrorKind::Cancelled:
      return {kFetchNetwork, shown + ": " + unfinished + " within " + format_duration(timeout)};
    case ErrorKind::Transport:
    case ErrorKind::ServerError:
      return {kFetchNetwork, sentence + (too_late ? "; given up after " + format_duration(timeout) : "")};
    default:
      return {kFetchNoSource, sentence};
  }
}

}  // namespace mo::fetch
