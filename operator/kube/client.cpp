#include "operator/kube/client.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "operator/kube/credentials.h"

namespace mo::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int max_repeats = 3;

bool unreserved(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.' || c == '~';
}

std::string escaped(std::string_view text) {
  static constexpr char hex[] = "0123456789ABCDEF";
  std::string out;
  for (const unsigned char c : text) {
    if (unreserved(c)) {
      out += static_cast<char>(c);
    } else {
      out += '%';
      out += hex[c >> 4];
      out += hex[c & 15];
    }
  }
  return out;
}

// URL libraries take "." and ".." in a path for the folder and the one above: such a name would lead elsewhere.
bool is_dots(std::string_view name) { return name == "." || name == ".."; }

Result<std::string> collection_path(Kind kind, const std::string& ns) {
  const KindInfo& about = info(kind);
  if (is_dots(ns)) return fail(ErrorKind::Invalid, "not the name of a namespace: " + ns);
  std::string path = *about.group ? std::string("/apis/") + about.group : std::string("/api");
  path += std::string("/") + about.version;
  if (about.namespaced && !ns.empty()) path += "/namespaces/" + escaped(ns);
  return path + "/" + about.plural;
}

// An empty name or namespace would make a path that means the whole collection: a DELETE of it deletes all.
Result<std::string> object_path(const ObjectRef& ref, const std::string& subresource) {
  if (ref.key.name.empty() || is_dots(ref.key.name) || (info(ref.kind).namespaced && ref.key.ns.empty())) {
    return fail(ErrorKind::Invalid, "not the name of an object: " + ref.to_string());
  }
  const auto collection = collection_path(ref.kind, ref.key.ns);
  if (!collection) return collection;
  const std::string path = *collection + "/" + escaped(ref.key.name);
  return subresource.empty() ? path : path + "/" + subresource;
}

// "?a=b&c=d"; pairs whose value is empty are left out.
class Query {
 public:
  Query& add(const char* name, std::string_view value) {
    if (value.empty()) return *this;
    text_ += text_.empty() ? '?' : '&';
    text_ += std::string(name) + "=" + escaped(value);
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::string accept(bool metadata_only, const char* partial_kind) {
  if (!metadata_only) return "application/json";
  return std::string("application/json;as=") + partial_kind + ";g=meta.k8s.io;v=v1";
}

std::string delete_options(const std::string& uid, const std::string& resource_version) {
  rapidjson::StringBuffer out;
  rapidjson::Writer<rapidjson::StringBuffer> json(out);
  json.StartObject();
  json.Key("apiVersion");
  json.String("v1");
  json.Key("kind");
  json.String("DeleteOptions");
  json.Key("propagationPolicy");
  json.String("Background");
  if (!uid.empty() || !resource_version.empty()) {
    json.Key("preconditions");
    json.StartObject();
    if (!uid.empty()) {
      json.Key("uid");
      json.String(uid.c_str());
    }
    if (!resource_version.empty()) {
      json.Key("resourceVersion");
      json.String(resource_version.c_str());
    }
    json.EndObject();
  }
  json.EndObject();
  return out.GetString();
}

// False if the stop token ended the wait.
bool wait_for(milliseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

class HttpClient final : public Client {
 public:
  HttpClient(std::unique_ptr<HttpTransport> transport, std::shared_ptr<Credentials> credentials,
             ClientOptions options)
      : transport_(std::move(transport)),
        credentials_(std::move(credentials)),
        options_(std::move(options)) {}

  void close_idle() override { transport_->close_idle(); }

  void await_credentials(milliseconds longest, std::stop_token stop) override {
    constexpr milliseconds look{1'000};
    const auto until = steady_clock::now() + longest;
    for (;;) {
      const auto left = std::chrono::ceil<milliseconds>(until - steady_clock::now());
      if (left <= milliseconds(0) || !wait_for(std::min(left, look), stop) || !refused_now()) return;
    }
  }

  Result<std::string> get(const ObjectRef& ref, std::stop_token stop) override {
    const auto path = object_path(ref, "");
    if (!path) return fail(path.error());
    return read({"get", ref.kind, "GET", *path, accept(false, ""), {}, {}}, stop);
  }

  Result<std::string> get_raw(const std::string& target, std::stop_token stop) override {
    return read({"get", {}, "GET", target, accept(false, ""), {}, {}}, stop);
  }

  Result<std::string> post_raw(const std::string& target, const std::string& body, std::stop_token stop) override {
    return unary({"post", {}, "POST", target, accept(false, ""), "application/json", body}, stop);
  }

  Result<void> remove_raw(const std::string& target, const std::string& uid, std::stop_token stop) override {
    const auto done = unary({"delete", {}, "DELETE", target, accept(false, ""), "application/json", delete_options(uid, "")}, stop);
    if (!done) return fail(done.error());
    return {};
  }

  Result<std::string> list(Kind kind, const ListOptions& options, std::stop_token stop) override {
    Query query;
    query.add("labelSelector", options.label_selector).add("fieldSelector", options.field_selector);
    query.add("resourceVersion", options.resource_version)
        .add("resourceVersionMatch", options.resource_version_match);
    query.add("continue", options.continue_token);
    if (options.limit > 0) query.add("limit", std::to_string(options.limit));
    const auto path = collection_path(kind, options.ns);
    if (!path) return path;
    return read({"list",
                 kind,
                 "GET",
                 *path + query.text(),
                 accept(options.metadata_only, "PartialObjectMetadataList"),
                 {},
                 {}},
                stop);
  }

  Result<void> watch(Kind kind, const WatchOptions& options, const LineSink& line,
                     std::stop_token stop) override {
    Query query;
    query.add("watch", "true")
        .add("allowWatchBookmarks", "true")
        .add("labelSelector", options.label_selector);
    query.add("resourceVersion", options.resource_version);
    if (options.send_initial_events)
      query.add("sendInitialEvents", "true").add("resourceVersionMatch", "NotOlderThan");
    query.add("timeoutSeconds", std::to_string(options.timeout.count()));
    const auto path = collection_path(kind, options.ns);
    if (!path) return fail(path.error());
    const Call call{"watch",
                    kind,
                    "GET",
                    *path + query.text(),
                    accept(options.metadata_only, "PartialObjectMetadata"),
                    {},
                    {}};
    const auto response = exchange(call, stop, [&](HttpRequest& request) {
      request.idle_deadline = options.idle_deadline;
      request.opened = [&] {
        let_in();
        if (options.opened) options.opened();
      };
      return transport_->stream(request, line, stop);
    });
    if (!response) return fail(response.error());
    return {};
  }

  Result<std::string> apply(const ObjectRef& ref, const std::string& body, bool force,
                            std::stop_token stop) override {
    Query query = written();
    query.add("force", force ? "true" : "false").add("fieldValidation", "Strict");
    return write({"apply", ref.kind, "PATCH", query.text(), {}, "application/apply-patch+yaml", body}, ref,
                 "", stop);
  }

  Result<std::string> merge_patch(const ObjectRef& ref, const std::string& body,
                                  const std::string& subresource, std::stop_token stop) override {
    return write({"patch", ref.kind, "PATCH", written().text(), {}, "application/merge-patch+json", body}, ref,
                 subresource, stop);
  }

  Result<std::string> put(const ObjectRef& ref, const std::string& body, const std::string& subresource,
                          std::stop_token stop) override {
    // Tests hold our statuses against the CRDs; to look for unknown fields in each costs the API server as much as reading it does.
    const Query query = Query().add("fieldManager", options_.program).add("fieldValidation", "Ignore").add("dryRun", dry_run());
    return write({"put", ref.kind, "PUT", query.text(), {}, "application/json", body}, ref, subresource, stop);
  }

  Result<std::string> post(Kind kind, const std::string& ns, const std::string& body,
                           std::stop_token stop) override {
    return create(kind, ns, body, dry_run(), stop);
  }

  Result<std::string> dry_run_post(Kind kind, const std::string& ns, const std::string& body,
                                   std::stop_token stop) override {
    return create(kind, ns, body, "All", stop);
  }

  Result<void> remove(const ObjectRef& ref, const std::string& uid, const std::string& resource_version,
                      std::stop_token stop) override {
    const Call call{
        "delete", ref.kind, "DELETE", Query().add("dryRun", dry_run()).text(), {}, "application/json",
        delete_options(uid, resource_version)};
    const auto done = write(call, ref, "", stop);
    if (!done) return fail(done.error());
    return {};
  }

 private:
  struct Call {
    const char* verb;
    std::optional<Kind> kind;
    const char* method;
    std::string target;
    std::string accept;
    std::string content_type;
    std::string body;
  };

  Result<std::string> create(Kind kind, const std::string& ns, const std::string& body, const std::string& dry_run,
                             const std::stop_token& stop) {
    if (info(kind).namespaced && ns.empty()) return fail(ErrorKind::Invalid, "no namespace to create in");
    const auto path = collection_path(kind, ns);
    if (!path) return path;
    const std::string query = Query()
                                  .add("fieldManager", options_.program)
                                  .add("dryRun", dry_run)
                                  .add("fieldValidation", "Strict")
                                  .text();
    return unary({"post", kind, "POST", *path + query, accept(false, ""), "application/json", body}, stop);
  }

  static const char* plural_of(const Call& call) { return call.kind ? info(*call.kind).plural : "raw"; }

  // What each write says of itself.
  Query written() const { return Query().add("fieldManager", options_.program).add("dryRun", dry_run()); }
  const char* dry_run() const { return options_.dry_run ? "All" : ""; }

  // `call.target` is the query only.
  Result<std::string> write(Call call, const ObjectRef& ref, const std::string& subresource,
                            const std::stop_token& stop) {
    const auto path = object_path(ref, subresource);
    if (!path) return fail(path.error());
    call.target = *path + call.target;
    call.accept = accept(false, "");
    return unary(call, stop);
  }

  Result<std::string> unary(const Call& call, const std::stop_token& stop) {
    auto response =
        exchange(call, stop, [&](HttpRequest& request) { return transport_->send(request, stop); });
    if (!response) return fail(response.error());
    return std::move(response->body);
  }

  // Repeats where the API server asked to come again.
  Result<std::string> read(const Call& call, const std::stop_token& stop) {
    milliseconds backoff = options_.first_backoff;
    for (int repeats = 0;; ++repeats) {
      auto answer = unary(call, stop);
      if (answer || repeats == max_repeats) return answer;
      const Error& error = answer.error();
      if (error.kind != ErrorKind::TooManyRequests && error.kind != ErrorKind::ServerError) return answer;
      const milliseconds wait = error.retry_after.value_or(backoff) + jitter(backoff / 2);
      if (error.retry_after && *error.retry_after > options_.longest_wait) return answer;
      if (!wait_for(wait, stop)) return fail(ErrorKind::Cancelled, "cancelled");
      backoff *= 2;
    }
  }

  // Whether what requests would carry is what was refused last, and nobody was let in since.
  bool refused_now() {
    std::string refused;
    {
      const std::lock_guard lock(refused_mutex_);
      if (!refused_) return false;
      refused = *refused_;
    }
    if (!credentials_->config().exec) credentials_->refresh(refused);  // a plugin is run by requests alone
    const auto now = credentials_->authorization();
    return !now || *now == refused;
  }
  void let_in() {
    const std::lock_guard lock(refused_mutex_);
    refused_.reset();
  }

  // One exchange, and a second one after a 401 if other credentials can be had.
  template <class Send>
  Result<HttpResponse> exchange(const Call& call, const std::stop_token& stop, const Send& send) {
    for (bool second = false;; second = true) {
      HttpRequest request = request_of(call);
      std::string authorization;
      if (auto added = add_authorization(request, authorization); !added) return fail(added.error());
      const auto start = steady_clock::now();
      auto response = send(request);
      observe(call, response, steady_clock::now() - start);
      if (!response) return fail(where(call, std::move(response.error())));
      if (response->status / 100 == 2) {
        let_in();
        return response;
      }
      if (response->status == 401) {
        const std::lock_guard lock(refused_mutex_);
        refused_ = authorization;
      }
      const bool again = response->status == 401 && !second && !stop.stop_requested();
      if (!again || !credentials_->refresh(authorization)) return fail(error_of(*response));
    }
  }

  HttpRequest request_of(const Call& call) const {
    HttpRequest request;
    request.method = call.method;
    request.target = call.target;
    request.body = call.body;
    request.deadline = options_.deadline;
    request.headers.emplace_back("Accept", call.accept);
    request.headers.emplace_back("User-Agent", options_.program + "/" + options_.version);
    if (!call.content_type.empty()) request.headers.emplace_back("Content-Type", call.content_type);
    const Impersonation& as = credentials_->config().impersonate;
    if (!as.user.empty()) request.headers.emplace_back("Impersonate-User", as.user);
    if (!as.uid.empty()) request.headers.emplace_back("Impersonate-Uid", as.uid);
    for (const std::string& group : as.groups) request.headers.emplace_back("Impersonate-Group", group);
    for (const auto& [key, value] : as.extra)
      request.headers.emplace_back("Impersonate-Extra-" + escaped(key), value);
    return request;
  }

  Result<void> add_authorization(HttpRequest& request, std::string& value) {
    auto got = credentials_->authorization();
    if (!got) return fail(got.error());
    value = std::move(*got);
    if (!value.empty()) request.headers.emplace_back("Authorization", value);
    return {};
  }

  void observe(const Call& call, const Result<HttpResponse>& response, steady_clock::duration took) const {
    if (!options_.observer) return;
    options_.observer(call.verb, plural_of(call), response ? response->status : 0,
                      std::chrono::duration<double>(took).count());
  }

  // The transport knows neither verb nor kind.
  static Error where(const Call& call, Error error) {
    if (error.kind != ErrorKind::Cancelled)
      error.message = std::string(call.verb) + " " + plural_of(call) + ": " + error.message;
    return error;
  }

  milliseconds jitter(milliseconds most) {
    const std::lock_guard lock(random_mutex_);
    return milliseconds(std::uniform_int_distribution<milliseconds::rep>(
        0, std::max<milliseconds::rep>(0, most.count()))(random_));
  }

  const std::unique_ptr<HttpTransport> transport_;
  const std::shared_ptr<Credentials> credentials_;
  const ClientOptions options_;
  std::mutex refused_mutex_;
  std::optional<std::string> refused_;  // the Authorization that was answered 401 last, if nobody was let in since
  std::mutex random_mutex_;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace

void Client::await_credentials(milliseconds longest, std::stop_token stop) { wait_for(longest, stop); }

std::unique_ptr<Client> make_client(std::unique_ptr<HttpTransport> transport,
                                    std::shared_ptr<Credentials> credentials, ClientOptions options) {
  return std::make_unique<HttpClient>(std::move(transport), std::move(credentials), std::move(options));
}

}  // namespace mo::kube
