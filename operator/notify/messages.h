// An Event as Slack, Teams, PagerDuty and CloudEvents take it. Pure. What users wrote is only text there: no link, no mention, no markup.
#pragma once

#include <string>

#include "operator/core/plan.h"
#include "operator/core/time.h"
#include "operator/notify/targets.h"

namespace mo::notify {

struct Message {
  std::string content_type, body;
};

// `id`: the same for the same news. `token`: the routing key for PagerDuty.
// Sources: Slack incoming webhooks (escaping of &, <, >); Teams workflows with Adaptive Cards 1.4; PagerDuty Events API v2; CloudEvents 1.0,
// structured mode.
Message message_for(const Target& target, const Event& event, const std::string& id, const std::string& token, TimePoint now);

}  // namespace mo::notify
