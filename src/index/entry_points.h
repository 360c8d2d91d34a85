// Where walks over a graph begin: a coarse sample of its rows.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "index/row_codes.h"

namespace longbow::index {

// Rows near the centres of a k-means clustering of a sample, and their codes, which follow each other so that all of
// them are looked at in a microsecond. Immutable.
struct EntryPoints {
  static constexpr size_t kCountMax = 128;

  std::vector<LocalId> ids;
  std::vector<uint8_t> codes;  // [ids, stride] as in RowCodes
};

// candidates: rows to choose from, not empty; the order decides ties. At most 2,048 of them are looked at, those with
// the same code once.
std::unique_ptr<const EntryPoints> ChooseEntryPoints(const RowCodes& codes, const std::vector<LocalId>& candidates);

}  // namespace longbow::index
