#include "operator/evidence/work_pool.h"

#include <algorithm>
#include <tuple>

namespace mo::evidence {

WorkPool::WorkPool(PoolLimits limits) : limits_(limits), per_namespace_(std::max(1, limits.threads / 2)) {
  for (int i = 0; i < limits_.threads; ++i) threads_.emplace_back([this](std::stop_token stop) { run(stop); });
}

WorkPool::~WorkPool() {
  // All at once: joined one by one each would be asked to stop only after the one before it had ended.
  for (auto& thread : threads_) thread.request_stop();
  threads_.clear();
}

void WorkPool::post(const ObjectKey& owner, Task task, std::chrono::milliseconds delay, Task overdue) {
  {
    std::lock_guard lock(mutex_);
    const auto due = Steady::now() + delay;
    later_.emplace(std::pair(due, ++posted_), Waiting{owner, std::move(task), std::move(overdue), due});
  }
  // All, since one that sleeps until a later task must look again as well.
  news_.notify_all();
}

void WorkPool::run(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    const auto now = Steady::now();
    take_what_is_due(now);
    auto dispatch = overdue(now);
    if (!dispatch) dispatch = fairest();
    if (!dispatch) {
      const uint64_t seen = posted_;
      // What ends makes room for one task at most, and its own thread takes that.
      news_.wait_until(lock, stop, next_moment(), [&] { return posted_ != seen; });
      continue;
    }
    lock.unlock();
    dispatch->task(stop);
    dispatch->task = nullptr;  // what it holds is let go outside the lock
    lock.lock();
    ended(*dispatch);
  }
}

void WorkPool::take_what_is_due(Steady::time_point now) {
  while (!later_.empty() && later_.begin()->first.first <= now) {
    Waiting& first = later_.begin()->second;
    auto& line = tenants_[first.owner.ns].lines[first.owner.name];
    line.waiting.push_back(std::move(first));
    later_.erase(later_.begin());
  }
}

std::optional<WorkPool::Dispatch> WorkPool::overdue(Steady::time_point now) {
  for (auto& [ns, tenant] : tenants_)
    for (auto& [model, line] : tenant.lines) {
      if (line.waiting.empty() || !line.waiting.front().overdue || now < line.waiting.front().due + limits_.patience) continue;
      Dispatch dispatch{line.waiting.front().owner, std::move(line.waiting.front().overdue), false};
      line.waiting.pop_front();
      return dispatch;
    }
  return {};
}

std::optional<WorkPool::Dispatch> WorkPool::fairest() {
  Tenant* tenant = nullptr;
  Line* line = nullptr;
  const auto rank = [](const Tenant& r, const Line& l) { return std::tuple(r.running, r.served, l.running, l.served); };
  for (auto& [ns, r] : tenants_) {
    if (r.running >= per_namespace_) continue;
    for (auto& [model, l] : r.lines) {
      if (l.waiting.empty() || l.running >= limits_.per_owner) continue;
      if (line && rank(*tenant, *line) <= rank(r, l)) continue;
      tenant = &r;
      line = &l;
    }
  }
  if (!line) return {};
  Dispatch dispatch{line->waiting.front().owner, std::move(line->waiting.front().task)};
  line->waiting.pop_front();
  ++tenant->running;
  ++line->running;
  tenant->served = line->served = ++served_;
  return dispatch;
}

void WorkPool::ended(const Dispatch& dispatch) {
  if (dispatch.counts) {
    Tenant& tenant = tenants_.at(dispatch.owner.ns);
    --tenant.running;
    --tenant.lines.at(dispatch.owner.name).running;
  }
  erase_if_empty(dispatch.owner);
}

void WorkPool::erase_if_empty(const ObjectKey& owner) {
  const auto tenant = tenants_.find(owner.ns);
  if (tenant == tenants_.end()) return;
  const auto line = tenant->second.lines.find(owner.name);
  if (line != tenant->second.lines.end() && line->second.waiting.empty() && line->second.running == 0) tenant->second.lines.erase(line);
  if (tenant->second.lines.empty()) tenants_.erase(tenant);
}

WorkPool::Steady::time_point WorkPool::next_moment() const {
  auto moment = later_.empty() ? Steady::now() + std::chrono::hours(1) : later_.begin()->first.first;
  for (const auto& [ns, tenant] : tenants_)
    for (const auto& [model, line] : tenant.lines)
      if (!line.waiting.empty() && line.waiting.front().overdue)
        moment = std::min(moment, line.waiting.front().due + limits_.patience);
  return moment;
}

}  // namespace mo::evidence
