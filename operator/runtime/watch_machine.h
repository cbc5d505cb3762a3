// List and watch as a pure state machine: what came in, what to do next. No I/O, no clock, no randomness of
// its own.
//
//   Start ──► Initial (WatchList) ──end bookmark──► Watching ──ended──► Watching (from the last proven RV)
//                │ refused                              │ 410, history reset
//                ▼                                      ▼
//             Listing (pages) ──last page──► Watching   Initial / Listing again, with RV ""
//
// Any of them may pause in Waiting after a failure. After a stream that was cut, Probing comes before
// Watching: a watch from an RV of the future is accepted and silent, so nothing else would tell that etcd was
// restored to an older revision. Silence is no fault: where nothing changes bookmarks come only as etcd reports
// progress, each ten minutes by default. Streams that said nothing for as long are not believed, and the whole
// state is read.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "operator/core/result.h"
#include "operator/core/time.h"

namespace mo::watch {

// ---- inputs ----

// One page of a list; its objects are collected already.
struct Page {
  std::string continue_token;
  std::string resource_version;
};
struct Line {
  enum class Type { Added, Modified, Deleted, Bookmark, Error, Unknown } type = Type::Unknown;
  std::string resource_version;     // of the object; empty if it could not be read
  bool initial_events_end = false;  // the bookmark is annotated k8s.io/initial-events-end
  int code = 0;                     // ERROR: Status.code
  std::string message;              // ERROR: reason and message
};
// The server ended the stream in good order.
struct Ended {};
// A list or watch call failed.
struct Failed {
  Error error;
};
// The API server is that far.
struct Probed {
  std::string resource_version;
};
// The time that Wait asked for has passed.
struct Waited {};
using Input = std::variant<Page, Line, Ended, Failed, Probed, Waited>;

// ---- outputs ----

// Go on with the stream that is under way.
struct GoOn {};
// A watch that begins with the whole state. What was collected is to be thrown away.
struct StartWatchList {
  std::chrono::seconds timeout;
};
// A quorum list. `continue_token` empty: the first page, and what was collected is to be thrown away. limit
// 0: all in one page.
struct StartList {
  std::string continue_token;
  int limit = 0;
};
// A quorum list of one, for its resourceVersion alone.
struct StartProbe {};
struct StartWatch {
  std::string resource_version;
  std::chrono::seconds timeout;
};
// Call step(Waited) after that.
struct Wait {
  Duration delay;
};
using Command = std::variant<GoOn, StartWatchList, StartList, StartProbe, StartWatch, Wait>;

// What to do with the object in hand, or with what was collected.
enum class Effect {
  None,
  Collect,    // put the object into the temporary store
  Discard,    // take it out of the temporary store
  Upsert,     // put it into the store
  Remove,     // take it out of the store
  Swap,       // the temporary store is complete as of Step::resource_version: it becomes the store
  BackInTime,  // the API server knows less than it told before (etcd was restored): what is held may never have been
  Absent,     // we may not look at this kind and are told to do without: it counts as synced
};

struct Step {
  Effect effect = Effect::None;
  Command command = GoOn{};  // anything but GoOn ends the stream that is under way
  std::string resource_version;
};

struct Options {
  int page_limit = 500;
  bool optional =
      false;  // 403 or 404 on the first list leaves the kind empty instead of keeping us from starting
  Duration absent_look{30'000};  // how often such a kind is looked for
  Duration backoff_base{800};
  Duration backoff_least{50};  // even full jitter must not turn into a busy loop
  Duration backoff_cap{30'000};
  Duration backoff_reset{120'000};
};

// Not thread-safe: one per watch, driven by one thread.
class Machine {
 public:
  explicit Machine(Options options = {}) : options_(options) {}

  // The first command.
  Command start(Duration now, double random);

  // `now` is monotonic, from any origin; `random` is in [0, 1).
  Step step(const Input& input, Duration now, double random);

  // A watch from where? Empty until a complete state was taken.
  const std::string& resource_version() const { return resource_version_; }
  bool listing() const { return state_ == State::Initial || state_ == State::Listing; }

 private:
  enum class State { Initial, Listing, Probing, Watching, Waiting };
  enum class Next { List, Watch };  // after Waiting

  Step on(const Page& page, Duration now, double random);
  Step on(const Line& line, Duration now, double random);
  Step on(const Ended& ended, Duration now, double random);
  Step on(const Failed& failed, Duration now, double random);
  Step on(const Probed& probed, Duration now, double random);
  Step on(const Waited& waited, Duration now, double random);

  Step on_initial_line(const Line& line);
  Step on_watch_line(const Line& line);
  Step on_list_failed(const Error& error, Duration now, double random);
  Step on_watch_failed(const Error& error, Duration now, double random);

  Command list_again(Duration now, double random);
  Command watch_again(Duration now, double random);
  Step wait(Next next, Duration now, double random, Duration at_least = Duration{0});
  Step take(const std::string& resource_version);

  Options options_;
  State state_ = State::Initial;
  Next next_ = Next::List;
  std::string resource_version_;     // proven: everything up to it is in the store
  bool watch_list_refused_ = false;  // for good
  int watch_list_cut_ = 0;           // in a row, before the end bookmark came
  bool whole_list_ = false;          // the next list comes without limit
  int failures_ = 0;                 // in a row, for the backoff
  std::optional<Duration> failed_at_;
  Duration spoke_{0};                // when a line or a page came last
  Duration stream_began_{0};
  std::chrono::seconds stream_timeout_{0};
  bool cut_ =
      false;  // the last stream ended before its time: who answers next may be another, or be restored
};

// Between nothing and 0.8 s doubling to 30 s.
Duration backoff(const Options& options, int failures, double random);
// Between 5 and 10 minutes.
std::chrono::seconds watch_timeout(double random);

}  // namespace mo::watch
