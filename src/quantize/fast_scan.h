// Numbers of 4 bits packed in blocks of 32 rows, which kernels scan with tables in registers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/code_scan.h"

namespace longbow::quantize {

// Lines of a block whose rows have `nibbles` numbers of 4 bits.
constexpr size_t ScanLines(size_t nibbles) { return (nibbles + kernels::kScanFields - 1) / kernels::kScanFields; }

// Writes one block: number j of row i is nibble j of rows + i * stride, two in a byte, the first in its low bits.
// count: rows that there are, at most kernels::kScanRows; the others become zeros. block: [ScanLines(nibbles), 64].
void PackScanBlock(const uint8_t* rows, size_t stride, size_t count, size_t nibbles, uint8_t* block);

// Sums of table entries, from tables rounded to uint8 with one step for all. Immutable.
class ScanTables {
 public:
  // tables: [nibbles, 16].
  ScanTables(const kernels::CodeKernels& kernels, const float* tables, size_t nibbles);

  // sums[32 b + i] for row i of block b. Blocks stand `stride` bytes apart. sums: [block_count * kScanRows].
  void Scan(const uint8_t* blocks, size_t stride, size_t block_count, float* sums) const;

 private:
  const kernels::CodeKernels& kernels_;
  const size_t lines_;
  std::vector<uint8_t> tables_;  // [lines_, 64]
  float step_ = 0;
  float base_ = 0;  // sum of the tables' smallest entries
};

}  // namespace longbow::quantize
