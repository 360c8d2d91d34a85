// hot path: AVX2 and FMA. Budget of one node of 384 dimensions in cache: twice that of avx512vnni.
//
// VPSHUFB looks up one table of sixteen, so each of the four groups of a line is looked up for all bytes and the byte
// that belongs to it is kept.
#if defined(__x86_64__)

#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "kernels/graph_kernels.h"

namespace longbow::kernels {
namespace {

#include "kernels/pool_key.inc"

__m256i Load(const void* bytes) { return _mm256_loadu_si256(static_cast<const __m256i*>(bytes)); }
__m128i LoadHalf(const void* bytes) { return _mm_loadu_si128(static_cast<const __m128i*>(bytes)); }

int32_t SumOf(__m256i v) {
  __m128i half = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4E));
  return _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xB1)));
}

float SumOf(__m256 v) {
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

float MaxOf(__m256 v) {
  __m128 half = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  half = _mm_max_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}

// Sixteen products at a time in 16 bits: VPMADDUBSW would saturate.
__m256i MultiplyAdd(__m256i sum, __m128i row, __m256i query) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_cvtepu8_epi16(row), query));
}

int32_t Dot(const uint8_t* row, const int8_t* query, size_t dim) {
  __m256i even = _mm256_setzero_si256();
  __m256i odd = _mm256_setzero_si256();
  size_t i = 0;
  for (; i + 32 <= dim; i += 32) {
    even = MultiplyAdd(even, LoadHalf(row + i), _mm256_cvtepi8_epi16(LoadHalf(query + i)));
    odd = MultiplyAdd(odd, LoadHalf(row + i + 16), _mm256_cvtepi8_epi16(LoadHalf(query + i + 16)));
  }
  if (i < dim) {
    even = MultiplyAdd(even, LoadHalf(row + i), _mm256_cvtepi8_epi16(LoadHalf(query + i)));
  }
  return SumOf(_mm256_add_epi32(even, odd));
}

void DotFour(const uint8_t* const* rows, const int8_t* query, size_t dim, int32_t* out) {
  __m256i sums[4];
#pragma GCC unroll 4
  for (int r = 0; r < 4; ++r) {
    sums[r] = _mm256_setzero_si256();
  }
  for (size_t i = 0; i < dim; i += 16) {
    const __m256i q = _mm256_cvtepi8_epi16(LoadHalf(query + i));
#pragma GCC unroll 4
    for (int r = 0; r < 4; ++r) {
      sums[r] = MultiplyAdd(sums[r], LoadHalf(rows[r] + i), q);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < 4; ++r) {
    out[r] = SumOf(sums[r]);
  }
}

#include "kernels/graph_rows.inc"

// Eight bytes as floats, 128 being 0.
__m256 Widen(const uint8_t* bytes) {
  const __m128i loaded = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes));
  return _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_cvtepu8_epi32(loaded), _mm256_set1_epi32(128)));
}

float FineDot(const uint8_t* row, const uint8_t* residual, const float* query, size_t dim) {
  const __m256 step = _mm256_set1_ps(1.0f / 254.0f);
  __m256 sum = _mm256_setzero_ps();
  for (size_t i = 0; i < dim; i += 8) {
    const __m256 value = _mm256_fmadd_ps(Widen(residual + i), step, Widen(row + i));
    sum = _mm256_fmadd_ps(value, _mm256_loadu_ps(query + i), sum);
  }
  return SumOf(sum);
}

// out[0], out[1]: low nibbles of dwords 0-7 and 8-15; out[2], out[3]: high ones.
void Scan(const uint8_t* lines, const uint8_t* tables, size_t line_count, __m256i* out) {
  const __m256i nibble = _mm256_set1_epi8(15);
  const __m256i low_byte = _mm256_set1_epi32(0xff);
  __m256i sums[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};
  for (size_t line = 0; line < line_count; ++line) {
    __m256i table[4];
#pragma GCC unroll 4
    for (int group = 0; group < 4; ++group) {
      table[group] = _mm256_broadcastsi128_si256(LoadHalf(tables + line * kLineBytes + group * 16));
    }
#pragma GCC unroll 2
    for (int part = 0; part < 2; ++part) {
      const __m256i codes = Load(lines + line * kLineBytes + part * 32);
      const __m256i low = _mm256_and_si256(codes, nibble);
      const __m256i high = _mm256_and_si256(_mm256_srli_epi16(codes, 4), nibble);
#pragma GCC unroll 4
      for (int group = 0; group < 4; ++group) {
        const __m256i l = _mm256_srli_epi32(_mm256_shuffle_epi8(table[group], low), 8 * group);
        const __m256i h = _mm256_srli_epi32(_mm256_shuffle_epi8(table[group], high), 8 * group);
        sums[part] = _mm256_add_epi32(sums[part], _mm256_and_si256(l, low_byte));
        sums[2 + part] = _mm256_add_epi32(sums[2 + part], _mm256_and_si256(h, low_byte));
      }
    }
  }
  memcpy(out, sums, sizeof(sums));
}

void ScanCodes(const uint8_t* lines, const uint8_t* tables, size_t line_count, uint32_t* sums) {
  __m256i scanned[4];
  Scan(lines, tables, line_count, scanned);
  memcpy(sums, scanned, sizeof(scanned));
}

__m256 Factors(const uint8_t* factors, float base, float step) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(factors));
  return _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)), _mm256_set1_ps(step), _mm256_set1_ps(base));
}

size_t NeighborKeys(const BlockShape* shape, const BlockQuery* query, const uint8_t* block, float node_key,
                    float threshold, uint64_t* out) {
  __m256i sums[4];
  Scan(block, query->tables, shape->code_lines, sums);
  BlockHeader header;
  memcpy(&header, block + shape->header_offset, sizeof(header));
  const uint8_t* factors = block + shape->factors_offset;
  size_t n = 0;
  for (size_t part = 0; part < 4; ++part) {
    const __m256 product = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[part]), _mm256_set1_ps(query->table_step),
                                           _mm256_set1_ps(query->table_base));
    const __m256 a = Factors(factors + part * 8, header.a_base, header.a_step);
    const __m256 r = Factors(factors + kBlockNeighbors + part * 8, header.r_base, header.r_step);
    const __m256 keys = _mm256_add_ps(_mm256_set1_ps(node_key), _mm256_fmadd_ps(r, product, a));
    const __m256 compared = _mm256_cmp_ps(keys, _mm256_set1_ps(threshold), _CMP_LT_OQ);
    auto below = static_cast<unsigned>(_mm256_movemask_ps(compared));
    float values[8];
    _mm256_storeu_ps(values, keys);
    for (; below != 0; below &= below - 1) {
      const auto lane = static_cast<size_t>(__builtin_ctz(below));
      uint32_t id;
      memcpy(&id, block + shape->ids_offset + (part * 8 + lane) * sizeof(id), sizeof(id));
      out[n++] = PoolKey(values[lane], id);
    }
  }
  return n;
}

void Hadamard(float* values, size_t n) {
  const __m256 odd = _mm256_setr_ps(0.0f, -0.0f, 0.0f, -0.0f, 0.0f, -0.0f, 0.0f, -0.0f);
  const __m256 upper_pair = _mm256_setr_ps(0.0f, 0.0f, -0.0f, -0.0f, 0.0f, 0.0f, -0.0f, -0.0f);
  const __m256 upper_half = _mm256_setr_ps(0.0f, 0.0f, 0.0f, 0.0f, -0.0f, -0.0f, -0.0f, -0.0f);
  for (size_t i = 0; i < n; i += 8) {
    __m256 v = _mm256_loadu_ps(values + i);
    v = _mm256_add_ps(_mm256_permute_ps(v, 0xB1), _mm256_xor_ps(v, odd));
    v = _mm256_add_ps(_mm256_permute_ps(v, 0x4E), _mm256_xor_ps(v, upper_pair));
    v = _mm256_add_ps(_mm256_permute2f128_ps(v, v, 1), _mm256_xor_ps(v, upper_half));
    _mm256_storeu_ps(values + i, v);
  }
  for (size_t half = 8; half < n; half *= 2) {
    for (size_t i = 0; i < n; i += 2 * half) {
      for (size_t j = i; j < i + half; j += 8) {
        const __m256 a = _mm256_loadu_ps(values + j);
        const __m256 b = _mm256_loadu_ps(values + j + half);
        _mm256_storeu_ps(values + j, _mm256_add_ps(a, b));
        _mm256_storeu_ps(values + j + half, _mm256_sub_ps(a, b));
      }
    }
  }
}

void Scale(float* values, size_t n, float factor) {
  for (size_t i = 0; i < n; i += 8) {
    _mm256_storeu_ps(values + i, _mm256_mul_ps(_mm256_loadu_ps(values + i), _mm256_set1_ps(factor)));
  }
}

void Rotate(float* values, const float* signs, size_t dim, size_t block) {
  const float factor = 1.0f / sqrtf(static_cast<float>(block));
  for (size_t round = 0; round < 3; ++round) {
    for (size_t i = 0; i < dim; i += 8) {
      _mm256_storeu_ps(values + i,
                       _mm256_mul_ps(_mm256_loadu_ps(values + i), _mm256_loadu_ps(signs + round * dim + i)));
    }
    Hadamard(values, block);
    Scale(values, block, factor);
    if (block < dim) {
      Hadamard(values + dim - block, block);
      Scale(values + dim - block, block, factor);
    }
  }
}

__m256 Absolute(__m256 v) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v); }

// Sixteen int32 in [-128, 127] as bytes with the offset.
void StoreBytes(__m256i low, __m256i high, uint8_t* out) {
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xD8);
  const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_xor_si128(bytes, _mm_set1_epi8(static_cast<char>(0x80))));
}

float QuantizeRow(const float* values, size_t dim, uint8_t* out) {
  __m256 most = _mm256_set1_ps(kSmallestScale);
  for (size_t i = 0; i < dim; i += 8) {
    most = _mm256_max_ps(most, Absolute(_mm256_loadu_ps(values + i)));
  }
  const float largest = MaxOf(most);
  const __m256 inverse = _mm256_set1_ps(127.0f / largest);
  for (size_t i = 0; i < dim; i += 16) {
    const __m256i low = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(values + i), inverse));
    const __m256i high = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(values + i + 8), inverse));
    StoreBytes(low, high, out + i);
  }
  return largest / 127.0f;
}

int32_t RowAsQuery(const uint8_t* row, size_t dim, int8_t* out) {
  const __m128i offset = _mm_set1_epi8(static_cast<char>(0x80));
  __m128i sum = _mm_setzero_si128();
  for (size_t i = 0; i < dim; i += 16) {
    const __m128i bytes = LoadHalf(row + i);
    sum = _mm_add_epi64(sum, _mm_sad_epu8(bytes, _mm_setzero_si128()));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), _mm_xor_si128(bytes, offset));
  }
  const int64_t total = _mm_cvtsi128_si64(sum) + _mm_extract_epi64(sum, 1);
  return static_cast<int32_t>(128 * (total - 128 * static_cast<int64_t>(dim)));
}

void DequantizeRow(const uint8_t* row, float scale, size_t dim, float* out) {
  for (size_t i = 0; i < dim; i += 8) {
    _mm256_storeu_ps(out + i, _mm256_mul_ps(_mm256_set1_ps(scale), Widen(row + i)));
  }
}

void QuantizeResidual(const float* values, const uint8_t* row, float scale, size_t dim, uint8_t* out) {
  const __m256 inverse = _mm256_set1_ps(1.0f / scale);
  const auto rest = [&](size_t i) {
    const __m256 difference = _mm256_fmsub_ps(_mm256_loadu_ps(values + i), inverse, Widen(row + i));
    return _mm256_cvtps_epi32(_mm256_mul_ps(difference, _mm256_set1_ps(254.0f)));
  };
  for (size_t i = 0; i < dim; i += 16) {
    StoreBytes(rest(i), rest(i + 8), out + i);
  }
}

float MakeTables(const float* values, size_t dim, uint8_t* tables) {
  float largest = kSmallestScale;
  for (size_t i = 0; i < dim; i += 4) {
    const __m128 v = _mm_andnot_ps(_mm_set1_ps(-0.0f), _mm_loadu_ps(values + i));
    const __m128 pairs = _mm_add_ps(v, _mm_permute_ps(v, 0xB1));
    largest = fmaxf(largest, _mm_cvtss_f32(_mm_add_ss(pairs, _mm_movehl_ps(pairs, pairs))));
  }
  const __m256 inverse = _mm256_set1_ps(127.5f / largest);
  const __m256 middle = _mm256_set1_ps(127.5f);
  // Lane c of the first half is code c: bit 0, 1, 2 set means plus; bit 3 is minus there and plus in the second half.
  const __m256 minus0 = _mm256_setr_ps(-0.0f, 0, -0.0f, 0, -0.0f, 0, -0.0f, 0);
  const __m256 minus1 = _mm256_setr_ps(-0.0f, -0.0f, 0, 0, -0.0f, -0.0f, 0, 0);
  const __m256 minus2 = _mm256_setr_ps(-0.0f, -0.0f, -0.0f, -0.0f, 0, 0, 0, 0);
  for (size_t i = 0; i < dim; i += 4) {
    const __m256 ab = _mm256_add_ps(_mm256_xor_ps(_mm256_set1_ps(values[i]), minus0),
                                    _mm256_xor_ps(_mm256_set1_ps(values[i + 1]), minus1));
    const __m256 c = _mm256_xor_ps(_mm256_set1_ps(values[i + 2]), minus2);
    const __m256 d = _mm256_set1_ps(values[i + 3]);
    const __m256i low = _mm256_cvtps_epi32(_mm256_fmadd_ps(_mm256_add_ps(ab, _mm256_sub_ps(c, d)), inverse, middle));
    const __m256i high = _mm256_cvtps_epi32(_mm256_fmadd_ps(_mm256_add_ps(ab, _mm256_add_ps(c, d)), inverse, middle));
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), 0xD8);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(tables + i * 4),
                     _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
  }
  return largest / 127.5f;
}

SignSums EncodeSigns(const float* row, const float* centre, size_t dim, uint8_t* bits) {
  __m256 squared = _mm256_setzero_ps();
  __m256 absolute = _mm256_setzero_ps();
  __m256 along = _mm256_setzero_ps();
  for (size_t i = 0; i < dim; i += 8) {
    const __m256 c = _mm256_loadu_ps(centre + i);
    const __m256 difference = _mm256_sub_ps(_mm256_loadu_ps(row + i), c);
    const __m256 positive = _mm256_cmp_ps(difference, _mm256_setzero_ps(), _CMP_GT_OQ);
    squared = _mm256_fmadd_ps(difference, difference, squared);
    absolute = _mm256_add_ps(absolute, Absolute(difference));
    along = _mm256_add_ps(along, _mm256_xor_ps(c, _mm256_andnot_ps(positive, _mm256_set1_ps(-0.0f))));
    bits[i / 8] = static_cast<uint8_t>(_mm256_movemask_ps(positive));
  }
  return {SumOf(squared), SumOf(absolute), SumOf(along)};
}

}  // namespace

extern const GraphKernels kAvx2GraphKernels = {
    .isa = Isa::kAvx2,
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

#endif  // __x86_64__
