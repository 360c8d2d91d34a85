// A log whose disk failed and came back, and what the sync policies promise.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <thread>

#include "base/fault_file_system.h"
#include "base/kill_point.h"
#include "base/memory_file_system.h"
#include "storage/log.h"
#include "storage/log_format.h"

namespace longbow::storage {
namespace {

using Texts = std::vector<std::string>;

struct Opened {
  std::unique_ptr<Log> log;
  Texts replayed;
  Status status;
};

Opened Open(FileSystem& fs, const std::string& directory, SyncPolicy sync = SyncPolicy::kFsync) {
  Opened opened;
  auto log = Log::Open(fs, directory,
                       {.file_size_bytes = 4'096, .sync = sync, .sync_interval = std::chrono::hours(1), .seed = 1}, {},
                       [&](const LogRecord& record) {
                         opened.replayed.emplace_back(record.body.front().view());
                         return Status();
                       });
  opened.status = log.status();
  if (log.ok()) {
    opened.log = std::move(*log);
  }
  return opened;
}

Status Append(Log& log, const std::string& text, Lsn* lsn = nullptr) {
  std::promise<Status> done;
  log.Append({.body = {Slice::Own(text)}}, [&](Lsn given, Status status) {
    if (lsn != nullptr) {
      *lsn = given;
    }
    done.set_value(std::move(status));
  });
  return done.get_future().get();
}

class LogRecover : public testing::Test {
 protected:
  MemoryFileSystem memory_;
  FaultFileSystem fs_{memory_};
};

TEST_F(LogRecover, WhatWasRefusedIsGoneAndItsNumberIsGivenOutAgain) {
  Opened opened = Open(fs_, "/log");
  Lsn lsn;
  ASSERT_TRUE(Append(*opened.log, "first").ok());
  fs_.FailCall(FileCall::kSync, 1, FaultKind::kIoError);  // written whole, so a restart would find it
  EXPECT_EQ(Append(*opened.log, "refused", &lsn).code(), StatusCode::kUnavailable);
  EXPECT_EQ(lsn, Lsn{2});
  EXPECT_EQ(Append(*opened.log, "not tried").code(), StatusCode::kUnavailable);
  memory_.ForgetDirtyPages();
  ASSERT_TRUE(opened.log->Recover().ok());
  EXPECT_TRUE(opened.log->health().ok());
  ASSERT_TRUE(Append(*opened.log, "second", &lsn).ok());
  EXPECT_EQ(lsn, Lsn{2});
  opened.log.reset();
  memory_.Crash(MemoryFileSystem::Unsynced::kForgotten, 0);
  EXPECT_EQ(Open(fs_, "/log").replayed, (Texts{"first", "second"}));
}

TEST_F(LogRecover, LargeRecordsThatShareASyncAreRefusedTogether) {
  auto log = Log::Open(fs_, "/log",
                       {.file_size_bytes = 1u << 20, .bulk_record_bytes = 100, .bulk_wait = std::chrono::hours(1)}, {},
                       [](const LogRecord&) { return Status(); });
  ASSERT_TRUE(log.ok());
  ASSERT_TRUE(Append(**log, "first").ok());
  std::promise<Status> held;
  (*log)->Append({.body = {Slice::Own(std::string(100, 'h'))}},
                 [&](Lsn, Status status) { held.set_value(std::move(status)); });
  while ((*log)->stats().records < 2) {
    std::this_thread::yield();
  }
  fs_.FailCall(FileCall::kSync, 1, FaultKind::kIoError);
  EXPECT_EQ(Append(**log, "refused").code(), StatusCode::kUnavailable);
  const Status told = held.get_future().get();
  EXPECT_EQ(told.code(), StatusCode::kUnavailable);
  EXPECT_NE(told.message().find("may be there after the restart"), std::string_view::npos) << told.ToString();
  memory_.ForgetDirtyPages();
  ASSERT_TRUE((*log)->Recover().ok());
  Lsn lsn;
  ASSERT_TRUE(Append(**log, "second", &lsn).ok());
  EXPECT_EQ(lsn, Lsn{2});
  log->reset();
  memory_.Crash(MemoryFileSystem::Unsynced::kForgotten, 0);
  EXPECT_EQ(Open(fs_, "/log").replayed, (Texts{"first", "second"}));
}

TEST_F(LogRecover, IsTriedUntilTheDiskIsBackAtEveryStep) {
  for (uint64_t point = 1; point < 40; ++point) {
    SCOPED_TRACE(point);
    const std::string directory = "/log" + std::to_string(point);
    Opened opened = Open(fs_, directory);
    ASSERT_TRUE(Append(*opened.log, "first").ok());
    fs_.FailCall(FileCall::kWrite, 1, FaultKind::kShortWrite);
    ASSERT_FALSE(Append(*opened.log, "refused").ok());
    fs_.FailAllFrom(point, FaultKind::kNoSpace);  // of the recovery itself
    const Status first = opened.log->Recover();
    EXPECT_EQ(opened.log->health().ok(), first.ok());
    const Status again = opened.log->Recover();
    fs_.Heal();
    const Status recovered = opened.log->Recover();
    ASSERT_TRUE(recovered.ok()) << recovered.ToString();
    ASSERT_TRUE(Append(*opened.log, "second").ok());
    opened.log.reset();
    EXPECT_EQ(Open(fs_, directory).replayed, (Texts{"first", "second"}));
    if (first.ok() && again.ok()) {
      EXPECT_GT(point, 10u) << "a recovery takes more steps than that";
      return;
    }
  }
  FAIL() << "a recovery never got through";
}

TEST_F(LogRecover, AHealthyLogIsLeftAlone) {
  Opened opened = Open(fs_, "/log");
  ASSERT_TRUE(Append(*opened.log, "first").ok());
  const uint64_t changes = fs_.CountChanges();
  EXPECT_TRUE(opened.log->Recover().ok());
  EXPECT_EQ(fs_.CountChanges(), changes);
  opened.log->Stop();
  EXPECT_EQ(opened.log->Recover().code(), StatusCode::kUnavailable);
}

// A disk that fills up: no space for the file that the next record would begin.
TEST_F(LogRecover, AFullDiskRefusesBeforeAnythingIsWritten) {
  Opened opened = Open(fs_, "/log");
  ASSERT_TRUE(Append(*opened.log, std::string(5'000, 'x')).ok());
  fs_.FailCall(FileCall::kAllocate, 1, FaultKind::kNoSpace);
  const Status refused = Append(*opened.log, "refused");
  EXPECT_EQ(refused.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(refused.ToString().find("after the restart"), std::string::npos) << refused.ToString();
  EXPECT_EQ(Append(*opened.log, "not tried").code(), StatusCode::kResourceExhausted);
  opened.log.reset();
  Opened again = Open(fs_, "/log");
  EXPECT_EQ(again.replayed.size(), 1u);
  ASSERT_TRUE(Append(*again.log, "second").ok());
}

TEST_F(LogRecover, UnderIntervalUnsyncedRecordsAreWrittenAgain) {
  Opened opened = Open(fs_, "/log", SyncPolicy::kInterval);
  ASSERT_TRUE(Append(*opened.log, "first").ok());
  ASSERT_TRUE(opened.log->Sync().ok());
  ASSERT_TRUE(Append(*opened.log, "second").ok());
  fs_.FailCall(FileCall::kSync, 1, FaultKind::kIoError);
  EXPECT_FALSE(opened.log->Sync().ok());
  EXPECT_FALSE(Append(*opened.log, "refused").ok());
  memory_.ForgetDirtyPages();  // as Linux does: they read as written and will never reach the disk
  ASSERT_TRUE(opened.log->Recover().ok());
  opened.log.reset();
  memory_.Crash(MemoryFileSystem::Unsynced::kForgotten, 0);
  EXPECT_EQ(Open(fs_, "/log").replayed, (Texts{"first", "second"}));
}

TEST_F(LogRecover, UnderIntervalWhatCannotBeReadAgainKeepsItPoisoned) {
  Opened opened = Open(fs_, "/log", SyncPolicy::kInterval);
  ASSERT_TRUE(Append(*opened.log, "first").ok());
  fs_.FailCall(FileCall::kSync, 1, FaultKind::kIoError);
  EXPECT_FALSE(opened.log->Sync().ok());
  ASSERT_TRUE(fs_.FlipBit("/log/" + LogFileName({1}), kLogFileHeaderBytes + kRecordHeaderBytes, 3).ok());
  const Status status = opened.log->Recover();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status.ToString();
  EXPECT_NE(status.ToString().find("offset 64"), std::string::npos) << status.ToString();
  EXPECT_FALSE(opened.log->health().ok());
}

TEST_F(LogRecover, PoliciesKeepTheirPromises) {
  for (const SyncPolicy sync : {SyncPolicy::kFsync, SyncPolicy::kInterval, SyncPolicy::kNone}) {
    SCOPED_TRACE(SyncPolicyName(sync));
    const std::string directory = std::string("/") + SyncPolicyName(sync);
    Opened opened = Open(fs_, directory, sync);
    ASSERT_TRUE(Append(*opened.log, "first").ok());
    ASSERT_TRUE(opened.log->Sync().ok());  // as before a checkpoint
    ASSERT_TRUE(Append(*opened.log, "second").ok());
    fs_.FailAllFrom(1, FaultKind::kIoError);  // no clean end
    opened.log.reset();
    fs_.Heal();
    // The process died: nothing is lost. Then power goes, before the open log was synced once more.
    EXPECT_EQ(Open(memory_, directory, sync).replayed, (Texts{"first", "second"}));
  }
  for (const SyncPolicy sync : {SyncPolicy::kFsync, SyncPolicy::kInterval, SyncPolicy::kNone}) {
    SCOPED_TRACE(SyncPolicyName(sync));
    const std::string directory = std::string("/power_") + SyncPolicyName(sync);
    Opened opened = Open(fs_, directory, sync);
    ASSERT_TRUE(Append(*opened.log, "first").ok());
    ASSERT_TRUE(opened.log->Sync().ok());
    ASSERT_TRUE(Append(*opened.log, "second").ok());
    fs_.FailAllFrom(1, FaultKind::kIoError);
    opened.log.reset();
    fs_.Heal();
    memory_.Crash(MemoryFileSystem::Unsynced::kForgotten, 0);
    const Opened after = Open(fs_, directory, sync);
    ASSERT_TRUE(after.status.ok()) << after.status.ToString();
    EXPECT_EQ(after.replayed, sync == SyncPolicy::kFsync ? (Texts{"first", "second"}) : Texts{"first"});
  }
}

// A clean end and a full file sync under every policy.
TEST_F(LogRecover, ACleanEndLosesNothing) {
  Opened opened = Open(fs_, "/log", SyncPolicy::kNone);
  Texts all;
  for (int i = 0; i < 50; ++i) {
    all.push_back("record " + std::to_string(i) + std::string(300, '.'));
    ASSERT_TRUE(Append(*opened.log, all.back()).ok());
  }
  opened.log.reset();
  memory_.Crash(MemoryFileSystem::Unsynced::kForgotten, 0);
  EXPECT_EQ(Open(fs_, "/log").replayed, all);
}

void DieRecovering(const std::string& step, const std::string& folder, size_t records) {
  FaultFileSystem fs(RealFileSystem());
  Opened opened = Open(fs, folder + "/log");
  for (size_t i = 0; i < records; ++i) {
    (void)Append(*opened.log, "kept " + std::to_string(i));
  }
  fs.FailCall(FileCall::kSync, 1, FaultKind::kIoError);
  (void)Append(*opened.log, "refused");
  (void)ArmKillPoint("log.recover." + step + ":1");
  (void)opened.log->Recover();
  _exit(0);
}

// The process dies at each step of a recovery: the acknowledged records are there afterwards, and the log works.
TEST(LogRecoverDeathTest, AtEveryStep) {
  for (const char* step : {"begin", "marked", "truncated", "synced", "sealed", "removed", "begun"}) {
    for (const size_t records : {1, 2, 9}) {
      SCOPED_TRACE(std::string(step) + " after " + std::to_string(records));
      const std::string folder = testing::TempDir() + "longbow_log_recover_" + step + std::to_string(getpid());
      std::filesystem::remove_all(folder);
      std::filesystem::create_directory(folder);
      EXPECT_EXIT(DieRecovering(step, folder, records), testing::KilledBySignal(SIGKILL), "");
      Opened opened = Open(RealFileSystem(), folder + "/log");
      ASSERT_TRUE(opened.status.ok()) << opened.status.ToString();
      ASSERT_GE(opened.replayed.size(), records);
      EXPECT_LE(opened.replayed.size(), records + 1);
      for (size_t i = 0; i < records; ++i) {
        EXPECT_EQ(opened.replayed[i], "kept " + std::to_string(i));
      }
      ASSERT_TRUE(Append(*opened.log, "after").ok());
      opened.log.reset();
      std::filesystem::remove_all(folder);
    }
  }
}

}  // namespace
}  // namespace longbow::storage
