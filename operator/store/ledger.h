// What each of our objects was last given, and what the API server made of it: tells a manual edit from our
// own work without keeping whole objects.
#pragma once

#include <mutex>
#include <string>
#include <unordered_map>

namespace mo {

// Thread-safe.
class Ledger {
 public:
  // After an apply: the object with `uid` was given a body of hash `applied`, and the API server stored a
  // spec of hash `stored`.
  void record(const std::string& uid, const std::string& applied, const std::string& stored);

  // The hash of the body that the object still agrees with, or "" if somebody changed it since and it wants
  // applying again. Before anything was recorded (after a restart) the annotation is believed unless somebody
  // else owns a part of spec.
  std::string agrees_with(const std::string& uid, const std::string& annotation, const std::string& stored,
                          bool foreign_manager);

  void forget(const std::string& uid);

 private:
  struct Entry {
    std::string applied, stored;
  };
  std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;
};

}  // namespace mo
