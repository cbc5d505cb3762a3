#include "operator/runtime/leader.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "operator/json/json.h"
#include "operator/runtime/log.h"

namespace mo {
namespace {

std::string text(const Json& object, const char* key) {
  auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

int number(const Json& object, const char* key, int otherwise) {
  auto it = object.find(key);
  return it != object.end() && it->is_number_integer() ? it->get<int>() : otherwise;
}

void sleep_for(Duration delay, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, delay, [] { return false; });
}

}  // namespace

Result<LeaseRecord> read_lease(const std::string& json) {
  const auto lease = parse_json(json, 1u << 20);
  if (!lease) return fail(lease.error());
  if (!lease->is_object()) return fail(ErrorKind::Malformed, "a Lease is not a JSON object");
  LeaseRecord record;
  if (auto metadata = lease->find("metadata"); metadata != lease->end() && metadata->is_object())
    record.resource_version = text(*metadata, "resourceVersion");
  if (auto spec = lease->find("spec"); spec != lease->end() && spec->is_object()) {
    record.holder = text(*spec, "holderIdentity");
    record.acquire_time = text(*spec, "acquireTime");
    record.renew_time = text(*spec, "renewTime");
    record.duration = std::chrono::seconds(number(*spec, "leaseDurationSeconds", 15));
    record.transitions = number(*spec, "leaseTransitions", 0);
  }
  return record;
}

std::string lease_body(const LeaseRecord& record, const ObjectKey& key) {
  Json metadata = {{"name", key.name}, {"namespace", key.ns}};
  if (!record.resource_version.empty()) metadata["resourceVersion"] = record.resource_version;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(record.duration).count();
  Json body = {{"apiVersion", "coordination.k8s.io/v1"},
               {"kind", "Lease"},
               {"metadata", metadata},
               {"spec",
                {{"holderIdentity", record.holder},
                 {"leaseDurationSeconds", seconds},
                 {"acquireTime", record.acquire_time},
                 {"renewTime", record.renew_time},
                 {"leaseTransitions", record.transitions}}}};
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool LeaseObserver::may_take(const LeaseRecord& seen, const std::string& identity, Duration now) {
  if (seen.holder.empty() || seen.holder == identity) return true;
  const std::string mark = seen.holder + "|" + seen.renew_time + "|" + seen.resource_version;
  if (mark != last_) {
    last_ = mark;
    since_ = now;
    return false;
  }
  return now - since_ > seen.duration;
}

Duration LeaderElector::monotonic() {
  return std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch());
}
TimePoint LeaderElector::wall() {
  return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
}

bool LeaderElector::leading() const { return monotonic().count() < leads_until_.load(); }

bool LeaderElector::acquire(std::stop_token stop) {
  log::info("waiting to lead", ObjectRef{Kind::Lease, options_.lease}, {{"identity", options_.identity}});
  while (!stop.stop_requested()) {
    if (attempt(stop) == Attempt::Held) {
      log::info("leading", ObjectRef{Kind::Lease, options_.lease}, {{"identity", options_.identity}});
      return true;
    }
    sleep_for(options_.retry_period, stop);
  }
  return false;
}

bool LeaderElector::hold(std::stop_token stop) {
  while (!stop.stop_requested()) {
    sleep_for(options_.retry_period, stop);
    if (stop.stop_requested()) return true;
    if (!leading()) return false;
    // A renewal that hangs must not outlive the deadline.
    std::stop_source too_late;
    std::stop_callback on_stop(stop, [&] { too_late.request_stop(); });
    std::jthread timer([&](std::stop_token done) {
      sleep_for(Duration(leads_until_.load() - monotonic().count()), done);
      if (!done.stop_requested()) too_late.request_stop();
    });
    const Attempt attempt = this->attempt(too_late.get_token());
    if (attempt == Attempt::NotOurs) leads_until_ = 0;
  }
  return true;
}

void LeaderElector::release() {
  // A renewal that was cancelled on our side may still arrive on the other, between our read and our write.
  for (int tries = 0; tries < 3; ++tries)
    if (try_release()) return;
}

// False if it is worth another try.
bool LeaderElector::try_release() {
  const ObjectRef ref{Kind::Lease, options_.lease};
  const auto stored = client_.get(ref, {});
  if (!stored) return true;
  auto record = read_lease(*stored);
  if (!record || record->holder != options_.identity) return true;
  leads_until_ = 0;
  record->holder.clear();
  record->duration = std::chrono::seconds(1);
  record->renew_time = format_micro_time(wall());
  const auto written = client_.put(ref, lease_body(*record, options_.lease), "", {});
  if (written) log::info("handed the lease back", ref);
  return written || written.error().kind != ErrorKind::Conflict;
}

LeaderElector::Attempt LeaderElector::attempt(std::stop_token stop) {
  // As we wrote it last it is ours still, or the write is refused as a conflict: then it is read first.
  if (auto held = std::exchange(held_, std::nullopt); held && write(std::move(*held), options_.identity, stop) == Attempt::Held)
    return Attempt::Held;
  const auto stored = client_.get(ObjectRef{Kind::Lease, options_.lease}, stop);
  if (!stored && stored.error().kind == ErrorKind::NotFound) return create(stop);
  if (!stored) {
    log::warn("cannot read the lease", ObjectRef{Kind::Lease, options_.lease},
              {{"error", log::to_string(stored.error())}});
    return Attempt::Failed;
  }
  auto record = read_lease(*stored);
  if (!record) return Attempt::Failed;
  if (!observer_.may_take(*record, options_.identity, monotonic())) return Attempt::NotOurs;
  const std::string old_holder = record->holder;
  return write(std::move(*record), old_holder, stop);
}

LeaderElector::Attempt LeaderElector::create(std::stop_token stop) {
  const Duration began = monotonic();
  LeaseRecord record;
  record.holder = options_.identity;
  record.acquire_time = record.renew_time = format_micro_time(wall());
  record.duration = options_.lease_duration;
  const auto posted = client_.post(Kind::Lease, options_.lease.ns, lease_body(record, options_.lease), stop);
  if (!posted) {
    log::warn("cannot create the lease", ObjectRef{Kind::Lease, options_.lease},
              {{"error", log::to_string(posted.error())}});
    return Attempt::Failed;
  }
  return held(*posted, began);
}

LeaderElector::Attempt LeaderElector::held(const std::string& stored, Duration sent) {
  leads_until_ = (sent + options_.renew_deadline).count();
  auto record = read_lease(stored);
  if (record && !record->resource_version.empty() && record->holder == options_.identity) held_ = std::move(*record);
  return Attempt::Held;
}

LeaderElector::Attempt LeaderElector::write(LeaseRecord record, const std::string& old_holder,
                                            std::stop_token stop) {
  // From before the request: the others count from when they see it, which is later.
  const Duration began = monotonic();
  record.renew_time = format_micro_time(wall());
  record.duration = options_.lease_duration;
  if (old_holder != options_.identity) {
    record.holder = options_.identity;
    record.acquire_time = record.renew_time;
    ++record.transitions;
  }
  // The resourceVersion that was read makes this a compare-and-swap.
  const auto stored =
      client_.put(ObjectRef{Kind::Lease, options_.lease}, lease_body(record, options_.lease), "", stop);
  if (!stored) {
    log::warn("cannot write the lease", ObjectRef{Kind::Lease, options_.lease},
              {{"error", log::to_string(stored.error())}});
    return Attempt::Failed;
  }
  return held(*stored, began);
}

}  // namespace mo
