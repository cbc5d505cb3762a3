#include "reconcilers/training/mirror.h"

#include <algorithm>
#include <tuple>

#include "operator/core/text.h"
#include "reconcilers/common/job.h"
#include "reconcilers/training/image_job.h"

namespace mo::training {
namespace {

constexpr size_t kLongestMirrorReason = 256, kLongestMirrorMessage = 512;  // bytes
constexpr size_t kLongestMirrorVersion = 20, kLongestMirrorJob = 63;
constexpr Duration kFirstMirrorRetry = std::chrono::minutes(1),
                   kLongestMirrorRetry = std::chrono::minutes(30);
// Each pod asks an MLflow that is away for two minutes.
constexpr const char* kMirrorTimeout = "2m";
constexpr int kMirrorPodsAgain = 1;
constexpr int kMirrorDeadline = 600;  // seconds, for pods that cannot begin

const api::MlflowRegistry* registry_of(const api::Model& model) {
  if (!model.retraining) return nullptr;
  for (const api::Trigger& trigger : model.retraining->triggers)
    if (trigger.mlflow && !trigger.mlflow->serving_alias.empty()) return &*trigger.mlflow;
  return nullptr;
}

std::string without_slashes(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

class Mirror {
 public:
  Mirror(const Observed& o, const Serves& serves, const serving::Settings& settings, TimePoint now)
      : o_(o),
        model_(*o.model),
        serves_(serves),
        settings_(settings),
        registry_(registry_of(*o.model)),
        now_(now) {
    out_.status = model_.status.retraining.mirror;
  }

  Mirrored run() {
    if (!registry_) {
      out_.status = {};
      for (const auto& [name, job] : o_.mirror_jobs)
        remove(*job, "registry.mlflow.mirror was removed");  // those that are over, too: the next that is declared counts from the start
      return std::move(out_);
    }
    know_registry();
    take_words();
    if (!s().job.empty()) follow();
    if (s().job.empty() && s().written < s().change) begin();
    tidy();
    return std::move(out_);
  }

 private:
  api::MirrorStatus& s() { return out_.status; }
  std::string here(const std::string& name) const { return o_.key.ns + "/" + name; }
  void look_again(const std::optional<TimePoint>& at) { out_.look_again_at(at); }
  void event(const std::string& reason, const std::string& note, bool warning) {
    out_.events.push_back({{Kind::Model, o_.key}, model_.meta.uid, warning, reason, note});
  }

  // ---- what it is to know ----

  // Another server, registered model or alias knows nothing yet.
  void know_registry() {
    const std::string registry =
        hash_of(without_slashes(registry_->url) + "\n" + registry_->model + "\n" + registry_->serving_alias);
    if (s().registry == registry) return;
    s().registry = registry;
    s().versions.clear();
    s().written = s().change;
    s().attempts = 0;
    s().retry_at.reset();
    s().message.clear();
  }

  // That the operator made of this registered model, the newest first.
  std::vector<Ref<api::ModelVersion>> imported() const {
    std::vector<Ref<api::ModelVersion>> found;
    for (const auto& v : o_.versions) {
      const auto& origin = v->lineage.registry;
      if (v->meta.controller_uid != model_.meta.uid || !origin || origin->model != registry_->model ||
          origin->version.size() > kLongestMirrorVersion)
        continue;
      if (without_slashes(origin->url) == without_slashes(registry_->url)) found.push_back(v);
    }
    std::sort(found.begin(), found.end(), [&](const auto& a, const auto& b) {
      const auto order = [&](const api::ModelVersion& v) {
        return std::make_tuple(v.meta.key.name == serves_.stable, v.meta.created, std::cref(v.meta.key.name));
      };
      return order(*a) > order(*b);
    });
    return found;
  }

  void take_words() {
    std::vector<api::MirroredVersion> words;
    for (const auto& v : imported()) {
      const std::string& number = v->lineage.registry->version;
      const bool told =
          std::any_of(words.begin(), words.end(), [&](const auto& word) { return word.version == number; });
      if (auto word = told ? std::nullopt : word_for(*v, number); word && words.size() < kMostMirrored)
        words.push_back(std::move(*word));
    }
    // What is gone is no news.
    const bool news = std::any_of(words.begin(), words.end(), [&](const auto& word) {
      return std::find(s().versions.begin(), s().versions.end(), word) == s().versions.end();
    });
    s().versions = std::move(words);
    if (!news) return;
    ++s().change;
    s().attempts = 0;
    s().retry_at.reset();
  }

  const api::MirroredVersion* noted(const std::string& number, const std::string& name) const {
    for (const auto& word : out_.status.versions)
      if (word.version == number && word.name == name) return &word;
    return nullptr;
  }

  // One that is on its way, or was never rolled out, has none but what was said of it before.
  std::optional<api::MirroredVersion> word_for(const api::ModelVersion& v, const std::string& number) const {
    const std::string& name = v.meta.key.name;
    const auto word = [&](const char* state, const std::string& reason) {
      return api::MirroredVersion{number, name, state, whole_characters(reason, kLongestMirrorReason)};
    };
    if (name == serves_.stable) return word("Serving", "serves Model " + here(o_.key.name));
    if (v.phase == "Rejected") return word(v.failed_rollout.empty() ? "Rejected" : "RolledBack", v.message);
    const api::MirroredVersion* before = noted(number, name);
    const bool served_until_now = before && before->state == "Serving";
    if (before && !served_until_now) return *before;
    if (serves_.retired && name == model_.status.stable_version)
      return word("Retired", "Model " + here(o_.key.name) + " is retired");
    if (!served_until_now && v.phase != "Serving" && v.phase != "Superseded") return {};
    if (const std::string why = monitor_that_went_back(); !why.empty()) return word("RolledBack", why);
    return word("Superseded",
                serves_.stable.empty() ? "no version serves" : "replaced by " + here(serves_.stable));
  }

  // Where what serves now serves by the word of a monitor.
  std::string monitor_that_went_back() const {
    const auto back = std::find_if(o_.rollouts.begin(), o_.rollouts.end(), [&](const auto& r) {
      return !serves_.rollout.empty() && r->meta.key.name == serves_.rollout && r->origin == "monitor" &&
             r->version == serves_.stable;
    });
    if (back == o_.rollouts.end()) return "";
    for (const api::MonitorStatus& monitor : model_.status.monitors)
      if (monitor.rollback == serves_.rollout)
        return "monitor " + monitor.name + " was breached: " + monitor.message;
    return "a monitor was breached, and ModelRollout " + serves_.rollout + " went back to " + serves_.stable;
  }

  // ---- the Job that writes it ----

  void begin() {
    if (s().retry_at && now_ < *s().retry_at) return look_again(s().retry_at);
    const std::string mark =
        "-mirror-" + hash_of(model_.meta.uid + "/" + s().registry + "/" + std::to_string(s().change) + "/" +
                             std::to_string(s().attempts))
                         .substr(0, 10);
    s().job = o_.key.name.substr(0, kLongestMirrorJob - mark.size()) + mark;
    s().writing = s().change;
    make();
  }

  // Where it is made later than its name was written down it says what is known by then, which is no older.
  void make() {
    const Result<Json> rendered = render();
    if (!rendered) return tell(rendered.error().message);
    const std::string body = rendered->dump();
    Apply action{{Kind::Job, {o_.key.ns, s().job}}, body, "", hash_of(body), "write to MLflow what serves"};
    for (const Refusal& refusal : o_.refusals)
      if (refusal.target == action.target && refusal.body_hash == action.hash)
        tell("Job " + s().job + " cannot be created: " + refusal.error.message);
    out_.actions.push_back(std::move(action));
  }

  Result<Json> render() const {
    const api::MirrorStatus& known = out_.status;
    ImageJob job("mirror", {"mirror", "mlflow"}, settings_);
    job.flag("--url", registry_->url);
    job.flag("--model", registry_->model);
    job.flag("--alias", registry_->serving_alias);
    for (const auto& word : known.versions)
      job.flag("--state", Json{{"version", word.version},
                               {"modelVersion", here(word.name)},
                               {"state", word.state},
                               {"reason", word.reason}}
                              .dump());
    job.flag("--timeout", kMirrorTimeout);
    if (!registry_->secret.empty()) job.flag("--credentials-dir", "/credentials");
    job.secret("credentials", "/credentials", registry_->secret);
    Result<Json> out =
        mo::render_job(model_, known.job, job.job_template(kMirrorPodsAgain), "registry.mlflow.mirror", {});
    if (!out) return out;
    (*out)["metadata"]["labels"][api::kLabelMirrorOf] = model_.meta.uid;
    (*out)["spec"]["activeDeadlineSeconds"] = kMirrorDeadline;
    return out;
  }

  void follow() {
    const auto found = o_.mirror_jobs.find(s().job);
    if (found == o_.mirror_jobs.end()) return make();
    const api::Job& job = *found->second;
    if (job.complete) return finish();
    if (job.failed) return fail_attempt(job);
    const JobTrouble trouble = trouble_of(o_, job, now_);
    look_again(trouble.look_again);
    if (!trouble.why.empty() || s().attempts == 0) tell(trouble.why);
  }

  void finish() {
    s().written = std::max(s().written, s().writing);
    s().job.clear();
    s().attempts = 0;
    s().retry_at.reset();
    s().message.clear();
    event("MirrorWritten", "wrote to MLflow what serves: " + told(), false);
  }
  std::string told() const {
    const std::string who = " of registered model " + registry_->model;
    for (const auto& word : out_.status.versions)
      if (word.state == "Serving")
        return "alias " + registry_->serving_alias + who + " names version " + word.version;
    return "no version" + who + " has alias " + registry_->serving_alias;
  }

  void fail_attempt(const api::Job& job) {
    Ask ask{"mirror/" + job.meta.uid, AskRunResult{job.meta.key, job.meta.uid}};
    const auto answer = o_.answers.find(ask.id);
    if (answer == o_.answers.end()) return out_.asks.push_back(std::move(ask));
    const std::string words = answer->second.text.value_or(answer->second.problem);
    const int doubled = std::min(s().attempts, 5);
    const Duration delay = std::min(kLongestMirrorRetry, kFirstMirrorRetry * (1 << doubled));
    ++s().attempts;
    s().retry_at = std::chrono::ceil<std::chrono::seconds>(now_ + delay);
    tell("Job " + s().job + " failed: " + job.failure_message + (words.empty() ? "" : ": " + words));
    s().job.clear();
    event("MirrorFailed",
          "could not write to MLflow what serves: " + s().message + "; retrying in " + format_duration(delay),
          true);
  }

  void tell(const std::string& why) { s().message = whole_characters(why, kLongestMirrorMessage); }

  // ---- Jobs that are over ----

  void tidy() {
    std::vector<Ref<api::Job>> over;
    for (const auto& [name, job] : o_.mirror_jobs) {
      if (name == s().job || name == model_.status.retraining.mirror.job || job->meta.deleting) continue;
      if (ended(*job))
        over.push_back(job);
      else
        remove(*job, "its content is out of date");
    }
    std::sort(over.begin(), over.end(), [](const auto& a, const auto& b) {
      return std::tie(a->meta.created, a->meta.key.name) > std::tie(b->meta.created, b->meta.key.name);
    });
    for (size_t i = kMirrorJobsKept; i < over.size(); ++i) remove(*over[i], "only the last few are kept");
  }

  void remove(const api::Job& job, const std::string& why) {
    if (!job.meta.deleting) out_.actions.push_back(Delete{{Kind::Job, job.meta.key}, job.meta.uid, why});
  }

  const Observed& o_;
  const api::Model& model_;
  const Serves& serves_;
  const serving::Settings& settings_;
  const api::MlflowRegistry* const registry_;
  const TimePoint now_;
  Mirrored out_;
};

}  // namespace

Mirrored mirror(const Observed& observed, const Serves& serves, const serving::Settings& settings,
                TimePoint now) {
  return Mirror(observed, serves, settings, now).run();
}

}  // namespace mo::training
