// Who asks for a report, and which namespaces they may see: TokenReview, unless a proxy has said who it is, then
// SubjectAccessReviews, remembered for a while.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "operator/kube/access_review.h"
#include "operator/site/caller.h"
#include "report/portfolio.h"

namespace mo::site {

class Readers {
 public:
  using Snapshot = std::shared_ptr<const report::Portfolio>;
  explicit Readers(std::unique_ptr<kube::AccessReviews> reviews) : reviews_(std::move(reviews)) {}

  // What of `whole` the caller may see; null: the token is nobody's. An Error if Kubernetes cannot be asked: then nobody sees
  // anything. A namespace is seen by who may list models, modelversions and modelrollouts there. Thread-safe; blocks.
  // ErrorKind::TooManyRequests: the namespaces are too many to ask about at once; each further call asks about more of them.
  Result<Snapshot> view(const Caller& caller, const Snapshot& whole, std::stop_token stop);

  // Whether view() answers this caller without asking Kubernetes. Thread-safe.
  bool knows(const Caller& caller);

 private:
  using Clock = std::chrono::steady_clock;
  struct Reader {
    bool known = false, everything = false;
    std::string name;
    std::set<std::string> namespaces;
    Clock::time_point until;
    Snapshot of, view;  // of which snapshot the view is
  };

  // What is known so far of an identity, whichever token it came with.
  struct Asked {
    std::map<std::string, bool> namespaces;
    Clock::time_point until;
  };

  std::optional<Reader> recall(const std::string& key);
  void remember(const std::string& key, const Reader& reader);
  Result<Reader> ask(const Caller& caller, const report::Portfolio& whole, std::stop_token stop);
  Result<std::set<std::string>> seen_by(const kube::Identity& who, const std::set<std::string>& namespaces, std::stop_token stop);
  Result<bool> sees(const kube::Identity& who, const std::string& ns, std::stop_token stop);

  const std::unique_ptr<kube::AccessReviews> reviews_;
  std::mutex mutex_;  // guards what follows
  std::map<std::string, Reader> readers_;  // by Caller::key
  std::map<std::string, Asked> asked_;  // by account, not by token
};

}  // namespace mo::site
