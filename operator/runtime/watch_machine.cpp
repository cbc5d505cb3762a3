#include "operator/runtime/watch_machine.h"

#include <algorithm>

#include "operator/core/ids.h"

namespace mo::watch {
namespace {

// A stream that ended sooner says that something is wrong, whatever it says.
constexpr Duration kShortStream = std::chrono::seconds(30);
// A stream may end that much before the time that was asked for.
constexpr Duration kEarly = std::chrono::seconds(5);
// Nobody said anything for that long: a little more than what etcd takes to report progress.
constexpr Duration kUnheard = std::chrono::minutes(11);
// So many streams cut before the end bookmark, and a list gets its turn.
constexpr int kWatchListTries = 3;
// RBAC does not change by the second.
constexpr Duration kForbiddenWait = std::chrono::seconds(5);

bool resource_version_too_large(const Error& error) {
  return error.message.find("Too large resource version") != std::string::npos ||
         error.message.find("ResourceVersionTooLarge") != std::string::npos;
}

bool refuses_watch_list(const Error& error) {
  switch (error.http_status) {
    case 400:
    case 404:
    case 405:
    case 406:
    case 415:
    case 422:
    case 501:
      return true;
    default:
      return error.kind == ErrorKind::Invalid;
  }
}

}  // namespace

Duration backoff(const Options& options, int failures, double random) {
  const int doublings = std::clamp(failures - 1, 0, 16);
  const auto whole = std::min(options.backoff_base * (1 << doublings), options.backoff_cap);
  return std::max(options.backoff_least,
                  Duration(static_cast<int64_t>(random * static_cast<double>(whole.count()))));
}

std::chrono::seconds watch_timeout(double random) {
  return std::chrono::seconds(300 + static_cast<int>(random * 300));
}

Command Machine::start(Duration now, double random) { return list_again(now, random); }

Step Machine::step(const Input& input, Duration now, double random) {
  return std::visit([&](const auto& it) { return on(it, now, random); }, input);
}

// The first commands of a complete state: what a decision hangs on is read at RV "", which is a quorum read;
// RV 0 could be any cache's past.
Command Machine::list_again(Duration now, double random) {
  if (watch_list_refused_ || whole_list_ || watch_list_cut_ >= kWatchListTries) {
    state_ = State::Listing;
    watch_list_cut_ = 0;
    return StartList{"", std::exchange(whole_list_, false) ? 0 : options_.page_limit};
  }
  state_ = State::Initial;
  stream_began_ = now;
  stream_timeout_ = watch_timeout(random);
  return StartWatchList{stream_timeout_};
}

Command Machine::watch_again(Duration now, double random) {
  if (cut_) {
    state_ = State::Probing;
    return StartProbe{};
  }
  state_ = State::Watching;
  stream_began_ = now;
  stream_timeout_ = watch_timeout(random);
  return StartWatch{resource_version_, stream_timeout_};
}

Step Machine::wait(Next next, Duration now, double random, Duration at_least) {
  if (failed_at_ && now - *failed_at_ >= options_.backoff_reset) failures_ = 0;
  failed_at_ = now;
  ++failures_;
  state_ = State::Waiting;
  next_ = next;
  return Step{Effect::None, Wait{std::max(at_least, backoff(options_, failures_, random))}, {}};
}

// A complete state as of `resource_version` is there.
Step Machine::take(const std::string& resource_version) {
  const bool back_in_time = rv_less(resource_version, resource_version_);
  resource_version_ = resource_version;
  watch_list_cut_ = 0;
  cut_ = false;
  return Step{back_in_time ? Effect::BackInTime : Effect::Swap, GoOn{}, resource_version};
}

Step Machine::on(const Page& page, Duration now, double random) {
  if (state_ != State::Listing) return {};
  spoke_ = now;
  if (!page.continue_token.empty())
    return Step{Effect::None, StartList{page.continue_token, options_.page_limit}, {}};
  Step step = take(page.resource_version);
  step.command = watch_again(now, random);
  return step;
}

Step Machine::on(const Line& line, Duration now, double random) {
  if (line.type == Line::Type::Unknown) return {};
  if (line.type == Line::Type::Error) {
    Error error;
    error.http_status = line.code;
    error.message = line.message;
    error.kind = line.code == 410   ? ErrorKind::Gone
                 : line.code == 429 ? ErrorKind::TooManyRequests
                                    : ErrorKind::ServerError;
    return on(Failed{error}, now, random);
  }
  spoke_ = now;
  if (state_ == State::Initial) return on_initial_line(line);
  if (state_ == State::Watching) return on_watch_line(line);
  return {};
}

Step Machine::on_initial_line(const Line& line) {
  switch (line.type) {
    case Line::Type::Added:
    case Line::Type::Modified:
      return Step{Effect::Collect, GoOn{}, {}};
    case Line::Type::Deleted:
      return Step{Effect::Discard, GoOn{}, {}};
    case Line::Type::Bookmark:
      break;
    default:
      return {};
  }
  // Initial objects come in any order, so their RVs prove nothing: only the end bookmark's does.
  if (!line.initial_events_end || line.resource_version.empty()) return {};
  state_ = State::Watching;
  return take(line.resource_version);
}

Step Machine::on_watch_line(const Line& line) {
  // The stream proves the RV; a replayed older event must not move it back.
  if (rv_less(resource_version_, line.resource_version)) resource_version_ = line.resource_version;
  switch (line.type) {
    case Line::Type::Added:
    case Line::Type::Modified:
      return Step{Effect::Upsert, GoOn{}, {}};
    case Line::Type::Deleted:
      return Step{Effect::Remove, GoOn{}, {}};
    default:
      return {};
  }
}

Step Machine::on(const Ended&, Duration now, double random) {
  if (state_ == State::Initial) {
    ++watch_list_cut_;
    return wait(Next::List, now, random);
  }
  if (state_ != State::Watching) return {};
  // In good order is also how an API server that shuts down ends its streams.
  if (now - stream_began_ < stream_timeout_ - kEarly) cut_ = true;
  if (now - stream_began_ < kShortStream) return wait(Next::Watch, now, random);
  return Step{Effect::None, watch_again(now, random), {}};
}

Step Machine::on(const Failed& failed, Duration now, double random) {
  switch (state_) {
    case State::Initial:
    case State::Listing:
      return on_list_failed(failed.error, now, random);
    case State::Probing:
    case State::Watching:
      return on_watch_failed(failed.error, now, random);
    case State::Waiting:
      break;
  }
  return {};
}

Step Machine::on(const Probed& probed, Duration now, double random) {
  if (state_ != State::Probing) return {};
  cut_ = false;
  if (rv_less(probed.resource_version, resource_version_))
    return Step{Effect::BackInTime, list_again(now, random), probed.resource_version};
  return Step{Effect::None, watch_again(now, random), {}};
}

Step Machine::on_list_failed(const Error& error, Duration now, double random) {
  const Duration at_least = error.retry_after.value_or(Duration{0});
  const bool may_not = error.kind == ErrorKind::Forbidden || error.kind == ErrorKind::NotFound;
  if (options_.optional && may_not) {
    // Looked for again now and then: somebody may grant it.
    Step step = wait(Next::List, now, random, options_.absent_look);
    step.effect = Effect::Absent;
    return step;
  }
  if (error.kind == ErrorKind::Forbidden || error.kind == ErrorKind::Unauthorized)
    return wait(Next::List, now, random, std::max(at_least, kForbiddenWait));
  if (state_ == State::Initial && refuses_watch_list(error)) {
    // A 404 is rather a CRD that is not there yet; the list will say the same and back off.
    watch_list_refused_ = error.http_status != 404;
    state_ = State::Listing;
    return Step{Effect::None, StartList{"", options_.page_limit}, {}};
  }
  // Not only cuts: an API server whose cache lags refuses within the stream what it could list from etcd.
  if (state_ == State::Initial && error.kind != ErrorKind::TooManyRequests) ++watch_list_cut_;
  if (state_ == State::Listing && error.kind == ErrorKind::Gone) {
    // The pages took longer than the history lasts. The body offers a token to go on inconsistently: that
    // would be a state that never was.
    whole_list_ = true;
    if (!failed_at_ || now - *failed_at_ >= options_.backoff_reset) {
      failed_at_ = now;
      return Step{Effect::None, list_again(now, random), {}};
    }
  }
  return wait(Next::List, now, random, at_least);
}

Step Machine::on_watch_failed(const Error& error, Duration now, double random) {
  const Duration at_least = error.retry_after.value_or(Duration{0});
  if (error.kind == ErrorKind::Gone) {
    // The first time at once; a server that keeps saying so must not be listed in a loop.
    if (failed_at_ && now - *failed_at_ < options_.backoff_reset)
      return wait(Next::List, now, random, at_least);
    failed_at_ = now;
    failures_ = 0;
    return Step{Effect::None, list_again(now, random), {}};
  }
  if (error.kind == ErrorKind::Forbidden || error.kind == ErrorKind::Unauthorized)
    return wait(Next::Watch, now, random, std::max(at_least, kForbiddenWait));
  // Its CRD is gone, for all that a watch can tell: a list says whether the kind is absent.
  if (options_.optional && error.kind == ErrorKind::NotFound) return wait(Next::List, now, random, at_least);
  // 400 and 422 on a plain watch: it is our RV that is not understood.
  if (error.kind == ErrorKind::Invalid) return wait(Next::List, now, random, at_least);
  // Too large an RV: either the cache behind this endpoint lags, or etcd was restored.
  if (error.kind == ErrorKind::Transport || resource_version_too_large(error)) cut_ = true;
  const bool lasted = state_ == State::Watching && now - stream_began_ >= kShortStream;
  if (error.kind == ErrorKind::Transport && lasted) {
    if (now - spoke_ >= kUnheard) {
      watch_list_cut_ = kWatchListTries;  // not by a stream again
      return Step{Effect::None, list_again(now, random), {}};
    }
    return Step{Effect::None, watch_again(now, random), {}};
  }
  // Refused, 429, 5xx, cut: the state is good and the RV too. Listing would only add to the load.
  return wait(Next::Watch, now, random, at_least);
}

Step Machine::on(const Waited&, Duration now, double random) {
  if (state_ != State::Waiting) return {};
  return Step{Effect::None, next_ == Next::List ? list_again(now, random) : watch_again(now, random), {}};
}

}  // namespace mo::watch
