// Lloyd's k-means: the codebooks of product and residual quantizers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/code_scan.h"

namespace longbow::quantize {

// k points of `dim` components, as kernels::CodeKernels::score_columns reads them.
struct Codebook {
  size_t k = 0;
  size_t dim = 0;
  std::vector<float> columns;  // [dim, k]

  std::vector<float> SquaredNorms() const;
  // Component d of point j.
  float at(size_t d, size_t j) const { return columns[d * k + j]; }
};

// SquaredNorms of each.
std::vector<std::vector<float>> SquaredNormsOf(const std::vector<Codebook>& codebooks);

struct KMeansOptions {
  size_t k = 256;  // a multiple of 16
  size_t iterations = 10;
  uint64_t seed = 1;
  size_t threads = 1;  // does not change the result
};

// Starts from k different rows drawn by the seed; a cluster that loses all its rows takes half of the largest. Rows
// that are all equal give k equal points. rows: n rows of `dim` values, `stride` floats apart, finite; n >= k.
Codebook KMeans(const float* rows, size_t stride, size_t n, size_t dim, const KMeansOptions& options,
                const kernels::CodeKernels& kernels);

// nearest[i] = the point nearest to row i, the lowest of equal ones.
void NearestPoints(const Codebook& codebook, const float* rows, size_t stride, size_t n, size_t threads,
                   const kernels::CodeKernels& kernels, uint8_t* nearest);

// `count` of the numbers [0, n), ascending; all of them if count >= n.
std::vector<size_t> DrawRows(size_t n, size_t count, uint64_t seed);

}  // namespace longbow::quantize
