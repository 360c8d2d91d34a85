// Rows for the tests of this folder.
#pragma once

#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/api.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "engine/segment.h"
#include "kernels/dispatch.h"
#include "model/row_batch.h"

namespace longbow::engine {

struct TestRow {
  int64_t id = 0;
  std::vector<float> vector;
  std::string name;

  bool operator==(const TestRow&) const = default;
};

// id: int64, vector: fixed_size_list<float32>[dimension], name: utf8.
inline std::shared_ptr<arrow::Schema> TestSchema(int dimension, const std::string& metric = "euclidean") {
  return arrow::schema(
      {arrow::field("id", arrow::int64()), arrow::field("vector", arrow::fixed_size_list(arrow::float32(), dimension)),
       arrow::field("name", arrow::utf8())},
      arrow::key_value_metadata({"longbow.metric"}, {metric}));
}

inline std::shared_ptr<arrow::RecordBatch> TestBatch(const std::shared_ptr<arrow::Schema>& schema,
                                                     const std::vector<TestRow>& rows) {
  arrow::Int64Builder ids;
  arrow::FloatBuilder values;
  arrow::StringBuilder names;
  for (const TestRow& row : rows) {
    if (!ids.Append(row.id).ok() || !values.AppendValues(row.vector).ok() || !names.Append(row.name).ok()) {
      std::abort();
    }
  }
  auto vectors = std::make_shared<arrow::FixedSizeListArray>(schema->field(1)->type(),
                                                             static_cast<int64_t>(rows.size()), *values.Finish());
  return arrow::RecordBatch::Make(schema, static_cast<int64_t>(rows.size()), {*ids.Finish(), vectors, *names.Finish()});
}

inline std::vector<TestRow> RowsOf(const arrow::RecordBatch& batch) {
  const auto& ids = static_cast<const arrow::Int64Array&>(*batch.GetColumnByName("id"));
  const auto& vectors = static_cast<const arrow::FixedSizeListArray&>(*batch.GetColumnByName("vector"));
  const auto& names = static_cast<const arrow::StringArray&>(*batch.GetColumnByName("name"));
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < batch.num_rows(); ++i) {
    const auto slice = vectors.value_slice(i);
    const auto& values = static_cast<const arrow::FloatArray&>(*slice);
    rows.push_back({ids.Value(i), {values.raw_values(), values.raw_values() + values.length()}, names.GetString(i)});
  }
  return rows;
}

// With the bytes that the log keeps.
inline RowBatch WithEncoding(const std::shared_ptr<arrow::RecordBatch>& rows) {
  auto sink = *arrow::io::BufferOutputStream::Create();
  auto writer = *arrow::ipc::MakeStreamWriter(sink, rows->schema());
  if (!writer->WriteRecordBatch(*rows).ok() || !writer->Close().ok()) {
    std::abort();
  }
  const std::shared_ptr<arrow::Buffer> bytes = *sink->Finish();
  return {rows, {Slice(bytes->data(), static_cast<size_t>(bytes->size()), bytes)}};
}

inline std::vector<float> RandomVector(Random& random, int dimension) {
  std::vector<float> vector(static_cast<size_t>(dimension));
  for (float& value : vector) {
    value = static_cast<float>(random.Fraction() * 2 - 1);
  }
  return vector;
}

// Of norms so unequal that edges go by inner product.
inline std::vector<float> RandomVectorOfAnyNorm(Random& random, int dimension) {
  std::vector<float> vector = RandomVector(random, dimension);
  const auto factor = static_cast<float>(std::exp(3 * random.Fraction()));
  std::transform(vector.begin(), vector.end(), vector.begin(), [factor](float value) { return value * factor; });
  return vector;
}

inline SegmentOptions TestSegmentOptions(uint32_t rows_max = 4096) {
  static const kernels::Kernels* const kKernels = *kernels::KernelsFromEnvironment();
  return {.rows_max = rows_max,
          .graph = {.active = {.ef_construction = 100},
                    .first_rows = 16,
                    .seal_rows_min = 64,
                    .rest = std::chrono::milliseconds(0),
                    .look_period = std::chrono::milliseconds(0)},
          .kernels = kKernels};
}

}  // namespace longbow::engine
