#include "reconcilers/common/side.h"

namespace mo {
namespace {

constexpr char kMark = '@';
constexpr size_t kShown = 4;  // of a hash, unless the two begin alike

}  // namespace

std::string side_of(const std::string& version, const std::string& revision) {
  return version.empty() || revision.empty() ? version : version + kMark + revision;
}

std::string side_of(const api::Deployment& deployment) { return side_of(deployment.version, deployment.revision); }
std::string side_of(const api::Pod& pod) { return side_of(pod.version, pod.revision); }

std::string side_of(const std::string& version, const std::optional<api::Revision>& revision) {
  return side_of(version, revision ? revision->label() : "");
}

std::string side_of(const std::map<std::string, std::string>& selector) {
  const auto label = [&](const char* name) {
    const auto it = selector.find(name);
    return it == selector.end() ? std::string() : it->second;
  };
  return side_of(label(api::kLabelVersion), label(api::kLabelRevision));
}

std::string version_of(const std::string& side) { return side.substr(0, side.find(kMark)); }

std::string revision_of(const std::string& side) {
  const size_t mark = side.find(kMark);
  return mark == std::string::npos ? "" : side.substr(mark + 1);
}

std::string shown(const std::string& version, const std::string& revision, const std::string& other_version, const std::string& other_revision) {
  if (version != other_version || revision.empty() || revision == other_revision) return version;
  size_t digits = kShown;
  while (digits < revision.size() && revision.compare(0, digits, other_revision, 0, digits) == 0) ++digits;
  return version + " (template " + revision.substr(0, digits) + ")";
}

std::string shown(const std::string& side, const std::string& other) {
  return shown(version_of(side), revision_of(side), version_of(other), revision_of(other));
}

}  // namespace mo
