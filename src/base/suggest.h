// "did you mean ...?": the known name nearest to one that is not known.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace longbow {

// Insertions, deletions, replacements and swaps of neighbours that turn one text into the other (the optimal string
// alignment distance; Damerau, "A technique for computer detection and correction of spelling errors", 1964).
size_t EditDistance(std::string_view a, std::string_view b);

// The nearest of `known` to `name`, or empty if none is near: more than a third of the longer name would have to
// change.
std::string Nearest(std::string_view name, std::span<const std::string_view> known);

}  // namespace longbow
