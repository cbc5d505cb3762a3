// Where versions came from, and what makes them differ.
#include <catch2/catch.hpp>

#include "plugin/lineage.h"

namespace mo::plugin {
namespace {

Json version(const std::string& name, const std::string& parent, const std::string& f1 = "0.9") {
  Json v = {{"metadata", {{"name", name}}},
            {"spec",
             {{"artifact", {{"uri", "http://x/" + name}, {"digest", "sha256:" + name}}},
              {"lineage", {{"run", {{"kind", "TrainingRun"}, {"name", "m-run-000001"}}}}},
              {"metrics", {{"f1", f1}}}}}};
  if (!parent.empty()) v["spec"]["lineage"]["parent"] = parent;
  return v;
}

std::vector<std::string> names(const std::vector<Json>& line) {
  std::vector<std::string> all;
  for (const Json& v : line) all.push_back(v["metadata"]["name"]);
  return all;
}

TEST_CASE("a line goes back to the first parent, and ends where one is missing or comes again") {
  CHECK(names(line_of("c", {version("a", ""), version("b", "a"), version("c", "b")})) == std::vector<std::string>{"c", "b", "a"});
  CHECK(names(line_of("c", {version("c", "b")})) == std::vector<std::string>{"c"});
  CHECK(names(line_of("a", {version("a", "b"), version("b", "a")})) == std::vector<std::string>{"a", "b"});
  CHECK(line_of("x", {version("a", "")}).empty());
}

TEST_CASE("what differs is told by its path, figures as gates read them, data sets by their name") {
  Json a = version("a", "", "0.9"), b = version("b", "a", "0.9");
  b["status"]["evaluation"]["metrics"]["f1"] = "0.95";
  a["spec"]["lineage"]["data"] = {{{"name", "x"}, {"digest", "1"}}, {{"name", "y"}, {"digest", "2"}}};
  b["spec"]["lineage"]["data"] = {{{"name", "y"}, {"digest", "2"}}, {{"name", "x"}, {"digest", "3"}}};
  CHECK(version_differences(a, b) == std::vector<Difference>{{"artifact.digest", "sha256:a", "sha256:b"},
                                                     {"artifact.uri", "http://x/a", "http://x/b"},
                                                     {"lineage.data[x].digest", "1", "3"},
                                                     {"lineage.parent", "", "a"},
                                                     {"metrics.f1", "0.9", "0.95"}});
  CHECK(version_differences(a, a).empty());
}

TEST_CASE("parts are told by their name", "[plugin]") {
  const auto part = [](const char* name, const char* digest) { return Json{{"name", name}, {"path", name}, {"artifact", {{"uri", "s3://x/y"}, {"digest", digest}}}}; };
  Json a = version("a", ""), b = version("a", "");
  a["spec"]["parts"] = {part("lora", "sha256:1"), part("prompt", "sha256:2")};
  b["spec"]["parts"] = {part("prompt", "sha256:2"), part("lora", "sha256:3")};
  CHECK(version_differences(a, b) == std::vector<Difference>{{"parts[lora].artifact.digest", "sha256:1", "sha256:3"}});
  CHECK(dot_of({a}).find("\"part lora sha256:1\" -> \"a\";") != std::string::npos);
}

TEST_CASE("a graph quotes what others wrote") {
  Json a = version("a", "");
  a["spec"]["lineage"]["run"]["name"] = "x\" -> y; \"";
  CHECK(dot_of({a}).find("\"run x\\\" -> y; \\\"\" -> \"a\";") != std::string::npos);
}

}  // namespace
}  // namespace mo::plugin
