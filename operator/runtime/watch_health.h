// Whether a watch can be relied on, for /readyz: it tells the truth in both directions, but not by the
// second.
#pragma once

#include <optional>
#include <string>

#include "operator/core/time.h"

namespace mo {

// Pure; times are monotonic. Not thread-safe.
class WatchHealth {
 public:
  // The server has accepted a watch.
  void opened(Duration now) { open_since_ = now; }
  // A line came, or a page of a list.
  void heard(Duration now) {
    last_good_ = now;
    failing_.reset();
  }
  // A stream ended in good order. One that is closed as soon as it was opened brings nothing.
  void ended(Duration now) {
    if (!holds(now)) return failed(now, "closed at once", false);
    settle(now);
    open_since_.reset();
  }
  // `refused`: 401 or 403, which no patience mends.
  void failed(Duration now, std::string why, bool refused) {
    if (holds(now)) settle(now);
    open_since_.reset();
    const Duration since = failing_ && failing_->refused == refused ? failing_->since : now;
    failing_ = Failing{since, std::move(why), refused};
  }
  // There is nothing to watch, and that is fine: the server has just said so.
  void absent(Duration now) { heard(now); }

  bool alive(Duration now) const {
    if (!failing_ || holds(now)) return true;
    if (failing_->refused) return now - failing_->since < kRefusedPatience;
    return now - last_good_ < kPatience;
  }
  // Empty while all is well.
  std::string problem(Duration now) const { return failing_ && !holds(now) ? failing_->why : ""; }

 private:
  static constexpr Duration kPatience = std::chrono::seconds(95);  // 90 of silence, and a renewal
  static constexpr Duration kRefusedPatience =
      std::chrono::seconds(15);  // an API server that starts may deny for a moment
  static constexpr Duration kHolds = std::chrono::seconds(1);

  // A stream that stays open is good news too: the next line may be a minute away, or ten for a kind of which nothing
  // changes (its bookmarks come as etcd reports progress).
  bool holds(Duration now) const { return open_since_ && now - *open_since_ >= kHolds; }
  void settle(Duration now) {
    failing_.reset();
    last_good_ = std::max(last_good_, std::min(now, *open_since_ + kHolds));
  }

  struct Failing {
    Duration since;
    std::string why;
    bool refused;
  };
  std::optional<Duration> open_since_;
  std::optional<Failing> failing_;
  Duration last_good_{0};
};

}  // namespace mo
