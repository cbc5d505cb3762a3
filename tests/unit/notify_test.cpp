// Whom Events go to, in which words, and what happens to a target that does not answer.
#include <catch2/catch.hpp>
#include <fstream>
#include <mutex>
#include <thread>

#include "operator/json/json.h"
#include "operator/notify/messages.h"
#include "operator/notify/notifier.h"
#include "tests/unit/temp_dir.h"

using namespace mo;
using namespace mo::notify;
using Catch::Matchers::Contains;
using namespace std::chrono_literals;

namespace {

Event rolled_back(const std::string& ns = "pay") {
  return {{Kind::Model, {ns, "fraud"}}, "uid-1", true, "RolloutRolledBack", "gate accuracy: 0.7 < 0.9"};
}

std::string wrong(const std::string& yaml) {
  const auto targets = read_targets(yaml);
  return targets ? "" : targets.error().message;
}

Json body_of(Target::Format format, const Event& event) {
  Target target;
  target.format = format;
  return Json::parse(message_for(target, event, "fraud.1", "key", TimePoint{}).body);
}

class Web final : public kube::HttpTransport {
 public:
  std::function<Result<kube::HttpResponse>(const kube::HttpRequest&, std::stop_token)> respond = [](const auto&, auto) { return kube::HttpResponse{200, {}, ""}; };

  Result<kube::HttpResponse> send(const kube::HttpRequest& request, std::stop_token stop) override {
    {
      std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    return respond(request, stop);
  }
  Result<kube::HttpResponse> stream(const kube::HttpRequest& request, const kube::LineSink&, std::stop_token stop) override { return send(request, stop); }
  std::vector<kube::HttpRequest> requests() {
    std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  std::mutex mutex_;
  std::vector<kube::HttpRequest> requests_;
};

Target target(const std::string& name, const std::string& url) {
  Target t;
  t.name = name;
  t.url = url;
  return t;
}

// Until it holds; a test that hangs is ended by ctest.
void wait_for(const std::function<bool()>& holds) {
  while (!holds()) std::this_thread::sleep_for(1ms);
}

}  // namespace

TEST_CASE("the file of targets is read, and what is wrong in it is told by target and field", "[notify]") {
  const auto targets = read_targets(R"(
targets:
- {name: ops, format: Slack, urlFile: /etc/notify/ops, namespaces: [pay, "risk-*"], reasons: [RolloutRolledBack]}
- {name: bus, format: CloudEvents, url: "http://bus.example/", severity: Normal}
- {name: pager, format: PagerDuty, tokenFile: /etc/notify/key}
)");
  REQUIRE(targets);
  REQUIRE(targets->size() == 3);
  CHECK(targets->at(2).url == "https://events.pagerduty.com/v2/enqueue");
  CHECK(targets->at(0).wants(rolled_back()));
  CHECK(targets->at(0).wants(rolled_back("risk-eu")));
  CHECK_FALSE(targets->at(0).wants(rolled_back("other")));
  Event other = rolled_back();
  other.reason = "JobFailed";
  CHECK_FALSE(targets->at(0).wants(other));
  Event good = rolled_back();
  good.warning = false;
  CHECK(targets->at(1).wants(good));
  CHECK_FALSE(targets->at(2).wants(good));

  CHECK_THAT(wrong("targets: 7"), Contains("the list targets"));
  CHECK_THAT(wrong("targets: [x: {"), Contains("line 1"));
  CHECK_THAT(wrong("targets: [{format: Slack}]"), Contains("targets[0] needs a name"));
  CHECK_THAT(wrong("targets: [{name: a, format: Mail, url: 'http://x'}]"), Contains("target a format must be Slack, Teams, PagerDuty or CloudEvents"));
  CHECK_THAT(wrong("targets: [{name: a, format: Slack}]"), Contains("target a needs url or urlFile"));
  CHECK_THAT(wrong("targets: [{name: a, format: Slack, url: 'ftp://x'}]"), Contains("must begin with https:// or http://"));
  CHECK_THAT(wrong("targets: [{name: a, format: PagerDuty}]"), Contains("PagerDuty needs tokenFile"));
  CHECK_THAT(wrong("targets: [{name: a, format: Slack, url: 'http://x', chanel: b}]"), Contains("has no field chanel"));
  CHECK_THAT(wrong("targets: [{name: a, format: Slack, url: 'http://x', severity: bad}]"), Contains("severity must be Warning or Normal"));
  CHECK_THAT(wrong("targets: [{name: a, format: Slack, url: 'http://x', reasons: b}]"), Contains("must be lists of texts"));
  CHECK_THAT(wrong("targets: [{name: a, format: Slack, url: 'http://x'}, {name: a, format: Slack, url: 'http://x'}]"), Contains("two targets are called a"));
}

TEST_CASE("what users wrote is only text in every format", "[notify]") {
  Event event = rolled_back();
  event.note = "<!channel> <https://evil.example|click> **bold** \xff & \"quoted\"";
  CHECK(body_of(Target::Format::Slack, event)["text"] ==
        "Model pay/fraud: RolloutRolledBack: &lt;!channel&gt; &lt;https://evil.example|click&gt; **bold** ? &amp; \"quoted\"");
  const Json card = body_of(Target::Format::Teams, event)["attachments"][0]["content"];
  CHECK(card["body"][0]["type"] == "RichTextBlock");  // no Markdown
  CHECK_THAT(card["body"][0]["inlines"][1]["text"].get<std::string>(), Contains("**bold**"));
  const Json incident = body_of(Target::Format::PagerDuty, event);
  CHECK(incident["routing_key"] == "key");
  CHECK(incident["dedup_key"] == "fraud.1");
  CHECK(incident["payload"]["severity"] == "warning");
  const Json cloud = body_of(Target::Format::CloudEvents, event);
  CHECK(cloud["source"] == "/apis/modelops.dev/v1alpha1/namespaces/pay/models/fraud");
  CHECK(cloud["type"] == "dev.modelops.RolloutRolledBack");
  CHECK(cloud["id"] == "fraud.1");
  CHECK(cloud["data"]["namespace"] == "pay");
}

TEST_CASE("a message is tried again until it arrives, and given up where that is of no use", "[notify]") {
  Web web;
  std::atomic<int> tries{0};
  web.respond = [&](const kube::HttpRequest& request, std::stop_token) -> Result<kube::HttpResponse> {
    if (request.target == "http://gone/") return kube::HttpResponse{404, {}, ""};
    const int now = ++tries;
    if (now == 1) return fail(ErrorKind::Transport, "cut");
    return kube::HttpResponse{now == 2 ? 503 : 204, {}, ""};
  };
  Notifier notifier(web, {target("good", "http://good/"), target("gone", "http://gone/")}, {.first_retry = 1ms});
  std::jthread thread([&](std::stop_token stop) { notifier.run(stop); });
  notifier.send(rolled_back(), "fraud.1");
  wait_for([&] { return notifier.counts()[0].sent == 1 && notifier.counts()[1].failed == 1; });
  CHECK(tries == 3);
  CHECK(web.requests().size() == 4);
}

TEST_CASE("a target that hangs delays no other, and its queue is bounded", "[notify]") {
  Web web;
  web.respond = [](const kube::HttpRequest& request, std::stop_token stop) -> Result<kube::HttpResponse> {
    while (request.target == "http://hangs/" && !stop.stop_requested()) std::this_thread::sleep_for(1ms);
    return kube::HttpResponse{200, {}, ""};
  };
  Notifier notifier(web, {target("hangs", "http://hangs/"), target("good", "http://good/")}, {.first_retry = 1ms, .queue = 4});
  std::jthread thread([&](std::stop_token stop) { notifier.run(stop); });
  for (int i = 0; i < 10; ++i) {
    notifier.send(rolled_back(), "fraud." + std::to_string(i));
    wait_for([&] { return notifier.counts()[1].sent == static_cast<uint64_t>(i + 1); });
  }
  CHECK(notifier.counts()[0].dropped >= 5);
  CHECK(notifier.counts()[0].sent == 0);
}

TEST_CASE("a namespace that makes many Events hides nobody else's", "[notify]") {
  Web web;
  std::atomic<bool> open{false};
  web.respond = [&](const kube::HttpRequest&, std::stop_token stop) -> Result<kube::HttpResponse> {
    while (!open && !stop.stop_requested()) std::this_thread::sleep_for(1ms);
    return kube::HttpResponse{200, {}, ""};
  };
  Notifier notifier(web, {target("bus", "http://bus/")}, {.first_retry = 1ms, .queue = 8, .of_namespace = 4});
  std::jthread thread([&](std::stop_token stop) { notifier.run(stop); });
  notifier.send(rolled_back("loud"), "first");
  wait_for([&] { return web.requests().size() == 1; });  // it is on its way, and holds up those that come now
  for (int i = 0; i < 100; ++i) notifier.send(rolled_back("loud"), "loud." + std::to_string(i));
  notifier.send(rolled_back("calm"), "calm.1");
  open = true;
  wait_for([&] { return notifier.counts()[0].sent == 6; });
  CHECK(notifier.counts()[0].dropped == 96);
  CHECK(Json::parse(web.requests()[1].body)["id"] == "calm.1");
}

TEST_CASE("addresses and tokens come from files, read for each message", "[notify]") {
  TempDir dir;
  const auto write = [&](const char* name, const std::string& text) { std::ofstream(dir.path / name) << text; };
  Target t;
  t.name = "ops";
  t.url_file = dir.path / "url";
  t.token_file = dir.path / "token";
  Web web;
  Notifier notifier(web, {t}, {.first_retry = 1ms, .attempts = 1});
  std::jthread thread([&](std::stop_token stop) { notifier.run(stop); });
  notifier.send(rolled_back(), "1");
  wait_for([&] { return notifier.counts()[0].failed == 1; });  // they are not there yet
  write("url", "https://hooks.example/one\n");
  write("token", "first\n");
  notifier.send(rolled_back(), "2");
  wait_for([&] { return notifier.counts()[0].sent == 1; });
  write("token", "second");
  notifier.send(rolled_back(), "3");
  wait_for([&] { return notifier.counts()[0].sent == 2; });
  write("token", "two\r\nHost: evil");
  notifier.send(rolled_back(), "4");
  wait_for([&] { return notifier.counts()[0].failed == 2; });
  const auto requests = web.requests();
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].target == "https://hooks.example/one");
  CHECK(requests[0].headers.at(1).second == "Bearer first");
  CHECK(requests[1].headers.at(1).second == "Bearer second");
}
