#include "cli/engine_subject.h"

#include <arrow/api.h>

#include <algorithm>
#include <cmath>

#include "base/limits.h"
#include "base/parallel_for.h"
#include "base/random.h"
#include "engine/search.h"
#include "engine/shard.h"
#include "model/float16.h"

namespace longbow::cli {
namespace {

constexpr uint32_t kBatchRows = 8192;

Status FromArrow(const arrow::Status& status) { return ResourceExhausted(status.ToString()); }

std::string NameOf(size_t filter) { return "filter" + std::to_string(filter); }

// In six digits, as it is written into a predicate.
double ShareOf(const RowMask& mask) { return std::round(1e6 * mask.passing / mask.rows) / 1e6; }

std::shared_ptr<arrow::DataType> TypeOf(FilterColumn column) {
  switch (column) {
    case FilterColumn::kInt8:
      return arrow::int8();
    case FilterColumn::kBool:
      return arrow::boolean();
    case FilterColumn::kText:
      return arrow::utf8();
    case FilterColumn::kNumber:
      break;
  }
  return arrow::float64();
}

class EngineSubject final : public Subject {
 public:
  EngineSubject(SubjectOptions options, CollectionSchema schema, const kernels::Kernels& kernels)
      : options_(std::move(options)),
        columns_(schema.columns),
        shard_(ShardId{1}, std::move(schema),
               {.rows_max = limits::kSegmentRowsMax,
                .graph = {.rest = std::chrono::milliseconds(0), .look_period = std::chrono::milliseconds(0)},
                .kernels = &kernels}) {}

  Status Build(const float* rows, uint32_t count) override {
    for (uint32_t first = 0; first < count; first += kBatchRows) {
      LB_TRY(Append(rows + static_cast<size_t>(first) * options_.dimension, std::min(kBatchRows, count - first)));
    }
    return LinkAll();
  }

  Result<std::vector<index::Neighbor>> Search(const float* query, index::SearchOptions options) const override {
    SearchRequest request;
    request.vectors.emplace_back(query, query + options_.dimension);
    request.k = options.k;
    if (recall_target_ > 0) {
      request.recall_target = recall_target_;
    } else {
      request.ef = options.ef;
    }
    const uint64_t* const passing = options.filter.passing;
    for (size_t i = 0; passing != nullptr && i < options_.filters.size(); ++i) {
      if (options_.filters[i].mask->words.data() == passing) {
        request.filter = PredicateOf(i);
      }
    }
    LB_ASSIGN(const std::vector<engine::QueryResult> results, engine::Search(*shard_.Pin(), request, {}, nullptr));
    std::vector<index::Neighbor> neighbors;
    for (const Hit& hit : results.front().hits) {
      neighbors.push_back({-hit.score, static_cast<index::LocalId>(hit.ordinal)});
    }
    return neighbors;
  }

  Status SetRecallTarget(double target) override {
    recall_target_ = target;
    FinishBackgroundWork();
    return {};
  }

  uint64_t SizeBytes() const override { return 0; }

  Result<index::LocalId> Insert(const float* row) override {
    LB_TRY(Append(row, 1));
    LB_TRY(LinkAll());
    return rows_ - 1;
  }

  Status Delete(index::LocalId id) override {
    shard_.ApplyDelete({RowKey(uint64_t{id})}, LogIndex{++version_});
    return {};
  }

  uint32_t CountUnreachable() const override {
    uint32_t unreachable = 0;
    for (const engine::SegmentView& segment : shard_.Pin()->segments) {
      unreachable += segment.segment->graph().CountUnreachableRows();
    }
    return unreachable;
  }

  bool FinishBackgroundWork() override {
    bool did_something = false;
    const std::shared_ptr<const engine::View> view = shard_.Pin();
    for (const engine::SegmentView& segment : view->segments) {
      while (segment.segment->graph().Maintain(segment.rows, {.threads = options_.threads})) {
        did_something = true;
      }
      while (segment.segment->filters().BuildSome(*view->schema, segment.chunks, &segment.segment->vectors())) {
        did_something = true;
      }
    }
    return did_something;
  }

 private:
  Status Append(const float* rows, uint32_t count) {
    LB_ASSIGN(const std::shared_ptr<arrow::Array> elements,
              ElementsOf(rows, static_cast<size_t>(count) * options_.dimension));
    std::vector<std::shared_ptr<arrow::Array>> columns;
    const auto vectors = std::make_shared<arrow::FixedSizeListArray>(columns_->field(0)->type(), count, elements);
    columns.push_back(vectors);
    for (const SubjectFilter& filter : options_.filters) {
      LB_ASSIGN(columns.emplace_back(), ValuesOf(filter, count));
    }
    LB_TRY(shard_.ApplyRows(arrow::RecordBatch::Make(columns_, count, columns), LogIndex{++version_}));
    rows_ += count;
    return {};
  }

  // Of the next `count` rows.
  Result<std::shared_ptr<arrow::Array>> ValuesOf(const SubjectFilter& filter, uint32_t count) {
    switch (filter.column) {
      case FilterColumn::kInt8:
        return FillColumn<arrow::Int8Builder>(filter, count, [](bool passes) { return passes ? 1 : 0; });
      case FilterColumn::kBool:
        return FillColumn<arrow::BooleanBuilder>(filter, count, [](bool passes) { return passes; });
      case FilterColumn::kText:
        return FillColumn<arrow::StringBuilder>(filter, count, [](bool passes) { return passes ? "yes" : "no"; });
      case FilterColumn::kNumber:
        break;
    }
    const double share = ShareOf(*filter.mask);
    return FillColumn<arrow::DoubleBuilder>(filter, count, [&](bool passes) {
      return passes ? share * random_.Fraction() : share + (1 - share) * random_.Fraction();
    });
  }

  template <typename Builder, typename ValueOf>
  Result<std::shared_ptr<arrow::Array>> FillColumn(const SubjectFilter& filter, uint32_t count,
                                                   const ValueOf& value_of) const {
    Builder builder;
    for (uint32_t i = 0; i < count; ++i) {
      const size_t row = rows_ + i;
      const bool passes = row < filter.mask->rows && filter.mask->Contains(row);
      if (arrow::Status status = builder.Append(value_of(passes)); !status.ok()) {
        return FromArrow(status);
      }
    }
    const auto values = builder.Finish();
    return values.ok() ? Result<std::shared_ptr<arrow::Array>>(*values) : FromArrow(values.status());
  }

  Predicate PredicateOf(size_t filter) const {
    const FilterColumn column = options_.filters[filter].column;
    const std::string name = NameOf(filter);
    switch (column) {
      case FilterColumn::kInt8:
        return {Predicate::Op::kEq, name, {"1"}, {}};
      case FilterColumn::kBool:
        return {Predicate::Op::kEq, name, {"true"}, {}};
      case FilterColumn::kText:
        return {Predicate::Op::kEq, name, {"yes"}, {}};
      case FilterColumn::kNumber:
        break;
    }
    return {Predicate::Op::kLt, name, {std::to_string(ShareOf(*options_.filters[filter].mask))}, {}};
  }

  Result<std::shared_ptr<arrow::Array>> ElementsOf(const float* values, size_t n) const {
    arrow::FloatBuilder floats;
    arrow::HalfFloatBuilder halves;
    arrow::Status status;
    if (options_.type == ElementType::kFloat32) {
      status = floats.AppendValues(values, static_cast<int64_t>(n));
    }
    for (size_t i = 0; options_.type == ElementType::kFloat16 && i < n && status.ok(); ++i) {
      status = halves.Append(HalfFromFloat(values[i]));
    }
    if (!status.ok()) {
      return FromArrow(status);
    }
    auto array = options_.type == ElementType::kFloat32 ? floats.Finish() : halves.Finish();
    return array.ok() ? Result<std::shared_ptr<arrow::Array>>(*array) : FromArrow(array.status());
  }

  Status LinkAll() {
    for (const engine::SegmentView& segment : shard_.Pin()->segments) {
      LB_TRY(ParallelFor(options_.threads, {.threads = options_.threads}, [&](size_t, size_t) {
        for (auto work = segment.segment->graph().ClaimWork(segment.rows); !work.empty();
             work = segment.segment->graph().ClaimWork(segment.rows)) {
          segment.segment->graph().Link(work);
        }
      }));
    }
    return {};
  }

  const SubjectOptions options_;
  const std::shared_ptr<arrow::Schema> columns_;
  engine::Shard shard_;
  Random random_{1};  // of values that a filter cuts in two
  double recall_target_ = 0;
  uint64_t version_ = 0;
  uint32_t rows_ = 0;
};

}  // namespace

Result<std::unique_ptr<Subject>> MakeEngineSubject(const SubjectOptions& options, const kernels::Kernels& kernels) {
  const auto type = options.type == ElementType::kFloat32 ? arrow::float32() : arrow::float16();
  arrow::FieldVector fields{
      arrow::field("vector", arrow::fixed_size_list(type, static_cast<int32_t>(options.dimension)))};
  for (size_t i = 0; i < options.filters.size(); ++i) {
    fields.push_back(arrow::field(NameOf(i), TypeOf(options.filters[i].column)));
  }
  const auto columns =
      arrow::schema(fields, arrow::key_value_metadata({"longbow.metric"}, {std::string(MetricName(options.metric))}));
  LB_ASSIGN(CollectionSchema schema, CollectionSchema::FromArrow(columns));
  return std::unique_ptr<Subject>(std::make_unique<EngineSubject>(options, std::move(schema), kernels));
}

}  // namespace longbow::cli
