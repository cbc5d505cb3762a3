// The CRDs and the parser name the same fields, both ways: a field that nobody reads is a promise that nobody
// keeps, and a field that the CRD lacks is pruned by the API server, so that what status was to remember is
// forgotten.
#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "operator/api/parse.h"
#include "operator/api/statuses.h"
#include "tests/unit/crd_schema.h"

using namespace mo;

namespace {

struct Unread {
  const char* path;  // and what lies under it
  const char* why;
};

// Fields that are right not to be read.
const std::vector<Unread> kUnreadOfModel = {
    {"spec.monitors[0].about", "for people and reports"},
    {"status.trafficSummary", "a printer column, written from traffic"},
    {"status.ready", "a printer column, written from replicas"},
    {"status.replicas", "the scale subresource; counted anew from Deployments"},
    {"status.readyReplicas", "counted anew from Deployments"},
    {"status.selector", "the scale subresource"},
};
const std::vector<Unread> kUnreadOfVersion = {
    {"spec.lineage.data[0].name", "a record for people and pipelines"},
    {"spec.lineage.data[0].rows", "a record for people and pipelines"},
    {"spec.lineage.run.kind", "a record for people and pipelines"},
    {"spec.lineage.run.seed", "a record for people and pipelines"},
    {"status.observedGeneration", "a ModelVersion's spec never changes"},
};
const std::vector<Unread> kUnreadOfRollout = {
    {"status.step.description", "for people, written from the step"},
    {"status.stepSummary", "a printer column, written from step"},
    {"status.from", "a printer column, written from the revisions"},
    {"status.to", "a printer column, written from the revisions"},
};

const std::vector<Unread> kUnreadOfRun = {{"status.stage", "a printer column, written from stages"}};
const char* const kCounted = "for people: decisions count anew";
const std::vector<Unread> kUnreadOfRuntime = {{"status.observedGeneration", kCounted}, {"status.following", kCounted}, {"status.updated", kCounted},
                                              {"status.waiting", kCounted}, {"status.failed", kCounted}, {"status.declined", kCounted},
                                              {"status.failures", kCounted}};

bool lies_under(const std::string& path, const std::string& root) {
  return path == root || (path.rfind(root, 0) == 0 && (path[root.size()] == '.' || path[root.size()] == '['));
}

template <class T>
void check_agreement(const Json& object, const std::vector<Unread>& allowed) {
  api::Coverage coverage;
  const auto parsed = api::parse<T>(object.dump(), &coverage);
  REQUIRE(parsed);
  if constexpr (requires { parsed->problem; }) CHECK(parsed->problem == "");
  std::set<std::string> used;
  for (const std::string& path : coverage.unread) {
    const auto why = std::find_if(allowed.begin(), allowed.end(),
                                  [&](const Unread& u) { return lies_under(path, u.path); });
    if (why != allowed.end()) used.insert(why->path);
    INFO("the CRD names " << path << ", which nobody reads and no reason is given for");
    CHECK(why != allowed.end());
  }
  for (const Unread& u : allowed) {
    INFO("a reason is given for " << u.path << " not to be read, but it is read or is no more");
    CHECK(used.count(u.path) == 1);
  }
  for (const std::string& path : coverage.absent) {
    INFO("the parser looks for " << path << ", which the CRD does not name");
    CHECK(lies_under(path, "metadata"));
  }
}

Json full(const std::string& plural) {
  Json object = crd::full_object(crd::schema_of(plural));
  object["metadata"] = {{"name", "n"}};
  return object;
}

}  // namespace

TEST_CASE("the CRD and the parser of Model agree", "[crd]") {
  check_agreement<api::Model>(full("models"), kUnreadOfModel);
}

TEST_CASE("the CRD and the parser of ModelVersion agree", "[crd]") {
  check_agreement<api::ModelVersion>(full("modelversions"), kUnreadOfVersion);
}

// An API has no references: the schema of a part's artifact is a copy of the version's own.
TEST_CASE("the artifact of a part is one as a version's own, without a format", "[crd]") {
  const Json of_version = crd::schema_of("modelversions")["properties"]["spec"]["properties"];
  CHECK(crd::schema_of("models")["properties"]["spec"]["properties"]["parts"]["items"] == of_version["parts"]["items"]);
  Json own = of_version["artifact"], part = of_version["parts"]["items"]["properties"]["artifact"];
  own["properties"].erase("format");
  CHECK(part["required"] == Json::array({"uri", "digest"}));
  for (Json* one : {&own, &part}) {
    one->erase("required");
    one->erase("description");
    (*one)["properties"]["unpack"].erase("description");
  }
  CHECK(part == own);
}

TEST_CASE("the CRD and the parser of ModelRollout agree", "[crd]") {
  Json rollout = full("modelrollouts");
  // Its schema is open: it is a Model's spec.rollout as it was.
  rollout["status"]["policy"] = full("models")["spec"]["rollout"];
  check_agreement<api::ModelRollout>(rollout, kUnreadOfRollout);
}

TEST_CASE("the CRD and the parser of TrainingRun agree", "[crd]") {
  check_agreement<api::TrainingRun>(full("trainingruns"), kUnreadOfRun);
}

TEST_CASE("the CRD and the parser of ModelRuntime agree", "[crd]") {
  check_agreement<api::ModelRuntime>(full("modelruntimes"), kUnreadOfRuntime);
}

// What a status is read from and what it is written to are one row of a table. A row that only reads would forget its field with the next write.
TEST_CASE("what the operator reads of a status it writes again, field by field", "[crd]") {
  const auto kept = [](Json status, const std::vector<Unread>& for_people) {
    for (const Unread& field : for_people) {
      std::string pointer = field.path;
      if (!pointer.starts_with("status.")) continue;
      pointer = pointer.substr(6);
      std::replace(pointer.begin(), pointer.end(), '.', '/');
      const Json::json_pointer at(pointer);
      status[at.parent_pointer()].erase(at.back());
    }
    return status;
  };
  const Json model = full("models"), version = full("modelversions"), runtime = full("modelruntimes"), run = full("trainingruns");
  Json rollout = full("modelrollouts");
  rollout["status"]["policy"] = model["spec"]["rollout"];
  for (const char* duration : {"approvalValidFor", "minBake", "minShadow"}) rollout["status"]["governance"][duration] = "0s";  // as durations are written
  CHECK(api::to_json(api::parse<api::Model>(model.dump())->status) == kept(model["status"], kUnreadOfModel));
  CHECK(api::to_json(api::parse<api::ModelRollout>(rollout.dump())->status) == kept(rollout["status"], kUnreadOfRollout));
  CHECK(api::status_json(*api::parse<api::ModelVersion>(version.dump())) == kept(version["status"], kUnreadOfVersion));
  CHECK(api::to_json(api::parse<api::TrainingRun>(run.dump())->status) == kept(run["status"], kUnreadOfRun));
  CHECK(api::to_json(api::parse<api::ModelRuntime>(runtime.dump())->status) == kept(runtime["status"], kUnreadOfRuntime));
  // A story: the snapshot of a Model without spec.rollout was written as null.
  rollout["status"]["policy"] = Json::object();
  CHECK(api::to_json(api::parse<api::ModelRollout>(rollout.dump())->status)["policy"] == Json::object());
}

TEST_CASE("the CRDs and the parsers of gate sets agree, and their gates and monitors are a Model's", "[crd]") {
  const std::vector<Unread> unread = {{"spec.description", "for people: a printer column"}, {"spec.monitors[0].about", "for people: reports"}};
  check_agreement<api::ModelGateSet>(full("modelgatesets"), unread);
  check_agreement<api::ClusterModelGateSet>(full("clustermodelgatesets"), unread);
  struct List {
    const char *of_model, *of_set;
    int rules_of_required;  // in both
  };
  for (const List& list : {List{"/properties/spec/properties/rollout/properties/gates", "/properties/spec/properties/gates", 2},
                           List{"/properties/spec/properties/monitors", "/properties/spec/properties/monitors", 1}}) {
    const Json::json_pointer of_model(list.of_model), of_set(list.of_set);
    CHECK(crd::schema_of("modelgatesets")[of_set] == crd::schema_of("models")[of_model]);
    // In a ClusterModelGateSet they may be required: that alone is another rule.
    Json model = crd::schema_of("models")[of_model], cluster = crd::schema_of("clustermodelgatesets")[of_set];
    int others = 0;
    for (Json* items : {&model, &cluster}) {
      Json& rules = (*items)["items"]["x-kubernetes-validations"];
      for (size_t i = rules.size(); i-- > 0;)
        if (rules[i]["rule"].get<std::string>().starts_with("!has(self.required)")) rules.erase(i), ++others;
    }
    CHECK(others == list.rules_of_required);
    CHECK(cluster == model);
  }
}

TEST_CASE("the CRD and the parser of ModelPolicy agree, and its gates and monitors are a Model's", "[crd]") {
  check_agreement<api::ModelPolicy>(full("modelpolicies"), {{"spec.description", "for people: a printer column"},
                                                            {"spec.monitors[0].about", "for people: reports"},
                                                            {"spec.frameworks", "for people: kubectl model policy explain"}});
  CHECK(crd::schema_of("modelpolicies")[Json::json_pointer("/properties/spec/properties/monitors")] ==
        crd::schema_of("models")[Json::json_pointer("/properties/spec/properties/monitors")]);
  CHECK(crd::schema_of("modelpolicies")[Json::json_pointer("/properties/spec/properties/gates")] ==
        crd::schema_of("models")[Json::json_pointer("/properties/spec/properties/rollout/properties/gates")]);
}

TEST_CASE("the CRD and the parser of ModelApproval agree", "[crd]") { check_agreement<api::ModelApproval>(full("modelapprovals"), {}); }

TEST_CASE("the CRD and the parser of ModelAudit agree", "[crd]") {
  check_agreement<api::ModelAudit>(full("modelaudits"), {});
}

TEST_CASE("what the API server would prune is found", "[crd]") {
  const Json schema = crd::schema_of("models");
  CHECK(crd::unknown_fields(schema, full("models")).empty());
  CHECK(
      crd::unknown_fields(
          schema,
          Json::parse(
              R"({"metadata":{"x":1},"spec":{"serving":{"template":{"a":1}},"rollout":{"steps":[{"wait":1}]}},
                                                     "status":{"mood":"good"}})")) ==
      std::vector<std::string>{"spec.rollout.steps[].wait", "status.mood"});
}
