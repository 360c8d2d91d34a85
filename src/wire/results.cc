#include "wire/results.h"

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>

#include <charconv>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

namespace longbow::wire {
namespace {

template <typename T>
std::shared_ptr<arrow::Buffer> BufferOf(std::vector<T> values) {
  return arrow::Buffer::FromVector(std::move(values));
}

// Raw bytes, one value per row.
std::shared_ptr<arrow::Array> BinaryColumn(const std::vector<std::string>& values) {
  std::vector<int32_t> offsets = {0};
  std::string data;
  for (const std::string& value : values) {
    data += value;
    offsets.push_back(static_cast<int32_t>(data.size()));
  }
  return std::make_shared<arrow::BinaryArray>(static_cast<int64_t>(values.size()), BufferOf(std::move(offsets)),
                                              arrow::Buffer::FromString(std::move(data)));
}

nlohmann::json PartJson(const SegmentExplanation& part) {
  return {{"first_row", part.first_row},
          {"rows", part.rows},
          {"tail_rows", part.tail_rows},
          {"method", SearchMethodName(part.method)},
          {"graph", GraphKindName(part.graph)},
          {"estimated_selectivity", part.estimated_selectivity},
          {"actual_selectivity",
           part.actual_selectivity ? nlohmann::json(*part.actual_selectivity) : nlohmann::json(nullptr)},
          {"visited", part.visited},
          {"refined", part.refined},
          {"filtered", part.filtered},
          {"ef", part.ef},
          {"plan_us", part.plan_us},
          {"search_us", part.search_us}};
}

void AppendNumber(std::string* out, auto number) {
  char text[32];
  out->append(text, std::to_chars(text, text + sizeof(text), number).ptr);
}

// JSON has no infinities; float64 beyond the range of float32 is one here.
std::string VectorsJson(const std::vector<std::string>& vectors) {
  std::string json;
  for (const std::string& vector : vectors) {
    json += json.empty() ? "[" : ",[";
    for (size_t at = 0; at + sizeof(float) <= vector.size(); at += sizeof(float)) {
      float number = 0;
      std::memcpy(&number, vector.data() + at, sizeof(number));
      if (at > 0) {
        json += ",";
      }
      if (std::isfinite(number)) {
        AppendNumber(&json, number);
      } else {
        json += "null";
      }
    }
    json += "]";
  }
  return json;
}

}  // namespace

std::shared_ptr<arrow::Schema> HitSchema(bool include_vectors, const arrow::RecordBatch* columns) {
  arrow::FieldVector fields = {arrow::field("id", arrow::uint64(), false),
                               arrow::field("score", arrow::float32(), false)};
  if (include_vectors) {
    fields.push_back(arrow::field("vector", arrow::binary(), false));
  }
  if (columns != nullptr) {
    for (const auto& field : columns->schema()->fields()) {
      const bool is_taken = field->name() == "id" || field->name() == "score" || field->name() == "vector";
      fields.push_back(is_taken ? field->WithName("row." + field->name()) : field);
    }
  }
  return arrow::schema(std::move(fields));
}

std::shared_ptr<arrow::RecordBatch> HitBatch(const std::vector<Hit>& hits, const std::vector<std::string>& vectors,
                                             bool include_vectors, const arrow::RecordBatch* columns) {
  std::vector<uint64_t> ids;
  std::vector<float> scores;
  ids.reserve(hits.size());
  scores.reserve(hits.size());
  for (const Hit& hit : hits) {
    ids.push_back(hit.id);
    scores.push_back(hit.score);
  }
  const auto rows = static_cast<int64_t>(hits.size());
  arrow::ArrayVector arrays = {std::make_shared<arrow::UInt64Array>(rows, BufferOf(std::move(ids))),
                               std::make_shared<arrow::FloatArray>(rows, BufferOf(std::move(scores)))};
  if (include_vectors) {
    arrays.push_back(BinaryColumn(vectors));
  }
  if (columns != nullptr) {
    const arrow::ArrayVector own = columns->columns();
    arrays.insert(arrays.end(), own.begin(), own.end());
  }
  return arrow::RecordBatch::Make(HitSchema(include_vectors, columns), rows, std::move(arrays));
}

std::string HitsJson(const std::vector<Hit>& hits, const std::vector<std::string>& vectors) {
  std::string ids;
  std::string scores;
  for (const Hit& hit : hits) {
    const char* separator = ids.empty() ? "" : ",";
    AppendNumber(&ids.append(separator), hit.id);
    // JSON has no infinities; a product of two huge vectors may be one.
    if (std::isfinite(hit.score)) {
      AppendNumber(&scores.append(separator), hit.score);
    } else {
      scores.append(separator).append("null");
    }
  }
  std::string json = "{\"ids\":[" + ids + "],\"scores\":[" + scores + "]";
  if (!vectors.empty()) {
    json += ",\"vectors\":[" + VectorsJson(vectors) + "]";
  }
  return json + "}";
}

std::string PageJson(const std::optional<std::string>& cursor, const std::optional<bool>& truncated) {
  nlohmann::json json = nlohmann::json::object();
  if (cursor) {
    json["cursor"] = *cursor;
  }
  if (truncated) {
    json["truncated"] = *truncated;
  }
  return json.dump();
}

std::string HybridHitsJson(const std::vector<Hit>& hits) {
  std::string json = "[";
  for (const Hit& hit : hits) {
    AppendNumber(&json.append(json.size() == 1 ? R"({"ID":)" : R"(,{"ID":)"), hit.id);
    AppendNumber(&json.append(R"(,"Distance":0,"Score":)"), std::isfinite(hit.score) ? hit.score : 0.0f);
    json += R"(,"Metadata":null,"Vector":null})";
  }
  return json + "]";
}

std::string ExplanationsJson(const std::vector<const SearchExplanation*>& explanations) {
  nlohmann::json all = nlohmann::json::array();
  for (const SearchExplanation* explanation : explanations) {
    nlohmann::json segments = nlohmann::json::array();
    for (const SegmentExplanation& part : explanation->segments) {
      segments.push_back(PartJson(part));
    }
    all.push_back({{"segments", std::move(segments)},
                   {"repeated_exactly", explanation->repeated_exactly},
                   {"total_us", explanation->total_us}});
  }
  return all.dump();
}

std::shared_ptr<arrow::Schema> WithExplanations(const std::shared_ptr<arrow::Schema>& schema,
                                                const std::vector<const SearchExplanation*>& explanations) {
  return schema->WithMetadata(arrow::key_value_metadata({kExplainKey}, {ExplanationsJson(explanations)}));
}

}  // namespace longbow::wire
