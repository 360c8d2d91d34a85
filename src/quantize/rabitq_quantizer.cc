#include "quantize/rabitq_quantizer.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>

#include "base/limits.h"
#include "quantize/bfloat16.h"
#include "quantize/code_fields.h"
#include "quantize/estimate_batches.h"
#include "quantize/fast_scan.h"
#include "quantize/quantizer_file.h"
#include "quantize/rabitq_grid.h"
#include "quantize/sums.h"

namespace longbow::quantize {
namespace {

constexpr size_t kNormOffset = 0;
constexpr size_t kMeanProductOffset = 4;
constexpr size_t kRescaleOffset = 8;
constexpr size_t kErrorOffset = 12;
constexpr size_t kFieldsOffset = 14;
constexpr size_t kBlockFactors = 3;  // of each row of a block: those at kNormOffset, kMeanProductOffset, kRescaleOffset

size_t CodeBytes(size_t rotated_size, uint32_t bits) {
  const CodeField last = SplitBits(rotated_size, bits, kFieldsOffset).back();
  return last.offset + FieldBytes(rotated_size, last.bits);
}

size_t Nibbles(size_t rotated_size) { return 2 * FieldBytes(rotated_size, 1); }
size_t LinesBytes(size_t rotated_size) { return ScanLines(Nibbles(rotated_size)) * kernels::kScanLineBytes; }

// The sums of the weights that each value of a nibble selects. A byte j of the code holds the signs of dimensions j,
// j + bytes, j + 2 bytes, ...: its low nibble the first four, its high one the others.
std::vector<float> NibbleTables(const float* weights, size_t rotated_size) {
  const size_t bytes = FieldBytes(rotated_size, 1);
  std::vector<float> tables(Nibbles(rotated_size) * 16);
  for (size_t j = 0; j < Nibbles(rotated_size); ++j) {
    float* table = tables.data() + j * 16;
    for (size_t value = 1; value < 16; ++value) {
      const auto lowest = static_cast<size_t>(std::countr_zero(value));
      table[value] = table[value & (value - 1)] + weights[j / 2 + (j % 2 * 4 + lowest) * bytes];
    }
  }
  return tables;
}

// What the estimate of a distance is made of besides the codes.
struct QueryTerms {
  bool squared_l2;
  float base;          // what the query alone adds to a distance
  float norm;          // of the centred query
  float half_weights;  // half the sum of the weights
};

class Estimator final : public QueryEstimator {
 public:
  Estimator(size_t code_bytes, size_t rotated_size, CenteredDots dots, std::optional<ScanTables> tables,
            QueryTerms terms)
      : QueryEstimator(code_bytes),
        rotated_size_(rotated_size),
        dots_(std::move(dots)),
        tables_(std::move(tables)),
        terms_(terms) {}

  void EstimateRows(const kernels::CodeRows& rows, float* distances) const override {
    InBatches(rows, code_bytes(),
              [&](const kernels::CodeRows& batch, size_t begin) { EstimateBatch(batch, distances + begin); });
  }

  void EstimateBounded(const kernels::CodeRows& rows, float* distances, float* bounds) const override {
    EstimateRows(rows, distances);
    const float distance_factor = terms_.squared_l2 ? 2 : 1;
    const float rounding_deviation = dots_.step() * std::sqrt(1 / 12.0f);
    for (size_t i = 0; i < rows.n; ++i) {
      const uint8_t* code = CodeAt(rows, i);
      const float error = WidenedBfloat16(LoadFactor<uint16_t>(code, kErrorOffset));
      // |r| / cosine, which the rounding of the query is multiplied with.
      const float spread =
          std::sqrt(error * error * static_cast<float>(rotated_size_ - 1) + LoadFactor<float>(code, kNormOffset));
      bounds[i] = distance_factor * kRabitqBoundDeviations * (error * terms_.norm + rounding_deviation * spread);
    }
  }

  void EstimateBlocks(const uint8_t* blocks, size_t n, float* distances) const override {
    const size_t lines_bytes = LinesBytes(rotated_size_);
    const size_t stride = lines_bytes + kBlockFactors * kernels::kScanRows * sizeof(float);
    float sums[kernels::kScanRows];
    for (size_t begin = 0; begin < n; begin += kernels::kScanRows, blocks += stride) {
      tables_->Scan(blocks, stride, 1, sums);
      float factors[kBlockFactors][kernels::kScanRows];
      std::memcpy(factors, blocks + lines_bytes, sizeof(factors));
      for (size_t i = 0; i < kernels::kScanRows; ++i) {
        const float product = factors[2][i] * (sums[i] - terms_.half_weights);
        sums[i] = terms_.squared_l2 ? terms_.base + factors[0][i] - 2 * product : terms_.base - factors[1][i] - product;
      }
      std::copy(sums, sums + std::min(kernels::kScanRows, n - begin), distances + begin);
    }
  }

 private:
  void EstimateBatch(const kernels::CodeRows& batch, float* out) const {
    dots_.Run(batch, out);
    for (size_t i = 0; i < batch.n; ++i) {
      const uint8_t* code = CodeAt(batch, i);
      const float product = LoadFactor<float>(code, kRescaleOffset) * out[i];
      out[i] = terms_.squared_l2 ? terms_.base + LoadFactor<float>(code, kNormOffset) - 2 * product
                                 : terms_.base - LoadFactor<float>(code, kMeanProductOffset) - product;
    }
  }

  const size_t rotated_size_;
  const CenteredDots dots_;
  const std::optional<ScanTables> tables_;
  const QueryTerms terms_;
};

}  // namespace

RabitqQuantizer::RabitqQuantizer(const kernels::CodeKernels& kernels, RabitqQuantizerOptions options,
                                 std::vector<float> mean)
    : Quantizer(kernels, mean.size(), CodeBytes((mean.size() + 15) / 16 * 16, options.bits)),
      options_(options),
      mean_(std::move(mean)),
      rotation_(mean_.size(), options.seed, kernels::GraphKernelsOf(kernels.isa)) {}

Result<std::unique_ptr<RabitqQuantizer>> RabitqQuantizer::Train(const TrainingRows& sample,
                                                                const RabitqQuantizerOptions& options,
                                                                const kernels::CodeKernels& kernels) {
  LB_TRY(CheckTrainingRows(sample, 1, "rabitq"));
  if (options.bits < 1 || options.bits > 8) {
    return InvalidArgument("rabitq: bits must be 1 to 8, got " + std::to_string(options.bits));
  }
  std::vector<float> mean = MeanRow(sample.rows, sample.n, sample.dimension);
  return std::unique_ptr<RabitqQuantizer>(new RabitqQuantizer(kernels, options, std::move(mean)));
}

void RabitqQuantizer::EncodeRows(const float* rows, size_t n, uint8_t* codes) const {
  const size_t size = rotation_.rotated_size();
  const std::vector<CodeField> fields = SplitBits(size, options_.bits, kFieldsOffset);
  std::vector<float> rotated(size);
  std::vector<uint8_t> numbers(size);
  for (size_t i = 0; i < n; ++i) {
    const std::vector<float> centred = Difference(rows + i * dimension(), mean_.data(), dimension());
    rotation_.Apply(centred.data(), rotated.data());
    const GridPoint point = NearestGridPoint(rotated.data(), size, options_.bits, numbers.data());
    double norm = 0;
    double rescale = 0;
    double error = 0;
    if (point.inner_product > 0) {
      norm = SquaredNorm(rotated.data(), size);
      rescale = norm / point.inner_product;
      // tangent^2 = 1 / cosine^2 - 1
      const double inverse = norm * point.squared_norm / (point.inner_product * point.inner_product);
      error = std::sqrt(norm * std::max(inverse - 1, 0.0) / static_cast<double>(size - 1));
    }
    uint8_t* code = codes + i * code_bytes();
    StoreFactor(code, kNormOffset, static_cast<float>(norm));
    StoreFactor(code, kMeanProductOffset, static_cast<float>(InnerProduct(mean_.data(), centred.data(), dimension())));
    StoreFactor(code, kRescaleOffset, static_cast<float>(rescale));
    StoreFactor(code, kErrorOffset, Bfloat16Above(static_cast<float>(error)));
    for (const CodeField& field : fields) {
      PackField(field, numbers.data(), size, code);
    }
  }
}

std::unique_ptr<QueryEstimator> RabitqQuantizer::PrepareQuery(const float* query, Metric metric) const {
  const size_t size = rotation_.rotated_size();
  const std::vector<float> centred = Difference(query, mean_.data(), dimension());
  std::vector<float> weights(size);
  rotation_.Apply(centred.data(), weights.data());
  const double norm = SquaredNorm(centred.data(), dimension());
  const bool squared_l2 = metric == Metric::kL2;
  const QueryTerms terms = {
      .squared_l2 = squared_l2,
      .base = static_cast<float>(squared_l2 ? norm : -InnerProduct(query, mean_.data(), dimension())),
      .norm = static_cast<float>(std::sqrt(norm)),
      .half_weights = static_cast<float>(Sum(weights.data(), size) / 2),
  };
  const float centre = static_cast<float>((1u << options_.bits) - 1) / 2;
  CenteredDots dots(kernels_, SplitBits(size, options_.bits, kFieldsOffset), size, centre, weights.data(), 1);
  std::optional<ScanTables> tables;
  if (options_.bits == 1) {
    tables.emplace(kernels_, NibbleTables(weights.data(), size).data(), Nibbles(size));
  }
  return std::make_unique<Estimator>(code_bytes(), size, std::move(dots), std::move(tables), terms);
}

size_t RabitqQuantizer::block_bytes() const {
  return options_.bits != 1 ? 0
                            : LinesBytes(rotation_.rotated_size()) + kBlockFactors * kernels::kScanRows * sizeof(float);
}

void RabitqQuantizer::PackBlocks(const uint8_t* codes, size_t n, uint8_t* blocks) const {
  const size_t size = rotation_.rotated_size();
  for (size_t begin = 0; begin < n; begin += kernels::kScanRows, blocks += block_bytes()) {
    const size_t count = std::min(kernels::kScanRows, n - begin);
    const uint8_t* first = codes + begin * code_bytes();
    PackScanBlock(first + kFieldsOffset, code_bytes(), count, Nibbles(size), blocks);
    float factors[kBlockFactors][kernels::kScanRows] = {};
    for (size_t i = 0; i < count; ++i) {
      const uint8_t* code = first + i * code_bytes();
      factors[0][i] = LoadFactor<float>(code, kNormOffset);
      factors[1][i] = LoadFactor<float>(code, kMeanProductOffset);
      factors[2][i] = LoadFactor<float>(code, kRescaleOffset);
    }
    std::memcpy(blocks + LinesBytes(size), factors, sizeof(factors));
  }
}

// body = dimension u32 , bits u32 , seed low u32 , seed high u32 , mean f32[dimension]
std::string RabitqQuantizer::Serialize() const {
  QuantizerWriter writer(kind());
  writer.Put(static_cast<uint32_t>(dimension()));
  writer.Put(options_.bits);
  writer.Put(static_cast<uint32_t>(options_.seed));
  writer.Put(static_cast<uint32_t>(options_.seed >> 32));
  writer.Put(mean_);
  return writer.Seal();
}

Result<std::unique_ptr<Quantizer>> RabitqQuantizer::Read(QuantizerReader* reader, const kernels::CodeKernels& kernels) {
  const uint32_t dimension = reader->Number("dimension", 1, limits::kDimensionMax);
  RabitqQuantizerOptions options;
  options.bits = reader->Number("bits", 1, 8);
  const uint32_t seed_low = reader->Number("seed", 0, UINT32_MAX);
  options.seed = static_cast<uint64_t>(reader->Number("seed", 0, UINT32_MAX)) << 32 | seed_low;
  std::vector<float> mean = reader->Floats("mean", dimension);
  LB_TRY(reader->Finish());
  return std::unique_ptr<Quantizer>(new RabitqQuantizer(kernels, options, std::move(mean)));
}

}  // namespace longbow::quantize
