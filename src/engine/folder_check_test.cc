#include "engine/folder_check.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <thread>

#include "base/fault_file_system.h"
#include "engine/store.h"
#include "engine/test_rows.h"
#include "engine/test_store.h"

namespace longbow::engine {
namespace {

constexpr int kDimension = 8;

// A folder with a checkpoint of two collections, graphs among its files, and a log behind it.
class FolderCheck : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "longbow_folder_check_" + std::to_string(getpid());
    std::filesystem::remove_all(folder_);
    Open();
    for (int64_t first = 0; first < 600; first += 100) {
      PutMany("a", first);
    }
    PutMany("b", 0);
    ASSERT_TRUE(store_->Delete("a", {"3"}).ok());
    for (int i = 0; i < 100 && FilesOf(".graph").empty(); ++i) {  // written behind the writers
      ASSERT_TRUE(store_->Checkpoint().ok());
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      PutMany("b", 0);
    }
    ASSERT_TRUE(store_->Checkpoint().ok());
    PutMany("b", 200);
    store_.reset();
  }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  void Open() {
    const StoreOptions options = TestStoreOptions(folder_, 300);
    auto store = Store::Open({RealFileSystem(), RealClock(), logger_, metrics_}, options);
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    store_ = std::move(*store);
  }
  void PutMany(const std::string& name, int64_t first) {
    std::vector<TestRow> rows;
    for (int64_t id = first; id < first + 100; ++id) {
      rows.push_back({id, RandomVector(random_, kDimension), "name"});
    }
    std::promise<Status> answer;
    store_->Put(name, WithEncoding(TestBatch(TestSchema(kDimension), rows)), nullptr,
                [&](Status status) { answer.set_value(std::move(status)); });
    ASSERT_TRUE(answer.get_future().get().ok());
  }
  FolderReport MustCheck(bool repair = false, bool accept_loss = false) {
    Result<FolderReport> report = CheckFolder(
        RealFileSystem(), folder_, {.repair = repair, .accept_loss = accept_loss, .segment = TestSegmentOptions(300)});
    EXPECT_TRUE(report.ok()) << report.status().ToString();
    return report.ok() ? *std::move(report) : FolderReport{};
  }
  // The worst state, and the file that has it.
  static std::pair<FileState, std::string> Worst(const FolderReport& report) {
    std::pair<FileState, std::string> worst{FileState::kSound, ""};
    for (const FileReport& file : report.files) {
      if (!file.repaired && file.state > worst.first) {
        worst = {file.state, file.file};
      }
      EXPECT_EQ(file.state == FileState::kSound, file.remedy.empty()) << file.file;
    }
    return worst;
  }
  std::vector<std::string> FilesOf(const std::string& ending) {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) {
      if (entry.is_regular_file() && entry.path().string().ends_with(ending)) {
        files.push_back(entry.path().string());
      }
    }
    std::sort(files.begin(), files.end());
    return files;
  }
  void Flip(const std::string& path) {
    FaultFileSystem fs(RealFileSystem());
    ASSERT_TRUE(fs.FlipBit(path, std::filesystem::file_size(path) / 2, 3).ok());
  }
  std::string Name(const std::string& path) { return path.substr(folder_.size() + 1); }
  void ExpectAStartFindsAll(uint64_t rows) {
    Open();
    EXPECT_EQ((*store_->Find("a"))->shard.Pin()->live_rows + (*store_->Find("b"))->shard.Pin()->live_rows, rows);
    store_.reset();
  }

  std::string folder_;
  Logger logger_{{.level = LogLevel::kError, .sink = [](std::string_view) {}}};
  Metrics metrics_;
  std::unique_ptr<Store> store_;
  Random random_{5};
};

TEST_F(FolderCheck, ASoundFolderIsSound) {
  const FolderReport report = MustCheck();
  EXPECT_EQ(Worst(report).first, FileState::kSound) << Worst(report).second;
  EXPECT_EQ(report.collections, 2u);
  EXPECT_EQ(report.rows, 599u + 200u);
  EXPECT_GT(report.last_lsn, report.checkpoint);
  EXPECT_GE(report.files.size(), 9u);
  ExpectAStartFindsAll(799);
}

TEST_F(FolderCheck, EveryFlippedFileIsNamed) {
  std::vector<std::string> files = FilesOf("");
  size_t tried = 0;
  for (const std::string& path : files) {
    if (path.ends_with("/LOCK") || path.ends_with("/FORMAT") || path.ends_with("/COMMITTED") ||
        path.ends_with(".log")) {
      continue;  // one of the two marks is enough; the log has tests of its own
    }
    SCOPED_TRACE(path);
    Flip(path);
    const FolderReport report = MustCheck();
    const auto [state, file] = Worst(report);
    EXPECT_GT(state, FileState::kSound);
    EXPECT_EQ(file, Name(path));
    Flip(path);
    ++tried;
  }
  EXPECT_GE(tried, 9u);
  EXPECT_EQ(Worst(MustCheck()).first, FileState::kSound);
}

TEST_F(FolderCheck, DerivedFilesAreRemovedByARepair) {
  for (const char* ending : {".vectors", ".columns", ".graph"}) {
    SCOPED_TRACE(ending);
    const std::vector<std::string> files = FilesOf(ending);
    ASSERT_FALSE(files.empty());
    Flip(files.front());
    EXPECT_EQ(Worst(MustCheck()).first, FileState::kRepairable);
    EXPECT_TRUE(std::filesystem::exists(files.front())) << "a check changes nothing";
    EXPECT_EQ(Worst(MustCheck(true)).first, FileState::kSound);
    EXPECT_FALSE(std::filesystem::exists(files.front()));
    ExpectAStartFindsAll(799);
  }
}

TEST_F(FolderCheck, BothCopiesOfRowsAreNeededToLoseThem) {
  const std::string parquet = FilesOf(".parquet").front();
  Flip(parquet);
  EXPECT_EQ(Worst(MustCheck(true)), std::pair(FileState::kRepairable, Name(parquet))) << "the node repairs it";
  Flip(parquet.substr(0, parquet.size() - 8) + ".vectors");
  const FolderReport report = MustCheck(true);
  EXPECT_EQ(Worst(report).first, FileState::kLost);
}

TEST_F(FolderCheck, ATornTailIsCutAndAnAcknowledgedOneOnlyWithConsent) {
  const std::string log = FilesOf(".log").back();
  const uint64_t rows = MustCheck().rows;
  {
    // Behind the last record: as a write that was cut off leaves it.
    const Result<std::string> bytes = ReadWholeFile(RealFileSystem(), log);
    const size_t used = (bytes->find_last_not_of('\0') + 8) / 8 * 8;
    const auto file = *RealFileSystem().Open(log, OpenMode::kReadWrite);
    ASSERT_TRUE(file->WriteAt(used, {Slice::Own("cut off")}).ok());
  }
  EXPECT_EQ(Worst(MustCheck()), std::pair(FileState::kRepairable, Name(log)));
  EXPECT_EQ(Worst(MustCheck(true)).first, FileState::kSound);
  EXPECT_EQ(MustCheck().rows, rows);

  std::filesystem::resize_file(log, 200);  // within an acknowledged record
  EXPECT_EQ(Worst(MustCheck()).first, FileState::kLossy);
  EXPECT_EQ(Worst(MustCheck(true)).first, FileState::kLossy) << "not without --accept-loss";
  EXPECT_EQ(Worst(MustCheck(true, true)).first, FileState::kSound);
  EXPECT_EQ(MustCheck().rows, 699u) << "the checkpoint's rows";
  ExpectAStartFindsAll(699);
}

TEST_F(FolderCheck, FoldersThatCannotBeChecked) {
  EXPECT_EQ(CheckFolder(RealFileSystem(), folder_ + "/nowhere", {}).status().code(), StatusCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/nowhere"));
  Open();
  const Status busy = CheckFolder(RealFileSystem(), folder_, {.segment = TestSegmentOptions(300)}).status();
  EXPECT_EQ(busy.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(busy.ToString().find("in use"), std::string::npos) << busy.ToString();
}

}  // namespace
}  // namespace longbow::engine
