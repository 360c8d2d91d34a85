// Snapshots of a store at work, restored, damaged, interrupted at every step.
#include "engine/snapshot.h"

#include <gtest/gtest.h>

#include <future>
#include <map>
#include <set>

#include "base/fault_file_system.h"
#include "base/memory_file_system.h"
#include "engine/scan.h"
#include "engine/snapshot_places.h"
#include "engine/snapshot_removal.h"
#include "engine/store.h"
#include "engine/test_rows.h"
#include "engine/test_store.h"

namespace longbow::engine {
namespace {

using storage::SnapshotIndex;

constexpr int kDimension = 8;
const std::string kPlace = "/top/snapshots";

using Model = std::map<std::string, std::map<int64_t, TestRow>>;

class SnapshotTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(memory_.CreateDirectories("/top").ok() && memory_.SyncDirectory("/").ok()); }

  Status TryOpen(const std::string& data) {
    store_.reset();
    StoreOptions options = TestStoreOptions(data, 200);
    options.tidy_files = false;
    options.compact = false;
    auto store = Store::Open({fs_, RealClock(), logger_, metrics_}, options);
    if (store.ok()) {
      store_ = std::move(*store);
    }
    return store.status();
  }
  void Open(const std::string& data) {
    const Status status = TryOpen(data);
    ASSERT_TRUE(status.ok()) << status.ToString();
  }
  void Put(const std::string& name, int64_t first, int64_t count) {
    std::vector<TestRow> rows;
    for (int64_t id = first; id < first + count; ++id) {
      rows.push_back({id, RandomVector(random_, kDimension), "name " + std::to_string(random_.Next())});
      model_[name][id] = rows.back();
    }
    std::promise<Status> answer;
    store_->Put(name, WithEncoding(TestBatch(schema_, rows)), nullptr,
                [&](Status status) { answer.set_value(std::move(status)); });
    const Status status = answer.get_future().get();
    ASSERT_TRUE(status.ok()) << status.ToString();
  }
  void Delete(const std::string& name, int64_t id) {
    ASSERT_TRUE(store_->Delete(name, {std::to_string(id)}).ok());
    model_[name].erase(id);
  }
  Model Content() {
    Model content;
    for (const auto& collection : store_->List()) {
      auto& rows = content[collection->name];
      ScanRequest request;
      request.collection = collection->name;
      auto cursor = *ScanCursor::Open(collection->shard, request);
      for (auto batch = *cursor->Next(nullptr); batch != nullptr; batch = *cursor->Next(nullptr)) {
        for (TestRow& row : RowsOf(*batch)) {
          rows[row.id] = row;
        }
      }
    }
    return content;
  }

  std::unique_ptr<SnapshotTarget> Target(TargetAccess access) {
    auto target = OpenPath(fs_, kPlace, {}, access);
    EXPECT_TRUE(target.ok()) << target.status().ToString();
    return target.ok() ? std::move(*target) : nullptr;
  }
  Result<SnapshotIndex> Take(const std::string& collection = "") {
    LB_ASSIGN(const auto manifest, store_->PinCheckpoint());
    return TakeOf(*manifest, collection);
  }
  Result<SnapshotIndex> TakeOf(const storage::Manifest& manifest, const std::string& collection = "") {
    LB_ASSIGN(const auto target, OpenPath(fs_, kPlace, {}, TargetAccess::kWrite));
    copied_ = 0;
    SnapshotProgress progress;
    ++taken_;
    Result<SnapshotIndex> index = WriteSnapshot(
        store_->folder(), manifest,
        {MakeSnapshotId(1'700'000'000'000'000'000 + taken_ * 1'000'000'000, random_.Next()), collection, taken_},
        *target, &known_, nullptr, &progress);
    if (index.ok()) {
      EXPECT_EQ(progress.files_done.load(), progress.files_total.load());
      EXPECT_EQ(progress.bytes_done.load(), progress.bytes_total.load());
      EXPECT_EQ(progress.bytes_total.load(), index->size_bytes());
    }
    copied_ = progress.bytes_copied;
    return index;
  }
  Status RestoreTo(const std::string& data, const std::string& id = "") {
    LB_ASSIGN(const auto source, OpenPath(fs_, kPlace, {}, TargetAccess::kRead));
    SnapshotProgress progress;
    return RestoreSnapshot(fs_, *source, {id, data, TestSegmentOptions(200), 64 << 10}, RealClock(), &progress)
        .status();
  }
  void ExpectRestores(const std::string& data, const std::string& id, const Model& expected) {
    const Status status = RestoreTo(data, id);
    ASSERT_TRUE(status.ok()) << status.ToString();
    ASSERT_NO_FATAL_FAILURE(Open(data));
    EXPECT_EQ(Content(), expected);
  }

  MemoryFileSystem memory_;
  FaultFileSystem fs_{memory_};
  Logger logger_{LoggerOptions{.level = LogLevel::kError}};
  Metrics metrics_;
  Random random_{7};
  std::shared_ptr<arrow::Schema> schema_ = TestSchema(kDimension);
  std::unique_ptr<Store> store_;
  Model model_;
  KnownContents known_;
  uint64_t copied_ = 0;
  int64_t taken_ = 0;
  size_t compacted_ = 0;
};

TEST_F(SnapshotTest, ComesBackAsItWasWhileTheStoreGoesOn) {
  Open("/top/data");
  Put("a", 0, 500);
  Put("b", 0, 50);
  Delete("a", 17);
  const Model then = model_;
  const auto manifest = store_->PinCheckpoint();
  ASSERT_TRUE(manifest.ok());
  // Everything that names the pinned files goes; they stay.
  Put("a", 100, 500);
  ASSERT_TRUE(store_->DropCollection("b").ok());
  ASSERT_TRUE(store_->Checkpoint().ok());
  Put("a", 600, 100);
  ASSERT_TRUE(store_->Checkpoint().ok());
  const auto index = TakeOf(**manifest);
  ASSERT_TRUE(index.ok()) << index.status().ToString();
  EXPECT_EQ(index->collections, (std::vector<storage::SnapshotCollection>{{"a", 499}, {"b", 50}}));
  ExpectRestores("/top/restored", "", then);
  Put("a", 0, 10);  // and it takes writes, whose numbers follow
  Open("/top/restored");
  EXPECT_EQ(Content()["a"].size(), then.at("a").size());
}

TEST_F(SnapshotTest, PinnedFilesGoWhenTheyAreLetGo) {
  Open("/top/data");
  Put("a", 0, 50);
  auto manifest = *store_->PinCheckpoint();
  ASSERT_TRUE(store_->DropCollection("a").ok());
  ASSERT_TRUE(store_->Checkpoint().ok());
  EXPECT_FALSE(fs_.List("/top/data/segments")->empty());
  manifest.reset();
  Put("b", 0, 1);
  ASSERT_TRUE(store_->Checkpoint().ok());
  EXPECT_EQ(fs_.List("/top/data/segments")->size(), 1u);
}

TEST_F(SnapshotTest, CopiesOnlyWhatIsNotThere) {
  Open("/top/data");
  Put("a", 0, 1000);
  ASSERT_TRUE(Take().ok());
  const uint64_t first = copied_;
  known_.clear();  // as after a restart
  ASSERT_TRUE(Take().ok());
  EXPECT_EQ(copied_, 0u);
  Put("b", 0, 20);
  ASSERT_TRUE(Take().ok());
  EXPECT_GT(copied_, 0u);
  EXPECT_LT(copied_, first / 2);
  EXPECT_EQ(ListSnapshots(*Target(TargetAccess::kRead))->size(), 3u);
}

// Its files have the names of the first one's.
TEST_F(SnapshotTest, AnotherStoreMayUseTheSamePlace) {
  Open("/top/data");
  Put("a", 0, 100);
  const Model first = model_;
  const auto first_index = Take();
  ASSERT_TRUE(first_index.ok());
  store_.reset();
  ASSERT_TRUE(fs_.RemoveTree("/top/data").ok());
  model_.clear();
  Open("/top/data");
  Put("a", 0, 100);
  known_.clear();
  const auto second_index = Take();
  ASSERT_TRUE(second_index.ok());
  EXPECT_EQ(first_index->files[1].file, second_index->files[1].file);
  EXPECT_NE(first_index->files[1].hash, second_index->files[1].hash);
  ExpectRestores("/top/r1", first_index->id, first);
  ExpectRestores("/top/r2", second_index->id, model_);
}

TEST_F(SnapshotTest, OneCollection) {
  Open("/top/data");
  Put("a", 0, 100);
  Put("b", 0, 100);
  const auto index = Take("b");
  ASSERT_TRUE(index.ok());
  EXPECT_EQ(RestoreTo("/top/restored").code(), StatusCode::kNotFound) << "it is not one of a whole store";
  ExpectRestores("/top/restored", index->id, {{"b", model_["b"]}});
  Open("/top/data");
  EXPECT_EQ(Take("c").status().code(), StatusCode::kNotFound);
}

TEST_F(SnapshotTest, AnEmptyStore) {
  Open("/top/data");
  ASSERT_TRUE(Take().ok());
  ExpectRestores("/top/restored", "", {});
}

TEST_F(SnapshotTest, ADamagedFileOfTheStoreIsNotTaken) {
  Open("/top/data");
  Put("a", 0, 100);
  Delete("a", 3);
  const auto manifest = *store_->PinCheckpoint();
  std::vector<storage::NamedFile> files;
  storage::ForEachFile(*manifest, [&](const auto&, const storage::NamedFile& file, auto role, auto) {
    if (file.any() && role != storage::FileRole::kGraph) {
      files.push_back(file);
    }
  });
  ASSERT_EQ(files.size(), 4u);
  for (const storage::NamedFile& file : files) {
    for (const uint64_t offset : {uint64_t{0}, file.digest.size_bytes / 2, file.digest.size_bytes - 1}) {
      ASSERT_TRUE(fs_.FlipBit("/top/data/" + file.file, offset, 3).ok());
      known_.clear();
      const Status status = TakeOf(*manifest).status();
      ASSERT_EQ(status.code(), StatusCode::kDataLoss) << file.file << " at " << offset;
      EXPECT_NE(status.message().find(file.file), std::string::npos) << status.message();
      ASSERT_TRUE(fs_.FlipBit("/top/data/" + file.file, offset, 3).ok());
    }
  }
  EXPECT_TRUE(ListSnapshots(*Target(TargetAccess::kRead))->empty());
  EXPECT_TRUE(TakeOf(*manifest).ok());
}

TEST_F(SnapshotTest, ADamagedSnapshotIsNamedAndLeavesNothingThatOpens) {
  Open("/top/data");
  Put("a", 0, 100);
  Put("b", 0, 100);
  const SnapshotIndex index = *Take();
  const Model then = model_;
  int folder = 0;
  const auto expect_loss = [&](const std::string& object, const char* what) {
    const std::string data = "/top/r" + std::to_string(++folder);
    const Status status = RestoreTo(data);
    EXPECT_EQ(status.code(), StatusCode::kDataLoss) << what << ": " << status.ToString();
    EXPECT_NE(status.message().find(object), std::string::npos) << what << ": " << status.ToString();
    if (*fs_.Exists(data)) {
      EXPECT_EQ(TryOpen(data).code(), StatusCode::kFailedPrecondition) << what;
    }
    return data;
  };
  std::string last;
  for (const storage::SnapshotFile& file : index.files) {
    const std::string path = kPlace + "/" + file.object();
    const std::string good = *ReadWholeFile(fs_, path);
    for (const uint64_t offset : {uint64_t{0}, file.size_bytes / 2, file.size_bytes - 1}) {
      ASSERT_TRUE(fs_.FlipBit(path, offset, 5).ok());
      expect_loss(file.object(), "flipped");
      ASSERT_TRUE(fs_.FlipBit(path, offset, 5).ok());
      ASSERT_TRUE(WriteWholeFile(fs_, path, good.substr(0, offset)).ok());
      expect_loss(file.object(), "cut");
      ASSERT_TRUE(WriteWholeFile(fs_, path, good).ok());
    }
    ASSERT_TRUE(WriteWholeFile(fs_, path, good + "x").ok());
    expect_loss(file.object(), "longer");
    ASSERT_TRUE(fs_.Remove(path).ok());
    last = expect_loss(file.object(), "missing");
    ASSERT_TRUE(WriteWholeFile(fs_, path, good).ok());
  }
  const std::string name = storage::SnapshotIndexName(index.id);
  ASSERT_TRUE(fs_.FlipBit(kPlace + "/" + name, 40, 1).ok());
  expect_loss(name, "index");
  ASSERT_TRUE(fs_.FlipBit(kPlace + "/" + name, 40, 1).ok());
  // A rename makes no other snapshot of it.
  const std::string other = "20200101T000000Z-0000000000000000";
  ASSERT_TRUE(fs_.Rename(kPlace + "/" + name, kPlace + "/" + storage::SnapshotIndexName(other)).ok());
  expect_loss(other, "renamed");
  ASSERT_TRUE(fs_.Rename(kPlace + "/" + storage::SnapshotIndexName(other), kPlace + "/" + name).ok());
  ExpectRestores(last, "", then);  // where one was interrupted
}

// The place of the snapshots dies at every step: there is the whole snapshot, or none.
TEST_F(SnapshotTest, IsWholeOrNotThere) {
  Open("/top/data");
  Put("a", 0, 60);
  Put("b", 0, 5);
  const auto manifest = *store_->PinCheckpoint();
  uint64_t whole = 0;
  for (uint64_t point = 1; point < 200; ++point) {
    fs_.FailAllFrom(point, FaultKind::kShortWrite);
    const auto index = TakeOf(*manifest);
    fs_.Heal();
    const auto listed = OpenPath(fs_, kPlace, {}, TargetAccess::kRead);
    const size_t snapshots = listed.ok() ? ListSnapshots(**listed)->size() : 0;
    if (index.ok()) {
      EXPECT_EQ(snapshots, 1u);
      ++whole;
      break;
    }
    if (snapshots == 1) {  // only that it is durable was not said
      ExpectRestores("/top/r" + std::to_string(point), "", model_);
      Open("/top/data");
      ASSERT_TRUE(
          fs_.Remove(kPlace + "/" + storage::SnapshotIndexName(ListSnapshots(**listed)->front().index.id)).ok());
    }
  }
  EXPECT_EQ(whole, 1u) << "more steps than were tried";
}

// The machine dies at every step of a restore; the next one goes on.
TEST_F(SnapshotTest, ARestoreIsWholeOrGoesOn) {
  Open("/top/data");
  Put("a", 0, 60);
  Put("b", 0, 5);
  Delete("a", 1);
  ASSERT_TRUE(Take().ok());
  store_.reset();
  for (uint64_t point = 1;; ++point) {
    ASSERT_LT(point, 400u);
    const std::string data = "/top/restored" + std::to_string(point);
    fs_.FailAllFrom(point, FaultKind::kShortWrite);
    const Status status = RestoreTo(data);
    fs_.Heal();
    memory_.Crash(MemoryFileSystem::Unsynced::kTorn, point);
    if (status.ok()) {
      ASSERT_NO_FATAL_FAILURE(Open(data));
      EXPECT_EQ(Content(), model_);
      break;
    }
    if (*fs_.Exists(data + "/FORMAT")) {  // the last step
      ASSERT_NO_FATAL_FAILURE(Open(data));
      EXPECT_EQ(Content(), model_);
    } else {
      if (*fs_.Exists(data + "/RESTORING")) {
        EXPECT_EQ(TryOpen(data).code(), StatusCode::kFailedPrecondition) << point;
      }
      ASSERT_NO_FATAL_FAILURE(ExpectRestores(data, "", model_)) << point;
    }
    store_.reset();
  }
}

TEST_F(SnapshotTest, RemovingOneLeavesWhatOthersNeed) {
  Open("/top/data");
  Put("a", 0, 300);
  const SnapshotIndex first = *Take();
  const Model then = model_;
  Put("a", 0, 300);  // all of it is replaced
  ASSERT_TRUE(store_->Compact(&compacted_).ok());
  const SnapshotIndex second = *Take();
  const Model later = model_;
  Put("b", 0, 30);
  const SnapshotIndex of_b = *Take("b");
  const auto target = Target(TargetAccess::kWrite);
  const size_t objects = target->List("objects")->size();

  EXPECT_EQ(RemoveSnapshots(*target, {first.id, "20200101T000000Z-0000000000000000"}, nullptr).status().code(),
            StatusCode::kNotFound);
  EXPECT_EQ(RemoveSnapshots(*target, {"../data"}, nullptr).status().code(), StatusCode::kNotFound);
  const auto nothing = RemoveSnapshots(*target, {}, nullptr);
  ASSERT_TRUE(nothing.ok());
  EXPECT_EQ(nothing->objects, 0u);
  ASSERT_EQ(target->List("objects")->size(), objects);

  const auto listed = *ListSnapshots(*target);
  EXPECT_EQ(OlderSnapshots(listed, 1), std::vector<std::string>{first.id});
  EXPECT_TRUE(OlderSnapshots(listed, 2).empty());
  const auto removed = RemoveSnapshots(*target, {first.id}, nullptr);
  ASSERT_TRUE(removed.ok()) << removed.status().ToString();
  EXPECT_GT(removed->objects, 0u);
  EXPECT_EQ(target->List("objects")->size(), objects - removed->objects);
  ExpectRestores("/top/r1", second.id, later);
  ExpectRestores("/top/r2", of_b.id, {{"b", model_["b"]}});
  EXPECT_EQ(RestoreTo("/top/r3", first.id).code(), StatusCode::kNotFound);
}

TEST_F(SnapshotTest, ASnapshotThatCannotBeReadKeepsWhatItMayNeed) {
  Open("/top/data");
  Put("a", 0, 50);
  const SnapshotIndex first = *Take();
  Put("a", 50, 50);
  const SnapshotIndex second = *Take();
  ASSERT_TRUE(fs_.FlipBit(kPlace + "/" + storage::SnapshotIndexName(second.id), 60, 1).ok());
  const auto target = Target(TargetAccess::kWrite);
  EXPECT_EQ(RemoveSnapshots(*target, {first.id}, nullptr).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(OlderSnapshots(*ListSnapshots(*target), 1).empty());
  ASSERT_TRUE(RemoveSnapshots(*target, {second.id}, nullptr).ok());
  ExpectRestores("/top/restored", "", {{"a", [&] {
                                          auto rows = model_["a"];
                                          rows.erase(rows.find(50), rows.end());
                                          return rows;
                                        }()}});
}

// The place dies at every step of a removal: what is listed can be restored, and the next removal gives back the rest.
TEST_F(SnapshotTest, ARemovalIsWholeOrGoesOn) {
  Open("/top/data");
  Put("a", 0, 60);
  SnapshotIndex first = *Take();
  Put("b", 0, 5);
  const SnapshotIndex second = *Take();
  const Model then = model_;
  const size_t objects_of_both = Target(TargetAccess::kRead)->List("objects")->size();
  bool done = false;
  for (uint64_t point = 1; point < 100 && !done; ++point) {
    auto target = Target(TargetAccess::kWrite);
    fs_.FailAllFrom(point, FaultKind::kShortWrite);
    done = RemoveSnapshots(*target, {first.id}, nullptr).ok();
    fs_.Heal();
    target.reset();
    memory_.Crash(MemoryFileSystem::Unsynced::kTorn, point);
    target = Target(TargetAccess::kWrite);
    const auto listed = *ListSnapshots(*target);
    ASSERT_TRUE(!listed.empty() && listed.size() <= 2) << point;
    for (const ListedSnapshot& snapshot : listed) {
      ASSERT_TRUE(snapshot.status.ok());
      ASSERT_TRUE(RestoreTo("/top/r" + std::to_string(point) + snapshot.index.id, snapshot.index.id).ok()) << point;
    }
    ASSERT_TRUE(RemoveSnapshots(*target, {}, nullptr).ok());
    if (listed.size() == 1) {
      EXPECT_LT(target->List("objects")->size(), objects_of_both);
      target.reset();
      ASSERT_NO_FATAL_FAILURE(ExpectRestores("/top/s" + std::to_string(point), second.id, then));
      Open("/top/data");
      known_.clear();
      first = *Take();  // for the next round
    }
  }
  EXPECT_TRUE(done) << "more steps than were tried";
}

TEST_F(SnapshotTest, PlacesAreNotForClientsToChoose) {
  SnapshotPlaces places;
  EXPECT_EQ(OpenPlace(fs_, places, "", TargetAccess::kRead, nullptr).status().code(), StatusCode::kFailedPrecondition);
  places.folder = kPlace;
  EXPECT_TRUE(OpenPlace(fs_, places, "", TargetAccess::kWrite, nullptr).ok());
  EXPECT_TRUE(OpenPlace(fs_, places, "local", TargetAccess::kRead, nullptr).ok());
  EXPECT_EQ(OpenPlace(fs_, places, "s3", TargetAccess::kRead, nullptr).status().code(),
            StatusCode::kFailedPrecondition);
  for (const char* word : {"/", "..", "/top", "local/..", "s3://bucket/x", "file:///top", "LOCAL"}) {
    EXPECT_EQ(OpenPlace(fs_, places, word, TargetAccess::kRead, nullptr).status().code(), StatusCode::kInvalidArgument)
        << word;
  }
}

TEST_F(SnapshotTest, S3SettingsThatCannotBe) {
  for (const char* url :
       {"s3://", "s3://a", "s3://bucket/../x", "s3://bucket/a//b", "s3://bucket/x?endpoint=y", "s3://buck et",
        "s3://user:secret@bucket/x", "s3://bucket/a#b", "gs://bucket", "s3://bucket/%2e"}) {
    EXPECT_EQ(OpenPath(fs_, url, {}, TargetAccess::kRead).status().code(), StatusCode::kInvalidArgument) << url;
  }
  S3Settings half;
  half.access_key_id = "who";
  EXPECT_EQ(OpenPath(fs_, "s3://bucket/x", half, TargetAccess::kRead).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace longbow::engine
