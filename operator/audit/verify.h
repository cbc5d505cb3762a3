// Whether an audit trail is what the operator wrote, and if not, where it was changed. Pure, thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "operator/audit/chain.h"
#include "operator/core/result.h"

namespace mo::audit {

struct Finding {
  enum class Is {
    Edited,     // a record is not what its hash says
    Cut,        // records are missing
    Reordered,  // a record stands where another belongs
    Replayed,   // a record is there twice, or is of another Model
    Forged,     // a signature is not of this key, or not of this head
    Unreadable,
  } is;
  std::string what;  // a sentence that names the place
};
const char* to_string(Finding::Is is);

struct Verified {
  int64_t first = 0, last = 0;  // numbers of the records that are there; 0: none
  int64_t records = 0;
  int64_t signed_up_to = 0;       // the last record that a good signature covers
  int64_t pruned = 0, pruned_by = 0;  // records up to this one were exported and pruned, as record `pruned_by` says
  bool end_known = false;         // false: there may have been records after the last
  std::vector<Finding> findings;  // the first kMostFindings
};
inline constexpr size_t kMostFindings = 100;

struct Expected {
  std::string model, uid;  // whose trail it is to be
  // As Model.status.audit says; 0: the Model is gone, or that is not known.
  int64_t seq = 0;
  std::string head;
  std::vector<std::string> public_keys = {};  // PEM; none: signatures are not checked. A signature covers all records before it
};

// `segments`: in any order. Missing records at the beginning count as cut, unless there are none at all, or a record of action Pruned behind them
// names the last of them and its hash; with public keys, one that is signed.
// ErrorKind::Invalid if a public key cannot be read.
Result<Verified> verify(std::vector<Segment> segments, const Expected& expected);

}  // namespace mo::audit
