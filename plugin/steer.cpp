#include "plugin/steer.h"

#include "operator/api/types.h"
#include "plugin/fields.h"

namespace mo::plugin {
namespace {

Edit patch(const Json& object, Kind kind, Json change, std::string said) {
  change["metadata"] = {{"uid", text(object, "metadata.uid")},
                        {"resourceVersion", text(object, "metadata.resourceVersion")}};
  return {Edit::Do::Patch, kind, std::move(change), name_of(object), std::move(said)};
}

Edit nothing(const Json& object, Kind kind, std::string said) {
  return {Edit::Do::Nothing, kind, object, name_of(object), std::move(said)};
}

std::string place(const Json& rollout) {
  const std::string index = text(rollout, "status.step.index"), count = text(rollout, "status.step.count");
  if (text(rollout, "status.phase") == "Baking") return "while it bakes";
  if (index.empty() || index == "0") return "before its first step";
  if (number(rollout, "status.step.index") > number(rollout, "status.step.count"))
    return "on the way to 100%";
  return "at step " + index + "/" + count + " (" + text(rollout, "status.step.description") + ")";
}

class Steer {
 public:
  Steer(const Steering& s, const Rollouts& r, TimePoint now) : s_(s), r_(r), now_(now) {}

  Result<Edit> decide() {
    if (s_.verb == "retrain") return retrain();
    if (s_.verb == "retry") return retry();
    if (s_.verb == "refresh") return refresh();
    if (s_.verb == "rollback") return rollback();
    if (const Json* ended = ended_so())
      return nothing(*ended, Kind::ModelRollout, title(*ended) + " has already ended: " + text(*ended, "status.phase"));
    const auto rollout = the_rollout(r_, s_.rollout);
    if (!rollout) return fail(rollout.error());
    if (s_.verb == "abort") return abort(*rollout);
    if (field(*rollout, "status.ending") || wants(*rollout) == "Aborted")
      return refuse(title(*rollout) + " is already ending" + because(*rollout) +
                    "; nothing to " + s_.verb);
    if (s_.verb == "pause") return pause(*rollout);
    if (s_.verb == "resume") return resume(*rollout);
    return promote(*rollout);
  }

 private:
  // The rollout that is meant, where it has ended as the verb wants it to. Null: it has not.
  const Json* ended_so() const {
    if (s_.verb != "promote" && s_.verb != "abort") return nullptr;
    const Json* meant = s_.rollout.empty() && !any_live(r_) && !r_.all.empty() ? &r_.all.front() : nullptr;
    for (const Json& r : r_.all)
      if (!s_.rollout.empty() && name_of(r) == s_.rollout) meant = &r;
    if (!meant || !over(*meant)) return nullptr;
    const std::string phase = text(*meant, "status.phase");
    const bool good = phase == "Succeeded", bad = phase == "Aborted" || phase == "RolledBack" || phase == "Failed";
    return (s_.verb == "promote" ? good : bad) ? meant : nullptr;
  }

  static std::string wants(const Json& rollout) { return text(rollout, "spec.desiredState"); }
  static std::string because(const Json& rollout) {
    const std::string message = text(rollout, "status.ending.message");
    return message.empty() ? "" : ": " + message;
  }

  static Edit set(const Json& rollout, const Json& state, const std::string& said) {
    return patch(rollout, Kind::ModelRollout, {{"spec", {{"desiredState", state}}}}, said);
  }

  Result<Edit> abort(const Json& rollout) const {
    if (field(rollout, "status.ending") || wants(rollout) == "Aborted")
      return nothing(rollout, Kind::ModelRollout,
                     title(rollout) + " is already ending" + because(rollout));
    const std::string from = text(rollout, "status.fromVersion");
    return set(rollout, "Aborted",
               title(rollout) + " is aborted" + (from.empty() ? "" : ": all traffic goes back to " + from));
  }

  Result<Edit> pause(const Json& rollout) const {
    if (wants(rollout) == "Paused")
      return nothing(rollout, Kind::ModelRollout, title(rollout) + " is already paused");
    return set(rollout, "Paused", title(rollout) + " is paused " + place(rollout));
  }

  Result<Edit> resume(const Json& rollout) const {
    const bool asked = wants(rollout) == "Paused";
    if (!asked && text(rollout, "status.phase") != "Paused")
      return refuse(title(rollout) + " is not paused: " + text(rollout, "status.message"));
    const std::string said = title(rollout) + " continues " + place(rollout);
    if (asked) return set(rollout, "Running", said);
    return patch(rollout, Kind::ModelRollout, {{"spec", {{"resumeRequestedAt", request_after(rollout, "spec.resumeRequestedAt")}}}}, said);
  }

  Result<Edit> promote(const Json& rollout) const {
    if (wants(rollout) == "Promoted")
      return nothing(rollout, Kind::ModelRollout, title(rollout) + " is already being promoted");
    return set(rollout, "Promoted",
               title(rollout) + " is promoted: the rest " + place(rollout) +
                   " is skipped, except required gates, and it gets all traffic when its pods are ready");
  }

  Result<Edit> create(const std::string& version, const std::string& state, const std::string& said) const {
    Json rollout = new_rollout(r_, version, s_.verb);
    if (!s_.user.empty()) rollout["metadata"]["annotations"][api::kAnnotationChangedBy] = s_.user;
    if (!state.empty()) rollout["spec"]["desiredState"] = state;
    const std::string name = name_of(rollout);
    std::string spec = text(r_.model, "spec.version");
    const bool disagrees = !spec.empty() && spec != version && text(r_.model, "spec.track") != "Promoted";
    return Edit{Edit::Do::Create, Kind::ModelRollout, std::move(rollout), name,
                "ModelRollout " + name + " " + said +
                    (disagrees ? "; the Model's spec asks for " + spec + ": set spec.version to " + version +
                                     " for good"
                               : "")};
  }

  Result<void> nobody_rolls() const {
    if (!any_live(r_)) return {};
    const auto rollout = the_rollout(r_, "");
    return refuse("Model " + r_.name() + " has a rollout in progress" +
                  (rollout ? ", " + title(*rollout) + ", " + place(*rollout) : "") +
                  "; continue it with `kubectl model resume` or end it with `kubectl model abort`");
  }

  Result<Edit> retry() const {
    if (const auto free = nobody_rolls(); !free) return fail(free.error());
    const auto version = failed_last(r_);
    if (!version) return fail(version.error());
    if (const auto known = is_version(r_, *version); !known) return fail(known.error());
    return create(*version, "", "retries " + *version + " from its first step");
  }

  // The same version with what Model, ModelRuntime and ConfigMaps say now.
  Result<Edit> refresh() const {
    if (r_.stable().empty()) return refuse("Model " + r_.name() + " serves no version yet to refresh");
    if (const auto free = nobody_rolls(); !free) return fail(free.error());
    return create(r_.stable(), "", "rolls " + r_.stable() + " out by its steps, with the current Model and ModelRuntime");
  }

  Result<Edit> rollback() const {
    if (any_live(r_)) return rollback_now();
    const std::string before = text(r_.model, "status.previous.version");
    const std::string revision = field(r_.model, "status.previous.revision.template") ? text(r_.model, "status.previous.revision.name") : "";
    const bool other_template = !revision.empty() && before == r_.stable();
    if (other_template && (s_.to.empty() || s_.to == before)) return back_to(before, revision, before + " with its earlier template");
    const auto version = s_.to.empty() ? served_before(r_) : Result<std::string>(s_.to);
    if (!version) return fail(version.error());
    if (*version == before && !revision.empty() && is_version(r_, before)) return back_to(before, revision, before);
    if (*version == r_.stable()) return refuse(*version + " already serves: nothing to roll back");
    if (const auto known = is_version(r_, *version); !known) return fail(known.error());
    if (!s_.force && !has_passed(r_, *version))
      return refuse(*version + " never passed a rollout of Model " + r_.name() +
                    "; roll it out by its steps, or use --force");
    return create(*version, "Promoted", "rolls back from " + r_.stable() + " to " + *version + " at once");
  }

  // What served before is on record: it comes back as it was.
  Result<Edit> back_to(const std::string& version, const std::string& revision, const std::string& said) const {
    auto edit = create(version, "Promoted", "rolls back from " + r_.stable() + " to " + said + " at once");
    if (edit) edit->body["spec"]["revision"] = revision;
    return edit;
  }

  // What is under way has not replaced the stable version yet: going back is aborting.
  Result<Edit> rollback_now() const {
    const auto rollout = the_rollout(r_, s_.rollout);
    if (!rollout) return fail(rollout.error());
    if (s_.to.empty() || s_.to == r_.stable()) return abort(*rollout);
    return refuse(title(*rollout) + " is in progress; abort it first, then roll back to " + s_.to);
  }

  // Now, and later than what was asked there last: twice in a second is twice.
  std::string request_after(const Json& object, const char* field) const {
    const auto before = time_of(object, field);
    const std::string when = format_time(now_);
    if (!before || *before < *parse_time(when)) return when;
    return format_micro_time(std::max(now_, *before + Duration(1)));
  }

  Result<Edit> retrain() const {
    if (!field(r_.model, "spec.retraining"))
      return refuse("Model " + r_.name() + " has no spec.retraining: there is no training to start");
    const std::string when = request_after(r_.model, "spec.retraining.requestedAt");
    const std::string run = text(r_.model, "status.retraining.run.name");
    Edit edit = patch(r_.model, Kind::Model, {{"spec", {{"retraining", {{"requestedAt", when}}}}}},
                      "Model " + r_.name() + " will start a training run" +
                          (run.empty() ? "" : " when run " + run + " has ended"));
    if (!s_.user.empty()) edit.body["metadata"]["annotations"][api::kAnnotationChangedBy] = s_.user;
    return edit;
  }

  const Steering& s_;
  const Rollouts& r_;
  TimePoint now_;
};

}  // namespace

Result<Edit> decide(const Steering& steering, const Rollouts& rollouts, TimePoint now) {
  auto edit = Steer(steering, rollouts, now).decide();
  const bool steers = edit && edit->what == Edit::Do::Patch && edit->kind == Kind::ModelRollout;
  if (steers && !steering.user.empty()) edit->body["metadata"]["annotations"][api::kAnnotationSteeredBy] = steering.user + " " + format_time(now);
  return edit;
}

}  // namespace mo::plugin
