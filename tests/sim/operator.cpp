#include "tests/sim/operator.h"

#include <algorithm>

#include "operator/api/parse.h"
#include "reconcilers/model/observe.h"

namespace mo::sim {
namespace {

const model::Settings kSettings{"model-operator:dev"};
constexpr Kind kWatched[] = {Kind::Model,        Kind::ModelVersion, Kind::ModelRollout,
                             Kind::ModelRuntime, Kind::Deployment,   Kind::Service,
                             Kind::Job,          Kind::Pod,          Kind::ConfigMap};

const ObjectRef& target_of(const Action& action) {
  return std::visit([](const auto& a) -> const ObjectRef& { return a.target; }, action);
}

std::string text_of(const Action& action) {
  static constexpr const char* kVerbs[] = {"apply", "scale", "delete", "status"};
  return std::string(kVerbs[action.index()]) + " " + target_of(action).to_string() + ": " +
         std::visit([](const auto& a) { return a.why; }, action);
}

}  // namespace

void Operator::restart() {
  m_ = std::make_unique<Memory>();
  // A quorum list of everything.
  for (const Change& change : w_.log) change.take(m_->stores);
  for (const Change& change : w_.log)
    if (!change.deleted && w_.find({change.kind, change.key}))
      for (const ObjectKey& model : change.models) m_->queue.insert(model);
  for (Kind kind : kWatched) m_->seen[kind] = w_.log.size();
}

const Change* Operator::next_change(Kind kind) {
  size_t& seen = m_->seen[kind];
  while (seen < w_.log.size() && w_.log[seen].kind != kind) ++seen;
  return seen < w_.log.size() ? &w_.log[seen] : nullptr;
}

void Operator::wake(const Change& change) {
  if (change.kind == Kind::ModelRuntime || change.kind == Kind::ConfigMap)
    for (const auto& model : m_->stores.models.all()) m_->queue.insert(model->meta.key);
  for (const ObjectKey& model : change.models) m_->queue.insert(model);
}

void Operator::deliver(Kind kind) {
  const Change change = *next_change(kind);
  ++m_->seen[kind];
  // Our own writes are in the store already and wake nobody.
  if (change.take(m_->stores)) wake(change);
}

void Operator::offer(std::vector<Step>& steps) {
  for (Kind kind : kWatched)
    if (next_change(kind))
      steps.push_back({std::string("watch: a ") + info(kind).kind, [this, kind] { deliver(kind); }});
  if (m_->in_flight) {
    steps.push_back({"operator: goes on", [this] { act(); }});
  } else {
    for (const auto& [key, at] : m_->timers)
      if (at <= w_.now) m_->queue.insert(key);
    for (const ObjectKey& key : m_->queue)
      steps.push_back({"operator: reconciles " + key.name, [this, key] { reconcile(key); }});
  }
  for (size_t i = 0; i < m_->asked.size(); ++i)
    steps.push_back({"evidence: answers " + m_->asked[i].second.id, [this, i] { answer(i); }});
}

void Operator::offer_crash(std::vector<Step>& steps) {
  steps.push_back({"operator: CRASHES", [this] { restart(); }});
}

void Operator::offer_whim(std::vector<Step>& steps) {
  if (m_->in_flight) return;
  for (const auto& model : m_->stores.models.all())
    steps.push_back({"operator: reconciles " + model->meta.key.name + " for no reason",
                     [this, key = model->meta.key] { reconcile(key); }});
}

std::optional<TimePoint> Operator::next_due() const {
  std::optional<TimePoint> due;
  for (const auto& [key, at] : m_->timers)
    if (!due || at < *due) due = at;
  return due;
}

void Operator::wake_at(const ObjectKey& key, TimePoint at) {
  auto [it, fresh] = m_->timers.try_emplace(key, at);
  if (!fresh) it->second = std::min(it->second, at);
}

void Operator::reconcile(const ObjectKey& key) {
  m_->queue.erase(key);
  if (auto timer = m_->timers.find(key); timer != m_->timers.end() && timer->second <= w_.now)
    m_->timers.erase(timer);
  InFlight flight;
  flight.key = key;
  flight.mark = m_->answers.mark();
  const Observed observed = model::observe(m_->stores, m_->ledger, m_->answers, m_->refusals, key);
  flight.known = observed.model;
  flight.plan = model::plan(observed, w_.now, kSettings);
  m_->in_flight = std::move(flight);
  if (m_->in_flight->plan.actions.empty()) follow_up();
}

void Operator::act() {
  InFlight& flight = *m_->in_flight;
  const Action& action = flight.plan.actions[flight.next++];
  const auto* status = std::get_if<WriteStatus>(&action);
  if (status && status->may_wait && hold_counts && hold_counts()) {
    w_.say("  holds back " + text_of(action));
    wake_at(flight.key, w_.now + std::chrono::seconds(5));
  } else {
    w_.say("  " + text_of(action));
    observer_.before(action, flight.known);
    ++writes;
    const Result<void> done = carry_out(action);
    if (!done) {
      w_.say("    -> " + done.error().message);
      return refuse(action, done.error());
    }
    m_->refusals.clear(flight.key, target_of(action),
                       std::holds_alternative<Apply>(action) || std::holds_alternative<Delete>(action));
  }
  if (flight.next == flight.plan.actions.size()) follow_up();
}

Result<void> Operator::carry_out(const Action& action) {
  const ObjectRef& target = target_of(action);
  if (const auto* removal = std::get_if<Delete>(&action)) {
    const auto removed = w_.remove(*removal);
    if (removed && lost()) return fail(ErrorKind::Transport, "the answer was lost");
    if (removed) keep(target);
    return removed;
  }
  const auto* apply = std::get_if<Apply>(&action);
  const Result<Json> stored = apply ? w_.apply(*apply)
                              : std::holds_alternative<Scale>(action)
                                  ? w_.scale(std::get<Scale>(action))
                                  : w_.write_status(std::get<WriteStatus>(action));
  if (!stored) return fail(stored.error());
  if (lost()) return fail(ErrorKind::Transport, "the answer was lost");
  if (apply && target.kind == Kind::Deployment) {
    const auto object = w_.truth.deployments.get(target.key);
    m_->ledger.record(object->meta.uid, apply->hash, object->spec_hash);
  } else if (apply && target.kind == Kind::Service) {
    const auto object = w_.truth.services.get(target.key);
    m_->ledger.record(object->meta.uid, apply->hash, object->spec_hash);
  }
  keep(target);
  return {};
}

// The API server answers with the object as it is now, which goes into the store at once.
void Operator::keep(const ObjectRef& target) {
  const auto last = std::find_if(w_.log.rbegin(), w_.log.rend(), [&](const Change& c) {
    return c.kind == target.kind && c.key == target.key;
  });
  if (last != w_.log.rend()) last->take(m_->stores);
}

void Operator::refuse(const Action& action, const Error& error) {
  const ObjectKey key = m_->in_flight->key;
  const auto* apply = std::get_if<Apply>(&action);
  const bool foreign = error.kind == ErrorKind::Conflict && apply && apply->uid.empty();
  if (error.kind != ErrorKind::Invalid && error.kind != ErrorKind::Forbidden && !foreign) {
    m_->in_flight.reset();
    return retry(key, Duration(0));
  }
  const bool fresh = m_->refusals.record(key, {target_of(action), error, apply ? apply->hash : "", w_.now});
  const Plan plan = std::move(m_->in_flight->plan);
  m_->in_flight.reset();
  for (Ask& ask : m_->answers.begin(key, plan.asks, w_.now)) m_->asked.push_back({key, std::move(ask)});
  if (fresh)
    m_->queue.insert(key);
  else
    retry(key, std::chrono::seconds(1));
}

void Operator::retry(const ObjectKey& key, Duration at_least) {
  const int failures = std::min(++m_->failures[key], 8);
  wake_at(key, w_.now + std::max(at_least, Duration(5 << failures)));
}

void Operator::follow_up() {
  InFlight flight = std::move(*m_->in_flight);
  m_->in_flight.reset();
  m_->failures.erase(flight.key);
  std::set<std::string> wanted;
  for (const Ask& ask : flight.plan.asks) wanted.insert(ask.id);
  m_->answers.retain(flight.key, wanted, flight.mark);
  for (Ask& ask : m_->answers.begin(flight.key, std::move(flight.plan.asks), w_.now))
    m_->asked.push_back({flight.key, std::move(ask)});
  for (const Event& event : flight.plan.events) w_.say("    event " + event.reason + ": " + event.note);
  if (flight.plan.requeue_after) wake_at(flight.key, w_.now + *flight.plan.requeue_after);
  if (!m_->stores.models.get(flight.key)) m_->refusals.forget(flight.key);
}

Answer Operator::answer_to(const Ask& ask) const {
  Answer answer;
  answer.at = w_.now;
  if (const auto* prometheus = std::get_if<AskPrometheus>(&ask.question)) {
    const auto read = [&](const std::string& query) {
      const auto it = metrics.find(query);
      return it == metrics.end() ? Reading{{}, "no data"} : Reading{Decimal::parse(it->second), ""};
    };
    answer.value = read(prometheus->query);
    if (prometheus->stable_query) answer.stable = read(*prometheus->stable_query);
    if (prometheus->samples_query) answer.samples = read(*prometheus->samples_query);
  } else if (const auto* configmap = std::get_if<AskConfigMap>(&ask.question)) {
    const Json* object = w_.find({Kind::ConfigMap, configmap->configmap});
    if (object && (*object)["data"].contains(configmap->key))
      answer.text = (*object)["data"][configmap->key].get<std::string>();
    else
      answer.problem = "no such key";
  } else {
    answer.text = job_result(std::get<AskRunResult>(ask.question).job.name);
  }
  return answer;
}

void Operator::answer(size_t index) {
  const auto [model, ask] = m_->asked[index];
  m_->asked.erase(m_->asked.begin() + static_cast<std::ptrdiff_t>(index));
  m_->answers.put(model, ask.id, answer_to(ask));
  m_->queue.insert(model);
}

std::string Operator::still_to_write() const {
  for (const ObjectRef& ref : w_.all(Kind::Model)) {
    Ledger ledger;
    const Plan plan =
        model::plan(model::observe(w_.truth, ledger, m_->answers, m_->refusals, ref.key), w_.now, kSettings);
    for (const Action& action : plan.actions) return text_of(action);
  }
  return "";
}

}  // namespace mo::sim
