#include <catch2/catch.hpp>

#include "operator/api/wire.h"

using namespace mo;
using Type = api::WatchEvent::Type;

TEST_CASE("watch events", "[api]") {
  const auto added = api::split_watch_event(
      R"({"type":"ADDED","object":{"kind":"Pod","metadata":{"name":"a","resourceVersion":"12"}}}
)");
  REQUIRE(added);
  CHECK(added->type == Type::Added);
  CHECK(added->object == R"({"kind":"Pod","metadata":{"name":"a","resourceVersion":"12"}})");
  CHECK(added->resource_version == "12");

  const auto end = api::split_watch_event(
      R"({"object":{"metadata":{"annotations":{"k8s.io/initial-events-end":"true"},"resourceVersion":"99"}},"type":"BOOKMARK"})");
  REQUIRE(end);
  CHECK(end->type == Type::Bookmark);
  CHECK(end->resource_version == "99");
  CHECK(end->initial_events_end);
  CHECK_FALSE(api::split_watch_event(R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}})")
                  ->initial_events_end);

  const auto gone = api::split_watch_event(
      R"({"type":"ERROR","object":{"kind":"Status","status":"Failure","message":"too old \"rv\"","reason":"Expired","code":410}})");
  REQUIRE(gone);
  CHECK(gone->type == Type::Error);
  CHECK(gone->code == 410);
  CHECK(gone->reason == "Expired");
  CHECK(gone->message == "too old \"rv\"");

  CHECK(api::split_watch_event(R"({"type":"COMPACTED","object":{}})")->type == Type::Unknown);
  CHECK(api::split_watch_event(R"({"type":"ERROR","object":{"code":"many","message":null,"reason":[]}})")
            ->code == 0);
  CHECK(api::split_watch_event(R"({"type":"ADDED","object":{"metadata":{"resourceVersion":7}}})")
            ->resource_version.empty());
}

// Row 22 of the fault matrix: the stream may be cut at every byte.
TEST_CASE("a watch line that is cut anywhere is an error", "[api]") {
  const std::string line =
      R"({"type":"MODIFIED","object":{"metadata":{"name":"ä\"}","resourceVersion":"12"},"spec":[{},"]"]}})";
  CHECK(api::split_watch_event(line));
  for (size_t length = 0; length < line.size(); ++length) {
    INFO(length);
    CHECK_FALSE(api::split_watch_event(line.substr(0, length)));
  }
}

TEST_CASE("lists", "[api]") {
  std::vector<std::string> items;
  const auto take = [&](std::string_view item) { items.emplace_back(item); };
  const auto page = api::split_list(
      R"({"kind":"PodList","metadata":{"resourceVersion":"5","continue":"abc=","remainingItemCount":3},"items":[{"a":1}, {"b":[2]}]})",
      take);
  REQUIRE(page);
  CHECK(page->resource_version == "5");
  CHECK(page->continue_token == "abc=");
  CHECK(items == std::vector<std::string>{R"({"a":1})", R"({"b":[2]})"});

  items.clear();
  CHECK(
      api::split_list(R"({"metadata":{"resourceVersion":"5"},"items":null})", take)->continue_token.empty());
  CHECK(api::split_list(R"({"metadata":{},"items":[]})", take));
  CHECK(items.empty());
  for (const char* body :
       {"", "{}", "[]", R"({"metadata":{}})", R"({"items":[]})", R"({"metadata":{},"items":[{})",
        R"({"metadata":{},"items":{}})", R"({"metadata":{},"items":[{}]} x)"}) {
    INFO(body);
    CHECK_FALSE(api::split_list(body, take));
  }
}
