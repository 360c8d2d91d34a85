// hot path: the reference of the graph kernels, plain loops; also what machines without wide registers run.
#include <math.h>
#include <string.h>

#include "kernels/graph_kernels.h"

namespace longbow::kernels {
namespace {

#include "kernels/pool_key.inc"

int32_t Dot(const uint8_t* row, const int8_t* query, size_t dim) {
  int32_t sum = 0;
  for (size_t i = 0; i < dim; ++i) {
    sum += static_cast<int32_t>(row[i]) * query[i];
  }
  return sum;
}

void DotRows(const uint8_t* rows, size_t stride, const int8_t* query, size_t dim, size_t n, int32_t* out) {
  for (size_t i = 0; i < n; ++i) {
    out[i] = Dot(rows + i * stride, query, dim);
  }
}

void DotIds(const uint8_t* rows, size_t stride, const int8_t* query, size_t dim, const uint32_t* ids, size_t n,
            int32_t* out) {
  for (size_t i = 0; i < n; ++i) {
    out[i] = Dot(rows + ids[i] * stride, query, dim);
  }
}

float FineDot(const uint8_t* row, const uint8_t* residual, const float* query, size_t dim) {
  float sum = 0;
  for (size_t i = 0; i < dim; ++i) {
    const float value = static_cast<float>(row[i] - 128) + static_cast<float>(residual[i] - 128) * (1.0f / 254.0f);
    sum += value * query[i];
  }
  return sum;
}

void ScanCodes(const uint8_t* lines, const uint8_t* tables, size_t line_count, uint32_t* sums) {
  for (size_t j = 0; j < kBlockNeighbors; ++j) {
    const size_t byte = (j % 16) * 4;
    const int shift = j < 16 ? 0 : 4;
    uint32_t sum = 0;
    for (size_t line = 0; line < line_count; ++line) {
      for (size_t group = 0; group < 4; ++group) {
        const int code = (lines[line * kLineBytes + byte + group] >> shift) & 15;
        sum += tables[(line * 4 + group) * 16 + static_cast<size_t>(code)];
      }
    }
    sums[j] = sum;
  }
}

size_t NeighborKeys(const BlockShape* shape, const BlockQuery* query, const uint8_t* block, float node_key,
                    float threshold, uint64_t* out) {
  uint32_t sums[kBlockNeighbors];
  ScanCodes(block, query->tables, shape->code_lines, sums);
  BlockHeader header;
  memcpy(&header, block + shape->header_offset, sizeof(header));
  const uint8_t* factors = block + shape->factors_offset;
  size_t n = 0;
  for (size_t j = 0; j < kBlockNeighbors; ++j) {
    const float product = query->table_base + query->table_step * static_cast<float>(sums[j]);
    const float a = header.a_base + header.a_step * static_cast<float>(factors[j]);
    const float r = header.r_base + header.r_step * static_cast<float>(factors[kBlockNeighbors + j]);
    const float key = node_key + (r * product + a);
    if (key < threshold) {
      uint32_t id;
      memcpy(&id, block + shape->ids_offset + j * sizeof(id), sizeof(id));
      out[n++] = PoolKey(key, id);
    }
  }
  return n;
}

void Hadamard(float* values, size_t n) {
  for (size_t half = 1; half < n; half *= 2) {
    for (size_t i = 0; i < n; i += 2 * half) {
      for (size_t j = i; j < i + half; ++j) {
        const float a = values[j];
        const float b = values[j + half];
        values[j] = a + b;
        values[j + half] = a - b;
      }
    }
  }
}

void Rotate(float* values, const float* signs, size_t dim, size_t block) {
  const float scale = 1.0f / sqrtf(static_cast<float>(block));
  for (size_t round = 0; round < 3; ++round) {
    for (size_t i = 0; i < dim; ++i) {
      values[i] *= signs[round * dim + i];
    }
    Hadamard(values, block);
    for (size_t i = 0; i < block; ++i) {
      values[i] *= scale;
    }
    if (block < dim) {
      Hadamard(values + dim - block, block);
      for (size_t i = dim - block; i < dim; ++i) {
        values[i] *= scale;
      }
    }
  }
}

float QuantizeRow(const float* values, size_t dim, uint8_t* out) {
  float largest = kSmallestScale;
  for (size_t i = 0; i < dim; ++i) {
    largest = fmaxf(largest, fabsf(values[i]));
  }
  const float inverse = 127.0f / largest;
  for (size_t i = 0; i < dim; ++i) {
    out[i] = static_cast<uint8_t>(128 + static_cast<int>(lrintf(values[i] * inverse)));
  }
  return largest / 127.0f;
}

int32_t RowAsQuery(const uint8_t* row, size_t dim, int8_t* out) {
  int32_t sum = 0;
  for (size_t i = 0; i < dim; ++i) {
    out[i] = static_cast<int8_t>(row[i] - 128);
    sum += out[i];
  }
  return 128 * sum;
}

void DequantizeRow(const uint8_t* row, float scale, size_t dim, float* out) {
  for (size_t i = 0; i < dim; ++i) {
    out[i] = scale * static_cast<float>(row[i] - 128);
  }
}

void QuantizeResidual(const float* values, const uint8_t* row, float scale, size_t dim, uint8_t* out) {
  const float inverse = 1.0f / scale;
  for (size_t i = 0; i < dim; ++i) {
    const float rest = (values[i] * inverse - static_cast<float>(row[i] - 128)) * 254.0f;
    out[i] = static_cast<uint8_t>(128 + static_cast<int>(lrintf(fminf(fmaxf(rest, -128.0f), 127.0f))));
  }
}

float MakeTables(const float* values, size_t dim, uint8_t* tables) {
  float largest = kSmallestScale;
  for (size_t i = 0; i < dim; i += 4) {
    const float sum = (fabsf(values[i]) + fabsf(values[i + 1])) + (fabsf(values[i + 2]) + fabsf(values[i + 3]));
    largest = fmaxf(largest, sum);
  }
  const float inverse = 127.5f / largest;
  for (size_t i = 0; i < dim; i += 4) {
    for (int code = 0; code < 16; ++code) {
      const float a = (code & 1) != 0 ? values[i] : -values[i];
      const float b = (code & 2) != 0 ? values[i + 1] : -values[i + 1];
      const float c = (code & 4) != 0 ? values[i + 2] : -values[i + 2];
      const float d = (code & 8) != 0 ? values[i + 3] : -values[i + 3];
      const float entry = ((a + b) + (c + d)) * inverse + 127.5f;
      tables[i * 4 + static_cast<size_t>(code)] = static_cast<uint8_t>(lrintf(fminf(fmaxf(entry, 0.0f), 255.0f)));
    }
  }
  return largest / 127.5f;
}

SignSums EncodeSigns(const float* row, const float* centre, size_t dim, uint8_t* bits) {
  SignSums sums = {0, 0, 0};
  memset(bits, 0, dim / 8);
  for (size_t i = 0; i < dim; ++i) {
    const float difference = row[i] - centre[i];
    const int positive = difference > 0 ? 1 : 0;
    bits[i / 8] = static_cast<uint8_t>(bits[i / 8] | (positive << (i % 8)));
    sums.squared_norm += difference * difference;
    sums.absolute += fabsf(difference);
    sums.centre += positive != 0 ? centre[i] : -centre[i];
  }
  return sums;
}

}  // namespace

extern const GraphKernels kScalarGraphKernels = {
    .isa = Isa::kScalar,
    .dot = Dot,
    .dot_rows = DotRows,
    .dot_ids = DotIds,
    .fine_dot = FineDot,
    .scan_codes = ScanCodes,
    .node_key = NodeKey,
    .neighbor_keys = NeighborKeys,
    .pool_insert = PoolInsert,
    .rotate = Rotate,
    .quantize_row = QuantizeRow,
    .row_as_query = RowAsQuery,
    .dequantize_row = DequantizeRow,
    .quantize_residual = QuantizeResidual,
    .make_tables = MakeTables,
    .encode_signs = EncodeSigns,
};

}  // namespace longbow::kernels
