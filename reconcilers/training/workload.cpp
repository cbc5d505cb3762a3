#include "reconcilers/training/workload.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstring>

#include "operator/cel/expression.h"
#include "operator/core/text.h"
#include "operator/json/pod_template.h"
#include "reconcilers/common/names.h"

namespace mo::training {
namespace {

constexpr Duration kLook = std::chrono::seconds(10);
constexpr Duration kLookGone = std::chrono::seconds(2);
constexpr Duration kResultPatience = std::chrono::minutes(2);  // a pod may take its time to end
constexpr size_t kLargest = 64u << 10;
constexpr size_t kLongestExpression = 1024;  // as the CRD has it

bool made_of(const std::string& text, const std::string& others) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || others.find(c) != std::string::npos;
  });
}

std::string group_of(const std::string& api_version) { return api_version.substr(0, api_version.find('/')); }

// Groups of engines have a name with dots that is neither ours nor one that the operator has rights to by itself.
bool is_engines(const std::string& api_version) {
  const size_t slash = api_version.find('/');
  if (slash == std::string::npos || !made_of(api_version.substr(0, slash), ".-") || !made_of(api_version.substr(slash + 1), "")) return false;
  const std::string group = group_of(api_version);
  if (group.find('.') == std::string::npos || group == "modelops.dev" || group.ends_with(".modelops.dev")) return false;
  for (const char* own : {"gateway.networking.k8s.io", "coordination.k8s.io", "events.k8s.io", "discovery.k8s.io", "rbac.authorization.k8s.io",
                          "admissionregistration.k8s.io", "authorization.k8s.io", "authentication.k8s.io"})
    if (group == own) return false;
  return true;
}

std::string wrong_expression(const std::string& field, const std::string& text) {
  const auto expression = cel::Expression::parse(text, {.most_bytes = kLongestExpression});
  if (expression && expression->compares_with_old()) return std::string(kWorkload) + "." + field + ": oldSelf is not available here; use self, the current object";
  return expression ? "" : std::string(kWorkload) + "." + field + ": " + expression.error().message;
}

std::string text_at(const Json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// $(NAME) of what is known; others stay, as the kubelet leaves them.
std::string told(const std::string& text, const Environment& variables) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = text.find("$(", at), end = begin == std::string::npos ? begin : text.find(')', begin);
    if (end == std::string::npos) return out + text.substr(at);
    const std::string name = text.substr(begin + 2, end - begin - 2);
    const auto known = std::find_if(variables.begin(), variables.end(), [&](const auto& v) { return v.first == name; });
    out += text.substr(at, begin - at);
    out += known == variables.end() ? text.substr(begin, end + 1 - begin) : known->second;
    at = end + 1;
  }
  return out;
}

void tell(Json& value, const Environment& variables) {
  if (value.is_string()) value = told(value.get<std::string>(), variables);
  if (value.is_array() || value.is_object())
    for (Json& part : value) tell(part, variables);
}

Environment variables_of(const api::Model& model, const api::TrainingRun& run, const StageJob& part, const std::string& stable) {
  Environment all = environment_of(model, run, part, stable);
  all.emplace_back("MODELOPS_NAME", part.name);
  all.emplace_back("MODELOPS_RESULT", "/dev/termination-log");
  return all;
}

// They stand in the middle of texts, commands among them, and come from whoever made the run.
Result<void> check_parameters(const StageJob& part) {
  for (const auto& [name, value] : part.parameters)
    if (!std::all_of(value.begin(), value.end(), [](unsigned char c) { return std::isalnum(c) || (c && std::strchr("-_.,:/=+", c)); }))
      return fail(ErrorKind::Invalid, "parameter " + name + " is \"" + whole_characters(value, 128) +
                                          "\"; parameters of a workload may hold only letters, digits, - _ . , : / = and +");
  return {};
}

std::string collection_of(const api::WorkloadRef& ref, const std::string& ns) {
  return "/apis/" + ref.api_version + "/namespaces/" + ns + "/" + ref.resource;
}

AskWorkload question_about(const api::TrialStatus& trial, const std::string& ns) {
  AskWorkload question;
  question.collection = collection_of(trial.workload, ns);
  question.api_version = trial.workload.api_version;
  question.kind = trial.workload.kind;
  question.resource = trial.workload.resource;
  question.ns = ns;
  question.name = trial.job;
  return question;
}

// One question for each span of time. Until it is answered the last answer stands, which is asked for once more to be kept.
struct Asked {
  const Answer* answer = nullptr;
  std::vector<Ask> asks;
  TimePoint next;
};
template <class Question>
Asked ask_each(const Observed& o, const std::string& prefix, Question question, Duration span, TimePoint from, TimePoint now) {
  Asked out;
  const TimePoint::rep slot = std::max<TimePoint::rep>(0, (now - from).count() / span.count());
  out.next = from + Duration((slot + 1) * span.count());
  char number[24];
  std::snprintf(number, sizeof number, "%012lld", static_cast<long long>(slot));
  const std::string id = prefix + number;
  auto answer = o.answers.find(id);
  if (answer == o.answers.end()) {
    const auto after = o.answers.upper_bound(prefix + "~");
    if (after != o.answers.begin() && std::prev(after)->first.starts_with(prefix)) answer = std::prev(after);
    if (answer != o.answers.end() && answer->second.text) out.asks.push_back({answer->first, question});
  }
  out.asks.push_back({id, std::move(question)});
  if (answer != o.answers.end()) out.answer = &answer->second;
  return out;
}

WorkloadSeen seen_of(const Answer& answer) {
  WorkloadSeen seen;
  if (!answer.text) {
    seen.problem = answer.problem;
    return seen;
  }
  const Json words = parse_json(*answer.text, 4u << 20).value_or(Json());
  if (!words.is_object()) return seen;
  seen.known = true;
  seen.there = words.value("there", false);
  seen.served = words.value("served", true);
  seen.deleting = words.value("deleting", false);
  seen.suspended = words.value("suspended", false);
  seen.succeeded = words.value("succeeded", false);
  seen.failed = words.value("failed", false);
  seen.awaited = words.value("awaited", false);
  seen.uid = text_at(words, "uid");
  seen.owner = text_at(words, "owner");
  seen.says = text_at(words, "says");
  seen.unclear = text_at(words, "problem");
  if (words.contains("result"))
    seen.result = text_at(words, "result");
  else
    seen.result = fail(ErrorKind::NotFound, text_at(words, "resultProblem"));
  return seen;
}

std::string selector_of(const std::map<std::string, std::string>& labels, const Environment& variables) {
  std::string selector;
  for (const auto& [name, value] : labels) selector += (selector.empty() ? "" : ",") + name + "=" + told(value, variables);
  return selector;
}

}  // namespace

std::string name_of(const api::TrialStatus& trial) { return trial.workload.kind + " " + trial.job; }

api::WorkloadRef ref_of(const api::TrainingWorkload& spec) {
  const Json object = parse_json(spec.object, kLargest).value_or(Json());
  return {text_at(object, "apiVersion"), text_at(object, "kind"), spec.resource};
}

std::string kind_named(const api::TrainingWorkload& spec) { return spec.resource + "." + group_of(ref_of(spec).api_version); }

std::string not_allowed(const api::TrainingWorkload& spec, const api::TrainingRun& run) {
  const std::string kind = kind_named(spec);
  if (run.workload == kind) return "";
  // Runs of before could not name it. The Model's author was asked for the operator's own, and what one of people's has made was allowed then.
  const auto made = [&](const api::TrialStatus& trial) { return !trial.job_uid.empty() && trial.workload == ref_of(spec); };
  if (run.workload.empty() && (run.changed_by == api::kOperatorAuthor || std::any_of(run.status.trials.begin(), run.status.trials.end(), made))) return "";
  return "Model " + run.model + " trains by " + kind + " (" + kWorkload + "), and spec.workload of this TrainingRun " +
         (run.workload.empty() ? "names no kind" : "is " + run.workload) + "; create another TrainingRun with spec.workload: " + kind;
}

Result<Json> read_workload(const api::TrainingWorkload& spec) {
  const std::string where = std::string(kWorkload) + ".object";
  if (spec.object.size() > kLargest)
    return fail(ErrorKind::Invalid, where + " has " + std::to_string(spec.object.size()) + " bytes as JSON; at most " + std::to_string(kLargest) + " are allowed");
  Result<Json> object = parse_json(spec.object, kLargest);
  if (!object) return fail(ErrorKind::Invalid, where + " cannot be read: " + object.error().message);
  const std::string api_version = text_at(*object, "apiVersion");
  if (text_at(*object, "kind").empty()) return fail(ErrorKind::Invalid, where + " must have apiVersion and kind");
  if (!is_engines(api_version))
    return fail(ErrorKind::Invalid, where + ".apiVersion \"" + whole_characters(api_version, 100) +
                                        "\" must be of an engine's own API group, such as jobset.x-k8s.io/v1alpha2; use spec.retraining.template for a Job");
  if (!made_of(spec.resource, "-"))
    return fail(ErrorKind::Invalid, std::string(kWorkload) + ".resource must be the plural name of the kind, such as jobsets");
  std::string wrong = owned_metadata(object->value("metadata", Json()), where + ".metadata", std::string(api::kGroup) + "/");
  if (wrong.empty()) wrong = wrong_expression("success", spec.success);
  if (wrong.empty()) wrong = wrong_expression("failure", spec.failure);
  if (wrong.empty() && !spec.result.expression.empty()) wrong = wrong_expression("result.expression", spec.result.expression);
  const auto& pods = spec.result.pods;
  if (wrong.empty() && !pods.empty() && std::none_of(pods.begin(), pods.end(), [](const auto& label) { return label.second.find("$(MODELOPS_NAME)") != std::string::npos; }))
    wrong = std::string(kWorkload) + ".result.pods.matchLabels must have $(MODELOPS_NAME) in a value, or the pods of another trial or run would be read";
  if (!wrong.empty()) return fail(ErrorKind::Invalid, whole_characters(wrong, 2048));
  return object;
}

Result<Json> render_workload(const api::Model& model, const api::TrainingRun& run, const StageJob& part, const std::string& stable) {
  const api::Retraining& spec = *model.retraining;
  Result<Json> read = read_workload(*spec.workload);
  if (!read) return read;
  if (const auto plain = check_parameters(part); !plain) return fail(plain.error());
  if (const std::string why = not_allowed(*spec.workload, run); !why.empty()) return fail(ErrorKind::Invalid, why);
  tell(*read, variables_of(model, run, part, stable));
  Json& metadata = (*read)["metadata"];
  const Json labels = metadata.is_object() ? metadata.value("labels", Json()) : Json();
  const Json annotations = metadata.is_object() ? metadata.value("annotations", Json()) : Json();
  metadata = {{"name", part.name},
              {"namespace", model.meta.key.ns},
              {"labels", {{api::kLabelManagedBy, "model-operator"}, {api::kLabelJobOf, model.meta.key.name}}},
              {"ownerReferences", owned_by(run)}};
  if (labels.is_object())
    for (const auto& [name, value] : labels.items())
      if (!metadata["labels"].contains(name)) metadata["labels"][name] = value;
  if (annotations.is_object() && !annotations.empty()) metadata["annotations"] = annotations;
  if (!spec.kueue.empty()) metadata["labels"][kQueueLabel] = spec.kueue;
  read->erase("status");
  return read;
}

Apply create_workload(const api::TrialStatus& trial, const std::string& ns, const Json& body, const std::string& why) {
  const std::string text = body.dump();
  Apply action{{Kind::Workload, {ns, trial.job}}, text, "", hash_of(text), why};
  action.collection = collection_of(trial.workload, ns);
  return action;
}

WorkloadSeen look_at(const Observed& o, const api::TrainingWorkload& spec, const api::TrainingRun& run, const api::TrialStatus& trial,
                     const std::string& stable, TimePoint now) {
  AskWorkload question = question_about(trial, o.key.ns);
  question.success = spec.success;
  question.failure = spec.failure;
  question.result = spec.result.expression;
  const StageJob part{"train", trial.job, trial.index, trial.parameters};
  if (question.result.empty()) question.result_pods = selector_of(spec.result.pods, variables_of(*o.model, run, part, stable));
  // Another question is not answered by what was said to the one before.
  const std::string prefix = "workload/" + run.meta.uid + "/" + trial.job + "/" +
                             hash_of(question.success + "\n" + question.failure + "\n" + question.result + "\n" + question.result_pods) + "@";
  Asked asked = ask_each(o, prefix, std::move(question), kLook, trial.started.value_or(now), now);
  WorkloadSeen seen = asked.answer ? seen_of(*asked.answer) : WorkloadSeen{};
  seen.asks = std::move(asked.asks);
  seen.look_again = asked.next;
  return seen;
}

std::string await_result(api::TrialStatus& trial, const WorkloadSeen& seen, TimePoint now) {
  if (!seen.succeeded) trial.finished.reset();
  if (!seen.succeeded || !seen.awaited) return "";
  if (!trial.finished) trial.finished = now;
  const TimePoint until = *trial.finished + kResultPatience;
  if (now >= until) return "";
  return name_of(trial) + " succeeded; waiting for its RunResult until " + format_time(until) + ", because some of its pods have not ended";
}

std::string why_queued(const Observed& o, const api::Job& job, TimePoint now, std::vector<Ask>& asks, std::optional<TimePoint>& look_again) {
  Asked asked = ask_each(o, "queue/" + job.meta.uid + "@", AskQueue{job.meta.key, job.meta.uid}, kLook, job.meta.created, now);
  std::move(asked.asks.begin(), asked.asks.end(), std::back_inserter(asks));
  if (!look_again || asked.next < *look_again) look_again = asked.next;
  return asked.answer && asked.answer->text ? *asked.answer->text : "";
}

WorkloadCleanup end_workloads(const Observed& o, const api::TrainingRun& run, const std::set<std::string>& over, TimePoint now) {
  WorkloadCleanup out;
  for (const api::TrialStatus& trial : run.status.trials) {
    if (trial.phase != "Running" || trial.workload.empty() || over.count(trial.job)) continue;
    Asked asked = ask_each(o, "gone/" + run.meta.uid + "/" + trial.job + "@", question_about(trial, o.key.ns), kLookGone, trial.started.value_or(now), now);
    const WorkloadSeen seen = asked.answer ? seen_of(*asked.answer) : WorkloadSeen{};
    const bool ours = seen.there && !seen.deleting && seen.owner == run.meta.uid && (trial.job_uid.empty() || trial.job_uid == seen.uid);
    if (seen.known && !ours) continue;
    Delete action{{Kind::Workload, {o.key.ns, trial.job}}, seen.uid.empty() ? trial.job_uid : seen.uid, "its run has finished"};
    action.collection = collection_of(trial.workload, o.key.ns);
    const auto refused = std::find_if(o.refusals.begin(), o.refusals.end(),
                                      [&](const Refusal& refusal) { return refusal.target == action.target && refusal.body_hash.empty(); });
    if (!seen.problem.empty() || refused != o.refusals.end()) {
      out.left = name_of(trial) + " could not be deleted: " + (seen.problem.empty() ? refused->error.message : seen.problem);
      continue;
    }
    out.waits_for = name_of(trial);
    std::move(asked.asks.begin(), asked.asks.end(), std::back_inserter(out.asks));
    if (!out.look_again || asked.next < *out.look_again) out.look_again = asked.next;
    if (seen.known) out.actions.push_back(std::move(action));
  }
  return out;
}

}  // namespace mo::training
