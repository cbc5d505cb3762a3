#include "operator/notify/targets.h"

#include <algorithm>
#include <map>
#include <set>

#include "operator/core/pattern.h"
#include "operator/yaml/yaml.h"

namespace mo::notify {
namespace {

constexpr size_t kTargets = 20;
constexpr const char* kPagerDuty = "https://events.pagerduty.com/v2/enqueue";

const std::map<std::string, Target::Format> kFormats = {{"Slack", Target::Format::Slack},
                                                        {"Teams", Target::Format::Teams},
                                                        {"PagerDuty", Target::Format::PagerDuty},
                                                        {"CloudEvents", Target::Format::CloudEvents}};

class Reader {
 public:
  Reader(const Json& object, std::string where) : object_(object), where_(std::move(where)) {}

  Result<Target> read() {
    if (!object_.is_object()) return wrong("must be an object with name, format and url");
    static const std::set<std::string> known = {"name", "format", "url", "urlFile", "tokenFile", "namespaces", "reasons", "severity"};
    for (const auto& [field, value] : object_.items())
      if (!known.contains(field)) return wrong("has no field " + field);
    Target target;
    target.name = text("name");
    if (target.name.empty()) return wrong("needs a name");
    where_ = "target " + target.name;
    const auto format = kFormats.find(text("format"));
    if (format == kFormats.end()) return wrong("format must be Slack, Teams, PagerDuty or CloudEvents");
    target.format = format->second;
    target.url = text("url");
    target.url_file = text("urlFile");
    target.token_file = text("tokenFile");
    if (target.format == Target::Format::PagerDuty) {
      if (target.token_file.empty()) return wrong("PagerDuty needs tokenFile, a file with the routing key");
      if (target.url.empty() && target.url_file.empty()) target.url = kPagerDuty;
    }
    if (target.url.empty() == target.url_file.empty()) return wrong("needs url or urlFile, and not both");
    if (!target.url.empty() && !target.url.starts_with("https://") && !target.url.starts_with("http://"))
      return wrong("url must begin with https:// or http://");
    const std::string severity = text("severity");
    if (!severity.empty() && severity != "Warning" && severity != "Normal") return wrong("severity must be Warning or Normal");
    target.warnings_only = severity != "Normal";
    if (!list("namespaces", target.namespaces) || !list("reasons", target.reasons)) return wrong("namespaces and reasons must be lists of texts");
    if (!wrong_type_.empty()) return wrong(wrong_type_ + " must be a text");
    return target;
  }

 private:
  tl::unexpected<Error> wrong(const std::string& what) const { return fail(ErrorKind::Invalid, where_ + " " + what); }

  std::string text(const char* field) {
    const auto it = object_.find(field);
    if (it == object_.end()) return "";
    if (!it->is_string()) return wrong_type_ = field, "";
    return it->get<std::string>();
  }

  bool list(const char* field, std::vector<std::string>& out) const {
    const auto it = object_.find(field);
    if (it == object_.end()) return true;
    if (!it->is_array()) return false;
    for (const Json& one : *it) {
      if (!one.is_string()) return false;
      out.push_back(one.get<std::string>());
    }
    return true;
  }

  const Json& object_;
  std::string where_, wrong_type_;
};

}  // namespace

bool Target::wants(const Event& event) const {
  if (warnings_only && !event.warning) return false;
  if (!reasons.empty() && std::find(reasons.begin(), reasons.end(), event.reason) == reasons.end()) return false;
  return namespaces.empty() || std::any_of(namespaces.begin(), namespaces.end(),
                                           [&](const std::string& pattern) { return matches(pattern, event.regarding.key.ns); });
}

Result<std::vector<Target>> read_targets(const std::string& yaml) {
  const auto documents = yaml::read(yaml);
  if (!documents) return fail(ErrorKind::Invalid, "line " + std::to_string(documents.error().line) + ": " + documents.error().message);
  if (documents->size() != 1 || !documents->front().value.is_object() || !documents->front().value.contains("targets") ||
      !documents->front().value["targets"].is_array())
    return fail(ErrorKind::Invalid, "there must be one document with the list targets");
  const Json& list = documents->front().value["targets"];
  if (list.size() > kTargets) return fail(ErrorKind::Invalid, "there may be at most " + std::to_string(kTargets) + " targets");
  std::vector<Target> targets;
  for (size_t i = 0; i < list.size(); ++i) {
    auto target = Reader(list[i], "targets[" + std::to_string(i) + "]").read();
    if (!target) return fail(target.error());
    const bool twice = std::any_of(targets.begin(), targets.end(), [&](const Target& other) { return other.name == target->name; });
    if (twice) return fail(ErrorKind::Invalid, "two targets are called " + target->name);
    targets.push_back(std::move(*target));
  }
  return targets;
}

}  // namespace mo::notify
