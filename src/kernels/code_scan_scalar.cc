// The reference that every other path is compared with, and the path of machines that have none of their own.
#include "kernels/code_scan.h"

namespace longbow::kernels {
namespace {

const uint8_t* RowAt(const CodeRows* rows, size_t i) {
  return rows->codes + (rows->ids == nullptr ? i : rows->ids[i]) * rows->stride;
}

template <int kBits>
void Dot(const CodeRows* rows, size_t bytes, const int8_t* query, int32_t* out) {
  constexpr int kMask = (1 << kBits) - 1;
  for (size_t i = 0; i < rows->n; ++i) {
    const uint8_t* row = RowAt(rows, i);
    int32_t sum = 0;
    for (size_t field = 0; field < 8 / kBits; ++field) {
      const int8_t* q = query + field * bytes;
      for (size_t j = 0; j < bytes; ++j) {
        sum += ((row[j] >> (field * kBits)) & kMask) * q[j];
      }
    }
    out[i] = sum;
  }
}

void LookupBytes(const CodeRows* rows, size_t bytes, const float* tables, float* out) {
  for (size_t i = 0; i < rows->n; ++i) {
    const uint8_t* row = RowAt(rows, i);
    float even = 0;
    float odd = 0;
    size_t j = 0;
    for (; j + 2 <= bytes; j += 2) {
      even += tables[j * 256 + row[j]];
      odd += tables[(j + 1) * 256 + row[j + 1]];
    }
    if (j < bytes) {
      even += tables[j * 256 + row[j]];
    }
    out[i] = even + odd;
  }
}

void ScanBlocks(const uint8_t* blocks, size_t stride, size_t block_count, size_t lines, const uint8_t* tables,
                uint32_t* out) {
  for (size_t b = 0; b < block_count; ++b) {
    uint32_t* sums = out + b * kScanRows;
    for (size_t i = 0; i < kScanRows; ++i) {
      sums[i] = 0;
    }
    for (size_t line = 0; line < lines; ++line) {
      const uint8_t* bytes = blocks + b * stride + line * kScanLineBytes;
      const uint8_t* table = tables + line * kScanLineBytes;
      for (size_t i = 0; i < kScanRows / 2; ++i) {
        for (size_t g = 0; g < kScanFields; ++g) {
          const uint8_t byte = bytes[4 * i + g];
          sums[i] += table[16 * g + (byte & 15)];
          sums[16 + i] += table[16 * g + (byte >> 4)];
        }
      }
    }
  }
}

void ScoreColumns(const float* rows, size_t stride, size_t n, const float* columns, const float* bias, size_t dim,
                  size_t k, float* out) {
  for (size_t i = 0; i < n; ++i) {
    float* scores = out + i * k;
    for (size_t j = 0; j < k; ++j) {
      scores[j] = bias[j];
    }
    for (size_t d = 0; d < dim; ++d) {
      const float x = rows[i * stride + d];
      const float* column = columns + d * k;
      for (size_t j = 0; j < k; ++j) {
        scores[j] += x * column[j];
      }
    }
  }
}

size_t IndexOfMax(const float* values, size_t k) {
  size_t best = 0;
  for (size_t j = 1; j < k; ++j) {
    best = values[j] > values[best] ? j : best;
  }
  return best;
}

}  // namespace

extern const CodeKernels kScalarCodeKernels = {
    .isa = Isa::kScalar,
    .dot_u8 = Dot<8>,
    .dot_u4 = Dot<4>,
    .dot_u2 = Dot<2>,
    .dot_u1 = Dot<1>,
    .lookup_bytes = LookupBytes,
    .scan_blocks = ScanBlocks,
    .score_columns = ScoreColumns,
    .index_of_max = IndexOfMax,
};

}  // namespace longbow::kernels
