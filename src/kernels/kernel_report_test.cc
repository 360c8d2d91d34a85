#include "kernels/kernel_report.h"

#include <gtest/gtest.h>

#include "kernels/dispatch.h"

namespace longbow::kernels {
namespace {

TEST(KernelReport, HasAFigureOfEveryKernel) {
  const auto report =
      MeasureKernels({.dimension = 48, .memory_bytes = 2 << 20, .figure_seconds = 1e-4}, SupportedIsas());
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_EQ(report->figures.size(), SupportedIsas().size() * (kElementTypes * 2 + 4));
  EXPECT_GT(report->memory_gb_per_s, 0.1);
  for (const KernelFigure& figure : report->figures) {
    EXPECT_GT(figure.cached_ns, 0) << figure.elements << figure.distance;
    EXPECT_GT(figure.memory_ns, 0) << figure.elements << figure.distance;
    EXPECT_EQ(figure.picked_ns > 0, figure.elements != "bitmap");
  }
  const std::string table = KernelReportAsTable(*report);
  for (const char* word : {"scalar", "complex128", "jaccard", "GB/s"}) {
    EXPECT_NE(table.find(word), std::string::npos) << word;
  }
}

TEST(KernelReport, RefusesWhatCannotBeMeasured) {
  EXPECT_EQ(MeasureKernels({.dimension = 0}, {}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(MeasureKernels({.dimension = 65'537}, {}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(MeasureKernels({.dimension = 65'536, .memory_bytes = 1 << 20}, {}).status().code(),
            StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace longbow::kernels
