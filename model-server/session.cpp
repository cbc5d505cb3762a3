#include "model-server/session.h"

#include <boost/asio/dispatch.hpp>
#include <limits>

namespace model_server {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;

constexpr uint32_t kMaxHeader = 16u << 10;
constexpr size_t kBuffer = 64u << 10;
constexpr std::chrono::seconds kLinger{2};
constexpr size_t kMaxDiscarded = 64u << 20;

}  // namespace

Session::Session(boost::asio::ip::tcp::socket socket, boost::asio::ip::address peer, App& app, const ServerOptions& options,
                 const std::atomic<bool>& draining, std::atomic<size_t>& open)
    : stream_(std::move(socket)),
      peer_(std::move(peer)),
      app_(app),
      options_(options),
      draining_(draining),
      open_(open),
      buffer_(kBuffer) {
  ++open_;
  heard();
}

Session::~Session() { --open_; }

void Session::heard() { silent_since_ = std::chrono::steady_clock::now().time_since_epoch().count(); }

void Session::give_way() {
  boost::asio::dispatch(stream_.get_executor(), [self = shared_from_this()] { self->stream_.close(); });
}

void Session::start() {
  boost::asio::dispatch(stream_.get_executor(), [self = shared_from_this()] {
    Error ignored;
    self->stream_.socket().set_option(boost::asio::ip::tcp::no_delay(true), ignored);
    self->read_header();
  });
}

void Session::drain() {
  boost::asio::dispatch(stream_.get_executor(), [self = shared_from_this()] {
    if (self->waiting_ && !self->parser_->got_some() && self->buffer_.size() == 0) self->stream_.close();
  });
}

void Session::read_header() {
  parser_.emplace();
  parser_->header_limit(kMaxHeader);
  parser_->body_limit(options_.max_body);
  waiting_ = true;
  stream_.expires_after(options_.idle);
  http::async_read_header(stream_, buffer_, *parser_,
                          [self = shared_from_this()](Error error, size_t) { self->on_header(error); });
}

void Session::on_header(Error error) {
  waiting_ = false;
  heard();
  if (error) return refuse(error);
  if (!beast::iequals(parser_->get()[http::field::expect], "100-continue")) return read_body();
  continue_ = {http::status::continue_, parser_->get().version()};
  stream_.expires_after(options_.request);
  http::async_write(stream_, continue_, [self = shared_from_this()](Error failed, size_t) {
    if (!failed) self->read_body();
  });
}

void Session::read_body() {
  stream_.expires_after(options_.request);
  http::async_read(stream_, buffer_, *parser_,
                   [self = shared_from_this()](Error error, size_t) { self->on_body(error); });
}

void Session::on_body(Error error) {
  if (error) return refuse(error);
  silent_since_ = std::numeric_limits<int64_t>::max();
  auto& message = parser_->get();
  const bool head = message.method() == http::verb::head;
  const bool keep_alive = message.keep_alive();
  Request request{head ? "GET" : std::string(message.method_string()), std::string(message.target()),
                  std::move(message.body()), options_.door, {}};
  if (const auto length = message.find("Inference-Header-Content-Length"); length != message.end())
    request.json_length = std::string(length->value());
  send(app_.handle(request), message.version(), keep_alive, head);
}

// What cannot be read as a request is answered if there is somebody to answer, and the connection is closed.
void Session::refuse(Error error) {
  const bool http_error = error.category() == http::make_error_code(http::error::end_of_stream).category();
  if (error == http::error::end_of_stream) return finish();
  if (!http_error || error == http::error::partial_message) return;  // gone, or too slow
  if (error == http::error::body_limit)
    return send(
        error_response(413, "the request is longer than " + std::to_string(options_.max_body) + " bytes"), 11,
        false, false);
  if (error == http::error::header_limit || error == http::error::buffer_overflow)
    return send(error_response(431, "the request's header is too long"), 11, false, false);
  send(error_response(400, "this is no HTTP request: " + error.message()), 11, false, false);
}

void Session::send(const Response& answered, unsigned version, bool keep_alive, bool head) {
  response_ = {static_cast<http::status>(answered.status), version};
  response_.set(http::field::content_type, answered.content_type);
  response_.set("Model-Name", app_.name());
  response_.set("Model-Version", app_.version());
  if (answered.json_length)
    response_.set("Inference-Header-Content-Length", std::to_string(*answered.json_length));
  if (!answered.allow.empty()) response_.set(http::field::allow, answered.allow);
  response_.keep_alive(keep_alive && !draining_);
  response_.body() = head ? "" : answered.body;
  response_.content_length(answered.body.size());
  heard();
  stream_.expires_after(options_.request);
  http::async_write(stream_, response_, [self = shared_from_this()](Error error, size_t) {
    if (error) return;
    if (self->response_.keep_alive()) return self->read_header();
    self->finish();
  });
}

// Closing with unread bytes would reset the connection, and the client might never see the answer: so take
// them, within reason.
void Session::finish() {
  Error ignored;
  stream_.socket().shutdown(boost::asio::ip::tcp::socket::shutdown_send, ignored);
  stream_.expires_after(kLinger);
  linger();
}

void Session::linger() {
  buffer_.clear();
  stream_.async_read_some(buffer_.prepare(16u << 10), [self = shared_from_this()](Error error, size_t got) {
    self->discarded_ += got;
    if (!error && self->discarded_ < kMaxDiscarded) self->linger();
  });
}

}  // namespace model_server
