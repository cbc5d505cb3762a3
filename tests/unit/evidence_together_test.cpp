// Queries of many Models in one request: what may stand beside others, and that nobody's answer is another's.
#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>

#include "operator/evidence/measuring.h"
#include "operator/evidence/together.h"

namespace mo::evidence {
namespace {

using Catch::Matchers::Contains;
using namespace std::chrono_literals;

std::string decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

// A Prometheus for queries that are numbers: "vector(7)" is 7. It knows no other functions, and none of what tests call bad.
class NumberHttp : public kube::HttpTransport {
 public:
  Result<kube::HttpResponse> send(const kube::HttpRequest& request, std::stop_token) override {
    const std::string form = request.method == "POST" ? request.body : request.target;
    const std::string query = decoded(form.substr(form.find("query=") + 6));
    {
      std::unique_lock lock(mutex);
      if (query == "held") {
        holds = true;
        news.notify_all();
        news.wait(lock, [&] { return !holds; });
      } else {
        asked.push_back(query);
      }
    }
    if (refuse) return fail(ErrorKind::Transport, "connect: refused");
    if (query.find("bad") != std::string::npos) return kube::HttpResponse{400, {}, R"({"status":"error","errorType":"bad_data","error":"parse error"})"};
    std::string samples;
    int place = 0;
    const bool many = query.starts_with("label_replace(");
    for (size_t at = 0; (at = query.find("vector(", at)) != std::string::npos; ++place) {
      at += 7;
      const std::string label = many && !forgets ? R"("modelops_query":")" + std::to_string(place) + "\"" : "";
      samples += (samples.empty() ? "" : ",") + (R"({"metric":{)" + label + R"(},"value":[1,")") + query.substr(at, query.find(')', at) - at) + "\"]}";
    }
    return kube::HttpResponse{200, {}, R"({"status":"success","data":{"resultType":"vector","result":[)" + samples + "]}}"};
  }
  Result<kube::HttpResponse> stream(const kube::HttpRequest&, const kube::LineSink&, std::stop_token) override { return fail(ErrorKind::Invalid, "not used"); }

  std::mutex mutex;
  std::condition_variable news;
  bool holds = false;
  std::vector<std::string> asked;
  std::atomic<bool> refuse{false}, forgets{false};
};

struct Desk {
  NumberHttp http;
  std::mutex mutex;
  std::condition_variable news;
  std::map<ObjectKey, std::map<std::string, Answer>> answers;
  std::map<ObjectKey, int> wakes;
  int count = 0, held = 0;
  Measuring measuring{http, {.url = "http://prom", .threads = 1, .together = 0ms}, [this](const ObjectKey& model, Measuring::Answers its) {
                        std::lock_guard lock(mutex);
                        if (model.ns == "holder") return;
                        ++wakes[model];
                        for (auto& [id, answer] : its) {
                          CHECK(answers[model].emplace(id, answer).second);
                          ++count;
                        }
                        news.notify_all();
                      }};

  // The only thread is held up until all have asked.
  void at_once(const std::function<void()>& asks) {
    measuring.ask({"holder", "m"}, std::to_string(++held), {"held", {}, {}});
    std::unique_lock lock(http.mutex);
    http.news.wait(lock, [&] { return http.holds; });
    lock.unlock();
    asks();
    lock.lock();
    http.holds = false;
    http.news.notify_all();
  }
  void ask(const ObjectKey& model, const std::string& id, const std::string& query) { measuring.ask(model, id, {query, {}, {}}); }
  void wait(int answered) {
    std::unique_lock lock(mutex);
    REQUIRE(news.wait_for(lock, 20s, [&] { return count >= answered; }));
  }
  Reading value(const ObjectKey& model, const std::string& id) {
    std::lock_guard lock(mutex);
    return answers.at(model).at(id).value;
  }
  size_t requests() {
    std::lock_guard lock(http.mutex);
    return http.asked.size();
  }
};

ObjectKey m(int number, const std::string& ns = "ns") { return {ns, "m" + std::to_string(number)}; }
std::string number(int n) { return "vector(" + std::to_string(n) + ")"; }

TEST_CASE("together: a query stands in brackets if all that it opens ends in it", "[together]") {
  for (const char* good : {"up", "sum(rate(x[5m])) / (1 + 2)", "x{a=\")\"}", "x{a='}]\"'}", "x{a=`\\`} # (", "x # ) \n + y", "x{a=\"\\\")\"}", "x{\"a.b\"}[5m:1m] @ 3", "\n x \n"}) {
    INFO(good);
    CHECK(stands_in_brackets(good));
  }
  for (const char* bad : {"up)", "1) or label_replace((2", "(up", "x{a=\"", "x{a=\"\n\"}", "x[5m", "(]", "x # \n )", "x{a=`}", "x{a=\"\\\"}", "x \r", "x{a='\\'}"}) {
    INFO(bad);
    CHECK_FALSE(stands_in_brackets(bad));
  }
}

TEST_CASE("together: each query in brackets of its own, behind its last comment", "[together]") {
  CHECK(together({"a # b", "c"}) == "label_replace((a # b\n), \"modelops_query\", \"0\", \"\", \"\")\nor label_replace((c\n), \"modelops_query\", \"1\", \"\", \"\")");
}

TEST_CASE("together: an answer is taken apart by the label, or not at all", "[together]") {
  const auto vector = [](const std::string& series) { return R"({"status":"success","data":{"resultType":"vector","result":[)" + series + "]}}"; };
  const auto of = [](const std::string& place, const std::string& value) {
    return R"({"metric":{"a":"b","modelops_query":")" + place + R"("},"value":[1,")" + value + "\"]}";
  };
  const auto readings = readings_of(200, vector(of("2", "7") + "," + of("0", "1.50") + "," + of("2", "8")), 3);
  REQUIRE(readings.size() == 3);
  CHECK(readings[0].value == Decimal::parse("1.50"));
  CHECK(readings[1].problem == "no data");
  CHECK_THAT(readings[2].problem, Contains("returned 2 series"));
  CHECK(readings_of(200, vector(of("3", "7")), 3).empty());
  CHECK(readings_of(200, vector(of("x", "7")), 3).empty());
  CHECK(readings_of(200, vector(R"({"metric":{},"value":[1,"7"]})"), 3).empty());
  CHECK(readings_of(422, R"({"status":"error","error":"x"})", 3).empty());
  CHECK(readings_of(200, R"({"status":"success","data":{"resultType":"scalar","result":[1,"7"]}})", 1).empty());
}

TEST_CASE("together: Models of a namespace are asked for in one request, and each is woken once", "[together]") {
  Desk desk;
  desk.at_once([&] {
    for (int model = 0; model < 10; ++model)
      for (int monitor = 0; monitor < 3; ++monitor) desk.ask(m(model), std::to_string(monitor), number(10 * model + monitor));
  });
  desk.wait(30);
  for (int model = 0; model < 10; ++model) {
    CHECK(desk.wakes[m(model)] == 1);
    for (int monitor = 0; monitor < 3; ++monitor) CHECK(desk.value(m(model), std::to_string(monitor)).value == Decimal::parse(std::to_string(10 * model + monitor)));
  }
  CHECK(desk.requests() == 1);
}

TEST_CASE("together: no request holds what is of two namespaces, and none more than fifty queries", "[together]") {
  Desk desk;
  desk.at_once([&] {
    for (int model = 0; model < 60; ++model) desk.ask(m(model), "a", number(model));
    desk.ask(m(0, "other"), "a", number(1000));
    desk.ask(m(1, "other"), "a", number(1001));
  });
  desk.wait(62);
  CHECK(desk.requests() == 3);
  for (const std::string& query : desk.http.asked) CHECK((query.find("vector(100") == std::string::npos || query.find("vector(7)") == std::string::npos));
  CHECK(desk.value(m(1, "other"), "a").value == Decimal::parse("1001"));
}

TEST_CASE("together: what several ask in the same words is asked once", "[together]") {
  Desk desk;
  desk.at_once([&] {
    for (int model = 0; model < 20; ++model) desk.ask(m(model), "a", number(7));
  });
  desk.wait(20);
  CHECK(desk.requests() == 1);
  CHECK(desk.http.asked[0] == number(7));
  CHECK(desk.value(m(19), "a").value == Decimal::parse("7"));
}

TEST_CASE("together: a query that is none costs its neighbours one request, and then stays alone", "[together]") {
  Desk desk;
  for (int round = 0; round < 2; ++round) {
    desk.at_once([&] {
      for (int model = 0; model < 4; ++model) desk.ask(m(model), std::to_string(round), model == 2 ? "bad" : number(model));
    });
    desk.wait(4 * (round + 1));
    CHECK_THAT(desk.value(m(2), std::to_string(round)).problem, Contains("parse error"));
    CHECK(desk.value(m(3), std::to_string(round)).value == Decimal::parse("3"));
    CHECK(desk.requests() == (round == 0 ? 5u : 7u));  // all, and each alone; then three together beside it
  }
}

TEST_CASE("together: who would end another's brackets is asked alone", "[together]") {
  Desk desk;
  desk.at_once([&] {
    desk.ask(m(0), "a", number(1) + "), \"modelops_query\", \"1\", \"\", \"\") or label_replace((" + number(2));
    desk.ask(m(1), "a", number(5));
    desk.ask(m(2), "a", number(6));
  });
  desk.wait(3);
  CHECK(desk.value(m(1), "a").value == Decimal::parse("5"));
  CHECK(desk.value(m(2), "a").value == Decimal::parse("6"));
  CHECK(desk.requests() == 2);
}

TEST_CASE("together: a server that does not do what was asked is asked one by one", "[together]") {
  Desk desk;
  desk.http.forgets = true;
  for (int round = 0; round < 2; ++round) {
    desk.at_once([&] {
      for (int model = 0; model < 3; ++model) desk.ask(m(model), std::to_string(round), number(model));
    });
    desk.wait(3 * (round + 1));
    CHECK(desk.value(m(2), std::to_string(round)).value == Decimal::parse("2"));
  }
  CHECK(desk.requests() == 4 + 3);
}

TEST_CASE("together: a Prometheus that is away is said, and asked together once it is back", "[together]") {
  Desk desk;
  desk.http.refuse = true;
  desk.at_once([&] {
    for (int model = 0; model < 3; ++model) desk.ask(m(model), "0", number(model));
  });
  desk.wait(3);
  CHECK(desk.value(m(2), "0").problem == "cannot reach Prometheus at http://prom: connect: refused");
  desk.http.refuse = false;
  const size_t before = desk.requests();
  desk.at_once([&] {
    for (int model = 0; model < 3; ++model) desk.ask(m(model), "1", number(model));
  });
  desk.wait(6);
  CHECK(desk.requests() == before + 1);
}

}  // namespace
}  // namespace mo::evidence
