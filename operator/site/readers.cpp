#include "operator/site/readers.h"

#include <algorithm>

#include "operator/json/json.h"

namespace mo::site {
namespace {

constexpr std::chrono::seconds kKnown{60}, kUnknown{10};
constexpr size_t kRemembered = 256;
constexpr size_t kNamespaces = 2000;    // of which a reader without the whole cluster may see a part
constexpr size_t kAskedAtOnce = 300;    // namespaces, before others get their turn

// What a SubjectAccessReview may depend on: not on which token it was, which is new each hour.
std::string account_of(const kube::Identity& who) {
  Json user = parse_json(who.user, 1 << 20).value_or(Json::object());
  if (user.is_object() && user.contains("extra") && user["extra"].is_object()) {
    Json kept = Json::object();
    for (const auto& [name, value] : user["extra"].items())
      if (!name.starts_with("authentication.kubernetes.io/")) kept[name] = value;
    user["extra"] = std::move(kept);
  }
  return user.dump();
}

}  // namespace

bool Readers::knows(const Caller& caller) { return recall(caller.key).has_value(); }

std::optional<Readers::Reader> Readers::recall(const std::string& key) {
  std::lock_guard lock(mutex_);
  const auto it = readers_.find(key);
  if (it == readers_.end() || it->second.until < Clock::now()) return {};
  return it->second;
}

void Readers::remember(const std::string& key, const Reader& reader) {
  std::lock_guard lock(mutex_);
  std::erase_if(readers_, [now = Clock::now()](const auto& entry) { return entry.second.until < now; });
  if (readers_.size() >= kRemembered && !readers_.contains(key)) {
    // Those whom nobody knows go first: whoever tries tokens pushes out no reader.
    auto oldest = std::min_element(readers_.begin(), readers_.end(), [](const auto& a, const auto& b) {
      return std::pair(a.second.known, a.second.until) < std::pair(b.second.known, b.second.until);
    });
    readers_.erase(oldest);
  }
  readers_[key] = reader;
}

Result<bool> Readers::sees(const kube::Identity& who, const std::string& ns, std::stop_token stop) {
  for (const char* plural : {"models", "modelversions", "modelrollouts"}) {
    const auto may = reviews_->may_list(who, plural, ns, stop);
    if (!may || !*may) return may;
  }
  return true;
}

Result<Readers::Reader> Readers::ask(const Caller& caller, const report::Portfolio& whole, std::stop_token stop) {
  const auto who = caller.named ? Result<kube::Identity>(*caller.named) : reviews_->who(caller.token, stop);
  if (!who) return fail(who.error());
  Reader reader;
  reader.known = who->authenticated;
  reader.name = who->name;
  reader.until = Clock::now() + (reader.known ? kKnown : kUnknown);
  if (!reader.known) return reader;
  const auto all = sees(*who, "", stop);
  if (!all) return fail(all.error());
  reader.everything = *all;
  if (reader.everything) return reader;
  std::set<std::string> namespaces;
  for (const report::Model& model : whole.models)
    if (namespaces.size() < kNamespaces) namespaces.insert(model.ns);
  auto seen = seen_by(*who, namespaces, stop);
  if (!seen) return fail(seen.error());
  reader.namespaces = std::move(*seen);
  reader.until = Clock::now() + kKnown;
  return reader;
}

Result<std::set<std::string>> Readers::seen_by(const kube::Identity& who, const std::set<std::string>& namespaces, std::stop_token stop) {
  const std::string account = account_of(who);
  Asked asked;
  {
    std::lock_guard lock(mutex_);
    std::erase_if(asked_, [now = Clock::now()](const auto& entry) { return entry.second.until < now; });
    if (const auto it = asked_.find(account); it != asked_.end()) asked = it->second;
  }
  if (asked.namespaces.empty()) asked.until = Clock::now() + kKnown;
  size_t left = kAskedAtOnce;
  std::optional<Error> error;
  for (const std::string& ns : namespaces) {
    if (asked.namespaces.contains(ns)) continue;
    if (left-- == 0) {
      error = Error{ErrorKind::TooManyRequests, "your rights in " + std::to_string(asked.namespaces.size()) + " of " + std::to_string(namespaces.size()) +
                                                    " namespaces are known so far; try again",
                    0,
                    {},
                    {}};
      break;
    }
    const auto may = sees(who, ns, stop);
    if (!may) {
      error = may.error();
      break;
    }
    asked.namespaces[ns] = *may;
  }
  std::set<std::string> seen;
  for (const auto& [ns, may] : asked.namespaces)
    if (may && namespaces.contains(ns)) seen.insert(ns);
  std::lock_guard lock(mutex_);
  if (asked_.size() < kRemembered || asked_.contains(account)) asked_[account] = std::move(asked);
  if (error) return tl::unexpected(*error);
  return seen;
}

Result<Readers::Snapshot> Readers::view(const Caller& caller, const Snapshot& whole, std::stop_token stop) {
  std::optional<Reader> reader = recall(caller.key);
  if (!reader) {
    auto asked = ask(caller, *whole, stop);
    if (!asked) return fail(asked.error());
    reader = std::move(*asked);
  }
  if (reader->known && reader->of != whole) {
    reader->of = whole;
    reader->view = whole;
    if (!reader->everything) {
      report::Portfolio part = report::only(*whole, reader->namespaces);
      part.scope = "the namespaces that " + reader->name + " may see (" + std::to_string(reader->namespaces.size()) + ")";
      if (reader->namespaces.empty()) part.gaps.clear(), part.policies_known = false;
      reader->view = std::make_shared<const report::Portfolio>(std::move(part));
    }
  }
  remember(caller.key, *reader);
  return reader->known ? reader->view : nullptr;
}

}  // namespace mo::site
