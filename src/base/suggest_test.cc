#include "base/suggest.h"

#include <gtest/gtest.h>

#include <array>

namespace longbow {
namespace {

TEST(Suggest, EditDistance) {
  EXPECT_EQ(EditDistance("", ""), 0u);
  EXPECT_EQ(EditDistance("abc", ""), 3u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
  EXPECT_EQ(EditDistance("form", "from"), 1u);  // neighbours swapped
  EXPECT_EQ(EditDistance("ca", "abc"), 3u);     // no edit between the two swapped
}

TEST(Suggest, NearestOrNothing) {
  constexpr std::array<std::string_view, 3> kKnown = {"listen_addr", "meta_addr", "data_path"};
  EXPECT_EQ(Nearest("listen_adr", kKnown), "listen_addr");
  EXPECT_EQ(Nearest("path_data", kKnown), "");
  EXPECT_EQ(Nearest("meat_addr", kKnown), "meta_addr");
  EXPECT_EQ(Nearest("x", kKnown), "");
  EXPECT_EQ(Nearest("anything", {}), "");
}

}  // namespace
}  // namespace longbow
