// Who asks for a report, and which namespaces they may see: TokenReview, then SubjectAccessReviews, remembered for a while.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "operator/kube/access_review.h"
#include "report/portfolio.h"

namespace mo::site {

class Readers {
 public:
  using Snapshot = std::shared_ptr<const report::Portfolio>;
  explicit Readers(std::unique_ptr<kube::AccessReviews> reviews) : reviews_(std::move(reviews)) {}

  // What of `whole` the owner of the token may see; null: it is nobody's. An Error if Kubernetes cannot be asked: then nobody sees
  // anything. A namespace is seen by who may list models, modelversions and modelrollouts there. Thread-safe; blocks.
  // ErrorKind::TooManyRequests: the namespaces are too many to ask about at once; each further call asks about more of them.
  Result<Snapshot> view(const std::string& token, const Snapshot& whole, std::stop_token stop);

  // Whether view() answers for this token without asking Kubernetes. Thread-safe.
  bool knows(const std::string& token);

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

  std::optional<Reader> recall(const std::string& token);
  void remember(const std::string& token, const Reader& reader);
  Result<Reader> ask(const std::string& token, const report::Portfolio& whole, std::stop_token stop);
  Result<std::set<std::string>> seen_by(const kube::Identity& who, const std::set<std::string>& namespaces, std::stop_token stop);
  Result<bool> sees(const kube::Identity& who, const std::string& ns, std::stop_token stop);

  const std::unique_ptr<kube::AccessReviews> reviews_;
  std::mutex mutex_;  // guards what follows
  std::map<std::string, Reader> readers_;
  std::map<std::string, Asked> asked_;  // by account, not by token
};

}  // namespace mo::site
