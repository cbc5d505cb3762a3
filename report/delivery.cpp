#include "report/delivery.h"

#include <algorithm>

namespace mo::report {
namespace {

constexpr Duration kWeek = std::chrono::hours(24 * 7);
constexpr int kWeeks = 13;

// The value that `share` of them do not exceed, by rank.
std::optional<Duration> quantile(std::vector<Duration> values, double share) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<size_t>(static_cast<double>(values.size() - 1) * share + 0.5);
  return values[std::min(rank, values.size() - 1)];
}

class Count {
 public:
  explicit Count(TimePoint now) : now_(now) {}

  void add(const Model& m) {
    for (size_t i = 0; i < m.rollouts.size(); ++i) {
      const Rollout& r = m.rollouts[i];
      if (!r.over()) {
        d_.pending += r.started.has_value();
        continue;
      }
      if (now_ - *r.finished > kWindow) continue;
      if (r.failed()) {
        ++rolled_back_;
        fail(r.decided, r.finished);
      }
      if (r.phase != "Succeeded" || went_back(m, i)) continue;
      ++d_.deployments;
      if (const auto taken = lead_time(m, r)) lead_times_.push_back(*taken);
      if (const Rollout* back = taken_back(m, i)) fail(r.finished, back->finished);
    }
  }

  Delivery result() {
    const size_t ended = d_.deployments + rolled_back_;
    if (d_.deployments) d_.per_week = static_cast<double>(d_.deployments) / (static_cast<double>(kWindow / std::chrono::hours(1)) / (24 * 7));
    if (ended) d_.failure_rate = static_cast<double>(d_.failures) / static_cast<double>(ended);
    d_.lead_time = quantile(lead_times_, 0.5);
    d_.lead_time_p90 = quantile(lead_times_, 0.9);
    d_.restore = quantile(restores_, 0.5);
    d_.restores = restores_.size();
    return d_;
  }

 private:
  void fail(const std::optional<TimePoint>& from, const std::optional<TimePoint>& to) {
    ++d_.failures;
    if (from && to && *to >= *from) restores_.push_back(*to - *from);
  }

  // Of the one before it, newest first: what it brought was taken away again.
  static bool is_rollback_of(const Rollout& later, const Rollout& before) {
    return later.phase == "Succeeded" && before.phase == "Succeeded" && !before.from.empty() && later.from == before.to && later.to == before.from;
  }
  static const Rollout* succeeded_before(const Model& m, size_t i) {
    for (size_t k = i + 1; k < m.rollouts.size(); ++k)
      if (m.rollouts[k].phase == "Succeeded") return &m.rollouts[k];
    return nullptr;
  }
  static bool went_back(const Model& m, size_t i) {
    const Rollout* before = succeeded_before(m, i);
    return before && is_rollback_of(m.rollouts[i], *before);
  }
  static const Rollout* taken_back(const Model& m, size_t i) {
    for (size_t k = i; k-- > 0;)
      if (m.rollouts[k].phase == "Succeeded") return is_rollback_of(m.rollouts[k], m.rollouts[i]) ? &m.rollouts[k] : nullptr;
    return nullptr;
  }

  std::optional<Duration> lead_time(const Model& m, const Rollout& r) {
    for (const Version& v : m.versions)
      if (v.name == r.to && v.created && *v.created <= *r.finished) return *r.finished - *v.created;
    return {};
  }

  TimePoint now_;
  Delivery d_;
  size_t rolled_back_ = 0;
  std::vector<Duration> lead_times_, restores_;
};

}  // namespace

Delivery delivery_of(const std::vector<const Model*>& models, TimePoint now) {
  Count count(now);
  for (const Model* m : models) count.add(*m);
  return count.result();
}

std::vector<Week> weeks_of(const std::vector<const Model*>& models, TimePoint now) {
  std::vector<Week> weeks(kWeeks);
  for (int i = 0; i < kWeeks; ++i) weeks[static_cast<size_t>(i)].from = now - kWeek * (kWeeks - i);
  for (const Model* m : models)
    for (const Rollout& r : m->rollouts) {
      if (!r.over() || *r.finished > now) continue;
      const auto ago = (now - *r.finished) / kWeek;
      if (ago >= kWeeks) continue;
      Week& week = weeks[static_cast<size_t>(kWeeks - 1 - ago)];
      ++(r.phase == "Succeeded" ? week.succeeded : r.failed() ? week.failed : week.stopped);
    }
  return weeks;
}

const std::vector<Definition>& delivery_definitions() {
  static const std::vector<Definition> all = {
      {"Deployments", "Rollouts that ended as Succeeded within the last 90 days, without rollbacks."},
      {"Deployment frequency", "Deployments per week, over these 90 days."},
      {"Lead time", "From the registration of a version to the end of its rollout. The median of all deployments."},
      {"Change failure rate",
       "Share of rollouts that failed, were rolled back, or were reverted by the next one. "
       "Aborted and superseded rollouts do not count."},
      {"Time to restore",
       "From the failure of a rollout, or from when a bad version had all traffic, until the earlier version has all traffic again. The median."},
      {"What is counted", "ModelRollouts that the cluster still holds: spec.history.rollouts of each Model sets how many are kept."}};
  return all;
}

}  // namespace mo::report
