// Rows on their way in: decoded for the engine, and as the bytes that the log keeps.
#pragma once

#include <memory>

#include "base/slice.h"

namespace arrow {
class RecordBatch;
}

namespace longbow {

struct RowBatch {
  std::shared_ptr<arrow::RecordBatch> rows;
  // The same rows as one Arrow IPC stream (schema message, one record batch message): the bytes that arrived where the
  // batch came uncompressed and without dictionaries, else encoded again. Any Arrow reader opens it.
  Slices encoded;
};

}  // namespace longbow
