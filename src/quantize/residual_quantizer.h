// Additive quantization: a row is the sum of one point from each of several codebooks over all dimensions.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "quantize/kmeans.h"
#include "quantize/quantizer.h"

namespace longbow::quantize {

class QuantizerReader;

// More would make the table of products between codebooks large: 64 KiB floats for each pair of them.
inline constexpr size_t kResidualCodebooksMax = 32;

struct ResidualQuantizerOptions {
  size_t codebooks = 8;           // 1 to kResidualCodebooksMax, of 256 points each
  size_t beam = 8;                // sums kept while encoding, 1 to 64
  size_t iterations = 10;         // of k-means
  size_t train_rows_max = 16384;  // drawn from the sample
  uint64_t seed = 1;
  size_t threads = 1;  // does not change the result
};

// Residual quantization (Chen, Guan and Wang, "Approximate Nearest Neighbor Search by Residual Vector Quantization",
// Sensors 2010) with the beam search of Babenko and Lempitsky's additive quantization (CVPR 2014): each codebook is
// trained on what those before it leave over; encoding keeps the best few sums instead of the best one.
//
// The first Encode computes the products between all pairs of codebooks: 128 KiB x codebooks^2 of memory.
//
// code = one byte for each codebook , float32 squared norm of the sum around the mean
class ResidualQuantizer final : public Quantizer {
 public:
  // Needs 256 rows. INVALID_ARGUMENT for a sample or options that cannot be.
  static Result<std::unique_ptr<ResidualQuantizer>> Train(const TrainingRows& sample,
                                                          const ResidualQuantizerOptions& options,
                                                          const kernels::CodeKernels& kernels);
  // Reads the body that Serialize writes; the errors of OpenQuantizer.
  static Result<std::unique_ptr<Quantizer>> Read(QuantizerReader* reader, const kernels::CodeKernels& kernels);

  QuantizerKind kind() const override { return QuantizerKind::kResidual; }
  std::string name() const override { return "rq" + std::to_string(codebooks_.size()) + "x8"; }
  std::string Serialize() const override;

 protected:
  void EncodeRows(const float* rows, size_t n, uint8_t* codes) const override;
  std::unique_ptr<QueryEstimator> PrepareQuery(const float* query, Metric metric) const override;

 private:
  ResidualQuantizer(const kernels::CodeKernels& kernels, size_t beam, std::vector<float> mean,
                    std::vector<Codebook> codebooks);
  const std::vector<std::vector<float>>& Products() const;
  // points: one of each codebook.
  void StoreCode(const std::vector<uint8_t>& points, uint8_t* code) const;

  const size_t beam_;
  const std::vector<float> mean_;
  const std::vector<Codebook> codebooks_;
  const std::vector<std::vector<float>> squared_;  // squared norms of the points, by codebook

  mutable std::once_flag products_made_;
  // By codebook m: <point of codebook j, point of m> for all j < m. [m * 256, 256].
  mutable std::vector<std::vector<float>> products_;
};

}  // namespace longbow::quantize
