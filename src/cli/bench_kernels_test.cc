#include "cli/bench_kernels.h"

#include <gtest/gtest.h>

#include <vector>

namespace longbow::cli {
namespace {

TEST(BenchKernels, RefusesWhatItDoesNotKnow) {
  const std::vector<std::vector<std::string>> wrong = {
      {"--dimension"}, {"--dim", "3"}, {"--dimension", "0"}, {"--dimension", "65537"}, {"--dimension", "many"}};
  for (const std::vector<std::string>& arguments : wrong) {
    const auto table = BenchKernels(arguments);
    EXPECT_EQ(table.status().code(), StatusCode::kInvalidArgument) << arguments[0];
  }
}

}  // namespace
}  // namespace longbow::cli
