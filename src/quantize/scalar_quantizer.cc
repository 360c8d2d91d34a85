#include "quantize/scalar_quantizer.h"

#include <algorithm>
#include <cmath>

#include "base/limits.h"
#include "quantize/code_fields.h"
#include "quantize/estimate_batches.h"
#include "quantize/quantizer_file.h"
#include "quantize/sums.h"

namespace longbow::quantize {
namespace {

size_t CodeBytes(size_t dimension, uint32_t bits) { return FieldBytes(dimension, bits) + sizeof(float); }

float TopNumber(uint32_t bits) { return static_cast<float>((1u << bits) - 1); }

// distance = base + norm_factor * norm + dot_factor * dot
class Estimator final : public QueryEstimator {
 public:
  Estimator(size_t code_bytes, size_t norm_offset, CenteredDots dots, Metric metric, double base)
      : QueryEstimator(code_bytes),
        norm_offset_(norm_offset),
        dots_(std::move(dots)),
        squared_l2_(metric == Metric::kL2),
        base_(static_cast<float>(base)) {}

  void EstimateRows(const kernels::CodeRows& rows, float* distances) const override {
    InBatches(rows, code_bytes(), [&](const kernels::CodeRows& batch, size_t begin) {
      float* out = distances + begin;
      dots_.Run(batch, out);
      for (size_t i = 0; i < batch.n; ++i) {
        out[i] = squared_l2_ ? base_ + LoadFactor<float>(CodeAt(batch, i), norm_offset_) - 2 * out[i] : base_ - out[i];
      }
    });
  }

 private:
  const size_t norm_offset_;
  const CenteredDots dots_;
  const bool squared_l2_;
  const float base_;
};

}  // namespace

ScalarQuantizer::ScalarQuantizer(const kernels::CodeKernels& kernels, uint32_t bits, std::vector<float> low,
                                 std::vector<float> step)
    : Quantizer(kernels, low.size(), CodeBytes(low.size(), bits)),
      bits_(bits),
      low_(std::move(low)),
      step_(std::move(step)),
      inverse_step_(low_.size()),
      middle_(low_.size()) {
  for (size_t d = 0; d < low_.size(); ++d) {
    const float inverse = 1 / step_[d];
    inverse_step_[d] = std::isfinite(inverse) ? inverse : 0;
    middle_[d] = low_[d] + step_[d] * TopNumber(bits_) / 2;
  }
}

Result<std::unique_ptr<ScalarQuantizer>> ScalarQuantizer::Train(const TrainingRows& sample,
                                                                const ScalarQuantizerOptions& options,
                                                                const kernels::CodeKernels& kernels) {
  LB_TRY(CheckTrainingRows(sample, 1, "scalar quantizer"));
  if (options.bits != 4 && options.bits != 8) {
    return InvalidArgument("scalar quantizer: bits must be 4 or 8, got " + std::to_string(options.bits));
  }
  if (!(options.outside >= 0 && options.outside <= 0.25)) {
    return InvalidArgument("scalar quantizer: outside must be in [0, 0.25], got " + std::to_string(options.outside));
  }
  const auto skipped = static_cast<size_t>(options.outside * static_cast<double>(sample.n - 1));
  std::vector<float> low(sample.dimension);
  std::vector<float> step(sample.dimension);
  std::vector<float> values(sample.n);
  for (size_t d = 0; d < sample.dimension; ++d) {
    for (size_t i = 0; i < sample.n; ++i) {
      values[i] = sample.rows[i * sample.dimension + d];
    }
    const auto lowest = values.begin() + static_cast<ptrdiff_t>(skipped);
    std::nth_element(values.begin(), lowest, values.end());
    low[d] = *lowest;
    const auto highest = values.end() - 1 - static_cast<ptrdiff_t>(skipped);
    std::nth_element(lowest, highest, values.end());
    step[d] = (*highest - low[d]) / TopNumber(options.bits);
  }
  return std::unique_ptr<ScalarQuantizer>(new ScalarQuantizer(kernels, options.bits, std::move(low), std::move(step)));
}

void ScalarQuantizer::EncodeRows(const float* rows, size_t n, uint8_t* codes) const {
  const CodeField field = {bits_, 0, 0};
  const float top = TopNumber(bits_);
  std::vector<uint8_t> numbers(dimension());
  for (size_t i = 0; i < n; ++i) {
    const float* row = rows + i * dimension();
    uint8_t* code = codes + i * code_bytes();
    double norm = 0;
    for (size_t d = 0; d < dimension(); ++d) {
      const float place = std::min(std::max((row[d] - low_[d]) * inverse_step_[d], 0.0f), top);
      numbers[d] = static_cast<uint8_t>(place + 0.5f);
      const float decoded = step_[d] * (static_cast<float>(numbers[d]) - top / 2);
      norm += static_cast<double>(decoded) * decoded;
    }
    PackField(field, numbers.data(), dimension(), code);
    StoreFactor(code, FieldBytes(dimension(), bits_), static_cast<float>(norm));
  }
}

std::unique_ptr<QueryEstimator> ScalarQuantizer::PrepareQuery(const float* query, Metric metric) const {
  const std::vector<float> centred = Difference(query, middle_.data(), dimension());
  const float* towards = metric == Metric::kL2 ? centred.data() : query;
  std::vector<float> weights(dimension());
  for (size_t d = 0; d < dimension(); ++d) {
    weights[d] = towards[d] * step_[d];
  }
  const double base = metric == Metric::kL2 ? SquaredNorm(centred.data(), dimension())
                                            : -InnerProduct(query, middle_.data(), dimension());
  CenteredDots dots(kernels_, {{bits_, 0, 0}}, dimension(), TopNumber(bits_) / 2, weights.data(), 1);
  return std::make_unique<Estimator>(code_bytes(), FieldBytes(dimension(), bits_), std::move(dots), metric, base);
}

// body = dimension u32 , bits u32 , low f32[dimension] , step f32[dimension]
std::string ScalarQuantizer::Serialize() const {
  QuantizerWriter writer(kind());
  writer.Put(static_cast<uint32_t>(dimension()));
  writer.Put(bits_);
  writer.Put(low_);
  writer.Put(step_);
  return writer.Seal();
}

Result<std::unique_ptr<Quantizer>> ScalarQuantizer::Read(QuantizerReader* reader, const kernels::CodeKernels& kernels) {
  const uint32_t dimension = reader->Number("dimension", 1, limits::kDimensionMax);
  const uint32_t bits = reader->Number("bits", 4, 8);
  std::vector<float> low = reader->Floats("low", dimension);
  std::vector<float> step = reader->Floats("step", dimension);
  LB_TRY(reader->Finish());
  if (bits != 4 && bits != 8) {
    return DataLoss("quantizer: 'bits' is " + std::to_string(bits) + ", expected 4 or 8");
  }
  for (uint32_t d = 0; d < dimension; ++d) {
    if (step[d] < 0 || low[d] + step[d] * TopNumber(bits) > 2 * kMagnitudeMax) {
      return DataLoss("quantizer: the range of dimension " + std::to_string(d) + " cannot be");
    }
  }
  return std::unique_ptr<Quantizer>(new ScalarQuantizer(kernels, bits, std::move(low), std::move(step)));
}

}  // namespace longbow::quantize
