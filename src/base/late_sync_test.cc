#include "base/late_sync.h"

#include <gtest/gtest.h>

#include "base/fault_file_system.h"
#include "base/memory_file_system.h"

namespace longbow {
namespace {

class LateSyncs : public ::testing::Test {
 protected:
  LateSyncs() : faults_(memory_), late_(faults_, "/data") {
    EXPECT_TRUE(memory_.CreateDirectories("/data").ok());
    EXPECT_TRUE(memory_.SyncDirectory("/").ok());
  }

  // As those who write files do: bytes, Sync, SyncDirectory.
  Status Write(const std::string& name, size_t size) {
    LB_ASSIGN(const std::unique_ptr<File> file, late_.Open("/data/" + name, OpenMode::kCreate));
    LB_TRY(file->WriteAt(0, {Slice::Own(std::string(size, 'x'))}));
    LB_TRY(file->Sync());
    return late_.SyncDirectory("/data");
  }
  size_t CountAfterPowerCut(size_t size) {
    memory_.Crash(MemoryFileSystem::Unsynced::kForgotten, 1);
    const Result<std::vector<std::string>> names = memory_.List("/data");
    EXPECT_TRUE(names.ok());
    size_t whole = 0;
    for (const std::string& name : *names) {
      whole += ReadWholeFile(memory_, "/data/" + name).value() == std::string(size, 'x') ? 1 : 0;
    }
    return whole;
  }

  MemoryFileSystem memory_;
  FaultFileSystem faults_;
  LateSync late_;
};

TEST_F(LateSyncs, NothingIsDurableBeforeTheyAreSettled) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(Write(std::to_string(i), 100).ok());
  }
  EXPECT_EQ(CountAfterPowerCut(100), 0u);
}

TEST_F(LateSyncs, AFewFilesAreSyncedOneByOne) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(Write(std::to_string(i), 100).ok());
  }
  EXPECT_EQ(faults_.Count(FileCall::kSync), 0u);
  ASSERT_TRUE(late_.Settle().ok());
  EXPECT_EQ(faults_.Count(FileCall::kSync), 3u);
  EXPECT_EQ(faults_.Count(FileCall::kSyncDirectory), 1u);
  EXPECT_EQ(faults_.Count(FileCall::kSyncAll), 0u);
  EXPECT_EQ(CountAfterPowerCut(100), 3u);
}

TEST_F(LateSyncs, ManyFilesAreSyncedByOneCall) {
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(Write(std::to_string(i), 100).ok());
  }
  ASSERT_TRUE(late_.Settle().ok());
  EXPECT_EQ(faults_.Count(FileCall::kSync) + faults_.Count(FileCall::kSyncDirectory), 0u);
  EXPECT_EQ(faults_.Count(FileCall::kSyncAll), 1u);
  ASSERT_TRUE(late_.Settle().ok());  // nothing is owed any more
  EXPECT_EQ(faults_.Count(FileCall::kSyncAll), 1u);
  EXPECT_EQ(CountAfterPowerCut(100), 1000u);
}

TEST_F(LateSyncs, ALargeFileIsSyncedWhenItAsks) {
  ASSERT_TRUE(Write("large", LateSync::kSyncedAloneBytes).ok());
  EXPECT_EQ(faults_.Count(FileCall::kSync), 1u);
  ASSERT_TRUE(late_.Settle().ok());
  EXPECT_EQ(faults_.Count(FileCall::kSync), 1u);
  EXPECT_EQ(CountAfterPowerCut(LateSync::kSyncedAloneBytes), 1u);
}

TEST_F(LateSyncs, FailuresAreTold) {
  ASSERT_TRUE(Write("few", 100).ok());
  faults_.FailCall(FileCall::kSync, 1, FaultKind::kIoError);
  EXPECT_EQ(late_.Settle().code(), StatusCode::kUnavailable);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(Write(std::to_string(i), 100).ok());
  }
  faults_.FailCall(FileCall::kSyncAll, 1, FaultKind::kNoSpace);
  EXPECT_EQ(late_.Settle().code(), StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace longbow
