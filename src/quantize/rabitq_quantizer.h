// RaBitQ: the direction of each row, randomly rotated, on a grid of 1 to 8 bits a dimension; unbiased estimates with an
// error bound.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "quantize/quantizer.h"
#include "quantize/rotation.h"

namespace longbow::quantize {

class QuantizerReader;

struct RabitqQuantizerOptions {
  uint32_t bits = 1;  // 1 to 8
  uint64_t seed = 1;  // of the rotation
};

// Half width of EstimateBounded's interval in standard deviations of the error over random rotations: at least 99 % of
// the true distances lie inside. Bounds scale with it; the first paper's choice is 1.9.
inline constexpr float kRabitqBoundDeviations = 3;

// Gao and Long, "RaBitQ: Quantizing High-Dimensional Vectors with a Theoretical Error Bound for Approximate Nearest
// Neighbor Search" (arXiv 2405.12497), section 3; several bits after Gao, Gou, Xu, Yang, Long and Wong, "Practical and
// Asymptotically Optimal Quantization of High-Dimensional Vectors in Euclidean Space for Approximate Nearest Neighbor
// Search" (arXiv 2409.09913). Ours are the rotation, the search for the grid's scale (a coarse and a fine row of trials
// instead of every critical value) and the query as int8.
//
// r = rotation of (row - mean), g = the grid point of the code: <q', r> is estimated as |r|^2 / <g, r> * <g, q'>.
//
// code = |r|^2 f32 , <mean, row - mean> f32 , |r|^2 / <g, r> f32 , error bfloat16 , fields of the numbers
//
// A block of the packed layout (1 bit only) = lines of kernels/code_scan.h , then 32 of each of the first three
// factors.
class RabitqQuantizer final : public Quantizer {
 public:
  // Needs one row. INVALID_ARGUMENT for a sample or options that cannot be.
  static Result<std::unique_ptr<RabitqQuantizer>> Train(const TrainingRows& sample,
                                                        const RabitqQuantizerOptions& options,
                                                        const kernels::CodeKernels& kernels);
  // Reads the body that Serialize writes; the errors of OpenQuantizer.
  static Result<std::unique_ptr<Quantizer>> Read(QuantizerReader* reader, const kernels::CodeKernels& kernels);

  QuantizerKind kind() const override { return QuantizerKind::kRabitq; }
  std::string name() const override { return "rabitq" + std::to_string(options_.bits); }
  bool has_bounds() const override { return true; }
  size_t block_bytes() const override;
  void PackBlocks(const uint8_t* codes, size_t n, uint8_t* blocks) const override;
  std::string Serialize() const override;

 protected:
  void EncodeRows(const float* rows, size_t n, uint8_t* codes) const override;
  std::unique_ptr<QueryEstimator> PrepareQuery(const float* query, Metric metric) const override;

 private:
  RabitqQuantizer(const kernels::CodeKernels& kernels, RabitqQuantizerOptions options, std::vector<float> mean);

  const RabitqQuantizerOptions options_;
  const std::vector<float> mean_;
  const Rotation rotation_;
};

}  // namespace longbow::quantize
