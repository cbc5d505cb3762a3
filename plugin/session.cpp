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

kube::ConfigPlaces places_of(const ClusterOptions& options) {
  auto places = kube::ConfigPlaces::from_environment();
  places.kubeconfig = options.kubeconfig;
  places.context = options.context;
  // kubectl looks at the person's file first, also within a pod.
  std::error_code ignored;
  if (std::filesystem::exists(std::filesystem::path(places.home) / ".kube" / "config", ignored))
    places.service_host.clear();
  return places;
}

// The flags take the place of what the kubeconfig says, all of it: groups of one user are not another's.
Result<void> impersonate(const ClusterOptions& options, kube::Config& config) {
  if (options.as.empty() && options.as_groups.empty() && options.as_uid.empty()) return {};
  if (options.as.empty())
    return fail(ErrorKind::Invalid, "--as-group and --as-uid need --as, the user that they belong to");
  config.impersonate = {options.as, options.as_uid, options.as_groups, {}};
  return {};
}

}  // namespace

Result<Cluster> connect(const ClusterOptions& options) {
  auto config = kube::load_config(places_of(options));
  if (!config) return fail(config.error());
  if (const auto done = impersonate(options, *config); !done) return fail(done.error());
  const std::string ns = options.ns.empty() ? config->ns : options.ns;
  auto credentials = std::make_shared<kube::Credentials>(std::move(*config));
  return Cluster{kube::make_client(kube::make_curl_transport(credentials), credentials,
                                   {.version = MODEL_OPERATOR_VERSION,
                                    .program = "kubectl-model",
                                    .dry_run = options.dry_run,
                                    .observer = {},
                                    .deadline = options.deadline}),
                 ns};
}

std::optional<std::chrono::milliseconds> request_timeout(const std::string& text) {
  using namespace std::chrono_literals;
  constexpr std::chrono::milliseconds none = 24h;
  const bool bare = !text.empty() && text.size() < 6 && text.find_first_not_of("0123456789") == std::string::npos;
  const auto duration = parse_duration(bare ? text + "s" : text);
  if (!duration || *duration < Duration(0)) return {};
  const auto time = std::chrono::ceil<std::chrono::milliseconds>(*duration);
  return time == 0ms ? none : std::min(time, none);
}

std::vector<std::string> namespaces(kube::Client& client) {
  const auto body = client.get_raw("/api/v1/namespaces?limit=500", {});
  if (!body) return {};
  const auto list = parse_json(*body, kLargestObject);
  std::vector<std::string> names;
  if (list)
    for (const Json& one : items(*list, "items")) names.push_back(name_of(one));
  return names;
}

std::vector<std::string> contexts(const ClusterOptions& options) {
  return kube::context_names(places_of(options)).value_or(std::vector<std::string>{});
}

Json with_kind(Json object, Kind kind) {
  object["apiVersion"] = info(kind).api_version();
  object["kind"] = info(kind).kind;
  return object;
}

Result<Json> get(Session& session, Kind kind, const std::string& name) {
  const auto body = session.client.get({kind, {info(kind).namespaced ? session.ns : "", name}}, session.stop);
  if (!body) return fail(body.error());
  return parse_json(*body, kLargestObject);
}

std::shared_ptr<const api::Namespace> namespace_of(Session& session) {
  const auto object = get(session, Kind::Namespace, session.ns);
  if (!object) return nullptr;
  auto parsed = api::parse<api::Namespace>(object->dump());
  return parsed ? std::make_shared<const api::Namespace>(std::move(*parsed)) : nullptr;
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

int worse(int a, int b) {
  for (const int code : {kTrouble, kNo, kNotYet})
    if (a == code || b == code) return code;
  return kDone;
}

std::string count_of(size_t n, const std::string& what) {
  return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

}  // namespace mo::plugin
