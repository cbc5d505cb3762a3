// Objects as a broken proxy, a poisoned etcd or an admission that was switched off may send them. Nothing
// here may crash; sanitizers look on.
#include <catch2/catch.hpp>
#include <random>

#include "operator/api/parse.h"

using namespace mo;
using namespace mo::api;

namespace {

template <class... T>
void parse_as_each(const std::string& json) {
  (static_cast<void>(parse<T>(json)), ...);
}
void parse_as_all(const std::string& json) {
  parse_as_each<Model, ModelVersion, ModelRollout, ModelRuntime, ModelGateSet, ClusterModelGateSet, ModelPolicy, ModelApproval, ModelAudit, Deployment, Service,
                HttpRoute, EndpointSlice, Job, Pod, ConfigMap>(json);
}

// Holds a little of everything that the parsers look for.
const std::string kEverything =
    R"({"metadata":{"name":"n","labels":{"modelops.dev/model":"\u00e4\"x"},"ownerReferences":[{"uid":"u","controller":true}],)"
    R"("managedFields":[{"manager":"m","fieldsV1":{"f:spec":{"f:a":{}}}}],"generation":12},)"
    R"("spec":{"replicas":3,"selector":{"a":"b"},"rollout":{"steps":[{"weight":1},{"pause":{"duration":"1s"}}],"gates":[{"name":"g","min":"1e-3"}],"gateSets":[{"name":"s","kind":"ModelGateSet"}]},"gates":[{"name":"g"}],)"
    R"("serving":{"template":{"a":[1,2,{"b":null}]}},"template":{"spec":{"containers":[{"image":"i"}]}}},)"
    R"("status":{"conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2026-11-22T09:00:00Z"}],"policy":{"steps":[]},)"
    R"("initContainerStatuses":[{"name":"modelops-fetch","state":{"terminated":{"exitCode":65}}}],"traffic":[{"version":"v","weight":1}]}})";

template <class T>
void check_malformed(const std::string& json) {
  INFO(json.substr(0, 200));
  const auto parsed = parse<T>(json);
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error().kind == ErrorKind::Malformed);
}

}  // namespace

TEST_CASE("hostile: no object, no name, no JSON", "[api]") {
  for (const char* json :
       {"", " ", "null", "7", "\"x\"", "[]", "{}", "{", "}", R"({"metadata":null})",
        R"({"metadata":{"name":7}})", R"({"metadata":{"name":""}})", R"({"metadata":{"name":"a"})",
        R"({"metadata":{"name":"a"}}})", R"({"metadata":{"name":"a"}} {})", R"({"metadata":{"name":"a"},})",
        R"({"metadata":{"name":"a"} "b":1})"}) {
    check_malformed<Model>(json);
    check_malformed<Deployment>(json);
    check_malformed<ConfigMap>(json);
  }
}

TEST_CASE("hostile: cut at every byte", "[api]") {
  REQUIRE(parse<Model>(kEverything));
  REQUIRE(parse<Pod>(kEverything));
  for (size_t length = 0; length < kEverything.size(); ++length) {
    check_malformed<Model>(kEverything.substr(0, length));
    check_malformed<Pod>(kEverything.substr(0, length));
    parse_as_all(kEverything.substr(0, length));
  }
}

TEST_CASE("hostile: bytes changed at random", "[api]") {
  std::mt19937 random(20261122);
  static const std::string kBytes = "{}[]\",:\\0123456789ntf-.eE \xff\x80\n\0u";
  for (int round = 0; round < 4000; ++round) {
    std::string json = kEverything;
    for (int changes = 1 + static_cast<int>(random() % 4); changes > 0; --changes) {
      const size_t at = random() % json.size();
      switch (random() % 3) {
        case 0:
          json[at] = kBytes[random() % kBytes.size()];
          break;
        case 1:
          json.erase(at, 1 + random() % 8);
          break;
        default:
          json.insert(at, 1 + random() % 3, kBytes[random() % kBytes.size()]);
      }
      if (json.empty()) json = "{";
    }
    INFO(json);
    parse_as_all(json);
  }
}

TEST_CASE("hostile: every value replaced by one of another type", "[api]") {
  const std::vector<std::string> values = {
      "null", "true",  "7",  "-0.5", "1e400", "99999999999999999999999999",
      "\"\"", "\"x\"", "[]", "{}",   "[[{}]]"};
  // A value begins after each colon and bracket; the scan is crude, what counts is that many of the texts are
  // whole.
  for (size_t at = 0; at + 1 < kEverything.size(); ++at) {
    if (kEverything[at] != ':' || kEverything[at - 1] != '"') continue;
    size_t end = at + 1;
    int depth = 0;
    do {
      if (kEverything[end] == '{' || kEverything[end] == '[') ++depth;
      if (kEverything[end] == '}' || kEverything[end] == ']') --depth;
      ++end;
    } while (depth > 0 || (kEverything[end] != ',' && kEverything[end] != '}'));
    for (const std::string& value : values)
      parse_as_all(kEverything.substr(0, at + 1) + value + kEverything.substr(end));
  }
}

TEST_CASE("hostile: nested deeply", "[api]") {
  for (const size_t depth : {100, 1000, 1100, 100000}) {
    for (const char* around :
         {R"({"metadata":{"name":"n"},"spec":)", R"({"metadata":{"name":"n"},"spec":{"rollout":)",
          R"({"metadata":{"name":"n"},"spec":{"serving":{"template":)",
          R"({"metadata":{"name":"n"},"status":)", R"({"metadata":{"name":"n"},"else":)"}) {
      const std::string open(around);
      const std::string close(static_cast<size_t>(std::count(open.begin(), open.end(), '{')) - 1, '}');
      parse_as_all(open + std::string(depth, '[') + std::string(depth, ']') + close);
      parse_as_all(open + std::string(depth, '['));
      std::string objects;
      for (size_t i = 0; i < depth; ++i) objects += R"({"rollout":)";
      parse_as_all(open + objects + "1" + std::string(depth, '}') + close);
    }
  }
}

TEST_CASE("hostile: keys twice, keys escaped, keys empty", "[api]") {
  const auto m = parse<Model>(
      R"({"metadata":{"name":"a"},"metadata":{"na\u006de":"b","":1},"spec":{"version":"x","version":"y"}})");
  REQUIRE(m);
  CHECK(m->meta.key.name == "b");
  CHECK(m->version == "y");
}

TEST_CASE("hostile: large objects leave no large buffers and no wrong answers", "[api]") {
  const std::string large = R"({"metadata":{"name":"n","annotations":{"x":")" + std::string(3 << 20, 'x') +
                            R"("}},"spec":{"version":"v"}})";
  CHECK(parse<Model>(large)->version == "v");
  CHECK(parse<Model>(R"({"metadata":{"name":"n"},"spec":{"version":"w"}})")->version == "w");
  check_malformed<Model>(std::string(9 << 20, ' '));
}
