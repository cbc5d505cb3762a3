#include "plugin/follow.h"

#include <algorithm>
#include <map>
#include <set>

#include "operator/api/types.h"
#include "plugin/fields.h"
#include "plugin/rollouts.h"
#include "plugin/show.h"
#include "plugin/watching.h"

namespace mo::plugin {
namespace {

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

// What the watches have brought of one Model; its `model` is null if there is none.
Snapshot snapshot_of(Seen& seen, const std::string& model) {
  Snapshot out;
  for (Json& object : seen.all(Kind::Model))
    if (name_of(object) == model) out.model = std::move(object);
  for (const auto& [kind, into] :
       {std::pair(Kind::ModelVersion, &out.versions), std::pair(Kind::ModelRollout, &out.rollouts)})
    for (Json& object : seen.all(kind))
      if (text(object, "spec.modelRef.name") == model) into->push_back(std::move(object));
  sort_newest_first(out.rollouts);
  out.pods = seen.all(Kind::Pod);
  return out;
}

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
  Follow(Session& session, const Following& f, std::string model)
      : session_(session), f_(f), model_(std::move(model)), screen_(session) {}

  int run() {
    // A missing Model or right is told at once; a watch would try for ever.
    const auto first = look(session_, model_);
    if (!first) return complain(session_, first.error());
    Seen seen;
    const Watches watches(session_, seen,
                          {{Kind::Model, ""},
                           {Kind::ModelVersion, ""},
                           {Kind::ModelRollout, ""},
                           {Kind::Pod, pods_of(model_)}});
    const auto began = std::chrono::steady_clock::now();
    for (;;) {
      auto until = std::chrono::steady_clock::now() + std::chrono::seconds(1);
      if (f_.timeout) until = std::min(until, began + *f_.timeout);
      seen.wait(until);
      const bool synced = watches.listed();
      const Snapshot snapshot = synced ? snapshot_of(seen, model_) : *first;
      if (snapshot.model.is_null()) {
        session_.err << "Model " << model_ << " was deleted\n";
        return kNo;
      }
      auto code = ended(snapshot);
      if (!synced) code.reset();
      const bool late = f_.timeout && std::chrono::steady_clock::now() >= began + *f_.timeout;
      draw(snapshot, watches.problem(), code || late);
      if (code) return *code;
      if (late) {
        session_.err << "still in progress after " << format_duration(*f_.timeout) << "\n";
        return kNotYet;
      }
    }
  }

 private:
  void draw(const Snapshot& snapshot, const std::string& problem, bool last) {
    auto lines = render(snapshot, session_.now(), session_.display());
    if (!problem.empty()) lines.push_back("! possibly out of date: " + printable(problem));
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
  const std::string model_;
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

namespace {

std::vector<Json> objects_of(const Snapshot& snapshot) {
  std::vector<Json> all = {snapshot.model};
  for (const auto* part : {&snapshot.versions, &snapshot.rollouts, &snapshot.pods})
    all.insert(all.end(), part->begin(), part->end());
  return all;
}

// How many Models are how, for the last line.
std::string tally(const std::map<int, size_t>& codes) {
  std::string all;
  size_t models = 0;
  for (const auto& [code, word] : {std::pair(kDone, "ready"), std::pair(kNotYet, "in progress"), std::pair(kNo, "not ready"),
                                   std::pair(kTrouble, "unknown")}) {
    if (!codes.contains(code)) continue;
    models += codes.at(code);
    all += (all.empty() ? "" : ", ") + std::to_string(codes.at(code)) + " " + word;
  }
  return count_of(models, "Model") + ": " + all;
}

int status_of(Session& session, const Following& following, const std::vector<Target>& found) {
  std::map<int, size_t> codes;
  std::vector<Json> objects;
  for (const Target& target : found) {
    const auto snapshot = look(session, target.model);
    const int code = snapshot ? at_rest(*snapshot).value_or(kNotYet) : complain(session, snapshot.error());
    ++codes[code];
    if (!snapshot) continue;
    for (Json& object : objects_of(*snapshot)) objects.push_back(std::move(object));
    if (!following.output.empty()) continue;
    if (target != found.front()) session.out << "\n";
    for (const std::string& line : render(*snapshot, session.now(), session.display())) session.out << line << "\n";
  }
  if (!following.output.empty() && !objects.empty()) print_objects(session.out, objects, following.output, true);
  if (found.size() > 1) session.err << tally(codes) << "\n";
  int worst = kDone;
  for (const auto& [code, n] : codes) worst = worse(worst, code);
  return worst;
}

}  // namespace

int status(Session& session, const Following& following) {
  const auto found = targets(session, following.selection);
  if (!found) return complain(session, found.error());
  if (!following.watch) return status_of(session, following, *found);
  if (found->size() == 1) return Follow(session, following, found->front().model).run();
  return complain(session, {ErrorKind::Invalid, "-w follows one Model, but the selection has " + std::to_string(found->size()),
                            0, {}, {}});
}

}  // namespace mo::plugin
