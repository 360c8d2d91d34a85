// Which texts may contain a string: sets of text numbers by the three-byte strings they contain.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "filter/roaring_set.h"

namespace longbow::filter {

// Trigrams are hashed into a fixed number of sets, so the answer holds every text that contains the string and some
// that do not: the caller looks. Follows R. Cox, "Regular Expression Matching with a Trigram Index" (2012), for plain
// strings of bytes. Immutable once built, thread safe then.
class TrigramIndex {
 public:
  TrigramIndex();

  // While building: texts in ascending order of their numbers.
  void Add(uint32_t number, std::string_view text);
  void Finish();

  // Ascending; nothing for strings shorter than three bytes, about which the index knows nothing.
  std::optional<std::vector<uint32_t>> Candidates(std::string_view part) const;
  // At least as many as there are candidates, without finding them.
  std::optional<uint64_t> CandidatesMax(std::string_view part) const;
  // An upper bound of the size for texts of so many bytes.
  static size_t SizeMaxBytes(size_t text_bytes);
  size_t size_bytes() const { return size_bytes_; }

 private:
  std::vector<const RoaringSet*> SetsOf(std::string_view part) const;

  std::vector<RoaringSet> sets_;
  size_t size_bytes_ = 0;
};

}  // namespace longbow::filter
