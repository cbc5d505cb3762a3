#include "operator/runtime/controller.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "operator/runtime/log.h"
#include "operator/runtime/wall_clock.h"

namespace mo {
namespace {

// What the API server refused for good is tried again for the case that the world around it changed, but not
// by the millisecond.
constexpr Duration kRefusedWait = std::chrono::seconds(1);
// Of all that change together it is looked at once.
constexpr Duration kTogether = std::chrono::seconds(1);
// The API server may ask for a pause. For longer than this nobody's word is left unheard.
constexpr Duration kLongestHold = std::chrono::minutes(1);

void wait_for(std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait(lock, stop, [] { return false; });
}

}  // namespace

void Controller::run(int workers, std::stop_token stop, Duration grace) {
  std::stop_source hard_stop;
  std::mutex mutex;
  std::condition_variable finished;
  int running = workers;
  std::vector<std::jthread> threads;  // last, so that they are joined before what they use goes
  for (int i = 0; i < workers; ++i)
    threads.emplace_back([&] {
      while (auto model = parts_.queue.get(stop)) {
        work(*model, wall_now(), hard_stop.get_token());
        parts_.queue.done(*model);
      }
      std::lock_guard lock(mutex);
      --running;
      finished.notify_one();
    });
  wait_for(stop);
  {
    std::unique_lock lock(mutex);
    finished.wait_for(lock, grace, [&] { return running == 0; });
  }
  hard_stop.request_stop();
}

void Controller::work(const ObjectKey& model, TimePoint now, std::stop_token stop) {
  const auto began = std::chrono::steady_clock::now();
  const char* outcome = "bug";
  try {
    outcome = to_string(reconcile(model, now, stop).kind);
  } catch (const std::exception& e) {
    log::error("a bug in a reconcile", ObjectRef{Kind::Model, model}, {{"error", e.what()}});
    parts_.queue.retry(model, kRefusedWait);
  } catch (...) {
    log::error("a bug in a reconcile", ObjectRef{Kind::Model, model}, {{"error", "unknown exception"}});
    parts_.queue.retry(model, kRefusedWait);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  if (parts_.meters.reconciled) parts_.meters.reconciled(outcome, took.count());
}

Outcome Controller::reconcile(const ObjectKey& model, TimePoint now, std::stop_token stop) {
  // Before the reconcile observes: an answer that comes in between is kept for the next.
  const uint64_t mark = parts_.answers.mark();
  const auto began = std::chrono::steady_clock::now();
  auto known = parts_.executor.catch_up(model, stop);
  // A step that begins before the plan that begins it would end early.
  now += std::chrono::floor<Duration>(std::chrono::steady_clock::now() - began);
  if (!known) {
    Outcome outcome{
        known.error().kind == ErrorKind::Cancelled ? Outcome::Kind::Cancelled : Outcome::Kind::Retry,
        "read what was written last",
        known.error(),
        false,
        {}};
    log::write(spdlog::level::warn, to_string(outcome.kind), ObjectRef{Kind::Model, model}.to_string(),
               {{"action", outcome.what}, {"error", log::to_string(*outcome.error)}});
    settle(model, outcome);
    return outcome;
  }
  for (Event& event : *known) parts_.events.send(std::move(event));
  Plan plan = make_plan(model, now);
  Outcome outcome = parts_.executor.run(model, plan, now, stop);
  if (outcome.error)
    log::write(outcome.kind == Outcome::Kind::Conflict ? spdlog::level::debug : spdlog::level::warn,
               to_string(outcome.kind), ObjectRef{Kind::Model, model}.to_string(),
               {{"action", outcome.what}, {"error", log::to_string(*outcome.error)}});
  follow_up(model, plan, outcome, mark, now);
  settle(model, outcome);
  return outcome;
}

Plan Controller::make_plan(const ObjectKey& model, TimePoint now) {
  class Mark {
   public:
    Mark(Controller& controller, const ObjectKey& model) : controller_(controller) {
      std::lock_guard lock(controller_.mutex_);
      begun_ = controller_.planning_.insert(controller_.planning_.end(), {model, controller_.parts_.steady()});
    }
    ~Mark() {
      std::lock_guard lock(controller_.mutex_);
      controller_.planning_.erase(begun_);
    }

   private:
    Controller& controller_;
    std::list<Begun>::iterator begun_;
  };
  const Mark mark(*this, model);
  return parts_.reconcile(model, now);
}

std::optional<Controller::Planning> Controller::longest_planning() const {
  std::lock_guard lock(mutex_);
  if (planning_.empty()) return std::nullopt;
  return Planning{planning_.front().model, parts_.steady() - planning_.front().at};
}

void Controller::follow_up(const ObjectKey& model, Plan& plan, const Outcome& outcome, uint64_t mark,
                           TimePoint now) {
  const bool done = outcome.kind == Outcome::Kind::Done;
  for (const ObjectKey& other : plan.others) parts_.queue.add_after(other, kTogether);
  if (outcome.held) parts_.queue.add_after(model, *outcome.held);
  // Statuses come first: after the refusal of anything else, too, what was decided on the answers is on record.
  const bool recorded = done || (outcome.kind == Outcome::Kind::Refused && !outcome.of_status);
  if (recorded) {
    std::set<std::string> asked;
    for (const Ask& ask : plan.asks) asked.insert(ask.id);
    parts_.answers.retain(model, asked, mark);
  }
  for (Event& event : news_of(plan, outcome)) parts_.events.send(std::move(event));
  // No watch tells of workloads: what was known of one before it was made or deleted would have that done again.
  const bool unwatched = std::any_of(plan.actions.begin(), plan.actions.end(), [](const Action& action) {
    return std::visit([](const auto& it) { return it.target.kind == Kind::Workload; }, action);
  });
  if (outcome.kind == Outcome::Kind::Conflict || (recorded && unwatched)) parts_.answers.doubt(model);
  // A refused object is no reason to stop measuring; a conflict or an outage is: the next plan will be
  // another one.
  if (!done && outcome.kind != Outcome::Kind::Refused) return;
  if (auto asks = parts_.answers.begin(model, std::move(plan.asks), now); !asks.empty())
    parts_.asker.ask(model, std::move(asks));
  if (done && plan.at_once) return parts_.queue.add(model);
  // After a refusal the same write comes again with each look, so not by the millisecond. Without a time settle() backs off.
  if (plan.requeue_after)
    parts_.queue.add_after(model, done ? *plan.requeue_after : std::max(*plan.requeue_after, kRefusedWait));
}

void Controller::settle(const ObjectKey& model, const Outcome& outcome) {
  const Duration retry_after = outcome.error ? outcome.error->retry_after.value_or(Duration{0}) : Duration{0};
  // Before the retry: the news that come in meanwhile have to wait with it.
  if (retry_after > Duration{0}) parts_.queue.hold(model, std::min(retry_after, kLongestHold));
  switch (outcome.kind) {
    case Outcome::Kind::Done:
      parts_.queue.forget(model);
      if (!parts_.stores.models.get(model)) parts_.refusals.forget(model);
      break;
    case Outcome::Kind::Refused:
      // The first time status has to say so at once.
      parts_.queue.retry(model, std::max(retry_after, outcome.fresh_refusal ? Duration{0} : kRefusedWait));
      break;
    case Outcome::Kind::Conflict:
    case Outcome::Kind::Retry:
      parts_.queue.retry(model, retry_after);
      break;
    case Outcome::Kind::Cancelled:
      break;
  }
}

}  // namespace mo
