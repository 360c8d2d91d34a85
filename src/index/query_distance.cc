#include "index/query_distance.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

namespace longbow::index {
namespace {

// A float32 sum of squares below may have lost terms to underflow, if the vectors are short: squares of what float32
// can tell apart at kShortElement are far above. Likewise products of vectors as short as their norms say.
constexpr double kSafeMin = 1e-30;
constexpr float kShortElement = 1e-10f;
constexpr double kShortVectors = 1e15;  // product of the inverse norms

bool AddsInFloat32(ElementType type) {
  return type == ElementType::kFloat32 || type == ElementType::kFloat16 || type == ElementType::kBFloat16;
}

}  // namespace

QueryDistance::QueryDistance(const VectorRows& rows, const TypedQuery& query) : rows_(rows), query_(query.data()) {
  LB_CHECK(query.is_for(rows.type()));
  Choose(query.wide());
  FindShortness();
  if (rows.metric() == Metric::kCosine) {
    inverse_norm_ = rows.InverseNorm(query);
  }
}

QueryDistance::QueryDistance(const VectorRows& rows, LocalId id) : rows_(rows), query_(rows.bytes(id)) {
  Choose(false);
  if (rows.type() == ElementType::kFloat16 || rows.type() == ElementType::kBFloat16) {
    expanded_.resize(rows.dimension());
    rows.ToFloat32(id, expanded_.data());
    query_ = expanded_.data();
  }
  FindShortness();
  if (rows.metric() == Metric::kCosine) {
    inverse_norm_ = rows.inverse_norm(id);
  }
}

void QueryDistance::Choose(bool wide) {
  const kernels::ElementKernels& k = rows_.element_kernels();
  narrow_ = !wide && AddsInFloat32(rows_.type());
  switch (rows_.metric()) {
    case Metric::kL2:
      form_ = wide ? &k.wide_squared_l2 : &k.squared_l2;
      break;
    case Metric::kHamming:
      form_ = &rows_.kernels().typed->hamming;
      break;
    case Metric::kJaccard:
      form_ = &rows_.kernels().typed->jaccard;
      break;
    case Metric::kCosine:
    case Metric::kInnerProduct:
      form_ = wide ? &k.wide_inner_product : &k.inner_product;
      break;
  }
}

void QueryDistance::FindShortness() {
  if (narrow_ && rows_.metric() == Metric::kL2) {
    const auto* query = static_cast<const float*>(query_);
    may_vanish_ = std::none_of(query, query + rows_.dimension(), [](float v) { return std::fabs(v) >= kShortElement; });
  }
}

bool QueryDistance::IsLost(double squared) const {
  return (may_vanish_ && squared < kSafeMin) || !(squared <= static_cast<double>(FLT_MAX));
}

// What the kernel gives, in float64.
double QueryDistance::Wide(LocalId id) const {
  if (widened_.empty()) {
    const auto* query = static_cast<const float*>(query_);
    widened_.assign(query, query + rows_.dimension());
  }
  const kernels::ElementKernels& k = rows_.element_kernels();
  const kernels::RowKernels& form = rows_.metric() == Metric::kL2 ? k.wide_squared_l2 : k.wide_inner_product;
  return form.pair(widened_.data(), rows_.bytes(id), rows_.dimension());
}

double QueryDistance::Cosine(double inner_product, LocalId id) const {
  // The two norms first: then swapping query and row changes no bit.
  const double norms = inverse_norm_ * rows_.inverse_norm(id);
  const bool lost = std::fabs(inner_product) < kSafeMin && norms > kShortVectors;
  if (narrow_ && (lost || !std::isfinite(inner_product))) {
    inner_product = Wide(id);
  }
  const double distance = std::clamp(1.0 - inner_product * norms, 0.0, 2.0);
  // What float32 sums have beyond float32 is noise, which would tell apart what is equal.
  return narrow_ ? static_cast<double>(static_cast<float>(distance)) : distance;
}

template <typename IdAt>
void QueryDistance::Finish(IdAt id_at, size_t n, double* out) const {
  switch (rows_.metric()) {
    case Metric::kL2:
      for (size_t i = 0; narrow_ && i < n; ++i) {
        if (IsLost(out[i])) {
          out[i] = Wide(id_at(i));
        }
      }
      return;
    case Metric::kInnerProduct:
      for (size_t i = 0; i < n; ++i) {
        out[i] = -(narrow_ && !std::isfinite(out[i]) ? Wide(id_at(i)) : out[i]);
      }
      return;
    case Metric::kCosine:
      for (size_t i = 0; i < n; ++i) {
        out[i] = Cosine(out[i], id_at(i));
      }
      return;
    case Metric::kHamming:
    case Metric::kJaccard:
      return;
  }
}

void QueryDistance::ToIds(const LocalId* ids, size_t n, double* out) const {
  form_->ids(query_, rows_.bytes(0), rows_.dimension(), ids, n, out);
  Finish([ids](size_t i) { return ids[i]; }, n, out);
}

void QueryDistance::ToRange(LocalId begin, size_t n, double* out) const {
  form_->rows(query_, rows_.bytes(begin), rows_.dimension(), n, out);
  Finish([begin](size_t i) { return begin + static_cast<LocalId>(i); }, n, out);
}

void QueryDistance::ToIds(const LocalId* ids, size_t n, float* out) const {
  constexpr size_t kAtOnce = 64;
  double distances[kAtOnce];
  for (size_t done = 0; done < n; done += kAtOnce) {
    const size_t count = std::min(kAtOnce, n - done);
    ToIds(ids + done, count, distances);
    std::copy(distances, distances + count, out + done);
  }
}

}  // namespace longbow::index
