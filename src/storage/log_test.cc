#include "storage/log.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <thread>

#include "base/fault_file_system.h"
#include "base/memory_file_system.h"
#include "base/random.h"
#include "storage/log_format.h"

namespace longbow::storage {
namespace {

constexpr const char* kDirectory = "/log";

// Body, and the fields of the header, follow from a number.
LogRecord MakeRecord(uint64_t number, size_t size) {
  std::string body(size, '\0');
  Random random(number + 1);
  for (char& byte : body) {
    byte = static_cast<char>(random.Next());
  }
  LogRecord record{.shard = {static_cast<uint32_t>(number % 7)},
                   .term = {number % 3},
                   .index = {number},
                   .kind = static_cast<RecordKind>(1 + number % 6),
                   .time_ns = static_cast<int64_t>(number) - 5};
  // Two pieces and an empty one, as gathered bodies come.
  const Slice whole = Slice::Own(std::move(body));
  record.body = {whole.Sub(0, size / 3), Slice(), whole.Sub(size / 3, size - size / 3)};
  return record;
}

std::string Bytes(const Slices& body) {
  std::string bytes;
  for (const Slice& piece : body) {
    bytes += piece.view();
  }
  return bytes;
}

void ExpectSame(const LogRecord& got, const LogRecord& expected) {
  EXPECT_EQ(got.shard, expected.shard);
  EXPECT_EQ(got.term, expected.term);
  EXPECT_EQ(got.index, expected.index);
  EXPECT_EQ(got.kind, expected.kind);
  EXPECT_EQ(got.time_ns, expected.time_ns);
  EXPECT_EQ(Bytes(got.body), Bytes(expected.body));
}

using Records = std::vector<LogRecord>;

Result<std::unique_ptr<Log>> Open(FileSystem& fs, Records* replayed = nullptr, Lsn after = {},
                                  LogOptions options = {}) {
  if (options.file_size_bytes == 0) {
    options.file_size_bytes = 4'096;
  }
  options.seed = 1;
  return Log::Open(fs, kDirectory, options, after, [&](const LogRecord& record) {
    if (replayed != nullptr) {
      replayed->push_back(record);
    }
    return Status();
  });
}

std::unique_ptr<Log> MustOpen(FileSystem& fs, Records* replayed = nullptr, Lsn after = {}, LogOptions options = {}) {
  Result<std::unique_ptr<Log>> log = Open(fs, replayed, after, std::move(options));
  EXPECT_TRUE(log.ok()) << log.status().ToString();
  return log.ok() ? std::move(log).value() : nullptr;
}

Status AppendAndWait(Log& log, LogRecord record) {
  std::promise<Status> done;
  log.Append(std::move(record), [&](Lsn, Status status) { done.set_value(std::move(status)); });
  return done.get_future().get();
}

// Appends records 1 to n of the given size, each in its own group.
void Fill(Log& log, uint64_t first, uint64_t last, size_t size) {
  for (uint64_t number = first; number <= last; ++number) {
    ASSERT_TRUE(AppendAndWait(log, MakeRecord(number, size)).ok());
  }
}

std::vector<std::string> LogFiles(FileSystem& fs) {
  std::vector<std::string> names = fs.List(kDirectory).value();
  std::erase_if(names, [](const std::string& name) { return !ParseLogFileName(name); });
  return names;
}

std::string Path(const std::string& name) { return std::string(kDirectory) + "/" + name; }

TEST(Log, BringsBackWhatWasAppendedInOrder) {
  MemoryFileSystem fs;
  {
    const std::unique_ptr<Log> log = MustOpen(fs);
    EXPECT_EQ(log->last_lsn(), Lsn{0});
    for (uint64_t number = 1; number <= 50; ++number) {
      // Sizes around the padding, the copying limit and the size of a whole file.
      const size_t size = number % 10 == 0 ? 10'000 : number % 10 == 5 ? 4'095 + number % 4 : number;
      ASSERT_TRUE(AppendAndWait(*log, MakeRecord(number, size)).ok());
    }
    EXPECT_EQ(log->last_lsn(), Lsn{50});
    EXPECT_EQ(log->stats().records, 50u);
    EXPECT_EQ(log->stats().syncs, 50u);
  }
  EXPECT_GT(LogFiles(fs).size(), 5u);
  Records replayed;
  const std::unique_ptr<Log> log = MustOpen(fs, &replayed);
  ASSERT_EQ(replayed.size(), 50u);
  for (uint64_t number = 1; number <= 50; ++number) {
    const LogRecord& record = replayed[number - 1];
    EXPECT_EQ(record.lsn, Lsn{number});
    EXPECT_EQ(reinterpret_cast<uintptr_t>(record.body.front().data()) % 64, 0u);
    ExpectSame(record, MakeRecord(number, TotalSize(record.body)));
  }
  EXPECT_EQ(log->last_lsn(), Lsn{50});
  EXPECT_TRUE(AppendAndWait(*log, MakeRecord(51, 10)).ok());
  EXPECT_EQ(log->last_lsn(), Lsn{51});
}

TEST(Log, EmptyBodiesAndReopeningAgainAndAgain) {
  MemoryFileSystem fs;
  for (uint64_t life = 0; life < 10; ++life) {
    Records replayed;
    const std::unique_ptr<Log> log = MustOpen(fs, &replayed);
    EXPECT_EQ(replayed.size(), life);
    ASSERT_TRUE(AppendAndWait(*log, MakeRecord(life + 1, 0)).ok());
  }
  EXPECT_EQ(LogFiles(fs).size(), 1u);
}

TEST(Log, ReplaysOnlyAfterTheCheckpointAndCutsBehindIt) {
  MemoryFileSystem fs;
  std::unique_ptr<Log> log = MustOpen(fs);
  Fill(*log, 1, 60, 500);
  const uint64_t size_before = log->size_bytes();
  const std::vector<std::string> before = LogFiles(fs);
  ASSERT_GT(before.size(), 4u);
  const Lsn third = *ParseLogFileName(before[2]);
  ASSERT_TRUE(log->Cut({third.value - 2}).ok()) << "the second file's last record is still needed";
  EXPECT_EQ(LogFiles(fs).front(), before[1]);
  ASSERT_TRUE(log->Cut({third.value - 1}).ok());
  EXPECT_EQ(LogFiles(fs).front(), before[2]);
  EXPECT_LT(log->size_bytes(), size_before);
  log.reset();

  EXPECT_EQ(Open(fs, nullptr, {third.value - 2}).status().code(), StatusCode::kDataLoss) << "one record is missing";
  Records replayed;
  log = MustOpen(fs, &replayed, {40});
  ASSERT_EQ(replayed.size(), 20u);
  EXPECT_EQ(replayed.front().lsn, Lsn{41});
  ASSERT_TRUE(log->Cut({1'000}).ok());
  EXPECT_EQ(LogFiles(fs).size(), 1u) << "the file being written stays";
  EXPECT_TRUE(AppendAndWait(*log, MakeRecord(61, 500)).ok());
}

// A restored snapshot has a checkpoint and no log.
TEST(Log, BeginsAfterTheCheckpointWhereThereIsNoLog) {
  MemoryFileSystem fs;
  std::unique_ptr<Log> log = MustOpen(fs, nullptr, {100});
  Fill(*log, 101, 103, 10);
  log.reset();
  Records replayed;
  log = MustOpen(fs, &replayed, {100});
  ASSERT_EQ(replayed.size(), 3u);
  EXPECT_EQ(replayed.front().lsn, Lsn{101});
}

TEST(Log, ReplayErrorStopsTheOpening) {
  MemoryFileSystem fs;
  Fill(*MustOpen(fs), 1, 3, 10);
  const Status status = Log::Open(fs, kDirectory, {.file_size_bytes = 4'096}, {}, [](const LogRecord& record) {
                          return record.lsn == Lsn{2} ? Internal("no") : Status();
                        }).status();
  EXPECT_EQ(status.ToString(), "INTERNAL: no");
}

TEST(Log, LeavesForeignFilesAloneAndReportsStrangeLogs) {
  MemoryFileSystem fs;
  Fill(*MustOpen(fs), 1, 3, 10);
  for (const char* name : {"notes.txt", "1.log", "00000000000000000000.log", "00000000000000000001.log.bak"}) {
    ASSERT_TRUE(WriteWholeFile(fs, Path(name), "mine").ok());
  }
  Records replayed;
  const std::unique_ptr<Log> log = MustOpen(fs, &replayed);
  EXPECT_EQ(replayed.size(), 3u);
  EXPECT_EQ(log->strange_files(), (std::vector<std::string>{"00000000000000000000.log", "1.log"}));
  EXPECT_EQ(ReadWholeFile(fs, Path("notes.txt")).value(), "mine");
}

TEST(Log, RefusesBodiesOverTheLimit) {
  MemoryFileSystem fs;
  const std::unique_ptr<Log> log = MustOpen(fs);
  const Slice slice = Slice::Own(std::string(32u << 20, 'x'));
  LogRecord record;
  record.body.assign(33, slice);
  const Status status = AppendAndWait(*log, std::move(record));
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status.ToString();
  EXPECT_TRUE(AppendAndWait(*log, MakeRecord(1, 10)).ok());
  EXPECT_EQ(log->last_lsn(), Lsn{1});
}

TEST(Log, StopCommitsWhatWaitsAndRefusesTheRest) {
  MemoryFileSystem fs;
  std::unique_ptr<Log> log = MustOpen(fs);
  int durable = 0;
  for (uint64_t number = 1; number <= 100; ++number) {
    log->Append(MakeRecord(number, 100), [&](Lsn, Status status) { durable += status.ok() ? 1 : 0; });
  }
  log->Stop();
  log->Stop();
  EXPECT_EQ(durable, 100);
  EXPECT_EQ(AppendAndWait(*log, MakeRecord(101, 1)).code(), StatusCode::kUnavailable);
  log.reset();
  Records replayed;
  MustOpen(fs, &replayed);
  EXPECT_EQ(replayed.size(), 100u);
}

TEST(Log, LargeRecordsThatComeTogetherShareASync) {
  MemoryFileSystem fs;
  const std::unique_ptr<Log> log = MustOpen(fs, nullptr, {},
                                            {.file_size_bytes = 1u << 20,
                                             .bulk_record_bytes = 1'000,
                                             .bulk_sync_bytes = 3'500,
                                             .bulk_wait = std::chrono::hours(1)});
  std::atomic<int> answered{0};
  const auto append = [&](uint64_t number, size_t size) {
    log->Append(MakeRecord(number, size), [&](Lsn, const Status& status) { answered += status.ok() ? 1 : 100; });
    while (log->stats().records < number) {
      std::this_thread::yield();
    }
  };
  const auto wait_for_answers = [&](int count) {
    while (answered < count) {
      std::this_thread::yield();
    }
    EXPECT_EQ(answered, count);
  };
  for (uint64_t number = 1; number <= 3; ++number) {
    append(number, 1'000);
  }
  EXPECT_EQ(answered, 0);
  EXPECT_EQ(log->stats().syncs, 0u);
  append(4, 1'000);  // enough for a sync
  wait_for_answers(4);
  EXPECT_EQ(log->stats().syncs, 1u);
  append(5, 1'000);
  append(6, 10);  // whoever sends a small one waits for it
  wait_for_answers(6);
  EXPECT_EQ(log->stats().syncs, 2u);
  append(7, 1'000);
  log->Stop();
  wait_for_answers(7);
}

TEST(Log, ALargeRecordThatComesAloneWaitsAMoment) {
  MemoryFileSystem fs;
  const std::unique_ptr<Log> log =
      MustOpen(fs, nullptr, {},
               {.file_size_bytes = 1u << 20, .bulk_record_bytes = 1'000, .bulk_wait = std::chrono::microseconds(500)});
  Fill(*log, 1, 3, 2'000);
  EXPECT_EQ(log->stats().syncs, 3u);
}

TEST(Log, ManyProducersShareSyncsAndKeepOrder) {
  MemoryFileSystem memory;
  FaultFileSystem fs(memory);
  fs.SlowSync(std::chrono::microseconds(500));
  constexpr uint64_t kThreads = 8;
  constexpr uint64_t kEach = 200;
  {
    const std::unique_ptr<Log> log = MustOpen(fs, nullptr, {}, {.file_size_bytes = 64u << 10});
    const uint64_t syncs_before = fs.Count(FileCall::kSync);
    uint64_t last_done = 0;  // of the log's thread
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (uint64_t i = 0; i < kEach; ++i) {
          std::promise<Status> done;
          log->Append(MakeRecord(t * kEach + i, 100 + t), [&](Lsn lsn, Status status) {
            EXPECT_EQ(lsn.value, last_done + 1);
            last_done = lsn.value;
            done.set_value(std::move(status));
          });
          EXPECT_TRUE(done.get_future().get().ok());
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    const uint64_t syncs = fs.Count(FileCall::kSync) - syncs_before;
    EXPECT_LT(syncs, kThreads * kEach / 2) << "records have to share syncs";
    EXPECT_EQ(log->stats().records, kThreads * kEach);
  }
  Records replayed;
  MustOpen(fs, &replayed);
  ASSERT_EQ(replayed.size(), kThreads * kEach);
  std::vector<uint64_t> next(kThreads, 0);
  for (const LogRecord& record : replayed) {
    const uint64_t number = record.index.value;
    ExpectSame(record, MakeRecord(number, 100 + number / kEach));
    EXPECT_EQ(number % kEach, next[number / kEach]++) << "a producer's records keep their order";
  }
}

struct FaultCase {
  FileCall call;
  FaultKind kind;
  const char* reason;
};

class LogFaults : public ::testing::TestWithParam<FaultCase> {};
INSTANTIATE_TEST_SUITE_P(Calls, LogFaults,
                         ::testing::Values(FaultCase{FileCall::kSync, FaultKind::kIoError, "Input/output error"},
                                           FaultCase{FileCall::kWrite, FaultKind::kIoError, "Input/output error"},
                                           FaultCase{FileCall::kWrite, FaultKind::kShortWrite, "Input/output error"},
                                           FaultCase{FileCall::kWrite, FaultKind::kNoSpace, "No space left"},
                                           FaultCase{FileCall::kAllocate, FaultKind::kNoSpace, "No space left"},
                                           FaultCase{FileCall::kSyncDirectory, FaultKind::kIoError,
                                                     "Input/output error"}));

TEST_P(LogFaults, OneFailurePoisons) {
  MemoryFileSystem memory;
  FaultFileSystem fs(memory);
  FakeClock clock;
  std::unique_ptr<Log> log = MustOpen(fs, nullptr, {}, {.file_size_bytes = 4'096, .clock = &clock});
  Fill(*log, 1, 3, 100);
  fs.FailCall(GetParam().call, 1, GetParam().kind);
  uint64_t acknowledged = 3;
  Status status;
  while (status.ok() && acknowledged < 100) {
    status = AppendAndWait(*log, MakeRecord(acknowledged + 1, 100));
    acknowledged += status.ok() ? 1 : 0;
  }
  const Status health = log->health();
  const bool full = GetParam().kind == FaultKind::kNoSpace;
  EXPECT_EQ(health.code(), full ? StatusCode::kResourceExhausted : StatusCode::kUnavailable);
  EXPECT_TRUE(health.message().starts_with("log is read-only since 2023-11-14T22:13:20Z: ")) << health.ToString();
  EXPECT_NE(health.message().find(GetParam().reason), std::string_view::npos) << health.ToString();
  EXPECT_NE(health.message().find(full ? "free space on the disk" : "check the disk"), std::string_view::npos);
  // The one whose writing failed may be in the file or not; RESOURCE_EXHAUSTED promises that nothing was written.
  const bool wrote = GetParam().call == FileCall::kWrite || GetParam().call == FileCall::kSync;
  EXPECT_EQ(status.code(), wrote ? StatusCode::kUnavailable : health.code());
  EXPECT_TRUE(status.message().starts_with(health.message()));
  EXPECT_EQ(status.message().find("may be there after the restart") != std::string_view::npos, wrote);
  const uint64_t changes = fs.CountChanges();
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(AppendAndWait(*log, MakeRecord(200, 10)).ToString(), health.ToString());
  }
  log.reset();
  EXPECT_EQ(fs.CountChanges(), changes) << "a poisoned log does not touch the disk";

  // The kernel counts the pages of the failed fsync as clean; what Open shows must be durable all the same.
  memory.ForgetDirtyPages();
  Records replayed;
  MustOpen(fs, &replayed).reset();
  ASSERT_GE(replayed.size(), acknowledged);
  ASSERT_LE(replayed.size(), acknowledged + 1);
  memory.Crash(MemoryFileSystem::Unsynced::kForgotten, 0);
  Records again;
  MustOpen(fs, &again);
  EXPECT_EQ(again.size(), replayed.size());
}

TEST(Log, PoisonFailsAllThatWaits) {
  MemoryFileSystem memory;
  FaultFileSystem fs(memory);
  const std::unique_ptr<Log> log = MustOpen(fs);
  fs.SlowSync(std::chrono::milliseconds(5));
  fs.FailCall(FileCall::kSync, 2, FaultKind::kIoError);
  std::vector<bool> acknowledged;
  for (uint64_t number = 1; number <= 50; ++number) {
    log->Append(MakeRecord(number, 10), [&](Lsn, Status status) { acknowledged.push_back(status.ok()); });
    std::this_thread::sleep_for(std::chrono::microseconds(300));
  }
  log->Stop();
  ASSERT_EQ(acknowledged.size(), 50u);
  EXPECT_TRUE(acknowledged.front());
  EXPECT_FALSE(acknowledged.back());
  EXPECT_TRUE(std::is_sorted(acknowledged.begin(), acknowledged.end(), std::greater<>())) << "nothing after a failure";
}

}  // namespace
}  // namespace longbow::storage
