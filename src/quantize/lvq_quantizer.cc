#include "quantize/lvq_quantizer.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/limits.h"
#include "quantize/bfloat16.h"
#include "quantize/code_fields.h"
#include "quantize/estimate_batches.h"
#include "quantize/quantizer_file.h"
#include "quantize/sums.h"

namespace longbow::quantize {
namespace {

constexpr size_t kLowOffset = 0;
constexpr size_t kStepOffset = 2;
constexpr size_t kNormOffset = 4;
constexpr size_t kNumbersOffset = 8;

float TopNumber(uint32_t bits) { return static_cast<float>((1u << bits) - 1); }

size_t ResidualOffset(size_t dimension, uint32_t bits) { return kNumbersOffset + FieldBytes(dimension, bits); }

size_t CodeBytes(size_t dimension, const LvqQuantizerOptions& options) {
  const size_t residual = options.residual_bits == 0 ? 0 : FieldBytes(dimension, options.residual_bits);
  return ResidualOffset(dimension, options.bits) + residual;
}

class Estimator final : public QueryEstimator {
 public:
  Estimator(size_t code_bytes, CenteredDots numbers, std::optional<CenteredDots> residual, float first_centre,
            float residual_factor, Metric metric, double base, double weight_sum)
      : QueryEstimator(code_bytes),
        numbers_(std::move(numbers)),
        residual_(std::move(residual)),
        first_centre_(first_centre),
        residual_factor_(residual_factor),
        squared_l2_(metric == Metric::kL2),
        base_(static_cast<float>(base)),
        weight_sum_(static_cast<float>(weight_sum)) {}

  void EstimateRows(const kernels::CodeRows& rows, float* distances) const override {
    InBatches(rows, code_bytes(),
              [&](const kernels::CodeRows& batch, size_t begin) { EstimateBatch(batch, distances + begin); });
  }

 private:
  void EstimateBatch(const kernels::CodeRows& batch, float* out) const {
    numbers_.Run(batch, out);
    if (residual_) {
      float fine[kEstimateRows];
      residual_->Run(batch, fine);
      for (size_t i = 0; i < batch.n; ++i) {
        out[i] += residual_factor_ * fine[i];
      }
    }
    for (size_t i = 0; i < batch.n; ++i) {
      const uint8_t* code = CodeAt(batch, i);
      const float low = WidenedBfloat16(LoadFactor<uint16_t>(code, kLowOffset));
      const float step = WidenedBfloat16(LoadFactor<uint16_t>(code, kStepOffset));
      const float product = (low + step * first_centre_) * weight_sum_ + step * out[i];
      out[i] = squared_l2_ ? base_ + LoadFactor<float>(code, kNormOffset) - 2 * product : base_ - product;
    }
  }

  const CenteredDots numbers_;
  const std::optional<CenteredDots> residual_;
  const float first_centre_;
  const float residual_factor_;
  const bool squared_l2_;
  const float base_;
  const float weight_sum_;
};

Status CheckOptions(const LvqQuantizerOptions& options) {
  if (options.bits != 4 && options.bits != 8) {
    return InvalidArgument("lvq: bits must be 4 or 8, got " + std::to_string(options.bits));
  }
  if (options.residual_bits != 0 && options.residual_bits != 4 && options.residual_bits != 8) {
    return InvalidArgument("lvq: residual_bits must be 0, 4 or 8, got " + std::to_string(options.residual_bits));
  }
  return {};
}

}  // namespace

LvqQuantizer::LvqQuantizer(const kernels::CodeKernels& kernels, LvqQuantizerOptions options, std::vector<float> mean)
    : Quantizer(kernels, mean.size(), CodeBytes(mean.size(), options)), options_(options), mean_(std::move(mean)) {}

Result<std::unique_ptr<LvqQuantizer>> LvqQuantizer::Train(const TrainingRows& sample,
                                                          const LvqQuantizerOptions& options,
                                                          const kernels::CodeKernels& kernels) {
  LB_TRY(CheckTrainingRows(sample, 1, "lvq"));
  LB_TRY(CheckOptions(options));
  std::vector<float> mean = MeanRow(sample.rows, sample.n, sample.dimension);
  return std::unique_ptr<LvqQuantizer>(new LvqQuantizer(kernels, options, std::move(mean)));
}

std::string LvqQuantizer::name() const {
  const std::string first = "lvq" + std::to_string(options_.bits);
  return options_.residual_bits == 0 ? first : first + "+" + std::to_string(options_.residual_bits);
}

void LvqQuantizer::EncodeRows(const float* rows, size_t n, uint8_t* codes) const {
  const size_t dim = dimension();
  const CodeField first = {options_.bits, 0, kNumbersOffset};
  const CodeField second = {options_.residual_bits, 0, ResidualOffset(dim, options_.bits)};
  const float top = TopNumber(options_.bits);
  const float residual_top = TopNumber(options_.residual_bits);
  std::vector<float> decoded(dim);
  std::vector<uint8_t> numbers(dim);
  for (size_t i = 0; i < n; ++i) {
    uint8_t* code = codes + i * code_bytes();
    const std::vector<float> row = Difference(rows + i * dim, mean_.data(), dim);
    const auto [least, most] = std::minmax_element(row.begin(), row.end());
    const uint16_t low_bits = Bfloat16Below(*least);
    const float low = WidenedBfloat16(low_bits);
    const uint16_t step_bits = Bfloat16Above((*most - low) / top);
    const float step = WidenedBfloat16(step_bits);
    const float inverse = std::isfinite(1 / step) ? 1 / step : 0;
    for (size_t d = 0; d < dim; ++d) {
      numbers[d] = static_cast<uint8_t>(std::min((row[d] - low) * inverse, top) + 0.5f);
      decoded[d] = low + step * static_cast<float>(numbers[d]);
    }
    PackField(first, numbers.data(), dim, code);
    if (options_.residual_bits != 0) {
      for (size_t d = 0; d < dim; ++d) {
        const float place = ((row[d] - decoded[d]) * inverse + 0.5f) * residual_top;
        numbers[d] = static_cast<uint8_t>(std::min(std::max(place, 0.0f), residual_top) + 0.5f);
        decoded[d] += step * (static_cast<float>(numbers[d]) / residual_top - 0.5f);
      }
      PackField(second, numbers.data(), dim, code);
    }
    StoreFactor(code, kLowOffset, low_bits);
    StoreFactor(code, kStepOffset, step_bits);
    StoreFactor(code, kNormOffset, static_cast<float>(SquaredNorm(decoded.data(), dim)));
  }
}

std::unique_ptr<QueryEstimator> LvqQuantizer::PrepareLevels(const float* query, Metric metric,
                                                            bool with_residual) const {
  const size_t dim = dimension();
  const std::vector<float> centred = Difference(query, mean_.data(), dim);
  const float* weights = metric == Metric::kL2 ? centred.data() : query;
  const double base =
      metric == Metric::kL2 ? SquaredNorm(centred.data(), dim) : -InnerProduct(query, mean_.data(), dim);
  // Both levels together are finer than a query of int8 is.
  const size_t planes = with_residual ? 2 : 1;
  const float centre = TopNumber(options_.bits) / 2;
  CenteredDots numbers(kernels_, {{options_.bits, 0, kNumbersOffset}}, dim, centre, weights, planes);
  std::optional<CenteredDots> residual;
  float residual_factor = 0;
  if (with_residual) {
    const float residual_top = TopNumber(options_.residual_bits);
    const CodeField field = {options_.residual_bits, 0, ResidualOffset(dim, options_.bits)};
    residual.emplace(kernels_, std::vector<CodeField>{field}, dim, residual_top / 2, weights, 1);
    residual_factor = 1 / residual_top;
  }
  return std::make_unique<Estimator>(code_bytes(), std::move(numbers), std::move(residual), centre, residual_factor,
                                     metric, base, Sum(weights, dim));
}

std::unique_ptr<QueryEstimator> LvqQuantizer::PrepareQuery(const float* query, Metric metric) const {
  return PrepareLevels(query, metric, options_.residual_bits != 0);
}

Result<std::unique_ptr<QueryEstimator>> LvqQuantizer::PrepareFirstLevel(const float* query, Metric metric) const {
  LB_TRY(CheckQuery(query, metric));
  return PrepareLevels(query, metric, false);
}

// body = dimension u32 , bits u32 , residual bits u32 , mean f32[dimension]
std::string LvqQuantizer::Serialize() const {
  QuantizerWriter writer(kind());
  writer.Put(static_cast<uint32_t>(dimension()));
  writer.Put(options_.bits);
  writer.Put(options_.residual_bits);
  writer.Put(mean_);
  return writer.Seal();
}

Result<std::unique_ptr<Quantizer>> LvqQuantizer::Read(QuantizerReader* reader, const kernels::CodeKernels& kernels) {
  const uint32_t dimension = reader->Number("dimension", 1, limits::kDimensionMax);
  LvqQuantizerOptions options;
  options.bits = reader->Number("bits", 4, 8);
  options.residual_bits = reader->Number("residual bits", 0, 8);
  std::vector<float> mean = reader->Floats("mean", dimension);
  LB_TRY(reader->Finish());
  if (const Status possible = CheckOptions(options); !possible.ok()) {
    return DataLoss("quantizer: " + std::string(possible.message()));
  }
  return std::unique_ptr<Quantizer>(new LvqQuantizer(kernels, options, std::move(mean)));
}

}  // namespace longbow::quantize
