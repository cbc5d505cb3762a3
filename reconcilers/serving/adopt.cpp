#include "reconcilers/serving/adopt.h"

#include <algorithm>

#include "operator/api/statuses.h"
#include "reconcilers/common/status_write.h"
#include "reconcilers/serving/render.h"
#include "reconcilers/serving/route.h"

namespace mo::serving {
namespace {

constexpr Duration kLook = std::chrono::seconds(1);
constexpr Duration kProblemLook = std::chrono::seconds(5);
constexpr auto kReadingKept = std::chrono::seconds(10);
// Whoever deletes a Model is not kept waiting for ever by pods that don't become ready.
constexpr Duration kReturnLimit = std::chrono::minutes(10);
constexpr Duration kReadLimit = kReturnLimit + std::chrono::minutes(1);

// What was read; null where there is no such object.
struct Found {
  Json deployment, service, others;
};

bool is(const Json& object, const std::string& uid) { return !object.is_null() && object["uid"] == uid; }

bool selects(const Json& selector, const Json& labels) {
  for (const auto& [name, value] : selector.items())
    if (!labels.contains(name) || labels[name] != value) return false;
  return !selector.empty();
}

// A reading that is acted on is used once: the plan does not list its ask, so that the next one is fresh. One that only tells what is in
// the way is kept for ten seconds, and until the next one is there.
class Reader {
 public:
  Reader(const Observed& o, const std::string& deployment, TimePoint now)
      : o_(o), deployment_(deployment), turn_(now.time_since_epoch() / kReadingKept) {}

  // Nothing as long as there is no answer; then `asks` holds the question.
  std::optional<Result<Found>> read(std::vector<Ask>& asks) const {
    const Ask ask = this->ask(turn_);
    auto found = answer_to(ask);
    if (!found) asks.push_back(ask);
    return found;
  }
  std::optional<Result<Found>> last(std::vector<Ask>& asks) const {
    const Ask ask = this->ask(turn_ - 1);
    auto found = answer_to(ask);
    if (found) asks.push_back(ask);
    return found;
  }
  void keep(std::vector<Ask>& asks) const { asks.push_back(ask(turn_)); }

 private:
  Ask ask(int64_t turn) const {
    return {"adopt/" + o_.model->meta.uid + "/" + deployment_ + "/" + std::to_string(turn),
            AskAdopted{{o_.key.ns, deployment_}, o_.key}};
  }

  std::optional<Result<Found>> answer_to(const Ask& ask) const {
    const auto answer = o_.answers.find(ask.id);
    if (answer == o_.answers.end()) return {};
    if (!answer->second.text) return Result<Found>(fail(ErrorKind::Invalid, answer->second.problem));
    const Result<Json> found = parse_json(*answer->second.text, 1 << 20);
    if (!found) return Result<Found>(fail(found.error()));
    return Result<Found>(Found{(*found)["deployment"], (*found)["service"], (*found)["others"]});
  }

  const Observed& o_;
  const std::string deployment_;
  const int64_t turn_;
};

Action finalizers(const Observed& o, bool held) {
  const api::ObjectMeta& meta = o.model->meta;
  std::vector<std::string> left = meta.finalizers;
  std::erase(left, api::kFinalizer);
  if (held) left.push_back(api::kFinalizer);
  return SetFinalizers{{Kind::Model, o.key}, meta.uid, std::move(left),
                       held ? "to give back what it adopts before it goes" : "nothing is left to give back", meta.resource_version};
}

Action scale(const Observed& o, const Json& deployment, const std::string& name, int replicas, const std::string& why) {
  return Scale{{Kind::Deployment, {o.key.ns, name}}, deployment["uid"], replicas, why, deployment["resourceVersion"]};
}

// The Service as it was.
std::optional<Action> turn_back(const Observed& o, const std::string& uid, const std::string& resource_version) {
  const Result<Json> was = render_returned_service(*o.model);
  if (!was) return {};
  return Apply{{Kind::Service, o.key}, was->dump(), uid, "", "back to Deployment " + o.model->status.adopted->deployment, resource_version};
}

class Adopting {
 public:
  Adopting(const Observed& o, Successor successor, TimePoint now)
      : o_(o), m_(*o.model), successor_(successor), now_(now), reader_(o, *m_.adopt, now), serves_(o.services.count(o.key.name) > 0) {
    out_.status = m_.status.adopted;
  }

  Adoption run() {
    const std::string phase = out_.status ? out_.status->phase : "";
    if (phase.empty() || out_.status->deployment != *m_.adopt)
      begin();
    else if (!m_.meta.held())
      out_.actions.push_back(finalizers(o_, true)), out_.holds_service = phase == "Serving" && !serves_;
    else if (phase == "Serving")
      wait();
    else if (phase == "Replacing")
      replace();
    else if (!serves_ && !out_.status->service_uid.empty())
      attach();
    return std::move(out_);
  }

 private:
  api::Adopted& status() { return *out_.status; }

  // What was read just now, if nothing is in the way.
  std::optional<Found> read() {
    auto found = reader_.read(out_.asks);
    const bool fresh = found.has_value();
    if (!fresh) found = reader_.last(out_.asks);
    if (!found) return {};
    out_.problem = *found ? obstacle(**found) : found->error().message;
    if (!out_.problem.empty()) {
      out_.look_again = now_ + kProblemLook;
      if (fresh) reader_.keep(out_.asks);
      return {};
    }
    if (!fresh) return {};
    return std::move(**found);
  }

  bool turned(const Json& service) const { return service["selector"].value(api::kLabelModel, "") == o_.key.name; }
  // There is a Service of the Model's name that neither it nor an earlier Model of that name made.
  bool foreign(const Json& service) const {
    const auto ours = o_.services.find(o_.key.name);
    if (service.is_null() || turned(service)) return false;
    return ours == o_.services.end() || service["uid"] != ours->second.object->meta.uid;
  }

  // Why these cannot be adopted; empty if they can.
  std::string obstacle(const Found& found) const {
    const std::string& name = *m_.adopt;
    const std::string it = "Deployment " + name;
    const bool taken = m_.status.adopted && m_.status.adopted->phase != "Serving";
    if (taken)
      return foreign(found.service) ? obstacle(found.service, found.deployment) : "";
    if (found.deployment.is_null() || found.deployment["deleting"] == true)
      return it + ", which spec.serving.adopt names, does not exist: create it, or remove spec.serving.adopt";
    if (found.deployment["controller"] != "")
      return it + " belongs to " + found.deployment["controller"].get<std::string>() + ", which would revert the Model's changes to it";
    if (!m_.status.adopted && found.deployment["replicas"] == 0)
      return it + " has no replicas, so the Model cannot replace it: scale it up, or remove spec.serving.adopt";
    if (found.service.is_null()) {
      if (!found.others.empty() && !m_.status.adopted)
        return "Service " + found.others[0].get<std::string>() + " selects " + it +
               ", so its callers would get no answers after the adoption: give the Model the name of that Service";
      return "";
    }
    return foreign(found.service) ? obstacle(found.service, found.deployment) : "";
  }

  std::string obstacle(const Json& service, const Json& deployment) const {
    const std::string it = "Service " + o_.key.name;
    if (service["controller"] != "") return it + " belongs to " + service["controller"].get<std::string>() + ", which would revert the Model's changes to it";
    if (service["external"] == true) return it + " has no selector, so it cannot be changed to select the Model's pods";
    if (service["headless"] == true) return it + " is headless: callers use pod addresses, so traffic cannot be switched";
    if (!deployment.is_null() && !selects(service["selector"], deployment["labels"]))
      return it + " selects other pods than those of Deployment " + *m_.adopt + ", so the Model would replace another workload";
    if (selects(service["selector"], labels_of_pods(m_)))
      return it + " selects the Model's own pods too, by labels that serving.template gives them: callers would reach a version "
                  "before it may serve; remove those labels";
    return ports_problem(service["ports"], m_.route.has_value());
  }

  api::Adopted record(const Found& found) const {
    api::Adopted adopted;
    adopted.deployment = *m_.adopt;
    adopted.deployment_uid = found.deployment["uid"];
    adopted.replicas = found.deployment["replicas"];
    if (foreign(found.service)) {
      adopted.service_uid = found.service["uid"];
      adopted.service = Json{{"managedBy", found.service["managedBy"]}, {"ports", found.service["ports"]}, {"selector", found.service["selector"]}}.dump();
    }
    adopted.phase = "Serving";
    return adopted;
  }

  void begin() {
    out_.holds_service = !serves_;
    const auto found = read();
    if (!found) return;
    api::Adopted adopted = record(*found);
    if (out_.status && adopted.service_uid.empty()) {  // the Service has been turned for another Deployment before
      adopted.service_uid = status().service_uid;
      if (Result<Json> was = parse_json(status().service, 1 << 16); was && was->is_object()) {
        (*was)["selector"] = found->deployment["labels"];
        adopted.service = was->dump();
      }
    }
    out_.status = std::move(adopted);
  }

  // Until there is somebody to take its place.
  void wait() {
    out_.holds_service = !serves_;
    if (successor_ != Successor::Ready) return;
    const auto found = read();
    if (!found) return;
    api::Adopted now_found = record(*found);  // it may have been changed since, or made anew
    if (now_found.service_uid.empty() && serves_) now_found.service_uid = status().service_uid, now_found.service = status().service;
    if (now_found != status())
      out_.status = std::move(now_found);
    else
      status().phase = "Replacing";
  }

  void replace() {
    if (successor_ == Successor::None) return give_up();
    if (!serves_) return attach();
    if (successor_ != Successor::Ready || reaches(o_, o_.key.name, "") == 0) {
      status().since.reset();
      return;
    }
    if (!status().since) status().since = std::chrono::ceil<std::chrono::seconds>(now_);
    if (const TimePoint at = *status().since + kGatewayLag; now_ < at) {
      out_.look_again = at;
      return;
    }
    const auto found = read();
    if (!found) return;
    if (is(found->deployment, status().deployment_uid) && found->deployment["replicas"] > 0) {
      out_.actions.push_back(scale(o_, found->deployment, status().deployment, 0, o_.key.name + " has taken its place"));
    } else {
      status().phase = "Replaced";
      status().since.reset();
    }
  }

  void take(const Json& service) {
    if (!status().service_uid.empty() && !is(service, status().service_uid)) {
      status().service_uid.clear();  // it is gone: the Model makes its own
      status().service = "{}";
      return;
    }
    out_.holds_service = false;
    if (status().service_uid.empty()) return;
    out_.service.uid = service["uid"];
    out_.service.resource_version = service["resourceVersion"];
  }

  // The Service is to be turned; or it was and is not seen any more, since its labels were changed or it is gone. What is on record of it stays
  // there: half of what it says now may be ours.
  void attach() {
    out_.holds_service = true;
    const auto found = read();
    if (!found) return;
    if (foreign(found->service) && !is(found->service, status().service_uid)) {  // made anew
      const api::Adopted anew = record(*found);
      status().service_uid = anew.service_uid;
      status().service = anew.service;
      return;
    }
    take(found->service);
  }

  // The first version failed after the Service had been turned to it.
  void give_up() {
    const auto service = o_.services.find(o_.key.name);
    out_.holds_service = true;
    status().since.reset();
    const bool taken = service != o_.services.end() && service->second.object->meta.uid == status().service_uid;
    if (!taken) {
      status().phase = "Serving";
      return;
    }
    const auto found = read();
    if (!found) return;
    if (is(found->deployment, status().deployment_uid) && found->deployment["replicas"] < status().replicas)
      return out_.actions.push_back(scale(o_, found->deployment, status().deployment, status().replicas, "no version can take its place"));
    if (!found->deployment.is_null() && found->deployment["ready"] < status().replicas) {
      out_.look_again = now_ + kLook;
      return;
    }
    const api::ObjectMeta& meta = service->second.object->meta;
    if (auto action = turn_back(o_, meta.uid, meta.resource_version)) out_.actions.push_back(std::move(*action));
  }

  const Observed& o_;
  const api::Model& m_;
  const Successor successor_;
  const TimePoint now_;
  const Reader reader_;
  const bool serves_;
  Adoption out_;
};

class Returning {
 public:
  Returning(const Observed& o, TimePoint now) : o_(o), m_(*o.model), now_(now) {}

  Plan run() {
    if (!m_.meta.held()) return {};
    if (!m_.adopt) take_along();
    // "Serving": nothing has been touched yet.
    if (!m_.adopt || !m_.status.adopted || m_.status.adopted->phase == "Serving") {
      let_go();
      return std::move(plan_);
    }
    adopted_ = *m_.status.adopted;
    what_ = "Deployment " + adopted_.deployment;
    if (adopted_.phase == "Returned") {
      const Duration left = *adopted_.since + kGatewayLag - now_;
      if (left <= Duration(0))
        let_go();
      else
        plan_.requeue_after = left;
    } else if (adopted_.phase != "Returning") {
      put("Returning", "deletion waits until " + what_ + " serves again");
    } else {
      go_on();
    }
    return std::move(plan_);
  }

 private:
  void let_go() { plan_.actions.push_back(finalizers(o_, false)); }

  // What has been replaced is the Model's. Its Service had no owner for as long as it was to be given back, and may not have got one since.
  void take_along() {
    const auto service = o_.services.find(o_.key.name);
    if (service == o_.services.end() || !refused(Kind::Service, o_.key.name).empty()) return;
    const api::ObjectMeta& meta = service->second.object->meta;
    if (meta.deleting || meta.controller_uid == m_.meta.uid) return;
    plan_.actions.push_back(Delete{{Kind::Service, o_.key}, meta.uid, "goes with its Model", meta.resource_version});
  }

  void put(const std::string& phase, const std::string& message) {
    if (adopted_.phase != phase) adopted_.since = now_;
    adopted_.phase = phase;
    Result<Json> status = parse_json(m_.status.raw, 4u << 20);
    if (!status || !status->is_object()) status = Json::object();
    (*status)["adopted"] = to_json(adopted_);
    (*status)["message"] = message;
    if (write_status(plan_.actions, Kind::Model, m_.meta, m_.status.raw, status->dump(), message)) plan_.at_once = true;
  }

  std::string refused(Kind kind, const std::string& name) const {
    const auto refusal = std::find_if(o_.refusals.begin(), o_.refusals.end(), [&](const Refusal& r) {
      return r.target.kind == kind && r.target.key.name == name;
    });
    return refusal == o_.refusals.end() ? "" : ": " + refusal->target.to_string() + ": " + refusal->error.message;
  }

  void wait(const std::string& why) {
    put("Returning", "deletion waits until " + what_ + " serves again" + why);
    plan_.requeue_after = kLook;
  }

  void go_on() {
    const Duration passed = now_ - *adopted_.since;
    const bool late = passed >= kReturnLimit;
    const auto found = Reader(o_, adopted_.deployment, now_).read(plan_.asks);
    if (!found) {  // a reading is used once, so that there is none in every other plan
      if (passed >= kReadLimit) return let_go();
      plan_.requeue_after = kReadLimit - passed;
      return;
    }
    if (!*found) return late ? let_go() : wait(": " + found->error().message);
    const Json &deployment = (*found)->deployment, &service = (*found)->service;
    if (!late && !deployment.is_null() && deployment["deleting"] == false) {
      const int replicas = deployment["replicas"], ready = deployment["ready"];
      if (is(deployment, adopted_.deployment_uid) && replicas < adopted_.replicas) {
        wait(refused(Kind::Deployment, adopted_.deployment));
        plan_.actions.push_back(scale(o_, deployment, adopted_.deployment, adopted_.replicas, "Model " + o_.key.name + " is being deleted"));
        return;
      }
      if (ready < adopted_.replicas)
        return wait(" (" + std::to_string(ready) + "/" + std::to_string(adopted_.replicas) + " pods ready)");
    }
    const std::string refusal = refused(Kind::Service, o_.key.name);
    const bool ours = is(service, adopted_.service_uid) && (service["applied"] == true || service["selector"].contains(api::kLabelModel));
    if (ours && !(late && !refusal.empty()))
      if (auto action = turn_back(o_, service["uid"], service["resourceVersion"])) {
        wait(refusal);
        plan_.actions.push_back(std::move(*action));
        return;
      }
    put("Returned", "deleting: " + what_ + " serves again");
  }

  const Observed& o_;
  const api::Model& m_;
  const TimePoint now_;
  api::Adopted adopted_;
  std::string what_;
  Plan plan_;
};

}  // namespace

Adoption adopt(const Observed& o, Successor successor, TimePoint now) {
  if (o.model->adopt) return Adopting(o, successor, now).run();
  Adoption out;
  out.status = o.model->status.adopted;  // what has been replaced stays so
  if (o.model->meta.held()) out.actions.push_back(finalizers(o, false));
  return out;
}

Plan give_back(const Observed& o, TimePoint now) { return Returning(o, now).run(); }

}  // namespace mo::serving
