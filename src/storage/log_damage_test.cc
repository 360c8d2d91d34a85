// Logs whose bytes changed on the disk: an error or the truth, never a wrong record, and nothing is repaired in
// silence.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <future>
#include <map>

#include "base/crc32c.h"
#include "base/memory_file_system.h"
#include "storage/log.h"
#include "storage/log_format.h"

namespace longbow::storage {
namespace {

using Files = std::map<std::string, std::string>;

std::string BodyOf(uint64_t lsn) { return std::string(50 + lsn % 13, static_cast<char>('a' + lsn % 26)); }

class LogDamage : public ::testing::Test {
 protected:
  static constexpr uint64_t kRecords = 20;

  void SetUp() override {
    std::unique_ptr<Log> log = Open().value();
    for (uint64_t lsn = 1; lsn <= kRecords; ++lsn) {
      Append(*log, BodyOf(lsn));
    }
    log.reset();
    good_ = Snapshot();
    for (const auto& [name, content] : good_) {
      if (ParseLogFileName(name)) {
        log_names_.push_back(name);
      }
    }
    ASSERT_GE(log_names_.size(), 3u);
  }

  static void Append(Log& log, const std::string& body) {
    std::promise<Status> done;
    log.Append({.index = {7}, .body = {Slice::Own(body)}},
               [&](Lsn, Status status) { done.set_value(std::move(status)); });
    ASSERT_TRUE(done.get_future().get().ok());
  }

  // What Open replays is checked here; `replayed_` counts it.
  Result<std::unique_ptr<Log>> Open(LogOptions options = {}, Lsn after = {}) {
    options.file_size_bytes = 1'024;
    options.seed = 5;
    replayed_ = 0;
    return Log::Open(fs_, "/log", options, after, [&](const LogRecord& record) {
      EXPECT_EQ(record.lsn.value, after.value + ++replayed_);
      EXPECT_EQ(record.body.front().view(), BodyOf(record.lsn.value));
      EXPECT_EQ(record.index.value, 7u);
      return Status();
    });
  }

  Files Snapshot() {
    Files files;
    const std::vector<std::string> names = fs_.List("/log").value();
    for (const std::string& name : names) {
      files[name] = ReadWholeFile(fs_, "/log/" + name).value();
    }
    return files;
  }

  void Restore(const Files& files) {
    ASSERT_TRUE(fs_.RemoveTree("/log").ok());
    ASSERT_TRUE(fs_.CreateDirectories("/log").ok());
    for (const auto& [name, content] : files) {
      ASSERT_TRUE(WriteWholeFile(fs_, "/log/" + name, content).ok());
    }
  }

  // The log with `files` is refused with `code`, a message with all of `parts`, and left as it is.
  void ExpectRefused(const Files& files, StatusCode code, const std::vector<std::string>& parts, Lsn after = {}) {
    Restore(files);
    const Status status = Open({}, after).status();
    EXPECT_EQ(status.code(), code) << status.ToString();
    for (const std::string& part : parts) {
      EXPECT_NE(status.message().find(part), std::string_view::npos) << "no '" << part << "' in: " << status.ToString();
    }
    EXPECT_TRUE(Snapshot() == files) << "a refused log must not be touched";
  }

  static std::string Mark(uint64_t lsn) {
    const auto bytes = EncodeCommitMark({lsn});
    const std::string mark(bytes.begin(), bytes.end());
    return mark + mark;
  }

  MemoryFileSystem fs_;
  Files good_;
  std::vector<std::string> log_names_;
  uint64_t replayed_ = 0;
};

// The record header that stands at `offset` of a file's content, to read and to overwrite.
std::span<uint8_t, kRecordHeaderBytes> HeaderAt(std::string& content, size_t offset) {
  return std::span<uint8_t, kRecordHeaderBytes>(reinterpret_cast<uint8_t*>(content.data()) + offset,
                                                kRecordHeaderBytes);
}

TEST_F(LogDamage, EveryFlippedByteIsSeenWhileTheMarkIsIntact) {
  uint64_t refused = 0;
  for (const auto& [name, content] : good_) {
    for (size_t offset = 0; offset < content.size(); ++offset) {
      Files bad = good_;
      bad[name][offset] = static_cast<char>(bad[name][offset] ^ (1 << (offset % 8)));
      Restore(bad);
      const Result<std::unique_ptr<Log>> log = Open();
      if (log.ok()) {
        ASSERT_TRUE(name == log_names_.back() || name == "COMMITTED")
            << "only after the last record nothing is lost; offset " << offset;
        ASSERT_EQ(replayed_, kRecords) << "an acknowledged record is lost; offset " << offset;
      } else {
        ASSERT_EQ(log.status().code(), StatusCode::kDataLoss) << log.status().ToString();
        ASSERT_NE(log.status().message().find(name), std::string_view::npos) << log.status().ToString();
        ASSERT_NE(log.status().message().find("offset"), std::string_view::npos) << log.status().ToString();
        ASSERT_NE(log.status().message().find("restore the data folder"), std::string_view::npos);
        ASSERT_TRUE(Snapshot() == bad) << "a refused log must not be touched";
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, kRecords * 120);
}

// After a power cut the mark may be old: only the last group can then pass for a torn tail.
TEST_F(LogDamage, AnOldMarkCostsAtMostTheLastGroup) {
  uint64_t cut = 0;
  for (const std::string& name : log_names_) {
    for (size_t offset = 0; offset < good_[name].size(); ++offset) {
      Files bad = good_;
      bad["COMMITTED"] = Mark(3);
      bad[name][offset] = static_cast<char>(bad[name][offset] ^ 0x10);
      Restore(bad);
      const Result<std::unique_ptr<Log>> log = Open();
      if (log.ok()) {
        ASSERT_GE(replayed_, kRecords - 1) << name << " " << offset;
        cut += replayed_ == kRecords - 1 ? 1 : 0;
      } else {
        ASSERT_EQ(log.status().code(), StatusCode::kDataLoss);
      }
    }
  }
  EXPECT_GT(cut, 100u) << "the last record, byte by byte";
}

TEST_F(LogDamage, EveryCutIsSeen) {
  const std::string& last = log_names_.back();
  const size_t used = good_[last].find_last_not_of('\0') + 1;
  for (size_t size = 0; size < used; ++size) {
    Files bad = good_;
    bad[last].resize(size);
    ExpectRefused(bad, StatusCode::kDataLoss, {});
  }
  Files bad = good_;
  bad[log_names_.front()].resize(used);
  ExpectRefused(bad, StatusCode::kDataLoss, {});
}

TEST_F(LogDamage, MissingFiles) {
  Files bad = good_;
  bad.erase(log_names_[1]);
  ExpectRefused(bad, StatusCode::kDataLoss, {"gap", log_names_[2]});
  bad = good_;
  bad.erase(log_names_.front());
  ExpectRefused(bad, StatusCode::kDataLoss, {"gap", "covers records up to 0", "a file is missing"});
  bad = good_;
  bad.erase(log_names_.back());
  ExpectRefused(bad, StatusCode::kDataLoss, {"ends too early", "records up to 20 were acknowledged"});
  ExpectRefused({{"COMMITTED", Mark(20)}}, StatusCode::kDataLoss, {"ends too early", "there is no log file"});
  bad = good_;
  std::swap(bad[log_names_[0]], bad[log_names_[1]]);
  ExpectRefused(bad, StatusCode::kDataLoss, {"another name"});
}

// Another folder's files fit in by number and checksum: only their log's id tells.
TEST_F(LogDamage, FilesOfAnotherLogAreRefused) {
  const std::unique_ptr<Log> log = Open().value();
  const uint64_t id = log->id();
  EXPECT_NE(id, 0u);
  EXPECT_EQ(id & 1, 1u);
  for (const std::string& name : log_names_) {
    Files mixed = good_;
    std::array<uint8_t, kLogFileHeaderBytes> bytes{};
    std::copy_n(mixed[name].begin(), bytes.size(), bytes.begin());
    LogFileHeader header = *DecodeLogFileHeader(bytes);
    EXPECT_EQ(header.log_id, id);
    header.log_id += 2;
    bytes = Encode(header);
    std::copy(bytes.begin(), bytes.end(), mixed[name].begin());
    const std::string& named = name == log_names_.front() ? log_names_[1] : name;
    ExpectRefused(mixed, StatusCode::kDataLoss, {named, "another data folder", "offset 32"});
  }
  Restore(good_);
  const Status refused = Open({.id = id + 2}).status();
  EXPECT_EQ(refused.code(), StatusCode::kDataLoss) << refused.ToString();
  EXPECT_TRUE(Snapshot() == good_);
  EXPECT_EQ(Open({.id = id}).value()->id(), id);
}

TEST_F(LogDamage, ALogOlderThanIdsGoesOnWithoutOne) {
  Files old = good_;
  for (const std::string& name : log_names_) {
    std::array<uint8_t, kLogFileHeaderBytes> bytes{};
    std::copy_n(old[name].begin(), bytes.size(), bytes.begin());
    LogFileHeader header = *DecodeLogFileHeader(bytes);
    header.log_id = 0;
    bytes = Encode(header);
    std::copy(bytes.begin(), bytes.end(), old[name].begin());
  }
  Restore(old);
  for (int life = 0; life < 2; ++life) {
    const std::unique_ptr<Log> log = Open().value();
    EXPECT_EQ(log->id(), 0u);
    for (uint64_t lsn = kRecords + 1; life == 0 && lsn <= 2 * kRecords; ++lsn) {  // and into new files
      Append(*log, BodyOf(lsn));
    }
  }
  EXPECT_EQ(replayed_, 2 * kRecords);
}

TEST_F(LogDamage, ALogThatIsBegunAgainTakesTheIdThatIsExpected) {
  Restore({});
  EXPECT_EQ(Open({.id = 77}, {3}).value()->id(), 77u);
  EXPECT_EQ(Open({.id = 77}, {3}).value()->id(), 77u);
}

TEST_F(LogDamage, CheckpointAboveTheLog) {
  ExpectRefused(good_, StatusCode::kDataLoss, {"ends too early", "records up to 25"}, {25});
  // A repair goes on after the checkpoint, which has it all.
  Restore(good_);
  std::unique_ptr<Log> log = Open({.ignore_commit_mark = true}, {25}).value();
  EXPECT_EQ(log->last_lsn(), Lsn{25});
  Append(*log, BodyOf(26));
  log.reset();
  ASSERT_TRUE(Open({}, {25}).ok());
  EXPECT_EQ(replayed_, 1u);
}

TEST_F(LogDamage, ABodyThatTheCheckpointHasIsNotRead) {
  Files bad = good_;
  const std::string& name = log_names_.back();
  const Lsn first = *ParseLogFileName(name);
  bad[name][kLogFileHeaderBytes + kRecordHeaderBytes + 5] ^= 1;
  ExpectRefused(bad, StatusCode::kDataLoss, {name}, {first.value - 1});
  Restore(bad);
  ASSERT_TRUE(Open({}, first).ok());
  EXPECT_EQ(replayed_, kRecords - first.value);
}

TEST_F(LogDamage, CommitMarkMissingOrDamaged) {
  Files bad = good_;
  bad.erase("COMMITTED");
  ExpectRefused(bad, StatusCode::kDataLoss, {"COMMITTED", "missing"});
  bad["COMMITTED"] = Mark(20) + "x";
  ExpectRefused(bad, StatusCode::kDataLoss, {"COMMITTED", "damaged"});
  Restore(bad);
  EXPECT_TRUE(Open({.ignore_commit_mark = true}).ok());
  EXPECT_EQ(replayed_, kRecords);
  EXPECT_TRUE(Open().ok()) << "repaired once, it opens as always";
}

TEST_F(LogDamage, RepairByNameCutsADamagedEndAndNothingElse) {
  Files bad = good_;
  std::string& last = bad[log_names_.back()];
  last[last.find_last_not_of('\0')] ^= 1;
  ExpectRefused(bad, StatusCode::kDataLoss, {"records up to 20 were acknowledged"});
  Restore(bad);
  EXPECT_TRUE(Open({.ignore_commit_mark = true}).ok());
  EXPECT_EQ(replayed_, kRecords - 1);
  bad = good_;
  bad[log_names_.front()][200] ^= 1;
  Restore(bad);
  EXPECT_EQ(Open({.ignore_commit_mark = true}).status().code(), StatusCode::kDataLoss);
}

TEST_F(LogDamage, NewerFormatsAreNamedAsSuch) {
  Files newer = good_;
  std::array<uint8_t, kLogFileHeaderBytes> old_bytes;
  std::copy_n(newer[log_names_.front()].begin(), old_bytes.size(), old_bytes.begin());
  LogFileHeader file_header = *DecodeLogFileHeader(old_bytes);
  const uint64_t salt = file_header.salt;
  file_header.version = 2;
  const auto bytes = Encode(file_header);
  std::copy(bytes.begin(), bytes.end(), newer[log_names_.front()].begin());
  ExpectRefused(newer, StatusCode::kFailedPrecondition, {log_names_.front(), "format 2", "newer version"});

  newer = good_;
  const auto record = HeaderAt(newer[log_names_.front()], kLogFileHeaderBytes);
  RecordHeader header = *DecodeRecordHeader(record, salt);
  header.version = 2;
  Encode(header, salt, record);
  ExpectRefused(newer, StatusCode::kFailedPrecondition, {log_names_.front(), "format 2", "offset 64"});
}

// Rows may contain anything, even a log. A torn write of such a row must not look like damage in the middle.
TEST_F(LogDamage, ALogInsideARecordIsOnlyBytes) {
  Restore({});
  std::unique_ptr<Log> log = Open().value();
  Append(*log, BodyOf(1));
  log.reset();
  Files files = Snapshot();
  const size_t used = files.at(log_names_.front()).find_last_not_of('\0') + 1;
  std::string& last = files[log_names_.front()];
  last.resize((used + 7) / 8 * 8);
  // The header of a torn record, then a copy of another log's later file, whose records have higher LSNs.
  last += std::string(kRecordHeaderBytes, 'x') + good_[log_names_.back()];
  Restore(files);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(replayed_, 1u);
}

TEST_F(LogDamage, RecordsAfterATornOneOfTheSameGroupAreTornToo) {
  // Three records written as one group; a power cut keeps the third and loses the second.
  const LogFileHeader file_header{.first_lsn = {1}, .salt = 99};
  const auto head = Encode(file_header);
  std::string file(head.begin(), head.end());
  std::vector<size_t> offsets;
  for (uint64_t lsn = 1; lsn <= 3; ++lsn) {
    const std::string body = BodyOf(lsn);
    const RecordHeader header{.lsn = {lsn},
                              .synced_lsn = {0},
                              .index = {7},
                              .body_size = body.size(),
                              .body_crc = Crc32c(0, body.data(), body.size())};
    std::array<uint8_t, kRecordHeaderBytes> bytes;
    Encode(header, file_header.salt, bytes);
    offsets.push_back(file.size());
    file.append(bytes.begin(), bytes.end()).append(body).resize(offsets.back() + RecordSize(body.size()));
  }
  std::fill_n(file.begin() + static_cast<ptrdiff_t>(offsets[1]), offsets[2] - offsets[1], '\0');
  const Files files = {{"COMMITTED", Mark(0)}, {LogFileName({1}), file}};
  Restore(files);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(replayed_, 1u);
  // The same bytes, but the third was written when the second was durable: damage.
  Files bad = files;
  const auto third = HeaderAt(bad[LogFileName({1})], offsets[2]);
  RecordHeader header = *DecodeRecordHeader(third, file_header.salt);
  header.synced_lsn = {2};
  Encode(header, file_header.salt, third);
  ExpectRefused(bad, StatusCode::kDataLoss,
                {"hole", "record 2", "offset " + std::to_string(offsets[1]), "offset " + std::to_string(offsets[2])});
}

}  // namespace
}  // namespace longbow::storage
