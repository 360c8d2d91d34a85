// Which rows a filtered benchmark lets pass.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/status.h"
#include "cli/npy_file.h"

namespace longbow::cli {

struct RowMask {
  std::vector<uint64_t> words;  // bit i of the whole: row i passes
  uint32_t rows = 0;
  uint32_t passing = 0;

  bool Contains(size_t row) const { return ((words[row >> 6] >> (row & 63)) & 1) != 0; }
};

// The column that a predicate is on, for rows that pass and those that do not.
enum class FilterColumn {
  kInt8,    // 1 and 0; = 1
  kBool,    // true and false; = true
  kText,    // "yes" and "no"; = "yes"
  kNumber,  // float64 spread over [0, F) and [F, 1), F the share that passes; < F
};

// One filter as it is written on the command line: rows, or rows@column; "none" lets all pass.
struct FilterSpec {
  std::string text;  // as given
  std::string rows;  // for MakeMask; empty: all pass
  FilterColumn column = FilterColumn::kInt8;

  // INVALID_ARGUMENT for a column type it does not know. What stands before it is for MakeMask to judge.
  static Result<FilterSpec> Parse(const std::string& text);
};

// Of no row at first.
RowMask EmptyMask(uint32_t rows);
void AddRow(RowMask& mask, size_t row);

// `spec` is one of, with a fraction F in (0, 1] of the rows:
//   random:F      each row for itself
//   range:F       rows that follow each other: the values of a column in the order the rows came
//   correlated:F  the rows that lie farthest along a random direction: they are each other's neighbours, and most
//                 queries are elsewhere
//   FILE.npy      [rows] bool or uint8, 1 = passes
// At least one row passes. The same spec and rows give the same mask. INVALID_ARGUMENT, and what ReadNpyFlags gives.
Result<RowMask> MakeMask(FileSystem& fs, const std::string& spec, const Matrix<float>& base);

}  // namespace longbow::cli
