#include "report/live/reading.h"

#include <functional>
#include <tuple>

#include "operator/json/fields.h"
#include "report/html.h"

namespace mo::report {
namespace {

constexpr int kPage = 50;  // objects that are held as JSON at once
constexpr size_t kLongestPage = 256u << 20;

using Page = std::function<Result<std::string>(const std::string& continued)>;

// Each object is handed over and forgotten.
Result<void> each(const Page& page, const std::function<void(const Json&)>& take) {
  std::string continued;
  do {
    const auto text = page(continued);
    if (!text) return fail(text.error());
    const auto list = parse_json(*text, kLongestPage, 256);
    if (!list) return fail(list.error());
    for (const Json& object : fields::items(*list, "items")) take(object);
    continued = fields::text(*list, "metadata.continue");
  } while (!continued.empty());
  return {};
}

Page listed(kube::Client& client, Kind kind, const std::string& ns, const std::string& selector, std::stop_token stop) {
  kube::ListOptions options;
  options.ns = ns;
  options.limit = kPage;
  options.label_selector = selector;
  return [&client, kind, options, stop](const std::string& continued) mutable {
    options.continue_token = continued;
    return client.list(kind, options, stop);
  };
}

class Reading {
 public:
  Reading(kube::Client& client, const Wanted& wanted, std::stop_token stop) : client_(client), wanted_(wanted), stop_(std::move(stop)) {}

  Result<Portfolio> run(TimePoint now) {
    if (auto read = known(Kind::Model, wanted_.selector); !read) return fail(read.error());
    for (const Kind kind : {Kind::ModelVersion, Kind::ModelRollout})
      if (auto read = known(kind, ""); !read)
        collector_.gap(std::string(info(kind).kind) + "s could not be read, so what follows from them is unknown: " + read.error().message);
    if (wanted_.pods && wanted_.selector.empty()) pods();
    else if (wanted_.pods)  // a pod of a Model that was not asked for would look like one that no Model knows
      collector_.gap("Pods are not looked at where Models are chosen by labels, so whether there are model servers that no Model knows is unknown");
    for (const auto& [kind, plural, namespaced] : {std::tuple("TrainingRun", "trainingruns", true), std::tuple("ModelApproval", "modelapprovals", true),
                                                   std::tuple("ModelPolicy", "modelpolicies", false)})
      optional(kind, plural, namespaced);
    return std::move(collector_).finish(now, wanted_.ns.empty() ? "all namespaces" : "namespace " + wanted_.ns);
  }

 private:
  Result<void> known(Kind kind, const std::string& selector) {
    return each(listed(client_, kind, wanted_.ns, selector, stop_), [&](const Json& object) { collector_.add(info(kind).kind, object); });
  }

  void pods() {
    if (auto read = known(Kind::Pod, ""); read)
      collector_.pods_were_read();
    else
      collector_.gap("Pods could not be read, so whether there are model servers that no Model knows is unknown: " + read.error().message);
  }

  // Of kinds that a cluster may lack: that is no gap, but all else is.
  void optional(const std::string& kind, const std::string& plural, bool namespaced) {
    const std::string place = namespaced && !wanted_.ns.empty() ? "namespaces/" + wanted_.ns + "/" : "";
    const auto read = each(
        [&](const std::string& continued) {
          std::string target = "/apis/modelops.dev/v1alpha1/" + place + plural + "?limit=" + std::to_string(kPage);
          if (!continued.empty()) target += "&continue=" + in_url(continued);
          return client_.get_raw(target, stop_);
        },
        [&](const Json& object) { collector_.add(kind, object); });
    if (!read && read.error().kind != ErrorKind::NotFound)
      collector_.gap((kind == "ModelPolicy" ? "ModelPolicies" : kind + "s") + " could not be read: " + read.error().message);
  }

  kube::Client& client_;
  const Wanted& wanted_;
  std::stop_token stop_;
  Collector collector_;
};

}  // namespace

Result<Portfolio> read_portfolio(kube::Client& client, const Wanted& wanted, TimePoint now, std::stop_token stop) {
  return Reading(client, wanted, std::move(stop)).run(now);
}

Result<std::vector<Workload>> read_workloads(kube::Client& client, const std::string& ns, std::stop_token stop) {
  std::vector<Workload> workloads;
  const auto read = each(listed(client, Kind::Deployment, ns, "app.kubernetes.io/managed-by=model-operator", stop), [&](const Json& object) {
    if (auto workload = read_workload(object)) workloads.push_back(std::move(*workload));
  });
  if (!read) return fail(read.error());
  return workloads;
}

}  // namespace mo::report
