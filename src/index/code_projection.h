// Fewer dimensions for the 1-bit codes, where few hold most of the variance.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "index/row_codes.h"
#include "index/seal_options.h"

namespace longbow::index {

// The space that 1-bit codes live in: the code space itself, or its projection on the principal components, rotated at
// random so that they count alike (LeanVec, Tepper et al., TMLR 2024, for the idea of searching in learned dimensions).
// Rows and queries are projected by the same int8 matrix. Immutable; thread safe.
class CodeProjection {
 public:
  // The identity.
  explicit CodeProjection(size_t dimension) : dimension_(dimension) {}
  // From what SealedGraph stored: matrix [dimension, stride] as in CodeMatrix().
  CodeProjection(size_t dimension, size_t from, std::vector<uint8_t> matrix)
      : dimension_(dimension), from_(from), matrix_(std::move(matrix)) {}

  // Learns from a sample of the given rows how many components hold options.kept_variance of the variance; the identity
  // if that is more than options.code_ratio_max of all, or if there are too few rows to tell. Errors: CANCELLED,
  // DEADLINE_EXCEEDED; between its checks it takes up to 40 ms at 384 dimensions, 2 s at 1,600.
  static Result<CodeProjection> Learn(const RowCodes& codes, const std::vector<LocalId>& rows,
                                      const SealOptions& options);

  bool is_identity() const { return matrix_.empty(); }
  size_t dimension() const { return dimension_; }  // a multiple of 16
  // [dimension] rows of: uint8 [from], scale float32.
  const std::vector<uint8_t>& matrix() const { return matrix_; }

  // row: int8 values [from], whose offset sum and scale are given; out: [dimension]. Not for the identity.
  void Project(const kernels::GraphKernels& kernels, const int8_t* row, int32_t offset_sum, float scale,
               std::vector<int32_t>* dots, float* out) const;

 private:
  size_t stride() const { return from_ + sizeof(float); }

  size_t dimension_ = 0;
  size_t from_ = 0;
  std::vector<uint8_t> matrix_;
};

}  // namespace longbow::index
