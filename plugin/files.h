// The objects of files, folders, kustomizations and standard input, each with where it stands.
#pragma once

#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "operator/core/result.h"
#include "operator/yaml/yaml.h"

namespace mo::plugin {

// What to read: `names` as after -f: files, folders (with all .yaml, .yml and .json files below), "-" for standard
// input; `kustomizations` as after -k.
struct Sources {
  std::vector<std::string> names, kustomizations;
};

struct Found {
  std::string file;  // "-" is standard input
  std::shared_ptr<const yaml::Document> document;
  std::string base = {};  // the object's JSON pointer in it: "" or "/items/3" of a List
  const Json& object() const { return document->value.at(Json::json_pointer(base)); }
  int line(const std::string& pointer = "") const { return document->line_of(base + pointer); }
};

// What is wrong where.
struct Complaint {
  std::string file;
  int line = 0;
  std::string path, message;
  bool warning = false;  // nothing refuses it, but it is likely not what was meant
  std::string to_string() const;  // "FILE:LINE: path: message", fit to be shown
};

struct Objects {
  std::vector<Found> ours;        // of modelops.dev
  std::vector<Found> configmaps;  // which those may refer to
  std::vector<Complaint> complaints;
  int files = 0;
  int others = 0;  // documents of other kinds, ConfigMaps among them, or of none; passed over
};

// Fails if a file cannot be read at all. A file of a folder that is no YAML and does not mention modelops.dev (a
// Helm template, say) is passed over. What holds no object at all is complained of: a check that looks at nothing
// must not pass.
Result<Objects> read_files(const Sources& sources, std::istream& in);

}  // namespace mo::plugin
