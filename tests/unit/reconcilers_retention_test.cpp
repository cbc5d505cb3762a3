// Which ModelAudits are deleted, and when; never one that was not exported, nor one that a record does not tell of.
#include <catch2/catch.hpp>

#include "operator/api/statuses.h"
#include "reconcilers/audit/retention.h"
#include "reconcilers/model/plan.h"
#include "tests/unit/reconcilers_make.h"

using namespace mo;
using namespace mo::test;
using std::chrono::hours;

namespace {

constexpr Duration kYear = hours(8760);

struct Kept : Scene {
  Kept() {
    serving("m-v1");
    model.status.audit.seq = 40;
    model.status.audit.head = "sha256:40";
    settings.keep = kYear;
  }
  // Of records `last - 3` to `last`, sealed so long ago.
  api::ModelAudit& sealed(int last, Duration ago, bool exported = true, const std::string& uid = "uid-m") {
    auto a = std::make_shared<api::ModelAudit>();
    a->meta = meta("m-" + std::to_string(last) + "-" + uid);
    a->meta.created = kNow - ago;
    a->model = "m";
    if (exported)
      a->exported = format_time(kNow) + " " + uid + " " + std::to_string(last - 3) + " " + std::to_string(last) + " sha256:" + std::to_string(last);
    o.audit_objects.push_back(a);
    o.audits.insert(a->meta.key.name);
    return *a;
  }
  void trail(int old, int fresh) {
    for (int i = 1; i <= old + fresh; ++i) sealed(4 * i, i <= old ? kYear + hours(48) : hours(1));
  }
  std::vector<std::string> deleted() {
    std::vector<std::string> names;
    for (const Action& action : audit::prune(observed(), &model.status.audit, settings, kNow))
      names.push_back(std::get<Delete>(action).target.key.name);
    return names;
  }
  audit::Settings settings;
};

}  // namespace

TEST_CASE("what the annotation of an exported ModelAudit says is read, or nothing is", "[audit]") {
  const auto read = audit::exported("2026-11-30T12:00:00Z uid-m 5 8 sha256:x");
  REQUIRE(read);
  CHECK((read->uid == "uid-m" && read->first == 5 && read->last == 8 && read->head == "sha256:x"));
  for (const char* bad : {"", "2026-11-30T12:00:00Z uid-m 5 8", "2026-11-30T12:00:00Z uid-m 5 8 h more", "then uid-m 5 8 h", "2026-11-30T12:00:00Z uid-m 9 8 h",
                          "2026-11-30T12:00:00Z uid-m 0 8 h", "2026-11-30T12:00:00Z uid-m a b h", "2026-11-30T12:00:00Z uid-m 5 99999999999999999999 h"})
    CHECK_FALSE(audit::exported(bad));
}

TEST_CASE("the oldest go, in a row, exported, and never the last", "[audit]") {
  Kept k;
  SECTION("three are old enough") {
    k.trail(3, 2);
    const auto old = audit::prunable(k.observed(), k.settings, kNow);
    CHECK((old.objects == 3 && old.first == 1 && old.through == 12 && old.head == "sha256:12"));
  }
  SECTION("the last stays, however old") {
    k.trail(4, 0);
    CHECK(audit::prunable(k.observed(), k.settings, kNow).through == 12);
  }
  SECTION("one is not worth a record") {
    k.trail(1, 3);
    CHECK(audit::prunable(k.observed(), k.settings, kNow).objects == 0);
  }
  SECTION("a few wait a day, so that more go at once") {
    for (int i = 1; i <= 4; ++i) k.sealed(4 * i, kYear + hours(1));
    CHECK(audit::prunable(k.observed(), k.settings, kNow).objects == 0);
    CHECK(audit::prunable(k.observed(), k.settings, kNow + hours(24)).objects == 3);
    CHECK(audit::prunes_next(k.observed(), k.settings, kNow) == kNow + hours(23));
  }
  SECTION("one that was not exported keeps all after it") {
    k.trail(2, 0);
    k.sealed(12, kYear + hours(48), false);
    k.sealed(16, kYear + hours(48));
    k.sealed(20, hours(1));
    CHECK(audit::prunable(k.observed(), k.settings, kNow).through == 8);
  }
  SECTION("no record hides what somebody deleted") {
    k.trail(5, 1);
    k.o.audit_objects.erase(k.o.audit_objects.begin() + 2);
    CHECK(audit::prunable(k.observed(), k.settings, kNow).through == 8);
    k.o.audit_objects.erase(k.o.audit_objects.begin());
    CHECK(audit::prunable(k.observed(), k.settings, kNow).objects == 0);
  }
  SECTION("nobody says for how long: for ever; a policy's word comes before the operator's") {
    k.trail(3, 2);
    k.settings.keep.reset();
    CHECK(audit::prunable(k.observed(), k.settings, kNow).objects == 0);
    k.settings.keep = kYear;
    k.o.audits_kept = 2 * kYear;
    CHECK(audit::prunable(k.observed(), k.settings, kNow).objects == 0);
    CHECK(audit::prunes_next(k.observed(), k.settings, kNow) == kNow + kYear - hours(48));
  }
}

TEST_CASE("a record says so before they are deleted, and every prefix of that is safe", "[audit]") {
  Kept k;
  k.trail(3, 2);
  CHECK(k.deleted().empty());  // nothing says so yet
  const Observed seen = k.observed();
  const auto next = audit::record({.observed = seen, .next = seen.model->status, .settings = &k.settings}, kNow);
  REQUIRE(next.records.size() == 1);
  const Json record = Json::parse(next.records[0]);
  CHECK((record["action"] == "Pruned" && record["seq"] == 41 && record["prev"] == "sha256:40"));
  CHECK((record["evidence"]["through"] == 12 && record["evidence"]["head"] == "sha256:12" && record["evidence"]["serves"]["version"] == "m-v1"));
  CHECK(next.pruned == 12);
  CHECK(api::to_json(next)["prunedThrough"] == 12);
  CHECK(audit::seal(k.observed(), next, k.settings).size() == 1);  // at once, so that it is signed
  k.model.status.audit = next;
  CHECK(k.deleted() == std::vector<std::string>{"m-4-uid-m", "m-8-uid-m", "m-12-uid-m"});
  k.o.audit_objects.erase(k.o.audit_objects.begin());  // a crash behind the first
  CHECK(k.deleted() == std::vector<std::string>{"m-8-uid-m", "m-12-uid-m"});
  const Observed later = k.observed();
  CHECK(audit::record({.observed = later, .next = later.model->status, .settings = &k.settings}, kNow).seq == 41);
}

TEST_CASE("the trail of a Model that is gone goes as a whole", "[audit]") {
  Kept k;
  for (int i = 1; i <= 3; ++i) k.sealed(4 * i, kYear + hours(2), true, "uid-before");
  k.sealed(4, hours(1));
  CHECK(k.deleted().size() == 3);
  SECTION("one of it is younger") {
    k.sealed(16, hours(1), true, "uid-before");
    CHECK(k.deleted().empty());
  }
  SECTION("one was not exported, and may be of it") {
    k.sealed(16, kYear + hours(2), false);
    CHECK(k.deleted().empty());
  }
  SECTION("who makes the Model anew shortens nothing") {
    k.o.audits_kept = hours(1);
    k.o.others_audits_kept = 2 * kYear;
    CHECK(k.deleted().empty());
  }
  SECTION("another installation does it") {
    k.settings.prune_others = false;
    CHECK(k.deleted().empty());
  }
  SECTION("there is no Model at all") {
    Observed gone = k.observed();
    gone.model = nullptr;
    model::Settings settings = kSettings;
    settings.audit.keep = kYear;
    const Plan plan = model::plan(gone, kNow, settings);
    CHECK(plan.actions.size() == 3);
    CHECK(plan.requeue_after == kYear - hours(1));
  }
}

TEST_CASE("a gap in a trail stops its retention, which is told once", "[audit]") {
  Kept k;
  k.trail(5, 1);
  const auto why = [&] { return audit::stopped(k.observed(), k.settings, kNow); };
  CHECK(why() == "");
  SECTION("one that is not exported yet may be what is missing") {
    k.o.audit_objects.erase(k.o.audit_objects.begin() + 2);
    k.sealed(12, kYear, false);
    CHECK(why() == "");
  }
  SECTION("behind it nothing is old enough") {
    k.o.audit_objects.erase(k.o.audit_objects.begin() + 4);
    CHECK(why() == "");
  }
  SECTION("somebody deleted one") {
    k.o.audit_objects.erase(k.o.audit_objects.begin() + 2);
    CHECK_THAT(why(), Catch::Matchers::StartsWith("ModelAudits are never deleted from record 13 on, because no ModelAudit holds records 9 to 12: it was deleted"));
    const auto event = audit::tell_stopped(k.observed(), why());
    REQUIRE(event);
    CHECK((event->warning && event->reason == "RetentionStopped" && event->note == why()));
    CHECK_FALSE(audit::tell_stopped(k.observed(), ""));
    model::Settings settings = kSettings;
    settings.audit = k.settings;
    const auto told = [&] {
      const Plan plan = model::plan(k.observed(), kNow, settings);
      return std::count_if(plan.events.begin(), plan.events.end(), [](const Event& e) { return e.reason == "RetentionStopped"; });
    };
    CHECK(told() == 1);
    k.model.status.conditions = {{"Audited", "False", audit::kRetentionStopped, why(), kNow, 1}};
    CHECK(told() == 0);
  }
}
