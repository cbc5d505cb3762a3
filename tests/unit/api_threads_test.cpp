// What headers call thread-safe, on several threads at once; TSan looks on.
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "operator/api/parse.h"
#include "operator/core/cron.h"

using namespace mo;

TEST_CASE("parsing and schedules on several threads", "[api]") {
  std::atomic<int> wrong = 0;
  const auto shared = CronSchedule::parse("30 2 * * *", "Australia/Sydney");
  REQUIRE(shared);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, name = "m" + std::to_string(t)] {
        const std::string json =
            R"({"metadata":{"name":")" + name + R"("},"spec":{"version":")" + name + R"("}})";
        for (int i = 0; i < 200; ++i) {
          const auto model = api::parse<api::Model>(json);
          if (!model || model->version != name) ++wrong;
          const auto own = CronSchedule::parse("0 3 * * *", i % 2 ? "Europe/Paris" : "Asia/Tokyo");
          if (!own || !own->next(*parse_time("2026-03-28T12:00:00Z"))) ++wrong;
          if (shared->next(*parse_time("2026-11-22T00:00:00Z")) != parse_time("2026-11-22T15:30:00Z"))
            ++wrong;
        }
      });
    }
  }
  CHECK(wrong == 0);
}
