// What is behind an address outside of the cluster, for triggers of training.
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "operator/core/plan.h"
#include "operator/core/result.h"
#include "operator/evidence/web.h"
#include "operator/kube/transport.h"

namespace mo::evidence {

// What MLflow answers to registered-models/alias: "<version>@<when it was made>", so that a version of a model that was made anew
// is another. ErrorKind::Invalid with a sentence for an answer that names no version that can be used. Pure.
Result<std::string> version_of_alias(std::string_view answer);

// Thread-safe if the transport is. Nothing is told of answers but hashes, digests and numbers of versions: whoever may write a
// Model reads by its status nothing else of a server that the operator may ask.
class Outside {
 public:
  // Both must outlive this.
  Outside(kube::HttpTransport& http, const Web& web) : http_(http), web_(web) {}

  // For a trigger of a Model in namespace `ns`: one word that stays the same as long as what is there does. Blocks for at most 10 s. The error
  // is one sentence for people.
  //   Http: "etag:<hash>" of a HEAD that names an ETag, else the sha256 of a body of at most 1 MiB.
  //   OciTag: the digest of the manifest that the tag names, read with the operator's token for that registry or as everybody may.
  //   MlflowAlias: as version_of_alias().
  Result<std::string> look(const std::string& ns, const AskOutside& question, std::stop_token stop) const;

 private:
  struct Caller {
    std::string ns;
    std::stop_token stop;
    std::chrono::steady_clock::time_point until;
  };
  using Authorization = std::optional<std::string>;  // a header's value, "" for none; absent: the operator's token for that server, if any

  Result<std::string> look_at_page(const Caller& caller, const std::string& url) const;
  Result<std::string> look_at_tag(const Caller& caller, const std::string& reference) const;
  Result<std::string> look_at_alias(const Caller& caller, const AskOutside& question) const;
  Result<kube::HttpResponse> ask(const Caller& caller, const char* method, const std::string& url, const std::string& accept,
                                 const Authorization& authorization = {}) const;
  Result<std::string> token_for(const kube::HttpResponse& refusal, const Caller& caller, const std::string& registry,
                                const std::string& repository) const;

  kube::HttpTransport& http_;
  const Web& web_;
};

}  // namespace mo::evidence
