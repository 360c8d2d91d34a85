// Segments that come back from their files: mapped, damaged, missing, of other collections.
#include <gtest/gtest.h>

#include <filesystem>
#include <future>
#include <map>
#include <set>
#include <thread>

#include "base/fault_file_system.h"
#include "base/memory_file_system.h"
#include "engine/scan.h"
#include "engine/store.h"
#include "engine/test_rows.h"
#include "engine/test_store.h"

namespace longbow::engine {
namespace {

constexpr int kDimension = 16;
constexpr uint32_t kSegmentRows = 400;

// On the disk, where files are mapped, and in memory, where they are copied.
class RestartTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (GetParam()) {
      std::string folder = (std::filesystem::temp_directory_path() / "longbow_restart_test_XXXXXX").string();
      ASSERT_NE(::mkdtemp(folder.data()), nullptr);
      root_ = folder;
    } else {
      root_ = "/root";
      ASSERT_TRUE(memory_.CreateDirectories(root_).ok() && memory_.SyncDirectory("/").ok());
    }
  }
  void TearDown() override {
    store_.reset();
    EXPECT_TRUE(fs_.RemoveTree(root_).ok());
  }
  std::string Data() const { return root_ + "/data"; }

  Status TryOpen() {
    store_.reset();
    warnings_.clear();
    StoreOptions options = TestStoreOptions(Data(), kSegmentRows);
    options.tidy_files = tidy_files_;
    options.compact = false;
    auto store = Store::Open({fs_, RealClock(), logger_, metrics_}, options);
    if (store.ok()) {
      store_ = std::move(*store);
    }
    return store.status();
  }
  void Open() {
    const Status status = TryOpen();
    ASSERT_TRUE(status.ok()) << status.ToString();
  }
  void Put(const std::string& name, const std::vector<TestRow>& rows) {
    std::promise<Status> answer;
    store_->Put(name, WithEncoding(TestBatch(schema_, rows)), nullptr,
                [&](Status status) { answer.set_value(std::move(status)); });
    const Status status = answer.get_future().get();
    ASSERT_TRUE(status.ok()) << status.ToString();
    for (const TestRow& row : rows) {
      model_[name][row.id] = row;
    }
  }
  void PutMany(const std::string& name, int64_t first, int64_t count) {
    std::vector<TestRow> rows;
    for (int64_t id = first; id < first + count; ++id) {
      rows.push_back({id, RandomVector(random_, kDimension), "name " + std::to_string(id)});
    }
    Put(name, rows);
  }
  void Delete(const std::string& name, int64_t id) {
    ASSERT_TRUE(store_->Delete(name, {std::to_string(id)}).ok());
    model_[name].erase(id);
  }
  std::shared_ptr<const View> ViewOf(const std::string& name) { return (*store_->Find(name))->shard.Pin(); }
  void WaitUntil(const char* what, const std::function<bool()>& done) {
    for (int i = 0; i < 12'000 && !done(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ASSERT_TRUE(done()) << what;
  }
  void WaitForCheck() {
    WaitUntil("files are checked", [&] { return store_->FilesAreChecked(); });
  }
  // A graph in a file is of use to the next start once a checkpoint names it; a stop waits for none.
  void WaitForGraphFiles(size_t count) {
    WaitUntil("graphs are in files", [&] { return Files(".graph").size() == count; });
    ASSERT_TRUE(store_->Checkpoint().ok());
  }
  // All full segments of a collection are on a sealed graph.
  void WaitForGraphs(const std::string& name) {
    WaitUntil("graphs are sealed", [&] {
      const auto view = ViewOf(name);
      return std::all_of(view->segments.begin(), view->segments.end(), [](const SegmentView& segment) {
        return segment.rows < 64 || segment.segment->graph().sealed().rows == segment.rows;
      });
    });
  }
  std::vector<std::string> Files(const std::string& ending) {
    std::vector<std::string> files;
    const auto list = [this](const std::string& folder) {  // nothing where there is no folder yet
      const auto names = fs_.List(folder);
      return names.ok() ? *names : std::vector<std::string>();
    };
    for (const std::string& shard : list(Data() + "/segments")) {
      for (const std::string& name : list(Data() + "/segments/" + shard)) {
        if (name.ends_with(ending)) {
          files.push_back(Data() + "/segments/" + shard + "/" + name);
        }
      }
    }
    return files;
  }
  void ExpectAllIsThere() {
    for (const auto& [name, expected] : model_) {
      std::map<int64_t, TestRow> rows;
      auto cursor = *ScanCursor::Open((*store_->Find(name))->shard, {});
      while (const auto batch = *cursor->Next(nullptr)) {
        for (TestRow& row : RowsOf(*batch)) {
          EXPECT_TRUE(rows.emplace(row.id, row).second) << "id " << row.id << " twice";
        }
      }
      ASSERT_EQ(rows, expected);
      for (size_t i = 0; i < 5 && !expected.empty(); ++i) {
        const auto& [id, row] =
            *std::next(expected.begin(), static_cast<std::ptrdiff_t>(random_.Below(expected.size())));
        SearchRequest request;
        request.collection = name;
        request.k = 1;
        request.vectors = {QueryVector(std::vector<double>(row.vector.begin(), row.vector.end()))};
        const auto found = store_->Search(request, nullptr);
        ASSERT_TRUE(found.ok()) << found.status().ToString();
        ASSERT_EQ(found->front().hits.size(), 1u);
        EXPECT_EQ(found->front().hits[0].id, static_cast<uint64_t>(id));
      }
    }
  }

  std::shared_ptr<arrow::Schema> schema_ = TestSchema(kDimension);
  std::string root_;
  MemoryFileSystem memory_;
  FaultFileSystem fs_{GetParam() ? RealFileSystem() : static_cast<FileSystem&>(memory_)};
  std::mutex warnings_mu_;
  std::vector<std::string> warnings_;
  Logger logger_{{.level = LogLevel::kWarn, .sink = [this](std::string_view line) {
                    const std::lock_guard lock(warnings_mu_);
                    warnings_.emplace_back(line);
                  }}};
  Metrics metrics_;
  bool tidy_files_ = true;
  std::unique_ptr<Store> store_;
  Random random_{11};
  std::map<std::string, std::map<int64_t, TestRow>> model_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, RestartTest, ::testing::Bool(),
                         [](const auto& kind) { return kind.param ? "Disk" : "Memory"; });

TEST_P(RestartTest, ManyDatasetsAreCheckpointedByOneSync) {
  constexpr int kDatasets = 300;
  tidy_files_ = false;
  Open();
  for (int i = 0; i < kDatasets; ++i) {
    PutMany("d" + std::to_string(i), i, 3);
  }
  const auto count = [this] { return fs_.Count(FileCall::kSync) + fs_.Count(FileCall::kSyncDirectory); };
  const uint64_t before = count();
  ASSERT_TRUE(store_->Checkpoint().ok());
  EXPECT_EQ(fs_.Count(FileCall::kSyncAll), 1u);
  EXPECT_LT(count() - before, 10u);
  store_.reset();
  if (!GetParam()) {
    memory_.Crash(MemoryFileSystem::Unsynced::kForgotten, 1);
  }
  Open();
  EXPECT_EQ(Files(".parquet").size(), size_t{kDatasets});
  ExpectAllIsThere();
}

TEST_P(RestartTest, ACheckpointWhoseOneSyncFailsLeavesTheLastOne) {
  tidy_files_ = false;
  Open();
  PutMany("a", 0, 10);
  ASSERT_TRUE(store_->Checkpoint().ok());
  for (int i = 0; i < 50; ++i) {
    PutMany("d" + std::to_string(i), i, 3);
  }
  fs_.FailCall(FileCall::kSyncAll, 1, FaultKind::kIoError);
  EXPECT_EQ(store_->Checkpoint().code(), StatusCode::kUnavailable);
  ASSERT_TRUE(store_->Checkpoint().ok());  // writes all files anew
  Open();
  ExpectAllIsThere();
}

TEST_P(RestartTest, GraphsComeFromTheirFilesAndNothingIsReplayed) {
  Open();
  PutMany("a", 0, 1000);
  for (int64_t id = 3; id < 500; id += 17) {
    Delete("a", id);
  }
  WaitForGraphs("a");
  WaitForGraphFiles(3);
  ExpectAllIsThere();
  for (int round = 0; round < 3; ++round) {
    Open();
    WaitForCheck();
    for (const SegmentView& segment : ViewOf("a")->segments) {
      EXPECT_TRUE(segment.segment->is_closed());
      EXPECT_EQ(segment.segment->graph().Pin(segment.rows).kind, GraphKind::kSealed);
      EXPECT_EQ(segment.segment->indexed_rows(), segment.rows);
    }
    ExpectAllIsThere();
    EXPECT_TRUE(warnings_.empty()) << warnings_.front();
  }
  EXPECT_EQ(ViewOf("a")->rows, 1000u);
  PutMany("a", 990, 20);  // ten replace rows of a closed segment, ten are new
  ExpectAllIsThere();
  EXPECT_EQ(ViewOf("a")->segments.size(), 4u);
  Open();
  ExpectAllIsThere();
}

// One of ten thousand collections gets a graph: the files of the others stay as they are.
TEST_P(RestartTest, AGraphIsNoNewsOfOtherCollections) {
  Open();
  for (const char* name : {"b", "c", "d"}) {
    PutMany(name, 0, 10);
    Delete(name, 3);
  }
  ASSERT_TRUE(store_->Checkpoint().ok());
  const std::vector<std::string> before = Files(".bits");
  ASSERT_EQ(before.size(), 3u);
  PutMany("a", 0, 400);
  WaitForGraphs("a");
  WaitForGraphFiles(1);
  EXPECT_EQ(Files(".bits"), before);
  Open();
  WaitForCheck();
  EXPECT_EQ(ViewOf("a")->segments.front().segment->graph().Pin(400).kind, GraphKind::kSealed);
  ExpectAllIsThere();
}

// A small last segment takes more rows behind the ones that are mapped.
TEST_P(RestartTest, RowsAreAddedToSegmentsThatWereMapped) {
  Open();
  for (int round = 0; round < 12; ++round) {
    PutMany("a", round * 5, 7);
    ExpectAllIsThere();
    if (round % 2 == 0) {
      ASSERT_TRUE(store_->Checkpoint().ok());
    }
    Open();
    EXPECT_EQ(ViewOf("a")->segments.size(), 1u);
    ExpectAllIsThere();
  }
}

// Whatever happens to a derived file: all rows are right, and the next checkpoint makes it good.
TEST_P(RestartTest, DamagedDerivedFilesAreMadeAgain) {
  Open();
  PutMany("a", 0, 500);
  PutMany("b", 0, 500);
  WaitForGraphs("a");
  WaitForGraphs("b");
  WaitForGraphFiles(4);
  int done = 0;
  for (const std::string ending : {".vectors", ".columns", ".graph"}) {
    for (int kind = 0; kind < 5; ++kind) {
      SCOPED_TRACE(ending + ", damage " + std::to_string(kind));
      store_.reset();
      const std::vector<std::string> files = Files(ending);
      ASSERT_EQ(files.size(), 4u);
      const std::string& path = files[random_.Below(2)];
      const std::string content = *ReadWholeFile(fs_, path);
      if (kind == 0) {
        ASSERT_TRUE(fs_.Remove(path).ok());
      } else if (kind == 1) {
        ASSERT_TRUE(WriteWholeFile(fs_, path, content.substr(0, random_.Below(content.size()))).ok());
      } else if (kind == 2) {
        ASSERT_TRUE(WriteWholeFile(fs_, path, *ReadWholeFile(fs_, files[2])).ok());  // of the other collection
      } else if (kind == 3) {
        ASSERT_TRUE(fs_.FlipBit(path, random_.Below(64), 3).ok());
      } else {
        // In the middle of a section, where only a checksum of the bytes sees it.
        ASSERT_TRUE(fs_.FlipBit(path, ending == ".graph" ? content.size() / 2 : 4096 + random_.Below(20'000), 6).ok());
      }
      Open();
      WaitForCheck();
      ExpectAllIsThere();
      {
        const std::lock_guard lock(warnings_mu_);
        EXPECT_FALSE(warnings_.empty());
      }
      WaitForGraphs("a");
      WaitUntil("it is made again", [&] {
        const auto now = Files(ending);
        return now.size() == 4 && std::find(now.begin(), now.end(), path) == now.end();
      });
      ASSERT_TRUE(store_->Checkpoint().ok());
      Open();
      WaitForCheck();
      ExpectAllIsThere();
      const std::lock_guard lock(warnings_mu_);
      EXPECT_TRUE(warnings_.empty()) << warnings_.front();
      ++done;
    }
  }
  EXPECT_EQ(done, 15);
}

TEST_P(RestartTest, DamagedSegmentFilesAreWrittenAgainFromTheMappedRows) {
  Open();
  PutMany("a", 0, 300);
  ASSERT_TRUE(store_->Checkpoint().ok());
  for (int round = 0; round < 4; ++round) {
    store_.reset();
    const std::string path = Files(".parquet").front();
    ASSERT_TRUE(fs_.FlipBit(path, random_.Below(ReadWholeFile(fs_, path)->size()), 1).ok());
    Open();
    ExpectAllIsThere();
    WaitForCheck();
    WaitUntil("it is made again", [&] { return Files(".parquet").front() != path; });
    ASSERT_TRUE(store_->Checkpoint().ok());
  }
  Open();
  WaitForCheck();
  EXPECT_TRUE(warnings_.empty());
}

TEST_P(RestartTest, RowsThatAreDamagedTwiceAreNamedAndNothingIsTouched) {
  tidy_files_ = false;
  Open();
  PutMany("a", 0, 300);
  Delete("a", 7);
  ASSERT_TRUE(store_->Checkpoint().ok());
  store_.reset();
  const std::string parquet = Files(".parquet").front();
  ASSERT_TRUE(fs_.FlipBit(parquet, 2000, 1).ok());
  ASSERT_TRUE(fs_.Remove(Files(".columns").front()).ok());
  const Status twice = TryOpen();
  EXPECT_EQ(twice.code(), StatusCode::kDataLoss);
  EXPECT_NE(twice.message().find(parquet), std::string_view::npos) << twice.ToString();
  EXPECT_NE(twice.message().find("rows 0 to 299 cannot be read"), std::string_view::npos) << twice.ToString();
  ASSERT_TRUE(fs_.FlipBit(parquet, 2000, 1).ok());
  Open();  // from the segment file
  ExpectAllIsThere();
  store_.reset();
  ASSERT_TRUE(fs_.FlipBit(Files(".bits").front(), 0, 1).ok());
  EXPECT_EQ(TryOpen().code(), StatusCode::kDataLoss);
  ASSERT_TRUE(fs_.FlipBit(Files(".bits").front(), 0, 1).ok());
  ASSERT_TRUE(fs_.Rename(parquet, parquet + ".aside").ok());
  EXPECT_FALSE(TryOpen().ok());  // never without a file that holds rows
  ASSERT_TRUE(fs_.Rename(parquet + ".aside", parquet).ok());
  Open();
  ExpectAllIsThere();
}

TEST_P(RestartTest, VectorsThatNoFileHasAnyMoreAreReported) {
  tidy_files_ = false;
  Open();
  PutMany("a", 0, kSegmentRows);  // a full one: no part of it is checked before it is used
  ASSERT_TRUE(store_->Checkpoint().ok());
  store_.reset();
  ASSERT_TRUE(fs_.FlipBit(Files(".parquet").front(), 2000, 1).ok());
  ASSERT_TRUE(fs_.FlipBit(Files(".vectors").front(), 4096 + 2000, 1).ok());
  Open();
  WaitForCheck();
  const std::lock_guard lock(warnings_mu_);
  const bool reported = std::any_of(warnings_.begin(), warnings_.end(), [](const std::string& line) {
    return line.find("vectors are lost") != std::string::npos && line.find("rows 0 to 399") != std::string::npos;
  });
  EXPECT_TRUE(reported);
}

}  // namespace
}  // namespace longbow::engine
