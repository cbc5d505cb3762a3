// A Model's audit trail as the cluster has it: its ModelAudits, and what waits in its status. Pure, but for read_trail().
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/audit/verify.h"
#include "plugin/session.h"

namespace mo::plugin {

struct Trail {
  std::string model;  // namespace/name
  std::string uid;
  std::vector<audit::Segment> segments;  // in order, what status holds last
  std::vector<Json> objects;             // the ModelAudits, as they are
  std::vector<std::string> others;       // UIDs of earlier Models of that name
  // As the Model's status says; 0: the Model is gone.
  int64_t seq = 0;
  std::string head;
  Json status = Json::object();  // status.audit of the Model, which the trail was read from
};

// Of the Model of that name with that UID; empty: of the one that is there, else of the last that was.
Trail trail_of(const std::string& ns, const std::string& name, const std::optional<Json>& model, const std::vector<Json>& audits,
               const std::string& uid = "");
Result<Trail> read_trail(Session& session, const std::string& model, const std::string& uid = "");

// Those that can be read, in order, each once.
std::vector<Json> records_of(const Trail& trail);

// Whether it is what the operator wrote.
Result<audit::Verified> verify(const Trail& trail, const std::vector<std::string>& public_keys);
// For people: what is whole, then each finding.
std::vector<std::string> lines_of(const audit::Verified& verified, bool signatures_checked);

// What served at that time, since when, why, and by whose word.
std::vector<std::string> served_at(const Trail& trail, TimePoint at);

// The texts of files that each hold a public key.
Result<std::vector<std::string>> read_keys(const std::vector<std::string>& files);

}  // namespace mo::plugin
