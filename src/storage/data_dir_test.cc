#include "storage/data_dir.h"

#include <gtest/gtest.h>

#include "base/memory_file_system.h"

namespace longbow::storage {
namespace {

TEST(DataDir, MakesAFolderAndTakesItAgain) {
  MemoryFileSystem fs;
  ASSERT_TRUE(DataDir::Open(fs, "/data", "a").ok());
  ASSERT_TRUE(DataDir::Open(fs, "/data", "b").ok());
  EXPECT_EQ(*ReadWholeFile(fs, "/data/FORMAT"), "longbow-data 1\n");
}

TEST(DataDir, TheSecondHolderIsToldOfTheFirst) {
  MemoryFileSystem fs;
  const auto first = DataDir::Open(fs, "/data", "the first one");
  ASSERT_TRUE(first.ok());
  const auto second = DataDir::Open(fs, "/data", "the second one");
  EXPECT_EQ(second.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(second.status().message().find("the first one"), std::string_view::npos) << second.status().ToString();
  EXPECT_NE(second.status().message().find("pid "), std::string_view::npos);
}

TEST(DataDir, FoldersOfOthersAreLeftAlone) {
  MemoryFileSystem fs;
  ASSERT_TRUE(fs.CreateDirectories("/home").ok());
  ASSERT_TRUE(WriteWholeFile(fs, "/home/letter.txt", "dear").ok());
  EXPECT_EQ(DataDir::Open(fs, "/home", "a").status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(*fs.List("/home"), std::vector<std::string>{"letter.txt"});
}

TEST(DataDir, NewerAndDamagedFormatsAreRefused) {
  MemoryFileSystem fs;
  ASSERT_TRUE(DataDir::Open(fs, "/data", "a").ok());
  ASSERT_TRUE(WriteWholeFile(fs, "/data/FORMAT", "longbow-data 2\n").ok());
  EXPECT_EQ(DataDir::Open(fs, "/data", "a").status().code(), StatusCode::kFailedPrecondition);
  const std::string good = "longbow-data 1\n";
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] ^= 0x10;
    ASSERT_TRUE(WriteWholeFile(fs, "/data/FORMAT", bad).ok());
    EXPECT_FALSE(DataDir::Open(fs, "/data", "a").ok()) << "byte " << i;
  }
  ASSERT_TRUE(WriteWholeFile(fs, "/data/FORMAT", "").ok());
  EXPECT_EQ(DataDir::Open(fs, "/data", "a").status().code(), StatusCode::kDataLoss);
}

TEST(DataDir, AFirstStartThatWasCutShortIsFinished) {
  MemoryFileSystem fs;
  ASSERT_TRUE(fs.CreateDirectories("/data").ok());
  ASSERT_TRUE(WriteWholeFile(fs, "/data/LOCK", "pid 1").ok());
  EXPECT_TRUE(DataDir::Open(fs, "/data", "a").ok());
}

}  // namespace
}  // namespace longbow::storage
