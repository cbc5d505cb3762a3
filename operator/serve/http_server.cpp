#include "operator/serve/http_server.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <optional>

namespace mo::serve {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;

// One connection, alive as long as one of its operations is pending.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, const Handler& handler, const Limits& limits, std::shared_ptr<int> count)
      : stream_(std::move(socket)), handler_(handler), limits_(limits), count_(std::move(count)) {
    ++*count_;
  }
  ~Session() { --*count_; }

  void read() {
    parser_.emplace();
    parser_->header_limit(static_cast<uint32_t>(limits_.header_bytes));
    parser_->body_limit(limits_.body_bytes);
    stream_.expires_after(limits_.idle);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](error_code error, size_t) { self->on_read(error); });
  }

 private:
  void on_read(error_code error) {
    if (error == http::error::end_of_stream) return close();
    if (error == http::error::header_limit || error == http::error::buffer_overflow)
      return answer(Reply{431, "text/plain; charset=utf-8", "the request's header is too large\n"}, true);
    if (error == http::error::body_limit)
      return answer(Reply{413, "text/plain; charset=utf-8", "no bodies here\n"}, true);
    if (error && error.category() == make_error_code(http::error::bad_target).category())
      return answer(Reply{400, "text/plain; charset=utf-8", "not an HTTP request\n"}, true);
    if (error) return;  // time-out or gone: the stream closes itself
    answer(reply(), !parser_->get().keep_alive());
  }

  Reply reply() {
    const auto& request = parser_->get();
    if (request.method() != http::verb::get && request.method() != http::verb::head)
      return Reply{405, "text/plain; charset=utf-8", "GET only\n"};
    const std::string_view target(request.target().data(), request.target().size());
    try {
      return handler_(target.substr(0, target.find('?')));
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
    response_.keep_alive(!last);
    response_.content_length(reply.body.size());
    if (!head) response_.body() = std::move(reply.body);
    stream_.expires_after(limits_.idle);
    serializer_.emplace(response_);
    auto written = [self = shared_from_this(), last](error_code error, size_t) {
      if (error || last) return self->close();
      self->read();
    };
    if (head)
      http::async_write_header(stream_, *serializer_, written);
    else
      http::async_write(stream_, *serializer_, written);
  }

  void close() {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.close();
  }

  beast::tcp_stream stream_;
  const Handler& handler_;
  const Limits& limits_;
  std::shared_ptr<int> count_;
  beast::flat_buffer buffer_{32 << 10};
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
};

std::string what(const std::string& step, const error_code& error) { return step + ": " + error.message(); }

}  // namespace

struct HttpServer::Impl {
  asio::io_context io{1};
  tcp::acceptor acceptor{io};
  Handler handler;
  Limits limits;
  std::shared_ptr<int> count = std::make_shared<int>(0);

  Result<void> listen(const tcp::endpoint& endpoint) {
    error_code error;
    acceptor.open(endpoint.protocol(), error);
    if (error) return fail(ErrorKind::Transport, what("open", error));
    acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (endpoint.address().is_v6())
      acceptor.set_option(asio::ip::v6_only(!endpoint.address().is_unspecified()), error);
    acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(64, error);
    if (!error) return {};
    error_code ignored;
    acceptor.close(ignored);
    return fail(ErrorKind::Transport, what("bind", error));
  }

  void accept() {
    acceptor.async_accept([this](error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (error) return pause();  // out of descriptors, perhaps: not in a loop
      if (*count < limits.connections)
        std::make_shared<Session>(std::move(socket), handler, limits, count)->read();
      accept();
    });
  }

  void pause() {
    retry.expires_after(std::chrono::milliseconds(100));
    retry.async_wait([this](error_code error) {
      if (!error) accept();
    });
  }
  asio::steady_timer retry{io};
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
                                                      Limits limits) {
  auto impl = std::make_unique<Impl>();
  impl->handler = std::move(handler);
  impl->limits = limits;
  std::vector<tcp::endpoint> candidates;
  if (address.host.empty()) {
    candidates = {{tcp::v6(), address.port},
                  {tcp::v4(), address.port}};  // the second where IPv6 is switched off
  } else {
    error_code error;
    for (const auto& found :
         tcp::resolver(impl->io).resolve(address.host, std::to_string(address.port), error))
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

HttpServer::HttpServer(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)), thread_([this] {
        // Out of memory for one connection must not end the others.
        for (;;) {
          try {
            impl_->io.run();
            return;
          } catch (const std::exception&) {
          }
        }
      }) {}

HttpServer::~HttpServer() { impl_->io.stop(); }

uint16_t HttpServer::port() const { return impl_->acceptor.local_endpoint().port(); }

}  // namespace mo::serve
