#include "operator/evidence/web_access.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <regex>
#include <stdexcept>

namespace mo::evidence {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

std::string without_brackets(const std::string& host) {
  return host.starts_with('[') && host.ends_with(']') ? host.substr(1, host.size() - 2) : host;
}

const char* const kWayOut = ", which Models may not query through the operator; to allow it, add its network to the operator's flag --web-gate-allow";

}  // namespace

struct WebAccess::Closed {
  Network network;
  const char* what;
};

const std::vector<WebAccess::Closed>& WebAccess::closed() {
  static constexpr std::pair<const char*, const char*> kClosed[] = {{"169.254.169.254/32", "a cloud's metadata service"},
                                                                    {"100.100.100.200/32", "a cloud's metadata service"},
                                                                    {"168.63.129.16/32", "a cloud's metadata service"},
                                                                    {"192.0.0.192/32", "a cloud's metadata service"},
                                                                    {"fd00:ec2::254/128", "a cloud's metadata service"},
                                                                    {"127.0.0.0/8", "a loopback address"},
                                                                    {"::1/128", "a loopback address"},
                                                                    {"169.254.0.0/16", "a link-local address"},
                                                                    {"fe80::/10", "a link-local address"},
                                                                    {"0.0.0.0/8", "an unspecified address"},
                                                                    {"::/128", "an unspecified address"},
                                                                    {"224.0.0.0/4", "a multicast address"},
                                                                    {"ff00::/8", "a multicast address"},
                                                                    {"240.0.0.0/4", "a reserved address"}};
  static const std::vector<Closed> all = [] {
    std::vector<Closed> networks;
    for (const auto& [text, what] : kClosed) {
      networks.push_back({{}, what});
      if (!read_network(text, networks.back().network)) throw std::logic_error(text);
    }
    return networks;
  }();
  return all;
}

bool WebAccess::Network::holds(const Address& other) const {
  const int whole = bits / 8, rest = bits % 8;
  if (!std::equal(address.begin(), address.begin() + whole, other.begin())) return false;
  return rest == 0 || (address[whole] ^ other[whole]) >> (8 - rest) == 0;
}

// An IPv4 address within an IPv6 one, mapped or by NAT64, is that IPv4 address.
bool WebAccess::read_address(const std::string& text, Address& out) {
  constexpr Address mapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  constexpr Address nat64 = {0, 0x64, 0xff, 0x9b};
  out = mapped;
  if (inet_pton(AF_INET, text.c_str(), out.data() + 12) == 1) return true;
  if (inet_pton(AF_INET6, text.c_str(), out.data()) != 1) return false;
  if (std::equal(nat64.begin(), nat64.begin() + 12, out.begin())) std::copy_n(mapped.begin(), 12, out.begin());
  return true;
}

bool WebAccess::read_network(const std::string& text, Network& out) {
  const size_t slash = text.find('/');
  if (!read_address(text.substr(0, slash), out.address)) return false;
  const int all = text.find(':') == std::string::npos ? 32 : 128;
  out.bits = all;
  if (slash != std::string::npos) {
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + slash + 1, end, out.bits);
    if (error != std::errc{} || rest != end || out.bits < 0 || out.bits > all) return false;
  }
  out.bits += 128 - all;
  return true;
}

Result<WebAccess> WebAccess::parse(const std::vector<std::string>& allowed) {
  static const std::regex name(R"((\*|(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?))");
  static const std::regex address(R"([0-9.]+(/.*)?|.*[:/].*)");  // whatever means to be one
  WebAccess access;
  for (const std::string& entry : allowed) {
    const std::string text = lower(entry);
    Network network;
    if (read_network(text, network))
      access.networks_.push_back(network);
    else if (std::regex_match(text, address) || !std::regex_match(text, name))
      return fail(ErrorKind::Invalid, "\"" + entry + "\" is neither a host name, *.suffix, * nor an IP address or network such as 10.1.0.0/16");
    else
      access.hosts_.push_back(text);
  }
  return access;
}

void WebAccess::close_server(const std::string& url) {
  const auto origin = web_origin(url);
  if (!origin) return;
  server_ = origin->host + ":" + std::to_string(origin->port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(without_brackets(origin->host).c_str(), nullptr, &hints, &found) != 0) return;
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  for (const addrinfo* one = found; one; one = one->ai_next) {
    char text[NI_MAXHOST] = "";
    Address address;
    if (getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0 && read_address(text, address))
      server_peers_.emplace(address, origin->port);
  }
}

bool WebAccess::listed(const std::string& host) const {
  return std::any_of(hosts_.begin(), hosts_.end(), [&](const std::string& entry) {
    return entry == "*" || entry == host || (entry.starts_with("*.") && host.ends_with(entry.substr(1)));
  });
}

std::string WebAccess::refuse_host(const std::string& host) const {
  if (anybody() || listed(host) || !networks_.empty()) return "";
  return "the operator's flag --web-gate-allow does not list the host " + host;
}

std::string WebAccess::refuse_peer(const std::string& host, const std::string& address, int port) const {
  Address peer;
  if (!read_address(address, peer)) return "its address, " + address + ", is of an unknown kind";
  if (server_peers_.count({peer, port}) || host + ":" + std::to_string(port) == server_)
    return "its address, " + address + ", is the Kubernetes API server, which Models may not query through the operator";
  const auto holds = [&](const Network& network) { return network.holds(peer); };
  if (std::any_of(networks_.begin(), networks_.end(), holds)) return "";
  for (const Closed& one : closed())
    if (holds(one.network)) return "its address, " + address + ", is " + one.what + kWayOut;
  if (anybody() || listed(host)) return "";
  return "the operator's flag --web-gate-allow lists neither the host " + host + " nor its address, " + address;
}

Result<WebOrigin> web_origin(const std::string& url) {
  static const std::regex shape(R"((https?)://([^/?#]*)([/?#].*)?)", std::regex::icase);
  static const std::regex authority(R"(([A-Za-z0-9]([-.A-Za-z0-9]*)?|\[[0-9A-Fa-f:.]+\])(:([0-9]{1,5}))?)");
  std::smatch parts, split;
  if (url.size() > 4096 || !std::regex_match(url, parts, shape))
    return fail(ErrorKind::Invalid, "the url must be an http:// or https:// address");
  const std::string whole = parts[2];
  if (whole.find('@') != std::string::npos)
    return fail(ErrorKind::Invalid, "the url must not contain a user name or password: put a token into the operator's --web-gate-tokens");
  if (!std::regex_match(whole, split, authority))
    return fail(ErrorKind::Invalid, "the url must have a host name of letters, digits, '-' and '.', or an IP address, and optionally a port");
  WebOrigin origin{lower(parts[1]), lower(split[1]), 0};
  origin.port = split[4].matched ? std::stoi(split[4]) : origin.scheme == "https" ? 443 : 80;
  return origin;
}

}  // namespace mo::evidence
