// Gates: from measurements to a verdict. Pure.
//
// A measurement passes, fails or is inconclusive (no data, too few samples, an answer that is no single
// number, a difference that its samples do not prove at the confidence that is asked for). A gate has
//   failed        once more than `failureLimit` measurements failed,
//   passed        once `count` measurements passed,
//   inconclusive  once more than `inconclusiveLimit` measurements in a row were inconclusive (with
//   onInconclusive: Wait it goes on measuring instead).
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "reconcilers/common/observed.h"

namespace mo::measure {

struct GateContext {
  std::string id_prefix;  // of Ask ids: unique to this attempt at this step
  std::string ns, model, stable, candidate;
  std::string stable_revision, candidate_revision;  // the label modelops.dev/revision of their pods; empty: they bear none
  const std::map<std::string, std::string>* candidate_metrics = nullptr;  // recorded on the ModelVersions
  const std::map<std::string, std::string>* stable_metrics = nullptr;
  const std::map<std::string, Answer>* answers = nullptr;
  const std::map<std::string, Ref<api::Job>>* jobs = nullptr;
  const std::map<std::string, std::string>* job_troubles = nullptr;  // why a Job makes no progress, by its name
  std::string rollout_uid;
  TimePoint attempt_started{};
  bool of_cluster = false;  // the gate is a ClusterModelGateSet's
  bool watching = false;  // it continues until it fails; a pass decides nothing
  bool background = false;  // no step waits for it
};

struct GateProgress {
  api::GateStatus status;
  std::optional<Ask> ask;        // the measurement that is wanted now
  std::string job;               // name of the Job that it is measured by now
  bool starts_job = false;       // that Job is to be made
  bool job_taken = false;        // that Job is not of this gate
  std::optional<TimePoint> due;  // when the next one is
};

// Processes an answer if there is one, and returns the next ask. `before` is what status holds of this gate (a
// new GateStatus at first).
GateProgress measure(const api::Gate& gate, const api::GateStatus& before, const GateContext& context,
                     TimePoint now);

// How many inconclusive measurements in a row decide nothing yet.
int inconclusive_limit(const api::Gate& gate);
// What an inconclusive gate leads to: what it says, else a person is asked where something waits for it.
api::Gate::OnInconclusive on_inconclusive(const api::Gate& gate, bool background);

// The verdict over a recorded metric alone, as measure() gives it for `version:` gates.
api::GateStatus judge_recorded(const api::Gate& gate, const GateContext& context, TimePoint now);

// One measurement of a figure against its bounds, for whoever watches figures beside rollouts.
struct Measured {
  enum class Verdict { Good, Bad, None } verdict = Verdict::None;
  std::string value, message;  // value: empty without a number
};
Measured judge_figure(const api::Gate& figure, const Answer& answer);
// What one answer makes of a gate's status, as measure() takes it in. Of `context` only stable and watching count.
api::GateStatus take_answer(const api::Gate& gate, const api::GateStatus& before, const Answer& answer, const GateContext& context);
// The question that such an answer is for. `figure` is of Prometheus or web.
Ask ask_figure(const api::Gate& figure, const GateContext& context, const std::string& id);
// The same, of what a Job of it reported.
Measured judge_report(const api::Gate& figure, const Answer& answer, const api::Job& job);
// The message for a Job name that another Job has.
std::string taken_job(const std::string& name);

// {{model}} {{namespace}} {{stable}} {{candidate}} {{stableRevision}} {{candidateRevision}} replaced.
std::string expand(const std::string& query, const GateContext& context);

}  // namespace mo::measure
