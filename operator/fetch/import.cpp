#include "operator/fetch/import.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iostream>

#include "operator/core/text.h"
#include "operator/fetch/credentials.h"
#include "operator/fetch/fetch.h"
#include "operator/fetch/import_store.h"
#include "operator/fetch/mlflow.h"

namespace mo {
namespace {

namespace fs = std::filesystem;
using fetch::Deadline;

constexpr size_t kLargestResult = 4000;  // Kubernetes keeps 4096 bytes of a termination message
constexpr size_t kMostParameters = 100;  // of a ModelVersion's lineage
constexpr size_t kLongestParameter = 1024;
constexpr size_t kLongestName = 128;  // of a metric or a parameter
constexpr size_t kLongestRevision = 253, kLongestRepository = 2048;

struct Imported {
  int code = kFetchOk;
  std::string sentence;
  std::string report;  // empty: the sentence
};

// A part of a file's name.
std::string plain_name(std::string text) {
  text.resize(std::min<size_t>(text.size(), 100));
  for (char& c : text)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_') c = '-';
  return text;
}

// The RunResult with as much of the record as it holds: what gates read comes first.
class Report {
 public:
  explicit Report(Json result) : result_(std::move(result)) {}

  void add_metrics(const std::map<std::string, std::string>& metrics, const std::vector<std::string>& first) {
    for (const std::string& name : first)
      if (const auto found = metrics.find(name); found != metrics.end()) add("/metrics", name, found->second);
    for (const auto& [name, value] : metrics) add("/metrics", name, value);
  }
  void add_parameters(const std::map<std::string, std::string>& parameters) {
    for (const auto& [name, value] : parameters)
      if (value.size() > kLongestParameter || parameter_count() >= kMostParameters)
        ++left_out_;
      else
        add("/lineage/parameters", name, value);
  }
  std::string text() const { return result_.dump(); }
  size_t left_out() const { return left_out_; }

 private:
  size_t parameter_count() const { return result_["lineage"]["parameters"].size(); }

  void add(const char* where, const std::string& name, const std::string& value) {
    Json& object = result_[Json::json_pointer(where)];
    if (object.contains(name)) return;
    const bool fits =
        !name.empty() && name.size() <= kLongestName && whole_characters(name) == name && whole_characters(value) == value;
    if (fits) object[name] = value;
    if (fits && text().size() <= kLargestResult) return;
    object.erase(name);
    ++left_out_;
  }

  Json result_;
  size_t left_out_ = 0;
};

class Import {
 public:
  Import(const ImportOptions& options, kube::PlainTransport& http, kube::PlainTransport& store_http,
         std::ostream& log, std::stop_token stop)
      : options_(options),
        http_(http),
        store_http_(store_http),
        log_(log),
        stop_(stop),
        deadline_(options.timeout, stop) {}

  Imported run() {
    while (url_.ends_with('/')) url_.pop_back();
    if (!url_.starts_with("http://") && !url_.starts_with("https://"))
      return {kFetchUsage, "--url must be the http(s):// address of an MLflow server, but is " + redact_uri(url_), ""};
    const auto store = fetch::make_import_store(options_, store_http_, deadline_, log_);
    if (!store) return {kFetchUsage, store.error().message, ""};
    const auto authorization = fetch::mlflow_authorization(options_.credentials_dir, url_);
    if (!authorization) return failed(authorization.error());
    // Before anything is downloaded for it.
    if (auto ready = (*store)->prepare(); !ready) return not_stored(ready.error());
    fetch::Mlflow mlflow(http_, url_, *authorization, deadline_, options_.first_retry, log_);
    const auto version = options_.version.empty() ? mlflow.version_of_alias(options_.model, options_.alias)
                                                  : mlflow.version(options_.model, options_.version);
    if (!version) return failed(version.error());
    const auto path = mlflow.folder_of(options_.model, version->number);
    if (!path) return failed(path.error());
    const auto record = mlflow.record_of(*version);
    if (!record) return failed(record.error());
    const fs::path files = options_.work / "model";
    fetch::Folder folder(files, options_.max_bytes);
    auto brought = mlflow.bring(*path, options_.max_bytes, folder);
    if (brought) brought = folder.keep();
    if (!brought) return failed(brought.error());
    const auto stored = (*store)->put(files, plain_name(options_.model) + "-" + plain_name(version->number));
    return stored ? report(*version, *record, *stored) : not_stored(stored.error());
  }

 private:
  // A volume's troubles are told by the words alone.
  Imported not_stored(const Error& error) const {
    return error.kind == ErrorKind::Forbidden ? Imported{kFetchOutput, error.message, ""}
                                              : failed(error, redact_uri(options_.uri));
  }

  Imported report(const fetch::RegisteredVersion& version, const fetch::Record& record,
                  const fetch::Stored& stored) {
    const Packed& packed = stored.packed;
    const std::string& uri = stored.uri;
    Json format = {{"name", options_.format}};
    if (!options_.format_version.empty()) format["version"] = options_.format_version;
    Json lineage = {
        {"parameters",
         {{"mlflow_url", url_}, {"mlflow_model", options_.model}, {"mlflow_version", version.number}}}};
    if (!version.run_id.empty()) lineage["parameters"]["mlflow_run_id"] = version.run_id;
    if (!record.repository.empty() && record.repository.size() <= kLongestRepository)
      lineage["code"]["repository"] = whole_characters(record.repository);
    if (!record.revision.empty() && record.revision.size() <= kLongestRevision)
      lineage["code"]["revision"] = whole_characters(record.revision);
    Json artifact = {{"uri", uri}, {"digest", packed.digest}, {"unpack", true}, {"format", std::move(format)}};
    if (options_.max_bytes != ImportOptions{}.max_bytes) artifact["size"] = std::to_string(options_.max_bytes);
    Json result = {{"apiVersion", "modelops.dev/v1alpha1"}, {"kind", "RunResult"}, {"metrics", Json::object()}};
    result["artifact"] = std::move(artifact);
    result["lineage"] = std::move(lineage);
    Report report(std::move(result));
    report.add_metrics(record.metrics, options_.metrics);
    report.add_parameters(record.parameters);
    if (report.left_out() > 0)
      log_ << report.left_out() << " metrics and parameters are left out: a RunResult of " << kLargestResult
           << " bytes holds no more" << std::endl;
    return {kFetchOk,
            "imported version " + version.number + " of " + options_.model + ": " + std::to_string(packed.files) + " files, " +
                packed.digest + " at " + uri,
            report.text()};
  }

  Imported failed(const Error& error) const { return failed(error, redact_uri(url_)); }
  Imported failed(const Error& error, const std::string& shown) const {
    const fetch::JobEnd end = fetch::job_end(error, shown, "not complete", options_.timeout, stop_.stop_requested(), deadline_.passed());
    return {end.code, end.sentence, ""};
  }

  const ImportOptions& options_;
  kube::PlainTransport &http_, &store_http_;
  std::ostream& log_;
  const std::stop_token stop_;
  const Deadline deadline_;
  std::string url_ = options_.url;
};

}  // namespace

int import_from_mlflow(const ImportOptions& options, kube::PlainTransport& http, kube::PlainTransport& store,
                       std::ostream& log, std::stop_token stop) {
  Imported outcome;
  try {
    outcome = Import(options, http, store, log, stop).run();
  } catch (const std::exception& e) {
    outcome = {kFetchOutput, redact_uri(options.url) + ": " + e.what(), ""};
  }
  log << outcome.sentence << std::endl;
  // Where there is no kubelet the file may not be there to be written, and the sentence is on `log`.
  std::ofstream(options.result) << (outcome.report.empty() ? whole_characters(outcome.sentence, kLargestResult) : outcome.report);
  return outcome.code;
}

int import_main(const ImportOptions& options, std::stop_token stop) {
  const auto transport = [](const fs::path& credentials) {
    kube::PlainOptions http;
    http.proxy_from_env = true;
    if (!credentials.empty()) http.ca_file = fetch::ca_file(credentials).string();
    return kube::make_plain_curl_transport(http);
  };
  const auto http = transport(options.credentials_dir), store = transport(options.store_credentials_dir);
  return import_from_mlflow(options, *http, *store, std::cerr, stop);
}

}  // namespace mo
