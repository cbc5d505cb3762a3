// The audit trail of one Model: records in canonical JSON, each with the hash of the one before it. Pure, thread-safe.
//
// A record is one line of JSON with sorted keys and no blanks: action, actor, evidence, hash, model, object, policy, prev, seq,
// time, uid, why. `hash` is the SHA-256 of that line without its hash member; `prev` is the hash of the record before, "" in the
// first. What is hashed is what is stored, byte for byte.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "operator/core/time.h"
#include "operator/json/json.h"

namespace mo::audit {

inline constexpr size_t kLargestRecord = 8192;  // bytes; the CRDs say so too
inline constexpr size_t kLongestWhy = 600;

struct Entry {
  std::string model;     // namespace/name
  std::string uid;    // of the Model
  std::string actor;  // a user name, "operator", or "unknown"
  std::string action;
  Json object;  // {"kind", "name", "uid"}
  std::string why;
  Json evidence = Json::object(), policy = Json::object();
};

struct Link {
  std::string line, hash;
};

// The record of that entry. Evidence that would make it larger than kLargestRecord is left out, and the record says so.
Link seal(const Entry& entry, int64_t seq, TimePoint at, const std::string& prev);

// As records are stored and hashed.
std::string canonical(const Json& record);
// A member that is a text; empty if it is none.
std::string text_in(const Json& record, const char* name);

// By what the line says of itself; empty if it says nothing.
std::string action_of(const std::string& line);
std::string hash_in(const std::string& line);
std::string prev_in(const std::string& line);

// What a ModelAudit holds, and what Model.status does not hold yet: consecutive records.
struct Segment {
  bool pending = false;  // of Model.status, not of a ModelAudit
  std::string name;      // of the ModelAudit
  std::string model;     // namespace/name
  std::string uid;
  int64_t first = 0, last = 0;
  std::string prev, head;
  std::vector<std::string> records;
  std::string key_id, signature;  // empty: not signed
};

// What a signature is of: five lines of text, each ended by a line feed.
std::string checkpoint(const std::string& model, const std::string& uid, int64_t seq, const std::string& head);

}  // namespace mo::audit
