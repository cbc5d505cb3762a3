#include "operator/evidence/evidence.h"

#include <algorithm>
#include <exception>
#include <memory>

#include <nlohmann/json.hpp>

#include "operator/api/run_result.h"
#include "operator/evidence/adopted_objects.h"
#include "operator/evidence/approval_objects.h"
#include "operator/evidence/gateway_status.h"
#include "operator/evidence/job_results.h"
#include "operator/evidence/workload_status.h"

namespace mo::evidence {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongestRetry{30'000};
constexpr int kMostPods = 500;  // of one workload
constexpr int kAttempts = 8;  // about two minutes, for what usually stays

}  // namespace

Evidence::Evidence(AnswerBook& book, kube::HttpTransport& http, kube::Client& client, EvidenceOptions options)
    : book_(book),
      client_(client),
      options_(std::move(options)),
      web_(http, options_.web_tokens, options_.web_access),
      outside_(http, web_),
      measuring_(http,
                 {.url = options_.prometheus_url, .threads = options_.prometheus_threads, .distrust = options_.distrust, .patience = options_.patience},
                 [this](const ObjectKey& model, Measuring::Answers answers) { put(model, std::move(answers)); }),
      kubernetes_pool_({.threads = options_.kubernetes_threads}),
      web_pool_({.threads = options_.web_threads, .patience = options_.patience}) {}

namespace {

// Of questions that come again each few seconds about one object ("…@NUMBER") one is under way at a time, however long it takes.
std::string place_of(const Ask& ask) {
  const bool repeated = std::holds_alternative<AskWorkload>(ask.question) || std::holds_alternative<AskQueue>(ask.question);
  return repeated ? ask.id.substr(0, ask.id.rfind('@')) : ask.id;
}

}  // namespace

void Evidence::ask(const ObjectKey& model, std::vector<Ask> asks) {
  for (Ask& ask : asks) {
    {
      std::lock_guard lock(mutex_);
      if (!under_way_.emplace(model, place_of(ask)).second) continue;
    }
    if (auto* measured = std::get_if<AskPrometheus>(&ask.question))
      measuring_.ask(model, std::move(ask.id), std::move(*measured));
    else
      start(Question{model, std::move(ask), 0}, milliseconds(0));
  }
}

void Evidence::start(Question question, milliseconds delay) {
  const bool measures = std::holds_alternative<AskOutside>(question.ask.question) || std::holds_alternative<AskWeb>(question.ask.question);
  WorkPool& pool = measures ? web_pool_ : kubernetes_pool_;
  const ObjectKey owner = question.model;
  const auto asked = std::make_shared<const Question>(std::move(question));
  WorkPool::Task overdue;
  if (measures) overdue = [this, asked](std::stop_token) { give_up(*asked); };
  pool.post(owner, [this, asked](std::stop_token stop) { work_on(*asked, stop); }, delay, std::move(overdue));
}

void Evidence::give_up(const Question& question) {
  Answer answer = overdue(question.model.ns, options_.patience);
  if (std::holds_alternative<AskOutside>(question.ask.question)) answer.problem = answer.value.problem;
  put(question, std::move(answer));
}

void Evidence::put(const Question& question, Answer answer) {
  answer.at = options_.now();
  {
    // Before the book is told: whoever it wakes may ask under the same id again.
    std::lock_guard lock(mutex_);
    under_way_.erase({question.model, place_of(question.ask)});
  }
  book_.put(question.model, question.ask.id, std::move(answer));
}

void Evidence::put(const ObjectKey& model, Measuring::Answers answers) {
  {
    std::lock_guard lock(mutex_);
    for (auto& [id, answer] : answers) {
      answer.at = options_.now();
      under_way_.erase({model, id});
    }
  }
  book_.put(model, std::move(answers));
}

void Evidence::work_on(Question question, std::stop_token stop) {
  Answer answer;
  try {
    if (const auto* page = std::get_if<AskWeb>(&question.ask.question)) {
      answer.value = web_.get(question.model.ns, *page, stop);
    } else if (const auto* place = std::get_if<AskOutside>(&question.ask.question)) {
      auto word = outside_.look(question.model.ns, *place, stop);
      if (word)
        answer.text = std::move(*word);
      else
        answer.problem = word.error().message;
    } else {
      const auto* of_job = std::get_if<AskRunResult>(&question.ask.question);
      const auto* of_gateways = std::get_if<AskGateways>(&question.ask.question);
      const auto* whole = std::get_if<AskConfig>(&question.ask.question);
      const auto* adopted = std::get_if<AskAdopted>(&question.ask.question);
      const auto* approvals = std::get_if<AskApprovals>(&question.ask.question);
      const auto* workload = std::get_if<AskWorkload>(&question.ask.question);
      const auto* queue = std::get_if<AskQueue>(&question.ask.question);
      const auto text = workload      ? read(*workload, stop)
                        : queue       ? read(*queue, stop)
                        : of_job      ? read(*of_job, stop)
                        : of_gateways ? read(*of_gateways, stop)
                        : whole       ? read(*whole, stop)
                        : adopted     ? read(*adopted, stop)
                        : approvals   ? read(*approvals, stop)
                                      : read(std::get<AskConfigMap>(question.ask.question), stop);
      if (text) {
        answer.text = *text;
      } else if (const auto delay = retry_after(text.error(), question.attempt);
                 delay && !stop.stop_requested() && !(workload && gives_up(text.error(), question.attempt))) {
        ++question.attempt;
        start(std::move(question), *delay);
        return;
      } else {
        answer.problem = text.error().message;
      }
    }
  } catch (const std::exception& e) {
    answer = Answer{};
    answer.problem = answer.value.problem = std::string("internal error of the operator: ") + e.what();
  }
  if (!stop.stop_requested()) put(question, std::move(answer));  // what was cancelled is no answer
}

Result<std::string> Evidence::read_configmap(const ObjectKey& key, const std::string& entry,
                                             std::stop_token stop) {
  auto text = client_.get(ObjectRef{Kind::ConfigMap, key}, stop).and_then([&](const std::string& object) {
    return configmap_text(object, entry);
  });
  if (text) return text;
  Error error = text.error();
  error.message = "cannot read ConfigMap " + key.to_string() + ": " + error.message;
  return fail(std::move(error));
}

Result<std::string> Evidence::read(const AskConfigMap& question, std::stop_token stop) {
  return read_configmap(question.configmap, question.key, stop);
}

Result<std::string> Evidence::read(const AskConfig& question, std::stop_token stop) {
  auto text = client_.get(ObjectRef{Kind::ConfigMap, question.configmap}, stop).and_then([](const std::string& object) {
    return configmap_content(object);
  });
  if (text) return text;
  if (text.error().kind == ErrorKind::NotFound) return "null";
  Error error = text.error();
  error.message = "cannot read ConfigMap " + question.configmap.to_string() + ": " + error.message;
  return fail(std::move(error));
}

Result<std::string> Evidence::read(const AskRunResult& question, std::stop_token stop) {
  kube::ListOptions options;
  options.ns = question.job.ns;
  options.label_selector = "batch.kubernetes.io/controller-uid=" + question.job_uid;
  const auto words = client_.list(Kind::Pod, options, stop).and_then([](const std::string& list) {
    return termination_message(list);
  });
  if (!words) return words;
  const auto named = api::result_reference(*words);
  if (!named) return words;
  auto text = read_configmap(ObjectKey{question.job.ns, named->name}, named->key, stop);
  if (text) return text;
  Error error = text.error();
  error.message = "the Job's termination message names a ConfigMap for its RunResult: " + error.message;
  return fail(std::move(error));
}

// Nothing hangs on it but what people read: without Kueue, or the right to ask it, there is no word.
Result<std::string> Evidence::read(const AskQueue& question, std::stop_token stop) {
  const auto list = client_.get_raw("/apis/kueue.x-k8s.io/v1beta2/namespaces/" + question.job.ns +
                                        "/workloads?limit=10&labelSelector=kueue.x-k8s.io%2Fjob-uid%3D" + question.job_uid,
                                    stop);
  if (!list && list.error().kind != ErrorKind::NotFound && list.error().kind != ErrorKind::Forbidden) return list;
  return list ? queue_reason(*list) : "";
}

Result<std::string> Evidence::read(const AskWorkload& question, std::stop_token stop) {
  const auto unread = [&](Error error) {
    // A right that is missing is told at once, and asked for again at the next look.
    if (error.kind == ErrorKind::Forbidden) error.kind = ErrorKind::Invalid;
    error.message = "cannot read " + question.kind + " " + question.name + ": " + error.message;
    return fail(std::move(error));
  };
  const auto object = client_.get_raw(question.collection + "/" + question.name, stop);
  if (!object && object.error().kind != ErrorKind::NotFound) return unread(object.error());
  if (!object) {
    const auto resources = client_.get_raw("/apis/" + question.api_version, stop);
    if (!resources && resources.error().kind != ErrorKind::NotFound) return unread(resources.error());
    return absent_workload(resources ? *resources : "", question);
  }
  auto words = workload_status(*object, question);
  if (!words || question.result_pods.empty() || !reports(*words)) return words;
  kube::ListOptions options{question.ns};
  options.label_selector = question.result_pods;
  options.limit = kMostPods;
  const auto pods = client_.list(Kind::Pod, options, stop);
  if (pods && may_yet_report(*pods))
    return with_result(*words, fail(ErrorKind::NotFound, "no pod has reported a RunResult yet, and some pods are still running"), true);
  const auto result = pods ? result_of(question, *pods, stop) : pods;
  if (!result && retry_after(result.error(), 0)) return result;
  return with_result(*words, result);
}

Result<std::string> Evidence::result_of(const AskWorkload& question, const std::string& pods, std::stop_token stop) {
  const auto words = termination_message(pods, question.kind + " " + question.name);
  if (!words) return words;
  const auto named = api::result_reference(*words);
  return named ? read_configmap(ObjectKey{question.ns, named->name}, named->key, stop) : words;
}

Result<std::string> Evidence::read(const AskAdopted& question, std::stop_token stop) {
  const auto part = [&](const ObjectRef& what, auto words) -> Result<std::string> {
    auto text = client_.get(what, stop).and_then(words);
    if (text) return text;
    if (text.error().kind == ErrorKind::NotFound) return "null";
    Error error = text.error();
    error.message = "cannot read " + what.to_string() + ": " + error.message;
    return fail(std::move(error));
  };
  const auto deployment = part({Kind::Deployment, question.deployment}, adopted_deployment);
  if (!deployment) return deployment;
  const auto service = part({Kind::Service, question.service}, adopted_service);
  if (!service) return service;
  nlohmann::json others = nlohmann::json::array();
  if (*service == "null" && *deployment != "null") {
    kube::ListOptions options{question.service.ns};
    options.limit = 500;
    do {
      const auto part = client_.list(Kind::Service, options, stop).and_then([&](const std::string& list) {
        return services_that_select(list, *deployment);
      });
      if (!part) return fail(part.error());
      for (const std::string& name : part->services) others.push_back(name);
      options.continue_token = part->next;
    } while (!options.continue_token.empty());
  }
  return R"({"deployment":)" + *deployment + R"(,"service":)" + *service + R"(,"others":)" + others.dump() + "}";
}

Result<std::string> Evidence::read(const AskGateways& question, std::stop_token stop) {
  const auto unread = [](const ObjectRef& what, Error error) {
    error.message = "cannot read " + what.to_string() + ": " + error.message;
    return fail(std::move(error));
  };
  for (const ObjectKey& key : question.gateways) {
    const ObjectRef gateway{Kind::Gateway, key};
    const auto name = client_.get(gateway, stop).and_then(class_of_gateway);
    if (!name) return unread(gateway, name.error());
    const ObjectRef of{Kind::GatewayClass, {"", *name}};
    const auto features = client_.get(of, stop).and_then(features_of_class);
    if (!features) return unread(of, features.error());
    if (std::find(features->begin(), features->end(), question.feature) == features->end())
      return fail(ErrorKind::Invalid, gateway.to_string() + " does not support " + question.feature + ": " + of.to_string() +
                                          (features->empty() ? " has no status.supportedFeatures"
                                                             : " does not list it in status.supportedFeatures"));
  }
  return question.feature;
}

Result<std::string> Evidence::read(const AskApprovals& question, std::stop_token stop) {
  std::string problem;
  for (const char* name : {kApprovalsPolicy, kAuthorsPolicy, kOriginsPolicy}) {
    const auto policy = client_.get_raw(std::string(kAdmission) + "validatingadmissionpolicies/" + name, stop);
    const auto binding = client_.get_raw(std::string(kAdmission) + "validatingadmissionpolicybindings/" + name, stop);
    for (const auto* read : {&policy, &binding})
      if (!*read && retry_after(read->error(), 0)) return fail(read->error());
    if (problem.empty()) problem = unguarded(name, policy, binding);
  }
  kube::ListOptions options{question.rollout.ns};
  options.field_selector = "spec.rolloutRef.name=" + question.rollout.name;
  options.limit = 500;
  nlohmann::json uids = nlohmann::json::array();
  do {
    const auto part = client_.list(Kind::ModelApproval, options, stop).and_then(uids_of);
    if (!part) return fail(part.error());
    for (const std::string& uid : part->uids) uids.push_back(uid);
    options.continue_token = part->next;
  } while (!options.continue_token.empty());
  return nlohmann::json{{"problem", problem}, {"uids", std::move(uids)}}.dump();
}

// Somebody else's kind may fail by its own conversion webhook for good: a run that waits has to hear of it.
bool Evidence::gives_up(const Error& error, int attempt) const { return error.kind == ErrorKind::ServerError && attempt >= kAttempts; }

std::optional<milliseconds> Evidence::retry_after(const Error& error, int attempt) const {
  const milliseconds delay = std::min(options_.first_retry * (1 << std::min(attempt, 5)), kLongestRetry);
  switch (error.kind) {
    case ErrorKind::Transport:
    case ErrorKind::ServerError:
    case ErrorKind::TooManyRequests:
    case ErrorKind::Unauthorized:
      return std::max(delay, std::min(error.retry_after.value_or(delay), kLongestRetry));
    case ErrorKind::Forbidden:
    case ErrorKind::Malformed:  // cut on its way
      return attempt < kAttempts ? std::optional(delay) : std::nullopt;
    case ErrorKind::NotFound:
    case ErrorKind::Conflict:
    case ErrorKind::AlreadyExists:
    case ErrorKind::Gone:
    case ErrorKind::Invalid:
    case ErrorKind::Cancelled:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace mo::evidence
