#include "cli/npy_file.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/memory_file_system.h"
#include "base/status.h"

namespace longbow::cli {
namespace {

// Version `major` of the format, with the dictionary as given.
std::string Npy(const std::string& dictionary, const std::string& values, char major = 1) {
  std::string file("\x93NUMPY");
  file += major;
  file += '\0';
  const std::string header = dictionary + "\n";
  file += static_cast<char>(header.size() & 255);
  file += static_cast<char>(header.size() >> 8);
  if (major > 1) {
    file += std::string(2, '\0');
  }
  return file + header + values;
}

std::string Dictionary(const std::string& type, const std::string& shape, const std::string& fortran = "False") {
  return "{'descr': '" + type + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }";
}

template <typename T>
std::string Bytes(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

class NpyFile : public testing::Test {
 protected:
  void Write(const std::string& content) {
    const Status status = WriteWholeFile(fs_, "x.npy", content);
    ASSERT_TRUE(status.ok()) << status.ToString();
  }
  // The error of reading vectors from `content`.
  std::string Refusal(const std::string& content) {
    Write(content);
    const Status status = ReadNpyVectors(fs_, "x.npy").status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status.ToString();
    EXPECT_TRUE(status.message().starts_with("x.npy: ")) << status.message();
    return std::string(status.message());
  }

  MemoryFileSystem fs_;
};

TEST_F(NpyFile, ReadsFloat32OfEveryVersion) {
  for (const char major : {1, 2, 3}) {
    Write(Npy(Dictionary("<f4", "(2, 3)"), Bytes<float>({1, 2, 3, -4, 0.5, 6}), major));
    const auto matrix = ReadNpyVectors(fs_, "x.npy");
    ASSERT_TRUE(matrix.ok()) << matrix.status().ToString();
    EXPECT_EQ(matrix->rows, 2u);
    EXPECT_EQ(matrix->columns, 3u);
    EXPECT_EQ(matrix->values, (std::vector<float>{1, 2, 3, -4, 0.5, 6}));
    EXPECT_EQ(matrix->row(1)[0], -4);
  }
}

TEST_F(NpyFile, WidensFloat16) {
  Write(Npy(Dictionary("<f2", "(1, 4)"), Bytes<uint16_t>({0x3c00, 0xc000, 0x0001, 0x7bff})));
  const auto matrix = ReadNpyVectors(fs_, "x.npy");
  ASSERT_TRUE(matrix.ok()) << matrix.status().ToString();
  EXPECT_EQ(matrix->values, (std::vector<float>{1, -2, 0x1p-24f, 65504}));
}

TEST_F(NpyFile, ReadsIdsOfBothWidths) {
  Write(Npy(Dictionary("<i4", "(2, 2)"), Bytes<int32_t>({1, 2, -1, 4})));
  EXPECT_EQ(ReadNpyIds(fs_, "x.npy")->values, (std::vector<int64_t>{1, 2, -1, 4}));
  Write(Npy(Dictionary("<i8", "(1, 2)"), Bytes<int64_t>({int64_t{1} << 40, 7})));
  EXPECT_EQ(ReadNpyIds(fs_, "x.npy")->values, (std::vector<int64_t>{int64_t{1} << 40, 7}));
}

TEST_F(NpyFile, ReadsFlags) {
  Write(Npy(Dictionary("|b1", "(3,)"), std::string("\1\0\1", 3)));
  EXPECT_EQ(*ReadNpyFlags(fs_, "x.npy"), (std::vector<uint8_t>{1, 0, 1}));
  Write(Npy(Dictionary("|u1", "(2,)"), std::string("\5\0", 2)));
  EXPECT_EQ(*ReadNpyFlags(fs_, "x.npy"), (std::vector<uint8_t>{1, 0}));
}

TEST_F(NpyFile, SaysWhatIsWrong) {
  const std::string values = Bytes<float>({1, 2, 3, 4, 5, 6});
  const std::string good = Npy(Dictionary("<f4", "(2, 3)"), values);
  EXPECT_NE(Refusal("PAR1 and so on").find("not a .npy file"), std::string::npos);
  EXPECT_NE(Refusal("").find("not a .npy file"), std::string::npos);
  EXPECT_NE(Refusal(Npy(Dictionary("<f4", "(2, 3)"), values, 9)).find("version 9"), std::string::npos);
  EXPECT_NE(Refusal(good.substr(0, good.size() - 1)).find("23 bytes of values, expected 24"), std::string::npos);
  EXPECT_NE(Refusal(good + "x").find("25 bytes of values, expected 24"), std::string::npos);
  EXPECT_NE(Refusal(Npy(Dictionary("<f4", "(2, 3)", "True"), values)).find("Fortran order"), std::string::npos);
  EXPECT_NE(Refusal(Npy(Dictionary(">f4", "(2, 3)"), values)).find("big-endian"), std::string::npos);
  EXPECT_NE(Refusal(Npy(Dictionary("<f8", "(1, 3)"), values)).find("holds <f8"), std::string::npos);
  EXPECT_NE(Refusal(Npy(Dictionary("<f4", "(6,)"), values)).find("shape (6)"), std::string::npos);
  EXPECT_NE(Refusal(Npy(Dictionary("<f4", "(0, 3)"), "")).find("at least one row"), std::string::npos);
  EXPECT_NE(Refusal(Npy(Dictionary("<f4", "(9999999999, 9999999999)"), values)).find("impossible"), std::string::npos);
  EXPECT_NE(Refusal(Npy(Dictionary("<f4", "(2, -3)"), values)).find("without a plain"), std::string::npos);
  EXPECT_NE(Refusal(Npy("{'shape': (2, 3)}", values)).find("without a plain"), std::string::npos);
  EXPECT_NE(Refusal(Npy("{}", values)).find("without a plain"), std::string::npos);
  EXPECT_NE(Refusal(good.substr(0, 30)).find("ends at byte 30"), std::string::npos);
  const std::string nan = Npy(Dictionary("<f4", "(1, 2)"), Bytes<float>({1, NAN}));
  EXPECT_NE(Refusal(nan).find("row 0 holds nan in column 1"), std::string::npos);
}

TEST_F(NpyFile, OtherTypesAreRefusedByEachReader) {
  Write(Npy(Dictionary("<f4", "(1, 1)"), Bytes<float>({1})));
  EXPECT_EQ(ReadNpyIds(fs_, "x.npy").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadNpyFlags(fs_, "x.npy").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadNpyVectors(fs_, "missing.npy").status().code(), StatusCode::kNotFound);
}

TEST_F(NpyFile, NoCutOfAGoodFileIsTaken) {
  const std::string good = Npy(Dictionary("<f4", "(2, 3)"), Bytes<float>({1, 2, 3, 4, 5, 6}));
  for (size_t size = 0; size < good.size(); ++size) {
    Refusal(good.substr(0, size));
  }
}

}  // namespace
}  // namespace longbow::cli
