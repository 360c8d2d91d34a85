// The table of what estimating distances from codes and training the codes computes (quantize/): one per instruction
// set, for those that gain from one of their own.
//
// Included by files that are compiled with flags other machines lack: it must hold plain data only, as kernels.h.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

namespace longbow::kernels {

// Codes of n rows: row i begins at codes + (ids == nullptr ? i : ids[i]) * stride.
struct CodeRows {
  const uint8_t* codes;
  size_t stride;  // bytes
  const uint32_t* ids;
  size_t n;
};

// Rows of one block of the packed layout, and 4-bit fields of each row in one line of a block.
//
// A line is 64 bytes: byte 4 i + g holds field g of the line of row i in its low bits and of row 16 + i in its high
// bits. One VPERMB looks up all of it in four tables of 16, one VPDPBUSD adds the four fields of a row into its own
// 32-bit sum; AVX2 transposes a line in registers. The idea of scanning with tables in registers is from André,
// Kermarrec and Le Scouarnec, "Cache locality is not enough" (VLDB 2015).
constexpr size_t kScanRows = 32;
constexpr size_t kScanFields = 4;
constexpr size_t kScanLineBytes = 64;

// Integer results are the same in every table; floats differ by rounding. No pointer needs any alignment; nothing
// outside the given ranges is read. Thread safe: no state.
struct CodeKernels {
  Isa isa;

  // out[i] = sum over d of field d of row i * query[d], for unsigned fields of 8, 4, 2 or 1 bits. A row is `bytes` long
  // and holds 8 / bits * bytes fields: byte j holds fields j, j + bytes, j + 2 bytes, ..., the first in its lowest
  // bits. query: one value in [-127, 127] a field. Exact up to 65,536 fields. Callers prefetch rows
  // that they pick by id.
  void (*dot_u8)(const CodeRows* rows, size_t bytes, const int8_t* query, int32_t* out);
  void (*dot_u4)(const CodeRows* rows, size_t bytes, const int8_t* query, int32_t* out);
  void (*dot_u2)(const CodeRows* rows, size_t bytes, const int8_t* query, int32_t* out);
  void (*dot_u1)(const CodeRows* rows, size_t bytes, const int8_t* query, int32_t* out);

  // out[i] = sum over j < bytes of tables[j * 256 + byte j of row i].
  void (*lookup_bytes)(const CodeRows* rows, size_t bytes, const float* tables, float* out);

  // out[kScanRows * b + i] = sum over the fields of row i of block b of tables[16 * field index + field]. Block b
  // begins at blocks + b * stride and has `lines` lines. tables: [lines * kScanFields, 16]; lines <= 65,536.
  void (*scan_blocks)(const uint8_t* blocks, size_t stride, size_t block_count, size_t lines, const uint8_t* tables,
                      uint32_t* out);

  // out[i * k + j] = bias[j] + sum over d of rows[i * stride + d] * columns[d * k + j]: n rows against k columns that
  // stand side by side. k is a multiple of 16. columns: [dim, k]; out: [n, k].
  void (*score_columns)(const float* rows, size_t stride, size_t n, const float* columns, const float* bias, size_t dim,
                        size_t k, float* out);
  // The lowest index of the largest of values[0, k). k is a multiple of 16 and above 0; no NaN.
  size_t (*index_of_max)(const float* values, size_t k);
};

extern const CodeKernels kScalarCodeKernels;
#if defined(__x86_64__)
extern const CodeKernels kAvx2CodeKernels;
extern const CodeKernels kAvx512VnniCodeKernels;
#endif

}  // namespace longbow::kernels
