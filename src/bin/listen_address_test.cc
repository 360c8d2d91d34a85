#include "bin/listen_address.h"

#include <gtest/gtest.h>

namespace longbow::bin {
namespace {

TEST(ListenAddress, KnowsWhatOnlyThisMachineReaches) {
  for (const char* text : {"127.0.0.1:3000", "127.9.8.7:0", "[::1]:65535", "[::ffff:127.0.0.1]:1"}) {
    const Result<ListenAddress> address = ParseListenAddress(text);
    ASSERT_TRUE(address.ok()) << address.status().ToString();
    EXPECT_EQ(address->text, text);
    EXPECT_TRUE(address->loopback) << text;
  }
  for (const char* text : {"0.0.0.0:3000", "10.0.0.1:1", "[::]:1", "[fe80::1]:1", "[::ffff:10.0.0.1]:1"}) {
    const Result<ListenAddress> address = ParseListenAddress(text);
    ASSERT_TRUE(address.ok()) << address.status().ToString();
    EXPECT_FALSE(address->loopback) << text;
  }
}

TEST(ListenAddress, ShortFormsBecomeAddresses) {
  EXPECT_EQ(ParseListenAddress("localhost:3000")->text, "127.0.0.1:3000");
  EXPECT_TRUE(ParseListenAddress("localhost:3000")->loopback);
  EXPECT_EQ(ParseListenAddress(":3000")->text, "0.0.0.0:3000");
  EXPECT_FALSE(ParseListenAddress(":3000")->loopback);
}

TEST(ListenAddress, AnythingElseIsRefused) {
  for (const char* text :
       {"", "nowhere", "3000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:-1", "127.0.0.1:x", "::1:3000",
        "[::1]", "[]:1", "example.org:3000", "127.1:3000", "256.0.0.1:1"}) {
    const Result<ListenAddress> address = ParseListenAddress(text);
    EXPECT_EQ(address.status().code(), StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace longbow::bin
