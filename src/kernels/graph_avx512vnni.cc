// hot path: AVX-512 with VBMI and VNNI (Ice Lake, Zen 4 and later). Budget of one node of 384 dimensions in cache: 60
// ns for its own key, 60 ns for those of its 32 neighbours.
//
// The scan of codes is the fast scan of PQ (Andre et al., VLDB 2015) as RaBitQ uses it (Gao & Long, SIGMOD 2024), in a
// layout where one VPERMB looks up four tables and one VPDPBUSD adds the four results into the neighbour's own sum.
#if defined(__x86_64__)

#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "kernels/graph_kernels.h"

namespace longbow::kernels {
namespace {

#include "kernels/pool_key.inc"

__mmask64 FirstBytes(size_t n) { return n >= 64 ? ~__mmask64{0} : (__mmask64{1} << n) - 1; }

int32_t Dot(const uint8_t* row, const int8_t* query, size_t dim) {
  __m512i even = _mm512_setzero_si512();
  __m512i odd = _mm512_setzero_si512();
  size_t i = 0;
  for (; i + 128 <= dim; i += 128) {
    even = _mm512_dpbusd_epi32(even, _mm512_loadu_si512(row + i), _mm512_loadu_si512(query + i));
    odd = _mm512_dpbusd_epi32(odd, _mm512_loadu_si512(row + i + 64), _mm512_loadu_si512(query + i + 64));
  }
  for (; i < dim; i += 64) {
    const __mmask64 mask = FirstBytes(dim - i);
    even = _mm512_dpbusd_epi32(even, _mm512_maskz_loadu_epi8(mask, row + i), _mm512_maskz_loadu_epi8(mask, query + i));
  }
  return _mm512_reduce_add_epi32(_mm512_add_epi32(even, odd));
}

// Four rows share the loads of the query and hide each other's latency.
void DotFour(const uint8_t* const* rows, const int8_t* query, size_t dim, int32_t* out) {
  __m512i sums[4];
#pragma GCC unroll 4
  for (int r = 0; r < 4; ++r) {
    sums[r] = _mm512_setzero_si512();
  }
  size_t i = 0;
  for (; i + 64 <= dim; i += 64) {
    const __m512i q = _mm512_loadu_si512(query + i);
#pragma GCC unroll 4
    for (int r = 0; r < 4; ++r) {
      sums[r] = _mm512_dpbusd_epi32(sums[r], _mm512_loadu_si512(rows[r] + i), q);
    }
  }
  if (i < dim) {
    const __mmask64 mask = FirstBytes(dim - i);
    const __m512i q = _mm512_maskz_loadu_epi8(mask, query + i);
#pragma GCC unroll 4
    for (int r = 0; r < 4; ++r) {
      sums[r] = _mm512_dpbusd_epi32(sums[r], _mm512_maskz_loadu_epi8(mask, rows[r] + i), q);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < 4; ++r) {
    out[r] = _mm512_reduce_add_epi32(sums[r]);
  }
}

#include "kernels/graph_rows.inc"

__m512 Widen(const uint8_t* bytes, __m512i offset) {
  const __m128i loaded = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
  return _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_cvtepu8_epi32(loaded), offset));
}

float FineDot(const uint8_t* row, const uint8_t* residual, const float* query, size_t dim) {
  const __m512i offset = _mm512_set1_epi32(128);
  const __m512 step = _mm512_set1_ps(1.0f / 254.0f);
  __m512 sum = _mm512_setzero_ps();
  for (size_t i = 0; i < dim; i += 16) {
    const __m512 value = _mm512_fmadd_ps(Widen(residual + i, offset), step, Widen(row + i, offset));
    sum = _mm512_fmadd_ps(value, _mm512_loadu_ps(query + i), sum);
  }
  return _mm512_reduce_add_ps(sum);
}

struct Sums {
  __m512i low;   // of neighbours 0 to 15
  __m512i high;  // of neighbours 16 to 31
};

Sums Scan(const uint8_t* lines, const uint8_t* tables, size_t line_count) {
  const __m512i nibble = _mm512_set1_epi8(15);
  const __m512i table_of_byte = _mm512_set1_epi32(0x30201000);
  const __m512i one = _mm512_set1_epi8(1);
  __m512i low[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  __m512i high[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  constexpr int kAndOr = 0xEA;  // (a & b) | c
  const auto step = [&](size_t line, int chain) {
    const __m512i codes = _mm512_loadu_si512(lines + line * kLineBytes);
    const __m512i table = _mm512_loadu_si512(tables + line * kLineBytes);
    const __m512i low_index = _mm512_ternarylogic_epi32(codes, nibble, table_of_byte, kAndOr);
    const __m512i high_index = _mm512_ternarylogic_epi32(_mm512_srli_epi16(codes, 4), nibble, table_of_byte, kAndOr);
    low[chain] = _mm512_dpbusd_epi32(low[chain], _mm512_permutexvar_epi8(low_index, table), one);
    high[chain] = _mm512_dpbusd_epi32(high[chain], _mm512_permutexvar_epi8(high_index, table), one);
  };
  size_t line = 0;
  for (; line + 2 <= line_count; line += 2) {
    step(line, 0);
    step(line + 1, 1);
  }
  if (line < line_count) {
    step(line, 0);
  }
  return {_mm512_add_epi32(low[0], low[1]), _mm512_add_epi32(high[0], high[1])};
}

void ScanCodes(const uint8_t* lines, const uint8_t* tables, size_t line_count, uint32_t* sums) {
  const Sums scanned = Scan(lines, tables, line_count);
  _mm512_storeu_si512(sums, scanned.low);
  _mm512_storeu_si512(sums + 16, scanned.high);
}

__m512 Factors(const uint8_t* factors, float base, float step) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(factors));
  return _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)), _mm512_set1_ps(step), _mm512_set1_ps(base));
}

__m512i OrderedBits(__m512 keys) {
  const __m512i bits = _mm512_castps_si512(keys);
  const __m512i turn = _mm512_or_si512(_mm512_srai_epi32(bits, 31), _mm512_set1_epi32(INT32_MIN));
  return _mm512_xor_si512(bits, turn);
}

size_t NeighborKeys(const BlockShape* shape, const BlockQuery* query, const uint8_t* block, float node_key,
                    float threshold, uint64_t* out) {
  const Sums sums = Scan(block, query->tables, shape->code_lines);
  BlockHeader header;
  memcpy(&header, block + shape->header_offset, sizeof(header));
  const uint8_t* factors = block + shape->factors_offset;
  const uint8_t* ids = block + shape->ids_offset;
  const __m512i interleave_low = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  const __m512i interleave_high = _mm512_set_epi32(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8);
  size_t n = 0;
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half) {
    const __m512 product = _mm512_fmadd_ps(_mm512_cvtepi32_ps(half == 0 ? sums.low : sums.high),
                                           _mm512_set1_ps(query->table_step), _mm512_set1_ps(query->table_base));
    const __m512 a = Factors(factors + half * 16, header.a_base, header.a_step);
    const __m512 r = Factors(factors + kBlockNeighbors + half * 16, header.r_base, header.r_step);
    const __m512 keys = _mm512_add_ps(_mm512_set1_ps(node_key), _mm512_fmadd_ps(r, product, a));
    const __mmask16 below = _mm512_cmp_ps_mask(keys, _mm512_set1_ps(threshold), _CMP_LT_OQ);
    if (below == 0) {
      continue;
    }
    const __m512i high_words = _mm512_maskz_compress_epi32(below, OrderedBits(keys));
    const __m512i low_words = _mm512_maskz_compress_epi32(below, _mm512_loadu_si512(ids + half * 64));
    _mm512_storeu_si512(out + n, _mm512_permutex2var_epi32(low_words, interleave_low, high_words));
    _mm512_storeu_si512(out + n + 8, _mm512_permutex2var_epi32(low_words, interleave_high, high_words));
    n += static_cast<size_t>(__builtin_popcount(below));
  }
  return n;
}

// What is above the key moves by one, eight at a time; the zeros before the first end the loop.
size_t PoolInsertOne(uint64_t* keys, size_t size, uint64_t fresh) {
  const __m512i key = _mm512_set1_epi64(static_cast<int64_t>(fresh));
  const __m512i flags = _mm512_set1_epi64(static_cast<int64_t>(kPoolFlags));
  uint64_t* end = keys + size;
  for (;;) {
    const __m512i old = _mm512_loadu_si512(end - 8);
    const __mmask8 above = _mm512_cmpgt_epu64_mask(_mm512_andnot_si512(flags, old), key);
    if (above != 0xff) {
      _mm512_mask_storeu_epi64(end - 7, above, old);
      end -= __builtin_popcount(above);
      break;
    }
    _mm512_storeu_si512(end - 7, old);
    end -= 8;
  }
  *end = fresh;
  return static_cast<size_t>(end - keys);
}

// Ascending, by Batcher's network of 19 comparators.
__m512i SortEight(__m512i keys) {
  const auto exchange = [&keys](__m512i partner, __mmask8 larger) {
    const __m512i other = _mm512_permutexvar_epi64(partner, keys);
    keys = _mm512_mask_mov_epi64(_mm512_min_epu64(keys, other), larger, _mm512_max_epu64(keys, other));
  };
  exchange(_mm512_setr_epi64(1, 0, 3, 2, 5, 4, 7, 6), 0b10101010);
  exchange(_mm512_setr_epi64(2, 3, 0, 1, 6, 7, 4, 5), 0b11001100);
  exchange(_mm512_setr_epi64(0, 2, 1, 3, 4, 6, 5, 7), 0b01000100);
  exchange(_mm512_setr_epi64(4, 5, 6, 7, 0, 1, 2, 3), 0b11110000);
  exchange(_mm512_setr_epi64(0, 1, 4, 5, 2, 3, 6, 7), 0b00110000);
  exchange(_mm512_setr_epi64(0, 2, 1, 4, 3, 6, 5, 7), 0b01010100);
  return keys;
}

constexpr size_t kMergedMax = 4096;  // keys, as a bit of each has to have its place

// How many of keys[0, 8) are not above `fresh`, of keys that are sorted as far as that matters.
size_t CountUpTo(__m512i keys, __m512i fresh) {
  return static_cast<size_t>(__builtin_ctz(_mm512_cmpgt_epu64_mask(keys, fresh) | 0x100u));
}

// Where each of up to eight fresh keys goes is found before anything moves, by every eighth key and then eight of them;
// then old and fresh ones are spread into their places, eight at a time from the end. Absent ones are largest and go
// behind the end. No branch depends on the keys, but for how far down the lowest goes.
size_t PoolMergeEight(uint64_t* keys, size_t size, const uint64_t* fresh, size_t count) {
  const __m512i flags = _mm512_set1_epi64(static_cast<int64_t>(kPoolFlags));
  const __m512i lanes = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
  const __m512i largest = _mm512_set1_epi64(-1);
  const __m512i sorted = SortEight(_mm512_mask_loadu_epi64(largest, static_cast<__mmask8>((1u << count) - 1), fresh));
  __m512i each[8];
#pragma GCC unroll 8
  for (int64_t j = 0; j < 8; ++j) {
    each[j] = _mm512_permutexvar_epi64(_mm512_set1_epi64(j), sorted);
  }
  size_t at[8] = {};
  const size_t blocks = size / 8;
  for (size_t first = 0; first < blocks; first += 8) {
    const __mmask8 present = blocks - first < 8 ? static_cast<__mmask8>((1u << (blocks - first)) - 1) : __mmask8{0xff};
    const __m512i lasts = _mm512_andnot_si512(
        flags, _mm512_mask_i64gather_epi64(largest, present, _mm512_slli_epi64(lanes, 3), keys + 8 * first + 7, 8));
#pragma GCC unroll 8
    for (size_t j = 0; j < 8; ++j) {
      at[j] += CountUpTo(lasts, each[j]);
    }
  }
  uint64_t is_fresh[kMergedMax / 64 + 1];
  for (size_t i = 0; i <= (size + 7) / 64; ++i) {
    is_fresh[i] = 0;
  }
#pragma GCC unroll 8
  for (size_t j = 0; j < 8; ++j) {
    const size_t block = at[j] < blocks ? at[j] : blocks;
    const __m512i old = _mm512_andnot_si512(flags, _mm512_loadu_si512(keys + 8 * block));
    const size_t found = 8 * block + CountUpTo(old, each[j]);
    at[j] = found < size ? found : size;
    is_fresh[(at[j] + j) / 64] |= uint64_t{1} << ((at[j] + j) % 64);
  }
  size_t fresh_before = 8;
  for (size_t block = (size + 7) / 8 + 1; block-- > at[0] / 8;) {
    const auto mask = static_cast<__mmask8>(is_fresh[block / 8] >> (block % 8 * 8));
    fresh_before -= static_cast<size_t>(__builtin_popcount(mask));
    const __m512i old = _mm512_loadu_si512(keys + 8 * block - fresh_before);
    const __m512i spread = _mm512_maskz_expand_epi64(static_cast<__mmask8>(~mask), old);
    const __m512i next = _mm512_permutexvar_epi64(
        _mm512_add_epi64(lanes, _mm512_set1_epi64(static_cast<int64_t>(fresh_before))), sorted);
    _mm512_storeu_si512(keys + 8 * block, _mm512_mask_expand_epi64(spread, mask, next));
  }
  return at[0];
}

size_t PoolInsertWide(uint64_t* keys, size_t size, uint64_t* fresh, size_t count) {
  if (count == 1) {
    return PoolInsertOne(keys, size, *fresh);
  }
  if (size + count >= kMergedMax) {
    return PoolInsert(keys, size, fresh, count);
  }
  size_t lowest = size;
  for (size_t i = 0; i < count; i += 8) {
    const size_t taken = count - i < 8 ? count - i : 8;
    const size_t at = PoolMergeEight(keys, size + i, fresh + i, taken);
    lowest = at < lowest ? at : lowest;
  }
  return lowest;
}

void Hadamard(float* values, size_t n) {
  const __m512 zero = _mm512_setzero_ps();
  for (size_t i = 0; i < n; i += 16) {
    __m512 v = _mm512_loadu_ps(values + i);
    __m512 swapped = _mm512_permute_ps(v, 0xB1);
    v = _mm512_add_ps(swapped, _mm512_mask_sub_ps(v, 0xAAAA, zero, v));
    swapped = _mm512_permute_ps(v, 0x4E);
    v = _mm512_add_ps(swapped, _mm512_mask_sub_ps(v, 0xCCCC, zero, v));
    swapped = _mm512_shuffle_f32x4(v, v, 0xB1);
    v = _mm512_add_ps(swapped, _mm512_mask_sub_ps(v, 0xF0F0, zero, v));
    swapped = _mm512_shuffle_f32x4(v, v, 0x4E);
    v = _mm512_add_ps(swapped, _mm512_mask_sub_ps(v, 0xFF00, zero, v));
    _mm512_storeu_ps(values + i, v);
  }
  for (size_t half = 16; half < n; half *= 2) {
    for (size_t i = 0; i < n; i += 2 * half) {
      for (size_t j = i; j < i + half; j += 16) {
        const __m512 a = _mm512_loadu_ps(values + j);
        const __m512 b = _mm512_loadu_ps(values + j + half);
        _mm512_storeu_ps(values + j, _mm512_add_ps(a, b));
        _mm512_storeu_ps(values + j + half, _mm512_sub_ps(a, b));
      }
    }
  }
}

void Scale(float* values, size_t n, float factor) {
  for (size_t i = 0; i < n; i += 16) {
    _mm512_storeu_ps(values + i, _mm512_mul_ps(_mm512_loadu_ps(values + i), _mm512_set1_ps(factor)));
  }
}

void Rotate(float* values, const float* signs, size_t dim, size_t block) {
  const float factor = 1.0f / sqrtf(static_cast<float>(block));
  for (size_t round = 0; round < 3; ++round) {
    for (size_t i = 0; i < dim; i += 16) {
      _mm512_storeu_ps(values + i,
                       _mm512_mul_ps(_mm512_loadu_ps(values + i), _mm512_loadu_ps(signs + round * dim + i)));
    }
    Hadamard(values, block);
    Scale(values, block, factor);
    if (block < dim) {
      Hadamard(values + dim - block, block);
      Scale(values + dim - block, block, factor);
    }
  }
}

float QuantizeRow(const float* values, size_t dim, uint8_t* out) {
  __m512 most = _mm512_set1_ps(kSmallestScale);
  for (size_t i = 0; i < dim; i += 16) {
    most = _mm512_max_ps(most, _mm512_abs_ps(_mm512_loadu_ps(values + i)));
  }
  const float largest = _mm512_reduce_max_ps(most);
  const __m512 inverse = _mm512_set1_ps(127.0f / largest);
  const __m128i offset = _mm_set1_epi8(static_cast<char>(0x80));
  for (size_t i = 0; i < dim; i += 16) {
    const __m512i rounded = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(values + i), inverse));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), _mm_xor_si128(_mm512_cvtsepi32_epi8(rounded), offset));
  }
  return largest / 127.0f;
}

int32_t RowAsQuery(const uint8_t* row, size_t dim, int8_t* out) {
  const __m512i offset = _mm512_set1_epi8(static_cast<char>(0x80));
  __m512i sum = _mm512_setzero_si512();
  for (size_t i = 0; i < dim; i += 64) {
    const __mmask64 mask = FirstBytes(dim - i);
    const __m512i bytes = _mm512_maskz_loadu_epi8(mask, row + i);
    sum = _mm512_add_epi64(sum, _mm512_sad_epu8(bytes, _mm512_setzero_si512()));
    _mm512_mask_storeu_epi8(out + i, mask, _mm512_xor_si512(bytes, offset));
  }
  const int64_t total = _mm512_reduce_add_epi64(sum);
  return static_cast<int32_t>(128 * (total - 128 * static_cast<int64_t>(dim)));
}

void DequantizeRow(const uint8_t* row, float scale, size_t dim, float* out) {
  for (size_t i = 0; i < dim; i += 16) {
    _mm512_storeu_ps(out + i, _mm512_mul_ps(_mm512_set1_ps(scale), Widen(row + i, _mm512_set1_epi32(128))));
  }
}

void QuantizeResidual(const float* values, const uint8_t* row, float scale, size_t dim, uint8_t* out) {
  const __m512 inverse = _mm512_set1_ps(1.0f / scale);
  const __m128i offset = _mm_set1_epi8(static_cast<char>(0x80));
  for (size_t i = 0; i < dim; i += 16) {
    const __m512 rest = _mm512_fmsub_ps(_mm512_loadu_ps(values + i), inverse, Widen(row + i, _mm512_set1_epi32(128)));
    const __m512i rounded = _mm512_cvtps_epi32(_mm512_mul_ps(rest, _mm512_set1_ps(254.0f)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), _mm_xor_si128(_mm512_cvtsepi32_epi8(rounded), offset));
  }
}

// Lane c of the result: the value with the sign that bit `plus` of c gives it.
__m512 Signed(float value, __mmask16 minus) {
  const __m512 v = _mm512_set1_ps(value);
  return _mm512_mask_sub_ps(v, minus, _mm512_setzero_ps(), v);
}

float MakeTables(const float* values, size_t dim, uint8_t* tables) {
  __m512 most = _mm512_set1_ps(kSmallestScale);
  for (size_t i = 0; i < dim; i += 16) {
    const __m512 v = _mm512_abs_ps(_mm512_loadu_ps(values + i));
    const __m512 pairs = _mm512_add_ps(v, _mm512_permute_ps(v, 0xB1));
    most = _mm512_max_ps(most, _mm512_add_ps(pairs, _mm512_permute_ps(pairs, 0x4E)));
  }
  const float largest = _mm512_reduce_max_ps(most);
  const __m512 inverse = _mm512_set1_ps(127.5f / largest);
  const __m512 middle = _mm512_set1_ps(127.5f);
  for (size_t i = 0; i < dim; i += 4) {
    const __m512 sum = _mm512_add_ps(_mm512_add_ps(Signed(values[i], 0x5555), Signed(values[i + 1], 0x3333)),
                                     _mm512_add_ps(Signed(values[i + 2], 0x0f0f), Signed(values[i + 3], 0x00ff)));
    const __m512i entries = _mm512_cvtps_epi32(_mm512_fmadd_ps(sum, inverse, middle));
    const __m512i positive = _mm512_max_epi32(entries, _mm512_setzero_si512());
    _mm_storeu_si128(reinterpret_cast<__m128i*>(tables + i * 4), _mm512_cvtusepi32_epi8(positive));
  }
  return largest / 127.5f;
}

SignSums EncodeSigns(const float* row, const float* centre, size_t dim, uint8_t* bits) {
  __m512 squared = _mm512_setzero_ps();
  __m512 absolute = _mm512_setzero_ps();
  __m512 along = _mm512_setzero_ps();
  for (size_t i = 0; i < dim; i += 16) {
    const __m512 c = _mm512_loadu_ps(centre + i);
    const __m512 difference = _mm512_sub_ps(_mm512_loadu_ps(row + i), c);
    const __mmask16 positive = _mm512_cmp_ps_mask(difference, _mm512_setzero_ps(), _CMP_GT_OQ);
    squared = _mm512_fmadd_ps(difference, difference, squared);
    absolute = _mm512_add_ps(absolute, _mm512_abs_ps(difference));
    along = _mm512_add_ps(along, _mm512_mask_sub_ps(c, static_cast<__mmask16>(~positive), _mm512_setzero_ps(), c));
    memcpy(bits + i / 8, &positive, sizeof(positive));
  }
  return {_mm512_reduce_add_ps(squared), _mm512_reduce_add_ps(absolute), _mm512_reduce_add_ps(along)};
}

}  // namespace

extern const GraphKernels kAvx512VnniGraphKernels = {
    .isa = Isa::kAvx512Vnni,
    .dot = Dot,
    .dot_rows = DotRows,
    .dot_ids = DotIds,
    .fine_dot = FineDot,
    .scan_codes = ScanCodes,
    .node_key = NodeKey,
    .neighbor_keys = NeighborKeys,
    .pool_insert = PoolInsertWide,
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
