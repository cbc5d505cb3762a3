#include "operator/fetch/mirror.h"

#include <fstream>
#include <iostream>

#include "operator/core/text.h"
#include "operator/fetch/credentials.h"
#include "operator/fetch/fetch.h"
#include "operator/fetch/mlflow.h"

namespace mo {
namespace {

using fetch::Deadline;

constexpr size_t kLargestState = 16u << 10;  // bytes
constexpr size_t kLongestSentence = 4000;    // Kubernetes keeps 4096 bytes of a termination message

struct State {
  std::string version, model_version, state, reason;
};

Result<State> read_state(const std::string& text) {
  const auto json = parse_json(text, kLargestState);
  const auto word = [&](const char* name) {
    const auto it = json->find(name);
    return it != json->end() && it->is_string() ? it->get<std::string>() : "";
  };
  if (!json || !json->is_object())
    return fail(ErrorKind::Invalid, "--state must be a JSON object, but is " + whole_characters(text, 200));
  State out{word("version"), word("modelVersion"), word("state"), word("reason")};
  if (out.version.empty() || out.state.empty())
    return fail(ErrorKind::Invalid,
                "--state must have a version and a state, but is " + whole_characters(text, 200));
  return out;
}

class Mirror {
 public:
  Mirror(const MirrorOptions& options, kube::PlainTransport& http, std::ostream& log, std::stop_token stop)
      : options_(options), http_(http), log_(log), stop_(stop), deadline_(options.timeout, stop) {}

  fetch::JobEnd run() {
    while (url_.ends_with('/')) url_.pop_back();
    if (!url_.starts_with("http://") && !url_.starts_with("https://"))
      return {kFetchUsage,
              "--url must be the http(s):// address of an MLflow server, but is " + redact_uri(url_)};
    std::vector<State> states;
    for (const std::string& text : options_.states) {
      auto state = read_state(text);
      if (!state) return {kFetchUsage, state.error().message};
      states.push_back(std::move(*state));
    }
    const auto authorization = fetch::mlflow_authorization(options_.credentials_dir, url_);
    if (!authorization) return failed(authorization.error());
    fetch::Mlflow mlflow(http_, url_, *authorization, deadline_, options_.first_retry, log_);
    const State* serves = nullptr;
    for (const State& state : states)
      if (state.state == "Serving") serves = &state;
    for (const State& state : states)
      if (auto done = tag(mlflow, state, &state == serves); !done) return failed(done.error());
    if (auto done = serves ? give_alias(mlflow, serves->version) : take_alias(mlflow); !done)
      return failed(done.error());
    return {kFetchOk, "MLflow has the state of " + std::to_string(states.size()) + " versions of " +
                          options_.model + "; " +
                          (serves ? "alias " + options_.alias + " names version " + serves->version
                                  : "none of them serves")};
  }

 private:
  std::string key(const char* of = "") const { return "modelops." + options_.alias + of; }

  Result<void> tag(fetch::Mlflow& mlflow, const State& state, bool serves) {
    const auto there = mlflow.tags_of(options_.model, state.version);
    if (!there && there.error().kind == ErrorKind::NotFound && !serves) {
      log_ << there.error().message << "; it is skipped" << std::endl;
      return {};
    }
    if (!there) return fail(there.error());
    const fetch::Tags wanted = {
        {key(), state.state}, {key(".reason"), state.reason}, {key(".version"), state.model_version}};
    for (const auto& [name, value] : wanted) {
      const auto old = there->find(name);
      if (old != there->end() && old->second == value) continue;
      if (auto done = mlflow.set_tag(options_.model, state.version, name, value); !done) return done;
    }
    return {};
  }

  Result<void> give_alias(fetch::Mlflow& mlflow, const std::string& version) {
    const auto now = mlflow.version_of_alias(options_.model, options_.alias);
    if (!now && now.error().kind != ErrorKind::NotFound) return fail(now.error());
    if (now && now->number == version) return {};
    return mlflow.set_alias(options_.model, options_.alias, version);
  }

  // Somebody else may have given it to a version before this Model did.
  Result<void> take_alias(fetch::Mlflow& mlflow) {
    const auto now = mlflow.version_of_alias(options_.model, options_.alias);
    if (!now) return now.error().kind == ErrorKind::NotFound ? Result<void>{} : fail(now.error());
    const auto tags = mlflow.tags_of(options_.model, now->number);
    if (!tags) return fail(tags.error());
    return tags->contains(key()) ? mlflow.delete_alias(options_.model, options_.alias) : Result<void>{};
  }

  fetch::JobEnd failed(const Error& error) const {
    return fetch::job_end(error, redact_uri(url_), "not written", options_.timeout, stop_.stop_requested(), deadline_.passed());
  }

  const MirrorOptions& options_;
  kube::PlainTransport& http_;
  std::ostream& log_;
  const std::stop_token stop_;
  const Deadline deadline_;
  std::string url_ = options_.url;
};

}  // namespace

int mirror_to_mlflow(const MirrorOptions& options, kube::PlainTransport& http, std::ostream& log,
                     std::stop_token stop) {
  fetch::JobEnd outcome;
  try {
    outcome = Mirror(options, http, log, stop).run();
  } catch (const std::exception& e) {
    outcome = {kFetchOutput, redact_uri(options.url) + ": " + e.what()};
  }
  log << outcome.sentence << std::endl;
  // Where there is no kubelet the file may not be there to be written, and the sentence is on `log`.
  std::ofstream(options.result) << whole_characters(outcome.sentence, kLongestSentence);
  return outcome.code;
}

int mirror_main(const MirrorOptions& options, std::stop_token stop) {
  kube::PlainOptions http;
  http.proxy_from_env = true;
  if (!options.credentials_dir.empty()) http.ca_file = fetch::ca_file(options.credentials_dir).string();
  const auto transport = kube::make_plain_curl_transport(http);
  return mirror_to_mlflow(options, *transport, std::cerr, stop);
}

}  // namespace mo
