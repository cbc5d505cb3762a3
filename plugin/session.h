// What each verb is given: a cluster, a namespace, somewhere to print to, a clock.
#pragma once

#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "operator/api/parse.h"
#include "operator/core/ids.h"
#include "operator/core/result.h"
#include "operator/core/time.h"
#include "operator/json/json.h"
#include "operator/kube/client.h"
#include "plugin/tree.h"

namespace mo::plugin {

// Set if what is printed goes to a person's terminal.
struct Terminal {
  bool colour = true;
  std::function<std::pair<int, int>()> size;  // rows, columns
};

struct Session {
  kube::Client& client;
  std::string ns;
  std::ostream& out;
  std::ostream& err;
  std::function<TimePoint()> now;
  std::stop_token stop = {};
  std::optional<Terminal> terminal = {};

  DisplayOptions display() const { return {.colour = terminal && terminal->colour, .ticking = terminal.has_value()}; }
};

struct ClusterOptions {
  std::string kubeconfig, context, ns, as, as_uid;
  std::vector<std::string> as_groups;
  std::chrono::milliseconds deadline{30'000};  // of each answer
  bool dry_run = false;                        // writes are checked by the API server, and not stored
};

struct Cluster {
  std::unique_ptr<kube::Client> client;
  std::string ns;
};
Result<Cluster> connect(const ClusterOptions& options);

// What --request-timeout says: "30s", "30" (seconds), "0" for none. Empty if it says neither.
std::optional<std::chrono::milliseconds> request_timeout(const std::string& text);

// For completion; nothing where they may not be read.
std::vector<std::string> namespaces(kube::Client& client);
std::vector<std::string> contexts(const ClusterOptions& options);

// Null if it may not be read.
std::shared_ptr<const api::Namespace> namespace_of(Session& session);

// Items of a list lack both apiVersion and kind.
Json with_kind(Json object, Kind kind);
Result<Json> get(Session& session, Kind kind, const std::string& name);
// In the session's namespace; of kinds without one, all.
Result<std::vector<Json>> list(Session& session, Kind kind, const kube::ListOptions& options = {});

// The same, as the operator reads them.
template <class T>
Result<std::vector<std::shared_ptr<const T>>> list_parsed(Session& session, Kind kind) {
  const auto found = list(session, kind);
  if (!found) return fail(found.error());
  std::vector<std::shared_ptr<const T>> all;
  for (const Json& object : *found) {
    auto one = api::parse<T>(object.dump());
    if (!one) return fail(one.error());
    all.push_back(std::make_shared<const T>(std::move(*one)));
  }
  return all;
}

// What was asked for makes no sense as things stand.
tl::unexpected<Error> refuse(const std::string& sentence);
// Prints it, and says which exit code it is.
int complain(Session& session, const Error& error);
// Of two exit codes: an error before a no, and that before a not yet.
int worse(int a, int b);
// "1 Model", "2 Models".
std::string count_of(size_t n, const std::string& what);

}  // namespace mo::plugin
