// A kube::Client that answers from functions and remembers what it was asked.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "operator/kube/client.h"

namespace mo {

class FakeClient : public kube::Client {
 public:
  struct Call {
    std::string verb;
    ObjectRef ref;
    std::string body;
    bool force = false;
  };
  std::function<Result<std::string>(const Call&)> answer = [](const Call&) -> Result<std::string> {
    return "{}";
  };
  std::function<Result<void>(const kube::WatchOptions&, const kube::LineSink&, std::stop_token)> on_watch;
  std::function<Result<std::string>(const kube::ListOptions&)> on_list;

  Result<std::string> get(const ObjectRef& ref, std::stop_token) override {
    return tell({"get", ref, "", false});
  }
  Result<std::string> list(Kind, const kube::ListOptions& options, std::stop_token) override {
    return on_list(options);
  }
  Result<void> watch(Kind, const kube::WatchOptions& options, const kube::LineSink& line,
                     std::stop_token stop) override {
    return on_watch(options, line, stop);
  }
  Result<std::string> apply(const ObjectRef& ref, const std::string& body, bool force,
                            std::stop_token) override {
    return tell({"apply", ref, body, force});
  }
  Result<std::string> merge_patch(const ObjectRef& ref, const std::string& body, const std::string& sub,
                                  std::stop_token) override {
    return tell({"patch" + sub, ref, body, false});
  }
  Result<std::string> put(const ObjectRef& ref, const std::string& body, const std::string& sub,
                          std::stop_token) override {
    return tell({"put" + sub, ref, body, false});
  }
  Result<std::string> post(Kind kind, const std::string& ns, const std::string& body,
                           std::stop_token) override {
    return tell({"post", ObjectRef{kind, {ns, ""}}, body, false});
  }
  Result<std::string> dry_run_post(Kind kind, const std::string& ns, const std::string& body,
                                   std::stop_token) override {
    return tell({"dry-run post", ObjectRef{kind, {ns, ""}}, body, false});
  }
  Result<void> remove(const ObjectRef& ref, const std::string& uid, const std::string&,
                      std::stop_token) override {
    auto result = tell({"delete", ref, uid, false});
    if (!result) return fail(result.error());
    return {};
  }

  std::vector<Call> calls() {
    std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  Result<std::string> tell(Call call) {
    {
      std::lock_guard lock(mutex_);
      calls_.push_back(call);
    }
    return answer(call);
  }
  std::mutex mutex_;
  std::vector<Call> calls_;
};

}  // namespace mo
