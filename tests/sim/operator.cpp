#include "tests/sim/operator.h"

#include <algorithm>
#include <unordered_map>

#include "operator/api/parse.h"
#include "operator/evidence/adopted_objects.h"
#include "operator/evidence/workload_status.h"
#include "operator/store/references.h"
#include "reconcilers/model/observe.h"

namespace mo::sim {
namespace {

constexpr size_t kPlansKept = 4000;

const ObjectRef& target_of(const Action& action) {
  return std::visit([](const auto& a) -> const ObjectRef& { return a.target; }, action);
}

std::string text_of(const Action& action) {
  static constexpr const char* kVerbs[std::variant_size_v<Action>] = {"apply", "scale", "delete", "status", "set finalizers"};
  return std::string(kVerbs[action.index()]) + " " + target_of(action).to_string() + ": " +
         std::visit([](const auto& a) { return a.why; }, action);
}

void fill(AnswerBook& book, const Mind& mind) {
  for (const auto& kept : mind.answers) book.put(kept.model, kept.id, kept.answer);
  for (const auto& asked : mind.asked) book.begin(asked.model, {asked.ask}, asked.at);
}

void fill(Refusals& refusals, const Mind& mind) {
  for (const auto& [model, of_model] : mind.refusals)
    for (const Refusal& refusal : of_model) refusals.record(model, refusal);
}

}  // namespace

void Operator::load(const Mind& mind) {
  StoredSet known = std::move(m_.known);
  m_ = mind;
  become(mind.known, known, stores_);
}

void Operator::restart() {
  read_log();
  // A quorum list of everything.
  Mind fresh;
  for (const StoredPtr& object : w_.objects())
    if (object->ref.kind != Kind::Workload) fresh.known.push_back(object);
  for (const StoredPtr& object : fresh.known)
    for (const ObjectKey& model : object->models) fresh.queue.insert(model);
  for (const auto& runtime : w_.truth.runtimes.all()) fresh.queue.insert(runtime->meta.key);
  load(fresh);
}

void Operator::read_log() {
  for (Change& change : w_.log) m_.late[change.ref().kind].push_back(std::move(change));
  w_.log.clear();
}

bool Operator::take(const Change& change) {
  if (!change.take(stores_)) return false;
  if (change.deleted)
    drop(m_.known, change.ref());
  else
    put(m_.known, change.object);
  return true;
}

void Operator::wake(const Change& change) {
  for (const ObjectKey& model : concerned_by(stores_, change.ref())) m_.queue.insert(model);
  const Kind kind = change.ref().kind;
  if (kind == Kind::ModelRuntime) m_.queue.insert(change.ref().key);
  if (kind == Kind::Model || kind == Kind::ModelRollout)
    for (const auto& runtime : stores_.runtimes.all())
      if (runtime->update.automatic) m_.queue.insert(runtime->meta.key);
  for (const ObjectKey& key : change.object->models)
    if (const ObjectKey model = model_behind(stores_, key); !model.name.empty()) m_.queue.insert(model);
}

void Operator::deliver(Kind kind) {
  auto late = m_.late.find(kind);
  const Change change = std::move(late->second.front());
  late->second.erase(late->second.begin());
  if (late->second.empty()) m_.late.erase(late);
  // Our own writes are in the store already and wake nobody.
  if (take(change)) wake(change);
}

bool Operator::idle() const {
  const bool due = std::any_of(m_.timers.begin(), m_.timers.end(),
                               [&](const auto& timer) { return timer.second <= w_.now; });
  return m_.late.empty() && !m_.flight && m_.queue.empty() && m_.asked.empty() && !due;
}

void Operator::offer(std::vector<Step>& steps) {
  read_log();
  for (const auto& [kind, changes] : m_.late)
    steps.push_back({std::string("watch: a ") + info(kind).kind, [this, k = kind] { deliver(k); }});
  if (m_.flight) {
    steps.push_back({"operator: goes on", [this] { act(); }});
  } else {
    for (const auto& [key, at] : m_.timers)
      if (at <= w_.now) m_.queue.insert(key);
    for (const ObjectKey& key : m_.queue)
      steps.push_back({"operator: reconciles " + key.name, [this, key] { reconcile(key); }});
  }
  for (size_t i = 0; i < m_.asked.size(); ++i)
    steps.push_back({"evidence: answers " + m_.asked[i].ask.id, [this, i] { answer(i); }});
}

void Operator::offer_crash(std::vector<Step>& steps) {
  steps.push_back({"operator: CRASHES", [this] { restart(); }});
}

void Operator::offer_whim(std::vector<Step>& steps) {
  if (m_.flight) return;
  for (const auto& model : stores_.models.all())
    steps.push_back({"operator: reconciles " + model->meta.key.name + " for no reason",
                     [this, key = model->meta.key] { reconcile(key); }});
}

std::optional<TimePoint> Operator::next_due() const {
  std::optional<TimePoint> due;
  for (const auto& [key, at] : m_.timers)
    if (!due || at < *due) due = at;
  return due;
}

void Operator::wake_at(const ObjectKey& key, TimePoint at) {
  auto [it, fresh] = m_.timers.try_emplace(key, at);
  if (!fresh) it->second = std::min(it->second, at);
}

Observed Operator::observe(const ObjectKey& key) {
  Ledger ledger;
  AnswerBook answers;
  Refusals refusals;
  for (const auto& [uid, given] : m_.ledger) ledger.record(uid, given.applied, given.stored);
  fill(answers, m_);
  fill(refusals, m_);
  const Observed observed = model::observe(stores_, ledger, answers, refusals, key);
  // What the ledger takes at its word when it sees it for the first time.
  const auto learn = [&](const auto& owned) {
    for (const auto& [name, one] : owned)
      if (!one.object->foreign_spec_manager)
        m_.ledger.try_emplace(one.object->meta.uid,
                              Mind::Given{one.object->applied_hash, one.object->spec_hash});
  };
  learn(observed.deployments);
  learn(observed.services);
  return observed;
}

Plan Operator::runtime_plan(const Stores& stores, const ObjectKey& key) const {
  return runtimes::plan(runtimes::observe(stores, key, {}, w_.now), w_.now);
}

// Plans are pure: what was seen before leads to the same one.
Flight Operator::planned(const ObjectKey& key) {
  struct Seen {
    StoredSet known;  // keeps the addresses taken that the key is made of
    Flight flight;
    std::map<std::string, Mind::Given> ledger;
  };
  static std::unordered_map<std::string, Seen> all;
  if (all.size() > kPlansKept) all.clear();
  std::string what = key.to_string() + "@" + fetch_image + "@" + std::to_string(w_.now.time_since_epoch().count());
  const auto add = [&](const std::string& text) { (what += text) += '\n'; };
  for (const StoredPtr& object : m_.known) {
    const Stored* address = object.get();
    what.append(reinterpret_cast<const char*>(&address), sizeof address);
  }
  for (const auto& [uid, given] : m_.ledger) add(uid + given.applied + given.stored);
  for (const auto& [model, id, answer, seen, of_objects] : m_.answers) {
    add(model.name + id + std::to_string(answer.at.time_since_epoch().count()) +
        answer.text.value_or(answer.problem));
    for (const Reading* r : {&answer.value, &answer.stable, &answer.samples})
      add(r->value ? r->value->to_string() : r->problem);
  }
  for (const auto& [model, refusals] : m_.refusals)
    for (const Refusal& r : refusals) add(model.name + r.target.to_string() + r.error.message + r.body_hash);
  auto [it, fresh] = all.try_emplace(std::move(what));
  Seen& seen = it->second;
  if (fresh) {
    const bool of_runtime = key.ns.empty();
    const Observed observed = of_runtime ? Observed{} : observe(key);
    seen.known = m_.known;
    seen.flight = {key, std::make_shared<const Plan>(of_runtime ? runtime_plan(stores_, key) : model::plan(observed, w_.now, {fetch_image, {}, {audit}})), 0,
                   observed.model, std::make_shared<std::shared_ptr<const std::vector<Print>>>()};
    seen.ledger = m_.ledger;
  }
  m_.ledger = seen.ledger;
  return seen.flight;
}

void Operator::reconcile(const ObjectKey& key) {
  m_.queue.erase(key);
  if (auto timer = m_.timers.find(key); timer != m_.timers.end() && timer->second <= w_.now)
    m_.timers.erase(timer);
  for (auto& kept : m_.answers) kept.seen = true;
  m_.flight = planned(key);
  if (m_.flight->plan->actions.empty()) follow_up();
}

// As the executor does.
std::optional<Duration> Operator::hold(const WriteStatus& write) const {
  if (!write.may_wait) return {};
  if (hold_counts && hold_counts()) return std::chrono::seconds(5);
  const auto told = m_.told.find(write.uid);
  if (!punctual || told == m_.told.end() || w_.now >= told->second + write.patience) return {};
  return told->second + write.patience - w_.now;
}

void Operator::act() {
  Flight& flight = *m_.flight;
  const Action& action = flight.plan->actions[flight.next++];
  const auto* status = std::get_if<WriteStatus>(&action);
  if (const auto wait = status ? hold(*status) : std::nullopt) {
    w_.say("  holds back " + text_of(action));
    wake_at(flight.key, w_.now + *wait);
  } else {
    if (w_.traced) w_.say("  " + text_of(action));
    const Result<void> confirmed = confirm_owner(action);
    if (confirmed) observer_.before(action, flight.known);
    ++writes;
    if (status && punctual && (status->target.kind == Kind::Model || status->target.kind == Kind::ModelRollout))
      m_.told[status->uid] = w_.now;  // no other may wait
    const Result<void> done = confirmed ? carry_out(action) : confirmed;
    if (!done) {
      w_.say("    -> " + done.error().message);
      return refuse(action, done.error());
    }
    settle(target_of(action),
           std::holds_alternative<Apply>(action) || std::holds_alternative<Delete>(action));
  }
  if (flight.next == flight.plan->actions.size()) follow_up();
}

// As the executor does before it makes something for a Model whose status this plan has not written: it has to be as the plan saw it.
Result<void> Operator::confirm_owner(const Action& action) {
  const auto makes = [](const Action& it) {
    const auto* apply = std::get_if<Apply>(&it);
    return apply && apply->uid.empty();
  };
  const Flight& flight = *m_.flight;
  if (!makes(action) || !flight.known) return {};
  const auto begin = flight.plan->actions.begin();
  const bool confirmed = std::any_of(begin, begin + static_cast<std::ptrdiff_t>(flight.next - 1), [&](const Action& before) {
    return makes(before) || target_of(before).kind == Kind::Model;
  });
  if (confirmed) return {};
  const auto is = w_.truth.models.get(flight.key);
  if (is && is->meta.uid == flight.known->meta.uid && is->meta.resource_version == flight.known->meta.resource_version) return {};
  keep({Kind::Model, flight.key});
  return fail(ErrorKind::NotFound, "the Model has changed meanwhile");
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
  const bool makes_workload = apply && target.kind == Kind::Workload;
  const Result<void> stored = makes_workload ? w_.make_workload(*apply)
                              : apply ? w_.apply(*apply)
                              : std::holds_alternative<Scale>(action)
                                  ? w_.scale(std::get<Scale>(action))
                              : std::holds_alternative<SetFinalizers>(action)
                                  ? w_.set_finalizers(std::get<SetFinalizers>(action))
                                  : w_.write_status(std::get<WriteStatus>(action));
  if (!stored) return fail(stored.error());
  if (lost()) return fail(ErrorKind::Transport, "the answer was lost");
  const auto give = [&](const auto& object) {
    m_.ledger[object->meta.uid] = {apply->hash, object->spec_hash};
  };
  if (apply && target.kind == Kind::Deployment) give(w_.truth.deployments.get(target.key));
  if (apply && target.kind == Kind::Service) give(w_.truth.services.get(target.key));
  keep(target);
  return {};
}

// No watch tells of workloads: what was known of one before it was made or deleted is asked anew, as the controller does.
void Operator::doubt(const ObjectKey& model, const Plan& plan) {
  if (std::any_of(plan.actions.begin(), plan.actions.end(), [](const Action& action) { return target_of(action).kind == Kind::Workload; }))
    std::erase_if(m_.answers, [&](const Mind::Kept& kept) { return kept.model == model && kept.of_objects; });
}

// The API server answers with the object as it is now, which goes into the store at once.
void Operator::keep(const ObjectRef& target) {
  if (target.kind == Kind::Workload) return;  // no store holds it
  if (const StoredPtr now = w_.stored(target))
    take({now, false});
  else if (const StoredPtr gone = find(m_.known, target))
    take({gone, true});
}

// An action on the target succeeded.
void Operator::settle(const ObjectRef& target, bool applied) {
  if (m_.refusals.empty()) return;
  Refusals refusals;
  fill(refusals, m_);
  const ObjectKey& key = m_.flight->key;
  refusals.clear(key, target, applied);
  m_.refusals[key] = refusals.of(key);
  if (m_.refusals[key].empty()) m_.refusals.erase(key);
}

bool Operator::known_as_foreign(const ObjectRef& target) const {
  const StoredPtr known = find(m_.known, target);
  const auto owner = stores_.models.get(m_.flight->key);
  if (!known || !owner) return known != nullptr;
  const auto runs = stores_.runs.of_model(m_.flight->key);
  for (const Json& reference : known->json["metadata"].value("ownerReferences", Json::array()))
    if (reference.value("uid", "") == owner->meta.uid || std::any_of(runs.begin(), runs.end(), [&](const auto& run) {
          return reference.value("uid", "") == run->meta.uid;
        }))
      return false;
  return true;
}

void Operator::refuse(const Action& action, const Error& error) {
  const ObjectKey key = m_.flight->key;
  for (const ObjectKey& other : m_.flight->plan->others) m_.queue.insert(other);
  const auto* apply = std::get_if<Apply>(&action);
  const bool there = error.kind == ErrorKind::Conflict && apply && apply->uid.empty();
  const bool foreign = there && known_as_foreign(target_of(action));
  // As the executor does before the next plan.
  if (error.kind == ErrorKind::Transport || (there && !foreign)) {
    keep(target_of(action));
    settle(target_of(action), true);
  }
  if (error.kind != ErrorKind::Invalid && error.kind != ErrorKind::Forbidden && !foreign) {
    m_.flight.reset();
    if (error.kind == ErrorKind::Conflict)
      std::erase_if(m_.answers, [&](const Mind::Kept& kept) { return kept.model == key && kept.of_objects; });
    return retry(key, Duration(0));
  }
  Refusals refusals;
  fill(refusals, m_);
  const bool fresh = refusals.record(key, {target_of(action), error, apply ? apply->hash : "", w_.now});
  m_.refusals[key] = refusals.of(key);
  const auto plan = m_.flight->plan;
  m_.flight.reset();
  doubt(key, *plan);
  send(key, plan->asks);
  if (fresh)
    m_.queue.insert(key);
  else
    retry(key, std::chrono::seconds(1));
}

void Operator::retry(const ObjectKey& key, Duration at_least) {
  if (punctual && at_least.count() == 0) return void(m_.queue.insert(key));
  const int failures = punctual ? 0 : std::min(++m_.failures[key], 8);
  wake_at(key, w_.now + std::max(at_least, Duration(5 << failures)));
}

void Operator::send(const ObjectKey& key, const std::vector<Ask>& asks) {
  AnswerBook book;
  fill(book, m_);
  for (Ask& ask : book.begin(key, asks, w_.now)) {
    std::erase_if(m_.asked, [&](const Mind::Asked& a) { return a.model == key && a.ask.id == ask.id; });
    m_.asked.push_back({key, std::move(ask), w_.now});
  }
}

void Operator::follow_up() {
  const Flight flight = std::move(*m_.flight);
  m_.flight.reset();
  for (const ObjectKey& other : flight.plan->others) m_.queue.insert(other);
  m_.failures.erase(flight.key);
  std::set<std::string> wanted;
  for (const Ask& ask : flight.plan->asks) wanted.insert(ask.id);
  std::erase_if(m_.answers, [&](const Mind::Kept& kept) {
    return kept.model == flight.key && kept.seen && !wanted.count(kept.id);
  });
  doubt(flight.key, *flight.plan);
  send(flight.key, flight.plan->asks);
  for (const Event& event : flight.plan->events) w_.say("    event " + event.reason + ": " + event.note);
  if (flight.plan->at_once)
    wake_at(flight.key, w_.now);
  else if (flight.plan->requeue_after)
    wake_at(flight.key, w_.now + *flight.plan->requeue_after);
  if (!stores_.models.get(flight.key)) m_.refusals.erase(flight.key);
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
    if (prometheus->stable_samples_query) answer.stable_samples = read(*prometheus->stable_samples_query);
  } else if (const auto* configmap = std::get_if<AskConfigMap>(&ask.question)) {
    const Json* object = w_.find({Kind::ConfigMap, configmap->configmap});
    if (object && (*object)["data"].contains(configmap->key))
      answer.text = (*object)["data"][configmap->key].get<std::string>();
    else
      answer.problem = "no such key";
  } else if (const auto* config = std::get_if<AskConfig>(&ask.question)) {
    const Json* object = w_.find({Kind::ConfigMap, config->configmap});
    answer.text = object ? Json{{"data", object->value("data", Json::object())}}.dump() : "null";
  } else if (const auto* web = std::get_if<AskWeb>(&ask.question)) {
    const auto it = metrics.find(web->url);
    answer.value = it == metrics.end() ? Reading{{}, "no such page"} : Reading{Decimal::parse(it->second), ""};
  } else if (const auto* place = std::get_if<AskOutside>(&ask.question)) {
    const auto it = outside.find(place->address);
    if (it != outside.end())
      answer.text = it->second;
    else
      answer.problem = place->address + " is away";
  } else if (const auto* approvals = std::get_if<AskApprovals>(&ask.question)) {
    Json uids = Json::array();
    for (const ObjectRef& one : w_.all(Kind::ModelApproval))
      if (w_.get(one)["spec"]["rolloutRef"]["name"] == approvals->rollout.name) {
        uids.push_back(w_.get(one)["metadata"]["uid"]);
        w_.words_read[uids.back()] = w_.get(one)["spec"];
      }
    answer.text = Json{{"problem", unguarded}, {"uids", uids}}.dump();
  } else if (const auto* gateways = std::get_if<AskGateways>(&ask.question)) {
    if (w_.gateway_mirrors)
      answer.text = gateways->feature;
    else
      answer.problem = "Gateway does not support " + gateways->feature;
  } else if (const auto* adopted = std::get_if<AskAdopted>(&ask.question)) {
    const Json* deployment = w_.find({Kind::Deployment, adopted->deployment});
    const Json* service = w_.find({Kind::Service, adopted->service});
    answer.text = R"({"deployment":)" + (deployment ? *evidence::adopted_deployment(deployment->dump()) : "null") + R"(,"service":)" +
                  (service ? *evidence::adopted_service(service->dump()) : "null") + R"(,"others":[]})";
  } else if (std::holds_alternative<AskQueue>(ask.question)) {
    answer.text = "";
  } else if (const auto* workload = std::get_if<AskWorkload>(&ask.question)) {
    answer.text = words_of(*workload);
  } else {
    answer.text = job_result(std::get<AskRunResult>(ask.question).job.name);
  }
  return answer;
}

// As the evidence room reads it; the pods of one that succeeded report what a Job of that name would.
std::string Operator::words_of(const AskWorkload& question) const {
  if (const Json* object = w_.find({Kind::Workload, {question.ns, question.name}})) {
    const std::string words = evidence::workload_status(object->dump(), question).value_or("{}");
    const bool by_pods = !question.result_pods.empty() && evidence::reports(words);
    return by_pods ? evidence::with_result(words, job_result(question.name)) : words;
  }
  const Json kinds = {{"resources", {{{"name", question.resource}, {"kind", question.kind}, {"namespaced", true}}}}};
  return *evidence::absent_workload(w_.has_engine ? kinds.dump() : "", question);
}

void Operator::answer(size_t index) {
  const auto [model, ask, at] = m_.asked[index];
  m_.asked.erase(m_.asked.begin() + static_cast<std::ptrdiff_t>(index));
  std::erase_if(m_.answers, [&](const Mind::Kept& k) { return k.model == model && k.id == ask.id; });
  m_.answers.push_back({model, ask.id, answer_to(ask), false, is_of_objects(ask)});
  m_.queue.insert(model);
}

std::string Operator::still_to_write() const {
  AnswerBook answers;
  Refusals refusals;
  fill(answers, m_);
  fill(refusals, m_);
  for (const auto& model : w_.truth.models.all()) {
    Ledger ledger;
    const Plan plan =
        model::plan(model::observe(w_.truth, ledger, answers, refusals, model->meta.key), w_.now, {fetch_image, {}, {audit}});
    for (const Action& action : plan.actions) return text_of(action);
  }
  for (const auto& runtime : w_.truth.runtimes.all())
    for (const Action& action : runtime_plan(w_.truth, runtime->meta.key).actions) return text_of(action);
  return "";
}

}  // namespace mo::sim
