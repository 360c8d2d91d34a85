// Product quantization: the dimensions are divided between subspaces, each with a codebook of 16 or 256 points.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "quantize/kmeans.h"
#include "quantize/quantizer.h"

namespace longbow::quantize {

class QuantizerReader;

struct ProductQuantizerOptions {
  size_t subspaces = 8;           // 1 to the dimension; those that do not divide it evenly differ by one dimension
  uint32_t bits = 8;              // 8 or 4
  size_t iterations = 12;         // of k-means
  size_t train_rows_max = 32768;  // drawn from the sample
  uint64_t seed = 1;
  size_t threads = 1;  // does not change the result
};

// Jégou, Douze and Schmid, "Product quantization for nearest neighbor search" (IEEE PAMI 2011). A row is estimated as
// the codebooks' points; what a distance to each is, stands in tables made per query.
//
// code = one number for each subspace, of 8 bits, or of 4 bits two in a byte, the first in the low bits
//
// A block of the packed layout (4 bits only) = lines of kernels/code_scan.h; its tables are rounded to 8 bits.
class ProductQuantizer final : public Quantizer {
 public:
  // Needs as many rows as a codebook has points. INVALID_ARGUMENT for a sample or options that cannot be.
  static Result<std::unique_ptr<ProductQuantizer>> Train(const TrainingRows& sample,
                                                         const ProductQuantizerOptions& options,
                                                         const kernels::CodeKernels& kernels);
  // Reads the body that Serialize writes; the errors of OpenQuantizer.
  static Result<std::unique_ptr<Quantizer>> Read(QuantizerReader* reader, const kernels::CodeKernels& kernels);

  QuantizerKind kind() const override { return QuantizerKind::kProduct; }
  std::string name() const override;
  size_t block_bytes() const override;
  void PackBlocks(const uint8_t* codes, size_t n, uint8_t* blocks) const override;
  std::string Serialize() const override;

 protected:
  void EncodeRows(const float* rows, size_t n, uint8_t* codes) const override;
  std::unique_ptr<QueryEstimator> PrepareQuery(const float* query, Metric metric) const override;

 private:
  ProductQuantizer(const kernels::CodeKernels& kernels, size_t dimension, uint32_t bits,
                   std::vector<Codebook> codebooks);
  // What each point of each subspace adds to a distance: [subspaces, points].
  std::vector<float> DistanceTables(const float* query, Metric metric) const;

  const uint32_t bits_;
  const std::vector<Codebook> codebooks_;  // by subspace; their dims add up to the dimension
};

}  // namespace longbow::quantize
