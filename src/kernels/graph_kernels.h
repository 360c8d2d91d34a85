// The table of what a search of a graph over codes computes, for one instruction set each (layout B of docs/adr/0006).
//
// Included by files that are compiled with flags other machines lack: it must hold plain data only, as kernels.h.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

namespace longbow::kernels {

// Neighbours of a node whose codes stand in its block.
constexpr size_t kBlockNeighbors = 32;
// Dimensions of the codes in one line: a line is 64 bytes, dword i of it holds four groups of four dimensions, one
// group a byte, of neighbour i in the low nibbles and of neighbour 16 + i in the high ones.
constexpr size_t kLineDimensions = 16;
constexpr size_t kLineBytes = 64;

// Where the parts of a block begin, in bytes from its first; the code lines stand at 0.
struct BlockShape {
  size_t dimension;       // of the int8 row; a multiple of 16
  size_t code_lines;      // kLineDimensions each
  size_t row_offset;      // [dimension] uint8, 128 = 0
  size_t header_offset;   // BlockHeader
  size_t factors_offset;  // [32] uint8 for fa, [32] for fr
  size_t ids_offset;      // [32] uint32
};

// Of a node and of the 8-bit factors of its neighbours: fa = a_base + a_step * a, fr = r_base + r_step * r.
struct BlockHeader {
  float scale;  // the row is scale * (uint8 - 128)
  float term;   // what the row adds to a key whatever the query
  float a_base;
  float a_step;
  float r_base;
  float r_step;
};

// A query as the blocks want it. A key is the number by which rows are ordered, smaller is nearer.
struct BlockQuery {
  const int8_t* row;       // [dimension]
  int32_t row_offset_sum;  // 128 * sum of row: what the rows' offset adds to a dot product
  float row_factor;        // key of a node = constant + term + row_factor * scale * dot
  float constant;
  const uint8_t* tables;  // [code_lines, 4 groups, 16]: what make_tables wrote
  float table_step;       // <signs, query> = table_base + table_step * sum
  float table_base;
};

// What a 1-bit code of a row relative to a centre is made of.
struct SignSums {
  float squared_norm;  // of row - centre
  float absolute;      // sum of |row - centre|
  float centre;        // <signs of (row - centre), centre>
};

// A key of a pool: [ ordered bits of the float : 32 | two flags | row id : 30 ].
constexpr uint64_t kPoolIdMask = (uint64_t{1} << 30) - 1;
constexpr uint64_t kPoolFlags = uint64_t{3} << 30;
constexpr size_t kPoolSentinels = 8;  // keys of zero that stand before the first of a pool

// `dim`s are multiples of 16, except where said. Rows of uint8 stand for int8 values plus 128; products with them count
// the offset in. Sums are exact for dim <= 65,536. No pointer needs alignment. Thread safe: no state. Integer results
// are the same in every table; floats may differ by rounding.
struct GraphKernels {
  Isa isa;

  // Sum over i of row[i] * query[i]; the query may be any int8.
  int32_t (*dot)(const uint8_t* row, const int8_t* query, size_t dim);
  // out[i] = dot(rows + i * stride, query): n rows that follow each other.
  void (*dot_rows)(const uint8_t* rows, size_t stride, const int8_t* query, size_t dim, size_t n, int32_t* out);
  // out[i] = dot(rows + ids[i] * stride, query). Prefetches ahead, also the eight bytes behind each row.
  void (*dot_ids)(const uint8_t* rows, size_t stride, const int8_t* query, size_t dim, const uint32_t* ids, size_t n,
                  int32_t* out);
  // Sum over i of query[i] * (row[i] - 128 + (residual[i] - 128) / 254).
  float (*fine_dot)(const uint8_t* row, const uint8_t* residual, const float* query, size_t dim);

  // sums[j] = sum over all groups of the table entry that neighbour j's code selects. lines: [line_count, 64];
  // tables: [line_count, 4, 16]; sums: [32].
  void (*scan_codes)(const uint8_t* lines, const uint8_t* tables, size_t line_count, uint32_t* sums);
  // The key of the block's own node.
  float (*node_key)(const BlockShape* shape, const BlockQuery* query, const uint8_t* block);
  // Estimates the keys of all neighbours from the node's, writes those below the threshold to out (room for 48),
  // unsorted, as pool keys without flags; returns how many. NaN estimates are left out.
  size_t (*neighbor_keys)(const BlockShape* shape, const BlockQuery* query, const uint8_t* block, float node_key,
                          float threshold, uint64_t* out);
  // Puts `count` fresh keys (without flags, at most 64, their order changes) into the sorted keys[0, size); there is
  // room for 2 * kPoolSentinels more behind them, and kPoolSentinels zeros before. Flags of the keys do not count for
  // their order. Returns where the lowest of them went; size if count is 0.
  size_t (*pool_insert)(uint64_t* keys, size_t size, uint64_t* fresh, size_t count);

  // Three rounds of signs and Hadamard blocks of `block` entries (a power of two, 16 <= block <= dim < 2 block) over
  // the first and the last entries, in place. signs: [3, dim].
  void (*rotate)(float* values, const float* signs, size_t dim, size_t block);
  // out[i] = 128 + round(values[i] / scale), |..| <= 127; returns the scale, above 0.
  float (*quantize_row)(const float* values, size_t dim, uint8_t* out);
  // out[i] = row[i] - 128: a row in the place of a query. Returns 128 * sum of out. For row bytes of 1 to 255.
  int32_t (*row_as_query)(const uint8_t* row, size_t dim, int8_t* out);
  // out[i] = scale * (row[i] - 128).
  void (*dequantize_row)(const uint8_t* row, float scale, size_t dim, float* out);
  // out[i] = 128 + round(254 * (values[i] / scale - (row[i] - 128))), clamped to uint8: the second level of row.
  void (*quantize_residual)(const float* values, const uint8_t* row, float scale, size_t dim, uint8_t* out);
  // For each group of four dimensions the 16 signed sums of the query's values, as uint8. Returns the step; the base is
  // -127.5 * step * dim / 4. tables: [dim / 4, 16].
  float (*make_tables)(const float* values, size_t dim, uint8_t* tables);
  // The signs of row - centre, bit i of byte i / 8 set if above 0.
  SignSums (*encode_signs)(const float* row, const float* centre, size_t dim, uint8_t* bits);
};

extern const GraphKernels kScalarGraphKernels;
#if defined(__x86_64__)
extern const GraphKernels kAvx2GraphKernels;
extern const GraphKernels kAvx512VnniGraphKernels;
#endif

// The table of an instruction set; where it has none of its own, the best that it includes.
const GraphKernels& GraphKernelsOf(Isa isa);

}  // namespace longbow::kernels
