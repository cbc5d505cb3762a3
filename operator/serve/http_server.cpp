#include "operator/serve/http_server.h"

#include <openssl/err.h>
#include <openssl/sslerr.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <map>
#include <optional>

namespace mo::serve {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;

using Clock = std::chrono::steady_clock;

class Session;

// What the connections of one server share. Touched on its thread alone.
struct Shared {
  asio::io_context io{1};
  Handler handler;
  Guard guard;
  Service service;  // instead of both
  Tls tls;          // empty: plain HTTP
  Limits limits;
  std::map<uint64_t, std::shared_ptr<Session>> sessions;
  std::function<Decided(uint64_t id)> decision_for;
};

// One connection, kept until it closes.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(uint64_t id, asio::ip::address peer, tcp::socket socket, Shared& shared)
      : id_(id), peer_(std::move(peer)), stream_(std::move(socket)), shared_(shared) {}

  const asio::ip::address& peer() const { return peer_; }
  // When the peer last completed a request or took an answer.
  Clock::time_point silent_since() const { return silent_since_; }

  // From the first byte on.
  void begin() {
    if (!shared_.tls) return read();
    context_ = shared_.tls();
    tls_.emplace(stream_, *context_);
    // It lets everybody in: what is wrong with a caller's certificate is said in the answer.
    error_code ignored;
    tls_->set_verify_callback([this](bool good, asio::ssl::verify_context& about) {
      if (!good && certified_.problem.empty()) certified_.problem = X509_verify_cert_error_string(X509_STORE_CTX_get_error(about.native_handle()));
      return true;
    }, ignored);
    stream_.expires_after(shared_.limits.idle);
    tls_->async_handshake(asio::ssl::stream_base::server,
                          [self = shared_from_this()](error_code error) { self->on_handshake(error); });
  }

  void read() {
    silent_since_ = Clock::now();
    parser_.emplace();
    parser_->header_limit(static_cast<uint32_t>(shared_.limits.header_bytes));
    parser_->body_limit(shared_.limits.body_bytes);
    stream_.expires_after(shared_.limits.idle);
    auto done = [self = shared_from_this()](error_code error, size_t) { self->on_read(error); };
    on_stream([&](auto& stream) { http::async_read(stream, buffer_, *parser_, std::move(done)); });
  }

  void decided(std::optional<Reply> instead) {
    answer(instead ? std::move(*instead) : reply(), last_ || !parser_->get().keep_alive());
  }

  // Without TLS' word of farewell: an answer says its length, so nothing can be cut off unseen.
  void close() {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.close();
    shared_.sessions.erase(id_);  // may be the last that holds this
  }

 private:
  template <class F>
  void on_stream(const F& work) {
    if (tls_) return work(*tls_);
    work(stream_);
  }

  void look_at_certificate() {
    X509* shown = SSL_get1_peer_certificate(tls_->native_handle());
    certified_.shown = shown != nullptr;
    const long verdict = SSL_get_verify_result(tls_->native_handle());
    if (verdict != X509_V_OK && certified_.problem.empty()) certified_.problem = X509_verify_cert_error_string(verdict);
    certified_.names = names_of_certificate(shown);
    X509_free(shown);
  }

  // A connection may live for days, and the authorities may be others by then.
  void judge_again() {
    if (!tls_ || !certified_.holds() || shared_.tls() == context_) return;
    certified_.problem = "certificates have changed since this connection began; connect anew";
    last_ = true;
  }

  void on_handshake(error_code error) {
    if (!error) return look_at_certificate(), read();
    const bool of_tls = error.category() == asio::error::get_ssl_category();
    if (!of_tls || ERR_GET_REASON(static_cast<unsigned>(error.value())) != SSL_R_HTTP_REQUEST) return close();
    tls_.reset();
    parser_.emplace();
    answer(Reply{400, "text/plain; charset=utf-8", "this port speaks HTTPS: ask for https://\n"}, true);
  }

  void on_read(error_code error) {
    silent_since_ = Clock::now();
    if (error == http::error::end_of_stream) return close();
    if (error == http::error::header_limit || error == http::error::buffer_overflow)
      return answer(Reply{431, "text/plain; charset=utf-8", "the request's header is too large\n"}, true);
    if (error == http::error::body_limit)
      return answer(Reply{413, "text/plain; charset=utf-8", "no bodies here\n"}, true);
    if (error && error.category() == make_error_code(http::error::bad_target).category())
      return answer(Reply{400, "text/plain; charset=utf-8", "not an HTTP request\n"}, true);
    if (error) return close();  // time-out, or gone
    const auto& request = parser_->get();
    if (request.method() != http::verb::get && request.method() != http::verb::head)
      return decided(Reply{405, "text/plain; charset=utf-8", "GET only\n"});
    if (shared_.service) return ask(request);
    if (!shared_.guard) return decided({});
    shared_.guard(std::string(request[http::field::authorization]), shared_.decision_for(id_));
  }

  void ask(const http::request<http::string_body>& request) {
    const std::string target(request.target().data(), request.target().size());
    const size_t mark = std::min(target.find('?'), target.size());
    Request asked{target.substr(0, mark), target.substr(std::min(mark + 1, target.size())), std::string(request[http::field::authorization])};
    for (const auto& header : request) asked.headers.emplace_back(std::string(header.name_string()), std::string(header.value()));
    judge_again();
    asked.certificate = certified_;
    shared_.service(std::move(asked), [decide = shared_.decision_for(id_)](Reply reply) { decide(std::move(reply)); });
  }

  Reply reply() {
    const auto& request = parser_->get();
    const std::string_view target(request.target().data(), request.target().size());
    try {
      return shared_.handler(target.substr(0, target.find('?')));
    } catch (const std::exception& e) {
      return Reply{500, "text/plain; charset=utf-8", std::string(e.what()) + "\n"};
    }
  }

  void answer(Reply reply, bool last) {
    const bool head = parser_->is_header_done() && parser_->get().method() == http::verb::head;
    response_ = {};
    response_.result(static_cast<unsigned>(reply.status));
    response_.version(11);
    response_.set(http::field::content_type, reply.content_type);
    response_.set("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : reply.headers) response_.set(name, value);
    if (reply.status == 401) response_.set(http::field::www_authenticate, "Bearer");
    response_.keep_alive(!last);
    response_.content_length(reply.body.size());
    if (!head) response_.body() = std::move(reply.body);
    stream_.expires_after(shared_.limits.idle);
    serializer_.emplace(response_);
    auto written = [self = shared_from_this(), last](error_code error, size_t) {
      if (error || last) return self->close();
      self->read();
    };
    on_stream([&](auto& stream) {
      if (head)
        http::async_write_header(stream, *serializer_, std::move(written));
      else
        http::async_write(stream, *serializer_, std::move(written));
    });
  }

  const uint64_t id_;
  const asio::ip::address peer_;
  beast::tcp_stream stream_;
  TlsContext context_;
  Certified certified_;
  bool last_ = false;  // the connection ends with the answer
  std::optional<asio::ssl::stream<beast::tcp_stream&>> tls_;  // over stream_, with its deadlines
  Shared& shared_;
  Clock::time_point silent_since_ = Clock::now();
  beast::flat_buffer buffer_{32 << 10};
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
};

// The address as the peer has it: an IPv4 peer of a socket for both is not another one.
asio::ip::address peer_of(const tcp::socket& socket) {
  error_code error;
  const asio::ip::address address = socket.remote_endpoint(error).address();
  if (error || !address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
  return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
}

// Whoever has been silent longest gives way when its address, or the server, has all the connections it may.
void make_room_for(const asio::ip::address& peer, Shared& shared) {
  int of_peer = 0;
  std::shared_ptr<Session> longest, longest_of_peer;
  const auto longer = [](const auto& session, auto& than) {
    if (!than || session->silent_since() < than->silent_since()) than = session;
  };
  for (const auto& [id, session] : shared.sessions) {
    longer(session, longest);
    if (session->peer() != peer) continue;
    ++of_peer;
    longer(session, longest_of_peer);
  }
  if (of_peer >= shared.limits.per_peer)
    longest_of_peer->close();
  else if (longest && shared.sessions.size() >= static_cast<size_t>(shared.limits.connections))
    longest->close();
}

std::string what(const std::string& step, const error_code& error) { return step + ": " + error.message(); }

}  // namespace

struct HttpServer::Impl {
  Shared shared;
  tcp::acceptor acceptor{shared.io};
  asio::steady_timer retry{shared.io};
  uint64_t next_id = 0;

  Result<void> listen(const tcp::endpoint& endpoint) {
    error_code error;
    acceptor.open(endpoint.protocol(), error);
    if (error) return fail(ErrorKind::Transport, what("open", error));
    acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (endpoint.address().is_v6())
      acceptor.set_option(asio::ip::v6_only(!endpoint.address().is_unspecified()), error);
    acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (!error) return {};
    error_code ignored;
    acceptor.close(ignored);
    return fail(ErrorKind::Transport, what("bind", error));
  }

  void accept() {
    acceptor.async_accept([this](error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (error) return pause();  // out of descriptors, perhaps: not in a loop
      accept();                   // first, so that what goes wrong with this one ends no other
      error_code ignored;
      socket.set_option(tcp::no_delay(true), ignored);  // by TLS, header and body are two messages: the second waits for no acknowledgement
      const auto peer = peer_of(socket);
      make_room_for(peer, shared);
      const auto session = std::make_shared<Session>(++next_id, peer, std::move(socket), shared);
      shared.sessions.emplace(next_id, session);
      session->begin();
    });
  }

  void pause() {
    retry.expires_after(std::chrono::milliseconds(100));
    retry.async_wait([this](error_code error) {
      if (!error) accept();
    });
  }
};

Result<Address> parse_address(std::string_view text) {
  const std::string quoted = "\"" + std::string(text) + "\"";
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return fail(ErrorKind::Invalid, quoted + " is not host:port or :port");
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string_view::npos)
    return fail(ErrorKind::Invalid, quoted + ": an IPv6 address goes in brackets, [::1]:8081");
  Address address{std::string(host), 0};
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), address.port);
  if (digits.empty() || parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size())
    return fail(ErrorKind::Invalid, quoted + " has no port between 0 and 65535");
  return address;
}

Result<std::unique_ptr<HttpServer>> HttpServer::start(const Address& address, Handler handler,
                                                      Limits limits, Guard guard, Tls tls) {
  auto impl = std::make_shared<Impl>();
  impl->shared.handler = std::move(handler);
  impl->shared.tls = std::move(tls);
  impl->shared.guard = std::move(guard);
  impl->shared.limits = limits;
  return listen(address, std::move(impl));
}

Result<std::unique_ptr<HttpServer>> HttpServer::start(const Address& address, Service service, Limits limits, Tls tls) {
  auto impl = std::make_shared<Impl>();
  impl->shared.tls = std::move(tls);
  impl->shared.service = std::move(service);
  impl->shared.limits = limits;
  return listen(address, std::move(impl));
}

Result<std::unique_ptr<HttpServer>> HttpServer::listen(const Address& address, std::shared_ptr<Impl> impl) {
  // Holds what it needs for as long as somebody may still decide; a reference to itself would keep it forever.
  impl->shared.decision_for = [weak = std::weak_ptr(impl)](uint64_t id) -> Decided {
    return [impl = weak.lock(), id](std::optional<Reply> instead) {
      asio::post(impl->shared.io, [shared = &impl->shared, id, instead = std::move(instead)]() mutable {
        if (const auto it = shared->sessions.find(id); it != shared->sessions.end())
          std::shared_ptr(it->second)->decided(std::move(instead));
      });
    };
  };
  std::vector<tcp::endpoint> candidates;
  if (address.host.empty()) {
    candidates = {{tcp::v6(), address.port},
                  {tcp::v4(), address.port}};  // the second where IPv6 is switched off
  } else {
    error_code error;
    for (const auto& found :
         tcp::resolver(impl->shared.io).resolve(address.host, std::to_string(address.port), error))
      candidates.push_back(found.endpoint());
    if (candidates.empty()) return fail(ErrorKind::Transport, what("resolve " + address.host, error));
  }
  Result<void> bound;
  for (const auto& endpoint : candidates)
    if ((bound = impl->listen(endpoint))) break;
  if (!bound) return fail(bound.error());
  impl->accept();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

HttpServer::HttpServer(std::shared_ptr<Impl> impl)
    : impl_(std::move(impl)), thread_([this] {
        // Out of memory for one connection must not end the others.
        for (;;) {
          try {
            impl_->shared.io.run();
            return;
          } catch (const std::exception&) {
          }
        }
      }) {}

HttpServer::~HttpServer() { impl_->shared.io.stop(); }

uint16_t HttpServer::port() const { return impl_->acceptor.local_endpoint().port(); }

}  // namespace mo::serve
