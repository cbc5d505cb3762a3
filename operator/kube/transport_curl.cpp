// HttpTransport on libcurl: where the calls of curl_calls.h go, and whom they trust there.
#include <curl/curl.h>

#include <optional>
#include <utility>

#include "operator/kube/credentials.h"
#include "operator/kube/curl_calls.h"
#include "operator/kube/curl_handle.h"
#include "operator/kube/transport.h"

namespace mo::kube {
namespace curl {
namespace {

class CurlTransport final : public HttpTransport, private Calls {
 public:
  explicit CurlTransport(std::shared_ptr<Credentials> credentials)
      : credentials_(std::move(credentials)), origin_(origin_of(credentials_->config().server)) {}

  Result<HttpResponse> send(const HttpRequest& request, std::stop_token stop) override {
    return call(request, Exchange::Mode::Send, nullptr, nullptr, stop);
  }
  Result<HttpResponse> stream(const HttpRequest& request, const LineSink& sink,
                              std::stop_token stop) override {
    return call(request, Exchange::Mode::Stream, &sink, nullptr, stop);
  }
  void close_idle() override { let_go_of_idle(); }

 private:
  Result<void> set_peer(CURL* easy, const HttpRequest& request, Slist& headers, Slist& extra) override {
    const Config& config = credentials_->config();
    if (!origin_) return fail(ErrorKind::Invalid, "not a URL: " + config.server);
    set(easy, CURLOPT_PROXY, config.proxy_url.c_str());  // "" also keeps the environment's proxies away
    set(easy, CURLOPT_NOPROXY, "");
    std::string url = config.server + request.target;
    if (!config.tls_server_name.empty() && origin_->scheme == "https") {
      url = under_other_name(url, config.tls_server_name, headers, extra);
      set(easy, CURLOPT_HTTPHEADER, headers.list);
      set(easy, CURLOPT_CONNECT_TO, extra.list);
    }
    set(easy, CURLOPT_URL, url.c_str());
    return origin_->scheme == "https" ? set_tls(easy, config) : Result<void>{};
  }

  // The certificate is checked against the URL's host, so put the other name there, and say where to connect
  // instead.
  std::string under_other_name(const std::string& url, const std::string& name, Slist& headers,
                               Slist& extra) const {
    const size_t authority = url.find("://") + 3;
    const size_t path = url.find('/', authority);
    const std::string address = origin_->host + ":" + origin_->port;
    extra.add("::" + address);
    headers.add("Host: " + address);
    return "https://" + name + ":" + origin_->port + (path == std::string::npos ? "" : url.substr(path));
  }

  Result<void> set_tls(CURL* easy, const Config& config) {
    const auto tls = credentials_->tls();
    if (!tls) return fail(tls.error());
    if (config.insecure_skip_tls_verify) {
      set(easy, CURLOPT_SSL_VERIFYPEER, 0L);
      set(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    } else if (!(*tls)->ca.empty()) {
      // Without the two nulls libcurl would trust Debian's default folder beside our CA.
      set(easy, CURLOPT_CAPATH, static_cast<const char*>(nullptr));
      set(easy, CURLOPT_CAINFO, static_cast<const char*>(nullptr));
      const curl_blob ca = blob_of((*tls)->ca);
      set(easy, CURLOPT_CAINFO_BLOB, &ca);
    }
    if (!(*tls)->cert.empty()) {
      const curl_blob cert = blob_of((*tls)->cert), key = blob_of((*tls)->key);
      set(easy, CURLOPT_SSLCERTTYPE, "PEM");
      set(easy, CURLOPT_SSLKEYTYPE, "PEM");
      set(easy, CURLOPT_SSLCERT_BLOB, &cert);
      set(easy, CURLOPT_SSLKEY_BLOB, &key);
    }
    return {};
  }

  const std::shared_ptr<Credentials> credentials_;
  const std::optional<Origin> origin_;
};

class PlainCurlTransport final : public PlainTransport, private Calls {
 public:
  explicit PlainCurlTransport(PlainOptions options) : options_(std::move(options)) {}

  Result<HttpResponse> send(const HttpRequest& request, std::stop_token stop) override {
    return call(request, Exchange::Mode::Send, nullptr, nullptr, stop);
  }
  Result<HttpResponse> stream(const HttpRequest& request, const LineSink& sink,
                              std::stop_token stop) override {
    return call(request, Exchange::Mode::Stream, &sink, nullptr, stop);
  }
  void close_idle() override { let_go_of_idle(); }
  Result<HttpResponse> download(const HttpRequest& request, const ChunkSink& sink,
                                std::stop_token stop) override {
    return call(request, Exchange::Mode::Download, nullptr, &sink, stop);
  }

 private:
  Result<void> set_peer(CURL* easy, const HttpRequest& request, Slist&, Slist&) override {
    const auto origin = origin_of(request.target);
    if (!origin || (origin->scheme != "http" && origin->scheme != "https")) {
      return fail(ErrorKind::Invalid, "neither an http nor an https address: " + request.target);
    }
    set(easy, CURLOPT_URL, request.target.c_str());
    set(easy, CURLOPT_USERAGENT, options_.user_agent.c_str());
    if (!options_.proxy_from_env) {
      set(easy, CURLOPT_PROXY, "");
      set(easy, CURLOPT_NOPROXY, "");
    }
    if (!options_.ca_file.empty()) {
      set(easy, CURLOPT_CAPATH, static_cast<const char*>(nullptr));
      set(easy, CURLOPT_CAINFO, options_.ca_file.c_str());
    }
    if (options_.max_redirects > 0) {
      set(easy, CURLOPT_FOLLOWLOCATION, 1L);
      set(easy, CURLOPT_MAXREDIRS, static_cast<long>(options_.max_redirects));
      set(easy, CURLOPT_REDIR_PROTOCOLS_STR, origin->scheme == "https" ? "https" : "http,https");
    }
    return {};
  }

  const PlainOptions options_;
};

}  // namespace
}  // namespace curl

std::unique_ptr<HttpTransport> make_curl_transport(std::shared_ptr<Credentials> credentials) {
  curl::init_libcurl();
  return std::make_unique<curl::CurlTransport>(std::move(credentials));
}

std::unique_ptr<PlainTransport> make_plain_curl_transport(PlainOptions options) {
  curl::init_libcurl();
  return std::make_unique<curl::PlainCurlTransport>(std::move(options));
}

}  // namespace mo::kube
