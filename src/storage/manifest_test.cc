#include "storage/manifest.h"

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "base/fault_file_system.h"
#include "base/memory_file_system.h"

namespace longbow::storage {
namespace {

constexpr const char* kData = "/data";
constexpr const char* kPath = "/data/MANIFEST";

Manifest Example() {
  Manifest manifest{.generation = 12,
                    .checkpoint = {~uint64_t{0}},
                    .next_shard = {8},
                    .namespaces = {"default", "täglich", ""},
                    .collections = {}};
  CollectionEntry full{.name = "default/\"quoted\"\n",
                       .shard = {7},
                       .schema_ipc = std::string("\0\xff\x01 ipc", 7),
                       .last_index = {5},
                       .end_ordinal = 1'000,
                       .next_segment = 40,
                       .segments = {},
                       .deleted = {"shard-7/3.dead", {8, 0xdeadbeef}}};
  full.segments.push_back({.number = 3,
                           .first_ordinal = 0,
                           .end_ordinal = 30,
                           .parts = {{.rows = 10,
                                      .parquet = {"shard-7/1.parquet", {1'000, 1}},
                                      .vectors = {"shard-7/1.vectors", {1'000, 2}},
                                      .columns = {"shard-7/1.columns", {1, 3}}},
                                     {.rows = 20,
                                      .parquet = {"shard-7/2.parquet", {~uint64_t{0}, ~uint32_t{0}}},
                                      .vectors = {},
                                      .columns = {"shard-7/2.columns", {1, 3}}}},
                           .ordinals = {},
                           .graph = {"shard-7/3.graph", {77, 8}}});
  full.segments.push_back({.number = 39,
                           .first_ordinal = 50,
                           .end_ordinal = 900,
                           .parts = {{.rows = 1, .parquet = {"p", {}}, .vectors = {}, .columns = {"c", {}}}},
                           .ordinals = {"o", {4'096, 9}},
                           .graph = {}});
  manifest.collections = {full, {.name = "empty", .shard = {2}}};
  return manifest;
}

void ExpectSame(const Manifest& a, const Manifest& b) {
  EXPECT_EQ(a.generation, b.generation);
  EXPECT_EQ(a.checkpoint, b.checkpoint);
  EXPECT_EQ(a.log_id, b.log_id);
  EXPECT_EQ(a.next_shard, b.next_shard);
  EXPECT_EQ(a.namespaces, b.namespaces);
  ASSERT_EQ(a.collections.size(), b.collections.size());
  for (size_t i = 0; i < a.collections.size(); ++i) {
    const CollectionEntry& x = a.collections[i];
    const CollectionEntry& y = b.collections[i];
    EXPECT_EQ(x.name, y.name);
    EXPECT_EQ(x.shard, y.shard);
    EXPECT_EQ(x.schema_ipc, y.schema_ipc);
    EXPECT_EQ(x.last_index, y.last_index);
    EXPECT_EQ(x.end_ordinal, y.end_ordinal);
    EXPECT_EQ(x.next_segment, y.next_segment);
    EXPECT_EQ(x.segments, y.segments);
    EXPECT_EQ(x.deleted, y.deleted);
  }
}

class ManifestFile : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(fs_.CreateDirectories(kData).ok() && fs_.SyncDirectory("/").ok()); }

  // A manifest with this JSON and a right first line, as another program of ours might have written it.
  Status ReadForged(const std::string& version, const std::string& json) {
    std::string line = "LONGBOW-MANIFEST " + version + " " + std::to_string(json.size()) + " ";
    char crc[9];
    std::snprintf(crc, sizeof(crc), "%08x", Crc32c(0, (line + json).data(), line.size() + json.size()));
    EXPECT_TRUE(WriteWholeFile(fs_, kPath, line + crc + "\n" + json).ok());
    return ReadManifest(fs_, kData).status();
  }

  MemoryFileSystem fs_;
};

TEST_F(ManifestFile, IsNoneWhereThereIsNone) { EXPECT_FALSE(ReadManifest(fs_, kData).value().has_value()); }

TEST_F(ManifestFile, BringsBackWhatWasWritten) {
  for (const Manifest& manifest : {Manifest(), Example(), Manifest{.checkpoint = {3}, .log_id = UINT64_MAX}}) {
    ASSERT_TRUE(WriteManifest(fs_, kData, manifest).ok());
    fs_.Crash(MemoryFileSystem::Unsynced::kForgotten, 0);
    const Result<std::optional<Manifest>> read = ReadManifest(fs_, kData);
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    ASSERT_TRUE(read.value().has_value());
    ExpectSame(**read, manifest);
  }
}

// Every byte, changed into every other byte.
TEST_F(ManifestFile, SeesEveryChangedByteAndEveryCut) {
  ASSERT_TRUE(WriteManifest(fs_, kData, Example()).ok());
  const std::string good = ReadWholeFile(fs_, kPath).value();
  for (size_t offset = 0; offset < good.size(); ++offset) {
    for (int change = 1; change < 256; change = offset < 64 ? change + 1 : change * 2) {
      std::string bad = good;
      bad[offset] = static_cast<char>(bad[offset] ^ change);
      ASSERT_TRUE(WriteWholeFile(fs_, kPath, bad).ok());
      const Status status = ReadManifest(fs_, kData).status();
      ASSERT_EQ(status.code(), StatusCode::kDataLoss) << offset << " ^ " << change;
      ASSERT_NE(status.message().find(kPath), std::string_view::npos);
    }
    ASSERT_TRUE(WriteWholeFile(fs_, kPath, good.substr(0, offset)).ok());
    ASSERT_EQ(ReadManifest(fs_, kData).status().code(), StatusCode::kDataLoss) << "cut at " << offset;
  }
  ASSERT_TRUE(WriteWholeFile(fs_, kPath, good + "\n").ok());
  EXPECT_EQ(ReadManifest(fs_, kData).status().code(), StatusCode::kDataLoss) << "a byte too many";
}

TEST_F(ManifestFile, RefusesNewerFormats) {
  const Status status = ReadForged("3", R"({"checkpoint": 1})");
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status.ToString();
  EXPECT_NE(status.message().find("format 3"), std::string_view::npos);
  EXPECT_EQ(ReadForged("01", "{}").code(), StatusCode::kDataLoss);
  EXPECT_EQ(ReadForged("", "{}").code(), StatusCode::kDataLoss);
}

TEST_F(ManifestFile, ReadsStrictly) {
  const std::string head = R"({"generation": 3, "checkpoint": 1, "next_shard": 9, "namespaces": [], "collections": [)";
  const auto file = [](const std::string& name) {
    return R"({"file": ")" + name + R"(", "digest": {"size_bytes": 1, "crc32c": 2}})";
  };
  const auto collection = [&](const std::string& end, const std::string& segments, const std::string& more) {
    return head +
           R"({"name": "a", "shard": 1, "schema_ipc": "AA==", "last_index": 1, "next_segment": 5, "end_ordinal": )" +
           end + R"(, "segments": [)" + segments + R"(], "deleted": null)" + more + "}]}";
  };
  const auto segment = [&](const std::string& name, int number, int first, int rows, int end) {
    return R"({"number": )" + std::to_string(number) + R"(, "first_ordinal": )" + std::to_string(first) +
           R"(, "end_ordinal": )" + std::to_string(end) + R"(, "parts": [{"rows": )" + std::to_string(rows) +
           R"(, "parquet": )" + file(name) + R"(, "vectors": null, "columns": )" + file("c") +
           R"(}], "ordinals": null, "graph": null})";
  };
  ASSERT_TRUE(ReadForged("2", head + "]}").ok());
  ASSERT_TRUE(ReadForged("2", collection("2", segment("a/b", 4, 0, 2, 2), "")).ok());
  const std::vector<std::pair<std::string, const char*>> cases = {
      {"", "no JSON"},
      {"[]", "no object"},
      {"{}", "no field 'generation'"},
      {head + R"(], "extra": 1})", "unknown field 'extra'"},
      {collection("0", "", R"(, "extra": 1)"), "collections[0] has an unknown field"},
      {collection("-1", "", ""), "end_ordinal is no number"},
      {collection("1.0", "", ""), "end_ordinal is no number"},
      {collection("\"1\"", "", ""), "end_ordinal is no number"},
      {collection("1", segment("a", 0, 0, 2, 2), ""), "ends at ordinal 1, its segments at 2"},
      {collection("9", segment("a", 0, 1, 2, 2), ""), "2 rows and 1 ordinals"},
      {collection("9", segment("a", 0, 0, 2, 3), ""), "2 rows and 3 ordinals"},
      {collection("9", segment("a", 0, 3, 2, 1), ""), "2 rows and 0 ordinals"},
      {collection("9", segment("a", 0, 0, 0, 0), ""), "a part of 0 rows"},
      {collection("9", segment("a", 5, 0, 2, 2), ""), "no number of its own"},
      {collection("9", segment("a", 1, 0, 2, 2) + "," + segment("b", 1, 2, 1, 3), ""), "no number of its own"},
      {collection("9", segment("a", 1, 0, 2, 2) + "," + segment("b", 2, 1, 1, 2), ""), "does not follow"},
      {collection("2", segment("../a", 0, 0, 2, 2), ""), "no path below"},
      {collection("2", segment("/a", 0, 0, 2, 2), ""), "no path below"},
      {collection("2", segment("a/", 0, 0, 2, 2), ""), "no path below"},
      {collection("2", segment("", 0, 0, 2, 2), ""), "a file without a name"},
      {R"({"generation": 1, "checkpoint": 1, "next_shard": 4294967296, "namespaces": [], "collections": []})",
       "next_shard is no number"},
      {R"({"generation": 1, "checkpoint": 1, "next_shard": 1, "namespaces": [1], "collections": []})",
       "namespaces[0] is no text"},
      {R"({"generation": 1, "checkpoint": 1, "next_shard": 1, "namespaces": {}, "collections": []})",
       "namespaces is no array"},
  };
  for (const auto& [json, reason] : cases) {
    const Status status = ReadForged("2", json);
    EXPECT_EQ(status.code(), StatusCode::kDataLoss) << json;
    EXPECT_NE(status.message().find(reason), std::string_view::npos) << json << "\n" << status.ToString();
  }
}

TEST_F(ManifestFile, IsNotWrittenIfItCouldNotBeRead) {
  Manifest manifest = Example();
  manifest.collections[0].end_ordinal = 31;
  EXPECT_EQ(WriteManifest(fs_, kData, manifest).code(), StatusCode::kInternal);
  manifest = Example();
  manifest.collections[0].name = "\xff";
  EXPECT_EQ(WriteManifest(fs_, kData, manifest).code(), StatusCode::kInvalidArgument);
  EXPECT_FALSE(ReadManifest(fs_, kData).value().has_value());
}

TEST_F(ManifestFile, DeletedRowsAreCheckedAndDurable) {
  const std::vector<uint64_t> bits = {1, ~uint64_t{0}, 0};
  const FileDigest digest = WriteDeletedRows(fs_, "/data/dead", bits).value();
  ASSERT_TRUE(WriteDeletedRows(fs_, "/data/none", {}).ok());
  fs_.Crash(MemoryFileSystem::Unsynced::kForgotten, 0);
  EXPECT_EQ(ReadDeletedRows(fs_, "/data/dead", digest).value(), bits);
  EXPECT_TRUE(ReadDeletedRows(fs_, "/data/none", {}).value().empty());
  FaultFileSystem faults(fs_);
  for (uint64_t offset = 0; offset < digest.size_bytes; ++offset) {
    ASSERT_TRUE(faults.FlipBit("/data/dead", offset, 2).ok());
    EXPECT_EQ(ReadDeletedRows(fs_, "/data/dead", digest).status().code(), StatusCode::kDataLoss);
    ASSERT_TRUE(faults.FlipBit("/data/dead", offset, 2).ok());
  }
  EXPECT_EQ(ReadDeletedRows(fs_, "/data/none", digest).status().code(), StatusCode::kDataLoss);
}

}  // namespace
}  // namespace longbow::storage
