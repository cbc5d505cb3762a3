#include "reconcilers/serving/adopt.h"

#include "reconcilers/serving/render.h"
#include "reconcilers/serving/route.h"

namespace mo::serving {
namespace {

constexpr Duration kLook = std::chrono::seconds(1);
constexpr Duration kProblemLook = std::chrono::seconds(5);
// Whoever deletes a Model is not kept waiting for ever by pods that don't become ready.
constexpr Duration kReturnLimit = std::chrono::minutes(10);

// What was read; null where there is no such object.
struct Found {
  Json deployment, service;
};

// A reading is used once: a plan that acts on it does not list it, so that the next one is fresh. Where acting on it fails the id changes
// after a while.
class Reader {
 public:
  Reader(const Observed& o, const std::string& deployment, TimePoint now)
      : o_(o),
        ask_{"adopt/" + o.model->meta.uid + "/" + std::to_string(now.time_since_epoch() / std::chrono::seconds(10)),
             AskAdopted{{o.key.ns, deployment}, o.key}} {}

  // Nothing as long as there is no answer; then `ask` holds the question, or `problem` why there is none.
  std::optional<Found> read(std::vector<Ask>& asks, std::string& problem) const {
    const auto answer = o_.answers.find(ask_.id);
    if (answer == o_.answers.end()) {
      asks.push_back(ask_);
      return {};
    }
    const Result<Json> found = answer->second.text ? parse_json(*answer->second.text, 1 << 20)
                                                   : Result<Json>(fail(ErrorKind::Invalid, answer->second.problem));
    if (!found) {
      problem = found.error().message;
      return {};
    }
    return Found{(*found)["deployment"], (*found)["service"]};
  }

 private:
  const Observed& o_;
  const Ask ask_;
};

bool selects(const Json& selector, const Json& labels) {
  for (const auto& [name, value] : selector.items())
    if (!labels.contains(name) || labels[name] != value) return false;
  return true;
}

// Why these cannot be adopted; empty if they can.
std::string obstacle(const Observed& o, const Found& found) {
  const std::string& name = *o.model->adopt;
  const std::string both = "Deployment " + name, service = "Service " + o.key.name;
  if (found.deployment.is_null())
    return both + ", which spec.serving.adopt names, does not exist: create it, or take adopt out of the spec";
  if (found.deployment["controller"] != "")
    return both + " belongs to " + found.deployment["controller"].get<std::string>() + ", which would turn back what the Model does to it";
  if (found.service.is_null() || o.services.count(o.key.name)) return "";
  if (found.service["controller"] != "")
    return service + " belongs to " + found.service["controller"].get<std::string>() + ", which would turn it back";
  if (found.service["external"] == true) return service + " has no selector that could be turned to the Model's pods";
  if (!selects(found.service["selector"], found.deployment["labels"]))
    return service + " selects other pods than those of " + both + ", so that the Model would take the place of something else";
  return "";
}

api::Adopted record(const Observed& o, const Found& found) {
  api::Adopted adopted;
  adopted.deployment = *o.model->adopt;
  adopted.deployment_uid = found.deployment["uid"];
  adopted.replicas = found.deployment["replicas"];
  if (!found.service.is_null() && !o.services.count(o.key.name)) {
    adopted.service_uid = found.service["uid"];
    adopted.service = Json{{"managedBy", found.service["managedBy"]},
                           {"ports", found.service["ports"]},
                           {"selector", found.service["selector"]}}
                          .dump();
  }
  adopted.phase = "Serving";
  return adopted;
}

Action finalizer(const Observed& o, bool held) {
  return Apply{{Kind::Model, o.key},
               render_finalizer(*o.model, held).dump(),
               o.model->meta.uid,
               "",
               held ? "to give back what it adopts before it goes" : "nothing is left to give back",
               {}};
}

Action scale(const Observed& o, const api::Adopted& adopted, int replicas, const std::string& why) {
  return Scale{{Kind::Deployment, {o.key.ns, adopted.deployment}}, adopted.deployment_uid, replicas, why, {}};
}

bool is(const Json& object, const std::string& uid) { return !object.is_null() && object["uid"] == uid; }

// Callers have been sent to the Model's pods for long enough that none goes to the old ones any more.
std::optional<TimePoint> turned_for_good(const Observed& o) {
  const auto service = o.services.find(o.key.name);
  if (service == o.services.end() || !service->second.object->applied_at) return {};
  return *service->second.object->applied_at + kGatewayLag;
}

void replace(const Observed& o, const Reader& reader, Adoption& a, TimePoint now) {
  const auto at = turned_for_good(o);
  if (!at || now < *at) {
    a.look_again = at;
    return;
  }
  const auto found = reader.read(a.asks, a.problem);
  if (!found) return;
  if (is(found->deployment, a.status->deployment_uid) && found->deployment["replicas"] > 0)
    a.actions.push_back(scale(o, *a.status, 0, o.key.name + " has taken its place"));
  else
    a.status->phase = "Replaced";
}

}  // namespace

Json to_json(const api::Adopted& adopted) {
  Json out = {{"deployment", adopted.deployment},
              {"deploymentUID", adopted.deployment_uid},
              {"replicas", adopted.replicas},
              {"phase", adopted.phase}};
  if (!adopted.service_uid.empty()) {
    out["serviceUID"] = adopted.service_uid;
    if (const Result<Json> service = parse_json(adopted.service, 1 << 16)) out["service"] = *service;
  }
  if (adopted.since) out["since"] = format_time(*adopted.since);
  return out;
}

Adoption adopt(const Observed& o, bool can_serve, TimePoint now) {
  const api::Model& m = *o.model;
  Adoption a;
  a.status = m.status.adopted;
  if (!m.adopt) {  // what has been replaced stays so
    if (m.meta.held) a.actions.push_back(finalizer(o, false));
    return a;
  }
  const bool serves = o.services.count(o.key.name) > 0;
  const Reader reader(o, *m.adopt, now);
  a.holds_service = !serves && (!a.status || a.status->phase == "Serving");
  if (!a.status) {
    const auto found = reader.read(a.asks, a.problem);
    if (found) a.problem = obstacle(o, *found);
    if (found && a.problem.empty()) a.status = record(o, *found);
    if (!a.problem.empty()) a.look_again = now + kProblemLook;
    return a;
  }
  if (!m.meta.held) {
    a.actions.push_back(finalizer(o, true));
    return a;
  }
  if (a.status->phase != "Serving") return a;
  if (serves) {
    replace(o, reader, a, now);
    return a;
  }
  if (!can_serve) return a;
  const auto found = reader.read(a.asks, a.problem);
  if (!found) return a;
  // Between the record and this moment it may have been changed, or made anew.
  a.problem = obstacle(o, *found);
  if (!a.problem.empty()) {
    a.look_again = now + kProblemLook;
    return a;
  }
  if (const api::Adopted now_found = record(o, *found); now_found != *a.status) {
    a.status = now_found;
    return a;
  }
  a.service_uid = a.status->service_uid;
  a.holds_service = false;
  return a;
}

Plan give_back(const Observed& o, TimePoint now) {
  Plan plan;
  const api::Model& m = *o.model;
  if (!m.meta.held) return plan;
  const auto done = [&] { plan.actions.push_back(finalizer(o, false)); };
  const auto look = [&](Duration after) { plan.requeue_after = after; };
  if (!m.adopt || !m.status.adopted) {
    done();
    return plan;
  }
  api::Adopted adopted = *m.status.adopted;
  const auto put = [&](const std::string& phase, const std::string& message) {
    if (adopted.phase != phase) adopted.since = now;
    adopted.phase = phase;
    Result<Json> status = parse_json(m.status.raw, 4u << 20);
    if (!status || !status->is_object()) status = Json::object();
    (*status)["adopted"] = to_json(adopted);
    (*status)["message"] = message;
    const std::string text = status->dump();
    if (text == m.status.raw) return;
    plan.actions.push_back(WriteStatus{{Kind::Model, o.key}, m.meta.uid, m.meta.resource_version, text, message});
    look(Duration(0));
  };
  const std::string what = "Deployment " + adopted.deployment;
  if (adopted.phase == "Returned") {
    const Duration left = *adopted.since + kGatewayLag - now;
    if (left <= Duration(0))
      done();
    else
      look(left);
    return plan;
  }
  if (adopted.phase != "Returning") {
    put("Returning", "is being deleted: " + what + " serves again first");
    return plan;
  }
  std::string problem;
  const auto found = Reader(o, adopted.deployment, now).read(plan.asks, problem);
  const bool late = now - *adopted.since >= kReturnLimit;
  if (!found) {
    if (late)
      done();
    else if (!problem.empty())
      look(kLook);
    return plan;
  }
  if (is(found->deployment, adopted.deployment_uid)) {
    const int replicas = found->deployment["replicas"], ready = found->deployment["ready"];
    if (replicas < adopted.replicas) {
      plan.actions.push_back(scale(o, adopted, adopted.replicas, "Model " + o.key.name + " is being deleted"));
      look(Duration(0));
      return plan;
    }
    if (ready < adopted.replicas && !late) {
      put("Returning", "is being deleted: " + what + " serves again first (" + std::to_string(ready) + "/" +
                           std::to_string(adopted.replicas) + " pods ready)");
      look(kLook);
      return plan;
    }
  }
  if (Result<Json> was = render_returned_service(m);
      was && !adopted.service_uid.empty() && is(found->service, adopted.service_uid) &&
      found->service["selector"] != (*was)["spec"]["selector"]) {
    plan.actions.push_back(Apply{{Kind::Service, o.key}, was->dump(), adopted.service_uid, "", "back to " + what, {}});
    look(Duration(0));
    return plan;
  }
  put("Returned", "is being deleted: " + what + " serves again");
  return plan;
}

}  // namespace mo::serving
