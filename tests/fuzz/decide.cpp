// Decisions on any objects that can be read: whatever a person, a broken admission or a restored backup left
// there, a plan comes out that is the same each time and that the API server can read. Input: one object a
// line, with its kind; lines of kind "Answer" answer what is asked, and a line of kind "Gateway" is laid over the
// HTTPRoute between two looks: what a gateway says of it, or weights that somebody else writes.
#include "operator/api/parse.h"
#include "reconcilers/model/observe.h"
#include "reconcilers/model/plan.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace mo;
using nlohmann::json;

const model::Settings kSettings{"model-operator:dev"};
constexpr size_t kRounds = 4;

std::string text_at(const json& object, const char* name) {
  const auto it = object.find(name);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

struct World {
  Stores stores;
  Ledger ledger;
  AnswerBook answers;
  Refusals refusals;
  std::map<ObjectRef, json> objects;
  std::vector<json> to_say, gateways;
  size_t said = 0, writes = 0, turns = 0;

  template <class T>
  void take(Store<T>& store, const std::string& text, json object) {
    auto found = api::parse<T>(text);
    if (!found) return;
    objects[{api::KindOf<T>::value, found->meta.key}] = std::move(object);
    store.upsert(std::move(*found));
  }

  void take(const std::string& text, json object) {
    const std::string kind = text_at(object, "kind");
    if (kind == "Model")
      take(stores.models, text, std::move(object));
    else if (kind == "ModelVersion")
      take(stores.versions, text, std::move(object));
    else if (kind == "ModelRollout")
      take(stores.rollouts, text, std::move(object));
    else if (kind == "TrainingRun")
      take(stores.runs, text, std::move(object));
    else if (kind == "ModelRuntime")
      take(stores.runtimes, text, std::move(object));
    else if (kind == "ModelGateSet")
      take(stores.gate_sets, text, std::move(object));
    else if (kind == "ClusterModelGateSet")
      take(stores.cluster_gate_sets, text, std::move(object));
    else if (kind == "ModelPolicy")
      take(stores.policies, text, std::move(object));
    else if (kind == "ModelApproval")
      take(stores.approvals, text, std::move(object));
    else if (kind == "Deployment")
      take(stores.deployments, text, std::move(object));
    else if (kind == "Service")
      take(stores.services, text, std::move(object));
    else if (kind == "HTTPRoute")
      take(stores.routes, text, std::move(object));
    else if (kind == "EndpointSlice")
      take(stores.slices, text, std::move(object));
    else if (kind == "Gateway")
      gateways.push_back(std::move(object));
    else if (kind == "Job")
      take(stores.jobs, text, std::move(object));
    else if (kind == "Pod")
      take(stores.pods, text, std::move(object));
    else if (kind == "ConfigMap")
      take(stores.configmaps, text, std::move(object));
    else if (kind == "Answer")
      to_say.push_back(std::move(object));
  }

  void answer(const ObjectKey& model, const Ask& ask, TimePoint now) {
    Answer answer;
    answer.at = now;
    answer.problem = "no data";
    for (Reading* reading : {&answer.value, &answer.stable, &answer.samples, &answer.stable_samples})
      reading->problem = "no data";
    if (!to_say.empty()) {
      const json& words = to_say[said++ % to_say.size()];
      const auto number = [&](const char* name, Reading& into) {
        into.value = Decimal::parse(text_at(words, name));
        into.problem = into.value ? "" : "no data";
      };
      number("value", answer.value), number("stable", answer.stable), number("samples", answer.samples);
      number("stableSamples", answer.stable_samples);
      if (const auto it = words.find("text"); it != words.end() && it->is_string())
        answer.text = it->get<std::string>(), answer.problem.clear();
    }
    answers.put(model, ask.id, std::move(answer));
  }

  void store(json object) {
    object["metadata"]["resourceVersion"] = std::to_string(1'000'000'000 + ++writes);
    take(object.dump(-1, ' ', false, json::error_handler_t::replace), object);
  }

  void write_status(const WriteStatus& write) {
    json object = objects.at(write.target);
    object["status"] = json::parse(write.status);
    store(std::move(object));
  }

  // Traffic is what it was last told: the next look has to go on from there.
  void turn(const Apply& apply, TimePoint now) {
    json object = json::parse(apply.body);
    const auto before = objects.find(apply.target);
    json& meta = object["metadata"];
    meta["uid"] = before == objects.end() ? "new-" + apply.target.to_string() : apply.uid;
    meta["generation"] = static_cast<int64_t>(1000 + writes);
    meta["managedFields"] = {{{"manager", "model-operator"},
                              {"operation", "Apply"},
                              {"time", format_time(now)},
                              {"fieldsV1", {{"f:spec", json::object()}}}}};
    if (before != objects.end() && before->second.contains("status")) object["status"] = before->second["status"];
    store(std::move(object));
  }

  void gateway(const ObjectKey& model) {
    const auto route = objects.find({Kind::HttpRoute, model});
    if (route == objects.end() || gateways.empty()) return;
    json object = route->second;
    json said = gateways[turns++ % gateways.size()];
    said.erase("kind"), said.erase("metadata");
    object.merge_patch(said);
    store(std::move(object));
  }
};

// I3: all of it, to the Services that are ours.
void check_weights(const json& route) {
  const std::string model = text_at(route.at("metadata"), "name");
  int64_t sum = 0;
  for (const json& backend : route.at("spec").at("rules").at(0).at("backendRefs")) {
    const std::string name = text_at(backend, "name");
    MUST_SHOW(name == model || name == model + "-candidate", route.dump());
    const int64_t weight = backend.at("weight").get<int64_t>();
    MUST_SHOW(weight > 0, route.dump());
    sum += weight;
  }
  MUST_SHOW(sum == 100, route.dump());
}

void check(const World& world, const Action& action) {
  if (const auto* apply = std::get_if<Apply>(&action)) {
    const json body = fuzz::json_of(apply->body);
    MUST_SHOW(body.is_object(), apply->body);
    MUST_SHOW(
        text_at(body.at("metadata"), "name") == apply->target.key.name && !apply->target.key.name.empty(),
        apply->body);
    MUST_SHOW(text_at(body, "kind") == info(apply->target.kind).kind, apply->body);
    if (apply->target.kind == Kind::HttpRoute) check_weights(body);
  } else if (const auto* status = std::get_if<WriteStatus>(&action)) {
    MUST_SHOW(fuzz::json_of(status->status).is_object(), status->status);
    MUST_SHOW(world.objects.contains(status->target), status->target.to_string());
  } else if (const auto* scale = std::get_if<Scale>(&action)) {
    MUST_SHOW(scale->replicas >= 0 && world.objects.contains(scale->target), scale->target.to_string());
  } else {
    const auto& removed = std::get<Delete>(action);
    MUST_SHOW(world.objects.contains(removed.target), removed.target.to_string());
  }
}

std::string text_of(const Plan& plan) {
  std::string text;
  for (const Action& action : plan.actions) {
    text += std::to_string(action.index()) +
            std::visit([](const auto& a) { return a.target.to_string() + a.uid + a.why; }, action);
    if (const auto* apply = std::get_if<Apply>(&action)) text += apply->body + apply->hash;
    if (const auto* status = std::get_if<WriteStatus>(&action)) text += status->status;
  }
  for (const Event& event : plan.events) text += event.reason + event.note;
  for (const Ask& ask : plan.asks) text += ask.id;
  return text + (plan.at_once ? "at once" : "") + std::to_string(plan.requeue_after.value_or(Duration(-1)).count());
}

void run(World& world, const ObjectKey& key) {
  TimePoint now = *parse_time("2026-11-22T09:00:00Z");
  for (size_t round = 0; round < kRounds; ++round, now += std::chrono::seconds(7)) {
    const Observed observed = model::observe(world.stores, world.ledger, world.answers, world.refusals, key);
    if (!observed.model) return;
    const Plan plan = model::plan(observed, now, kSettings);
    if (round == 0) MUST(text_of(plan) == text_of(model::plan(observed, now, kSettings)));
    if (plan.requeue_after) MUST_SHOW(plan.requeue_after->count() >= 0, text_of(plan));
    for (const Event& event : plan.events) MUST(!event.reason.empty() && !event.note.empty());
    for (const Action& action : plan.actions) check(world, action);
    for (const Action& action : plan.actions)
      if (const auto* status = std::get_if<WriteStatus>(&action))
        world.write_status(*status);
      else if (const auto* apply = std::get_if<Apply>(&action);
               apply && (apply->target.kind == Kind::HttpRoute || apply->target.kind == Kind::Service))
        world.turn(*apply, now);
    world.gateway(key);
    for (const Ask& ask : plan.asks) world.answer(key, ask, now);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  World world;
  for (const std::string_view text : fuzz::pieces(fuzz::view(data, size))) {
    json object = fuzz::json_of(text);
    if (object.is_object()) world.take(std::string(text), std::move(object));
  }
  for (const auto& model : world.stores.models.all()) run(world, model->meta.key);
  return 0;
}
