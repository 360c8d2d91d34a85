// Reads one log file, record by record, through a window of fixed size.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/status.h"
#include "storage/log_format.h"

namespace longbow::storage {

// What stands at an offset where a record should begin.
struct LogItem {
  enum class Kind {
    kRecord,  // whole and good: `record`, and the next item begins at `end`
    kEnd,     // only zeros up to the end of the file
    kBad,     // something else: `defect` says what
  };
  Kind kind = Kind::kEnd;
  LogRecord record;
  uint64_t end = 0;
  std::string defect;
};

// For one thread. The file outlives the reader.
class LogFileReader {
 public:
  // Reads the file's length.
  static Result<LogFileReader> Open(File& file);

  uint64_t size() const { return size_; }
  // The header; none if it is damaged or cut short.
  Result<std::optional<LogFileHeader>> ReadHeader();
  // The item at `offset`. Of records up to `header_only` the body is neither read nor checked: it is in a checkpoint.
  // FAILED_PRECONDITION if it is a good record of a newer format.
  Result<LogItem> ReadItem(uint64_t offset, uint64_t salt, Lsn header_only = {});
  // Whether there are only zeros from `offset` on.
  Result<bool> OnlyZerosFrom(uint64_t offset);
  // Where, at or after `offset`, the first good record header stands that was written when `lsn` was durable already.
  Result<std::optional<uint64_t>> FindWrittenAfter(Lsn lsn, uint64_t offset, uint64_t salt);

 private:
  LogFileReader(File& file, uint64_t size) : file_(&file), size_(size) {}

  // Up to `size` bytes at `offset`, fewer only at the end of the file; valid until the next call.
  Result<std::span<const uint8_t>> Peek(uint64_t offset, size_t size);
  // The item of that header with its body, which begins at `begin`.
  Result<LogItem> ReadBody(const RecordHeader& header, uint64_t begin, LogItem item);

  File* file_;
  uint64_t size_;
  std::vector<uint8_t> window_;
  uint64_t window_offset_ = 0;
};

// Whether the file holds whole records from its header to `end`, without a gap, the last of them `last_lsn`. DATA_LOSS
// with offset if not.
Status CheckLogFile(File& file, uint64_t end, Lsn last_lsn);

}  // namespace longbow::storage
