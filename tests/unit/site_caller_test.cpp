// Who a request is of, and that nobody can say so but Kubernetes and a declared proxy.
#include <catch2/catch.hpp>

#include "operator/json/json.h"
#include "operator/site/caller.h"

using namespace mo;
using namespace mo::site;
using Catch::Matchers::Contains;

namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

const ProxyRules kRules = [] {
  ProxyRules rules;
  rules.names = {"auth-proxy", "spiffe://prod/proxy"};
  return rules;
}();
const serve::Certified kProxy{true, "", {"cn", "auth-proxy"}};

Caller caller(const Headers& headers, const serve::Certified& certificate = kProxy, const ProxyRules& rules = kRules, const std::string& authorization = "") {
  return caller_of({"/", "", authorization, headers, certificate}, rules);
}
Json groups_of(const Caller& caller) {
  REQUIRE(caller.named);
  return Json::parse(caller.named->user)["groups"];
}

}  // namespace

TEST_CASE("the declared proxy says who somebody is, and of which groups", "[report]") {
  const Caller jane = caller({{"x-forwarded-user", " jane@example.com "}, {"X-Forwarded-Groups", "risk, payments"}, {"X-FORWARDED-GROUPS", "ml"}, {"Cookie", "x"}});
  REQUIRE(jane.named);
  CHECK(jane.named->authenticated);
  CHECK(jane.named->name == "jane@example.com");
  CHECK(groups_of(jane) == Json{"risk", "payments", "ml", "system:authenticated"});
  CHECK(jane.token.empty());
  // In other groups it is another reader, whose rights are asked about anew.
  CHECK(jane.key != caller({{"X-Forwarded-User", "jane@example.com"}}).key);
  CHECK(caller({{"X-Forwarded-User", "joe"}}, {true, "", {"spiffe://prod/proxy"}}).named);
}

TEST_CASE("headers, separator and prefixes are as declared", "[report]") {
  ProxyRules rules = kRules;
  rules.user_header = "X-Remote-User", rules.groups_header = "X-Remote-Group", rules.separator = "|";
  rules.user_prefix = "oidc:", rules.groups_prefix = "idp:";
  REQUIRE(check(rules));
  const Caller joe = caller({{"X-Remote-User", "joe"}, {"X-Remote-Group", "a,b|c"}, {"X-Forwarded-User", "root"}}, kProxy, rules);
  CHECK(joe.named->name == "oidc:joe");
  CHECK(groups_of(joe) == Json{"idp:a,b", "idp:c", "system:authenticated"});
}

TEST_CASE("headers of anybody else count for nothing, and are told why", "[report]") {
  const Headers forged = {{"X-Forwarded-User", "admin"}, {"X-Forwarded-Groups", "system:masters"}};
  ProxyRules none = kRules;
  none.names.clear();
  for (const auto& [certificate, rules, why] :
       {std::tuple(serve::Certified{}, kRules, "no client certificate"), {serve::Certified{true, "self-signed certificate", {"auth-proxy"}}, kRules, "self-signed certificate"},
        {serve::Certified{true, "", {"grafana"}}, kRules, "no name that --proxy-name declares"}, {serve::Certified{true, "", {}}, kRules, "no name that"},
        {serve::Certified{true, "", {"Auth-Proxy", "auth-proxy.evil", std::string("auth-proxy\0x", 12)}}, kRules, "no name that"}, {kProxy, none, "no proxy is declared"}}) {
    const Caller who = caller(forged, certificate, rules);
    CHECK(who.key.empty());
    CHECK_FALSE(who.named);
    CHECK(who.status == 401);
    CHECK_THAT(who.problem, Contains("X-Forwarded-User counts for nothing here") && Contains(why) && !Contains("admin"));
    // With a token they are who the token says.
    const Caller holder = caller(forged, certificate, rules, "Bearer abc");
    CHECK(holder.token == "abc");
    CHECK_FALSE(holder.named);
  }
}

TEST_CASE("a proxy that passes on what callers send, or names what it may not, is refused", "[report]") {
  const auto refused = [](const Headers& headers, int status, const char* why) {
    const Caller who = caller(headers, kProxy, kRules, "Bearer abc");
    CHECK(who.key.empty());
    CHECK(who.status == status);
    CHECK_THAT(who.problem, Contains(why));
  };
  refused({{"X-Forwarded-User", "mallory"}, {"X-Forwarded-User", "jane"}}, 400, "2 times");
  refused({{"X-Forwarded-User", "mallory"}, {"X-Forwarded-User", ""}}, 400, "2 times");
  refused({{"X-Forwarded-User", "system:admin"}}, 403, "Kubernetes' own");
  refused({{"X-Forwarded-User", "system:serviceaccount:kube-system:x"}}, 403, "bearer token");
  refused({{"X-Forwarded-User", std::string(300, 'a')}}, 400, "no name");
  refused({{"X-Forwarded-User", "a\xff"}}, 400, "no name");
  refused({{"X-Forwarded-User", "jane"}, {"X-Forwarded-Groups", "a\x01"}}, 400, "a group");
  std::string many;
  for (int i = 0; i < 300; ++i) many += "g" + std::to_string(i) + ",";
  refused({{"X-Forwarded-User", "jane"}, {"X-Forwarded-Groups", many}}, 400, "more than 256 groups");
  // Kubernetes' own groups are left out: no identity provider makes anybody a master of the cluster.
  CHECK(groups_of(caller({{"X-Forwarded-User", "jane"}, {"X-Forwarded-Groups", "system:masters,,ml"}})) == Json{"ml", "system:authenticated"});
}

TEST_CASE("who names nobody is nobody, and a token passed on counts as one", "[report]") {
  CHECK(caller({}).status == 401);
  CHECK_THAT(caller({{"X-Forwarded-User", ""}}).problem, Contains("names nobody"));
  CHECK_THAT(caller({}, serve::Certified{}).problem, Contains("bearer token"));
  CHECK(caller({}, kProxy, kRules, "bearer abc").token == "abc");
  for (const std::string& odd : {std::string("Basic abc"), std::string("Bearer"), std::string("Bearer "), "Bearer " + std::string(5000, 'x')})
    CHECK(caller({}, {}, kRules, odd).key.empty());
  CHECK(with_token("named x").key != caller({{"X-Forwarded-User", "x"}}).key);
}

TEST_CASE("rules for a proxy that make no sense are named", "[report]") {
  CHECK(check(kRules));
  for (const auto& [change, word] :
       {std::pair<void (*)(ProxyRules&), const char*>([](ProxyRules& r) { r.user_header = "X User"; }, "--proxy-user-header"), {[](ProxyRules& r) { r.groups_header = ""; }, "--proxy-groups-header"},
        {[](ProxyRules& r) { r.separator = ""; }, "--proxy-groups-separator"}, {[](ProxyRules& r) { r.user_prefix = "sys"; }, "--proxy-user-prefix"},
        {[](ProxyRules& r) { r.groups_prefix = "system:x"; }, "--proxy-groups-prefix"}}) {
    ProxyRules rules = kRules;
    change(rules);
    const auto checked = check(rules);
    REQUIRE_FALSE(checked);
    CHECK_THAT(checked.error().message, Contains(word));
  }
}
