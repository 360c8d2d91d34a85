#include "storage/mapped_file.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/crc32c.h"
#include "base/fault_file_system.h"
#include "base/memory_file_system.h"
#include "base/random.h"
#include "storage/columns_file.h"

namespace longbow::storage {
namespace {

constexpr const char* kPath = "/data/x.mapped";
const MappedContent kContent{.kind = MappedKind::kVectors, .rows = 77, .shape = {1, 2, 3}};

class MappedFileTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(disk_.CreateDirectories("/data").ok() && disk_.SyncDirectory("/").ok()); }

  static std::string Bytes(size_t size, uint64_t seed) {
    Random random(seed);
    std::string bytes(size, '\0');
    for (char& byte : bytes) {
      byte = static_cast<char>(random.Below(256));
    }
    return bytes;
  }
  FileDigest Write(const std::string& path, const std::string& first, const std::string& second) {
    auto writer = *MappedFileWriter::Create(fs_, path, kContent);
    EXPECT_TRUE(writer->BeginSection(MappedSection::kRows).ok());
    for (size_t begin = 0; begin < first.size(); begin += 100'000) {  // in pieces that fit no group
      EXPECT_TRUE(writer->Append(first.data() + begin, std::min<size_t>(100'000, first.size() - begin)).ok());
    }
    EXPECT_TRUE(writer->BeginSection(MappedSection::kInverseNorms).ok());
    EXPECT_TRUE(writer->Append(second.data(), second.size()).ok());
    return *writer->Finish();
  }

  MemoryFileSystem disk_;
  FaultFileSystem fs_{disk_};
};

TEST_F(MappedFileTest, GivesBackItsSections) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{4096}, kMappedGroupBytes, 3 * kMappedGroupBytes + 5}) {
    const std::string path = "/data/" + std::to_string(size);
    const std::string first = Bytes(size, 1);
    const std::string second = Bytes(1000, 2);
    const FileDigest digest = Write(path, first, second);
    const auto file = MappedFile::Open(fs_, path, digest, kContent);
    ASSERT_TRUE(file.ok()) << file.status().ToString();
    EXPECT_EQ(file->SizeOf(MappedSection::kRows), size);
    EXPECT_EQ(file->SizeOf(MappedSection::kColumns), 0u);
    EXPECT_EQ(file->Map(MappedSection::kRows)->view(), first);
    EXPECT_EQ(file->Map(MappedSection::kInverseNorms)->view(), second);
    EXPECT_EQ(file->Map(MappedSection::kColumns).status().code(), StatusCode::kDataLoss);
    std::string over(size, 'x');
    ASSERT_TRUE(file->MapOver(MappedSection::kRows, over.data()).ok());
    EXPECT_EQ(over, first);
    EXPECT_TRUE(file->Verify([] { return true; })->empty());
    EXPECT_EQ(file->Verify([] { return false; }).status().code(), StatusCode::kCancelled);
  }
}

// Every byte turned over: seen when the file is opened or when it is verified, and then as the group it is in.
TEST_F(MappedFileTest, SeesEveryFlippedByte) {
  const std::string first = Bytes(5000, 1);
  const std::string second = Bytes(3000, 2);
  const FileDigest digest = Write(kPath, first, second);
  const uint64_t second_at = 3 * 4096;
  for (uint64_t offset = 0; offset < digest.size_bytes; ++offset) {
    ASSERT_TRUE(fs_.FlipBit(kPath, offset, static_cast<int>(offset % 8)).ok());
    const auto file = MappedFile::Open(fs_, kPath, digest, kContent);
    const bool in_first = offset >= 4096 && offset < 4096 + first.size();
    const bool in_second = offset >= second_at && offset < second_at + second.size();
    const bool is_padding = !in_first && !in_second && offset >= 4096 && offset < 4 * 4096;
    ASSERT_EQ(file.ok(), in_first || in_second || is_padding) << offset;
    if (!file.ok()) {
      EXPECT_EQ(file.status().code(), StatusCode::kDataLoss) << file.status().ToString();
      EXPECT_NE(file.status().message().find(kPath), std::string_view::npos);
    } else {
      const auto damages = *file->Verify([] { return true; });
      ASSERT_EQ(damages.size(), is_padding ? 0u : 1u) << offset;
      if (!is_padding) {
        EXPECT_EQ(damages[0].section, in_first ? MappedSection::kRows : MappedSection::kInverseNorms);
        EXPECT_EQ(damages[0].size_bytes, in_first ? first.size() : second.size());
        EXPECT_FALSE(file->CheckMapped(damages[0].section, *file->Map(damages[0].section)).ok());
      }
    }
    ASSERT_TRUE(fs_.FlipBit(kPath, offset, static_cast<int>(offset % 8)).ok());
  }
}

TEST_F(MappedFileTest, RefusesEveryCut) {
  const FileDigest digest = Write(kPath, Bytes(5000, 1), Bytes(300, 2));
  auto file = *disk_.Open(kPath, OpenMode::kReadWrite);
  for (uint64_t size = digest.size_bytes; size-- > 0;) {
    ASSERT_TRUE(file->Truncate(size).ok());
    EXPECT_EQ(MappedFile::Open(fs_, kPath, digest, kContent).status().code(), StatusCode::kDataLoss);
  }
}

TEST_F(MappedFileTest, RefusesFilesOfOtherRows) {
  const FileDigest digest = Write(kPath, Bytes(5000, 1), Bytes(300, 2));
  const FileDigest other = Write("/data/other", Bytes(5000, 3), Bytes(300, 2));
  EXPECT_EQ(digest.size_bytes, other.size_bytes);
  EXPECT_EQ(MappedFile::Open(fs_, kPath, other, kContent).status().code(), StatusCode::kDataLoss);
  for (MappedContent content :
       {MappedContent{MappedKind::kColumns, 77, {1, 2, 3}}, MappedContent{MappedKind::kVectors, 78, {1, 2, 3}},
        MappedContent{MappedKind::kVectors, 77, {1, 2, 4}}}) {
    EXPECT_EQ(MappedFile::Open(fs_, kPath, digest, content).status().code(), StatusCode::kDataLoss);
  }
}

// Right checksums everywhere, impossible contents: what a bug or a forger would write.
TEST_F(MappedFileTest, RefusesImpossibleContentsWithRightChecksums) {
  FileDigest digest = Write(kPath, Bytes(5000, 1), Bytes(300, 2));
  const std::string whole = *ReadWholeFile(fs_, kPath);
  Random random(5);
  int newer = 0;
  for (uint32_t at = 8; at < 72; at += 4) {
    if (at == 12) {
      continue;
    }
    for (const uint32_t value : {0u, 3u, 1000u, 0x7fffffffu, ~0u}) {
      std::string forged = whole;
      if (std::memcmp(forged.data() + at, &value, 4) == 0) {
        continue;
      }
      std::memcpy(forged.data() + at, &value, 4);
      std::memset(forged.data() + 12, 0, 4);
      const uint32_t crc = Crc32c(0, forged.data(), 4096);
      std::memcpy(forged.data() + 12, &crc, 4);
      digest.crc32c = Crc32c(0, forged.data(), 4096);
      ASSERT_TRUE(WriteWholeFile(fs_, kPath, forged).ok());
      const Status status = MappedFile::Open(fs_, kPath, digest, kContent).status();
      EXPECT_TRUE(status.code() == StatusCode::kDataLoss || status.code() == StatusCode::kFailedPrecondition)
          << "at " << at << ": " << status.ToString();
      newer += status.code() == StatusCode::kFailedPrecondition ? 1 : 0;
    }
  }
  EXPECT_EQ(newer, 4);  // versions above 1
}

TEST_F(MappedFileTest, ColumnsComeBackJoinedAndChecked) {
  const auto schema = arrow::schema({arrow::field("id", arrow::int64()), arrow::field("name", arrow::utf8()),
                                     arrow::field("kind", arrow::dictionary(arrow::int8(), arrow::utf8()))});
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  int64_t next = 0;
  for (const int64_t rows : {1, 3, 70'000, 2, 100}) {
    arrow::Int64Builder ids;
    arrow::StringBuilder names;
    arrow::StringDictionaryBuilder kinds;
    for (int64_t i = 0; i < rows; ++i, ++next) {
      ASSERT_TRUE(ids.Append(next).ok() && names.Append("name " + std::to_string(next)).ok() &&
                  kinds.Append(next % 2 == rows % 2 ? "a" : "b").ok());
    }
    std::shared_ptr<arrow::Array> kind = *kinds.Finish();
    const auto indices = *static_cast<const arrow::DictionaryArray&>(*kind).indices()->View(arrow::int8());
    kind = *arrow::DictionaryArray::FromArrays(schema->field(2)->type(), indices,
                                               static_cast<const arrow::DictionaryArray&>(*kind).dictionary());
    batches.push_back(arrow::RecordBatch::Make(schema, rows, {*ids.Finish(), *names.Finish(), kind}));
  }
  const FileDigest digest = *WriteColumnsFile(fs_, kPath, schema, batches);
  const auto read = MapColumnsFile(fs_, kPath, digest, 70'106);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  ASSERT_EQ(read->size(), 2u);
  const auto expected = *(*arrow::Table::FromRecordBatches(schema, batches))->CombineChunks();
  const auto got = *(*arrow::Table::FromRecordBatches(schema, *read))->CombineChunks();
  ASSERT_TRUE(got->ValidateFull().ok());
  EXPECT_TRUE(got->column(0)->Equals(expected->column(0)) && got->column(1)->Equals(expected->column(1)));
  for (int64_t row = 0; row < 70'106; row += 997) {
    EXPECT_EQ((*got->column(2)->GetScalar(row))->ToString(), (*expected->column(2)->GetScalar(row))->ToString());
  }
  EXPECT_EQ(MapColumnsFile(fs_, kPath, digest, 70'105).status().code(), StatusCode::kDataLoss);
  ASSERT_TRUE(fs_.FlipBit(kPath, 4096 + 600'000, 3).ok());
  EXPECT_EQ(MapColumnsFile(fs_, kPath, digest, 70'106).status().code(), StatusCode::kDataLoss);
}

// Right checksums do not make offsets that lead nowhere.
TEST_F(MappedFileTest, ColumnsThatDoNotHoldTogetherAreDataLoss) {
  const auto offsets = arrow::Buffer::FromString(std::string("\0\0\0\0\x7f\0\0\0\2\0\0\0", 12));
  const auto text = std::make_shared<arrow::StringArray>(2, offsets, arrow::Buffer::FromString("ab"));
  const auto not_utf8 = std::make_shared<arrow::StringArray>(
      2, arrow::Buffer::FromString(std::string("\0\0\0\0\1\0\0\0\2\0\0\0", 12)), arrow::Buffer::FromString("\xff."));
  const auto schema = arrow::schema({arrow::field("text", arrow::utf8())});
  for (const auto& column : {text, not_utf8}) {
    const std::string path = "/data/" + std::to_string(column == text);
    const FileDigest digest = *WriteColumnsFile(fs_, path, schema, {arrow::RecordBatch::Make(schema, 2, {column})});
    const Status refused = MapColumnsFile(fs_, path, digest, 2).status();
    EXPECT_EQ(refused.code(), StatusCode::kDataLoss) << refused.ToString();
    EXPECT_NE(refused.message().find(path), std::string_view::npos);
  }
}

TEST_F(MappedFileTest, ColumnsMayBeNone) {
  const auto schema = arrow::schema({});
  const auto rows = arrow::RecordBatch::Make(schema, 12, std::vector<std::shared_ptr<arrow::Array>>());
  const FileDigest digest = *WriteColumnsFile(fs_, kPath, schema, {rows});
  const auto read = MapColumnsFile(fs_, kPath, digest, 12);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ((*read)[0]->num_rows(), 12);
}

TEST_F(MappedFileTest, FailedWritesAreErrors) {
  for (uint64_t nth = 1;; ++nth) {
    FaultFileSystem fs(disk_);
    fs.FailAllFrom(nth, FaultKind::kNoSpace);
    const std::string path = "/data/failing-" + std::to_string(nth);
    auto writer = MappedFileWriter::Create(fs, path, kContent);
    if (!writer.ok()) {
      continue;
    }
    Status status = (*writer)->BeginSection(MappedSection::kRows);
    const std::string bytes = Bytes(2 * kMappedGroupBytes + 1, 1);
    if (status.ok()) {
      status = (*writer)->Append(bytes.data(), bytes.size());
    }
    const auto digest = status.ok() ? (*writer)->Finish() : Result<FileDigest>(status);
    if (digest.ok()) {
      EXPECT_GT(nth, 5u);
      break;
    }
    EXPECT_EQ(digest.status().code(), StatusCode::kResourceExhausted);
  }
}

}  // namespace
}  // namespace longbow::storage
