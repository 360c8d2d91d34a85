#include "net/header_coding.h"

#include <gtest/gtest.h>

#include <chrono>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

namespace longbow::net {
namespace {

using std::chrono::milliseconds;

TEST(HeaderCodingTest, TimeoutsOfEveryUnit) {
  EXPECT_EQ(ParseGrpcTimeout("2H"), milliseconds(7'200'000));
  EXPECT_EQ(ParseGrpcTimeout("3M"), milliseconds(180'000));
  EXPECT_EQ(ParseGrpcTimeout("4S"), milliseconds(4'000));
  EXPECT_EQ(ParseGrpcTimeout("250m"), milliseconds(250));
  EXPECT_EQ(ParseGrpcTimeout("1001u"), milliseconds(2));
  EXPECT_EQ(ParseGrpcTimeout("1n"), milliseconds(1));
  EXPECT_EQ(ParseGrpcTimeout("0n"), milliseconds(0));
  EXPECT_EQ(ParseGrpcTimeout("99999999H"), milliseconds(359'999'996'400'000));
}

TEST(HeaderCodingTest, WhatIsNoTimeout) {
  for (const char* text : {"", "S", "1", "-1S", "1s", "1 S", "1.5S", "123456789m", "1S ", "x1m"}) {
    EXPECT_EQ(ParseGrpcTimeout(text), std::nullopt) << text;
  }
}

TEST(HeaderCodingTest, PercentEncodingKeepsPrintableAsciiOnly) {
  EXPECT_EQ(PercentEncode("a b~!", 100), "a b~!");
  EXPECT_EQ(PercentEncode("100%\n\x7f", 100), "100%25%0A%7F");
  EXPECT_EQ(PercentEncode("\xc3\xa4", 100), "%C3%A4");
}

TEST(HeaderCodingTest, PercentEncodingNeverCutsAnEscape) {
  for (size_t size_max = 0; size_max < 9; ++size_max) {
    const std::string text = PercentEncode("a%b%", size_max);
    EXPECT_LE(text.size(), size_max);
    EXPECT_EQ(text, std::string("a%25b%25").substr(0, text.size()));
    EXPECT_TRUE(text.size() < 1 || text.size() == 1 || text.size() == 4 || text.size() == 5 || text.size() == 8)
        << text;
  }
}

TEST(HeaderCodingTest, Base64WithoutPadding) {  // the vectors of RFC 4648, section 10
  const std::string_view coded[] = {"", "Zg", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE", "Zm9vYmFy"};
  for (size_t size = 0; size < std::size(coded); ++size) {
    EXPECT_EQ(Base64Encode(std::string_view("foobar").substr(0, size)), coded[size]);
  }
  EXPECT_EQ(Base64Encode(std::string("\0\xff\xfe", 3)), "AP/+");
}

TEST(HeaderCodingTest, GrpcContentTypes) {
  EXPECT_TRUE(IsGrpcContentType("application/grpc"));
  EXPECT_TRUE(IsGrpcContentType("application/grpc+proto"));
  EXPECT_TRUE(IsGrpcContentType("application/grpc;charset=utf-8"));
  EXPECT_FALSE(IsGrpcContentType("application/grpc-web"));
  EXPECT_FALSE(IsGrpcContentType("application/json"));
  EXPECT_FALSE(IsGrpcContentType(""));
}

TEST(HeaderCodingTest, EveryErrorIsAnHttpError) {
  EXPECT_EQ(HttpStatusOf(StatusCode::kOk), 200);
  for (int code = 1; code <= 16; ++code) {
    const int status = HttpStatusOf(static_cast<StatusCode>(code));
    EXPECT_GE(status, 400) << code;
    EXPECT_LT(status, 600) << code;
  }
}

}  // namespace
}  // namespace longbow::net
