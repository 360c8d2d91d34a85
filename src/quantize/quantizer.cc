#include "quantize/quantizer.h"

#include <cmath>

#include "base/check.h"
#include "base/limits.h"

namespace longbow::quantize {
namespace {

constexpr size_t kRowsPerCheck = 256;  // so that a row is still in cache when it is encoded

// The first component that is not a number within the limit; `size` if all are. Also finds NaN, which compares false.
size_t FirstBad(const float* values, size_t size) {
  bool all_good = true;
  for (size_t i = 0; i < size; ++i) {
    all_good &= std::fabs(values[i]) <= kMagnitudeMax;
  }
  if (all_good) {
    return size;
  }
  size_t i = 0;
  while (std::fabs(values[i]) <= kMagnitudeMax) {
    ++i;
  }
  return i;
}

Status BadComponent(const std::string& where, size_t component, float value) {
  return InvalidArgument(where + ", component " + std::to_string(component) + ": got " + std::to_string(value) +
                         ", components must be finite and at most 1e15 in magnitude");
}

}  // namespace

void QueryEstimator::EstimateBounded(const kernels::CodeRows& /*rows*/, float* /*distances*/, float* /*bounds*/) const {
  LB_CHECK(false && "the quantizer has no bounds");
}

void QueryEstimator::EstimateBlocks(const uint8_t* /*blocks*/, size_t /*n*/, float* /*distances*/) const {
  LB_CHECK(false && "the quantizer has no packed layout");
}

void Quantizer::PackBlocks(const uint8_t* /*codes*/, size_t /*n*/, uint8_t* /*blocks*/) const {
  LB_CHECK(false && "the quantizer has no packed layout");
}

Status Quantizer::Encode(const float* rows, size_t n, uint8_t* codes) const {
  for (size_t i = 0; i < n; i += kRowsPerCheck) {
    const size_t count = std::min(kRowsPerCheck, n - i);
    const float* first = rows + i * dimension_;
    const size_t bad = FirstBad(first, count * dimension_);
    const size_t good_rows = bad / dimension_;
    EncodeRows(first, good_rows, codes + i * code_bytes_);
    if (good_rows < count) {
      return BadComponent("row " + std::to_string(i + good_rows), bad % dimension_, first[bad]);
    }
  }
  return {};
}

Status Quantizer::CheckQuery(const float* query, Metric metric) const {
  if (metric == Metric::kCosine) {
    return InvalidArgument("codes estimate no cosine: normalise rows and query and take the inner product");
  }
  if (const size_t bad = FirstBad(query, dimension_); bad < dimension_) {
    return BadComponent("query", bad, query[bad]);
  }
  return {};
}

Result<std::unique_ptr<QueryEstimator>> Quantizer::Prepare(const float* query, Metric metric) const {
  LB_TRY(CheckQuery(query, metric));
  return PrepareQuery(query, metric);
}

Status CheckTrainingRows(const TrainingRows& sample, size_t rows_min, std::string_view what_needs_them) {
  const std::string what(what_needs_them);
  if (sample.dimension < 1 || sample.dimension > limits::kDimensionMax) {
    return InvalidArgument(what + ": dimension must be in [1, " + std::to_string(limits::kDimensionMax) + "], got " +
                           std::to_string(sample.dimension));
  }
  if (sample.n < rows_min) {
    return InvalidArgument(what + ": needs at least " + std::to_string(rows_min) + " rows to train from, got " +
                           std::to_string(sample.n));
  }
  const size_t values = sample.n * sample.dimension;
  if (const size_t bad = FirstBad(sample.rows, values); bad < values) {
    return BadComponent(what + ": training row " + std::to_string(bad / sample.dimension), bad % sample.dimension,
                        sample.rows[bad]);
  }
  return {};
}

}  // namespace longbow::quantize
