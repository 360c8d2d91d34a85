// How rows and queries become codes: what every graph of a segment shares.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "index/graph_image.h"
#include "index/typed_query.h"
#include "index/vector_rows.h"
#include "kernels/graph_kernels.h"

namespace longbow::index {

// Turns every metric into squared Euclidean distance between rows, and into a key that orders rows for a query:
//
//   euclidean      key = |q - x|^2
//   cosine         rows and queries divided by their norm, then the same; distance = key / 2
//   hamming        bits as coordinates of 0 and 1: key = |q - x|^2 is the number of bits that differ
//   jaccard        the same, divided by the norm: near in angle is near in overlap, and the last ranking is exact
//   inner product  key = -2 <q, x>; where norms differ a little, rows get one more coordinate that gives all of them
//   the
//                  same norm (Bachrach et al., RecSys 2014), so that edges between rows mean something for such
//                  queries; where they differ much, edges go by the inner product itself (ip-NSW, Morozov & Babenko,
//                  NeurIPS 2018)
//
// then subtracts the centre of the rows (not where edges go by products, nor from queries of inner products, whose
// order a shift does not change) and rotates by random signs and Hadamard transforms, after which coordinates are alike
// and 8 bits, or 1, hold them well (RaBitQ, Gao & Long, SIGMOD 2024). Constant once learned; thread safe.
class CodeSpace {
 public:
  // From rows [begin, end), not empty, of which at most 4,096 are looked at.
  static std::shared_ptr<const CodeSpace> Learn(const VectorRows& rows, LocalId begin, LocalId end);

  // As Save stored it, for rows like those it was learned from. DATA_LOSS if it does not fit them.
  static Result<std::shared_ptr<const CodeSpace>> Open(const ImageReader& image, const VectorRows& rows);
  void Save(ImageWriter& image) const;

  Metric metric() const { return metric_; }
  const kernels::GraphKernels& kernels() const { return *kernels_; }
  const kernels::Kernels& distances() const { return *distances_; }
  // Of a row's code: a multiple of 16.
  size_t dimension() const { return dimension_; }

  // Row `id` of rows like those it was learned from; out: [dimension()]. Returns what is added to the squared norm of
  // `out` to get the row's term (see RowCodes).
  float ToSpace(const VectorRows& rows, LocalId id, float* out) const;
  // What key = constant + term + (row_factor = -2) * <q, x> is computed with.
  struct QueryTerms {
    float constant = 0;
    float distance_factor = 1;  // distance of the metric = distance_factor * key + distance_offset
    float distance_offset = 0;
  };
  QueryTerms QueryToSpace(const VectorRows& rows, const TypedQuery& query, float* out) const;
  // How many times more candidates than usual a search should rank exactly: where few coordinates leave many rows
  // within the rounding of 8 bits, and where codes rank rows not quite as the metric does.
  size_t rank_factor() const { return metric_ == Metric::kJaccard || row_dimension_ <= 16 ? 4 : 1; }
  // Above 0: rows are as far from each other as this less twice their inner product. 0: squared distance.
  float product_constant() const { return shape_ == RowShape::kProducts ? 2 * norm_max_squared_ : 0.0f; }
  // Whether a row's term is its squared norm; otherwise it is 0.
  bool term_is_norm() const { return metric_ != Metric::kInnerProduct; }

 private:
  enum class RowShape { kAsTheyAre, kAddedCoordinate, kProducts };

  CodeSpace(const VectorRows& rows, RowShape shape, float norm_max_squared);
  void LearnCentre(const VectorRows& rows, const std::vector<LocalId>& sample);
  // The row as float32, or its bits, each a coordinate. out: [dimension_]; returns where the values are: out, or the
  // row.
  const float* Coordinates(const VectorRows& rows, LocalId id, float* out) const;
  // Divides by the norm or appends the coordinate, as the metric wants. values: [row_dimension_], may be out. Returns
  // the squared norm of the values as given.
  float Shape(const float* values, float* out) const;
  float ShapedToSpace(float squared, float* out) const;
  void SpreadBits(float* values) const;
  float SquaredNorm(const float* values, size_t n) const { return distances_->inner_product(values, values, n); }
  void Rotate(float* values) const { kernels_->rotate(values, signs_.data(), dimension_, block_); }

  Metric metric_ = Metric::kL2;
  const kernels::GraphKernels* kernels_ = nullptr;
  const kernels::Kernels* distances_ = nullptr;
  size_t row_dimension_ = 0;  // coordinates of a row: its elements, or their bits
  size_t dimension_ = 0;
  size_t block_ = 0;  // largest power of two within dimension_
  RowShape shape_ = RowShape::kAsTheyAre;
  float norm_max_squared_ = 0;  // 0 for rows as they are
  std::vector<float> centre_;   // [dimension_]
  std::vector<float> signs_;    // [3, dimension_]
};

// A query in a space, ready for int8 rows. Used by one thread; reusable.
class CodedQuery {
 public:
  // query: made for the rows' type, finite.
  void Prepare(const CodeSpace& space, const VectorRows& rows, const TypedQuery& query);

  const std::vector<float>& values() const { return values_; }  // rotated
  const int8_t* row() const { return row_.data(); }
  int32_t row_offset_sum() const { return row_offset_sum_; }
  // key = constant + term + row_factor * scale of the row * (dot - row_offset_sum)
  float row_factor() const { return row_factor_; }
  float constant() const { return terms_.constant; }
  float DistanceOf(float key) const { return terms_.distance_factor * key + terms_.distance_offset; }

 private:
  std::vector<float> values_;
  std::vector<uint8_t> bytes_;
  std::vector<int8_t> row_;
  int32_t row_offset_sum_ = 0;
  float row_factor_ = 0;
  CodeSpace::QueryTerms terms_;
};

}  // namespace longbow::index
