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

  Look look() const { return {.colour = terminal && terminal->colour, .ticking = terminal.has_value()}; }
};

struct ClusterOptions {
  std::string kubeconfig, context, ns, as;
  std::chrono::milliseconds deadline{30'000};  // of each answer
};

struct Cluster {
  std::unique_ptr<kube::Client> client;
  std::string ns;
};
Result<Cluster> connect(const ClusterOptions& options);

Result<Json> get(Session& session, Kind kind, const std::string& name);
// In the session's namespace; of kinds without one, all.
Result<std::vector<Json>> list(Session& session, Kind kind, const kube::ListOptions& options = {});

// What was asked for makes no sense as things stand.
tl::unexpected<Error> refuse(const std::string& sentence);
// Prints it, and says which exit code it is.
int complain(Session& session, const Error& error);

}  // namespace mo::plugin
