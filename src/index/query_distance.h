// hot path: the distance of one query to rows, by the metric of the rows. Budget: nothing beside the kernel.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>

#include "index/vector_rows.h"

namespace longbow::index {

// Distances as model/metric.h defines them, never NaN: cosine is kept within [0, 2]; an inner product that float cannot
// hold counts as infinitely far. The same pair has the same distance whichever call computes it, in either direction.
// Borrows query and rows.
class QueryDistance {
 public:
  // query: [dimension], finite.
  QueryDistance(const VectorRows& rows, const float* query)
      : rows_(rows), query_(query), inverse_norm_(rows.metric() == Metric::kCosine ? rows.InverseNorm(query) : 0) {}
  // From one of the rows.
  QueryDistance(const VectorRows& rows, LocalId id)
      : rows_(rows),
        query_(rows.row(id)),
        inverse_norm_(rows.metric() == Metric::kCosine ? rows.inverse_norm(id) : 0) {}

  // out[i] = distance to row ids[i]. ids, out: [n].
  void ToIds(const LocalId* ids, size_t n, float* out) const {
    if (rows_.metric() == Metric::kL2) {
      return rows_.kernels().squared_l2_ids(query_, rows_.data(), rows_.dimension(), ids, n, out);
    }
    rows_.kernels().inner_product_ids(query_, rows_.data(), rows_.dimension(), ids, n, out);
    if (rows_.metric() == Metric::kInnerProduct) {
      return Negate(n, out);
    }
    for (size_t i = 0; i < n; ++i) {
      out[i] = Cosine(out[i], rows_.inverse_norm(ids[i]));
    }
  }

  // out[i] = distance to row begin + i. out: [n].
  void ToRange(LocalId begin, size_t n, float* out) const {
    if (rows_.metric() == Metric::kL2) {
      return rows_.kernels().squared_l2_rows(query_, rows_.row(begin), rows_.dimension(), n, out);
    }
    rows_.kernels().inner_product_rows(query_, rows_.row(begin), rows_.dimension(), n, out);
    if (rows_.metric() == Metric::kInnerProduct) {
      return Negate(n, out);
    }
    for (size_t i = 0; i < n; ++i) {
      out[i] = Cosine(out[i], rows_.inverse_norm(begin + static_cast<LocalId>(i)));
    }
  }

  float To(LocalId id) const {
    float out;
    ToIds(&id, 1, &out);
    return out;
  }

 private:
  static void Negate(size_t n, float* out) {
    for (size_t i = 0; i < n; ++i) {
      out[i] = std::isnan(out[i]) ? std::numeric_limits<float>::infinity() : -out[i];
    }
  }

  float Cosine(float inner_product, float inverse_norm) const {
    // The two norms first: then swapping query and row changes no bit.
    const float distance = 1.0f - inner_product * (inverse_norm_ * inverse_norm);
    const float below_two = distance < 2.0f ? distance : 2.0f;  // also NaN
    return below_two > 0.0f ? below_two : 0.0f;
  }

  const VectorRows& rows_;
  const float* const query_;
  const float inverse_norm_;
};

}  // namespace longbow::index
