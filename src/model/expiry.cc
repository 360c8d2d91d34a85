#include "model/expiry.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>

#include <algorithm>

#include "base/limits.h"
#include "base/parse_value.h"
#include "model/schema.h"
#include "model/type_name.h"

namespace longbow {
namespace {

constexpr char kTtlKey[] = "longbow.ttl_seconds";
constexpr char kColumnKey[] = "longbow.expires_at";
constexpr char kDefaultColumn[] = "expires_at";
constexpr int64_t kNsPerSecond = 1'000'000'000;

int64_t NsPerUnit(const arrow::DataType& timestamp) {
  switch (static_cast<const arrow::TimestampType&>(timestamp).unit()) {
    case arrow::TimeUnit::SECOND:
      return kNsPerSecond;
    case arrow::TimeUnit::MILLI:
      return 1'000'000;
    case arrow::TimeUnit::MICRO:
      return 1'000;
    default:
      return 1;
  }
}

Status CheckTtl(int64_t seconds) {
  if (seconds < 0 || seconds > limits::kTtlMaxSeconds) {
    return InvalidArgument("longbow.ttl_seconds must be a whole number from 0 (rows stay) to " +
                           std::to_string(limits::kTtlMaxSeconds) + " (100 years), got " + std::to_string(seconds));
  }
  return {};
}

std::optional<std::string> ValueOf(const arrow::Schema& schema, const char* key) {
  const int at = schema.metadata() == nullptr ? -1 : schema.metadata()->FindKey(key);
  return at < 0 ? std::nullopt : std::optional(schema.metadata()->value(at));
}

std::shared_ptr<arrow::KeyValueMetadata> MetadataWith(const arrow::Schema& schema, const std::string& column,
                                                      int64_t ttl_seconds) {
  auto metadata = std::make_shared<arrow::KeyValueMetadata>();
  if (schema.metadata() != nullptr) {
    metadata = schema.metadata()->Copy();
  }
  (void)metadata->Set(kColumnKey, column);
  (void)metadata->Set(kTtlKey, std::to_string(ttl_seconds));
  return metadata;
}

}  // namespace

Result<ExpiryRequest> StatedExpiry(const arrow::Schema& schema) {
  ExpiryRequest request;
  if (const auto text = ValueOf(schema, kTtlKey)) {
    const Result<int64_t> seconds = ParseInt(*text);
    if (!seconds.ok()) {
      return InvalidArgument("longbow.ttl_seconds must be a whole number of seconds, got '" + *text + "'");
    }
    LB_TRY(CheckTtl(*seconds));
    request.ttl_seconds = *seconds;
  }
  request.column = ValueOf(schema, kColumnKey);
  if (request.column && request.column->empty()) {
    return InvalidArgument("longbow.expires_at names no column: it must be the name of a timestamp column");
  }
  return request;
}

Result<std::shared_ptr<arrow::Schema>> WithExpiry(const std::shared_ptr<arrow::Schema>& schema,
                                                  const ExpiryRequest& request) {
  const int64_t ttl_seconds = request.ttl_seconds.value_or(0);
  LB_TRY(CheckTtl(ttl_seconds));
  if (ttl_seconds == 0 && !request.column) {
    return schema;
  }
  const std::string column = request.column.value_or(kDefaultColumn);
  arrow::FieldVector fields = schema->fields();
  if (const auto field = schema->GetFieldByName(column); field == nullptr) {
    fields.push_back(arrow::field(column, arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")));
  } else if (field->type()->id() != arrow::Type::TIMESTAMP) {
    return InvalidArgument("column \"" + column + "\" of type " + TypeName(*field->type()) +
                           " cannot hold the times at which rows expire: a timestamp is needed; longbow.expires_at "
                           "may name another column");
  }
  return arrow::schema(std::move(fields), MetadataWith(*schema, column, ttl_seconds));
}

Result<std::shared_ptr<arrow::RecordBatch>> FillExpiry(const CollectionSchema& schema,
                                                       const std::shared_ptr<arrow::RecordBatch>& rows,
                                                       int64_t put_time_ns) {
  if (schema.expiry_column < 0 || schema.ttl_seconds == 0 || rows->column(schema.expiry_column)->null_count() == 0) {
    return rows;
  }
  const auto& times = static_cast<const arrow::TimestampArray&>(*rows->column(schema.expiry_column));
  const int64_t ns_per_unit = NsPerUnit(*times.type());
  int64_t end_ns = 0;
  if (__builtin_add_overflow(put_time_ns, schema.ttl_seconds * kNsPerSecond, &end_ns)) {
    end_ns = kNeverNs;
  }
  const int64_t end = end_ns / ns_per_unit + (end_ns % ns_per_unit > 0 ? 1 : 0);  // not before it has lived so long
  arrow::TimestampBuilder builder(times.type(), arrow::default_memory_pool());
  arrow::Status built = builder.Reserve(times.length());
  for (int64_t i = 0; built.ok() && i < times.length(); ++i) {
    builder.UnsafeAppend(times.IsNull(i) ? end : times.Value(i));
  }
  std::shared_ptr<arrow::Array> filled;
  if (built.ok()) {
    built = builder.Finish(&filled);
  }
  if (!built.ok()) {
    return ResourceExhausted("no memory for the times at which rows expire: " + built.message());
  }
  auto replaced = rows->SetColumn(schema.expiry_column, schema.columns->field(schema.expiry_column), filled);
  return replaced.ok() ? Result<std::shared_ptr<arrow::RecordBatch>>(*replaced) : Internal(replaced.status().message());
}

int64_t ExpiryNsAt(const arrow::Array& times, int64_t i) {
  if (times.IsNull(i)) {
    return kNeverNs;
  }
  const int64_t value = static_cast<const arrow::TimestampArray&>(times).Value(i);
  const int64_t ns_per_unit = NsPerUnit(*times.type());
  return value > kNeverNs / ns_per_unit ? kNeverNs : std::max<int64_t>(0, value) * ns_per_unit;
}

Status CheckExpiryTimes(const std::string& column, const arrow::Array& times) {
  if (times.type_id() != arrow::Type::TIMESTAMP) {
    return {};  // of another type than the collection's: refused as such
  }
  const auto& values = static_cast<const arrow::TimestampArray&>(times);
  for (int64_t i = 0; i < values.length(); ++i) {
    if (values.IsValid(i) && values.Value(i) < 0) {
      return InvalidArgument("column \"" + column + "\", row " + std::to_string(i) +
                             ": a row cannot expire before 1970; leave the time null for one that stays");
    }
  }
  return {};
}

}  // namespace longbow
