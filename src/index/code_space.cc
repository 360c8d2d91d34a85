#include "index/code_space.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace longbow::index {
namespace {

constexpr size_t kSampleRowsMax = 4096;
constexpr double kNormSpreadMin = 0.02;  // below it norms count as equal: the added coordinate would be noise
constexpr double kNormSpreadMax = 0.2;   // above it few, long rows are the answer to most queries

uint64_t NextRandom(uint64_t* state) {  // splitmix64: the signs must be the same on every machine
  *state += 0x9e3779b97f4a7c15u;
  uint64_t z = *state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

std::vector<LocalId> SampleOf(LocalId begin, LocalId end) {
  const size_t rows = end - begin;
  const size_t count = std::min(rows, kSampleRowsMax);
  std::vector<LocalId> sample(count);
  for (size_t i = 0; i < count; ++i) {
    sample[i] = begin + static_cast<LocalId>(i * rows / count);
  }
  return sample;
}

// Without those far longer than most, which would say nothing about the others: a handful of broken rows must not cost
// all the rest their precision.
std::vector<LocalId> OrdinaryRows(const VectorRows& rows, const std::vector<LocalId>& sample) {
  constexpr float kFar = 16 * 16;  // of squared norms
  std::vector<float> squared;
  std::vector<float> values(rows.dimension());
  for (const LocalId id : sample) {
    rows.ToFloat32(id, values.data());
    squared.push_back(rows.kernels().inner_product(values.data(), values.data(), values.size()));
  }
  std::vector<float> sorted = squared;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  const float limit = kFar * *middle;
  std::vector<LocalId> ordinary;
  for (size_t i = 0; i < sample.size(); ++i) {
    if (squared[i] <= limit) {
      ordinary.push_back(sample[i]);
    }
  }
  return ordinary.empty() ? sample : ordinary;
}

struct Norms {
  float max_squared = 0;
  double spread = 0;  // standard deviation / mean
};

Norms NormsOf(const VectorRows& rows, const std::vector<LocalId>& sample) {
  double sum = 0;
  double squares = 0;
  double largest = 0;
  std::vector<float> values(rows.dimension());
  for (const LocalId id : sample) {
    rows.ToFloat32(id, values.data());
    const double squared = rows.kernels().inner_product(values.data(), values.data(), values.size());
    sum += std::sqrt(squared);
    squares += squared;
    largest = std::max(largest, squared);
  }
  const double count = static_cast<double>(sample.size());
  const double mean = sum / count;
  const double variance = std::max(0.0, squares / count - mean * mean);
  return {static_cast<float>(largest), mean > 0 ? std::sqrt(variance) / mean : 0.0};
}

}  // namespace

CodeSpace::CodeSpace(const VectorRows& rows, RowShape shape, float norm_max_squared)
    : metric_(rows.metric()),
      kernels_(&kernels::GraphKernelsOf(rows.kernels().isa)),
      distances_(&rows.kernels()),
      row_dimension_(static_cast<size_t>(rows.dimension()) * (IsBitMetric(rows.metric()) ? 8 : 1)),
      shape_(shape),
      norm_max_squared_(norm_max_squared) {
  const size_t coordinates = row_dimension_ + (shape_ == RowShape::kAddedCoordinate ? 1 : 0);
  dimension_ = (coordinates + 15) / 16 * 16;
  block_ = 16;
  while (block_ * 2 <= dimension_) {
    block_ *= 2;
  }
}

std::shared_ptr<const CodeSpace> CodeSpace::Learn(const VectorRows& rows, LocalId begin, LocalId end) {
  const std::vector<LocalId> sample = OrdinaryRows(rows, SampleOf(begin, end));
  Norms norms;
  if (rows.metric() == Metric::kInnerProduct) {
    norms = NormsOf(rows, sample);
  }
  const RowShape shape = norms.spread > kNormSpreadMax   ? RowShape::kProducts
                         : norms.spread > kNormSpreadMin ? RowShape::kAddedCoordinate
                                                         : RowShape::kAsTheyAre;
  const float longest = shape == RowShape::kAsTheyAre ? 0.0f : norms.max_squared;
  const std::shared_ptr<CodeSpace> space(new CodeSpace(rows, shape, longest));
  uint64_t random = 20240917;
  space->signs_.resize(3 * space->dimension_);
  for (float& sign : space->signs_) {
    sign = (NextRandom(&random) >> 63) != 0 ? 1.0f : -1.0f;
  }
  space->LearnCentre(rows, sample);
  return space;
}

void CodeSpace::Save(ImageWriter& image) const {
  std::vector<float> values{shape_ == RowShape::kProducts ? -norm_max_squared_ : norm_max_squared_};
  values.insert(values.end(), centre_.begin(), centre_.end());
  values.insert(values.end(), signs_.begin(), signs_.end());
  image.AddCopy(ImageSection::kSpace, values.data(), values.size() * sizeof(float));
}

Result<std::shared_ptr<const CodeSpace>> CodeSpace::Open(const ImageReader& image, const VectorRows& rows) {
  LB_ASSIGN(const Slice bytes, image.Section(ImageSection::kSpace));
  if (bytes.size() < sizeof(float)) {
    return BadGraphImage("its space is empty");
  }
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  const bool usable = std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
  if (!usable || (values[0] != 0 && rows.metric() != Metric::kInnerProduct)) {
    return BadGraphImage("its space holds impossible numbers");
  }
  const RowShape shape = values[0] < 0   ? RowShape::kProducts
                         : values[0] > 0 ? RowShape::kAddedCoordinate
                                         : RowShape::kAsTheyAre;
  const std::shared_ptr<CodeSpace> space(new CodeSpace(rows, shape, std::abs(values[0])));
  if (bytes.size() != (1 + 4 * space->dimension_) * sizeof(float)) {
    return BadGraphImage("its space has another dimension than its rows");
  }
  const auto centre_end = values.begin() + 1 + static_cast<std::ptrdiff_t>(space->dimension_);
  space->centre_.assign(values.begin() + 1, centre_end);
  space->signs_.assign(centre_end, values.end());
  return std::shared_ptr<const CodeSpace>(space);
}

void CodeSpace::LearnCentre(const VectorRows& rows, const std::vector<LocalId>& sample) {
  std::vector<double> sum(dimension_);
  std::vector<float> shaped(dimension_);
  for (const LocalId id : sample) {
    Shape(Coordinates(rows, id, shaped.data()), shaped.data());
    for (size_t i = 0; i < dimension_; ++i) {
      sum[i] += shaped[i];
    }
  }
  centre_.resize(dimension_);
  for (size_t i = 0; i < dimension_ && shape_ != RowShape::kProducts; ++i) {
    centre_[i] = static_cast<float>(sum[i] / static_cast<double>(sample.size()));
  }
}

// From the last element on, so that none is overwritten before it is read.
void CodeSpace::SpreadBits(float* values) const {
  for (size_t i = row_dimension_ / 8; i-- > 0;) {
    const auto bits = static_cast<unsigned>(values[i]);
    for (size_t bit = 0; bit < 8; ++bit) {
      values[i * 8 + bit] = ((bits >> bit) & 1) != 0 ? 1.0f : 0.0f;
    }
  }
}

const float* CodeSpace::Coordinates(const VectorRows& rows, LocalId id, float* out) const {
  if (rows.type() == ElementType::kFloat32) {
    return rows.row(id);
  }
  rows.ToFloat32(id, out);
  if (IsBitMetric(metric_)) {
    SpreadBits(out);
  }
  return out;
}

float CodeSpace::Shape(const float* values, float* out) const {
  const bool divide = metric_ == Metric::kCosine || metric_ == Metric::kJaccard;
  float factor = 1;
  float squared = 0;
  if (divide || shape_ == RowShape::kAddedCoordinate) {
    squared = SquaredNorm(values, row_dimension_);
  }
  if (divide) {
    const float inverse = 1.0f / std::sqrt(squared);
    factor = std::isfinite(inverse) ? inverse : 0.0f;
  }
  for (size_t i = 0; i < row_dimension_; ++i) {
    out[i] = factor * values[i];
  }
  std::fill(out + row_dimension_, out + dimension_, 0.0f);
  if (shape_ == RowShape::kAddedCoordinate) {
    // A row longer than all that were looked at keeps its own norm: keys are right all the same.
    out[row_dimension_] = std::sqrt(std::max(0.0f, norm_max_squared_ - squared));
  }
  return squared;
}

float CodeSpace::ShapedToSpace(float squared, float* out) const {
  for (size_t i = 0; i < dimension_; ++i) {
    out[i] -= centre_[i];
  }
  Rotate(out);
  // A vector without a direction has cosine 0 with everything: distance 1, a key of 2, where |q - 0|^2 is 1.
  const bool directionless = metric_ == Metric::kCosine && !(squared > 0 && std::isfinite(1.0f / std::sqrt(squared)));
  return directionless ? 1.0f : 0.0f;
}

float CodeSpace::ToSpace(const VectorRows& rows, LocalId id, float* out) const {
  return ShapedToSpace(Shape(Coordinates(rows, id, out), out), out);
}

CodeSpace::QueryTerms CodeSpace::QueryToSpace(const VectorRows& rows, const TypedQuery& query, float* out) const {
  rows.ToFloat32(query, out);
  if (IsBitMetric(metric_)) {
    SpreadBits(out);
  }
  QueryTerms terms;
  if (metric_ == Metric::kInnerProduct) {
    std::fill(out + row_dimension_, out + dimension_, 0.0f);
    terms.distance_factor = 0.5f;
    terms.distance_offset = -distances_->inner_product(out, centre_.data(), dimension_);
    Rotate(out);
    return terms;
  }
  const float extra = ShapedToSpace(Shape(out, out), out);
  terms.constant = SquaredNorm(out, dimension_) + extra;
  terms.distance_factor = metric_ == Metric::kL2 || metric_ == Metric::kHamming ? 1.0f : 0.5f;
  return terms;
}

void CodedQuery::Prepare(const CodeSpace& space, const VectorRows& rows, const TypedQuery& query) {
  const size_t dimension = space.dimension();
  values_.resize(dimension);
  bytes_.resize(dimension);
  row_.resize(dimension);
  terms_ = space.QueryToSpace(rows, query, values_.data());
  row_factor_ = -2.0f * space.kernels().quantize_row(values_.data(), dimension, bytes_.data());
  row_offset_sum_ = space.kernels().row_as_query(bytes_.data(), dimension, row_.data());
}

}  // namespace longbow::index
