// Kubeconfig files, service accounts, and credentials that change while we run.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "kube_test_server.h"
#include "operator/kube/config.h"
#include "operator/kube/credentials.h"
#include "operator/kube/exec.h"
#include "operator/kube/files.h"
#include "operator/kube/transport.h"

namespace mo::kube::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class Folder {
 public:
  Folder() {
    char name[] = "/tmp/kube-config-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~Folder() { fs::remove_all(path_); }
  fs::path write(const std::string& name, const std::string& text, bool executable = false) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << text;
    if (executable) fs::permissions(path_ / name, fs::perms::owner_all);
    return path_ / name;
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

const char* const two_contexts = R"(
apiVersion: v1
kind: Config
current-context: blue
clusters:
- name: one
  cluster: {server: "https://[fd00::1]:6443/", certificate-authority: pki/ca.crt, tls-server-name: kubernetes}
- name: two
  cluster: {server: two.example, insecure-skip-tls-verify: true, proxy-url: "http://proxy:3128"}
users:
- name: u
  user: {token: secret, tokenFile: token}
- name: v
  user: {client-certificate-data: "Y2VydA==", client-key-data: "a2V5\n"}
contexts:
- name: blue
  context: {cluster: one, user: u, namespace: payments}
- name: green
  context: {cluster: two, user: v}
)";

Result<Config> load(const fs::path& file) {
  ConfigPlaces places;
  places.kubeconfig = file;
  return load_config(places);
}

TEST_CASE("a kubeconfig's current context", "[kube][config]") {
  Folder folder;
  const auto config = load(folder.write("config", two_contexts));
  REQUIRE(config);
  CHECK(config->server == "https://[fd00::1]:6443");
  CHECK(config->ns == "payments");
  CHECK(config->ca.file == folder.path() / "pki/ca.crt");
  CHECK(config->token_file == folder.path() / "token");
  CHECK(config->token == "secret");
  CHECK(config->tls_server_name == "kubernetes");
  CHECK_THAT(config->source, Catch::Contains("blue"));
}

TEST_CASE("another context of a kubeconfig", "[kube][config]") {
  Folder folder;
  ConfigPlaces places;
  places.kubeconfig = folder.write("config", two_contexts);
  places.context = "green";
  REQUIRE(load_config(places));
  CHECK(load_config(places)->server == "https://two.example");
  CHECK_THAT(load_config(places)->source, Catch::Contains("context green"));
  places.context = "red";
  CHECK_THAT(load_config(places).error().message, Catch::Contains("context \"red\" does not exist"));
}

TEST_CASE("data in place, a bare host, no namespace", "[kube][config]") {
  Folder folder;
  std::string text = two_contexts;
  text.replace(text.find("blue"), 4, "green");
  const auto config = load(folder.write("config", text));
  REQUIRE(config);
  CHECK(config->server == "https://two.example");
  CHECK(config->insecure_skip_tls_verify);
  CHECK(config->proxy_url == "http://proxy:3128");
  CHECK(config->client_cert.data == "cert");
  CHECK(config->client_key.data == "key");
  CHECK(config->ns == "default");
}

TEST_CASE("a kubeconfig may say whom the API server is to take us for", "[kube][config]") {
  Folder folder;
  const auto user = [&](const std::string& fields) {
    return load(folder.write("config", "current-context: a\nclusters: [{name: c, cluster: {server: c.example}}]\n"
                                       "contexts: [{name: a, context: {cluster: c, user: u}}]\n"
                                       "users: [{name: u, user: {" + fields + "}}]\n"));
  };
  const auto config = user("as: jane, as-uid: 7, as-groups: [dev, on call], as-user-extra: {scopes: [x, y]}");
  REQUIRE(config);
  CHECK(config->impersonate.user == "jane");
  CHECK(config->impersonate.uid == "7");
  CHECK(config->impersonate.groups == std::vector<std::string>{"dev", "on call"});
  CHECK(config->impersonate.extra ==
        std::vector<std::pair<std::string, std::string>>{{"scopes", "x"}, {"scopes", "y"}});
  CHECK_THAT(user("as-groups: [dev]").error().message, Catch::Contains("need as"));
  CHECK_THAT(user("as: jane, as-groups: dev").error().message, Catch::Contains("as-groups is not a list"));
  CHECK_THAT(user("as: jane, as-user-extra: [a]").error().message, Catch::Contains("not a mapping"));
  // cpprestsdk would make one group of two.
  const auto transport = make_cpprest_transport(std::make_shared<Credentials>(*config));
  REQUIRE_FALSE(transport);
  CHECK_THAT(transport.error().message, Catch::Contains("--http-client=curl"));
}

TEST_CASE("the names of all contexts", "[kube][config]") {
  Folder folder;
  ConfigPlaces places;
  places.kubeconfig_env = folder.write("a", two_contexts).string() + ":" +
                          folder.write("b", "contexts: [{name: azure, context: {}}, {name: blue}]").string();
  CHECK(context_names(places) == std::vector<std::string>{"azure", "blue", "green"});
  CHECK(context_names({}) == std::vector<std::string>{});
  places.kubeconfig = (folder.path() / "none").string();
  CHECK_FALSE(context_names(places));
}

TEST_CASE("several files: the first to say something wins", "[kube][config]") {
  Folder folder;
  const auto first =
      folder.write("a/config",
                   "contexts: [{name: green, context: {cluster: two, user: v, namespace: first}}]\n"
                   "users: [{name: w, user: {}}]\n");
  const auto second = folder.write("b/config", two_contexts);
  const auto third =
      folder.write("c/config", "current-context: green\nclusters: [{name: one, cluster: {server: other}}]");
  ConfigPlaces places;
  places.kubeconfig_env = first.string() + ":/does/not/exist::" + third.string() + ":" + second.string();
  const auto config = load_config(places);
  REQUIRE(config);
  CHECK(config->ns == "first");
  CHECK(config->server == "https://two.example");
  places.kubeconfig_env = "/does/not/exist";
  CHECK_FALSE(load_config(places));
}

TEST_CASE("the order of places", "[kube][config]") {
  Folder folder;
  folder.write("home/.kube/config", two_contexts);
  folder.write("sa/token", "t\n");
  folder.write("sa/ca.crt", "ca");
  folder.write("sa/namespace", "models\n");
  ConfigPlaces places;
  places.home = folder.path() / "home";
  places.service_account = folder.path() / "sa";
  CHECK(load_config(places)->ns == "payments");
  places.service_host = "fd00::a";
  places.service_port = "443";
  const auto pod = load_config(places);
  REQUIRE(pod);
  CHECK(pod->server == "https://[fd00::a]:443");
  CHECK(pod->ns == "models");
  CHECK(pod->token_file == folder.path() / "sa/token");
  CHECK(pod->ca.file == folder.path() / "sa/ca.crt");
  places.kubeconfig_env = folder.path() / "home/.kube/config";
  CHECK(load_config(places)->ns == "payments");
  const auto nothing = load_config(ConfigPlaces{});
  REQUIRE_FALSE(nothing);
  CHECK_THAT(nothing.error().message, Catch::Contains("--kubeconfig"));
}

TEST_CASE("what is wrong with a kubeconfig is said", "[kube][config]") {
  Folder folder;
  const auto refused = [&](std::string text, const std::string& because) {
    const auto config = load(folder.write("config", text));
    CAPTURE(text);
    REQUIRE_FALSE(config);
    CHECK(config.error().kind == ErrorKind::Invalid);
    CHECK_THAT(config.error().message, Catch::Contains(because) && Catch::Contains("config"));
  };
  const auto changed = [](const std::string& from, const std::string& to) {
    std::string text = two_contexts;
    return text.replace(text.find(from), from.size(), to);
  };
  refused("{", "not YAML");
  refused("- 1", "not a kubeconfig");
  refused("", "no current-context");
  refused("current-context: x", "\"x\" does not exist");
  refused("current-context: [1]", "current-context is not a text");
  refused("clusters: 7", "clusters is not a list");
  refused("clusters: [7]", "an entry of clusters");
  refused("clusters: [{name: a, cluster: 7}]", "cluster is not a mapping");
  refused(changed("cluster: one", "cluster: three"), "names the cluster \"three\"");
  refused(changed("user: u,", "user: x,"), "names the user \"x\"");
  refused(changed("https://[fd00::1]:6443/", "ftp://x"), "neither https nor http");
  refused(changed("https://[fd00::1]:6443/", ""), "no server");
  refused(changed("token: secret", "client-certificate: x"), "go together");
  refused(changed("token: secret", "client-certificate-data: '!'"), "not base64");
  refused(changed("token: secret", "auth-provider: {name: gcp}"), "use exec");
  refused(changed("token: secret", "exec: {apiVersion: client.authentication.k8s.io/v1}"), "no command");
  refused(changed("token: secret", "exec: {command: x, apiVersion: client.authentication.k8s.io/v1alpha1}"),
          "not supported");
  refused(changed("tls-server-name: kubernetes", "insecure-skip-tls-verify: true"), "exclude");
  refused(changed("tls-server-name: kubernetes", "insecure-skip-tls-verify: maybe"),
          "neither true nor false");
  CHECK_FALSE(load(folder.path() / "missing"));
  CHECK_FALSE(load(folder.path()));
}

// Moves only when told to.
struct Hand {
  TimePoint now{std::chrono::hours(1)};
  Credentials::Clock clock() {
    return [this] { return now; };
  }
};

TEST_CASE("a token file is read again each minute, and at a 401", "[kube][credentials]") {
  Folder folder;
  Hand hand;
  Config config;
  config.token_file = folder.write("token", "one\n");
  Credentials credentials(config, {}, hand.clock());
  CHECK(credentials.authorization() == "Bearer one");
  folder.write("token", "two");
  hand.now += 59s;
  CHECK(credentials.authorization() == "Bearer one");
  hand.now += 1s;
  CHECK(credentials.authorization() == "Bearer two");
  folder.write("token", "three");
  CHECK(credentials.refresh("Bearer one"));  // another thread's old refusal: two was read since
  CHECK(credentials.authorization() == "Bearer two");
  CHECK(credentials.refresh("Bearer two"));
  CHECK(credentials.authorization() == "Bearer three");
  // A file that goes away or is half written leaves the last token in use.
  folder.write("token", "");
  hand.now += 60s;
  CHECK(credentials.authorization() == "Bearer three");
  fs::remove(config.token_file);
  hand.now += 60s;
  CHECK(credentials.authorization() == "Bearer three");
}

TEST_CASE("other ways to say who we are", "[kube][credentials]") {
  Config config;
  CHECK(Credentials(config).authorization() == "");
  config.username = "me";
  config.password = "pass";
  CHECK(Credentials(config).authorization() == "Basic bWU6cGFzcw==");
  config.token = "t";
  Credentials fixed(config);
  CHECK(fixed.authorization() == "Bearer t");
  CHECK_FALSE(fixed.refresh("Bearer t"));
  config.token = "t\r\nX-Evil: 1";
  CHECK_FALSE(Credentials(config).authorization());
  config.token_file = "/does/not/exist";
  const auto missing = Credentials(config).authorization();
  REQUIRE_FALSE(missing);
  CHECK(missing.error().kind == ErrorKind::Unauthorized);
}

TEST_CASE("certificates are read again when their files change", "[kube][credentials]") {
  Folder folder;
  Hand hand;
  const KeyPair ca = make_ca("ca"), a = issue(ca, "a"), b = issue(ca, "b");
  Config config;
  config.ca.file = folder.write("ca", ca.cert);
  config.client_cert.file = folder.write("cert", a.cert);
  config.client_key.file = folder.write("key", a.key);
  Credentials credentials(config, {}, hand.clock());
  const auto first = credentials.tls();
  REQUIRE(first);
  CHECK((*first)->cert == a.cert);
  CHECK(*credentials.tls() == *first);
  folder.write("cert", b.cert);
  hand.now += 2s;
  CHECK(*credentials.tls() == *first);  // half of a rotation
  folder.write("key", b.key);
  hand.now += 2s;
  CHECK((*credentials.tls())->cert == b.cert);
  CHECK((*credentials.tls())->key == b.key);
  const auto second = credentials.tls();
  folder.write("ca", "");
  hand.now += 2s;
  CHECK(*credentials.tls() == *second);
  folder.write("ca", ca.cert + a.cert);
  hand.now += 2s;
  CHECK((*credentials.tls())->ca == ca.cert + a.cert);
  // As the kubelet does it: a symbolic link is moved.
  CHECK((*first)->ca == ca.cert);
}

TEST_CASE("certificates that cannot be used are refused at first", "[kube][credentials]") {
  Folder folder;
  const KeyPair ca = make_ca("ca"), a = issue(ca, "a");
  Config config;
  config.ca.file = folder.path() / "missing";
  CHECK_FALSE(Credentials(config).tls());
  config.ca.file = folder.write("ca", "\n");
  CHECK_FALSE(Credentials(config).tls());
  config.ca = {};
  config.client_cert.data = a.cert;
  config.client_key.data = ca.key;
  CHECK_FALSE(Credentials(config).tls());
  config.client_key.data = "nonsense";
  CHECK_FALSE(Credentials(config).tls());
}

Config exec_config(const fs::path& program) {
  Config config;
  config.server = "https://x";
  config.exec = ExecPlugin{
      program, {"token", "--for=me"}, {{"FLAVOUR", "mint"}}, "client.authentication.k8s.io/v1", "get it at …",
      true};
  return config;
}

TEST_CASE("exec plugins are run, and again when their token expires or is refused", "[kube][credentials]") {
  Folder folder;
  Hand hand;
  hand.now = *parse_time("2026-01-01T00:00:00Z");
  const auto program = folder.write("plugin", R"(#!/bin/sh
echo run >> "$(dirname "$0")/runs"
n=$(wc -l < "$(dirname "$0")/runs")
echo "$KUBERNETES_EXEC_INFO $FLAVOUR $*" > "$(dirname "$0")/info"
echo noise >&2
echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t'$n'","expirationTimestamp":"2026-01-01T00:0'$n':00Z"}}'
)",
                                    true);
  Credentials credentials(exec_config(program), {}, hand.clock());
  CHECK(credentials.authorization() == "Bearer t1");
  CHECK(credentials.authorization() == "Bearer t1");
  hand.now += 60s;
  CHECK(credentials.authorization() == "Bearer t2");
  CHECK(credentials.refresh("Bearer t2"));
  CHECK(credentials.authorization() == "Bearer t3");
  CHECK(credentials.refresh("Bearer t2"));
  CHECK(credentials.authorization() == "Bearer t3");
  const auto info = read_file(folder.path() / "info", 4096);
  REQUIRE(info);
  CHECK_THAT(*info, Catch::Contains("\"interactive\":false") && Catch::Contains("\"server\":\"https://x\"") &&
                        Catch::Contains("mint token --for=me"));
}

TEST_CASE("exec plugins that fail are named, and end in time", "[kube][credentials]") {
  Folder folder;
  const auto run = [&](const std::string& body) {
    return run_exec_plugin(exec_config(folder.write("plugin", "#!/bin/sh\n" + body, true)), 500ms);
  };
  const auto refused = [&](const std::string& body, const std::string& because) {
    CAPTURE(body);
    const auto start = std::chrono::steady_clock::now();
    const auto ran = run(body);
    REQUIRE_FALSE(ran);
    CHECK(ran.error().kind == ErrorKind::Unauthorized);
    CHECK_THAT(ran.error().message, Catch::Contains(because) && Catch::Contains("plugin"));
    CHECK(std::chrono::steady_clock::now() - start < 60s);  // sooner than the plugin would have ended
  };
  refused("echo please log in >&2; exit 3", "exit code 3: please log in");
  refused("sleep 60", "did not end within 500ms");
  refused("sleep 60 & exit 0", "did not end within 500ms");  // a child that keeps the pipe
  refused("exec >&- 2>&-; sleep 60", "did not end within 500ms");
  refused("kill -9 $$", "signal 9");
  refused("head -c 3000000 /dev/zero", "more than 1 MiB");
  refused("echo hello", "did not print an ExecCredential");
  refused("echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"v2\"}'", "another apiVersion");
  refused(R"(echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1"}')",
          "without status");
  refused(R"(echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{}}')",
          "neither");
  refused(
      R"(echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"x","expirationTimestamp":"soon"}}')",
      "expirationTimestamp");
  const auto missing = run_exec_plugin(exec_config(folder.path() / "no-plugin"), 500ms);
  REQUIRE_FALSE(missing);
  CHECK_THAT(missing.error().message, Catch::Contains("get it at"));
}

TEST_CASE("texts of strangers are cut and cleaned", "[kube]") {
  CHECK(bounded_text("<html><body>\n<h1>502  Bad</h1>\x01gateway", 100) == "502 Bad gateway");
  CHECK(bounded_text("größe", 3) == "gr…");
  CHECK(bounded_text("größe", 4) == "grö…");
  CHECK(bounded_text("", 4).empty());
  CHECK(decode_base64("YWI=") == "ab");
  CHECK(decode_base64(" Y\nQ== ") == "a");
  CHECK(decode_base64("") == "");
  CHECK_FALSE(decode_base64("YWI"));
  CHECK_FALSE(decode_base64("Y=Q="));
  CHECK(encode_base64("ab") == "YWI=");
}

}  // namespace
}  // namespace mo::kube::test
