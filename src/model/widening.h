// Which types a column may change to while it has rows: every value stays what it is.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"

namespace arrow {
class Array;
class DataType;
class RecordBatch;
class Schema;
}  // namespace arrow

namespace longbow {

// Whether each value of `from` is a value of `to` too, which has more besides:
//
//   int8 -> int16 -> int32 -> int64;  uint8 -> uint16 -> uint32 -> uint64;  uintN -> intM with M > N
//   float16 -> float32 -> float64
//   utf8 -> large_utf8;  binary -> large_binary
//   date32 -> date64;  time32[s] -> time32[ms] -> time64[us] -> time64[ns]
//   decimal(p, s) -> decimal(q, t) with t >= s and q - t >= p - s
//   null -> anything
//
// Timestamps and durations of finer units are not among them: they reach less far. False for equal types.
bool IsWidening(const arrow::DataType& from, const arrow::DataType& to);

// "takes int8, int16 and uint8 too, and becomes int64 if that comes"; empty for a type of no table.
std::string WideningAdvice(const arrow::DataType& type);

// `array` as `type`, which is its own or wider. RESOURCE_EXHAUSTED if there is no memory for it.
Result<std::shared_ptr<arrow::Array>> Widen(const std::shared_ptr<arrow::Array>& array,
                                            const std::shared_ptr<arrow::DataType>& type);

}  // namespace longbow
