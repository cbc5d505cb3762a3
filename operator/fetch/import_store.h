// Where the importing Job puts what it brings.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <memory>
#include <string>

#include "operator/fetch/download.h"
#include "operator/fetch/import.h"
#include "operator/fetch/pack.h"

namespace mo::fetch {

struct Stored {
  Packed packed;
  std::string uri;
};

class ImportStore {
 public:
  virtual ~ImportStore() = default;
  // Before anything is downloaded for it: whether it may be written to, as far as that is known by then.
  virtual Result<void> prepare() = 0;
  // Packs the folder `files`, which is gone afterwards, and puts the archive into the store under a name that
  // begins with `begin` and holds its digest: whole, or not at all.
  virtual Result<Stored> put(const std::filesystem::path& files, const std::string& begin) = 0;
};

// By options.uri: pvc://claim or pvc://claim/folder, s3://bucket or s3://bucket/prefix. ErrorKind::Invalid
// for another one. The references must outlive it. Its errors: ErrorKind::Forbidden for what cannot be read
// or written on this node, else those of s3_upload().
Result<std::unique_ptr<ImportStore>> make_import_store(const ImportOptions& options,
                                                       kube::PlainTransport& http, const Deadline& deadline,
                                                       std::ostream& log);

}  // namespace mo::fetch
