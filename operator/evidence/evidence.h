// Finds out what plans asked: Prometheus' numbers, keys of ConfigMaps, what Jobs reported, what gateways can, what is outside of the cluster.
#pragma once

#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "operator/evidence/measuring.h"
#include "operator/evidence/outside.h"
#include "operator/evidence/web.h"
#include "operator/evidence/work_pool.h"
#include "operator/kube/client.h"
#include "operator/store/answers.h"

namespace mo::evidence {

struct EvidenceOptions {
  std::string prometheus_url;  // empty: none is configured
  // Threads apart from each other, so that a dead Prometheus holds up no read from the API server.
  int prometheus_threads = 8;
  int kubernetes_threads = 4;
  std::function<TimePoint()> now;                // for Answer::at
  std::chrono::milliseconds first_retry{1'000};  // doubles up to 30 s
  std::chrono::milliseconds distrust{5'000};     // how long a Prometheus that timed out is not asked again
  std::string web_tokens = {};                   // a folder, as for Web
  int web_threads = 8;
  WebAccess web_access = {};
  std::chrono::milliseconds patience{30'000};    // how long a measurement may wait for its turn, and how long it may take
};

// Thread-safe. Each ask is answered once, in the book. Namespaces and Models have their turns as WorkPool says; a measurement, or a look at what is outside, that
// got none in time, or takes too long, is answered as overdue, without a value. Reads from the API server are quorum reads; one that
// fails for a reason that passes (no connection, 5xx, 429, 401) is tried again until it succeeds, a 403 or an answer that was
// cut for two minutes, and everything else is the answer. What is under way or waits when this is destroyed stays
// unanswered: the next process asks again.
class Evidence : public Asker {
 public:
  // All three must outlive this.
  Evidence(AnswerBook& book, kube::HttpTransport& http, kube::Client& client, EvidenceOptions options);

  void ask(const ObjectKey& model, std::vector<Ask> asks) override;

 private:
  struct Question {
    ObjectKey model;
    Ask ask;
    int attempt = 0;
  };
  void start(Question question, std::chrono::milliseconds delay);
  void work_on(Question question, std::stop_token stop);
  void give_up(const Question& question);
  void put(const Question& question, Answer answer);
  void put(const ObjectKey& model, Measuring::Answers answers);

  Result<std::string> read(const AskConfigMap& question, std::stop_token stop);
  Result<std::string> read(const AskConfig& question, std::stop_token stop);
  Result<std::string> read(const AskAdopted& question, std::stop_token stop);
  Result<std::string> read(const AskRunResult& question, std::stop_token stop);
  Result<std::string> read(const AskGateways& question, std::stop_token stop);
  Result<std::string> read(const AskApprovals& question, std::stop_token stop);
  Result<std::string> read(const AskQueue& question, std::stop_token stop);
  Result<std::string> read(const AskWorkload& question, std::stop_token stop);
  Result<std::string> result_of(const AskWorkload& question, const std::string& pods, std::stop_token stop);
  Result<std::string> read_configmap(const ObjectKey& key, const std::string& entry, std::stop_token stop);
  // The delay until the next attempt, or nothing if the error is the answer.
  bool gives_up(const Error& error, int attempt) const;
  std::optional<std::chrono::milliseconds> retry_after(const Error& error, int attempt) const;

  AnswerBook& book_;
  kube::Client& client_;
  EvidenceOptions options_;
  Web web_;
  Outside outside_;

  std::mutex mutex_;
  std::set<std::pair<ObjectKey, std::string>> under_way_;

  // Last: their threads end before anything they use.
  Measuring measuring_;
  WorkPool kubernetes_pool_;
  WorkPool web_pool_;
};

}  // namespace mo::evidence
