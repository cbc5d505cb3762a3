// The models of an organisation as reports see them: a read model made of objects as they came. Pure, but for Collector, which is
// filled object by object, so that nobody has to hold all of them as JSON at once.
//
// What is not known stays unknown: an empty text or optional, never a nought or a guess.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "operator/core/time.h"
#include "operator/json/json.h"
#include "report/resources.h"

namespace mo::report {

inline constexpr Duration kWindow = std::chrono::hours(24 * 90);  // that figures look back

struct Gate {
  std::string name, verdict, value, bound, message;
  std::string min = {}, max = {};
};

struct Rollout {
  std::string ns, model, name;
  std::string from, to;
  std::string phase, message, reason;  // reason: of the ending
  std::string origin;                  // spec | retraining | monitor | kubectl-model | argocd; empty: a person or a pipeline
  std::optional<TimePoint> created, started, finished, decided;  // decided: that it ends badly
  std::vector<Gate> gates;
  std::string awaits;                 // what an approval is waited for with: AwaitingApproval, AuthorUnknown, …; empty: none is
  std::vector<std::string> policies;  // that hold for it
  int weight = 0, step = 0, steps = 0;

  bool over() const { return finished.has_value(); }
  bool failed() const { return phase == "RolledBack" || phase == "Failed"; }
};

struct Version {
  std::string ns, model, name;
  std::string phase, digest, format, parent;
  std::string run_kind, run, repository, revision, image;
  std::vector<std::pair<std::string, std::string>> data;  // name, digest
  std::vector<std::pair<std::string, std::string>> parts;  // name, digest
  std::map<std::string, std::string> metrics;             // those that gates read
  std::optional<TimePoint> created, evaluated;
  bool served = false;
};

struct Monitor {
  std::string name, about, state, value, min, max, message;
  std::optional<TimePoint> since, checked;
};

// "at least 0.9", "at most 0.2", "0.1 to 0.2"; empty without bounds.
std::string range(const std::string& min, const std::string& max);

struct Run {  // a TrainingRun
  std::string ns, model, name, trigger, phase, stage, version, message;
  std::optional<TimePoint> created, finished;
};

struct Approval {
  std::string ns, rollout, role, decision, approver, reason, ticket;
  std::optional<TimePoint> at;
};

// What needs somebody's attention, the worst first.
enum class Severity { High, Medium, Low };
struct Finding {
  Severity severity = Severity::Low;
  std::string kind;       // "open-breach": for scripts
  std::string ns, model;  // empty: of no Model
  std::string text;       // a sentence
};

struct Model {
  std::string ns, name;
  std::string team, contact, model_class, tier, description;
  std::string stage, phase, message, traffic, ready;
  std::string version, digest;
  std::optional<TimePoint> since;  // since when that version serves
  std::string why;                 // who or what brought it
  std::optional<TimePoint> evaluated, created, deprecate_at, retire_at, review_by;
  std::string successor;
  std::map<std::string, std::string> card;
  std::string compliant, compliance;  // condition Compliant, where a policy says something: True | False, and why
  std::vector<std::string> policies;  // that hold for its newest rollout that has any
  std::string candidate, rollout;
  std::string adopts;  // a Deployment that it takes the place of
  std::string last_training;
  std::vector<Monitor> monitors;
  std::vector<Rollout> rollouts;  // the newest first
  std::vector<Version> versions;  // the newest first
  std::vector<Run> runs;
  std::vector<Approval> approvals;
  std::optional<std::vector<Workload>> workloads;  // nothing: Deployments were not read
  size_t breaches = 0, rolled_back = 0, never_served = 0;  // rolled_back: within kWindow
  std::vector<Finding> findings;

  bool retired() const { return stage == "Retired"; }
  const Version* record() const;  // of the version that serves; null if it is not there
};

// A model server that no Model knows.
struct Server {
  std::string ns, name, kind;  // the workload that made the pod, as far as its name tells; else the pod
  std::string product, why;    // "Triton", "image nvcr.io/nvidia/tritonserver:24.05-py3"
  std::string model;  // the Model that its pods claim to belong to; one that there is not
  int pods = 0;
};

struct Portfolio {
  TimePoint at{};
  std::string scope;             // "all namespaces that jane may see"
  std::vector<Model> models;     // by namespace and name
  std::vector<Server> servers;
  std::vector<Finding> findings;  // of all, the worst first
  std::vector<std::string> gaps;  // what could not be read, in sentences
  bool servers_known = false;     // pods were looked at
  bool policies_known = false;    // there are policies at all
  std::optional<Prices> prices;   // of resources
  std::string usage_problem = {};  // why what pods use is unknown; empty: it is known

  const Model* model(const std::string& ns, const std::string& name) const;
};

class Collector {
 public:
  // Kinds: Model, ModelVersion, ModelRollout, TrainingRun, ModelPolicy, ModelApproval, Pod. Others are passed over.
  void add(const std::string& kind, const Json& object);
  void gap(const std::string& sentence) { gaps_.push_back(sentence); }
  void pods_were_read() { pods_read_ = true; }
  Portfolio finish(TimePoint now, const std::string& scope) &&;

 private:
  using Key = std::pair<std::string, std::string>;
  void hand_out_approvals();

  std::map<Key, Model> models_;
  std::vector<Version> versions_;
  std::vector<Rollout> rollouts_;
  std::vector<Run> runs_;
  std::vector<Approval> approvals_;
  std::map<std::string, Server> servers_;  // by namespace, name and product
  std::vector<std::string> gaps_;
  bool pods_read_ = false, policies_ = false;
};

// The part of it that somebody may see: of these namespaces alone. What is said of others, be it in a finding, goes with them.
Portfolio only(const Portfolio& whole, const std::set<std::string>& namespaces);

}  // namespace mo::report
