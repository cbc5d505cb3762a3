// Several Prometheus queries in one: what shares a moment costs one request.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mo::evidence {

// The label by which the series of one are told from those of the others: its value is the query's place, from 0.
inline constexpr const char* kPlaceLabel = "modelops_query";

// Whether the query's brackets, texts and comments end within it, so that in brackets of ours it says what it says alone, and nothing of its neighbours.
bool stands_in_brackets(std::string_view promql);

// The union of what the queries say, each of which stands in brackets, and is a vector: a number by itself (a scalar) makes Prometheus refuse all of it.
std::string together(const std::vector<std::string>& queries);

}  // namespace mo::evidence
