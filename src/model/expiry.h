// When rows end. A collection may have an expiry column, of timestamps: once its time has come, a row is gone. Rows put
// without such a time get one if the collection has a time to live.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"

namespace arrow {
class Array;
class RecordBatch;
class Schema;
}  // namespace arrow

namespace longbow {

struct CollectionSchema;

// The end of a row that has none, in nanoseconds since 1970.
inline constexpr int64_t kNeverNs = std::numeric_limits<int64_t>::max();

// What a schema's metadata says about expiry: longbow.ttl_seconds, longbow.expires_at.
struct ExpiryRequest {
  std::optional<int64_t> ttl_seconds;  // 0: none
  std::optional<std::string> column;
};
// INVALID_ARGUMENT if a value is no whole number from 0 to limits::kTtlMaxSeconds, or the column's name is empty.
Result<ExpiryRequest> StatedExpiry(const arrow::Schema& schema);

// `schema` with this in its metadata, and with the column (`expires_at` unless it is named) if it lacks it: a timestamp
// of microseconds in UTC. The same pointer if it asks for nothing. INVALID_ARGUMENT if the column is no timestamp or
// the number is out of range.
Result<std::shared_ptr<arrow::Schema>> WithExpiry(const std::shared_ptr<arrow::Schema>& schema,
                                                  const ExpiryRequest& request);

// `rows` have exactly the columns of `schema`; null times become the put's plus the time to live, where there is one.
Result<std::shared_ptr<arrow::RecordBatch>> FillExpiry(const CollectionSchema& schema,
                                                       const std::shared_ptr<arrow::RecordBatch>& rows,
                                                       int64_t put_time_ns);

// The end of row `i` of an expiry column, in nanoseconds: kNeverNs for null and for times beyond the year 2262.
int64_t ExpiryNsAt(const arrow::Array& times, int64_t i);

// INVALID_ARGUMENT, naming column and row, for a time before 1970: that was never meant.
Status CheckExpiryTimes(const std::string& column, const arrow::Array& times);

}  // namespace longbow
