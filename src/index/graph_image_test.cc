// Sealed and lean graphs to bytes and back, whole and damaged.
#include "index/graph_image.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <functional>

#include "base/crc32c.h"
#include "index/lean_graph.h"
#include "index/sealed_graph.h"
#include "index/test_rows.h"

namespace longbow::index {
namespace {

struct Param {
  Metric metric;
  uint32_t dimension;
  bool lean;
};

std::string Join(const Slices& pieces) {
  std::string bytes;
  for (const Slice& piece : pieces) {
    bytes += piece.view();
  }
  return bytes;
}

class GraphImageTest : public testing::TestWithParam<Param> {
 protected:
  static constexpr uint32_t kRows = 3000 / kFewer;

  void SetUp() override {
    rows_ = MakeRows(GetParam().dimension, kRows, GetParam().metric);
    for (LocalId id = 0; id < kRows; ++id) {
      SetRow(*rows_, id, points_.Next());
    }
    const auto active = MakeActive(rows_);
    InsertAll(*active, 0, kRows, 2);
    if (GetParam().lean) {
      auto lean = LeanGraph::Build(*active, {});
      ASSERT_TRUE(lean.ok());
      image_ = Join((*lean)->Image());
      graph_ = std::move(*lean);
    } else {
      // With a projection, and without.
      const float ratio_max = GetParam().dimension > 32 ? 0.67f : 0.0f;
      auto sealed = SealedGraph::Build(*active, {.kept_variance = 0.3f, .code_ratio_max = ratio_max});
      ASSERT_TRUE(sealed.ok());
      image_ = Join((*sealed)->Image());
      EXPECT_EQ((*sealed)->code_dimension() < GetParam().dimension, GetParam().dimension > 32);
      graph_ = std::move(*sealed);
    }
  }

  Result<std::unique_ptr<VectorIndex>> Open(Slice image, const std::shared_ptr<VectorRows>& rows) const {
    if (GetParam().lean) {
      LB_ASSIGN(auto lean, LeanGraph::Open(std::move(image), rows));
      return std::unique_ptr<VectorIndex>(std::move(lean));
    }
    LB_ASSIGN(auto sealed, SealedGraph::Open(std::move(image), rows));
    return std::unique_ptr<VectorIndex>(std::move(sealed));
  }
  StatusCode CodeOf(std::string image) const { return Open(Slice::Own(std::move(image)), rows_).status().code(); }

  void ExpectSameAnswers(const VectorIndex& opened) {
    for (int i = 0; i < 30; ++i) {
      const std::vector<float> query = points_.Next();
      const SearchOptions options{.k = 10, .ef = 50, .filter = {.end = kRows}};
      const auto expected = SearchOrFail(*graph_, *rows_, query, options);
      const auto got = SearchOrFail(opened, *rows_, query, options);
      ASSERT_EQ(expected.size(), got.size());
      for (size_t j = 0; j < got.size(); ++j) {
        EXPECT_EQ(got[j].id, expected[j].id);
        EXPECT_EQ(got[j].distance, expected[j].distance);
      }
    }
  }

  // The image with one change, and with checksums as if it had been written so.
  std::string Forged(const std::function<void(uint8_t*)>& change) const {
    std::string image = image_;
    auto* const bytes = reinterpret_cast<uint8_t*>(image.data());
    uint32_t sections;
    uint64_t header_bytes;
    std::memcpy(&sections, bytes + 36, sizeof(sections));
    std::memcpy(&header_bytes, bytes + 24, sizeof(header_bytes));
    change(bytes);
    uint8_t* checksum = bytes + 64 + sections * 24;
    for (uint32_t i = 0; i < sections; ++i) {
      uint64_t offset_and_size[2];
      std::memcpy(offset_and_size, bytes + 64 + i * 24 + 8, sizeof(offset_and_size));
      const uint64_t end = offset_and_size[0] + (offset_and_size[1] + 63) / 64 * 64;
      for (uint64_t begin = offset_and_size[0]; begin < end && end <= image.size(); begin += 4 << 20) {
        const uint32_t crc = Crc32c(0, bytes + begin, std::min<uint64_t>(4 << 20, end - begin));
        std::memcpy(checksum, &crc, sizeof(crc));
        checksum += sizeof(crc);
      }
    }
    std::memset(bytes + 12, 0, 4);
    const uint32_t crc = Crc32c(0, bytes, header_bytes);
    std::memcpy(bytes + 12, &crc, sizeof(crc));
    return image;
  }

  // Where a section begins, and its size.
  std::pair<uint64_t, uint64_t> Find(ImageSection section) const {
    for (size_t at = 64;; at += 24) {
      uint32_t tag;
      uint64_t offset_and_size[2];
      std::memcpy(&tag, image_.data() + at, sizeof(tag));
      std::memcpy(offset_and_size, image_.data() + at + 8, sizeof(offset_and_size));
      if (tag == static_cast<uint32_t>(section)) {
        return {offset_and_size[0], offset_and_size[1]};
      }
    }
  }

  ClusteredPoints points_{GetParam().dimension, 20, 5};
  std::shared_ptr<VectorRows> rows_;
  std::unique_ptr<VectorIndex> graph_;
  std::string image_;
};

TEST_P(GraphImageTest, AnswersAsTheGraphItWasMadeOf) {
  auto opened = Open(Slice::Own(image_), rows_);
  ASSERT_TRUE(opened.ok()) << opened.status().ToString();
  ExpectSameAnswers(**opened);
  if (GetParam().lean) {
    EXPECT_EQ(Join(static_cast<const LeanGraph&>(**opened).Image()), image_);
  } else {
    EXPECT_EQ(Join(static_cast<const SealedGraph&>(**opened).Image()), image_);
  }
}

TEST_P(GraphImageTest, IsSearchedInAMappedFile) {
  std::FILE* const file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  ASSERT_EQ(std::fwrite(image_.data(), 1, image_.size(), file), image_.size());
  ASSERT_EQ(std::fflush(file), 0);
  void* const mapping = mmap(nullptr, image_.size(), PROT_READ, MAP_PRIVATE, fileno(file), 0);
  std::fclose(file);
  ASSERT_NE(mapping, MAP_FAILED);
  const std::shared_ptr<const void> owner(mapping, [size = image_.size()](void* data) { munmap(data, size); });
  auto opened = Open(Slice(static_cast<const uint8_t*>(mapping), image_.size(), owner), rows_);
  ASSERT_TRUE(opened.ok()) << opened.status().ToString();
  ExpectSameAnswers(**opened);
}

TEST_P(GraphImageTest, CutShortOrTooLongIsDataLoss) {
  std::vector<size_t> sizes{0, 1, 7, 8, 31, 32, 63, 64, 100, image_.size() - 64, image_.size() - 1};
  for (const ImageSection section : {ImageSection::kSpace, ImageSection::kLayout}) {
    sizes.push_back(Find(section).first - 1);
    sizes.push_back(Find(section).first);
    sizes.push_back(Find(section).first + 3);
  }
  for (const size_t size : sizes) {
    EXPECT_EQ(CodeOf(image_.substr(0, size)), StatusCode::kDataLoss) << size;
  }
  const auto* const bytes = reinterpret_cast<const uint8_t*>(image_.data());
  for (size_t size = 0; size < image_.size(); ++size) {
    ASSERT_EQ(Open(Slice(bytes, size, nullptr), rows_).status().code(), StatusCode::kDataLoss) << size;
  }
  EXPECT_EQ(CodeOf(image_ + std::string(64, '\0')), StatusCode::kDataLoss);
}

TEST_P(GraphImageTest, AnyFlippedBitIsDataLoss) {
  std::mt19937 random(3);
  const uint64_t sections_begin = Find(ImageSection::kLayout).first;
  for (size_t i = 0; i < sections_begin + 400; ++i) {
    const size_t at = i < sections_begin ? i : random() % image_.size();
    std::string image = image_;
    image[at] = static_cast<char>(image[at] ^ (1 << (random() % 8)));
    const Status status = Open(Slice::Own(std::move(image)), rows_).status();
    ASSERT_EQ(status.code(), StatusCode::kDataLoss) << at << ": " << status.ToString();
  }
}

TEST_P(GraphImageTest, ANewerVersionIsFailedPrecondition) {
  EXPECT_EQ(CodeOf(Forged([](uint8_t*) {})), StatusCode::kOk);
  EXPECT_EQ(CodeOf(Forged([](uint8_t* bytes) { bytes[8] = 2; })), StatusCode::kFailedPrecondition);
  EXPECT_EQ(CodeOf(Forged([](uint8_t* bytes) { bytes[8] = 0; })), StatusCode::kDataLoss);
}

// Right checksums do not make a graph that reads outside its arrays.
TEST_P(GraphImageTest, WhatDoesNotHoldTogetherIsDataLoss) {
  const auto expect_loss = [&](size_t at, uint32_t value) {
    EXPECT_EQ(CodeOf(Forged([=](uint8_t* bytes) { std::memcpy(bytes + at, &value, sizeof(value)); })),
              StatusCode::kDataLoss)
        << at << " " << value;
  };
  for (const size_t field : {32u, 36u, 40u, 44u, 48u, 52u, 56u}) {  // kind to group_bytes
    for (const uint32_t value : {0u, 3u, kRows - 1, kRows + 1, 0x7fffffffu, 0xffffffffu}) {
      uint32_t old;
      std::memcpy(&old, image_.data() + field, sizeof(old));
      if (value != old) {
        expect_loss(field, value);
      }
    }
  }
  const auto expect_bad_id = [&](ImageSection section, size_t from_end) {
    const auto [offset, size] = Find(section);
    expect_loss(offset + size - from_end, kRows);
    expect_loss(offset + size - from_end, 0xffffffffu);
  };
  const auto [space, space_bytes] = Find(ImageSection::kSpace);
  expect_loss(space, 0x7fc00000u);                    // NaN
  expect_loss(space + space_bytes - 4, 0x7f800000u);  // infinity
  if (GetParam().lean) {
    expect_bad_id(ImageSection::kNodes, 4);
    expect_bad_id(ImageSection::kEntryIds, 4);
  } else {
    const size_t dimension = (space_bytes / sizeof(float) - 1) / 4;
    uint32_t stored[2];
    std::memcpy(stored, image_.data() + Find(ImageSection::kLayout).first, sizeof(stored));
    const SealedLayout layout = SealedLayout::Of(kRows, dimension, stored[0], 128);
    const size_t last_id = layout.block_stride - layout.shape.ids_offset - 31 * 4;
    expect_bad_id(ImageSection::kBlocks, last_id);
    expect_bad_id(ImageSection::kEntryBlocks, last_id);
    const size_t at = Find(ImageSection::kLayout).first;
    for (const uint32_t value : {0u, 8u, 17u, stored[0] + 16, 1u << 20, 0xfffffff0u}) {
      expect_loss(at, value);
    }
    expect_loss(at + 4, stored[1] + 1);
    expect_loss(at + 4, 0xffffffffu);
  }
}

TEST_P(GraphImageTest, BelongsToItsRows) {
  const auto code_with = [&](uint32_t dimension, uint32_t capacity, Metric metric, ElementType type) {
    auto rows = VectorRows::Create(dimension, capacity, metric, TestKernels(), type);
    EXPECT_TRUE(rows.ok());
    return Open(Slice::Own(image_), *rows).status().code();
  };
  const Param& p = GetParam();
  const Metric other = p.metric == Metric::kL2 ? Metric::kCosine : Metric::kL2;
  EXPECT_EQ(code_with(p.dimension, kRows + 1, p.metric, ElementType::kFloat32), StatusCode::kOk);
  EXPECT_EQ(code_with(p.dimension, kRows - 1, p.metric, ElementType::kFloat32), StatusCode::kDataLoss);
  EXPECT_EQ(code_with(p.dimension + 1, kRows, p.metric, ElementType::kFloat32), StatusCode::kDataLoss);
  EXPECT_EQ(code_with(p.dimension, kRows, other, ElementType::kFloat32), StatusCode::kDataLoss);
  EXPECT_EQ(code_with(p.dimension, kRows, p.metric, ElementType::kFloat16), StatusCode::kDataLoss);
}

INSTANTIATE_TEST_SUITE_P(Kinds, GraphImageTest,
                         testing::Values(Param{Metric::kL2, 32, false}, Param{Metric::kInnerProduct, 48, false},
                                         Param{Metric::kCosine, 96, false}, Param{Metric::kL2, 20, true},
                                         Param{Metric::kInnerProduct, 48, true}),
                         [](const auto& info) {
                           return std::string(MetricName(info.param.metric)) + std::to_string(info.param.dimension) +
                                  (info.param.lean ? "Lean" : "Sealed");
                         });

TEST(GraphImage, OfNoLivingRow) {
  auto rows = MakeRows(4, 1, Metric::kL2);
  SetRow(*rows, 0, {0, 0, 0, 1});
  const auto active = MakeActive(rows);
  auto sealed = SealedGraph::Build(*active, {});
  auto lean = LeanGraph::Build(*active, {});
  ASSERT_TRUE(sealed.ok() && lean.ok());
  auto sealed_again = SealedGraph::Open(Slice::Own(Join((*sealed)->Image())), rows);
  auto lean_again = LeanGraph::Open(Slice::Own(Join((*lean)->Image())), rows);
  ASSERT_TRUE(sealed_again.ok() && lean_again.ok());
  EXPECT_TRUE(SearchOrFail(**sealed_again, *rows, {0, 0, 0, 1}, {.k = 3, .filter = {.end = 1}}).empty());
  EXPECT_TRUE(SearchOrFail(**lean_again, *rows, {0, 0, 0, 1}, {.k = 3, .filter = {.end = 1}}).empty());
}

}  // namespace
}  // namespace longbow::index
