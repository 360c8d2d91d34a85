#include "wire/search_message.h"

#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>

#include <cfloat>
#include <cmath>
#include <cstring>

#include "base/limits.h"
#include "search.pb.h"
#include "wire/arrow_status.h"
#include "wire/filter_json.h"
#include "wire/json_document.h"
#include "wire/requests.h"

namespace longbow::wire {
namespace {

constexpr char kSearch[] = "invalid search request";

Status Invalid(const std::string& detail) { return InvalidArgument(std::string(kSearch) + ": " + detail); }

// `bytes`: `count` vectors of the same number of T, whatever their alignment.
template <typename T>
Result<std::vector<QueryVector>> Split(const std::string& bytes, size_t count) {
  if (bytes.size() % (count * sizeof(T)) != 0) {
    return Invalid(std::to_string(bytes.size()) + " bytes are not " + std::to_string(count) +
                   " vectors of elements of " + std::to_string(sizeof(T)) + " bytes");
  }
  const size_t dimension = bytes.size() / count / sizeof(T);
  if (dimension > limits::kDimensionMax) {
    return Invalid("a vector has " + std::to_string(dimension) + " elements, at most " +
                   std::to_string(limits::kDimensionMax) + " are allowed");
  }
  std::vector<QueryVector> vectors(count);
  std::vector<T> values(dimension);
  for (size_t i = 0; i < count; ++i) {
    std::memcpy(values.data(), bytes.data() + i * dimension * sizeof(T), dimension * sizeof(T));
    if constexpr (std::is_same_v<T, float>) {
      vectors[i] = QueryVector(values.data(), values.data() + dimension);
      continue;
    }
    for (const T value : values) {
      if (std::is_floating_point_v<T> && std::fabs(static_cast<double>(value)) > FLT_MAX) {
        return Invalid("an element of a vector is beyond the range of float32");
      }
      vectors[i].Add(value);
    }
  }
  return vectors;
}

Result<std::vector<QueryVector>> VectorsOf(const v1::SearchRequest& message) {
  if (message.queries() > limits::kQueriesPerSearchMax) {
    return Invalid("at most " + std::to_string(limits::kQueriesPerSearchMax) + " vectors in one search, got " +
                   std::to_string(message.queries()));
  }
  if (message.vectors().empty()) {
    if (message.queries() > 0) {
      return Invalid("queries is " + std::to_string(message.queries()) + ", but there are no vectors");
    }
    return std::vector<QueryVector>();
  }
  const size_t count = std::max<size_t>(1, message.queries());
  switch (message.element_type()) {
    case v1::FLOAT32:
      return Split<float>(message.vectors(), count);
    case v1::FLOAT64:
      return Split<double>(message.vectors(), count);
    case v1::INT64:
      return Split<int64_t>(message.vectors(), count);
    default:
      return Invalid("unknown element_type " + std::to_string(message.element_type()) +
                     ": use FLOAT32, FLOAT64 or INT64");
  }
}

Result<VectorFormat> FormatOf(const v1::SearchRequest& message) {
  switch (message.vector_format()) {
    case v1::AS_STORED:
      return VectorFormat::kStored;
    case v1::F32:
      return VectorFormat::kFloat32;
    case v1::F16:
      return VectorFormat::kFloat16;
    case v1::SQ8:
      return VectorFormat::kQuantized;
    default:
      return Invalid("unknown vector_format " + std::to_string(message.vector_format()) +
                     ": use AS_STORED, F32, F16 or SQ8");
  }
}

Status WriteIpc(const arrow::RecordBatch& columns, std::string* out) {
  const auto written = [&]() -> arrow::Result<std::shared_ptr<arrow::Buffer>> {
    ARROW_ASSIGN_OR_RAISE(const auto sink, arrow::io::BufferOutputStream::Create());
    ARROW_ASSIGN_OR_RAISE(const auto writer, arrow::ipc::MakeStreamWriter(sink, columns.schema()));
    ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(columns));
    ARROW_RETURN_NOT_OK(writer->Close());
    return sink->Finish();
  }();
  if (!written.ok()) {
    return FromWriting(written.status());
  }
  out->assign(std::string_view(**written));
  return {};
}

}  // namespace

Result<SearchRequest> ToSearchRequest(const v1::SearchRequest& message) {
  SearchRequest request;
  request.collection = message.collection();
  if (request.collection.size() > limits::kNameSizeMaxBytes) {
    return Invalid("the name of the collection is too long: at most " + std::to_string(limits::kNameSizeMaxBytes) +
                   " bytes allowed, got " + std::to_string(request.collection.size()));
  }
  LB_ASSIGN(request.vectors, VectorsOf(message));
  if (message.has_k()) {
    request.k = message.k();
  }
  if (message.ef() > limits::kEfMax) {
    return Invalid("ef must be 0 to " + std::to_string(limits::kEfMax) + ", got " + std::to_string(message.ef()));
  }
  request.ef = message.ef();
  if (message.has_recall_target()) {
    request.recall_target = message.recall_target();
  }
  LB_ASSIGN(request.filter, ParseFilterText(message.filter(), kSearch));
  request.text_query = message.text_query();
  request.alpha = message.has_alpha() ? message.alpha() : DefaultAlpha(request.text_query);
  switch (message.fusion()) {
    case v1::RANK:
      request.fusion = Fusion::kRank;
      break;
    case v1::SCORE:
      request.fusion = Fusion::kScore;
      break;
    default:
      return Invalid("unknown fusion " + std::to_string(message.fusion()) + ": use RANK or SCORE");
  }
  if (message.has_radius()) {
    request.radius = message.radius();
  }
  if (message.has_score_min()) {
    request.score_min = message.score_min();
  }
  if (message.has_id()) {
    request.id = message.id();
  }
  if (message.has_cursor()) {
    request.cursor = message.cursor();
  }
  request.include_vectors = message.include_vectors();
  LB_ASSIGN(request.vector_format, FormatOf(message));
  request.columns.assign(message.columns().begin(), message.columns().end());
  request.explain = message.explain();
  return request;
}

Status WriteHits(const std::vector<Hit>& hits, std::vector<std::string> vectors, const arrow::RecordBatch* columns,
                 v1::Hits* message) {
  message->mutable_ids()->Reserve(static_cast<int>(hits.size()));
  message->mutable_scores()->Reserve(static_cast<int>(hits.size()));
  for (const Hit& hit : hits) {
    message->add_ids(hit.id);
    message->add_scores(hit.score);
  }
  for (std::string& vector : vectors) {
    message->add_vectors(std::move(vector));
  }
  return columns == nullptr ? Status() : WriteIpc(*columns, message->mutable_columns());
}

}  // namespace longbow::wire
