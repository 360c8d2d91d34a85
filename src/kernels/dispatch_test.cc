#include "kernels/dispatch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

namespace longbow::kernels {
namespace {

TEST(Dispatch, NamesRoundTrip) {
  for (const Isa isa : {Isa::kScalar, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Vnni, Isa::kNeon}) {
    auto parsed = ParseIsa(IsaName(isa));
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(*parsed, isa);
  }
}

TEST(Dispatch, ForcedPathIsObeyedOrAnError) {
  const std::vector<Isa> supported = SupportedIsas();
  ASSERT_EQ(supported.front(), Isa::kScalar);
  for (const Isa isa : {Isa::kScalar, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Vnni, Isa::kNeon}) {
    auto chosen = ChooseKernels(IsaName(isa));
    if (std::find(supported.begin(), supported.end(), isa) != supported.end()) {
      ASSERT_TRUE(chosen.ok()) << chosen.status().ToString();
      EXPECT_EQ((*chosen)->isa, isa);
    } else {
      ASSERT_FALSE(chosen.ok());
      EXPECT_EQ(chosen.status().code(), StatusCode::kFailedPrecondition);
      EXPECT_NE(chosen.status().message().find(IsaName(isa)), std::string_view::npos);
    }
  }
}

TEST(Dispatch, UnknownNamesAreErrorsThatSayWhatIsKnown) {
  for (const char* name : {"AVX2", "avx", "sse", " scalar", "avx512 ", "best"}) {
    auto chosen = ChooseKernels(name);
    ASSERT_FALSE(chosen.ok()) << name;
    EXPECT_EQ(chosen.status().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(chosen.status().message().find(name), std::string_view::npos);
    EXPECT_NE(chosen.status().message().find("scalar"), std::string_view::npos);
  }
}

TEST(Dispatch, UnforcedPicksTheFastest) {
  auto chosen = ChooseKernels("");
  ASSERT_TRUE(chosen.ok());
  EXPECT_EQ((*chosen)->isa, SupportedIsas().back());
}

TEST(Dispatch, ReadsTheEnvironment) {
  const char* before = std::getenv("LONGBOW_ISA");
  const std::string kept = before == nullptr ? "" : before;
  ASSERT_EQ(setenv("LONGBOW_ISA", "scalar", 1), 0);
  auto scalar = KernelsFromEnvironment();
  ASSERT_EQ(setenv("LONGBOW_ISA", "nonsense", 1), 0);
  auto nonsense = KernelsFromEnvironment();
  if (before == nullptr) {
    unsetenv("LONGBOW_ISA");
  } else {
    setenv("LONGBOW_ISA", kept.c_str(), 1);
  }
  ASSERT_TRUE(scalar.ok());
  EXPECT_EQ((*scalar)->isa, Isa::kScalar);
  EXPECT_EQ(nonsense.status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace longbow::kernels
