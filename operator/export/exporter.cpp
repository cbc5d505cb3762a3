#include "operator/export/exporter.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cctype>
#include <tuple>

#include "operator/audit/chain.h"
#include "operator/json/json.h"

namespace mo::audit {
namespace {

constexpr size_t kLargestObject = 8u << 20;  // more than the API server stores
constexpr size_t kLongestName = 253;
constexpr int kDoublings = 8, kTold = 3;

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
  std::string path, text;
  size_t records = 0;
};

// Names sort as their numbers do.
std::string padded(const std::string& number) {
  return number.size() < 12 ? std::string(12 - number.size(), '0') + number : number;
}

// Where in a store of objects: admission lets only the operator write these, but no word of an object is to lead elsewhere.
std::string path_of(const Json& spec, const std::string& ns) {
  std::string out;
  for (const std::string& part : {ns, member(spec, {"model", "name"}), member(spec, {"model", "uid"})}) {
    std::string plain = part.substr(0, kLongestName);
    for (char& c : plain)
      if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '.') c = '_';
    out += (plain.empty() || plain.find_first_not_of('.') == std::string::npos ? "_" : plain) + "/";
  }
  return out + padded(member(spec, {"first"})) + "-" + padded(member(spec, {"last"}));
}

// The records as they are, and the signature over the last of them.
Result<Lines> lines_of(const Json& object, const std::string& ns) {
  const Json spec = object.is_object() ? object.value("spec", Json()) : Json();
  if (!spec.is_object() || !spec.value("records", Json()).is_array()) return fail(ErrorKind::Invalid, "it holds no records");
  if (!spec.contains("first") || !spec["first"].is_number_integer() || !spec.contains("last") ||
      !spec["last"].is_number_integer())
    return fail(ErrorKind::Invalid, "it does not say which records it holds");
  Lines out;
  out.path = path_of(spec, ns);
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

bool claims(const Claim& claim, const api::ModelAudit& audit, TimePoint now, Duration left_behind) {
  const bool made_it = !audit.installation.empty() && audit.installation == claim.installation;
  if (made_it) return true;
  if (!audit.installation.empty() && audit.meta.created + left_behind > now) return false;
  return claim.handles({audit.meta.key.ns, audit.model});
}

Exporter::Exporter(kube::Client& client, const Store<api::ModelAudit>& audits, std::unique_ptr<Sink> sink, Claim claim,
                   std::function<TimePoint()> now, ExporterOptions options)
    : client_(client),
      audits_(audits),
      sink_(std::move(sink)),
      claim_(std::move(claim)),
      now_(std::move(now)),
      options_(options) {}

// Each trail in its order.
std::vector<Exporter::Audit> Exporter::waiting() const {
  std::vector<Audit> all = audits_.all();
  const TimePoint now = now_();
  std::erase_if(all, [&](const Audit& a) {
    return !a->exported.empty() || a->meta.deleting || a->model.empty() || !claims(claim_, *a, now, options_.left_behind);
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
  if (!trouble_.empty())
    std::erase_if(trouble_, [&](const auto& entry) {
      return std::none_of(all.begin(), all.end(), [&](const Audit& audit) { return audit->meta.uid == entry.second.uid; });
    });
  bool arrived = false;
  for (const Audit& audit : all) {
    const ObjectKey model{audit->meta.key.ns, audit->model};
    if (stop.stop_requested()) return true;
    if (put_back_.contains(model)) continue;
    const Came came = bring(audit, stop);
    if (came == Came::Arrived)
      arrived = true, back_again(started), trouble_.erase(model);
    else if (!put_back(audit, came, started))
      return away_ = true, false;
  }
  if (arrived) away_ = false;
  if (put_back_.empty()) told_.clear();
  return true;
}

// Its Model waits, and others have their turn. False: the sink may be away, which is found out with this one before another is
// tried.
bool Exporter::put_back(const Audit& audit, Came came, Steady started) {
  const ObjectKey model{audit->meta.key.ns, audit->model};
  if (came == Came::Refused) return put_back_[model] = started + options_.refused_retry, true;
  Trouble& trouble = trouble_[model];
  if (trouble.uid != audit->meta.uid) trouble = {audit->meta.uid, 0, started};
  trouble.pass = started;
  if (++trouble.times == 1) return false;
  if (trouble.times == kTold)
    spdlog::warn("--audit-export: {} did not pass {} times, and later records of its Model wait for it",
                 ObjectRef{Kind::ModelAudit, audit->meta.key}.to_string(), kTold);
  // As long as nothing passes it is the sink that is away: each is tried as soon as that may be over.
  const auto wait = away_ ? options_.longest_retry : options_.longest_retry * (1 << std::min(trouble.times - 2, kDoublings));
  put_back_[model] = started + std::min<std::chrono::milliseconds>(wait, options_.refused_retry);
  return true;
}

// The sink was away, so nobody waits for the troubles of that time; those of this pass are of the objects themselves.
void Exporter::back_again(Steady started) {
  if (!std::exchange(away_, false)) return;
  std::erase_if(trouble_, [&](const auto& entry) {
    if (entry.second.pass == started) return false;
    put_back_.erase(entry.first);
    return true;
  });
}

Exporter::Came Exporter::bring(const Audit& audit, std::stop_token stop) {
  const ObjectRef ref{Kind::ModelAudit, audit->meta.key};
  const auto refused = [&](const std::string& why) {
    return failed(Came::Refused, ref.to_string() + " was refused, and later records of its Model wait for it: " + why, stop);
  };
  if (const auto known = arrived_.find(audit->meta.uid); known != arrived_.end()) return mark(audit, known->second, stop);
  const auto stored = client_.get(ref, stop);
  if (!stored && stored.error().kind == ErrorKind::NotFound) return Came::Arrived;  // somebody deleted it; the watch will tell
  if (!stored && stored.error().kind == ErrorKind::Forbidden) return refused(stored.error().message);
  if (!stored) return failed(Came::Nothing, "the export is interrupted: " + stored.error().message, stop);
  const auto object = parse_json(*stored, kLargestObject, 64);
  const auto lines = object ? lines_of(*object, audit->meta.key.ns) : Result<Lines>(fail(object.error()));
  if (!lines) return refused(lines.error().message);
  if (member(*object, {"metadata", "uid"}) != audit->meta.uid) return Came::Arrived;  // another of this name; it has its turn
  if (const auto written = sink_->write({audit->meta.uid, lines->path, lines->text}, stop); !written) {
    if (written.error().kind == ErrorKind::Invalid) return refused(written.error().message);
    return failed(Came::Nothing, "the export is interrupted: " + written.error().message, stop);
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
  return failed(of_this ? Came::Refused : Came::Nothing, ref.to_string() + " was exported but cannot be annotated: " + stored.error().message, stop);
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
