// Reading objects as they came: fields by their path, so that what a later version of a kind holds is shown
// too.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "operator/core/time.h"
#include "operator/json/json.h"

namespace mo::plugin {

// "status.step.index"; null if there is no such field. A leading dot is passed over.
const Json* field(const Json& object, std::string_view path);
// Texts as they are, other values as JSON; empty if there is none.
std::string text(const Json& object, std::string_view path);
int64_t number(const Json& object, std::string_view path, int64_t otherwise = 0);
std::optional<TimePoint> time_of(const Json& object, std::string_view path);
// The items of a list, nothing if there is none.
const Json& items(const Json& object, std::string_view path);

std::string name_of(const Json& object);
// Where metadata.generateName asks the API server for a name: one like those that it gives. Else nothing is changed.
void give_generated_name(Json& object);

// As it may be shown to a person: what others wrote must not steer the terminal, nor read otherwise than it is.
// Line ends and tabs become blanks; other control characters, marks that turn the direction of text, and bytes
// that are no UTF-8 become question marks.
std::string printable(const std::string& text);
// All texts in it.
Json printable(Json object);

// "True", "False", "Unknown"; empty if it has no such condition.
std::string condition(const Json& object, std::string_view type);

// "5m30s", "3h", "4d", as kubectl writes ages.
std::string age(Duration d);
// "1h5m", "40s": time that is left, to the second.
std::string span(Duration d);

}  // namespace mo::plugin
