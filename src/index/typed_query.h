// A query in the type that the kernels of its rows take.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/status.h"
#include "model/element_type.h"
#include "model/metric.h"
#include "model/query_vector.h"

namespace longbow::index {

// What a query is turned into depends on the rows:
//
//   rows                  query     why
//   float32               float32   a client's 0.1 was rounded when it was put; rounded likewise it is at distance 0
//   float16, bfloat16     float32   rounding it to 11 or 8 bits would move it as far as the rows' own rounding
//   float64               float64
//   integers              the same, if every element is one of them; so the answer is exact
//                         else float64: 0.5 or 300 asked of uint8 is a point like any other, not an error
//   bits (kHamming, ...)  uint8     anything else is an error: a fraction has no bits
//
// Immutable; any number of threads may read it.
class TypedQuery {
 public:
  // For rows of float32: borrows values, [dimension].
  TypedQuery(const float* values) : borrowed_(values) {}  // NOLINT(google-explicit-constructor): most queries are

  // The numbers are finite. INVALID_ARGUMENT if the metric needs bits and an element is none of 0 ..= 255.
  static Result<TypedQuery> For(ElementType rows, Metric metric, const QueryVector& numbers);

  // [dimension] of float64 if wide, else of the type that the table above says.
  const void* data() const { return borrowed_ != nullptr ? static_cast<const void*>(borrowed_) : bytes_.data(); }
  bool wide() const { return wide_; }
  bool is_for(ElementType rows) const { return rows_ == rows; }

 private:
  TypedQuery(ElementType rows) : rows_(rows) {}
  template <typename T>
  void Fill(const QueryVector& numbers);
  template <typename T>
  bool FillIntegers(const QueryVector& numbers);
  bool FillAsRows(const QueryVector& numbers);

  ElementType rows_ = ElementType::kFloat32;
  bool wide_ = false;
  const float* borrowed_ = nullptr;
  std::vector<std::byte> bytes_;
};

// The elements of a stored row as a query: exactly. elements: [n] of `type`.
QueryVector NumbersOf(ElementType type, const void* elements, size_t n);

}  // namespace longbow::index
