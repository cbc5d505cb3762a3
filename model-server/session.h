// One connection of the server. Private to server.cpp and session.cpp.
#pragma once

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <memory>
#include <optional>

#include "model-server/server.h"

namespace model_server {

// Everything runs on the connection's strand; start() and drain() may be called from any thread. Lives as
// long as an operation of it does.
class Session : public std::enable_shared_from_this<Session> {
 public:
  // `draining`: set once the server stops; `open` counts the sessions there are. Both outlive all sessions,
  // as does `app`.
  Session(boost::asio::ip::tcp::socket socket, boost::asio::ip::address peer, App& app, const ServerOptions& options,
          const std::atomic<bool>& draining, std::atomic<size_t>& open);
  ~Session();

  void start();
  // Closes the connection if no request is under way; otherwise it is closed after the response.
  void drain();
  // Closes the connection, whatever is under way.
  void give_way();

  const boost::asio::ip::address& peer() const { return peer_; }
  // When the peer last completed a header or a request, or took an answer, in ticks of the steady clock; the greatest
  // number while it waits for us. From any thread.
  int64_t silent_since() const { return silent_since_; }

 private:
  using Error = boost::beast::error_code;
  void heard();
  void read_header();
  void on_header(Error error);
  void read_body();
  void on_body(Error error);
  void answer(const Request& request, unsigned version, bool keep_alive, bool head);
  void refuse(Error error);
  void send(const Response& answered, unsigned version, bool keep_alive, bool head);
  void finish();
  void linger();

  boost::beast::tcp_stream stream_;
  const boost::asio::ip::address peer_;
  std::atomic<int64_t> silent_since_;
  App& app_;
  const ServerOptions& options_;
  const std::atomic<bool>& draining_;
  std::atomic<size_t>& open_;
  boost::beast::flat_buffer buffer_;
  std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser_;
  boost::beast::http::response<boost::beast::http::string_body> response_;
  boost::beast::http::response<boost::beast::http::empty_body> continue_;
  bool waiting_ = false;  // for a request of which nothing has come yet
  size_t discarded_ = 0;
};

}  // namespace model_server
