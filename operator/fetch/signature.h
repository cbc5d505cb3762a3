// Signatures of models in OpenSSF's format: who vouches for each file of an artifact.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "operator/core/result.h"
#include "operator/fetch/receiver.h"

namespace mo::fetch {

inline constexpr size_t kLargestBundle = 4u << 20;

// What a signature says of an artifact.
struct Statement {
  Files files;                    // "." for an artifact that is one file
  std::set<std::string> ignored;  // files and folders that the signer left out
};

// Reads a sigstore bundle as `model_signing sign key` writes it (an in-toto statement in a DSSE envelope) and verifies it with
// a public key in PEM, of the curves P-256, P-384 or P-521. ErrorKind::Unauthorized with what is wrong: not signed by that key,
// or in a way that is not supported (certificates, shards, other hashes than SHA-256). Pure.
Result<Statement> verify_bundle(std::string_view bundle, const std::string& public_key);

// The same files with the same digests, no more and no less, but for those that the signer left out; else
// ErrorKind::Unauthorized with the first that differs. Pure.
Result<void> compare(const Statement& statement, const Files& files);

}  // namespace mo::fetch
