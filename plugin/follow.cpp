#include "plugin/follow.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "operator/api/types.h"
#include "operator/runtime/watcher.h"
#include "plugin/fields.h"
#include "plugin/rollouts.h"
#include "plugin/show.h"

namespace mo::plugin {
namespace {

constexpr Kind kFollowed[] = {Kind::Model, Kind::ModelVersion, Kind::ModelRollout, Kind::Pod};

std::string pods_of(const std::string& model) { return std::string(api::kLabelModel) + "=" + model; }

Result<Snapshot> look(Session& session, const std::string& model) {
  auto rollouts = read(session, model);
  if (!rollouts) return fail(rollouts.error());
  kube::ListOptions labelled;
  labelled.label_selector = pods_of(model);
  auto pods = list(session, Kind::Pod, labelled);
  if (!pods) return fail(pods.error());
  return Snapshot{std::move(rollouts->model), std::move(rollouts->versions), std::move(rollouts->all),
                  std::move(*pods)};
}

// What the watches of one namespace have brought. Thread-safe.
class Seen {
 public:
  void put(Kind kind, const Json& object) {
    const std::lock_guard lock(mutex_);
    objects_[kind][name_of(object)] = object;
    changed_.notify_all();
  }
  void drop(Kind kind, const std::string& name) {
    const std::lock_guard lock(mutex_);
    objects_[kind].erase(name);
    changed_.notify_all();
  }
  void replace(Kind kind, std::map<std::string, Json> all) {
    const std::lock_guard lock(mutex_);
    objects_[kind] = std::move(all);
    synced_.insert(kind);
    changed_.notify_all();
  }

  // Waits for news, or until `deadline`. Nothing until every kind was listed once.
  bool wait(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, deadline);
    return synced_.size() == std::size(kFollowed);
  }

  // Of that Model; its `model` is null if there is none.
  Snapshot snapshot(const std::string& model) {
    const std::lock_guard lock(mutex_);
    Snapshot out;
    const auto it = objects_[Kind::Model].find(model);
    if (it != objects_[Kind::Model].end()) out.model = it->second;
    for (const auto& [kind, into] :
         {std::pair(Kind::ModelVersion, &out.versions), std::pair(Kind::ModelRollout, &out.rollouts)})
      for (const auto& [name, object] : objects_[kind])
        if (text(object, "spec.modelRef.name") == model) into->push_back(object);
    sort_newest_first(out.rollouts);
    for (const auto& [name, pod] : objects_[Kind::Pod]) out.pods.push_back(pod);
    return out;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Kind, std::map<std::string, Json>> objects_;
  std::set<Kind> synced_;
};

// Whole objects, by name: one namespace is looked at.
class SeenSink : public WatchSink {
 public:
  SeenSink(Seen& seen, Kind kind) : seen_(seen), kind_(kind) {}
  void clear() override { collected_.clear(); }
  Result<void> read(std::string_view json) override {
    in_hand_.reset();
    auto object = parse_json(json, 8u << 20);
    if (!object) return fail(object.error());
    in_hand_ = std::move(*object);
    return {};
  }
  void apply(watch::Effect effect, const std::string&) override {
    const std::string name = in_hand_ ? name_of(*in_hand_) : "";
    if (effect == watch::Effect::Swap || effect == watch::Effect::BackInTime ||
        effect == watch::Effect::Absent)
      seen_.replace(kind_, std::exchange(collected_, {}));
    else if (in_hand_ && effect == watch::Effect::Collect)
      collected_[name] = std::move(*in_hand_);
    else if (in_hand_ && effect == watch::Effect::Discard)
      collected_.erase(name);
    else if (in_hand_ && effect == watch::Effect::Upsert)
      seen_.put(kind_, *in_hand_);
    else if (in_hand_ && effect == watch::Effect::Remove)
      seen_.drop(kind_, name);
    in_hand_.reset();
  }

 private:
  Seen& seen_;
  const Kind kind_;
  std::map<std::string, Json> collected_;
  std::optional<Json> in_hand_;
};

class Watches {
 public:
  Watches(Session& session, const std::string& model, Seen& seen) {
    const Meters silent{[](auto, auto) {}, [](auto) {}, [](auto) {}};
    for (const Kind kind : kFollowed) {
      WatcherOptions options;
      options.kind = kind;
      options.ns = session.ns;
      if (kind == Kind::Pod) options.label_selector = pods_of(model);
      watchers_.push_back(
          std::make_unique<Watcher>(session.client, options, std::make_unique<SeenSink>(seen, kind), silent));
    }
    for (const auto& watcher : watchers_)
      threads_.emplace_back([&watcher](std::stop_token stop) { watcher->run(stop); });
  }
  ~Watches() {
    for (std::jthread& thread : threads_) thread.request_stop();
  }

  std::string problem() const {
    for (const auto& watcher : watchers_)
      if (const std::string why = watcher->problem(); !why.empty()) return why;
    return "";
  }

 private:
  std::vector<std::unique_ptr<Watcher>> watchers_;
  std::vector<std::jthread> threads_;
};

// Where the tree is drawn: over itself on a terminal, else only what is new.
class Screen {
 public:
  explicit Screen(Session& session) : session_(session) {}

  // The last time whole: it is to stay.
  void draw(const std::vector<std::string>& lines, bool last) {
    if (!session_.terminal) {
      for (const std::string& line : news(shown_, lines)) session_.out << line << "\n";
    } else {
      const auto [rows, columns] = session_.terminal->size();
      if (!shown_.empty()) session_.out << "\x1b[" << shown_.size() << "A\x1b[J";
      shown_.clear();
      for (const std::string& line : lines) {
        if (!last && static_cast<int>(shown_.size()) + 2 > rows) break;
        shown_.push_back(last ? line : cut(line, columns));
        session_.out << shown_.back() << "\n";
      }
    }
    if (!session_.terminal) shown_ = lines;
    session_.out.flush();
  }

 private:
  Session& session_;
  std::vector<std::string> shown_;
};

class Follow {
 public:
  Follow(Session& session, const Following& f) : session_(session), f_(f), screen_(session) {}

  int run() {
    // A missing Model or right is told at once; a watch would try for ever.
    const auto first = look(session_, f_.model);
    if (!first) return complain(session_, first.error());
    spdlog::set_level(spdlog::level::off);
    Seen seen;
    const Watches watches(session_, f_.model, seen);
    const auto began = std::chrono::steady_clock::now();
    for (;;) {
      auto until = std::chrono::steady_clock::now() + std::chrono::seconds(1);
      if (f_.timeout) until = std::min(until, began + *f_.timeout);
      const bool synced = seen.wait(until);
      const Snapshot snapshot = synced ? seen.snapshot(f_.model) : *first;
      if (snapshot.model.is_null()) {
        session_.err << "Model " << f_.model << " was deleted\n";
        return kNo;
      }
      auto code = ended(snapshot);
      if (!synced) code.reset();
      const bool late = f_.timeout && std::chrono::steady_clock::now() >= began + *f_.timeout;
      draw(snapshot, watches.problem(), code || late);
      if (code) return *code;
      if (late) {
        session_.err << "still on its way after " << format_duration(*f_.timeout) << "\n";
        return kNotYet;
      }
    }
  }

 private:
  void draw(const Snapshot& snapshot, const std::string& problem, bool last) {
    auto lines = render(snapshot, session_.now(), session_.look());
    if (!problem.empty()) lines.push_back("! this may be out of date: " + printable(problem));
    screen_.draw(lines, last);
  }

  // A Model may be Ready although the rollout that was followed was aborted: that is no success.
  std::optional<int> ended(const Snapshot& snapshot) {
    const auto code = at_rest(snapshot);
    if (!code) {
      for (const Json& r : snapshot.rollouts)
        if (!over(r)) followed_.insert(text(r, "metadata.uid"));
      return {};
    }
    for (const Json& r : snapshot.rollouts) {
      const std::string phase = text(r, "status.phase");
      if (followed_.count(text(r, "metadata.uid")) == 0 || phase == "Superseded") continue;
      return phase == "Succeeded" ? code : kNo;  // the newest counts
    }
    return code;
  }

  Session& session_;
  const Following& f_;
  Screen screen_;
  std::set<std::string> followed_;
};

}  // namespace

std::vector<std::string> news(const std::vector<std::string>& before, const std::vector<std::string>& after) {
  std::multiset<std::string> old(before.begin(), before.end());
  std::vector<std::string> fresh;
  for (const std::string& line : after) {
    if (const auto it = old.find(line); it != old.end())
      old.erase(it);
    else
      fresh.push_back(line);
  }
  return fresh;
}

std::string cut(const std::string& line, int columns) {
  std::string out;
  bool escape = false, coloured = false;
  for (const char c : line) {
    if (c == '\x1b') escape = coloured = true;
    const bool begins = !escape && (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    if (begins && --columns < 0) break;
    out += c;
    if (escape && c == 'm') escape = false;
  }
  return columns < 0 && coloured ? out + "\x1b[0m" : out;
}

int status(Session& session, const Following& following) {
  if (following.watch) return Follow(session, following).run();
  const auto snapshot = look(session, following.model);
  if (!snapshot) return complain(session, snapshot.error());
  if (following.output.empty()) {
    for (const std::string& line : render(*snapshot, session.now(), session.look()))
      session.out << line << "\n";
  } else {
    std::vector<Json> all = {snapshot->model};
    for (const auto* part : {&snapshot->versions, &snapshot->rollouts, &snapshot->pods})
      all.insert(all.end(), part->begin(), part->end());
    print_objects(session.out, all, following.output, true);
  }
  return at_rest(*snapshot).value_or(kNotYet);
}

}  // namespace mo::plugin
