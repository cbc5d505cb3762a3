// One person's word on what a rollout waits for: a ModelApproval, after a look at what it is about.
#pragma once

#include <string>

#include "plugin/session.h"

namespace mo::plugin {

struct Approving {
  std::string model, rollout, role, reason, ticket;
  bool approved = true;  // or rejected
  bool only_show = false;
  std::string output;  // empty: sentences
};

// Shows what is approved on standard error, then writes it.
int approve(Session& session, const Approving& approving);

// The ModelApproval that `user` would write of what this rollout waits for. Refuses where it waits for none, or the role is not
// asked.
Result<Json> approval_of(const Approving& approving, const Json& rollout, const std::string& user);

// The lines that say what one approves.
std::vector<std::string> subject_lines(const Json& rollout, const Json& version);

// The user name that the API server knows the caller by.
Result<std::string> whoami(Session& session);

}  // namespace mo::plugin
