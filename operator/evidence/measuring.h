// Measurements by Prometheus: who asks when, and what is asked together.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "operator/core/plan.h"
#include "operator/evidence/prometheus.h"
#include "operator/evidence/work_pool.h"

namespace mo::evidence {

struct MeasuringOptions {
  std::string url;  // empty: none is configured
  int threads = 8;
  std::chrono::milliseconds distrust{5'000};   // how long a Prometheus that timed out is not asked again
  std::chrono::milliseconds patience{30'000};  // how long a measurement may wait for its turn, and how long it may take
  std::chrono::milliseconds together{20};      // how long one waits for others of its namespace
};

// What a measurement is answered with that got no turn in time.
Answer overdue(const std::string& ns, std::chrono::milliseconds patience);

// Thread-safe. What is to be measured for the Models of one namespace at about the same time goes to Prometheus in one request, and what several
// ask in the same words once. Never what is of two namespaces, so that no tenant's query delays another's. If that request fails, each is asked
// alone, and the query to blame stays alone for a while.
class Measuring {
 public:
  using Answers = std::vector<std::pair<std::string, Answer>>;  // by the ask's id
  // `put` gets the answers for one Model that came at once, on a thread of this. `http` must outlive this.
  Measuring(kube::HttpTransport& http, MeasuringOptions options, std::function<void(const ObjectKey& model, Answers answers)> put);

  void ask(const ObjectKey& model, std::string id, AskPrometheus question);

 private:
  using Steady = std::chrono::steady_clock;
  // It waits for the next turn of its namespace, whoever's turn that is.
  struct Waiting {
    ObjectKey model;
    std::string id;
    AskPrometheus question;
    bool taken = false;
  };
  using Waiters = std::vector<std::shared_ptr<Waiting>>;

  using Lines = std::map<std::string, std::deque<std::shared_ptr<Waiting>>>;  // by namespace
  using Readings = std::map<std::string, Reading>;                            // by query

  bool take(Waiting& waiting);
  void drop_taken(Lines::iterator line);
  Waiters take_with(const std::shared_ptr<Waiting>& first);
  void turn(const std::shared_ptr<Waiting>& first, std::stop_token stop);
  std::map<ObjectKey, Answers> measure(const Waiters& all, std::stop_token stop);
  Readings together_of(const Waiters& all, Steady::time_point until, std::stop_token stop);
  Answer ask_alone(const AskPrometheus& question, Readings& known, Steady::time_point until, std::stop_token stop);
  Prometheus::Queried query_alone(const std::string& promql, std::stop_token stop);
  bool may_be_together(const std::string& promql);
  void set_apart(const std::string& promql);

  // Whether this failure is the query's own: Prometheus still answers what costs nothing.
  bool costs_too_much(std::stop_token stop) const;
  // The problem that a Prometheus which just timed out would answer with once more, or "".
  std::string distrusted();
  void distrust(std::string problem);

  const MeasuringOptions options_;
  const std::function<void(const ObjectKey&, Answers)> put_;
  Prometheus prometheus_;

  std::mutex mutex_;
  Lines waiting_;                                         // none that is empty
  std::unordered_map<size_t, Steady::time_point> apart_;  // hashes of queries that are asked alone until then
  std::string distrust_problem_;
  Steady::time_point distrust_until_{};

  WorkPool pool_;  // last: its threads end before what they use
};

}  // namespace mo::evidence
