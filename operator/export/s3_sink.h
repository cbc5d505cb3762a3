// Audit records as objects of an S3 store. For this folder alone.
#pragma once

#include <memory>
#include <string>

#include "operator/export/sink.h"

namespace mo::audit {

// `where`: s3://BUCKET[/PREFIX]. An object for each batch, PREFIX/NAMESPACE/MODEL/UID/FIRST-LAST-HASH.jsonl, where HASH is of
// what it holds: the same batch has the same name, and no object is written over. ErrorKind::Invalid: that is no such address, or
// nothing says with which keys. Errors of `credentials` that may pass are told by write().
Result<std::unique_ptr<Sink>> make_s3_sink(const std::string& where, const std::string& credentials, kube::HttpTransport& http);

}  // namespace mo::audit
