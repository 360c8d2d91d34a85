// The beam search that encodes one row of an additive quantizer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace longbow::quantize {

inline constexpr size_t kResidualPoints = 256;

// A choice of points, one from each codebook so far; `cost` is |row - sum|^2 - |row|^2.
struct PartialSum {
  float cost = 0;
  std::vector<uint8_t> points;
};

// Keeps the best `width` partial sums. For one row at a time; reused to save allocations.
class ResidualBeam {
 public:
  explicit ResidualBeam(size_t width) : width_(width) {}

  // Forgets the last row.
  void Start();
  // Extends every partial sum by the best points of the next codebook. alone: [256], the cost |c|^2 - 2 <row, c> of
  // each point; products: [codebooks so far * 256, 256], inner products of earlier points with these.
  void Extend(const float* alone, const std::vector<float>& products);
  // The cheapest.
  const PartialSum& best() const { return sums_.front(); }

 private:
  struct Candidate {
    float cost;
    uint32_t parent;
    uint32_t point;
  };

  const size_t width_;
  std::vector<PartialSum> sums_;  // cheapest first
  std::vector<PartialSum> next_;
  std::vector<Candidate> candidates_;
};

}  // namespace longbow::quantize
