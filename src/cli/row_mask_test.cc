#include "cli/row_mask.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/memory_file_system.h"
#include "base/random.h"

namespace longbow::cli {
namespace {

constexpr size_t kRows = 1000;
constexpr size_t kColumns = 8;

Matrix<float> RandomRows() {
  Random random(1);
  Matrix<float> matrix{kRows, kColumns, {}};
  for (size_t i = 0; i < kRows * kColumns; ++i) {
    matrix.values.push_back(static_cast<float>(random.Fraction() - 0.5));
  }
  return matrix;
}

std::vector<size_t> PassingRows(const RowMask& mask) {
  std::vector<size_t> rows;
  for (size_t i = 0; i < mask.rows; ++i) {
    if (mask.Contains(i)) {
      rows.push_back(i);
    }
  }
  return rows;
}

double SquaredDistance(const Matrix<float>& base, size_t a, size_t b) {
  double sum = 0;
  for (size_t i = 0; i < kColumns; ++i) {
    sum += std::pow(base.row(a)[i] - base.row(b)[i], 2);
  }
  return sum;
}

double MeanDistance(const Matrix<float>& base, const std::vector<size_t>& rows) {
  double sum = 0;
  for (const size_t a : rows) {
    for (const size_t b : rows) {
      sum += SquaredDistance(base, a, b);
    }
  }
  return sum / static_cast<double>(rows.size() * rows.size());
}

TEST(RowMask, EachKindPassesItsShare) {
  MemoryFileSystem fs;
  const Matrix<float> base = RandomRows();
  for (const char* kind : {"random", "range", "correlated"}) {
    for (const auto& [fraction, expected] : {std::pair("0.1", 100u), {"0.5", 500u}, {"1", 1000u}, {"0.0001", 1u}}) {
      const auto mask = MakeMask(fs, std::string(kind) + ":" + fraction, base);
      ASSERT_TRUE(mask.ok()) << mask.status().ToString();
      EXPECT_EQ(mask->passing, expected) << kind << fraction;
      EXPECT_EQ(PassingRows(*mask).size(), expected) << kind << fraction;
      EXPECT_EQ(PassingRows(*mask), PassingRows(*MakeMask(fs, std::string(kind) + ":" + fraction, base)));
    }
  }
}

TEST(RowMask, KindsDifferInHowRowsLie) {
  MemoryFileSystem fs;
  const Matrix<float> base = RandomRows();
  const auto range = PassingRows(*MakeMask(fs, "range:0.1", base));
  EXPECT_EQ(range.back() - range.front() + 1, range.size());
  const auto random = PassingRows(*MakeMask(fs, "random:0.1", base));
  const auto correlated = PassingRows(*MakeMask(fs, "correlated:0.1", base));
  EXPECT_LT(MeanDistance(base, correlated), 0.95 * MeanDistance(base, random));
}

TEST(RowMask, WrongSpecsAreRefused) {
  MemoryFileSystem fs;
  const Matrix<float> base = RandomRows();
  for (const char* spec :
       {"", "random", "random:", "random:0", "random:1.1", "random:-1", "random:nan", "rand:0.1", ":0.1"}) {
    EXPECT_EQ(MakeMask(fs, spec, base).status().code(), StatusCode::kInvalidArgument) << spec;
  }
  EXPECT_EQ(MakeMask(fs, "no.npy", base).status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace longbow::cli
