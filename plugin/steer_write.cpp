// Carries out what steer.cpp decides.
#include <algorithm>

#include "operator/api/types.h"
#include "plugin/approve.h"
#include "plugin/fields.h"
#include "plugin/show.h"
#include "plugin/steer.h"

namespace mo::plugin {
namespace {

// Somebody else may be writing at the same time; then everything is looked at anew.
constexpr int kTries = 8;

struct Steered {
  std::string said;
  Json object;
};

// The object as it would be.
Json foreseen(const Rollouts& rollouts, const Edit& edit) {
  if (edit.what != Edit::Do::Patch) return edit.body;
  Json object = rollouts.model;
  for (const Json& r : rollouts.all)
    if (edit.kind == Kind::ModelRollout && name_of(r) == edit.name) object = r;
  object.merge_patch(edit.body);
  return object;
}

Result<Json> perform(Session& session, const Edit& edit) {
  if (edit.what == Edit::Do::Nothing) return edit.body;
  const auto stored =
      edit.what == Edit::Do::Patch
          ? session.client.merge_patch({edit.kind, {session.ns, edit.name}}, edit.body.dump(), "", session.stop)
          : session.client.post(edit.kind, session.ns, edit.body.dump(), session.stop);
  if (!stored) return fail(stored.error());
  return parse_json(*stored, stored->size());
}

bool look_again(const Error& error) {
  return error.kind == ErrorKind::Conflict || error.kind == ErrorKind::AlreadyExists;
}

// As kubectl marks it.
std::string mark(DryRun dry_run) {
  return dry_run == DryRun::None ? "" : dry_run == DryRun::Client ? " (dry run)" : " (server dry run)";
}

// Where people sign their changes, so does this one: admission would not let the name of another stand.
bool names_authors(const Rollouts& rollouts) {
  const auto bears = [](const Json& object, const char* annotation) {
    const Json* annotations = field(object, "metadata.annotations");
    return annotations && annotations->is_object() && annotations->contains(annotation);
  };
  return bears(rollouts.model, api::kAnnotationChangedBy) ||
         std::any_of(rollouts.all.begin(), rollouts.all.end(), [&](const Json& r) { return bears(r, api::kAnnotationSteeredBy); });
}

Result<Steered> steer_one(Session& session, Steering steering, Rollouts rollouts) {
  for (int tries = 1;; ++tries) {
    if (steering.user.empty() && names_authors(rollouts)) {
      auto user = whoami(session);
      if (!user) return fail(user.error());
      steering.user = std::move(*user);
    }
    const auto edit = decide(steering, rollouts, session.now());
    if (!edit) return fail(edit.error());
    const auto done = steering.dry_run == DryRun::Client ? Result<Json>(foreseen(rollouts, *edit))
                                                         : perform(session, *edit);
    if (done) return Steered{edit->said + mark(steering.dry_run), *done};
    if (!look_again(done.error()) || tries == kTries) return fail(done.error());
    auto anew = read(session, steering.model);
    if (!anew) return fail(anew.error());
    rollouts = std::move(*anew);
  }
}

Result<Steered> steer_one(Session& session, const Steering& steering) {
  auto rollouts = read(session, steering.model);
  if (!rollouts) return fail(rollouts.error());
  return steer_one(session, steering, std::move(*rollouts));
}

// Why a selector that finds this Model does not mean it; empty if it does.
std::string passed_over(const Steering& steering, const Rollouts& rollouts) {
  if (steering.verb == "retrain")
    return field(rollouts.model, "spec.retraining") ? "" : "Model " + rollouts.name() + " has no spec.retraining";
  if (steering.verb == "refresh")
    return condition(rollouts.model, "RuntimeOutdated") == "True" ? "" : "Model " + rollouts.name() + " already uses the newest ModelRuntime";
  return any_live(rollouts) ? "" : "Model " + rollouts.name() + " has no rollout in progress";
}

// Several Models, one after the other.
class Several {
 public:
  Several(Session& session, const Steering& steering, bool by_selector)
      : session_(session), steering_(steering), by_selector_(by_selector) {}

  void steer(const Target& target) {
    Steering steering = steering_;
    steering.model = target.model;
    if (!target.rollout.empty()) steering.rollout = target.rollout;
    auto rollouts = read(session_, steering.model);
    if (!rollouts) return complain_of(rollouts.error());
    if (const std::string why = by_selector_ ? passed_over(steering, *rollouts) : ""; !why.empty()) {
      session_.err << printable(why) << ": skipped\n";
      ++passed_over_;
      return;
    }
    const auto steered = steer_one(session_, steering, std::move(*rollouts));
    if (!steered) return complain_of(steered.error());
    ++done_;
    if (steering.output.empty()) session_.out << printable(steered->said) << "\n";
    objects_.push_back(steered->object);
  }

  int end() {
    if (!steering_.output.empty()) print_objects(session_.out, objects_, steering_.output, true);
    session_.err << count_of(done_ + refused_ + failed_ + passed_over_, "Model") << ": " << done_ << " done";
    for (const auto& [n, word] :
         {std::pair(refused_, "refused"), std::pair(failed_, "failed"), std::pair(passed_over_, "skipped")})
      if (n > 0) session_.err << ", " << n << " " << word;
    session_.err << "\n";
    return worse(code_, done_ == 0 ? kNo : kDone);
  }

 private:
  void complain_of(const Error& error) {
    const int code = complain(session_, error);
    code_ = worse(code_, code);
    ++(code == kNo ? refused_ : failed_);
  }

  Session& session_;
  const Steering& steering_;
  const bool by_selector_;
  size_t done_ = 0, refused_ = 0, failed_ = 0, passed_over_ = 0;
  int code_ = kDone;
  std::vector<Json> objects_;
};

}  // namespace

int steer(Session& session, const Steering& steering) {
  const auto steered = steer_one(session, steering);
  if (!steered) return complain(session, steered.error());
  if (steering.output.empty())
    session.out << printable(steered->said) << "\n";
  else
    print_objects(session.out, {steered->object}, steering.output, false);
  return kDone;
}

int steer_all(Session& session, Steering steering, const Selection& selection) {
  const auto found = targets(session, selection, steering.verb != "retrain" && steering.verb != "retry" && steering.verb != "refresh");
  if (!found) return complain(session, found.error());
  if (selection.single()) {
    steering.model = found->front().model;
    if (!found->front().rollout.empty()) steering.rollout = found->front().rollout;
    return steer(session, steering);
  }
  Several several(session, steering, !selection.selector.empty());
  for (const Target& target : *found) several.steer(target);
  return several.end();
}

}  // namespace mo::plugin
