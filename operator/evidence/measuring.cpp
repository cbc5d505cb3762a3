#include "operator/evidence/measuring.h"

#include <algorithm>
#include <exception>
#include <set>

#include "operator/evidence/together.h"

namespace mo::evidence {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kQuickly{2};
constexpr milliseconds kSlow{1'000};  // a refused connection costs nothing and needs no distrust
// Of one request: what proxies let through by POST, and what Prometheus answers in a few milliseconds.
constexpr size_t kMostTogether = 50;
constexpr size_t kMostBytes = 32u << 10;
constexpr std::chrono::seconds kWithin{5};  // it is to be answered: then each is asked alone
constexpr std::chrono::minutes kApart{10};
constexpr size_t kMostApart = 10'000;

std::vector<const std::string*> queries_of(const AskPrometheus& question) {
  std::vector<const std::string*> queries{&question.query};
  for (const auto* more : {&question.stable_query, &question.samples_query, &question.stable_samples_query})
    if (*more) queries.push_back(&**more);
  return queries;
}

// What `read` says of each query of the question.
template <class Read>
Answer answer_by(const AskPrometheus& question, const Read& read) {
  Answer answer;
  answer.value = read(question.query);
  if (question.stable_query) answer.stable = read(*question.stable_query);
  if (question.samples_query) answer.samples = read(*question.samples_query);
  if (question.stable_samples_query) answer.stable_samples = read(*question.stable_samples_query);
  return answer;
}

}  // namespace

Answer overdue(const std::string& ns, milliseconds patience) {
  Answer answer;
  answer.value.problem = "overdue: not measured within " + format_duration(patience) + ", for earlier measurements of namespace " + ns +
                         " have not ended; check that the servers that its gates query answer, or set a longer interval";
  answer.stable.problem = answer.samples.problem = answer.stable_samples.problem = answer.value.problem;
  return answer;
}

Measuring::Measuring(kube::HttpTransport& http, MeasuringOptions options, std::function<void(const ObjectKey&, Answers)> put)
    : options_(std::move(options)),
      put_(std::move(put)),
      prometheus_(options_.url, http),
      pool_({.threads = options_.threads, .patience = options_.patience}) {}

void Measuring::ask(const ObjectKey& model, std::string id, AskPrometheus question) {
  auto waiting = std::make_shared<Waiting>(Waiting{model, std::move(id), std::move(question)});
  {
    std::lock_guard lock(mutex_);
    waiting_[model.ns].push_back(waiting);
  }
  pool_.post(
      model, [this, waiting](std::stop_token stop) { turn(waiting, stop); }, options_.together,
      [this, waiting](std::stop_token) {
        if (take(*waiting)) put_(waiting->model, {{waiting->id, overdue(waiting->model.ns, options_.patience)}});
      });
}

bool Measuring::take(Waiting& waiting) {
  std::lock_guard lock(mutex_);
  if (waiting.taken) return false;
  waiting.taken = true;
  drop_taken(waiting_.find(waiting.model.ns));
  return true;
}

// Those at the front: what is behind comes there.
void Measuring::drop_taken(Lines::iterator line) {
  while (!line->second.empty() && line->second.front()->taken) line->second.pop_front();
  if (line->second.empty()) waiting_.erase(line);
}

// With it, in the order in which they came, as many of its namespace as one request holds. Nothing if another turn took it.
Measuring::Waiters Measuring::take_with(const std::shared_ptr<Waiting>& first) {
  std::lock_guard lock(mutex_);
  if (first->taken) return {};
  Waiters all;
  std::set<std::string_view> queries;
  size_t bytes = 0;
  const auto add = [&](const std::shared_ptr<Waiting>& waiting) {
    for (const std::string* query : queries_of(waiting->question))
      if (queries.insert(*query).second) bytes += query->size();
    waiting->taken = true;
    all.push_back(waiting);
  };
  add(first);
  const auto line = waiting_.find(first->model.ns);
  for (const auto& waiting : line->second) {
    if (queries.size() >= kMostTogether || bytes >= kMostBytes) break;
    if (!waiting->taken) add(waiting);
  }
  drop_taken(line);
  return all;
}

void Measuring::turn(const std::shared_ptr<Waiting>& first, std::stop_token stop) {
  const Waiters all = take_with(first);
  if (all.empty()) return;
  std::map<ObjectKey, Answers> answers;
  try {
    answers = measure(all, stop);
  } catch (const std::exception& e) {
    Answer failed;
    failed.problem = failed.value.problem = std::string("internal error of the operator: ") + e.what();
    answers.clear();
    for (const auto& waiting : all) answers[waiting->model].emplace_back(waiting->id, failed);
  }
  if (stop.stop_requested()) return;  // what was cancelled is no answer
  for (auto& [model, its] : answers) put_(model, std::move(its));
}

std::map<ObjectKey, Measuring::Answers> Measuring::measure(const Waiters& all, std::stop_token stop) {
  std::map<ObjectKey, Answers> answers;
  const auto until = Steady::now() + options_.patience;
  Readings known = together_of(all, until, stop);
  for (const auto& waiting : all) answers[waiting->model].emplace_back(waiting->id, ask_alone(waiting->question, known, until, stop));
  return answers;
}

// What one request answers of all these; empty if none is worth it, or none can be told.
Measuring::Readings Measuring::together_of(const Waiters& all, Steady::time_point until, std::stop_token stop) {
  std::set<std::string> chosen;
  if (all.size() > 1)
    for (const auto& waiting : all)
      for (const std::string* query : queries_of(waiting->question))
        if (may_be_together(*query)) chosen.insert(*query);
  if (chosen.size() < 2 || !distrusted().empty()) return {};
  const std::vector<std::string> queries(chosen.begin(), chosen.end());
  const auto begin = Steady::now();
  auto asked = prometheus_.query_together(queries, stop, kWithin);
  Readings known;
  for (size_t place = 0; place < asked.readings.size(); ++place) known.emplace(queries[place], std::move(asked.readings[place]));
  if (!known.empty() || stop.stop_requested()) return known;
  const bool slow = Steady::now() - begin >= kSlow;
  if (!asked.reached && slow && !costs_too_much(stop)) distrust(asked.problem);
  if (!asked.reached && (!slow || !distrusted().empty())) return known;
  // Whom it is to be blamed on, each is asked alone for; if it is none of them, it is all of them.
  bool blamed = false;
  for (const std::string& query : queries) {
    if (Steady::now() >= until || !distrusted().empty()) break;
    known.emplace(query, query_alone(query, stop).reading);
    blamed = blamed || !may_be_together(query);
  }
  if (!blamed)
    for (const std::string& query : queries) set_apart(query);
  return known;
}

// Each query that is not known yet. Once Prometheus did not answer, the question's others are not asked.
Answer Measuring::ask_alone(const AskPrometheus& question, Readings& known, Steady::time_point until, std::stop_token stop) {
  std::string unreached;
  return answer_by(question, [&](const std::string& promql) {
    if (const auto found = known.find(promql); found != known.end()) return found->second;
    if (!unreached.empty()) return Reading{std::nullopt, unreached};
    if (Steady::now() >= until)
      return Reading{std::nullopt, "overdue: the queries before this one took " + format_duration(options_.patience)};
    const auto queried = query_alone(promql, stop);
    if (queried.reached)
      known.emplace(promql, queried.reading);
    else
      unreached = queried.reading.problem;
    return queried.reading;
  });
}

Prometheus::Queried Measuring::query_alone(const std::string& promql, std::stop_token stop) {
  if (std::string problem = distrusted(); !problem.empty()) return {{std::nullopt, std::move(problem)}, false};
  const auto begin = Steady::now();
  auto queried = prometheus_.query(promql, stop);
  if (queried.reached && !queried.is_vector) set_apart(promql);
  if (queried.reached || stop.stop_requested() || Steady::now() - begin < kSlow) return queried;
  if (costs_too_much(stop)) {
    queried.reading.problem = "Prometheus did not answer this query in time, but it answers others: simplify it, for example with a recording rule";
    set_apart(promql);
  } else {
    distrust(queried.reading.problem);
  }
  return queried;
}

bool Measuring::may_be_together(const std::string& promql) {
  if (!stands_in_brackets(promql)) return false;
  std::lock_guard lock(mutex_);
  const auto found = apart_.find(std::hash<std::string>()(promql));
  return found == apart_.end() || found->second <= Steady::now();
}

void Measuring::set_apart(const std::string& promql) {
  const auto now = Steady::now();
  std::lock_guard lock(mutex_);
  if (apart_.size() >= kMostApart) std::erase_if(apart_, [&](const auto& entry) { return entry.second <= now; });
  if (apart_.size() >= kMostApart) apart_.clear();
  apart_[std::hash<std::string>()(promql)] = now + kApart;
}

// One tenant's query must not make a Prometheus that works look dead to all.
bool Measuring::costs_too_much(std::stop_token stop) const { return prometheus_.query("1", stop, kQuickly).reached; }

std::string Measuring::distrusted() {
  std::lock_guard lock(mutex_);
  return Steady::now() < distrust_until_ ? distrust_problem_ : "";
}

void Measuring::distrust(std::string problem) {
  std::lock_guard lock(mutex_);
  distrust_problem_ = std::move(problem);
  distrust_until_ = Steady::now() + options_.distrust;
}

}  // namespace mo::evidence
