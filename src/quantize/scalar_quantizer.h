// Scalar quantization: each dimension has a range of its own, divided into 256 or 16 equal steps.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "quantize/quantizer.h"

namespace longbow::quantize {

class QuantizerReader;

struct ScalarQuantizerOptions {
  uint32_t bits = 8;  // 8 or 4
  // The share of the sample that may lie outside the range at either end; 0 takes the smallest and largest value. In
  // [0, 0.25]. Values outside are moved to the end of the range.
  double outside = 0;
};

// code = numbers , float32 squared norm of the decoded row around the middle of the ranges
class ScalarQuantizer final : public Quantizer {
 public:
  // Needs one row. INVALID_ARGUMENT for a sample or options that cannot be.
  static Result<std::unique_ptr<ScalarQuantizer>> Train(const TrainingRows& sample,
                                                        const ScalarQuantizerOptions& options,
                                                        const kernels::CodeKernels& kernels);
  // Reads the body that Serialize writes; the errors of OpenQuantizer.
  static Result<std::unique_ptr<Quantizer>> Read(QuantizerReader* reader, const kernels::CodeKernels& kernels);

  QuantizerKind kind() const override { return QuantizerKind::kScalar; }
  std::string name() const override { return "sq" + std::to_string(bits_); }
  std::string Serialize() const override;

 protected:
  void EncodeRows(const float* rows, size_t n, uint8_t* codes) const override;
  std::unique_ptr<QueryEstimator> PrepareQuery(const float* query, Metric metric) const override;

 private:
  // low, step: [dimension].
  ScalarQuantizer(const kernels::CodeKernels& kernels, uint32_t bits, std::vector<float> low, std::vector<float> step);

  const uint32_t bits_;
  const std::vector<float> low_;
  const std::vector<float> step_;
  std::vector<float> inverse_step_;  // 0 where a dimension has one value only
  std::vector<float> middle_;
};

}  // namespace longbow::quantize
