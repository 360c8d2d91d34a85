#include "engine/scratch_columns.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "base/fault_file_system.h"
#include "base/memory_limit.h"

namespace longbow::engine {
namespace {

TEST(ScratchColumns, HoldsWhatArrowJoinsOutsideOfMemory) {
  ScratchColumns pool({.scratch = &RealFileSystem(), .folder = testing::TempDir()});
  arrow::StringBuilder builder;
  for (int i = 0; i < 4096; ++i) {
    ASSERT_TRUE(builder.Append(std::string(4096, static_cast<char>('a' + i % 26))).ok());
  }
  const std::shared_ptr<arrow::Array> part = *builder.Finish();
  const uint64_t before = ReadAnonymousMemoryBytes();
  {
    const auto joined = arrow::Concatenate({part, part, part}, &pool);
    ASSERT_TRUE(joined.ok()) << joined.status().ToString();
    EXPECT_LT(ReadAnonymousMemoryBytes(), before + (8 << 20)) << "of 48 MiB";
    EXPECT_GE(pool.bytes_allocated(), 48 << 20);
    EXPECT_TRUE((*joined)->Slice(4096, 4096)->Equals(part));
  }
  EXPECT_EQ(pool.bytes_allocated(), 0);
}

TEST(ScratchColumns, GrowsAndShrinksAcrossPools) {
  ScratchColumns pool({.scratch = &RealFileSystem(), .folder = testing::TempDir()});
  uint8_t* data = nullptr;
  ASSERT_TRUE(pool.Allocate(100, 64, &data).ok());
  std::fill(data, data + 100, uint8_t{7});
  ASSERT_TRUE(pool.Reallocate(100, 1 << 20, 64, &data).ok());
  data[(1 << 20) - 1] = 9;
  ASSERT_TRUE(pool.Reallocate(1 << 20, 2 << 20, 64, &data).ok());
  EXPECT_EQ(data[99], 7);
  EXPECT_EQ(data[(1 << 20) - 1], 9);
  ASSERT_TRUE(pool.Reallocate(2 << 20, 100, 64, &data).ok());
  EXPECT_EQ(data[99], 7);
  EXPECT_EQ(pool.bytes_allocated(), 0);
  pool.Free(data, 100, 64);
}

TEST(ScratchColumns, AFullDiskIsAnError) {
  FaultFileSystem disk(RealFileSystem());
  ScratchColumns pool({.scratch = &disk, .folder = testing::TempDir()});
  disk.FailCall(FileCall::kAllocate, 1, FaultKind::kNoSpace);
  uint8_t* data = nullptr;
  EXPECT_TRUE(pool.Allocate(1 << 20, 64, &data).IsOutOfMemory());
  ASSERT_TRUE(pool.Allocate(1 << 20, 64, &data).ok());
  pool.Free(data, 1 << 20, 64);
}

}  // namespace
}  // namespace longbow::engine
