// Templates that people wrote: of a shape that can be merged, and bounded.
#include "operator/json/pod_template.h"

#include <catch2/catch.hpp>

using namespace mo;

namespace {

std::string wrong(const std::string& text, TemplateRole role = TemplateRole::Overlay) {
  const auto read = read_pod_template(text, "T", role);
  if (read) return "";
  CHECK(read.error().kind == ErrorKind::Invalid);
  return read.error().message;
}

std::string in_container(const std::string& fields) { return wrong(R"({"spec":{"containers":[{"name":"a",)" + fields + "}]}}"); }

}  // namespace

TEST_CASE("pod templates: what is wrong is named with its path", "[json]") {
  CHECK(wrong("3") == "T must be an object (a PodTemplateSpec), it is a number");
  CHECK(wrong("{").find("T cannot be read: ") == 0);
  CHECK(wrong(R"({"metadata":"x"})") == "T.metadata must be an object, it is a text");
  CHECK(wrong(R"({"metadata":{"labels":["a"]}})") == "T.metadata.labels must be an object, it is a list");
  CHECK(wrong(R"({"metadata":{"annotations":{"a":true}}})") == "T.metadata.annotations[a] must be a text, it is a boolean; put it into quotes");
  CHECK(wrong(R"({"spec":[]})") == "T.spec must be an object, it is a list");
  CHECK(wrong(R"({"spec":{"containers":3}})") == "T.spec.containers must be a list, it is a number");
  CHECK(wrong(R"({"spec":{"containers":{"name":"a"}}})") == "T.spec.containers must be a list, it is an object");
  CHECK(wrong(R"({"spec":{"containers":["a"]}})") == "T.spec.containers[0] must be an object with the field name, it is a text");
  CHECK(wrong(R"({"spec":{"initContainers":[null]}})") == "T.spec.initContainers[0] must be an object with the field name, it is null");
  CHECK(wrong(R"({"spec":{"volumes":[{"emptyDir":{}}]}})") == "T.spec.volumes[0] has no name; give it one, or remove the entry");
  CHECK(wrong(R"({"spec":{"volumes":[{"name":{}}]}})") == "T.spec.volumes[0].name must be a non-empty string, it is an object");
  CHECK(wrong(R"({"spec":{"volumes":[{"name":""}]}})") == "T.spec.volumes[0].name must be a non-empty string, it is empty");
  CHECK(in_container(R"("env":[{"name":"x"},{"value":"a"}])") == "T.spec.containers[0].env[1] has no name; give it one, or remove the entry");
  CHECK(in_container(R"("volumeMounts":[{"name":"x"}])") == "T.spec.containers[0].volumeMounts[0] has no mountPath; give it one, or remove the entry");
  CHECK(in_container(R"("volumeMounts":[{"mountPath":"/x","name":[]}])") == "T.spec.containers[0].volumeMounts[0].name must be a text, it is a list");
  CHECK(in_container(R"("ports":[{"containerPort":"80"}])") == "T.spec.containers[0].ports[0].containerPort must be an integer, it is a text");
  CHECK(in_container(R"("lifecycle":"none")") == "T.spec.containers[0].lifecycle must be an object, it is a text");
}

TEST_CASE("pod templates: names of the user's own are no lists", "[json]") {
  CHECK(wrong(R"({"metadata":{"labels":{"env":"prod","ports":"none"}},"spec":{"nodeSelector":{"containers":"fast","env":"prod"}}})").empty());
}

TEST_CASE("pod templates: what strategic merge reads passes in an overlay alone", "[json]") {
  for (const char* text : {R"({"spec":{"containers":[{"$patch":"replace"},{"name":"server"}]}})",
                           R"({"spec":{"volumes":[{"name":"a","$patch":"delete"}]}})",
                           R"({"spec":{"volumes":{"$patch":"delete"}}})", R"({"spec":{"securityContext":{"$patch":"replace"}}})"}) {
    INFO(text);
    CHECK(wrong(text).empty());
    CHECK_FALSE(wrong(text, TemplateRole::Whole).empty());
  }
  CHECK(wrong(R"({"spec":{"volumes":[{"$patch":"delete"}]}})") == "T.spec.volumes[0] has no name; give it one, or remove the entry");
  CHECK(wrong(R"({"spec":{"volumes":null,"containers":null},"metadata":null})").empty());
  CHECK(wrong(R"({"spec":{"tolerations":[{"$patch":"replace"}]}})", TemplateRole::Whole) ==
        "T.spec.tolerations[0] has the directive $patch, which only a Model's spec.serving.template may have; remove it");
}

TEST_CASE("pod templates: bytes, entries and depth are bounded", "[json]") {
  const auto with_args = [](size_t count, const std::string& each) {
    Json args = Json::array();
    for (size_t i = 0; i < count; ++i) args.push_back(each);
    return Json{{"spec", {{"containers", {{{"name", "a"}, {"args", args}}}}}}}.dump();
  };
  CHECK(wrong(with_args(kMaxTemplateEntries, "x")).empty());
  CHECK(wrong(with_args(kMaxTemplateEntries + 1, "x")) == "T.spec.containers[0].args has 257 entries; at most 256 are allowed");
  CHECK(wrong(with_args(1, std::string(kMaxTemplateBytes - 64, 'x'))).empty());
  CHECK(wrong(with_args(1, std::string(kMaxTemplateBytes, 'x'))).find("bytes as JSON; at most 65536 are allowed: move configuration into ConfigMaps") !=
        std::string::npos);
  std::string deep = "{}";
  for (int i = 0; i < 100; ++i) deep = R"({"a":)" + deep + "}";
  CHECK(wrong(deep).find("T cannot be read: ") == 0);
  CHECK(wrong(R"({"metadata":{"labels":{")" + std::string(5000, 'k') + R"(":1}}})").size() <= 1024);
}

TEST_CASE("job templates: their pods are looked at alike", "[json]") {
  const auto wrong = [](const std::string& text) {
    const auto read = read_job_template(text, "J");
    return read ? "" : read.error().message;
  };
  CHECK(wrong(R"({"spec":{"template":{"spec":{"containers":[{"name":"a","env":[{"value":"b"}]}]}}}})") ==
        "J.spec.template.spec.containers[0].env[0] has no name; give it one, or remove the entry");
  CHECK(wrong(R"({"spec":{"template":5}})") == "J.spec.template must be an object, it is a number");
  CHECK(wrong(R"({"metadata":{"labels":{"a":1}}})") == "J.metadata.labels[a] must be a text, it is a number; put it into quotes");
  CHECK(wrong("{}").empty());
}
