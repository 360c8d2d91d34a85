#include "wire/results.h"

#include <arrow/api.h>

#include <nlohmann/json.hpp>

#include "base/check.h"

namespace longbow::wire {

std::shared_ptr<arrow::Schema> HitSchema(bool include_vectors) {
  arrow::FieldVector fields{arrow::field("id", arrow::uint64(), false), arrow::field("score", arrow::float32(), false)};
  if (include_vectors) {
    fields.push_back(arrow::field("vector", arrow::binary(), false));
  }
  return arrow::schema(std::move(fields));
}

std::shared_ptr<arrow::RecordBatch> HitBatch(const std::vector<Hit>& hits, const std::vector<std::string>& vectors, bool include_vectors) {
  arrow::TypedBufferBuilder<uint64_t> ids;
  arrow::TypedBufferBuilder<float> scores;
  const auto count = static_cast<int64_t>(hits.size());
  // Only running out of memory can fail here, and that ends the process everywhere else too.
  LB_CHECK(ids.Reserve(count).ok() && scores.Reserve(count).ok());
  for (const Hit& hit : hits) {
    ids.UnsafeAppend(hit.id);
    scores.UnsafeAppend(hit.score);
  }
  arrow::ArrayVector columns{std::make_shared<arrow::UInt64Array>(count, ids.Finish().ValueOrDie()),
                             std::make_shared<arrow::FloatArray>(count, scores.Finish().ValueOrDie())};
  if (include_vectors) {
    arrow::BinaryBuilder bytes;
    LB_CHECK(bytes.AppendValues(vectors).ok());
    columns.push_back(bytes.Finish().ValueOrDie());
  }
  return arrow::RecordBatch::Make(HitSchema(include_vectors), count, std::move(columns));
}

std::string HitsJson(const std::vector<Hit>& hits) {
  // Numbers kept as float are written with the digits a float has, not with those of the double next to it.
  using Json = nlohmann::basic_json<std::map, std::vector, std::string, bool, int64_t, uint64_t, float>;
  Json ids = Json::array();
  Json scores = Json::array();
  for (const Hit& hit : hits) {
    ids.push_back(hit.id);
    scores.push_back(hit.score);
  }
  return Json{{"ids", std::move(ids)}, {"scores", std::move(scores)}}.dump();
}

}  // namespace longbow::wire
