#include "tests/explore/explorer.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <unordered_map>

namespace mo::explore {
namespace {

// Between two states.
struct Choice {
  std::string name;
  std::function<void()> run;
  bool fair = true;  // happens sooner or later, unlike what people do and what goes wrong
};

struct Edge {
  uint32_t to;
  bool fair, wrote;
};

// The world in one of its states, and what can be done there.
class Stage {
 public:
  explicit Stage(const World& world) : world_(world) {
    s_.world.traced = false;
    s_.op.punctual = true;
    s_.op.audit = s_.invariants.audited = false;  // records tell times and orders apart that are the same from now on
    s_.op.lose_answer = [this] { return lose_; };
    fixture_.emplace(world.set_up(s_, acts_));
    s_.op.restart();
    left_ = world.budget;
    settle();
  }

  sim::Sim& sim() { return s_; }
  State save() const { return explore::save(s_, done_, left_); }
  void load(const State& state) {
    explore::load(s_, state);
    done_ = state.acts;
    left_ = state.left;
  }
  uint64_t fingerprint() const { return explore::fingerprint(s_, done_, left_); }

  std::vector<Choice> choices() {
    std::vector<Choice> all;
    std::vector<sim::Step> steps;
    s_.op.offer(steps);
    s_.controllers.offer(steps);
    const bool still = steps.empty();
    for (sim::Step& step : steps) all.push_back({std::move(step.name), std::move(step.run), true});
    if (next_due() && (still || left_.hurries > 0))
      all.push_back(
          {still ? "time passes" : "time passes EARLY", [this, still] { pass_time(still); }, still});
    for (size_t i = 0; i < acts_.size(); ++i)
      if (!(done_ >> i & 1) && (done_ & acts_[i].after) == acts_[i].after && acts_[i].when())
        all.push_back({"person: " + acts_[i].what, [this, i] { act(i); }, false});
    if (left_.crashes > 0) all.push_back({"operator: CRASHES", [this] { crash(); }, false});
    if (left_.losses > 0 && s_.op.mind().flight)
      all.push_back({"operator: goes on, the answer is LOST", [this] { lose(); }, false});
    return all;
  }

  // Throws sim::Violation.
  void take(const Choice& choice) {
    s_.world.say(choice.name);
    choice.run();
    settle();
    s_.invariants.after_step();
  }

  // Whether nobody but the clock has anything to do.
  bool still() {
    std::vector<sim::Step> steps;
    if (!s_.op.idle()) return false;
    s_.controllers.offer(steps);
    return steps.empty();
  }

  // What is wrong with resting here.
  std::string unrest() {
    try {
      s_.invariants.at_rest(s_.op.still_to_write());
      world_.asked_for(*fixture_, done_);
    } catch (const sim::Violation& v) {
      return v.what();
    }
    return "";
  }

 private:
  // Watches that do not lag tell at once, and no watch lags further than it may.
  void settle() {
    s_.op.read_log();
    const auto overdue = [this]() -> std::optional<Kind> {
      for (const auto& [kind, changes] : s_.op.mind().late)
        if (!world_.late.count(kind) || changes.size() > world_.most_late) return kind;
      return {};
    };
    while (const auto kind = overdue()) s_.op.deliver(*kind);
  }

  std::optional<TimePoint> next_due() const {
    auto due = s_.op.next_due();
    if (const auto other = s_.controllers.next_due(); other && (!due || *other < *due)) due = other;
    return due;
  }

  void pass_time(bool still) {
    if (!still) --left_.hurries;
    s_.world.now = std::chrono::ceil<std::chrono::seconds>(std::max(*next_due(), s_.world.now + Duration(1)));
  }

  void act(size_t i) {
    done_ |= 1u << i;
    acts_[i].run();
  }

  void crash() {
    --left_.crashes;
    s_.op.restart();
  }

  void lose() {
    --left_.losses;
    lose_ = true;
    std::vector<sim::Step> steps;
    s_.op.offer(steps);
    for (sim::Step& step : steps)
      if (step.name == "operator: goes on") step.run();
    lose_ = false;
  }

  const World& world_;
  sim::Sim s_;
  std::optional<sim::Fixture> fixture_;
  std::vector<Act> acts_;
  uint32_t done_ = 0;
  Budget left_;
  bool lose_ = false;
};

constexpr uint32_t kNone = ~0u;

class Explorer {
 public:
  Explorer(const World& world, size_t most) : world_(world), most_(most), stage_(world) {}

  Found run() {
    const auto began = std::chrono::steady_clock::now();
    reach(kNone, 0);
    while (!frontier_.empty() && found_.violation.empty() && nodes_.size() < most_) expand();
    found_.complete = frontier_.empty();
    if (found_.violation.empty()) judge_endings();
    found_.states = nodes_.size();
    found_.transitions = edges_.size();
    found_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    return std::move(found_);
  }

 private:
  struct Node {
    uint32_t parent;
    uint16_t choice;
    uint16_t depth;
    uint32_t unrest = kNone;  // what would be wrong with resting here: index into unrests_
    bool still = false;
    size_t edges = 0;  // where its edges begin; they end where the next node's begin
  };

  // The stage stands in a state: known, or to be expanded later.
  uint32_t reach(uint32_t parent, uint16_t choice) {
    const auto [it, fresh] = ids_.try_emplace(stage_.fingerprint(), static_cast<uint32_t>(nodes_.size()));
    if (!fresh) return it->second;
    const uint16_t depth = parent == kNone ? 0 : nodes_[parent].depth + 1;
    nodes_.push_back({parent, choice, depth, kNone, false, 0});
    found_.depth = std::max<size_t>(found_.depth, depth);
    frontier_.push_back(std::make_unique<State>(stage_.save()));
    found_.most_kept = std::max(found_.most_kept, frontier_.size());
    return it->second;
  }

  void expand() {
    const std::unique_ptr<State> state = std::move(frontier_.front());
    frontier_.pop_front();
    const uint32_t id = expanded_++;
    nodes_[id].edges = edges_.size();
    stage_.load(*state);
    if (stage_.still()) {
      nodes_[id].still = true;
      const std::string unrest = stage_.unrest();
      if (!unrest.empty()) {
        const auto at = unrests_.try_emplace(unrest, unrests_.size()).first;
        nodes_[id].unrest = static_cast<uint32_t>(at->second);
      }
    }
    const std::vector<Choice> choices = stage_.choices();
    for (size_t i = 0; i < choices.size() && found_.violation.empty(); ++i) {
      stage_.load(*state);
      const int64_t changes = stage_.sim().world.changes, writes = stage_.sim().op.writes;
      try {
        stage_.take(choices[i]);
      } catch (const sim::Violation& v) {
        return tell(id, static_cast<uint16_t>(i), v.what());
      }
      const bool wrote = stage_.sim().op.writes != writes || stage_.sim().world.changes != changes;
      const uint32_t to = reach(id, static_cast<uint16_t>(i));
      edges_.push_back({to, choices[i].fair, wrote});
    }
  }

  void tell(uint32_t id, std::optional<uint16_t> last, const std::string& violation) {
    std::vector<uint16_t> choices;
    if (last) choices.push_back(*last);
    for (; nodes_[id].parent != kNone; id = nodes_[id].parent) choices.push_back(nodes_[id].choice);
    std::reverse(choices.begin(), choices.end());
    found_.violation = violation;
    for (uint16_t choice : choices) found_.recipe.push_back(std::to_string(choice));
    std::string again;
    found_.trace = retrace(world_, choices, again);
  }

  // ---- where it ends ----

  size_t edges_end(uint32_t id) const { return id + 1 < expanded_ ? nodes_[id + 1].edges : edges_.size(); }

  // Tarjan's, without recursion, on the fair edges. A component is judged when it turns out that none of its
  // edges leaves it.
  void judge_endings() {
    const size_t n = nodes_.size();
    std::vector<uint32_t> index(n, kNone), low(n, 0);
    std::vector<bool> on_stack(n, false);
    std::vector<uint32_t> stack;
    struct Frame {
      uint32_t id;
      size_t edge;
    };
    std::vector<Frame> frames;
    uint32_t next = 0;
    component_.assign(n, kNone);
    const auto enter = [&](uint32_t id) {
      index[id] = low[id] = next++;
      stack.push_back(id);
      on_stack[id] = true;
      frames.push_back({id, id < expanded_ ? nodes_[id].edges : 0});
    };
    for (uint32_t root = 0; root < n && found_.violation.empty(); ++root) {
      if (index[root] != kNone) continue;
      enter(root);
      while (!frames.empty() && found_.violation.empty()) {
        Frame& frame = frames.back();
        const uint32_t id = frame.id;
        const size_t end = id < expanded_ ? edges_end(id) : 0;
        if (frame.edge < end) {
          const Edge& edge = edges_[frame.edge++];
          if (!edge.fair) continue;
          if (index[edge.to] == kNone)
            enter(edge.to);
          else if (on_stack[edge.to])
            low[id] = std::min(low[id], index[edge.to]);
          continue;
        }
        frames.pop_back();
        if (!frames.empty()) low[frames.back().id] = std::min(low[frames.back().id], low[id]);
        if (low[id] != index[id]) continue;
        std::vector<uint32_t> members;
        do {
          members.push_back(stack.back());
          on_stack[stack.back()] = false;
          component_[stack.back()] = id;
          stack.pop_back();
        } while (members.back() != id);
        judge(members, id);
      }
    }
  }

  void judge(const std::vector<uint32_t>& members, uint32_t component) {
    bool wrote = false, still = false;
    for (uint32_t id : members) {
      if (id >= expanded_) return;  // the bound was reached here
      for (size_t e = nodes_[id].edges; e < edges_end(id); ++e) {
        if (!edges_[e].fair) continue;
        if (component_[edges_[e].to] != component) return;  // it can be left
        wrote |= edges_[e].wrote;
      }
    }
    found_.terminal += members.size();
    const uint32_t first = *std::min_element(members.begin(), members.end());
    if (wrote) return tell(first, {}, "I5: from here on it writes for ever");
    for (uint32_t id : members) {
      still |= nodes_[id].still;
      if (nodes_[id].unrest != kNone) return tell(id, {}, "at rest: " + text_of(nodes_[id].unrest));
    }
    if (!still) tell(first, {}, "from here on it never comes to rest");
  }

  std::string text_of(uint32_t unrest) const {
    for (const auto& [text, index] : unrests_)
      if (index == unrest) return text;
    return "";
  }

  const World& world_;
  size_t most_;
  Stage stage_;
  Found found_;
  std::unordered_map<uint64_t, uint32_t> ids_;
  std::vector<Node> nodes_;
  std::vector<Edge> edges_;
  std::deque<std::unique_ptr<State>> frontier_;
  uint32_t expanded_ = 0;
  std::map<std::string, size_t> unrests_;
  std::vector<uint32_t> component_;
};

}  // namespace

Found explore(const World& world, size_t most) { return Explorer(world, most).run(); }

std::vector<std::string> retrace(const World& world, const std::vector<uint16_t>& choices,
                                 std::string& violation) {
  Stage stage(world);
  stage.sim().world.traced = true;
  try {
    for (uint16_t choice : choices) {
      // As the explorer does: what is not part of a state is forgotten.
      const State state = stage.save();
      stage.load(state);
      stage.take(stage.choices().at(choice));
    }
    if (stage.still()) violation = stage.unrest();
  } catch (const sim::Violation& v) {
    violation = v.what();
  }
  return stage.sim().world.trace;
}

}  // namespace mo::explore
