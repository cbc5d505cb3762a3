// Training of Model m, look by look: what a plan writes is there at the next look, and Jobs end as the test says.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "reconcilers/training/training.h"
#include "tests/unit/reconcilers_make.h"

namespace mo::training::test {

using mo::test::kNow;

inline const std::string kPlainTemplate = R"({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}})";

inline std::string digest_of(char digit) { return "sha256:" + std::string(64, digit); }

// A RunResult with these metrics ("{...}") and an artifact of bits named by a digit.
inline std::string result_of(const std::string& metrics, char bits = '1') {
  return R"({"apiVersion": "modelops.dev/v1alpha1", "kind": "RunResult", "metrics": )" + metrics +
         R"(, "artifact": {"uri": "http://x/y", "digest": ")" + digest_of(bits) + R"(", "format": {"name": "rules", "version": "1"}}})";
}
inline std::string report_of(const std::string& metrics, const std::string& champion = "{}") {
  return R"({"apiVersion": "modelops.dev/v1alpha1", "kind": "RunResult", "metrics": )" + metrics + R"(, "championMetrics": )" + champion + "}";
}

struct Trained : mo::test::Scene {
  Trained() {
    serving("m-v1");
    model.track = "Promoted";
    model.retraining.emplace();
    model.retraining->job_template = kPlainTemplate;
    model.retraining->requested_at = kNow;
  }
  api::Retraining& spec() { return *model.retraining; }
  api::RetrainingStatus& status() { return model.status.retraining; }
  api::TrainingRun& run(const std::string& name = "m-run-000001") { return *runs.at(name); }
  api::TrainingRunStatus& run_status() { return run().status; }
  api::Job& job(const std::string& name) { return *jobs.at(name); }

  api::TrainingRun& write_run(const std::string& name, bool by_operator = false) {
    auto made = std::make_shared<api::TrainingRun>();
    made->meta = mo::test::meta(name);
    made->model = "m";
    if (by_operator) made->meta.controller_uid = "uid-m";
    runs[name] = made;
    return *made;
  }
  api::Job& add_job(const std::string& name, const std::string& owner) {
    auto made = std::make_shared<api::Job>();
    made->meta = mo::test::meta(name);
    made->meta.controller_uid = owner;
    made->meta.created = now_;
    jobs[name] = made;
    return *made;
  }
  void end(const std::string& name, const std::string& result) {
    job(name).complete = true;
    Answer answer;
    answer.text = result;
    o.answers["run/" + job(name).meta.uid] = answer;
  }

  Planned look(Duration later = Duration(0)) {
    now_ = kNow + later;
    o.runs.clear();
    for (const auto& [name, made] : runs) o.runs.push_back(std::make_shared<const api::TrainingRun>(*made));
    o.jobs.clear();
    for (const auto& [name, made] : jobs) o.jobs[name] = made;
    const Observed& seen = observed();
    Planned planned = plan(seen, rollout::resolve(seen), model.status.stable_version, pinned, monitors, mo::test::kSettings, kNow + later);
    model.status.retraining = planned.status;
    if (planned.run) runs.at(planned.run->first->meta.key.name)->status = planned.run->second;
    for (const auto& [was, next] : planned.others) runs.at(was->meta.key.name)->status = next;
    for (const Action& action : planned.actions) carry_out(action);
    for (auto& v : o.versions) {
      if (v->meta.key.name != planned.rejected_version && v->meta.key.name != planned.evaluated_version) continue;
      auto next = std::make_shared<api::ModelVersion>(*v);
      if (v->meta.key.name == planned.rejected_version) next->phase = "Rejected";
      if (v->meta.key.name == planned.evaluated_version) next->evaluation = planned.evaluation;
      o.named[next->meta.key.name] = v = next;
    }
    return planned;
  }
  // Until nothing moves.
  Planned settle(Duration later = Duration(0)) {
    Planned planned = look(later);
    for (int i = 0; i < 20 && (!planned.actions.empty() || planned.look_again == kNow + later || moved(planned)); ++i) planned = look(later);
    return planned;
  }
  bool moved(const Planned& planned) {
    std::string now = planned.status.last_result + (planned.status.run ? planned.status.run->uid : "-");
    for (const auto& [name, made] : runs) now += name + made->status.phase + std::to_string(made->status.stages.size());
    return std::exchange(before_, now) != now;
  }

  void carry_out(const Action& action) {
    if (const auto* removal = std::get_if<Delete>(&action)) {
      jobs.erase(removal->target.key.name);
      deleted.push_back(removal->target.key.name);
    }
    const auto* apply = std::get_if<Apply>(&action);
    if (!apply || refuse) return;
    const Json body = Json::parse(apply->body);
    const std::string& name = apply->target.key.name;
    made.push_back(name);
    bodies[name] = body;
    if (apply->target.kind == Kind::TrainingRun) {
      api::TrainingRun& run = write_run(name, true);
      run.trigger = body["spec"]["trigger"]["name"];
      run.trigger_kind = body["spec"]["trigger"]["kind"];
      run.workload = body["spec"].value("workload", "");
      run.parameters = body["spec"].value("parameters", std::map<std::string, std::string>{});
      run.on_success = body["spec"]["onSuccess"] == "Rollout" ? api::Retraining::OnSuccess::Rollout : api::Retraining::OnSuccess::Register;
    } else if (apply->target.kind == Kind::Job) {
      add_job(name, body["metadata"]["ownerReferences"][0]["uid"]);
    } else if (apply->target.kind == Kind::ModelVersion) {
      api::ModelVersion& v = version(name);
      v.artifact.digest = body["spec"]["artifact"]["digest"];
      v.metrics = body["spec"]["metrics"];
    } else if (apply->target.kind == Kind::ModelRollout) {
      rollout(name, body["spec"]["version"], "retraining");
    }
  }

  std::string env(const std::string& job_name, const std::string& variable) {
    for (const Json& e : bodies.at(job_name)["spec"]["template"]["spec"]["containers"][0]["env"])
      if (e["name"] == variable) return e["value"];
    return "(none)";
  }
  void gate(const std::string& name, const std::string& metric, const std::string& min) {
    api::Gate made;
    made.name = name;
    made.version_metric = metric;
    made.min = Decimal::parse(min);
    model.rollout.gates.push_back(made);
  }

  std::map<std::string, std::shared_ptr<api::TrainingRun>> runs;
  std::map<std::string, std::shared_ptr<api::Job>> jobs;
  std::map<std::string, Json> bodies;
  std::vector<std::string> made, deleted, monitors;
  bool pinned = false, refuse = false;

 private:
  std::string before_;
  TimePoint now_ = kNow;
};

}  // namespace mo::training::test
