#include "reconcilers/lifecycle/lifecycle.h"

#include <algorithm>
#include <array>
#include <ctime>

#include "operator/json/json.h"
#include "reconcilers/serving/route.h"

namespace mo::lifecycle {
namespace {

using Stage = api::Lifecycle::Stage;
using std::chrono::hours;

constexpr std::array<int, 3> kNoticeDays = {1, 7, 30};
constexpr Duration kAskAgain = std::chrono::minutes(10);
// A timer that is far away is set anew once a day: nothing then hangs on one sleep of months.
constexpr Duration kLongestSleep = hours(24);

// As HTTP writes dates (RFC 9110): "Sun, 06 Nov 1994 08:49:37 GMT", whatever the process' locale is.
std::string http_date(TimePoint at) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::string text = format_time(at);  // 2026-11-22T09:00:00Z
  const auto days = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date(days);
  return std::string(kDays[std::chrono::weekday(days).c_encoding()]) + ", " + text.substr(8, 2) + " " +
         kMonths[static_cast<unsigned>(date.month()) - 1] + " " + text.substr(0, 4) + " " + text.substr(11, 8) + " GMT";
}

std::string seconds_of(TimePoint at) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(at.time_since_epoch()).count());
}

class Decide {
 public:
  Decide(const Observed& o, TimePoint now) : o_(o), m_(*o.model), now_(now) {}

  Decision run() {
    out_.status = m_.status.lifecycle;
    if (!m_.problem.empty()) {
      // What cannot be read changes nothing: a retired Model stays so.
      out_.retired = out_.status.stage == word(Stage::Retired);
      return std::move(out_);
    }
    enter(m_.lifecycle ? word(stage()) : out_.status.stage.empty() ? "" : word(Stage::Production));
    out_.retired = m_.lifecycle && stage() == Stage::Retired;
    if (!m_.lifecycle) {
      out_.status.notices.clear();
      out_.status.announced.clear();
      return std::move(out_);
    }
    give_notice();
    tell_condition();
    if (stage() == Stage::Deprecated) announce();
    else out_.status.announced.clear();
    return std::move(out_);
  }

 private:
  const api::Lifecycle& spec() const { return *m_.lifecycle; }

  Stage stage() const {
    if (spec().stage == Stage::Retired || past(spec().retire_at)) return Stage::Retired;
    return past(spec().deprecate_at) ? Stage::Deprecated : spec().stage;
  }
  bool past(const std::optional<TimePoint>& at) const { return at && *at <= now_; }

  void enter(const std::string& stage) {
    api::LifecycleStatus& s = out_.status;
    if (stage == s.stage) return;
    const std::string before = std::exchange(s.stage, stage);
    s.since = now_;
    if (stage == word(Stage::Retired))
      event("Retired", "retired: no version serves; history is kept" + successor(". Callers should switch to Model "), true);
    else if (before == word(Stage::Retired))
      event("BackInService", "back in service: its stage is " + stage);
    else if (stage == word(Stage::Deprecated))
      event("Deprecated", "deprecated: it keeps serving" + successor("; callers should switch to Model "), true);
  }

  std::string successor(const std::string& words) const {
    return m_.lifecycle && !spec().successor.empty() ? words + spec().successor : "";
  }

  // ---- notice ----

  void give_notice() {
    const bool retired = stage() == Stage::Retired, deprecated = retired || stage() == Stage::Deprecated;
    std::vector<std::string> kept;
    if (!deprecated) notice("deprecation", "spec.lifecycle.deprecateAt", spec().deprecate_at, kept);
    if (!retired) notice("retirement", "spec.lifecycle.retireAt", spec().retire_at, kept);
    if (!retired) review(kept);
    out_.status.notices = std::move(kept);
  }

  void notice(const std::string& what, const std::string& field, const std::optional<TimePoint>& at, std::vector<std::string>& kept) {
    if (!at) return;
    look_again(*at);
    for (const int days : kNoticeDays) {
      if (*at - now_ > hours(24 * days)) {
        look_again(*at - hours(24 * days));
        continue;
      }
      const std::string left = days == 1 ? "1 day" : std::to_string(days) + " days";
      const char* reason = what == "review" ? "ReviewNotice" : what == "retirement" ? "RetirementNotice" : "DeprecationNotice";
      once(what + " " + format_time(*at) + ", " + left, reason,
           what + " is due within " + left + ", on " + format_time(*at) + " (" + field + ")" +
               (what == "review" ? "" : successor("; callers should switch to Model ")), kept);
      return;
    }
  }

  void review(std::vector<std::string>& kept) {
    if (!spec().review_by) return;
    if (!past(spec().review_by)) return notice("review", "spec.lifecycle.reviewBy", spec().review_by, kept);
    const std::string at = format_time(*spec().review_by);
    once("review " + at, "ReviewDue", "its review was due by " + at + ": review the Model, then set spec.lifecycle.reviewBy to the next date", kept);
  }

  void once(const std::string& notice, const std::string& reason, const std::string& note, std::vector<std::string>& kept) {
    const auto& given = m_.status.lifecycle.notices;
    if (std::find(given.begin(), given.end(), notice) == given.end()) event(reason, note, true);
    kept.push_back(notice);
  }

  void tell_condition() {
    const std::string since = " since " + format_time(*out_.status.since);
    switch (stage()) {
      case Stage::Retired:
        out_.end_of_life = {true, "Retired", "retired" + since + successor("; its successor is Model ")};
        return;
      case Stage::Deprecated:
        out_.end_of_life = {true, "Deprecated",
                            "deprecated" + since + (spec().retire_at ? ", retires on " + format_time(*spec().retire_at) : "") +
                                successor("; its successor is Model ")};
        return;
      default:
        break;
    }
    const auto& notices = out_.status.notices;
    const auto coming = std::find_if(notices.begin(), notices.end(), [](const std::string& n) { return !n.starts_with("review"); });
    if (coming == notices.end()) out_.end_of_life = {false, "InUse", ""};
    else
      out_.end_of_life = {true, coming->starts_with("retirement") ? "RetirementNotice" : "DeprecationNotice",
                          coming->substr(0, coming->find(',')) + successor("; callers should switch to Model ")};
  }

  // ---- to callers ----

  // A gateway that does not know how to set headers might refuse the whole route, so it is asked first; what it said is on record.
  void announce() {
    if (!m_.route) return out_.status.announced.clear();
    const std::string gateways = hash_of(m_.route->parent_refs);
    if (out_.status.announced != gateways && !can(gateways)) return;
    out_.headers["Deprecation"] = "@" + seconds_of(spec().deprecate_at && *spec().deprecate_at <= now_ ? *spec().deprecate_at : *out_.status.since);
    if (spec().retire_at) out_.headers["Sunset"] = http_date(*spec().retire_at);
    if (!spec().successor.empty()) out_.headers["Model-Successor"] = spec().successor;
  }

  bool can(const std::string& gateways) {
    out_.status.announced.clear();
    const auto keys = serving::gateways_of(m_);
    if (keys.empty()) return false;
    const int64_t slot = now_.time_since_epoch() / kAskAgain;
    Ask ask{"headers/" + m_.meta.uid + "/" + gateways + "/" + std::to_string(slot), AskGateways{keys, "HTTPRouteResponseHeaderModification"}};
    const auto answer = o_.answers.find(ask.id);
    look_again(TimePoint(kAskAgain * (slot + 1)));
    out_.asks.push_back(std::move(ask));
    if (answer == o_.answers.end() || !answer->second.text) return false;
    out_.status.announced = gateways;
    return true;
  }

  void event(const std::string& reason, const std::string& note, bool warning = false) {
    out_.events.push_back({{Kind::Model, o_.key}, m_.meta.uid, warning, reason, note});
  }
  void look_again(TimePoint at) {
    at = std::min(at, now_ + kLongestSleep);
    if (at > now_ && (!out_.look_again || at < *out_.look_again)) out_.look_again = at;
  }

  const Observed& o_;
  const api::Model& m_;
  TimePoint now_;
  Decision out_;
};

}  // namespace

std::string word(Stage stage) {
  switch (stage) {
    case Stage::Development:
      return "Development";
    case Stage::Staging:
      return "Staging";
    case Stage::Production:
      return "Production";
    case Stage::Deprecated:
      return "Deprecated";
    case Stage::Retired:
      return "Retired";
  }
  return "";
}

Decision decide(const Observed& observed, TimePoint now) { return Decide(observed, now).run(); }

}  // namespace mo::lifecycle
