// kubectl model evidence: what a rollout rests on as one file; kubectl model verify: whether such a file is what it says, without
// a cluster.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "plugin/session.h"
#include "plugin/trail.h"

namespace mo::plugin {

struct Gathering {
  std::string name;                      // a ModelRollout, or a ModelVersion, whose last rollout is meant
  std::string file;                      // to write
  std::vector<std::string> public_keys;  // files; the first goes into the pack
};
int gather_evidence(Session& session, const Gathering& gathering);

struct Checking {
  std::string file;
  std::vector<std::string> public_keys;
};
// Exit codes: kDone; kNo, something is not as it was packed or recorded; kTrouble, it cannot be read.
int verify_evidence(const Checking& checking, std::ostream& out, std::ostream& err);

// ---- pure ----

using Files = std::map<std::string, std::string>;  // by name

struct Evidence {
  Json model, version, rollout;
  std::vector<Json> lineage, approvals;
  Trail trail;
  std::string public_key;  // PEM, or empty
  TimePoint at{};
};
// All files of the pack, SHA256SUMS with the hashes of the others among them.
Files pack(const Evidence& evidence);

struct Checked {
  std::vector<std::string> good, bad;  // sentences
};
Checked check(const Files& files, const std::vector<std::string>& public_keys);

// The model card for people.
std::string card_of(const Evidence& evidence);

}  // namespace mo::plugin
