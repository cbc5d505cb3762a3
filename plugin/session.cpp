#include "plugin/session.h"

#include <filesystem>

#include "operator/api/wire.h"
#include "operator/kube/config.h"
#include "operator/kube/credentials.h"
#include "plugin/fields.h"

namespace mo::plugin {
namespace {

constexpr const char* kRefused = "Refused";
constexpr size_t kLargestObject = 8u << 20;

Json with_kind(Json object, Kind kind) {
  object["apiVersion"] = info(kind).api_version();  // items of a list lack both
  object["kind"] = info(kind).kind;
  return object;
}

}  // namespace

Result<Cluster> connect(const ClusterOptions& options) {
  auto places = kube::ConfigPlaces::from_environment();
  places.kubeconfig = options.kubeconfig;
  places.context = options.context;
  // kubectl looks at the person's file first, also within a pod.
  std::error_code ignored;
  if (std::filesystem::exists(std::filesystem::path(places.home) / ".kube" / "config", ignored))
    places.service_host.clear();
  auto config = kube::load_config(places);
  if (!config) return fail(config.error());
  if (!options.as.empty()) config->impersonate.user = options.as;
  const std::string ns = options.ns.empty() ? config->ns : options.ns;
  auto credentials = std::make_shared<kube::Credentials>(std::move(*config));
  return Cluster{kube::make_client(kube::make_curl_transport(credentials), credentials,
                                   {.version = MODEL_OPERATOR_VERSION,
                                    .program = "kubectl-model",
                                    .observer = {},
                                    .deadline = options.deadline}),
                 ns};
}

Result<Json> get(Session& session, Kind kind, const std::string& name) {
  const auto body = session.client.get({kind, {info(kind).namespaced ? session.ns : "", name}}, session.stop);
  if (!body) return fail(body.error());
  return parse_json(*body, kLargestObject);
}

Result<std::vector<Json>> list(Session& session, Kind kind, const kube::ListOptions& options) {
  std::vector<Json> found;
  kube::ListOptions page = options;
  if (info(kind).namespaced) page.ns = session.ns;
  page.limit = 500;
  do {
    const auto body = session.client.list(kind, page, session.stop);
    if (!body) return fail(body.error());
    std::optional<Error> wrong;
    const auto meta = api::split_list(*body, [&](std::string_view item) {
      auto object = parse_json(item, kLargestObject);
      if (object)
        found.push_back(with_kind(std::move(*object), kind));
      else if (!wrong)
        wrong = object.error();
    });
    if (!meta) return fail(meta.error());
    if (wrong) return fail(*wrong);
    page.continue_token = meta->continue_token;
  } while (!page.continue_token.empty());
  return found;
}

tl::unexpected<Error> refuse(const std::string& sentence) {
  return fail(Error{ErrorKind::Invalid, sentence, 0, kRefused, {}});
}

int complain(Session& session, const Error& error) {
  session.err << "error: " << printable(error.message) << "\n";
  return error.reason == kRefused ? kNo : kTrouble;
}

}  // namespace mo::plugin
