// Who sees what of the report, and how it is answered.
#include <catch2/catch.hpp>
#include <map>

#include "operator/site/readers.h"
#include "operator/site/server.h"
#include "operator/kube/credentials.h"
#include "tests/unit/report_make.h"

using namespace mo;
using Catch::Matchers::Contains;
using report::test::kNow;
using report::test::model;

namespace {

// Tokens are names of people; what each may list is "models in ns" and so on.
class Kubernetes final : public kube::HttpTransport {
 public:
  std::map<std::string, std::set<std::string>> may;  // user -> "plural/namespace"
  int asked = 0, tokens = 0;
  Json groups;  // that the last review was about
  bool away = false;

  Result<kube::HttpResponse> send(const kube::HttpRequest& request, std::stop_token) override {
    ++asked;
    if (away) return fail(ErrorKind::Transport, "cut");
    const Json body = Json::parse(request.body);
    if (body["kind"] == "TokenReview") {
      ++tokens;
      const std::string user = body["spec"]["token"];
      const bool known = may.contains(user);
      Json status = {{"authenticated", known}};
      if (known) status["user"] = {{"username", user}, {"groups", {"people"}}};
      return kube::HttpResponse{201, {}, Json{{"status", status}}.dump()};
    }
    const Json& attributes = body["spec"]["resourceAttributes"];
    groups = body["spec"].value("groups", Json());
    REQUIRE(attributes["verb"] == "list");
    REQUIRE(attributes["group"] == "modelops.dev");
    const std::string right = attributes["resource"].get<std::string>() + "/" + attributes.value("namespace", "");
    return kube::HttpResponse{201, {}, Json{{"status", {{"allowed", may[body["spec"]["user"]].contains(right)}}}}.dump()};
  }
  Result<kube::HttpResponse> stream(const kube::HttpRequest& request, const kube::LineSink&, std::stop_token stop) override {
    return send(request, stop);
  }
};

std::set<std::string> rights(const std::string& ns) { return {"models/" + ns, "modelversions/" + ns, "modelrollouts/" + ns}; }

struct Setting {
  Kubernetes* kubernetes = new Kubernetes;
  site::Readers readers{std::make_unique<kube::AccessReviews>(std::unique_ptr<kube::HttpTransport>(kubernetes), credentials(), kube::ClientOptions{})};
  site::Readers::Snapshot whole = [] {
    report::Collector c;
    c.add("Model", model("fraud", "pay"));
    c.add("Model", model("secret", "research"));
    c.gap("ModelPolicies could not be read");
    return std::make_shared<const report::Portfolio>(std::move(c).finish(kNow, "all namespaces"));
  }();

  static std::shared_ptr<kube::Credentials> credentials() {
    kube::Config config;
    config.server = "https://x";
    return std::make_shared<kube::Credentials>(config);
  }
  site::Readers::Snapshot view(const std::string& token) {
    const auto view = readers.view(site::with_token(token), whole, {});
    REQUIRE(view);
    return *view;
  }
};

}  // namespace

TEST_CASE("a reader sees the namespaces that they may list, and nothing of others", "[report]") {
  Setting site;
  site.kubernetes->may["jane"] = rights("pay");
  const auto view = site.view("jane");
  REQUIRE(view);
  REQUIRE(view->models.size() == 1);
  CHECK(view->models[0].name == "fraud");
  for (const char* path : {"/", "/delivery", "/compliance", "/activity", "/data/models.csv", "/data/findings.json"}) {
    const serve::Reply reply = site::answer(*view, path, "");
    CHECK(reply.status == 200);
    CHECK_THAT(reply.body, !Contains("secret") && !Contains("research"));
  }
  CHECK(site::answer(*view, "/models/pay/fraud", "").status == 200);
  // What may not be seen looks as what is not there.
  const serve::Reply hidden = site::answer(*view, "/models/research/secret", ""), none = site::answer(*view, "/models/research/none", "");
  CHECK(hidden.status == 404);
  CHECK(hidden.body == none.body);
}

TEST_CASE("whoever may list in all namespaces sees all, and is asked about three kinds alone", "[report]") {
  Setting site;
  site.kubernetes->may["admin"] = rights("");
  CHECK(site.view("admin") == site.whole);
  CHECK(site.kubernetes->asked == 4);
  site.view("admin");
  CHECK(site.kubernetes->asked == 4);  // remembered
}

// With another token of one account a reader could keep the site asking for minutes, and nobody else was answered.
TEST_CASE("rights in many namespaces are asked about in parts, once for each account", "[report]") {
  Setting site;
  report::Collector c;
  for (int i = 0; i < 700; ++i) c.add("Model", model("m", "ns" + std::to_string(i)));
  site.whole = std::make_shared<const report::Portfolio>(std::move(c).finish(kNow, "all namespaces"));
  site.kubernetes->may["jane"] = rights("ns699");
  for (int i = 0; i < 2; ++i) {
    const auto view = site.readers.view(site::with_token("jane"), site.whole, {});
    REQUIRE_FALSE(view);
    CHECK(view.error().kind == ErrorKind::TooManyRequests);
    CHECK_FALSE(site.readers.knows(site::with_token("jane")));
  }
  const auto view = site.view("jane");
  CHECK(view->models.size() == 1);
  CHECK(site.readers.knows(site::with_token("jane")));
  CHECK(site.kubernetes->asked < 3 * 2 + 700 + 3);  // no namespace twice
}

TEST_CASE("whom a proxy names sees what Kubernetes says, by name and groups, and no token is asked about", "[report]") {
  Setting site;
  site.kubernetes->may["jane"] = rights("pay");
  site::ProxyRules rules;
  rules.names = {"proxy"};
  const auto caller = [&](const std::string& user) {
    return site::caller_of({"/", "", "", {{"X-Forwarded-User", user}, {"X-Forwarded-Groups", "risk"}}, {true, "", {"proxy"}}}, rules);
  };
  const auto view = site.readers.view(caller("jane"), site.whole, {});
  REQUIRE(view);
  REQUIRE((*view)->models.size() == 1);
  CHECK((*view)->models[0].name == "fraud");
  CHECK(site.kubernetes->groups == Json{"risk", "system:authenticated"});
  CHECK(site.kubernetes->tokens == 0);
  CHECK(site.readers.knows(caller("jane")));
  // As a token the same words are nobody's.
  CHECK_FALSE(site.readers.knows(site::with_token("jane")));
  const auto stranger = site.readers.view(caller("mallory"), site.whole, {});
  REQUIRE(stranger);
  CHECK((*stranger)->models.empty());
}

TEST_CASE("a reader without rights sees nothing and learns nothing", "[report]") {
  Setting site;
  site.kubernetes->may["nobody"] = {};
  site.kubernetes->may["half"] = {"models/pay"};
  for (const char* token : {"nobody", "half"}) {
    const auto view = site.view(token);
    REQUIRE(view);
    CHECK(view->models.empty());
    CHECK(view->gaps.empty());
    CHECK_THAT(site::answer(*view, "/", "").body, Contains("There is no Model yet") && !Contains("fraud") && !Contains("pay<"));
  }
}

TEST_CASE("a token that nobody has lets nobody in, and no failure does", "[report]") {
  Setting site;
  CHECK(site.view("stolen") == nullptr);
  site.kubernetes->away = true;
  CHECK_FALSE(site.readers.view(site::with_token("other"), site.whole, {}));
}

TEST_CASE("each page forbids scripts, frames and caches", "[report]") {
  Setting site;
  for (const char* path : {"/", "/models/pay/fraud", "/nothing", "/data/models.json"}) {
    const serve::Reply reply = site::answer(*site.whole, path, "");
    const auto header = [&](const std::string& name) {
      for (const auto& [key, value] : reply.headers)
        if (key == name) return value;
      return std::string();
    };
    CHECK_THAT(header("Content-Security-Policy"), Contains("default-src 'none'") && Contains("frame-ancestors 'none'") && !Contains("unsafe"));
    CHECK(header("Cache-Control") == "no-store");
  }
  CHECK(site::answer(*site.whole, "/data/../models.csv", "").status == 404);
  CHECK(site::answer(*site.whole, "/data/models", "").status == 404);
}

TEST_CASE("a table of servers is there only if pods were looked at", "[report]") {
  Setting site;
  report::Portfolio p = *site.whole;
  for (const bool known : {false, true}) {
    p.servers_known = known;
    for (const char* path : {"/data/servers.json", "/data/servers.csv"}) CHECK(site::answer(p, path, "").status == (known ? 200 : 404));
  }
}
