#include "operator/runtime/executor.h"

#include <algorithm>
#include <utility>

#include "operator/api/parse.h"
#include "operator/json/json.h"
#include "operator/runtime/log.h"

namespace mo {
namespace {

const ObjectRef& target_of(const Action& action) {
  return std::visit([](const auto& it) -> const ObjectRef& { return it.target; }, action);
}
const std::string& why_of(const Action& action) {
  return std::visit([](const auto& it) -> const std::string& { return it.why; }, action);
}
const char* verb_of(const Action& action) {
  static constexpr const char* kVerbs[std::variant_size_v<Action>] = {"apply", "scale", "delete", "write status", "set finalizers"};
  return kVerbs[action.index()];
}

// Bodies are ours; the bounds only keep a bug from becoming a crash.
constexpr size_t kMaxBody = 8u << 20;
constexpr int kMaxDepth = 200;

// What an apply that is to make an object says of it: no object is of this resourceVersion, since the first
// revision of etcd is that of the empty store. So what is there already, made by another leader while this
// write was on its way, is answered 409 instead of being merged with; what is not there is made.
constexpr const char* kMustNotExist = "1";

// What is made once and then only deleted needs no record of who owns which field, which is what makes an apply dear: it is made by POST.
bool made_once(Kind kind) {
  return kind == Kind::ModelVersion || kind == Kind::ModelRollout || kind == Kind::TrainingRun || kind == Kind::Job;
}

// A wrong metadata.uid in an apply or a patch of an object that exists is answered 422 ("metadata.uid:
// Invalid value: …: field is immutable"), not 409. It means that the object was deleted and made again under
// the same name.
bool uid_mismatch(const Error& error) {
  return error.kind == ErrorKind::Invalid && error.message.find("metadata.uid: ") != std::string::npos;
}

// The kind itself is missing. (So is the namespace perhaps, but then the Model goes with it.)
bool no_gateway_api(const Action& action, const Error& error) {
  const auto* apply = std::get_if<Apply>(&action);
  return apply && apply->target.kind == Kind::HttpRoute && apply->uid.empty() &&
         error.kind == ErrorKind::NotFound;
}

// A body with a value of the wrong kind ("lots" as a quantity) is answered with a 500, which looks like an
// outage; it is the same tomorrow. So is a webhook that cannot be reached, of that one kind of object: people are told, and the rest of
// the plan does not wait for it.
Error for_good(const Action& action, Error error) {
  if (!std::holds_alternative<WriteStatus>(action) && error.kind == ErrorKind::ServerError &&
      error.message.find("failed calling webhook") != std::string::npos)
    error.kind = ErrorKind::Forbidden;
  const bool unreadable = error.message.find("unable to convert unstructured object") != std::string::npos ||
                          error.message.find("failed to create typed patch object") != std::string::npos;
  if (std::holds_alternative<Apply>(action) && error.kind == ErrorKind::ServerError && unreadable)
    error.kind = ErrorKind::Invalid;
  // An engine's outage, or its kind's end, is not ours: what else the Model asks and does goes on.
  const auto* made = std::get_if<Apply>(&action);
  if (made && made->target.kind == Kind::Workload && (error.kind == ErrorKind::ServerError || error.kind == ErrorKind::NotFound))
    error.kind = ErrorKind::Forbidden;
  if (no_gateway_api(action, error)) {
    error.kind = ErrorKind::Invalid;
    error.message =
        "the cluster does not know HTTPRoutes: install the Gateway API's CRDs, or remove spec.serving.route";
  }
  return error;
}

// Whether that is the status of the object as it was read.
bool says(const std::string& object, const RawJson& status) {
  const auto stored = parse_json(object, kMaxBody, kMaxDepth);
  const auto written = parse_json(status, kMaxBody, kMaxDepth);
  return stored && written && stored->is_object() && stored->value("status", Json()) == *written;
}

}  // namespace

const char* to_string(Outcome::Kind kind) {
  switch (kind) {
    case Outcome::Kind::Done:
      return "done";
    case Outcome::Kind::Conflict:
      return "conflict";
    case Outcome::Kind::Refused:
      return "refused";
    case Outcome::Kind::Retry:
      return "retry";
    case Outcome::Kind::Cancelled:
      return "cancelled";
  }
  return "";
}

std::vector<Event> news_of(Plan& plan, const Outcome& outcome) {
  std::vector<Event> news;
  for (Event& event : plan.events) {
    const bool recorded = std::count(outcome.recorded.begin(), outcome.recorded.end(), event.regarding) > 0;
    if (recorded || outcome.kind == Outcome::Kind::Done) news.push_back(std::move(event));
  }
  return news;
}

Result<std::string> apply_body(const std::string& body, const std::string& uid,
                               const std::string& resource_version, const std::string& hash) {
  if (uid.empty() && resource_version.empty() && hash.empty()) return body;
  auto object = parse_json(body, kMaxBody, kMaxDepth);
  if (!object) return fail(ErrorKind::Invalid, "the plan's body: " + object.error().message);
  if (!object->is_object()) return fail(ErrorKind::Invalid, "the plan's body is not a JSON object");
  Json& metadata = (*object)["metadata"];
  if (!metadata.is_object()) return fail(ErrorKind::Invalid, "the plan's body has no metadata");
  if (!uid.empty()) metadata["uid"] = uid;
  if (!resource_version.empty()) metadata["resourceVersion"] = resource_version;
  if (!hash.empty()) metadata["annotations"][api::kAnnotationApplied] = hash;
  return object->dump();
}

std::string scale_body(const Scale& scale) {
  Json metadata = {{"uid", scale.uid}};
  if (!scale.resource_version.empty()) metadata["resourceVersion"] = scale.resource_version;
  return Json{{"metadata", metadata}, {"spec", {{"replicas", scale.replicas}}}}.dump();
}

std::string finalizers_body(const SetFinalizers& set) {
  return Json{{"metadata", {{"uid", set.uid}, {"resourceVersion", set.resource_version}, {"finalizers", set.finalizers}}}}.dump();
}

std::string status_body(const WriteStatus& write) {
  const KindInfo& kind = info(write.target.kind);
  Json metadata = {
      {"name", write.target.key.name}, {"uid", write.uid}, {"resourceVersion", write.resource_version}};
  if (!write.target.key.ns.empty()) metadata["namespace"] = write.target.key.ns;
  // The status is a complete JSON value already: it is put in as it is.
  return R"({"apiVersion":")" + kind.api_version() + R"(","kind":")" + kind.kind + R"(","metadata":)" +
         metadata.dump() + R"(,"status":)" + write.status + "}";
}

Outcome Executor::run(const ObjectKey& model, const Plan& plan, TimePoint now, std::stop_token stop) {
  const std::string model_text = ObjectRef{Kind::Model, model}.to_string();
  Outcome outcome;
  bool owner_is_there = false;
  for (const Action& action : plan.actions) {
    const auto failed = [&](const Error& error) {
      Outcome judged = judge(model, action, error, now);
      judged.recorded = std::move(outcome.recorded);
      if (const auto* write = std::get_if<WriteStatus>(&action)) remember_news(model, *write, plan);
      return judged;
    };
    if (stop.stop_requested() || (may_write_ && !may_write_()))
      return Outcome{Outcome::Kind::Cancelled, {}, {}, false, {}, std::move(outcome.recorded)};
    const ObjectRef& target = target_of(action);
    if (const auto wait = hold(action)) {
      outcome.held = std::min(outcome.held.value_or(*wait), *wait);
      continue;
    }
    const auto* apply = std::get_if<Apply>(&action);
    if (apply && apply->uid.empty() && !std::exchange(owner_is_there, true)) {
      const auto confirmed = confirm_owner(model, stop);
      if (!confirmed && confirmed.error().kind == ErrorKind::Conflict)
        return Outcome{Outcome::Kind::Conflict, std::string(verb_of(action)) + " " + target.to_string(), confirmed.error(), false, {}, std::move(outcome.recorded)};
      if (!confirmed) return failed(confirmed.error());
    }
    const auto result = std::visit([&](const auto& it) { return act(it, stop); }, action);
    if (!result) return failed(for_good(action, result.error()));
    if (std::holds_alternative<WriteStatus>(action)) outcome.recorded.push_back(target);
    owner_is_there |= target.kind == Kind::Model;  // its status was written, with its UID as precondition
    // Thousands of status writes are no news; what they say is in the object.
    log::write(std::holds_alternative<WriteStatus>(action) ? spdlog::level::debug : spdlog::level::info,
               verb_of(action), target.to_string(),
               {{"why", why_of(action)}, {"for", target.kind == Kind::Model ? "" : model_text}});
    refusals_.clear(model, target,
                    std::holds_alternative<Apply>(action) || std::holds_alternative<Delete>(action));
  }
  return outcome;
}

Result<std::vector<Event>> Executor::catch_up(const ObjectKey& model, std::stop_token stop) {
  Unanswered unanswered;
  {
    std::lock_guard lock(unanswered_mutex_);
    const auto found = unanswered_.find(model);
    if (found == unanswered_.end()) return std::vector<Event>{};
    unanswered = found->second;
  }
  const ObjectRef& target = unanswered.target;
  // Before it is read: what comes to the store meanwhile may be newer than the answer.
  std::string uid;
  with_store(stores_, target.kind, [&](auto& store) {
    if (const auto known = store.get(target.key)) uid = known->meta.uid;
  });
  const auto stored = client_.get(target, stop);
  if (!stored && stored.error().kind != ErrorKind::NotFound) return fail(stored.error());
  if (stored) {
    if (const auto kept = keep(target, *stored, "", Answer::Read); !kept) return fail(kept.error());
  } else if (!uid.empty()) {
    drop(target, uid);
  }
  refusals_.clear(model, target, true);  // what nobody answered may have been done since
  const bool recorded = stored && !unanswered.news.empty() && says(*stored, unanswered.status);
  std::lock_guard lock(unanswered_mutex_);
  unanswered_.erase(model);
  return recorded ? std::move(unanswered.news) : std::vector<Event>{};
}

// Who is to own what is made must be there, and as the plan saw it: the watches run apart, and that of its dependents may be the first to
// tell that it was deleted. What was made then would be made twice, and what a newer spec does not ask for would be made at all.
Result<void> Executor::confirm_owner(const ObjectKey& model, std::stop_token stop) {
  const auto known = stores_.models.get(model);
  if (!known) return {};
  const ObjectRef target{Kind::Model, model};
  const auto stored = client_.get(target, stop);
  if (!stored && stored.error().kind != ErrorKind::NotFound) return fail(stored.error());
  if (!stored) {
    drop(target, known->meta.uid);
  } else {
    if (const auto kept = keep(target, *stored, "", Answer::Read); !kept) return kept;
    const auto now = stores_.models.get(model);
    const bool same = now && now->meta.uid == known->meta.uid && now->meta.deleting == known->meta.deleting;
    if (same && now->meta.resource_version == known->meta.resource_version) return {};
    if (same) return fail(ErrorKind::Conflict, target.to_string() + " has changed meanwhile");
  }
  return fail(ErrorKind::NotFound, target.to_string() + " has been deleted");
}

// How long a status that may wait has to, if it does.
std::optional<Duration> Executor::hold(const Action& action) {
  const auto* write = std::get_if<WriteStatus>(&action);
  const bool counts = write && (write->target.kind == Kind::Model || write->target.kind == Kind::ModelRollout);
  if (!counts) return std::nullopt;
  const auto now = std::chrono::steady_clock::now();
  std::lock_guard lock(statuses_mutex_);
  const auto last = statuses_.find(write->uid);
  if (write->may_wait && last != statuses_.end() && now < last->second + write->patience)
    return std::chrono::ceil<Duration>(last->second + write->patience - now);
  if (statuses_.size() >= statuses_sweep_at_) {
    std::erase_if(statuses_, [&](const auto& entry) { return entry.second + kLongestPatience < now; });
    statuses_sweep_at_ = std::max<size_t>(512, 2 * statuses_.size());
  }
  statuses_[write->uid] = now;
  return std::nullopt;
}

Outcome Executor::judge(const ObjectKey& model, const Action& action, const Error& error, TimePoint now) {
  const ObjectRef& target = target_of(action);
  Outcome outcome;
  outcome.what = std::string(verb_of(action)) + " " + target.to_string();
  if (!why_of(action).empty()) outcome.what += " (" + why_of(action) + ")";
  outcome.error = error;
  outcome.of_status = std::holds_alternative<WriteStatus>(action);
  const auto* apply = std::get_if<Apply>(&action);
  switch (error.kind) {
    case ErrorKind::Invalid:
    case ErrorKind::Forbidden:
      outcome.kind = uid_mismatch(error) ? Outcome::Kind::Conflict : Outcome::Kind::Refused;
      break;
    case ErrorKind::Conflict:
    case ErrorKind::AlreadyExists:
      outcome.kind = apply && apply->uid.empty() ? in_the_way(model, target) : Outcome::Kind::Conflict;
      // For people: what it was modified since is that there was none.
      if (outcome.kind == Outcome::Kind::Refused &&
          (error.kind == ErrorKind::AlreadyExists || error.message.find("has been modified") != std::string::npos))
        outcome.error->message = "there is one already, which is not this Model's";
      break;
    case ErrorKind::NotFound:
      // Gone under us; or, on a first apply, its namespace or its CRD is not there.
      outcome.kind = apply && apply->uid.empty() ? Outcome::Kind::Retry : Outcome::Kind::Conflict;
      break;
    case ErrorKind::Cancelled:
      outcome.kind = Outcome::Kind::Cancelled;
      break;
    case ErrorKind::ServerError:
    case ErrorKind::Transport:
    case ErrorKind::Malformed:
      outcome.kind = Outcome::Kind::Retry;
      read_before_next(model, target);
      break;
    case ErrorKind::Gone:
    case ErrorKind::Unauthorized:
    case ErrorKind::TooManyRequests:
      outcome.kind = Outcome::Kind::Retry;
      break;
  }
  if (outcome.kind == Outcome::Kind::Refused)
    outcome.fresh_refusal =
        refusals_.record(model, Refusal{target, *outcome.error, apply ? apply->hash : "", now});
  return outcome;
}

// What was to be made is there. If it is somebody else's it stays in the way; if it is the Model's own, or
// unknown so far, the next plan will know it.
Outcome::Kind Executor::in_the_way(const ObjectKey& model, const ObjectRef& target) {
  const auto owner = stores_.models.get(model);
  bool known = false, ours = false;
  with_store(stores_, target.kind, [&](auto& store) {
    const auto held = store.get(target.key);
    known = held != nullptr;
    ours = held && owner && held->meta.controller_uid == owner->meta.uid;
    for (const auto& run : stores_.runs.of_model(model)) ours |= held && held->meta.controller_uid == run->meta.uid;
  });
  if (known && !ours) return Outcome::Kind::Refused;
  read_before_next(model, target);
  return Outcome::Kind::Conflict;
}

// An object that we applied and that belongs to nobody: somebody removed the owner reference. It is taken
// back, by its UID. (Others' objects that were in the way of one of ours are known too; no watch tells when
// they go.)
std::string Executor::orphan_at(const ObjectRef& target) {
  std::string uid;
  with_store(stores_, target.kind, [&](auto& store) {
    const auto held = store.get(target.key);
    if constexpr (requires { held->applied_hash; })
      if (held && held->meta.controller_uid.empty() && !held->applied_hash.empty()) uid = held->meta.uid;
    if constexpr (requires { held->copy; })  // named after its content
      if (held && held->meta.controller_uid.empty() && held->copy) uid = held->meta.uid;
  });
  return uid;
}

void Executor::read_before_next(const ObjectKey& model, const ObjectRef& target) {
  if (target.kind == Kind::Workload) return;  // it is looked at before each plan that would write it
  std::lock_guard lock(unanswered_mutex_);
  unanswered_.insert_or_assign(model, Unanswered{target, {}, {}});
}

// If nobody answered that write.
void Executor::remember_news(const ObjectKey& model, const WriteStatus& write, const Plan& plan) {
  std::lock_guard lock(unanswered_mutex_);
  const auto found = unanswered_.find(model);
  if (found == unanswered_.end() || found->second.target != write.target) return;
  found->second.status = write.status;
  for (const Event& event : plan.events)
    if (event.regarding == write.target) found->second.news.push_back(event);
}

Result<void> Executor::act(const Apply& apply, std::stop_token stop) {
  if (apply.target.kind == Kind::Workload) return make_workload(apply, stop);
  const std::string orphan = apply.uid.empty() ? orphan_at(apply.target) : "";
  const bool makes = apply.uid.empty() && orphan.empty();
  const auto body = apply_body(apply.body, orphan.empty() ? apply.uid : orphan,
                               makes ? kMustNotExist : apply.resource_version, apply.hash);
  if (!body) return fail(body.error());
  const bool posts = makes && (apply.post || made_once(apply.target.kind));
  const auto stored = posts ? client_.post(apply.target.kind, apply.target.key.ns, apply.body, stop)
                            : client_.apply(apply.target, *body, !apply.uid.empty(), stop);
  if (!stored) return fail(stored.error());
  return keep(apply.target, *stored, apply.hash);
}

// No store holds it: whose it is that is there already shows when it is looked at next.
Result<void> Executor::make_workload(const Apply& apply, std::stop_token stop) {
  const auto stored = client_.post_raw(apply.collection + "?fieldManager=model-operator&fieldValidation=Strict", apply.body, stop);
  if (!stored && stored.error().kind != ErrorKind::AlreadyExists) return fail(stored.error());
  return {};
}

Result<void> Executor::act(const Scale& scale, std::stop_token stop) {
  const auto stored = client_.merge_patch(scale.target, scale_body(scale), "", stop);
  if (!stored) return fail(stored.error());
  return keep(scale.target, *stored, "");
}

Result<void> Executor::act(const SetFinalizers& set, std::stop_token stop) {
  const auto stored = client_.merge_patch(set.target, finalizers_body(set), "", stop);
  if (!stored) return fail(stored.error());
  return keep(set.target, *stored, "");
}

Result<void> Executor::act(const Delete& removal, std::stop_token stop) {
  const auto removed = removal.target.kind == Kind::Workload
                           ? client_.remove_raw(removal.collection + "/" + removal.target.key.name, removal.uid, stop)
                           : client_.remove(removal.target, removal.uid, removal.resource_version, stop);
  if (!removed && removed.error().kind != ErrorKind::NotFound) return fail(removed.error());
  drop(removal.target, removal.uid);
  return {};
}

Result<void> Executor::act(const WriteStatus& write, std::stop_token stop) {
  const auto stored = client_.put(write.target, status_body(write), "status", stop);
  if (!stored) return fail(stored.error());
  return keep(write.target, *stored, "");
}

// Read your own writes. One whose answer cannot be read counts as unanswered: what is stored has to be read before the next plan,
// which would else be made on the state before it.
Result<void> Executor::keep(const ObjectRef& target, const std::string& stored, const std::string& applied_hash,
                            Answer answer) {
  Result<void> kept;
  with_store(stores_, target.kind, [&](auto& store) {
    using T = decltype(object_type(store));
    auto object = api::parse<T>(stored);
    if (!object) {
      kept = fail(ErrorKind::Malformed, "the answer cannot be read: " + object.error().message);
      return;
    }
    if constexpr (requires { object->spec_hash; }) {
      // Before the store, so that no reconcile sees the new object without its entry.
      if (!applied_hash.empty()) ledger_.record(object->meta.uid, applied_hash, object->spec_hash);
    }
    if (answer == Answer::Read)
      store.read_ahead(std::move(*object));
    else
      store.upsert(std::move(*object));
  });
  return kept;
}

void Executor::drop(const ObjectRef& target, const std::string& uid) {
  with_store(stores_, target.kind, [&](auto& store) { store.remove(target.key, uid); });
  if (!uid.empty()) ledger_.forget(uid);
}

}  // namespace mo
