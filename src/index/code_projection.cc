#include "index/code_projection.h"

#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

namespace longbow::index {
namespace {

constexpr size_t kRowsPerDimensionMin = 4;  // fewer say nothing about a covariance
constexpr size_t kSampleMax = 16384;
constexpr size_t kDimensionMax = 1600;  // the eigenvectors of more take longer than the search gains

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Result<Eigen::MatrixXf> Covariance(const RowCodes& codes, const std::vector<LocalId>& rows, size_t count,
                                   const Cancellation* cancellation) {
  constexpr size_t kPiece = 256;
  const auto dimension = static_cast<Eigen::Index>(codes.dimension());
  Eigen::MatrixXf sum = Eigen::MatrixXf::Zero(dimension, dimension);
  Matrix piece(kPiece, dimension);
  for (size_t begin = 0; begin < count; begin += kPiece) {
    if (cancellation != nullptr) {
      LB_TRY(cancellation->Check());
    }
    const size_t n = std::min(kPiece, count - begin);
    for (size_t i = 0; i < n; ++i) {
      codes.Read(rows[(begin + i) * rows.size() / count], piece.row(static_cast<Eigen::Index>(i)).data());
    }
    sum.selfadjointView<Eigen::Lower>().rankUpdate(piece.topRows(static_cast<Eigen::Index>(n)).transpose());
  }
  return sum;
}

// Orthogonal, the same on every machine up to rounding.
Eigen::MatrixXf RandomRotation(size_t dimension) {
  std::mt19937_64 random(dimension);
  const auto n = static_cast<Eigen::Index>(dimension);
  Eigen::MatrixXf values(n, n);
  for (Eigen::Index i = 0; i < n; ++i) {
    for (Eigen::Index j = 0; j < n; ++j) {
      // The sum of uniform numbers is normal enough, and, other than std::normal_distribution, the same everywhere.
      float sum = 0;
      for (int k = 0; k < 4; ++k) {
        sum += static_cast<float>(random() >> 40) / static_cast<float>(1 << 24) - 0.5f;
      }
      values(i, j) = sum;
    }
  }
  return Eigen::HouseholderQR<Eigen::MatrixXf>(values).householderQ();
}

// The smallest multiple of 16 whose components hold the variance. eigenvalues: ascending.
size_t ComponentsFor(const Eigen::VectorXf& eigenvalues, float kept_variance) {
  const double total = eigenvalues.cast<double>().cwiseMax(0).sum();
  double kept = 0;
  Eigen::Index components = 0;
  while (components < eigenvalues.size() && kept < total * static_cast<double>(kept_variance)) {
    ++components;
    kept += std::max(0.0f, eigenvalues(eigenvalues.size() - components));
  }
  return std::max<size_t>(16, (static_cast<size_t>(components) + 15) / 16 * 16);
}

}  // namespace

Result<CodeProjection> CodeProjection::Learn(const RowCodes& codes, const std::vector<LocalId>& rows,
                                             const SealOptions& options) {
  const size_t dimension = codes.dimension();
  if (rows.size() < kRowsPerDimensionMin * dimension || dimension > kDimensionMax || options.code_ratio_max <= 0) {
    return CodeProjection(dimension);
  }
  const size_t count = std::min({rows.size(), kSampleMax, std::max<size_t>(4096, 16 * dimension)});
  LB_ASSIGN(const Eigen::MatrixXf covariance, Covariance(codes, rows, count, options.cancellation));
  // The eigenvectors take seven times as long as the eigenvalues, and are not wanted where the variance is spread.
  Eigen::SelfAdjointEigenSolver<Eigen::MatrixXf> solver(covariance, Eigen::EigenvaluesOnly);
  if (solver.info() != Eigen::Success || !solver.eigenvalues().allFinite()) {
    return CodeProjection(dimension);
  }
  const size_t components = ComponentsFor(solver.eigenvalues(), options.kept_variance);
  if (static_cast<float>(components) > options.code_ratio_max * static_cast<float>(dimension)) {
    return CodeProjection(dimension);
  }
  if (options.cancellation != nullptr) {
    LB_TRY(options.cancellation->Check());
  }
  solver.compute(covariance);
  if (solver.info() != Eigen::Success || !solver.eigenvectors().allFinite()) {
    return CodeProjection(dimension);
  }
  const auto kept = static_cast<Eigen::Index>(components);
  const Matrix matrix = RandomRotation(components) * solver.eigenvectors().rightCols(kept).transpose();
  CodeProjection projection(components, dimension, {});
  projection.matrix_.resize(components * projection.stride());
  for (size_t i = 0; i < components; ++i) {
    uint8_t* const out = projection.matrix_.data() + i * projection.stride();
    const float scale =
        codes.space().kernels().quantize_row(matrix.row(static_cast<Eigen::Index>(i)).data(), dimension, out);
    std::memcpy(out + dimension, &scale, sizeof(scale));
  }
  return projection;
}

void CodeProjection::Project(const kernels::GraphKernels& kernels, const int8_t* row, int32_t offset_sum, float scale,
                             std::vector<int32_t>* dots, float* out) const {
  dots->resize(dimension_);
  kernels.dot_rows(matrix_.data(), stride(), row, from_, dimension_, dots->data());
  for (size_t i = 0; i < dimension_; ++i) {
    float row_scale;
    std::memcpy(&row_scale, matrix_.data() + i * stride() + from_, sizeof(row_scale));
    out[i] = scale * row_scale * static_cast<float>((*dots)[i] - offset_sum);
  }
}

}  // namespace longbow::index
