// What expiry costs a search and a sweep. 0: a dataset that does not expire; 1: one that does, and no row has ended;
// 2: one row has ended and was not swept; 3: every tenth row has.
#include <arrow/api.h>
#include <benchmark/benchmark.h>

#include <map>

#include "engine/search.h"
#include "engine/shard.h"
#include "engine/test_rows.h"

namespace longbow::engine {
namespace {

constexpr int kDimension = 96;
constexpr int64_t kRows = 100'000;
constexpr int64_t kHourNs = 3'600'000'000'000;

struct Rows {
  explicit Rows(int64_t kind) {
    SegmentOptions options = TestSegmentOptions(1 << 20);
    options.graph.rest =
        std::chrono::hours(1);  // searches walk the active graph: what changes a filter changes it most
    options.clock = &clock;
    const auto schema = TestSchema(kDimension);
    const auto ends_field = arrow::field("ends", arrow::timestamp(arrow::TimeUnit::NANO));
    const auto expiring =
        (*schema->AddField(3, ends_field))->WithMetadata(arrow::key_value_metadata({"longbow.expires_at"}, {"ends"}));
    shard = std::make_unique<Shard>(ShardId{1}, *CollectionSchema::FromArrow(kind > 0 ? expiring : schema), options);
    for (int64_t first = 0; first < kRows; first += 10'000) {
      std::vector<TestRow> rows;
      arrow::TimestampBuilder ends(ends_field->type(), arrow::default_memory_pool());
      for (int64_t id = first; id < first + 10'000; ++id) {
        rows.push_back({id, RandomVector(random, kDimension), ""});
        const bool ends_soon = (kind == 2 && id == 777) || (kind == 3 && id % 10 == 0);
        (void)ends.Append(clock.WallNowNs() + (ends_soon ? kHourNs : 100 * kHourNs));
      }
      auto batch = TestBatch(schema, rows);
      if (kind > 0) {
        batch = *batch->AddColumn(3, ends_field, *ends.Finish());
      }
      (void)shard->ApplyRows(batch, LogIndex{static_cast<uint64_t>(first) + 1});
    }
    const auto view = shard->Pin();
    const SegmentView& segment = view->segments[0];
    SegmentGraph& graph = segment.segment->graph();
    for (auto work = graph.ClaimWork(segment.rows); !work.empty(); work = graph.ClaimWork(segment.rows)) {
      graph.Link(work);
    }
    clock.JumpWall(std::chrono::nanoseconds(2 * kHourNs));
  }

  FakeClock clock;
  Random random{5};
  std::unique_ptr<Shard> shard;
};

Rows& RowsOfKind(int64_t kind) {
  static std::map<int64_t, Rows> kept;
  return kept.try_emplace(kind, kind).first->second;
}

void BM_Search(benchmark::State& state) {
  Rows& rows = RowsOfKind(state.range(0));
  SearchRequest request;
  request.k = 10;
  for (auto _ : state) {
    request.vectors = {RandomVector(rows.random, kDimension)};
    benchmark::DoNotOptimize(Search(*rows.shard->PinNow(), request, {.ef = 128}, nullptr));
  }
}
BENCHMARK(BM_Search)->DenseRange(0, 3);

// Of 100,000 rows that all end within an hour: what is due of them when a sweep comes by.
void BM_Sweep(benchmark::State& state) {
  const int64_t due = state.range(0);
  for (auto _ : state) {
    state.PauseTiming();
    FakeClock clock;
    SegmentOptions options = TestSegmentOptions(1 << 20);
    options.clock = &clock;
    const auto schema = arrow::schema(
        {arrow::field("id", arrow::int64()), arrow::field("ends", arrow::timestamp(arrow::TimeUnit::NANO))},
        arrow::key_value_metadata({"longbow.expires_at"}, {"ends"}));
    auto shard = std::make_unique<Shard>(ShardId{1}, *CollectionSchema::FromArrow(schema), options);
    arrow::Int64Builder ids;
    arrow::TimestampBuilder ends(schema->field(1)->type(), arrow::default_memory_pool());
    for (int64_t i = 0; i < kRows; ++i) {
      (void)ids.Append(i);
      (void)ends.Append(clock.WallNowNs() + (i % (kRows / due) == 0 ? 1 : kHourNs));
    }
    (void)shard->ApplyRows(arrow::RecordBatch::Make(schema, kRows, {*ids.Finish(), *ends.Finish()}), LogIndex{1});
    state.ResumeTiming();
    shard->ApplyExpire(clock.WallNowNs() + 1, LogIndex{2});
    state.PauseTiming();
    shard.reset();
    state.ResumeTiming();
  }
}
BENCHMARK(BM_Sweep)->Arg(1)->Arg(1'000)->Arg(100'000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace longbow::engine
