// Small unsigned numbers packed into codes, and their dot product with a query of int8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/code_scan.h"

namespace longbow::quantize {

// Rows whose intermediate results stand on the stack at a time.
inline constexpr size_t kEstimateRows = 64;

// One number a dimension, or some bits of it: `bits` (1, 2, 4 or 8) each, packed as kernels::CodeKernels reads them,
// `offset` bytes into the code; they are bits [shift, shift + bits) of the numbers.
struct CodeField {
  uint32_t bits;
  uint32_t shift;
  size_t offset;
};

// Bytes of `dimension` numbers of `bits` bits.
constexpr size_t FieldBytes(size_t dimension, uint32_t bits) {
  const size_t per_byte = 8 / bits;
  return (dimension + per_byte - 1) / per_byte;
}

// The fields that together hold numbers of `bits` (1 to 8) bits, the widest first, from `offset` on: 7 = 4 + 2 + 1.
std::vector<CodeField> SplitBits(size_t dimension, uint32_t bits, size_t offset);

// Writes the field's bits of numbers[0, dimension) to code + field.offset.
void PackField(const CodeField& field, const uint8_t* numbers, size_t dimension, uint8_t* code);
// Sets the field's bits of numbers[0, dimension), which others leave alone.
void UnpackField(const CodeField& field, const uint8_t* code, size_t dimension, uint8_t* numbers);

// Sum over d of weights[d] * (number d of a code - centre), with the weights rounded to int8, or to 15 bits as two
// planes of int8. The centre keeps the rounding from being multiplied with the numbers' common part. Immutable.
class CenteredDots {
 public:
  // weights: [dimension]; planes: 1 or 2. Keeps nothing of `weights`.
  CenteredDots(const kernels::CodeKernels& kernels, std::vector<CodeField> fields, size_t dimension, float centre,
               const float* weights, size_t planes);

  // out[i] for row i; rows.n <= kEstimateRows.
  void Run(const kernels::CodeRows& rows, float* out) const;

  // Distance of two neighbouring rounded weights of the finest plane; rounding moves a weight by half of it at most.
  float step() const { return step_; }

 private:
  struct Plane {
    std::vector<int8_t> query;  // zeros behind the last dimension, as the widest padding wants
    float scale = 0;
    float centre_term = 0;  // centre * sum of query
  };

  const kernels::CodeKernels& kernels_;
  const std::vector<CodeField> fields_;
  const size_t dimension_;
  std::vector<Plane> planes_;
  float step_ = 0;
};

}  // namespace longbow::quantize
