// Locally adaptive vector quantization: each row has a range of its own, divided into equal steps; optionally the rest
// is divided once more.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "quantize/quantizer.h"

namespace longbow::quantize {

class CenteredDots;
class QuantizerReader;

struct LvqQuantizerOptions {
  uint32_t bits = 8;           // 8 or 4
  uint32_t residual_bits = 0;  // of the second level: 0 (none), 4 or 8
};

// LVQ of Aguerrebere, Bhati, Hildebrand, Tepper and Willke, "Similarity search in the blink of an eye with compressed
// indices" (arXiv 2304.04759): the mean is removed, then row = low + step * (number + residual number / top - 1/2).
// Ours are bfloat16 range ends that enclose the row, and the stored norm.
//
// code = low bfloat16 , step bfloat16 , float32 squared norm of the decoded row around the mean , numbers , residual
class LvqQuantizer final : public Quantizer {
 public:
  // Needs one row. INVALID_ARGUMENT for a sample or options that cannot be.
  static Result<std::unique_ptr<LvqQuantizer>> Train(const TrainingRows& sample, const LvqQuantizerOptions& options,
                                                     const kernels::CodeKernels& kernels);
  // Reads the body that Serialize writes; the errors of OpenQuantizer.
  static Result<std::unique_ptr<Quantizer>> Read(QuantizerReader* reader, const kernels::CodeKernels& kernels);

  // An estimator that reads the first level only, of the same codes: less memory, for a walk whose best rows are then
  // ranked by both levels. The errors of Prepare.
  Result<std::unique_ptr<QueryEstimator>> PrepareFirstLevel(const float* query, Metric metric) const;

  QuantizerKind kind() const override { return QuantizerKind::kLvq; }
  std::string name() const override;
  std::string Serialize() const override;

 protected:
  void EncodeRows(const float* rows, size_t n, uint8_t* codes) const override;
  std::unique_ptr<QueryEstimator> PrepareQuery(const float* query, Metric metric) const override;

 private:
  LvqQuantizer(const kernels::CodeKernels& kernels, LvqQuantizerOptions options, std::vector<float> mean);
  std::unique_ptr<QueryEstimator> PrepareLevels(const float* query, Metric metric, bool with_residual) const;

  const LvqQuantizerOptions options_;
  const std::vector<float> mean_;
};

}  // namespace longbow::quantize
