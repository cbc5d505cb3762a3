#include "operator/evidence/work_pool.h"

#include <algorithm>

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
  std::lock_guard lock(mutex_);
  const auto due = Steady::now() + delay;
  const auto moment = next_moment();
  later_.emplace(std::pair(due, ++posted_), Waiting{owner, std::move(task), std::move(overdue), due});
  if (due < moment) wake_one();
}

void WorkPool::run(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    const auto now = Steady::now();
    take_what_is_due(now);
    auto dispatch = overdue(now);
    if (!dispatch) dispatch = fairest();
    if (!dispatch) {
      sleep(lock, stop);
      continue;
    }
    // For another task, or to keep the time.
    if (!ready_.empty() || !kept_) wake_one();
    lock.unlock();
    dispatch->task(stop);
    dispatch->task = nullptr;  // what it holds is let go outside the lock
    lock.lock();
    if (dispatch->counts)
      change(dispatch->owner, [](Tenant& tenant, Line& line) {
        --tenant.running;
        --line.running;
      });
  }
}

void WorkPool::sleep(std::unique_lock<std::mutex>& lock, std::stop_token stop) {
  const uint64_t seen = calls_;
  const auto called = [&] { return calls_ != seen; };
  if (!kept_) {
    kept_ = true;
    keeper_.wait_until(lock, stop, next_moment(), called);
    kept_ = false;
  } else {
    ++idlers_;
    idle_.wait(lock, stop, called);
    --idlers_;
  }
}

// The one that keeps the time looks what there is to do; without one, another becomes it.
void WorkPool::wake_one() {
  ++calls_;
  if (kept_)
    keeper_.notify_one();
  else if (idlers_ > 0)
    idle_.notify_one();
}

void WorkPool::take_what_is_due(Steady::time_point now) {
  while (!later_.empty() && later_.begin()->first.first <= now) {
    Waiting& first = later_.begin()->second;
    const ObjectKey owner = first.owner;
    change(owner, [&](Tenant&, Line& line) { line.waiting.push_back(std::move(first)); });
    later_.erase(later_.begin());
  }
}

std::optional<WorkPool::Dispatch> WorkPool::overdue(Steady::time_point now) {
  if (patience_.empty() || now < patience_.begin()->first) return {};
  Dispatch dispatch{patience_.begin()->second, {}, false};
  change(dispatch.owner, [&](Tenant&, Line& line) {
    dispatch.task = std::move(line.waiting.front().overdue);
    line.waiting.pop_front();
  });
  return dispatch;
}

std::optional<WorkPool::Dispatch> WorkPool::fairest() {
  if (ready_.empty()) return {};
  const std::string ns = std::get<2>(*ready_.begin());
  Dispatch dispatch{{ns, std::get<2>(*tenants_.at(ns).ready.begin())}, {}};
  change(dispatch.owner, [&](Tenant& tenant, Line& line) {
    dispatch.task = std::move(line.waiting.front().task);
    line.waiting.pop_front();
    ++tenant.running;
    ++line.running;
    tenant.served = line.served = ++served_;
  });
  return dispatch;
}

template <class Change>
void WorkPool::change(const ObjectKey& owner, const Change& change) {
  Tenant& tenant = tenants_[owner.ns];
  Line& line = tenant.lines[owner.name];
  const auto patience_ends = [&] { return std::pair(line.waiting.front().due + limits_.patience, owner); };
  const auto is_patient = [&] { return !line.waiting.empty() && line.waiting.front().overdue; };
  ready_.erase({tenant.running, tenant.served, owner.ns});
  tenant.ready.erase({line.running, line.served, owner.name});
  if (is_patient()) patience_.erase(patience_ends());
  change(tenant, line);
  if (is_patient()) patience_.insert(patience_ends());
  if (!line.waiting.empty() && line.running < limits_.per_owner) tenant.ready.insert({line.running, line.served, owner.name});
  if (line.waiting.empty() && line.running == 0) tenant.lines.erase(owner.name);
  if (tenant.running < per_namespace_ && !tenant.ready.empty()) ready_.insert({tenant.running, tenant.served, owner.ns});
  if (tenant.lines.empty()) tenants_.erase(owner.ns);
}

WorkPool::Steady::time_point WorkPool::next_moment() const {
  auto moment = Steady::now() + std::chrono::hours(1);
  if (!later_.empty()) moment = std::min(moment, later_.begin()->first.first);
  if (!patience_.empty()) moment = std::min(moment, patience_.begin()->first);
  return moment;
}

}  // namespace mo::evidence
