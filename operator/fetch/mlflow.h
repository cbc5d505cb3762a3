// An MLflow server's registry of models, by its REST API 2.0.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <map>
#include <string>
#include <string_view>

#include "operator/core/result.h"
#include "operator/fetch/download.h"
#include "operator/fetch/folder.h"
#include "operator/json/json.h"

namespace mo::fetch {

struct RegisteredVersion {
  std::string number;
  std::string run_id, model_id;  // of the run and, from MLflow 3 on, the logged model that it was registered from; may be empty
};

// What is on record of how a version was made.
struct Record {
  std::map<std::string, std::string> metrics;  // finite ones, as decimals
  std::map<std::string, std::string> parameters;
  std::string repository, revision;  // of the code; may be empty
};

// Metrics, parameters and code out of what runs/get and logged-models/ID answer; null where there is no such answer. Of two
// figures of one name the logged model's counts. Pure.
Record read_record(const Json& run, const Json& logged_model);

// The value of the header Authorization out of the mounted Secret in `folder` (credentials.h); empty where
// there is none, or where it holds a CA alone. ErrorKind::Invalid if it would go to a `url` that is not
// https://.
Result<std::string> mlflow_authorization(const std::filesystem::path& folder, const std::string& url);

// How a Job that talks to MLflow ends.
struct JobEnd {
  int code = 0;  // of fetch (fetch.h)
  std::string sentence;
};
// Of one that failed. `shown`: what failed, for the sentence; `unfinished`: what is not so once time is over, such as "not complete". Pure.
JobEnd job_end(const Error& error, const std::string& shown, const std::string& unfinished, Duration timeout, bool stopped, bool too_late);

using Tags = std::map<std::string, std::string>;

// Not thread-safe. Every call may block until the deadline. Errors: ErrorKind::NotFound, Unauthorized or Invalid for what another
// try does not change, each with a sentence that says what to mend; the others are download()'s.
class Mlflow {
 public:
  // `authorization`: the value of that header; empty: none is sent. The references must outlive this.
  Mlflow(kube::PlainTransport& http, std::string url, std::string authorization, const Deadline& deadline, Duration first_retry,
         std::ostream& log);

  Result<RegisteredVersion> version(const std::string& model, const std::string& number);
  Result<RegisteredVersion> version_of_alias(const std::string& model, const std::string& alias);
  // The folder of a version's files, as the artifact proxy calls it.
  Result<std::string> folder_of(const std::string& model, const std::string& number);
  // Brings all files below that folder; each is asked of the proxy (mlflow server --serve-artifacts).
  Result<void> bring(const std::string& path, uint64_t max_bytes, Folder& into);
  // A record that MLflow does not have (any more) is empty.
  Result<Record> record_of(const RegisteredVersion& version);

  // What follows may be repeated without harm.
  Result<Tags> tags_of(const std::string& model, const std::string& number);
  Result<void> set_tag(const std::string& model, const std::string& number, const std::string& key,
                       const std::string& value);
  Result<void> set_alias(const std::string& model, const std::string& alias, const std::string& number);
  Result<void> delete_alias(const std::string& model, const std::string& alias);

 private:
  Result<kube::HttpResponse> get(const std::string& path);
  Result<kube::HttpResponse> call(const char* method, const std::string& path, std::string body);
  Result<void> write(const char* method, const std::string& path, const Json& body, const std::string& what);
  Result<Json> get_json(const std::string& path, const std::string& what);
  Result<Json> get_record(const std::string& path);
  Result<RegisteredVersion> read_version(const Result<Json>& answer, const std::string& what) const;
  Result<void> bring_file(const std::string& path, uint64_t max_bytes, const std::string& name, Folder& into);
  Error refusal(const kube::HttpResponse& answer, const std::string& what, const char* to_do = "read") const;

  kube::PlainTransport& http_;
  const std::string url_, authorization_;
  const Deadline& deadline_;
  const Duration first_retry_;
  std::ostream& log_;
};

}  // namespace mo::fetch
