#include "quantize/kmeans.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "base/parallel_for.h"
#include "base/random.h"

namespace longbow::quantize {
namespace {

constexpr size_t kRowsPerChunk = 512;
constexpr size_t kRowsPerScore = 32;  // scores of 32 x 256 fit the first-level cache
constexpr float kSplit = 1.0f / 1024;

struct Clusters {
  std::vector<double> sums;  // [dim, k]
  std::vector<size_t> sizes;
};

Clusters SumClusters(const float* rows, size_t stride, size_t n, size_t dim, size_t k,
                     const std::vector<uint8_t>& nearest) {
  Clusters clusters = {std::vector<double>(dim * k, 0), std::vector<size_t>(k, 0)};
  for (size_t i = 0; i < n; ++i) {
    const size_t cluster = nearest[i];
    ++clusters.sizes[cluster];
    for (size_t d = 0; d < dim; ++d) {
      clusters.sums[d * k + cluster] += rows[i * stride + d];
    }
  }
  return clusters;
}

// An empty cluster takes half of the largest one: both move a little to either side of where it was.
void FillEmpty(Codebook* codebook, std::vector<size_t>* sizes) {
  for (size_t j = 0; j < codebook->k; ++j) {
    if ((*sizes)[j] != 0) {
      continue;
    }
    const auto largest = static_cast<size_t>(std::max_element(sizes->begin(), sizes->end()) - sizes->begin());
    for (size_t d = 0; d < codebook->dim; ++d) {
      float* column = codebook->columns.data() + d * codebook->k;
      const float moved = column[largest] * (d % 2 == 0 ? kSplit : -kSplit);
      column[j] = column[largest] + moved;
      column[largest] -= moved;
    }
    (*sizes)[j] = (*sizes)[largest] / 2;
    (*sizes)[largest] -= (*sizes)[j];
  }
}

}  // namespace

std::vector<float> Codebook::SquaredNorms() const {
  std::vector<float> norms(k, 0);
  for (size_t d = 0; d < dim; ++d) {
    for (size_t j = 0; j < k; ++j) {
      norms[j] += at(d, j) * at(d, j);
    }
  }
  return norms;
}

std::vector<std::vector<float>> SquaredNormsOf(const std::vector<Codebook>& codebooks) {
  std::vector<std::vector<float>> norms;
  norms.reserve(codebooks.size());
  for (const Codebook& codebook : codebooks) {
    norms.push_back(codebook.SquaredNorms());
  }
  return norms;
}

std::vector<size_t> DrawRows(size_t n, size_t count, uint64_t seed) {
  std::vector<size_t> rows(n);
  std::iota(rows.begin(), rows.end(), size_t{0});
  if (count >= n) {
    return rows;
  }
  Random random(seed);
  for (size_t i = 0; i < count; ++i) {
    std::swap(rows[i], rows[i + random.Below(n - i)]);
  }
  rows.resize(count);
  std::sort(rows.begin(), rows.end());
  return rows;
}

void NearestPoints(const Codebook& codebook, const float* rows, size_t stride, size_t n, size_t threads,
                   const kernels::CodeKernels& kernels, uint8_t* nearest) {
  std::vector<float> bias = codebook.SquaredNorms();
  for (float& value : bias) {
    value *= -0.5f;  // the largest <x, c> - |c|^2 / 2 belongs to the nearest c
  }
  const auto score = [&, scores = std::vector<float>(kRowsPerScore * codebook.k)](size_t begin, size_t end) mutable {
    for (size_t i = begin; i < end; i += kRowsPerScore) {
      const size_t count = std::min(kRowsPerScore, end - i);
      kernels.score_columns(rows + i * stride, stride, count, codebook.columns.data(), bias.data(), codebook.dim,
                            codebook.k, scores.data());
      for (size_t r = 0; r < count; ++r) {
        nearest[i + r] = static_cast<uint8_t>(kernels.index_of_max(scores.data() + r * codebook.k, codebook.k));
      }
    }
  };
  (void)ParallelFor(n, {.threads = threads, .piece = kRowsPerChunk}, score);  // not cancelled: nothing can fail
}

Codebook KMeans(const float* rows, size_t stride, size_t n, size_t dim, const KMeansOptions& options,
                const kernels::CodeKernels& kernels) {
  LB_CHECK(n >= options.k && options.k <= 256 && options.k % 16 == 0);
  Codebook codebook = {options.k, dim, std::vector<float>(dim * options.k)};
  const std::vector<size_t> first = DrawRows(n, options.k, options.seed);
  for (size_t j = 0; j < options.k; ++j) {
    for (size_t d = 0; d < dim; ++d) {
      codebook.columns[d * options.k + j] = rows[first[j] * stride + d];
    }
  }
  std::vector<uint8_t> nearest(n);
  for (size_t iteration = 0; iteration < options.iterations; ++iteration) {
    NearestPoints(codebook, rows, stride, n, options.threads, kernels, nearest.data());
    Clusters clusters = SumClusters(rows, stride, n, dim, options.k, nearest);
    for (size_t d = 0; d < dim; ++d) {
      for (size_t j = 0; j < options.k; ++j) {
        if (clusters.sizes[j] != 0) {
          codebook.columns[d * options.k + j] =
              static_cast<float>(clusters.sums[d * options.k + j] / static_cast<double>(clusters.sizes[j]));
        }
      }
    }
    FillEmpty(&codebook, &clusters.sizes);
  }
  return codebook;
}

}  // namespace longbow::quantize
