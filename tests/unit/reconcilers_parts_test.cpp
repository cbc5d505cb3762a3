// Versions of several artifacts: the parts beside the artifact.
#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "operator/api/statuses.h"
#include "operator/api/parse.h"
#include "operator/store/references.h"
#include "reconcilers/common/names.h"
#include "reconcilers/governance/policies.h"
#include "reconcilers/model/intent.h"
#include "reconcilers/serving/fetching.h"
#include "reconcilers/serving/reserved.h"
#include "reconcilers/serving/survey.h"
#include "reconcilers/training/job.h"
#include "tests/unit/reconcilers_make.h"

namespace mo::model {
namespace {

using test::kNow;
using test::Scene;

std::string digest(char of) { return "sha256:" + std::string(64, of); }

api::Part part(const std::string& name, const std::string& uri, char of, const std::string& path = "") {
  return {name, path.empty() ? name : path, {uri, digest(of), {}}};
}

const std::vector<api::Part>& adapters() {
  static const std::vector<api::Part> parts = {part("lora", "s3://models/lora.tar", 'b', "adapters/support"),
                                               part("prompt", "configmap://prompts/support", 'c')};
  return parts;
}

Json pods_of(const api::Artifact& artifact, const std::vector<api::Part>& parts) {
  Scene s;
  api::ModelVersion& v = s.version("m-v9");
  v.artifact = artifact;
  v.parts = parts;
  const auto rendered = s.rendered("m-v9");
  REQUIRE(rendered);
  return rendered->body["spec"]["template"]["spec"];
}

std::string variable(const Json& pods, const std::string& name) {
  for (const Json& one : pods["containers"][0]["env"])
    if (one["name"] == name) return one["value"];
  return "";
}

std::string flag(const Json& container, const std::string& name) {
  const Json& args = container["args"];
  const auto found = std::find(args.begin(), args.end(), name);
  return found == args.end() ? "" : std::next(found)->get<std::string>();
}

const Json* named(const Json& list, const std::string& name) {
  const auto found = std::find_if(list.begin(), list.end(), [&](const Json& one) { return one["name"] == name; });
  return found == list.end() ? nullptr : &*found;
}

TEST_CASE("each part is fetched by a container of its own, after the artifact") {
  std::vector<api::Part> parts = adapters();
  parts[0].artifact.secret = "store";
  parts[0].artifact.unpack = true;
  parts[0].artifact.signature_uri = "configmap://signatures/lora";
  parts[0].artifact.public_key = "PEM";
  const Json pods = pods_of({"pvc://weights/base.gguf", digest('a'), {"rules", "1"}, "2Gi"}, parts);
  const Json& init = pods["initContainers"];
  REQUIRE(init.size() == 3);
  CHECK(init[0]["name"] == "modelops-fetch");
  CHECK(flag(init[0], "--output") == "/artifact/base.gguf");
  CHECK(init[1]["name"] == "modelops-fetch-lora");
  CHECK(flag(init[1], "--output") == "/artifact/parts/adapters/support");
  CHECK(flag(init[1], "--digest") == digest('b'));
  CHECK(flag(init[1], "--credentials-dir") == "/credentials");
  CHECK(flag(init[1], "--public-key") == "PEM");
  CHECK(init[1]["args"].back() == "PEM");
  CHECK(flag(init[2], "--output") == "/artifact/parts/prompt");

  CHECK(variable(pods, "MODEL_PATH") == "/artifact/base.gguf");
  CHECK(variable(pods, "MODEL_PART_LORA") == "/artifact/parts/adapters/support");
  CHECK(variable(pods, "MODEL_PART_PROMPT") == "/artifact/parts/prompt");

  // No container sees what is another's, and the server sees the artifacts alone.
  const auto mounts = [](const Json& container) {
    std::vector<std::string> names;
    for (const Json& mount : container["volumeMounts"]) names.push_back(mount["name"]);
    return names;
  };
  using Names = std::vector<std::string>;
  CHECK(mounts(init[0]) == Names{"modelops-artifact", "modelops-source"});
  CHECK(mounts(init[1]) == Names{"modelops-artifact", "modelops-credentials-lora", "modelops-signature-lora"});
  CHECK(mounts(init[2]) == Names{"modelops-artifact", "modelops-source-prompt"});
  CHECK(mounts(pods["containers"][0]) == Names{"modelops-artifact"});
  const Json& volumes = pods["volumes"];
  CHECK((*named(volumes, "modelops-source-prompt"))["configMap"]["name"] == "prompts");
  CHECK((*named(volumes, "modelops-credentials-lora"))["secret"]["secretName"] == "store");
  CHECK((*named(volumes, "modelops-signature-lora"))["configMap"]["name"] == "signatures");
  const uint64_t room = (2ull << 30) + 2 * api::kDefaultArtifactBytes + 3 * (16ull << 20);
  CHECK((*named(volumes, "modelops-artifact"))["emptyDir"]["sizeLimit"] == std::to_string(room));
}

TEST_CASE("an artifact whose file would be called like the folder of the parts is called otherwise") {
  const api::Artifact artifact{"https://store/parts", digest('a'), {"rules", "1"}};
  CHECK(variable(pods_of(artifact, {}), "MODEL_PATH") == "/artifact/parts");
  CHECK(variable(pods_of(artifact, adapters()), "MODEL_PATH") == "/artifact/model");
}

TEST_CASE("sizes that no volume has end in no overflow") {
  std::vector<api::Part> parts;
  for (char name = 'a'; name < 'q'; ++name) {
    parts.push_back(part(std::string(1, name), "https://store/x", 'b'));
    parts.back().artifact.size = "999999Ti";
  }
  const Json pods = pods_of({"https://store/x", digest('a'), {"rules", "1"}, "999999Ti"}, parts);
  CHECK((*named(pods["volumes"], "modelops-artifact"))["emptyDir"]["sizeLimit"] == std::to_string(1ull << 62));
}

TEST_CASE("a part that cannot be fetched is named") {
  const auto brought = serving::what_to_bring({"https://store/x", digest('a'), {}}, {part("lora", "ftp://store/x", 'b')});
  REQUIRE_FALSE(brought);
  CHECK(brought.error().message.find("part lora: artifact uri ftp://store/x must be one of") == 0);
}

TEST_CASE("a version without parts has the name, the revision and the digest that it always had") {
  const api::Artifact artifact{"https://store/x", digest('a'), {"rules", "1"}};
  CHECK(api::bits_of(artifact, {}) == digest('a'));
  CHECK(named(pods_of(artifact, {})["initContainers"], "modelops-fetch"));
  CHECK(pods_of(artifact, {})["initContainers"].size() == 1);
}

TEST_CASE("all that pods find of a part is part of what a version is") {
  const api::Artifact artifact{"https://store/x", digest('a'), {"rules", "1"}};
  const std::string bits = api::bits_of(artifact, adapters());
  CHECK(bits.size() == 71);
  CHECK(bits.starts_with("sha256:"));
  CHECK(bits != digest('a'));
  std::set<std::string> others = {bits, digest('a')};
  const auto another = [&](const auto& change) {
    std::vector<api::Part> parts = adapters();
    change(parts);
    CHECK(others.insert(api::bits_of(artifact, parts)).second);
  };
  another([](auto& p) { p[0].name = "lore"; });
  another([](auto& p) { p[0].path = "adapters/sales"; });
  another([](auto& p) { p[0].artifact.digest = digest('d'); });
  another([](auto& p) { p[0].artifact.unpack = true; });
  another([](auto& p) { p.pop_back(); });
  std::vector<api::Part> moved = adapters();
  moved[0].artifact.uri = "s3://archive/lora.tar";
  CHECK(api::bits_of(artifact, moved) == bits);
}

TEST_CASE("the order in which people write parts changes nothing") {
  const auto read = [](const std::string& parts) {
    const auto v = api::parse<api::ModelVersion>(R"({"metadata":{"name":"m-v1"},"spec":{"modelRef":{"name":"m"},"artifact":{"uri":"https://s/x","digest":"sha256:a"},"parts":[)" +
                                                 parts + "]}}");
    REQUIRE(v);
    return *v;
  };
  const std::string a = R"({"name":"a","artifact":{"uri":"https://s/a","digest":"sha256:1"}})",
                    b = R"({"name":"b","path":"x/b","artifact":{"uri":"https://s/b","digest":"sha256:2"}})";
  const api::ModelVersion one = read(a + "," + b), other = read(b + "," + a);
  CHECK(one.parts == other.parts);
  CHECK(one.bits() == other.bits());
  CHECK(one.parts[0].path == "a");
  CHECK(one.parts[1].path == "x/b");
}

TEST_CASE("an inline artifact with parts is registered under the digest of all") {
  Scene s;
  s.model.version.reset();
  s.model.artifact = api::Artifact{"https://store/x", digest('a'), {"rules", "1"}};
  s.model.parts = adapters();
  const std::string name = version_name_for("m", api::bits_of(*s.model.artifact, s.model.parts));
  const SpecVersion spec = resolve_spec(s.observed());
  CHECK(spec.name == name);
  REQUIRE(spec.actions.size() == 1);
  const Json body = Json::parse(std::get<Apply>(spec.actions[0]).body);
  CHECK(body["spec"]["parts"] == to_json(adapters()));

  // What was registered is found again, and other parts are another version.
  const auto record = api::parse<api::ModelVersion>(body.dump());
  REQUIRE(record);
  s.o.named[name] = std::make_shared<api::ModelVersion>(*record);
  CHECK(resolve_spec(s.observed()).actions.empty());
  CHECK(resolve_spec(s.observed()).problem == "");
  s.model.parts[1].artifact.digest = digest('d');
  CHECK(resolve_spec(s.observed()).name != name);
  s.model.parts.clear();
  CHECK(resolve_spec(s.observed()).name == version_name_for("m", digest('a')));
}

TEST_CASE("a record of the same bits from elsewhere says which field differs") {
  Scene s;
  s.model.version.reset();
  s.model.artifact = api::Artifact{"https://store/x", digest('a'), {"rules", "1"}};
  s.model.parts = adapters();
  const std::string name = version_name_for("m", api::bits_of(*s.model.artifact, s.model.parts));
  api::ModelVersion& record = s.version(name);
  record.artifact = *s.model.artifact;
  record.parts = adapters();
  record.parts[0].artifact.uri = "s3://archive/lora.tar";
  const SpecVersion spec = resolve_spec(s.observed());
  CHECK(spec.problem_reason == "VersionConflict");
  CHECK(spec.problem.find("but spec.parts of the Model differs") != std::string::npos);
}

TEST_CASE("a ModelVersion made anew with other parts does not pass for what served") {
  Scene s;
  s.o.versions.clear();
  api::ModelVersion& v = s.version("m-v1");
  v.artifact = {"https://store/x", digest('a'), {"rules", "1"}};
  v.parts = adapters();
  s.serving("m-v1");
  s.model.status.stable_digest = v.bits();
  CHECK(stable_conflict(s.observed(), s.model.status) == "");
  v.parts[0].artifact.digest = digest('d');
  CHECK(stable_conflict(s.observed(), s.model.status).find("m-v1 was deleted and recreated") != std::string::npos);
}

TEST_CASE("what a policy says of registries and signatures holds for each part") {
  Scene s;
  api::ModelVersion& v = s.version("m-v9");
  v.artifact = {"https://good/x", digest('a'), {"rules", "1"}, "", "", false, "https://good/s", "KEY"};
  v.parts = {part("lora", "https://good/lora", 'b'), part("prompt", "https://elsewhere/prompt", 'c')};
  v.parts[1].artifact.signature_uri = "https://good/s";
  v.parts[1].artifact.public_key = "KEY";
  api::ModelPolicy policy;
  policy.meta = test::meta("high");
  policy.registries = {"https://good/*"};
  policy.signed_by = {"KEY"};
  const auto found = governance::objections(s.observed(), policy, s.o.version("m-v9"));
  REQUIRE(found.size() == 2);
  CHECK(found[0].find("spec.parts[prompt].artifact.uri of ModelVersion m-v9 is https://elsewhere/prompt, but must match") == 0);
  CHECK(found[1].find("spec.parts[lora].artifact.signature of ModelVersion m-v9 is required") == 0);
}

TEST_CASE("the ConfigMaps of parts wake their Model and are missed") {
  Scene s;
  api::ModelVersion& v = s.version("m-v1");
  v.parts = adapters();
  CHECK(references_of(v) == std::set<ObjectRef>{{Kind::ConfigMap, {"ns", "prompts"}}});
  CHECK(serving::absent_configmap(s.observed(), v) == "prompts");
  s.o.configmaps["prompts"] = "1";
  CHECK(serving::absent_configmap(s.observed(), v) == "");
}

TEST_CASE("templates take no name of a part's where the version has that part") {
  const auto refused = [](const char* spec, const std::vector<std::string>& parts = {"prompt", "lora-2"}) {
    const auto checked = serving::check_reserved(Json{{"spec", Json::parse(spec)}}, "t", parts);
    return checked ? "" : checked.error().message;
  };
  for (const char* spec : {R"({"volumes":[{"name":"modelops-source-lora-2"}]})", R"({"volumes":[{"name":"modelops-credentials-prompt"}]})",
                           R"({"volumes":[{"name":"modelops-signature-prompt"}]})", R"({"initContainers":[{"name":"modelops-fetch-lora-2"}]})",
                           R"({"containers":[{"name":"x","volumeMounts":[{"name":"modelops-credentials-prompt","mountPath":"/x"}]}]})",
                           R"({"containers":[{"name":"server","env":[{"name":"MODEL_PART_LORA_2","value":"/x"}]}]})"}) {
    CHECK(refused(spec) != "");
    CHECK(refused(spec, {}) == "");
    CHECK(refused(spec, {"lora"}) == "");
  }
  CHECK(refused(R"({"volumes":[{"name":"modelops-artifact-prompt"}]})") == "");  // parts lie in the artifact's own volume
  CHECK(refused(R"({"containers":[{"name":"server","env":[{"name":"MODEL_PARTS","value":"/x"}]}]})") == "");
  CHECK(refused(R"({"volumes":[{"name":"modelops-source"}]})", {}) != "");
}

// Names with a suffix were the template's own before there were parts, and an upgrade of the operator changes no revision.
TEST_CASE("without parts a template has its names, its ConfigMaps are pinned, and the revision is that of before parts") {
  Scene s;
  s.model.template_overlay = R"({"spec": {
    "initContainers": [{"name": "modelops-fetch-lora", "image": "i", "volumeMounts": [{"name": "modelops-source-lora", "mountPath": "/settings"}]}],
    "containers": [{"name": "server", "env": [{"name": "MODEL_PART_LORA", "value": "/x"}], "volumeMounts": [{"name": "modelops-source-lora", "mountPath": "/settings"}]}],
    "volumes": [{"name": "modelops-source-lora", "configMap": {"name": "settings"}}, {"name": "modelops-signature-x", "configMap": {"name": "more", "optional": true}}]}})";
  api::ModelVersion& v = s.version("m-v9");
  const auto whole = [&] {
    const auto revision = serving::make_revision(s.model, v, *s.o.runtimes.front(), test::kSettings);
    const auto rendered = s.rendered("m-v9");
    INFO((revision ? "" : revision.error().message));
    REQUIRE((revision && rendered));
    std::string unpinned;
    for (const auto& [name, optional] : rendered->unpinned) unpinned += " " + name;
    return revision->name + " " + hash_of(revision->pod_template) + " " + rendered->hash + unpinned;
  };
  v.artifact = {"configmap://artifacts/v9.json", digest('a'), {"rules", "1"}};
  CHECK(whole() == "5788756560 235663286f0442c5 1aa363e2b48c4543 more settings");
  v.artifact = {"s3://models/v9.tar.zst", digest('b'), {"rules", "1"}, "20Gi", "store", true, "configmap://signatures/v9", "KEY"};
  CHECK(whole() == "9fdc885e1e ef1ec19a428b1289 f1337d50d7333874 more settings");
  v.parts = {part("lora", "s3://models/lora.tar", 'b')};
  const auto refused = serving::revision_name(s.model, v, *s.o.runtimes.front());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message == "spec.serving.template.spec.initContainers[modelops-fetch-lora] uses a name that the operator reserves; choose another name");
}

TEST_CASE("who evaluates has the champion's parts, too") {
  api::ModelVersion champion;
  champion.artifact = {"https://store/x", digest('a'), {"rules", "1"}};
  champion.parts = adapters();
  Json job = Json::parse(R"({"spec":{"template":{"spec":{"containers":[{"name":"judge"}]}}}})");
  REQUIRE(training::mount_artifacts(job, {"https://store/y", digest('e'), {"rules", "1"}}, &champion, test::kSettings));
  const Json& pods = job["spec"]["template"]["spec"];
  CHECK(variable(pods, "MODELOPS_CHAMPION_PART_LORA") == "/artifact/champion/parts/adapters/support");
  CHECK(variable(pods, "MODELOPS_CANDIDATE_PATH") == "/artifact/candidate/y");
  const Json* fetch = named(pods["initContainers"], "modelops-fetch-champion-lora");
  REQUIRE(fetch);
  CHECK((*fetch)["volumeMounts"][0]["name"] == "modelops-artifact-champion");
  CHECK(flag(*fetch, "--output") == "/artifact/parts/adapters/support");
}

}  // namespace
}  // namespace mo::model
