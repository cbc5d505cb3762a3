#include "operator/export/exporter.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <tuple>

#include "operator/audit/chain.h"
#include "operator/json/json.h"

namespace mo::audit {
namespace {

constexpr size_t kLargestObject = 8u << 20;  // more than the API server stores

void pause(std::chrono::milliseconds time, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, time, [] { return false; });
}

// The name is the Model's, the last record's number and a part of its hash.
int64_t last_of(const api::ModelAudit& audit) {
  const std::string& name = audit.meta.key.name;
  int64_t number = 0;
  for (size_t i = audit.model.size() + 1; i < name.size() && name[i] >= '0' && name[i] <= '9' && number < (int64_t{1} << 53);
       ++i)
    number = number * 10 + (name[i] - '0');
  return number;
}

std::string member(const Json& object, std::initializer_list<const char*> path) {
  const Json* at = &object;
  for (const char* name : path) {
    if (!at->is_object() || !at->contains(name)) return "";
    at = &(*at)[name];
  }
  return at->is_string() ? at->get<std::string>() : at->is_number_integer() ? std::to_string(at->get<int64_t>()) : "";
}

struct Lines {
  std::string text;
  size_t records = 0;
};

// The records as they are, and the signature over the last of them.
Result<Lines> lines_of(const Json& object, const std::string& ns) {
  const Json spec = object.is_object() ? object.value("spec", Json()) : Json();
  if (!spec.is_object() || !spec.value("records", Json()).is_array()) return fail(ErrorKind::Invalid, "it holds no records");
  Lines out;
  for (const Json& line : spec["records"]) {
    if (!line.is_string() || line.get<std::string>().find('\n') != std::string::npos)
      return fail(ErrorKind::Invalid, "a record is no line of text");
    out.text += line.get<std::string>() + "\n";
    ++out.records;
  }
  Json checkpoint = {{"model", ns + "/" + member(spec, {"model", "name"})},
                     {"uid", member(spec, {"model", "uid"})},
                     {"seq", spec.value("last", Json())},
                     {"head", member(spec, {"head"})}};
  if (const std::string signature = member(spec, {"signature", "value"}); !signature.empty()) {
    checkpoint["keyID"] = member(spec, {"signature", "keyID"});
    checkpoint["signature"] = signature;
  }
  out.text += canonical({{"checkpoint", std::move(checkpoint)}}) + "\n";
  return out;
}

}  // namespace

Exporter::Exporter(kube::Client& client, const Store<api::ModelAudit>& audits, std::unique_ptr<Sink> sink,
                   std::function<bool(const ObjectKey&)> ours, std::function<TimePoint()> now, ExporterOptions options)
    : client_(client),
      audits_(audits),
      sink_(std::move(sink)),
      ours_(std::move(ours)),
      now_(std::move(now)),
      options_(options) {}

// Each trail in its order.
std::vector<Exporter::Audit> Exporter::waiting() const {
  std::vector<Audit> all = audits_.all();
  std::erase_if(all, [&](const Audit& a) {
    return !a->exported.empty() || a->meta.deleting || a->model.empty() || !ours_({a->meta.key.ns, a->model});
  });
  std::sort(all.begin(), all.end(), [](const Audit& a, const Audit& b) {
    return std::tuple(a->meta.created, a->meta.key.ns, a->model, last_of(*a)) <
           std::tuple(b->meta.created, b->meta.key.ns, b->model, last_of(*b));
  });
  return all;
}

void Exporter::run(std::stop_token stop) {
  auto wait = options_.first_retry;
  while (!stop.stop_requested()) {
    if (pass(stop)) {
      wait = options_.first_retry;
      pause(options_.look, stop);
    } else {
      pause(wait, stop);
      wait = std::min(2 * wait, options_.longest_retry);
    }
  }
}

// All that waits, once. False: nothing passes now.
bool Exporter::pass(std::stop_token stop) {
  const auto all = waiting();
  const auto started = std::chrono::steady_clock::now();
  std::erase_if(put_back_, [&](const auto& entry) { return entry.second <= started; });
  // What the store shows by now need not be remembered, nor what is gone.
  std::map<std::string, std::string> unseen;
  for (const Audit& audit : all)
    if (const auto known = arrived_.find(audit->meta.uid); known != arrived_.end()) unseen.insert(*known);
  arrived_ = std::move(unseen);
  for (const Audit& audit : all) {
    const ObjectKey model{audit->meta.key.ns, audit->model};
    if (stop.stop_requested()) return true;
    if (put_back_.contains(model)) continue;
    const Came came = bring(audit, stop);
    if (came == Came::Nothing) return false;
    if (came == Came::Refused) put_back_[model] = started + options_.refused_retry;
  }
  if (put_back_.empty()) told_.clear();
  return true;
}

Exporter::Came Exporter::bring(const Audit& audit, std::stop_token stop) {
  const ObjectRef ref{Kind::ModelAudit, audit->meta.key};
  const auto refused = [&](const std::string& why) {
    return failed(Came::Refused, ref.to_string() + " is refused, and later records of its Model wait for it: " + why, stop);
  };
  if (const auto known = arrived_.find(audit->meta.uid); known != arrived_.end()) return mark(audit, known->second, stop);
  const auto stored = client_.get(ref, stop);
  if (!stored && stored.error().kind == ErrorKind::NotFound) return Came::Arrived;  // somebody deleted it; the watch will tell
  if (!stored && stored.error().kind == ErrorKind::Forbidden) return refused(stored.error().message);
  if (!stored) return failed(Came::Nothing, "nothing is exported now: " + stored.error().message, stop);
  const auto object = parse_json(*stored, kLargestObject, 64);
  const auto lines = object ? lines_of(*object, audit->meta.key.ns) : Result<Lines>(fail(object.error()));
  if (!lines) return refused(lines.error().message);
  if (member(*object, {"metadata", "uid"}) != audit->meta.uid) return Came::Arrived;  // another of this name; it has its turn
  if (const auto written = sink_->write(audit->meta.uid, lines->text, stop); !written) {
    if (written.error().kind == ErrorKind::Invalid) return refused(written.error().message);
    return failed(Came::Nothing, "nothing is exported now: " + written.error().message, stop);
  }
  records_ += lines->records;
  std::string note = format_time(now_()) + " " + member(*object, {"spec", "model", "uid"});
  for (const char* field : {"first", "last", "head"}) note += " " + member(*object, {"spec", field});
  arrived_[audit->meta.uid] = note;
  return mark(audit, note, stop);
}

// What has arrived is not sent again by this process, whatever becomes of its mark.
Exporter::Came Exporter::mark(const Audit& audit, const std::string& note, std::stop_token stop) {
  const Json body = {{"metadata", {{"uid", audit->meta.uid}, {"annotations", {{api::kAnnotationExported, note}}}}}};
  const ObjectRef ref{Kind::ModelAudit, audit->meta.key};
  const auto stored = client_.merge_patch(ref, body.dump(), "", stop);
  if (stored || stored.error().kind == ErrorKind::NotFound) return Came::Arrived;
  // Who may write it there is for each namespace to say: that of one holds up nobody else's.
  const ErrorKind kind = stored.error().kind;
  const bool of_this = kind == ErrorKind::Forbidden || kind == ErrorKind::Invalid || kind == ErrorKind::Conflict;
  return failed(of_this ? Came::Refused : Came::Nothing, ref.to_string() + " has arrived, and cannot be marked so: " + stored.error().message, stop);
}

Exporter::Came Exporter::failed(Came came, const std::string& why, std::stop_token stop) {
  if (stop.stop_requested()) return Came::Nothing;
  ++(came == Came::Refused ? refused_ : failed_);
  if (std::exchange(told_, why) != why) spdlog::warn("--audit-export: {}", why);
  return came;
}

Exporter::Counts Exporter::counts() const {
  Counts counts{records_, failed_, refused_, 0, {}};
  const auto all = waiting();
  counts.waiting = all.size();
  if (!all.empty()) counts.oldest = all.front()->meta.created;
  return counts;
}

}  // namespace mo::audit
