// Where web gates may go. Whoever writes a Model names an address that the operator then asks from its own place in the network.
#pragma once

#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "operator/core/result.h"

namespace mo::evidence {

// Immutable once it is set up, and thread-safe then.
class WebAccess {
 public:
  // Every host, but for the addresses that are closed: loopback, link-local, unspecified, multicast, reserved ones and cloud metadata services.
  WebAccess() = default;

  // `allowed`: host names, *.suffix (hosts below it), * (every host), IP addresses and networks (10.1.0.0/16). If there is any, nothing else may
  // be asked. Only a network or an address opens one that is closed. ErrorKind::Invalid names an entry that is none of these.
  static Result<WebAccess> parse(const std::vector<std::string>& allowed);

  // The server of this URL is refused by whatever name or address, as of now. Blocks for as long as name servers do; a name that has
  // no address is refused by its name alone.
  void close_server(const std::string& url);

  // Why this host (a name, or an address with brackets if it is IPv6) is not to be asked, before anybody looks for its address; empty: it may be.
  std::string refuse_host(const std::string& host) const;
  // The same for the address that it has.
  std::string refuse_peer(const std::string& host, const std::string& address, int port) const;

 private:
  using Address = std::array<uint8_t, 16>;  // IPv4 as ::ffff:a.b.c.d
  struct Network {
    Address address{};
    int bits = 0;  // of 128
    bool holds(const Address& other) const;
  };
  struct Closed;
  static bool read_address(const std::string& text, Address& out);
  static bool read_network(const std::string& text, Network& out);
  static const std::vector<Closed>& closed();
  bool listed(const std::string& host) const;
  bool anybody() const { return hosts_.empty() && networks_.empty(); }

  std::vector<std::string> hosts_;  // in lower case
  std::vector<Network> networks_;
  std::string server_;  // the API server's host and port, and what addresses it has
  std::set<std::pair<Address, int>> server_peers_;
};

// Scheme, host and port of an http(s) URL: the host in lower case, the port by the scheme if none is written. ErrorKind::Invalid for anything
// else, also for a URL with a user name, or whose host others might read in another way.
struct WebOrigin {
  std::string scheme, host;
  int port = 0;
};
Result<WebOrigin> web_origin(const std::string& url);

}  // namespace mo::evidence
