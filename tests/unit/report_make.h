// Objects as the API server has them, for reports: Model fraud in namespace pay, its versions, rollouts and pods.
#pragma once

#include "operator/json/json.h"
#include "report/portfolio.h"

namespace mo::report::test {

inline const TimePoint kNow = *parse_time("2026-11-22T12:00:00Z");

inline Json meta(const std::string& name, const std::string& ns = "pay", const std::string& created = "2026-11-01T00:00:00Z") {
  return {{"name", name}, {"namespace", ns}, {"creationTimestamp", created}};
}

inline Json model(const std::string& name = "fraud", const std::string& ns = "pay") {
  return {{"metadata", meta(name, ns)},
          {"spec",
           {{"class", "MachineLearning"},
            {"riskTier", "high"},
            {"owner", {{"team", "payments"}, {"contact", "payments@example.com"}}},
            {"description", "Scores card payments."},
            {"lifecycle", {{"stage", "Production"}, {"reviewBy", "2027-01-01T00:00:00Z"}}},
            {"card", {{"intendedUse", "Card payments"}, {"limitations", "Not for wires"}}},
            {"monitors", {{{"name", "drift"}, {"about", "Drift"}, {"max", "0.2"}}}}}},
          {"status",
           {{"phase", "Ready"},
            {"message", "fraud-v2 serves"},
            {"stableVersion", "fraud-v2"},
            {"lifecycle", {{"stage", "Production"}}},
            {"trafficSummary", "fraud-v2 100%"},
            {"ready", "2/2"},
            {"monitors", {{{"name", "drift"}, {"state", "OK"}, {"value", "0.07"}, {"since", "2026-11-20T00:00:00Z"}}}}}}};
}

inline Json version(const std::string& name, const std::string& digest = "a", const std::string& of = "fraud", bool served = true) {
  return {{"metadata", meta(name, "pay", "2026-11-10T00:00:00Z")},
          {"spec",
           {{"modelRef", {{"name", of}}},
            {"artifact", {{"uri", "pvc://m/" + name}, {"digest", "sha256:" + std::string(64, digest[0])}, {"format", {{"name", "sklearn"}}}}},
            {"lineage",
             {{"code", {{"repository", "https://git.example/fraud"}, {"revision", "abc123"}}},
              {"data", {{{"name", "payments-2026"}, {"digest", "sha256:d"}}}},
              {"run", {{"kind", "Job"}, {"name", "fraud-train-7"}}}}},
            {"metrics", {{"f1", "0.95"}}}}},
          {"status", {{"phase", served ? "Serving" : "Registered"}, {"served", served}}}};
}

inline Json rollout(const std::string& name, const std::string& from, const std::string& to, const std::string& phase, const std::string& finished,
                    const std::string& of = "fraud") {
  Json r = {{"metadata", meta(name)},
            {"spec", {{"modelRef", {{"name", of}}}, {"version", to}}},
            {"status",
             {{"phase", phase},
              {"message", phase},
              {"startedAt", "2026-11-12T00:00:00Z"},
              {"gates", {{{"name", "accuracy"}, {"verdict", "Passed"}, {"value", "0.97"}}}}}}};
  if (!from.empty()) r["status"]["fromVersion"] = from;
  if (!finished.empty()) r["status"]["finishedAt"] = finished;
  r["metadata"]["labels"] = {{"modelops.dev/origin", "spec"}};
  return r;
}

inline Json pod(const std::string& name, const std::string& image, const Json& labels = Json::object()) {
  Json p = {{"metadata", meta(name)}, {"spec", {{"containers", {{{"image", image}}}}}}, {"status", {{"phase", "Running"}}}};
  p["metadata"]["labels"] = labels;
  return p;
}

inline bool has(const Model& model, const std::string& kind) {
  return std::any_of(model.findings.begin(), model.findings.end(), [&](const Finding& f) { return f.kind == kind; });
}

}  // namespace mo::report::test
