#include "reconcilers/training/taken_away.h"

#include <algorithm>

#include "operator/core/text.h"
#include "reconcilers/training/workload.h"

namespace mo::training {

bool is_of_operator(const api::TrainingRun& run, const api::Model& model) { return run.meta.controller_uid == model.meta.uid; }

int64_t most_job_seconds(const api::RetrainingRun& run, const std::optional<api::Trials>& trials, TimePoint now) {
  const auto span = std::chrono::duration_cast<std::chrono::seconds>(now - run.started).count();
  return std::max<int64_t>(0, span) * (trials ? std::max(1, trials->parallelism) : 1);
}

Planned taken_away(const Observed& o, TimePoint now) {
  Planned out;
  api::RetrainingStatus& s = out.status = o.model->status.retraining;
  const auto gone = [](const std::string& run) { return "spec.retraining was removed before " + run + " ended"; };
  bool stays = false;  // the run under way, until what it runs is gone
  for (const auto& run : o.runs) {
    if (api::is_over(*run)) continue;
    api::TrainingRunStatus next = run->status;
    next.observed_generation = run->meta.generation;
    const bool was_under_way = (s.run && s.run->name == run->meta.key.name) || is_of_operator(*run, *o.model) || next.attempt > 0;
    WorkloadCleanup cleanup = end_workloads(o, *run, {}, now);
    if (!cleanup.waits_for.empty()) {
      out.take(std::move(cleanup));
      next.message = whole_characters("ends as Cancelled: " + gone(run->meta.key.name) + "; " + cleanup.waits_for + " is being deleted", kResultKept);
      if (s.run && s.run->name == run->meta.key.name) stays = true;
      out.others.emplace_back(run, std::move(next));
      continue;
    }
    if (was_under_way || run->desired_state == "Cancelled") {
      next.phase = "Cancelled";
      next.message = was_under_way ? gone(run->meta.key.name) : "desiredState is Cancelled";
      next.finished = now;
    } else {
      next.phase = "Pending";
      next.message = "Model " + o.key.name + " has no spec.retraining; a TrainingRun needs it";
    }
    if (s.run && s.run->name == run->meta.key.name)
      out.run.emplace(run, std::move(next));
    else
      out.others.emplace_back(run, std::move(next));
  }
  if (s.run && !stays) {
    // How many trials ran side by side is not said any more; putting spec.retraining back must not make the hours free.
    const auto run = std::find_if(o.runs.begin(), o.runs.end(), [&](const auto& r) { return r->meta.key.name == s.run->name; });
    s.job_seconds_today += std::max(most_job_seconds(*s.run, {}, now), run == o.runs.end() ? 0 : (*run)->status.job_seconds);
    s.last_result = "Cancelled: " + gone(s.run->name);
    s.last_finished = now;
    s.run.reset();
    out.events.push_back({{Kind::Model, o.key}, o.model->meta.uid, true, "RetrainingRejected", s.last_result});
  }
  s.next_scheduled.reset();
  s.schedule_checked.reset();
  s.schedules.clear();
  s.suppressed.clear();
  for (const auto& [name, job] : o.jobs)  // nobody would read what they make
    if (job->gate_of.empty() && !job->complete && !job->failed && !job->meta.deleting)
      out.actions.push_back(Delete{{Kind::Job, job->meta.key}, job->meta.uid, "spec.retraining was removed"});
  return out;
}

}  // namespace mo::training
