#include "storage/snapshot_index.h"

#include <gtest/gtest.h>

#include <array>

#include "base/memory_file_system.h"
#include "storage/data_dir.h"

namespace longbow::storage {
namespace {

const std::string kHash = "00112233445566778899aabbccddeeff";

SnapshotIndex Example() {
  return {.id = "20260131T120000Z-00000000000000a7",
          .taken_at_ns = 1'769'860'800'000'000'000,
          .lsn = Lsn{42},
          .collection = "",
          .collections = {{"default", 3}, {"ns/b", 0}},
          .files = {{"MANIFEST", 100, kHash}, {"segments/1/0-0-g1.parquet", uint64_t{1} << 40, kHash}}};
}

TEST(SnapshotIndexTest, ComesBackAsItWas) {
  const SnapshotIndex index = Example();
  const auto again = DecodeSnapshotIndex("x", EncodeSnapshotIndex(index));
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ(*again, index);
  EXPECT_EQ(again->files[1].object(), "objects/" + kHash + "-1099511627776");
}

TEST(SnapshotIndexTest, EveryDamageIsSeen) {
  const std::string good = EncodeSnapshotIndex(Example());
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ (1 << i % 8));
    const Status status = DecodeSnapshotIndex("/s/x.json", bad).status();
    ASSERT_EQ(status.code(), StatusCode::kDataLoss) << i;
    ASSERT_NE(status.message().find("/s/x.json' is damaged at offset"), std::string::npos) << status.message();
    ASSERT_EQ(DecodeSnapshotIndex("x", good.substr(0, i)).status().code(), StatusCode::kDataLoss) << i;
  }
}

TEST(SnapshotIndexTest, FilesOutsideTheSegmentsAreRefused) {
  for (const std::string& file :
       {std::string("../x"), std::string("/etc/passwd"), std::string("segments/../FORMAT"), std::string("segments//x"),
        std::string("segments/1/./x"), std::string("segments/1/"), std::string("segments"), std::string("FORMAT"),
        std::string("log/COMMITTED"), std::string(""), std::string("segments/1/..\\x"), std::string("segments/1/a\nb"),
        std::string("segments/1/\0x", 13), std::string("segments/") + std::string(300, 'a'),
        std::string("segments/1/.hidden"), std::string("MANIFEST"), std::string("segments/1/\xc3\xa4")}) {
    SnapshotIndex index = Example();
    index.files[1].file = file;
    EXPECT_EQ(DecodeSnapshotIndex("x", EncodeSnapshotIndex(index)).status().code(), StatusCode::kDataLoss) << file;
  }
  for (const std::string& hash : {std::string("../../x"), kHash + "0", kHash.substr(1), std::string(32, 'G')}) {
    SnapshotIndex index = Example();
    index.files[1].hash = hash;
    EXPECT_EQ(DecodeSnapshotIndex("x", EncodeSnapshotIndex(index)).status().code(), StatusCode::kDataLoss) << hash;
  }
}

TEST(SnapshotIndexTest, IdsAreNoPaths) {
  const std::string id = MakeSnapshotId(1'769'860'800'000'000'000, 0xa7);
  EXPECT_EQ(id, "20260131T120000Z-00000000000000a7");
  EXPECT_TRUE(IsSnapshotId(id));
  for (const char* text :
       {"", ".", "..", "../x", "20260131T120000Z-00000000000000A7", "20260131T120000Z-00000000000000a",
        "20260131T120000Z-00000000000000a7/", "/0260131T120000Z-00000000000000a7", "20260131T120000Z/00000000000000a7",
        "20260131T120000Z-000000000000/../"}) {
    EXPECT_FALSE(IsSnapshotId(text)) << text;
  }
}

class RestoringTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(fs_.CreateDirectories("/top").ok() && fs_.SyncDirectory("/").ok()); }
  StatusCode Open() { return DataDir::Open(fs_, "/top/data", "test").status().code(); }
  StatusCode Begin(const std::string& snapshot) {
    return DataDir::BeginRestore(fs_, "/top/data", snapshot).status().code();
  }

  MemoryFileSystem fs_;
};

TEST_F(RestoringTest, NobodyOpensAFolderThatIsBeingRestored) {
  EXPECT_EQ(Begin("a"), StatusCode::kOk);
  EXPECT_EQ(Open(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Begin("b"), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Begin("a"), StatusCode::kOk);
  ASSERT_TRUE(DataDir::FinishRestore(fs_, "/top/data").ok());
  EXPECT_EQ(Begin("a"), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Open(), StatusCode::kOk);
}

TEST_F(RestoringTest, OnlyEmptyFoldersAreTaken) {
  ASSERT_TRUE(fs_.CreateDirectories("/top/data").ok());
  ASSERT_TRUE(WriteWholeFile(fs_, "/top/data/letter.txt", "dear").ok());
  EXPECT_EQ(Begin("a"), StatusCode::kFailedPrecondition);
  ASSERT_TRUE(fs_.Remove("/top/data/letter.txt").ok());
  EXPECT_EQ(Open(), StatusCode::kOk);
  EXPECT_EQ(Begin("a"), StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace longbow::storage
