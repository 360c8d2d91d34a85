// hot path: the distance of one query to rows, by the metric of the rows. Budget: nothing beside the kernel.
#pragma once

#include <cstddef>
#include <vector>

#include "index/vector_rows.h"

namespace longbow::index {

// Distances as model/metric.h defines them, finite and never NaN: cosine is kept within [0, 2]; float32 sums that
// overflow or vanish are taken again in float64. Integers are exact until the one rounding to float64. The same pair
// has the same distance whichever call computes it, in either direction. Borrows query and rows. One thread at a time.
class QueryDistance {
 public:
  QueryDistance(const VectorRows& rows, const TypedQuery& query);
  // From one of the rows.
  QueryDistance(const VectorRows& rows, LocalId id);
  QueryDistance(const QueryDistance&) = delete;
  QueryDistance& operator=(const QueryDistance&) = delete;

  // out[i] = distance to row ids[i]. ids, out: [n].
  void ToIds(const LocalId* ids, size_t n, double* out) const;
  // Rounded to float32.
  void ToIds(const LocalId* ids, size_t n, float* out) const;

  // out[i] = distance to row begin + i. out: [n].
  void ToRange(LocalId begin, size_t n, double* out) const;

  double To(LocalId id) const {
    double out;
    ToIds(&id, 1, &out);
    return out;
  }

 private:
  template <typename IdAt>
  void Finish(IdAt id_at, size_t n, double* out) const;
  void Choose(bool wide);
  void FindShortness();
  bool IsLost(double squared) const;
  double Wide(LocalId id) const;
  double Cosine(double inner_product, LocalId id) const;

  const VectorRows& rows_;
  const kernels::RowKernels* form_ = nullptr;  // query_ to rows: squared distance, inner product or bits
  const void* query_ = nullptr;
  bool narrow_ = false;  // the kernel adds in float32
  double inverse_norm_ = 0;
  std::vector<float> expanded_;          // the row that is the query, where kernels want it as float32
  bool may_vanish_ = false;              // query_ is so short that squares of differences may not be seen in float32
  mutable std::vector<double> widened_;  // query_ in float64, once it was needed
};

}  // namespace longbow::index
