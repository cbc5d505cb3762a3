// The objects of files, folders and standard input, each with where it stands.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "operator/core/result.h"
#include "operator/yaml/yaml.h"

namespace mo::plugin {

struct Found {
  std::string file;         // "-" is standard input
  yaml::Document document;  // one object
  std::string base;         // its JSON pointer in the document: "" or "/items/3" of a List
  int line(const std::string& pointer = "") const { return document.line_of(base + pointer); }
};

// What is wrong where.
struct Complaint {
  std::string file;
  int line = 0;
  std::string path, message;
  std::string to_string() const;  // "FILE:LINE: path: message"
};

struct Objects {
  std::vector<Found> ours;  // of modelops.dev; others are passed over
  std::vector<Complaint> complaints;
  int files = 0;
};

// `names` as after -f: files, folders (with all .yaml, .yml and .json files below), "-" for `in`. Fails if
// one cannot be read at all.
Result<Objects> read_files(const std::vector<std::string>& names, std::istream& in);

}  // namespace mo::plugin
