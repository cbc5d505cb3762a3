#include "operator/evidence/workload_status.h"

#include <algorithm>

#include "operator/cel/expression.h"
#include "operator/core/text.h"
#include "operator/evidence/bounded_json.h"

namespace mo::evidence {
namespace {

constexpr size_t kMostObject = 2u << 20;  // the API server holds no larger one
constexpr size_t kMostResult = 1u << 20;
constexpr size_t kMostSaid = 512;
constexpr size_t kMostResources = 4u << 20;

const cel::Language kLanguage{.most_bytes = kMostExpressionBytes, .most_steps = kMostExpressionSteps};

std::string controller_of(const Json& metadata) {
  const Json owners = member_of(metadata, "ownerReferences");
  for (const Json& owner : owners)
    if (member_of(owner, "controller") == true) return text_of(owner, "uid");
  return "";
}

// What a person reads first of an object that they don't know.
std::string said(const Json& status) {
  std::string last = text_of(status, "message");
  const Json conditions = member_of(status, "conditions");
  if (conditions.is_array())
    for (const Json& condition : conditions) {
      if (text_of(condition, "status") != "True") continue;
      const std::string message = text_of(condition, "message");
      last = text_of(condition, "type") + (message.empty() ? "" : ": " + message);
    }
  return whole_characters(last, kMostSaid);
}

// Absent where it cannot be told; why goes to `problem`.
std::optional<bool> holds(const std::string& text, const char* field, const Json& object, std::string& problem) {
  const auto expression = cel::Expression::parse(text, kLanguage);
  const Result<bool> is = expression ? expression->holds(object) : fail(expression.error());
  if (is) return *is;
  if (problem.empty()) problem = whole_characters(std::string(field) + ": " + is.error().message, kMostSaid);
  return {};
}

void put_result(Json& words, const Result<std::string>& result) {
  if (result && result->size() <= kMostResult)
    words["result"] = whole_characters(*result);
  else
    words["resultProblem"] = whole_characters(result ? "its RunResult is longer than 1 MiB" : result.error().message, kMostSaid);
}

}  // namespace

Result<std::string> workload_status(std::string_view text, const AskWorkload& question) {
  if (text.size() > kMostObject) return fail(ErrorKind::Invalid, question.kind + " " + question.name + " is longer than 2 MiB");
  const Json object = parse_bounded(text);
  const Json metadata = member_of(object, "metadata");
  if (text_of(metadata, "uid").empty()) return fail(ErrorKind::Malformed, question.kind + " " + question.name + " cannot be read");
  Json words = {{"there", true}, {"uid", text_of(metadata, "uid")}, {"owner", controller_of(metadata)}};
  if (metadata.contains("deletionTimestamp")) words["deleting"] = true;
  if (question.success.empty()) return words.dump();
  if (member_of(member_of(object, "spec"), "suspend") == true) words["suspended"] = true;
  std::string problem;
  const auto failed = holds(question.failure, "failure", object, problem);
  const auto succeeded = holds(question.success, "success", object, problem);
  words["failed"] = failed.value_or(false);
  words["succeeded"] = succeeded.value_or(false);
  if (!problem.empty()) words["problem"] = problem;
  if (const std::string says = said(member_of(object, "status")); !says.empty()) words["says"] = says;
  if (words["succeeded"] == true && question.result_pods.empty()) {
    const auto expression = cel::Expression::parse(question.result, kLanguage);
    put_result(words, expression ? expression->say(object) : Result<std::string>(fail(expression.error())));
  }
  return words.dump();
}

Result<std::string> absent_workload(std::string_view text, const AskWorkload& question) {
  bool served = false;
  if (!text.empty()) {
    const Json list = text.size() > kMostResources ? Json() : parse_bounded(text);
    const Json resources = member_of(list, "resources");
    if (!resources.is_array()) return fail(ErrorKind::Malformed, "the resources of " + question.api_version + " cannot be read");
    served = std::any_of(resources.begin(), resources.end(), [&](const Json& r) {
      return text_of(r, "name") == question.resource && text_of(r, "kind") == question.kind && member_of(r, "namespaced") == true;
    });
  }
  return Json{{"there", false}, {"served", served}}.dump();
}

bool reports(const std::string& words) {
  const Json read = parse_bounded(words);
  return member_of(read, "succeeded") == true;
}

std::string with_result(const std::string& words, const Result<std::string>& result, bool awaited) {
  Json read = parse_bounded(words);
  if (!read.is_object()) return words;
  put_result(read, result);
  if (awaited) read["awaited"] = true;
  return read.dump();
}

std::string queue_reason(std::string_view workloads) {
  if (workloads.size() > kMostObject) return "";
  const Json list = parse_bounded(workloads);
  const Json items = member_of(list, "items");
  if (!items.is_array() || items.empty()) return "";
  const Json conditions = member_of(member_of(items.front(), "status"), "conditions");
  std::string reserved, evicted;
  if (conditions.is_array())
    for (const Json& condition : conditions) {
      const std::string type = text_of(condition, "type"), status = text_of(condition, "status");
      if (type == "QuotaReserved" && status == "False") reserved = text_of(condition, "message");
      if ((type == "Evicted" || type == "Preempted") && status == "True" && evicted.empty()) evicted = text_of(condition, "message");
    }
  return whole_characters(evicted.empty() || reserved == evicted ? reserved : reserved.empty() ? evicted : evicted + "; " + reserved, kMostSaid);
}

}  // namespace mo::evidence
