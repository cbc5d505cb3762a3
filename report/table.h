// A table once, for a terminal, CSV, JSON and HTML. Each column says what it means.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/core/time.h"
#include "operator/json/json.h"

namespace mo::report {

enum class Tone { None, Good, Warn, Bad, Dim };

struct Cell {
  std::string text;      // for people; empty: shown as unknown where `known` is false, else as nothing
  Json value = nullptr;  // for programs; null: unknown
  Tone tone = Tone::None;
  std::string ns = {}, model = {};  // of a Model that it leads to
  bool known = true;
};
Cell cell(const std::string& text, Tone tone = Tone::None);  // an empty text is unknown
Cell plain(const std::string& text);                         // an empty text is an empty text
Cell count(size_t number, Tone tone_if_any = Tone::None);
Cell moment(const std::optional<TimePoint>& at);
Cell age_of(const std::optional<TimePoint>& at, TimePoint now);

struct Column {
  std::string key, title, meaning;
  bool wide = false;  // in a terminal only with -o wide
};

struct Table {
  std::string id, title, meaning;
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;
  std::string empty;  // what to say if there are no rows
};

// Without the columns that are wide.
Table narrow(Table table);
// RFC 4180. A text that a spreadsheet would take for a formula gets an apostrophe in front.
std::string to_csv(const Table& table);
// A list of objects by the columns' keys.
Json to_json(const Table& table);

}  // namespace mo::report
