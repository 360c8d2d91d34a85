// What every quantizer offers: rows of float32 become short codes, and distances are estimated from the codes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "kernels/code_scan.h"
#include "model/metric.h"

namespace longbow::quantize {

// Largest magnitude of a component: sums of squares stay far from the end of float32 at every dimension.
inline constexpr float kMagnitudeMax = 1e15f;

// The numbers stand in files (docs/formats/quantizer.md).
enum class QuantizerKind : uint32_t {
  kScalar = 1,    // ScalarQuantizer
  kLvq = 2,       // LvqQuantizer
  kRabitq = 3,    // RabitqQuantizer
  kProduct = 4,   // ProductQuantizer
  kResidual = 5,  // ResidualQuantizer
};

// Rows to learn from. rows: [n, dimension], row-major, finite and within kMagnitudeMax.
struct TrainingRows {
  const float* rows = nullptr;
  size_t n = 0;
  size_t dimension = 0;
};

// One query, prepared for many codes. Estimates are distances as Metric defines them, smaller is nearer: squared L2, or
// the negative inner product. Made by Quantizer::Prepare, which it must not outlive. Thread safe: no state changes.
class QueryEstimator {
 public:
  virtual ~QueryEstimator() = default;

  // distances[i] for the n codes that follow each other at `codes`. distances: [n].
  void Estimate(const uint8_t* codes, size_t n, float* distances) const {
    EstimateRows({codes, code_bytes_, nullptr, n}, distances);
  }
  // distances[i] for the code at codes + ids[i] * code_bytes. Prefetches ahead.
  void EstimateIds(const uint8_t* codes, const uint32_t* ids, size_t n, float* distances) const {
    EstimateRows({codes, code_bytes_, ids, n}, distances);
  }
  // Both of the above, for codes that stand any `stride` apart, as inside the blocks of a graph.
  virtual void EstimateRows(const kernels::CodeRows& rows, float* distances) const = 0;

  // As EstimateRows, and bounds[i] such that the true distance is within distances[i] +- bounds[i] with a probability
  // that the quantizer states. Only if the quantizer has_bounds().
  virtual void EstimateBounded(const kernels::CodeRows& rows, float* distances, float* bounds) const;

  // distances[i] for n rows packed by Quantizer::PackBlocks. Only if the quantizer's block_bytes() is not 0.
  virtual void EstimateBlocks(const uint8_t* blocks, size_t n, float* distances) const;

 protected:
  explicit QueryEstimator(size_t code_bytes) : code_bytes_(code_bytes) {}
  size_t code_bytes() const { return code_bytes_; }

 private:
  const size_t code_bytes_;
};

// Trained once, then immutable. A code is code_bytes() bytes without any alignment; codes have no pointers and may be
// mapped from a file. Training with the same rows, options and instruction set gives the same bytes. Thread safe.
class Quantizer {
 public:
  virtual ~Quantizer() = default;

  virtual QuantizerKind kind() const = 0;
  // For tables and EXPLAIN: "lvq4+8", "rabitq1", "pq96x4".
  virtual std::string name() const = 0;
  size_t dimension() const { return dimension_; }
  size_t code_bytes() const { return code_bytes_; }

  // rows: [n, dimension]; codes: [n, code_bytes()]. INVALID_ARGUMENT, naming the row, if a component is not finite or
  // beyond kMagnitudeMax; codes before that row are written.
  Status Encode(const float* rows, size_t n, uint8_t* codes) const;

  // query: [dimension]. kCosine is INVALID_ARGUMENT: normalise rows and query and take kInnerProduct. So is a query
  // with a component that is not finite or beyond kMagnitudeMax.
  Result<std::unique_ptr<QueryEstimator>> Prepare(const float* query, Metric metric) const;

  virtual bool has_bounds() const { return false; }

  // Bytes of kernels::kScanRows rows in the packed layout, which a scan reads several times faster than codes one by
  // one; 0 if the quantizer has none.
  virtual size_t block_bytes() const { return 0; }
  // Packs n codes into ceil(n / kScanRows) blocks of block_bytes(); rows that the last one lacks are zeros.
  virtual void PackBlocks(const uint8_t* codes, size_t n, uint8_t* blocks) const;

  // The whole quantizer, as docs/formats/quantizer.md says; OpenQuantizer (quantizer_file.h) reads it.
  virtual std::string Serialize() const = 0;

 protected:
  Quantizer(const kernels::CodeKernels& kernels, size_t dimension, size_t code_bytes)
      : kernels_(kernels), dimension_(dimension), code_bytes_(code_bytes) {}

  // What Prepare refuses.
  Status CheckQuery(const float* query, Metric metric) const;
  // Rows and query have been checked.
  virtual void EncodeRows(const float* rows, size_t n, uint8_t* codes) const = 0;
  virtual std::unique_ptr<QueryEstimator> PrepareQuery(const float* query, Metric metric) const = 0;

  const kernels::CodeKernels& kernels_;

 private:
  const size_t dimension_;
  const size_t code_bytes_;
};

// Checks what every training needs: a dimension in [1, limits::kDimensionMax], at least rows_min rows, all components
// finite and within kMagnitudeMax. INVALID_ARGUMENT otherwise.
Status CheckTrainingRows(const TrainingRows& sample, size_t rows_min, std::string_view what_needs_them);

}  // namespace longbow::quantize
