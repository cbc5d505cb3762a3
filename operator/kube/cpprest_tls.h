// TLS as cpprestsdk is to speak it. For its transport alone.
//
// The library loads and trusts the system's CAs beside ours at every connection: we replace the store, and
// name no files to load.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <string>

#include "operator/kube/credentials.h"

namespace mo::kube::cpprest {

// Where the system's CAs are, as the environment said before we emptied it.
struct SystemRoots {
  std::string file, folder;
};

// Empties the environment's words on it, since the library would go by them. To be called once, before the
// library has anything to do: a second call finds nothing but OpenSSL's defaults.
SystemRoots take_system_roots();

// Whether it is an address, which is not sent as the name of a server.
bool is_ip(const std::string& host);

// Trusts `tls.ca`, or `roots` if it is empty, and nothing else; shows the client certificate if there is one.
// Called by the library for each new connection, on its thread. Throws if the CA or the certificate cannot be
// read: the request fails then.
void set_up_tls(boost::asio::ssl::context& context, const TlsMaterial& tls, const SystemRoots& roots);

}  // namespace mo::kube::cpprest
