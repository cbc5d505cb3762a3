#include "operator/kube/credentials.h"
#include "operator/kube/transport.h"
namespace mo::kube {
Result<std::unique_ptr<HttpTransport>> make_cpprest_transport(std::shared_ptr<Credentials>) {
  return fail(ErrorKind::Invalid, "not built yet: use --http-client=curl");
}
}  // namespace mo::kube
