// A scripted HTTP server on 127.0.0.1, plain or TLS, for the transports' tests: it can answer anything at any
// pace.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace mo::kube::test {

struct KeyPair {
  std::string cert, key;  // PEM
};
// A root, or an intermediate authority of `root`.
KeyPair make_ca(const std::string& name, const KeyPair* root = nullptr);
// `names` as OpenSSL writes them: "IP:127.0.0.1,DNS:localhost".
KeyPair issue(const KeyPair& ca, const std::string& common_name,
              const std::string& names = "IP:127.0.0.1,DNS:localhost");

struct ReceivedRequest {
  std::string method, target, body;
  std::map<std::string, std::string> headers;  // names in lower case
};

// One accepted connection, used by its own thread.
class Connection {
 public:
  virtual ~Connection() = default;
  // Nothing once the client is gone.
  virtual std::optional<ReceivedRequest> read_request() = 0;
  // False once the client is gone.
  virtual bool write(std::string_view bytes) = 0;
  // The common name of the client's certificate; "" without one.
  virtual std::string client_name() const = 0;
  // Ends with a TCP reset instead of an orderly close.
  virtual void reset() = 0;
  // False once the server is being stopped.
  virtual bool sleep(std::chrono::milliseconds time) = 0;
  // Waits until the client is gone or the server is being stopped.
  virtual void wait_for_client_to_leave() = 0;
  // How many connections came before this one.
  virtual int index() const = 0;
};

struct ServerTls {
  KeyPair identity;
  std::string client_ca;  // PEM; empty: no client certificate is asked for
};

// Runs `script` on a thread for each connection; the connection is closed when it returns.
class TestServer {
 public:
  using Script = std::function<void(Connection&)>;
  explicit TestServer(Script script, std::optional<ServerTls> tls = {});
  ~TestServer();
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  int port() const;
  std::string url(const std::string& host = "127.0.0.1") const;
  int connections() const;
  // The requests that were read whole so far.
  std::vector<ReceivedRequest> requests() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A complete answer with Content-Length.
std::string answer(int status, const std::string& body, const std::string& extra_headers = "");
inline const std::string chunked_head =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
std::string chunk(std::string_view bytes);
inline const std::string last_chunk = "0\r\n\r\n";

// Answers every request with the result of `reply`, until the client leaves.
TestServer::Script replies(std::function<std::string(const ReceivedRequest&)> reply);

}  // namespace mo::kube::test
