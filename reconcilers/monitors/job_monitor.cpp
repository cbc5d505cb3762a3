#include "reconcilers/monitors/job_monitor.h"

#include <algorithm>

#include "operator/core/text.h"
#include "reconcilers/common/job.h"
#include "reconcilers/measure/job.h"

namespace mo::monitors {
namespace {

using measure::Measured;

constexpr Duration kLongestJob = std::chrono::hours(1);  // where its template says nothing
constexpr size_t kNoteKept = 512;                        // bytes

class JobMonitor {
 public:
  JobMonitor(const Observed& o, const api::Monitor& monitor, const api::MonitorStatus& before, TimePoint now)
      : o_(o), model_(*o.model), figure_(monitor.figure), now_(now) {
    out_.status = before;
  }

  JobMeasurement run() {
    if (is_due()) begin();
    if (s().job_done) {
      out_.look_again = *s().job_started + figure_.interval;
      return std::move(out_);
    }
    const auto found = o_.jobs.find(s().job);
    if (found == o_.jobs.end())
      make();
    else
      follow(*found->second);
    return std::move(out_);
  }

 private:
  api::MonitorStatus& s() { return out_.status; }

  // The next one waits for the last, however long that takes.
  bool is_due() {
    if (s().job.empty() || !s().job_started) return true;
    const bool ahead = *s().job_started > now_ + figure_.interval;  // by the clock of another leader
    return s().job_done && (ahead || now_ >= *s().job_started + figure_.interval);
  }

  void begin() {
    const TimePoint at = std::chrono::ceil<std::chrono::seconds>(now_);
    s().job_started = at;
    s().job_done = false;
    s().job = measure::gate_job_name(o_.key.name, figure_.name,
                                     "monitor/" + model_.meta.uid + "/" + s().version + "/" + format_time(at) +
                                         (s().policy.empty() ? "" : "/" + figure_.name));
  }

  // Status says so first, so that a Job which is not there may be made as often as need be.
  void make() {
    const std::string& ns = o_.key.ns;
    const Result<Json> job =
        measure::render_measuring_job(model_, figure_, s().job, model_.meta.uid,
                                      {{"MODELOPS_MODEL", o_.key.name},
                                       {"MODELOPS_NAMESPACE", ns},
                                       {"MODELOPS_VERSION", s().version},
                                       {"MODELOPS_STABLE_VERSION", s().version},
                                       {"MODELOPS_STABLE_URL", "http://" + o_.key.name + "." + ns + ".svc"},
                                       {"MODELOPS_RUN_ID", s().job}},
                                      std::min(kLongestJob, std::max(figure_.interval, Duration(std::chrono::minutes(1)))));
    if (!job) return take({Measured::Verdict::None, "", job.error().message}, now_);
    const std::string body = job->dump();
    for (const Refusal& refusal : o_.refusals)
      if (refusal.target == ObjectRef{Kind::Job, {ns, s().job}} && refusal.body_hash == hash_of(body))
        tell("Job " + s().job + " cannot be created: " + refusal.error.message);
    out_.actions.push_back(
        Apply{{Kind::Job, {ns, s().job}}, body, "", hash_of(body), "measure monitor " + figure_.name + " on " + s().version});
  }

  void follow(const api::Job& job) {
    if (job.gate_of != model_.meta.uid || job.gate != figure_.name)
      return take({Measured::Verdict::None, "", measure::taken_job(s().job)}, now_);
    if (!ended(job)) {
      const JobTrouble trouble = trouble_of(o_, job, now_);
      out_.look_again = trouble.look_again;
      return tell(trouble.why);
    }
    Ask ask{"monitor-job/" + job.meta.uid, AskRunResult{job.meta.key, job.meta.uid}};
    const auto answer = o_.answers.find(ask.id);
    if (answer != o_.answers.end()) return take(measure::judge_report(figure_, answer->second, job), answer->second.at);
    out_.ask = std::move(ask);
  }

  void take(Measured measured, TimePoint at) {
    out_.measured = std::move(measured);
    out_.measured_at = at;
    s().job_done = true;
    out_.look_again = *s().job_started + figure_.interval;
  }

  // Where there is a figure, that is worth more.
  void tell(const std::string& why) {
    if (!why.empty() && s().state == api::MonitorStatus::State::NoData) s().message = whole_characters(why, kNoteKept);
  }

  const Observed& o_;
  const api::Model& model_;
  const api::Gate& figure_;
  TimePoint now_;
  JobMeasurement out_;
};

}  // namespace

JobMeasurement measure_by_job(const Observed& observed, const api::Monitor& monitor, const api::MonitorStatus& before, TimePoint now) {
  return JobMonitor(observed, monitor, before, now).run();
}

std::vector<Action> tidy_jobs(const Observed& observed, const std::vector<api::MonitorStatus>& now) {
  const std::string& uid = observed.model->meta.uid;
  std::map<std::string, std::string> measuring;
  for (const api::MonitorStatus& status : now)
    if (!status.job.empty()) measuring[status.name] = status.job;
  std::vector<Action> actions = measure::tidy_gate_jobs(observed.jobs, uid, measuring);
  for (const auto& [name, job] : observed.jobs)
    if (job->gate_of == uid && !job->meta.deleting && !job->gate.empty() && !measuring.contains(job->gate))
      actions.push_back(
          Delete{{Kind::Job, job->meta.key}, job->meta.uid, "monitor " + job->gate + " is no longer measured by Jobs"});
  return actions;
}

}  // namespace mo::monitors
