#include "model-server/server.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/system/system_error.hpp>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "model-server/session.h"

namespace model_server {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Error = boost::system::error_code;

constexpr std::chrono::milliseconds kAcceptPause{
    100};  // out of file descriptors: a moment later there may be one
constexpr std::chrono::milliseconds kPoll{20};

void open(tcp::acceptor& acceptor, uint16_t port) {
  Error no_v6;
  acceptor.open(tcp::v6(), no_v6);
  if (!no_v6) acceptor.set_option(asio::ip::v6_only(false), no_v6);
  if (no_v6) {
    Error ignored;
    acceptor.close(ignored);
    acceptor.open(tcp::v4());
  }
  acceptor.set_option(asio::socket_base::reuse_address(true));
  acceptor.bind(tcp::endpoint(no_v6 ? tcp::v4() : tcp::v6(), port));
  acceptor.listen();
}

// The address as the peer has it: an IPv4 peer of a socket for both is not another one.
asio::ip::address peer_of(const tcp::socket& socket) {
  Error error;
  const asio::ip::address address = socket.remote_endpoint(error).address();
  if (error || !address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
  return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
}

}  // namespace

struct Server::Listener {
  Listener(App& app_in, ServerOptions options_in)
      : app(app_in),
        options(options_in),
        context(options_in.threads),
        acceptor(asio::make_strand(context)),
        pause(acceptor.get_executor()) {
    model_server::open(acceptor, options.port);
  }

  void accept() {
    acceptor.async_accept(asio::make_strand(context), [this](Error error, tcp::socket socket) {
      if (error == asio::error::operation_aborted || !acceptor.is_open()) return;
      if (error) {
        pause.expires_after(kAcceptPause);
        pause.async_wait([this](Error cancelled) {
          if (!cancelled) accept();
        });
        return;
      }
      const auto peer = peer_of(socket);
      add(std::make_shared<Session>(std::move(socket), peer, app, options, draining, open_sessions));
      accept();
    });
  }

  void add(const std::shared_ptr<Session>& session) {
    {
      std::lock_guard lock(mutex);
      make_room_for(session->peer());
      sessions.push_back(session);
    }
    session->start();
  }

  // Whose peer has been silent longest gives way when its address, or the server, has all the connections it may.
  void make_room_for(const asio::ip::address& peer) {
    std::erase_if(sessions, [](const auto& s) { return s.expired(); });
    size_t of_peer = 0;
    std::shared_ptr<Session> longest, longest_of_peer;
    const auto longer = [](const auto& session, auto& than) {
      if (!than || session->silent_since() < than->silent_since()) than = session;
    };
    for (const auto& weak : sessions) {
      const auto session = weak.lock();
      if (!session) continue;
      longer(session, longest);
      if (session->peer() != peer) continue;
      ++of_peer;
      longer(session, longest_of_peer);
    }
    const auto gone = of_peer >= options.max_per_peer               ? longest_of_peer
                      : sessions.size() >= options.max_connections ? longest
                                                                    : nullptr;
    if (!gone) return;
    gone->give_way();
    std::erase_if(sessions, [&](const auto& s) { return s.lock() == gone; });
  }

  void stop_accepting() {
    asio::dispatch(acceptor.get_executor(), [this] {
      Error ignored;
      acceptor.close(ignored);
      pause.cancel();
    });
  }

  void drain_all() {
    std::lock_guard lock(mutex);
    for (const auto& weak : sessions)
      if (const auto session = weak.lock()) session->drain();
  }

  App& app;
  const ServerOptions options;
  std::atomic<bool> draining{false};
  std::atomic<size_t> open_sessions{0};
  std::mutex mutex;
  std::vector<std::weak_ptr<Session>> sessions;
  asio::io_context context;  // after what sessions refer to: it destroys those that are left
  tcp::acceptor acceptor;
  asio::steady_timer pause;
};

Server::Server(App& app, ServerOptions options) : listener_(std::make_unique<Listener>(app, options)) {}
Server::~Server() = default;

uint16_t Server::port() const { return listener_->acceptor.local_endpoint().port(); }

void Server::run(std::stop_token stop) {
  Listener& listener = *listener_;
  auto work = asio::make_work_guard(listener.context);
  listener.accept();
  std::vector<std::jthread> threads;
  for (int i = 0; i < listener.options.threads; ++i)
    threads.emplace_back([&listener] { listener.context.run(); });

  std::mutex mutex;
  std::condition_variable_any stopped;
  {
    std::unique_lock lock(mutex);
    stopped.wait(lock, stop, [] { return false; });
  }
  listener.app.stop_being_ready();
  listener.draining = true;
  std::this_thread::sleep_for(listener.options.shutdown_delay);
  listener.stop_accepting();
  const auto end = std::chrono::steady_clock::now() + listener.options.shutdown_limit;
  // Again and again, since a connection may have been between two states.
  while (listener.open_sessions > 0 && std::chrono::steady_clock::now() < end) {
    listener.drain_all();
    std::this_thread::sleep_for(kPoll);
  }
  work.reset();
  listener.context.stop();
}

}  // namespace model_server
