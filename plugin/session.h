// What each verb is given: a cluster, a namespace, somewhere to print to, a clock.
#pragma once

#include <functional>
#include <iostream>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/core/ids.h"
#include "operator/core/result.h"
#include "operator/core/time.h"
#include "operator/json/json.h"
#include "operator/kube/client.h"

namespace mo::plugin {

// What the plugin's exit codes mean, whichever the verb.
enum Exit {
  kDone = 0,     // it is so: done, Ready, nothing found
  kNo = 1,       // it is not so: refused, rolled back, stalled, mistakes found, changes planned
  kTrouble = 2,  // it cannot be told: wrong usage, no answer, an error of the API server
  kNotYet = 3,   // still on its way when the time was up
};

struct Session {
  kube::Client& client;
  std::string ns;
  std::ostream& out;
  std::ostream& err;
  std::function<TimePoint()> now;
  std::stop_token stop;
};

struct ClusterOptions {
  std::string kubeconfig, context, ns, as;
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
