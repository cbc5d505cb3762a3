#include "kube_test_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <condition_variable>
#include <stdexcept>

namespace mo::kube::test {
namespace {

void check(bool fine, const char* what) {
  if (!fine) throw std::runtime_error(what);
}

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Cert = std::unique_ptr<X509, decltype(&X509_free)>;
using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;

std::string text_of(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<size_t>(size)};
}

Bio memory() { return {BIO_new(BIO_s_mem()), &BIO_free}; }
Bio memory(const std::string& text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &BIO_free};
}
Cert read_cert(const std::string& pem) {
  return {PEM_read_bio_X509(memory(pem).get(), nullptr, nullptr, nullptr), &X509_free};
}
Key read_key(const std::string& pem) {
  return {PEM_read_bio_PrivateKey(memory(pem).get(), nullptr, nullptr, nullptr), &EVP_PKEY_free};
}

void extend(X509* cert, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  check(extension, "X509V3_EXT_conf_nid");
  X509_add_ext(cert, extension, -1);
  X509_EXTENSION_free(extension);
}

KeyPair make(const std::string& name, const std::string& names, const KeyPair* ca, bool is_ca) {
  static std::atomic<long> serial{1};
  const Key key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  const Cert cert(X509_new(), &X509_free);
  X509_set_version(cert.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(cert.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(cert.get()), 86400);
  X509_set_pubkey(cert.get(), key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(cert.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  const Cert issuer = ca ? read_cert(ca->cert) : Cert(nullptr, &X509_free);
  const Key issuer_key = ca ? read_key(ca->key) : Key(nullptr, &EVP_PKEY_free);
  X509* const signer = issuer ? issuer.get() : cert.get();
  X509_set_issuer_name(cert.get(), X509_get_subject_name(signer));
  extend(cert.get(), signer, NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "CA:FALSE");
  if (!names.empty()) extend(cert.get(), signer, NID_subject_alt_name, names);
  check(X509_sign(cert.get(), issuer_key ? issuer_key.get() : key.get(), EVP_sha256()) > 0, "X509_sign");
  const Bio cert_out = memory(), key_out = memory();
  PEM_write_bio_X509(cert_out.get(), cert.get());
  PEM_write_bio_PrivateKey(key_out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return {text_of(cert_out), text_of(key_out)};
}

using Context = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;

Context context_of(const ServerTls& tls) {
  Context context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
  check(SSL_CTX_use_certificate(context.get(), read_cert(tls.identity.cert).get()) == 1, "certificate");
  check(SSL_CTX_use_PrivateKey(context.get(), read_key(tls.identity.key).get()) == 1, "key");
  if (!tls.client_ca.empty()) {
    const Cert ca = read_cert(tls.client_ca);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), ca.get());
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  }
  return context;
}

}  // namespace

KeyPair make_ca(const std::string& name, const KeyPair* root) { return make(name, "", root, true); }
KeyPair issue(const KeyPair& ca, const std::string& name, const std::string& names) {
  return make(name, names, &ca, false);
}

struct TestServer::Impl {
  Script script;
  Context context{nullptr, &SSL_CTX_free};
  int listening = -1;
  int port = 0;
  mutable std::mutex mutex;  // guards what follows
  std::condition_variable_any stopping;
  std::vector<ReceivedRequest> requests;
  std::list<int> open;
  std::list<std::jthread> threads;
  std::atomic<int> count{0};
  std::stop_source stop;
  std::jthread acceptor;

  class Peer;
  void accept_all();
  void serve(int fd, int index);
};

class TestServer::Impl::Peer final : public Connection {
 public:
  Peer(Impl& server, int fd, int index) : server_(server), fd_(fd), index_(index) {}
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() override {
    if (ssl_ && !was_reset_) SSL_shutdown(ssl_.get());
  }

  bool handshake() {
    if (!server_.context) return true;
    ssl_.reset(SSL_new(server_.context.get()));
    SSL_set_fd(ssl_.get(), fd_);
    return SSL_accept(ssl_.get()) == 1;
  }

  std::optional<ReceivedRequest> read_request() override {
    size_t end;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (!fill()) return std::nullopt;
    }
    ReceivedRequest request = parse(buffer_.substr(0, end + 2));
    buffer_.erase(0, end + 4);
    if (const auto it = request.headers.find("content-length"); it != request.headers.end()) {
      const size_t length = std::stoul(it->second);
      while (buffer_.size() < length) {
        if (!fill()) return std::nullopt;
      }
      request.body = buffer_.substr(0, length);
      buffer_.erase(0, length);
    }
    const std::lock_guard lock(server_.mutex);
    server_.requests.push_back(request);
    return request;
  }

  bool write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const int done = ssl_ ? SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()))
                            : static_cast<int>(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
      if (done <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(done));
    }
    return true;
  }

  std::string client_name() const override {
    const Cert cert(ssl_ ? SSL_get1_peer_certificate(ssl_.get()) : nullptr, &X509_free);
    if (!cert) return {};
    char name[200] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert.get()), NID_commonName, name, sizeof name);
    return name;
  }

  void reset() override {
    const linger hard{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    was_reset_ = true;
  }

  bool sleep(std::chrono::milliseconds time) override {
    std::unique_lock lock(server_.mutex);
    server_.stopping.wait_for(lock, server_.stop.get_token(), time, [] { return false; });
    return !server_.stop.stop_requested();
  }

  void wait_for_client_to_leave() override {
    while (fill()) buffer_.clear();
  }

  int index() const override { return index_; }

 private:
  bool fill() {
    char piece[16384];
    const int got = ssl_ ? SSL_read(ssl_.get(), piece, sizeof piece)
                         : static_cast<int>(::recv(fd_, piece, sizeof piece, 0));
    if (got <= 0) return false;
    buffer_.append(piece, static_cast<size_t>(got));
    return true;
  }

  static ReceivedRequest parse(const std::string& head) {
    ReceivedRequest request;
    const size_t line = head.find("\r\n"), first = head.find(' '), second = head.find(' ', first + 1);
    request.method = head.substr(0, first);
    request.target = head.substr(first + 1, second - first - 1);
    for (size_t at = line + 2; at < head.size();) {
      const size_t end = head.find("\r\n", at), colon = head.find(':', at);
      std::string name = head.substr(at, colon - at);
      std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
      const size_t value = head.find_first_not_of(' ', colon + 1);
      request.headers[name] = head.substr(value, end - value);
      at = end + 2;
    }
    return request;
  }

  Impl& server_;
  const int fd_;
  const int index_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_{nullptr, &SSL_free};
  std::string buffer_;
  bool was_reset_ = false;
};

void TestServer::Impl::serve(int fd, int index) {
  {
    Peer peer(*this, fd, index);
    if (peer.handshake()) script(peer);
  }
  const std::lock_guard lock(mutex);
  open.remove(fd);
  ::close(fd);  // under the lock: the destructor must not shut down a number that somebody else got by then
}

void TestServer::Impl::accept_all() {
  for (;;) {
    const int fd = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const int one = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    const std::lock_guard lock(mutex);
    if (stop.stop_requested()) {
      ::close(fd);
      return;
    }
    open.push_back(fd);
    const int index = count++;
    threads.emplace_back([this, fd, index] { serve(fd, index); });
  }
}

TestServer::TestServer(Script script, std::optional<ServerTls> tls) : impl_(std::make_unique<Impl>()) {
  ::signal(SIGPIPE, SIG_IGN);
  impl_->script = std::move(script);
  if (tls) impl_->context = context_of(*tls);
  impl_->listening = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  check(::bind(impl_->listening, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "bind");
  check(::listen(impl_->listening, 64) == 0, "listen");
  socklen_t size = sizeof address;
  ::getsockname(impl_->listening, reinterpret_cast<sockaddr*>(&address), &size);
  impl_->port = ntohs(address.sin_port);
  impl_->acceptor = std::jthread([impl = impl_.get()] { impl->accept_all(); });
}

TestServer::~TestServer() {
  impl_->stop.request_stop();
  ::shutdown(impl_->listening, SHUT_RDWR);
  impl_->acceptor.join();
  {
    const std::lock_guard lock(impl_->mutex);
    for (const int fd : impl_->open) ::shutdown(fd, SHUT_RDWR);
  }
  for (std::jthread& thread : impl_->threads) thread.join();
  ::close(impl_->listening);
}

int TestServer::port() const { return impl_->port; }
std::string TestServer::url(const std::string& host) const {
  return (impl_->context ? "https://" : "http://") + host + ":" + std::to_string(impl_->port);
}
int TestServer::connections() const { return impl_->count; }
std::vector<ReceivedRequest> TestServer::requests() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->requests;
}

std::string answer(int status, const std::string& body, const std::string& extra_headers) {
  return "HTTP/1.1 " + std::to_string(status) +
         " Whatever\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n" + extra_headers + "\r\n" + body;
}

std::string chunk(std::string_view bytes) {
  char head[20];
  snprintf(head, sizeof head, "%zx\r\n", bytes.size());
  return head + std::string(bytes) + "\r\n";
}

TestServer::Script replies(std::function<std::string(const ReceivedRequest&)> reply) {
  return [reply = std::move(reply)](Connection& connection) {
    while (auto request = connection.read_request()) {
      if (!connection.write(reply(*request))) return;
    }
  };
}

}  // namespace mo::kube::test
