#include "index/projection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "index/flat_search.h"
#include "index/test_rows.h"

namespace longbow::index {
namespace {

struct Projected {
  std::shared_ptr<VectorRows> rows;
  std::vector<LocalId> order;
  std::unique_ptr<const Projection> projection;
};

Projected Project(uint32_t dimension, uint32_t count, Metric metric, uint64_t seed) {
  ClusteredPoints points(dimension, 30, seed);
  Projected made;
  made.rows = MakeRows(dimension, count, metric);
  for (LocalId id = 0; id < count; ++id) {
    SetRow(*made.rows, id, points.Next());
  }
  made.order.resize(count);
  std::iota(made.order.begin(), made.order.end(), 0u);
  std::shuffle(made.order.begin(), made.order.end(), std::mt19937_64(seed));
  auto projection = Projection::Build(CodeSpace::Learn(*made.rows, 0, count), *made.rows, made.order);
  EXPECT_TRUE(projection.ok()) << projection.status().ToString();
  made.projection = std::move(*projection);
  return made;
}

// The rows of a range as a bitmap, which `also`, if given, narrows.
std::vector<uint64_t> BitmapOf(const Projected& made, Projection::Range range, const uint64_t* also) {
  std::vector<uint64_t> bits(made.rows->capacity() / 64 + 1, 0);
  for (uint32_t i = range.begin; i < range.end; ++i) {
    const LocalId id = made.order[i];
    if (also == nullptr || (also[id / 64] >> (id % 64) & 1) != 0) {
      bits[id / 64] |= uint64_t{1} << (id % 64);
    }
  }
  return bits;
}

TEST(Projection, FindsTheNearestOfARange) {
  for (const Metric metric : {Metric::kL2, Metric::kCosine, Metric::kInnerProduct}) {
    for (const uint32_t dimension : {17u, 64u, 100u, 384u}) {
      SCOPED_TRACE(std::string(MetricName(metric)) + " " + std::to_string(dimension));
      const uint32_t count = 4000;
      const Projected made = Project(dimension, count, metric, dimension);
      ClusteredPoints queries(dimension, 30, dimension);
      std::mt19937_64 random(dimension);
      std::vector<uint64_t> other(count / 64 + 1);
      std::generate(other.begin(), other.end(), std::ref(random));
      std::vector<std::atomic<uint64_t>> deleted(count);
      for (uint32_t i = 0; i < count; i += 7) {
        deleted[i] = 1 + random() % 10;
      }
      size_t right = 0;
      size_t wanted = 0;
      for (int round = 0; round < 60; ++round) {
        const std::vector<float> query = queries.Next();
        Projection::Range range;
        range.begin = static_cast<uint32_t>(random() % count);
        range.end = range.begin + static_cast<uint32_t>(random() % (count - range.begin + 1));
        const bool conjunction = round % 2 == 0;
        SearchOptions options;
        options.k = static_cast<uint32_t>(1 + random() % 20);
        options.filter = {.begin = 0, .end = count, .deleted_at = deleted.data(), .version = 5};
        options.filter.passing = conjunction ? other.data() : nullptr;
        const auto found = made.projection->Search(*made.rows, query.data(), range, 150, options);
        ASSERT_TRUE(found.ok());
        const std::vector<uint64_t> bits = BitmapOf(made, range, options.filter.passing);
        options.filter.passing = bits.data();
        CheckResult(*made.rows, query, options, *found);
        const auto exact = FlatSearch(*made.rows, query.data(), options);
        ASSERT_EQ(found->size(), exact->size());
        right += CountShared(*found, *exact);
        wanted += exact->size();
      }
      EXPECT_GE(static_cast<double>(right), 0.95 * static_cast<double>(wanted));
    }
  }
}

TEST(Projection, EverythingRefinedIsExact) {
  const Projected made = Project(48, 1000, Metric::kL2, 3);
  const std::vector<float> query = ClusteredPoints(48, 30, 3).Next();
  SearchOptions options{.k = 40, .filter = {.end = 1000}};
  const auto found = made.projection->Search(*made.rows, query.data(), {33, 801}, 1000, options);
  const std::vector<uint64_t> bits = BitmapOf(made, {33, 801}, nullptr);
  options.filter.passing = bits.data();
  const auto exact = FlatSearch(*made.rows, query.data(), options);
  ASSERT_EQ(found->size(), 40u);
  for (size_t i = 0; i < 40; ++i) {
    EXPECT_EQ((*found)[i].id, (*exact)[i].id);
  }
}

TEST(Projection, EdgesDuplicatesAndHugeValues) {
  const auto rows = MakeRows(20, 200, Metric::kL2);
  for (LocalId id = 0; id < 200; ++id) {
    SetRow(*rows, id, std::vector<float>(20, id < 100 ? 1.0f : id < 150 ? 0.0f : id == 199 ? 1e30f : -2.0f));
  }
  std::vector<LocalId> order(200);
  std::iota(order.begin(), order.end(), 0u);
  const auto projection = Projection::Build(CodeSpace::Learn(*rows, 0, 190), *rows, order);
  ASSERT_TRUE(projection.ok());
  SearchCounters counters;
  SearchOptions options{.k = 500, .filter = {.end = 200}, .counters = &counters};
  for (const float value : {0.0f, 1.0f, 1e30f, -3e38f}) {
    const std::vector<float> query(20, value);
    const auto all = (*projection)->Search(*rows, query.data(), {0, 200}, 10, options);
    EXPECT_EQ(all->size(), 200u) << value;
    options.k = 3;
    EXPECT_EQ((*projection)->Search(*rows, query.data(), {199, 200}, 10, options)->size(), 1u);
    EXPECT_EQ((*projection)->Search(*rows, query.data(), {150, 200}, 1, options)->size(), 3u);
    EXPECT_TRUE((*projection)->Search(*rows, query.data(), {7, 7}, 10, options)->empty());
    options.k = 500;
  }
  EXPECT_GE(counters.refined, 800u);
  Cancellation cancelled;
  cancelled.Cancel();
  options.cancellation = &cancelled;
  EXPECT_FALSE((*projection)->Search(*rows, std::vector<float>(20).data(), {0, 200}, 10, options).ok());
}

}  // namespace
}  // namespace longbow::index
