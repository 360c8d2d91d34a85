#include "storage/log_file_reader.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/crc32c.h"
#include "base/limits.h"

namespace longbow::storage {
namespace {

constexpr size_t kWindowBytes = 1u << 20;
constexpr std::align_val_t kBodyAlignment{64};  // what Arrow likes, so that bodies are used in place

bool OnlyZeros(std::span<const uint8_t> bytes) {
  // Comparing the bytes with themselves shifted by one lets memcmp do the work.
  return bytes.empty() || (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

LogItem Bad(std::string defect) { return {.kind = LogItem::Kind::kBad, .defect = std::move(defect)}; }

struct AlignedBuffer {
  explicit AlignedBuffer(size_t size) : data(static_cast<uint8_t*>(::operator new(size, kBodyAlignment))) {}
  ~AlignedBuffer() { ::operator delete(data, kBodyAlignment); }
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;
  uint8_t* const data;
};

}  // namespace

Result<LogFileReader> LogFileReader::Open(File& file) {
  LB_ASSIGN(const uint64_t size, file.Size());
  return LogFileReader(file, size);
}

Result<std::span<const uint8_t>> LogFileReader::Peek(uint64_t offset, size_t size) {
  const uint64_t end = std::min<uint64_t>(offset + size, size_);
  if (offset >= end) {
    return std::span<const uint8_t>();
  }
  if (offset < window_offset_ || end > window_offset_ + window_.size()) {
    window_.resize(std::min<uint64_t>(std::max(size, kWindowBytes), size_ - offset));
    window_offset_ = offset;
    LB_ASSIGN(const size_t got, file_->ReadAt(offset, window_));
    if (got != window_.size()) {
      return Unavailable("'" + file_->path() + "' became shorter while it was read");
    }
  }
  return std::span<const uint8_t>(window_).subspan(offset - window_offset_, end - offset);
}

Result<std::optional<LogFileHeader>> LogFileReader::ReadHeader() {
  LB_ASSIGN(const std::span<const uint8_t> bytes, Peek(0, kLogFileHeaderBytes));
  if (bytes.size() < kLogFileHeaderBytes) {
    return std::optional<LogFileHeader>();
  }
  return DecodeLogFileHeader(bytes.first<kLogFileHeaderBytes>());
}

Result<bool> LogFileReader::OnlyZerosFrom(uint64_t offset) {
  for (; offset < size_; offset += kWindowBytes) {
    LB_ASSIGN(const std::span<const uint8_t> bytes, Peek(offset, kWindowBytes));
    if (!OnlyZeros(bytes)) {
      return false;
    }
  }
  return true;
}

Result<LogItem> LogFileReader::ReadItem(uint64_t offset, uint64_t salt, Lsn header_only) {
  LB_ASSIGN(const std::span<const uint8_t> bytes, Peek(offset, kRecordHeaderBytes));
  std::optional<RecordHeader> header;
  if (bytes.size() == kRecordHeaderBytes) {
    header = DecodeRecordHeader(bytes.first<kRecordHeaderBytes>(), salt);
  }
  if (!header) {
    const bool blank = OnlyZeros(bytes);
    LB_ASSIGN(const bool end, OnlyZerosFrom(offset));
    if (end) {
      return LogItem{.kind = LogItem::Kind::kEnd};
    }
    return Bad(blank ? "a hole in the middle" : "record header with a wrong checksum");
  }
  if (header->version > kLogVersion) {
    return FailedPrecondition("log file '" + file_->path() + "' has a record of format " +
                              std::to_string(header->version) + " at offset " + std::to_string(offset) +
                              ", this program knows formats up to " + std::to_string(kLogVersion) +
                              ": start the newer version that wrote it");
  }
  const uint64_t begin = offset + kRecordHeaderBytes;
  if (header->body_size > limits::kLogRecordSizeMaxBytes || PaddedSize(header->body_size) > size_ - begin) {
    return Bad("record " + std::to_string(header->lsn.value) + " says it has " + std::to_string(header->body_size) +
               " bytes, the file has " + std::to_string(size_ - begin) + " left");
  }
  LogItem item{.kind = LogItem::Kind::kRecord, .end = begin + PaddedSize(header->body_size)};
  item.record = {.lsn = header->lsn,
                 .shard = header->shard,
                 .term = header->term,
                 .index = header->index,
                 .kind = header->kind,
                 .time_ns = header->time_ns};
  if (header->lsn <= header_only) {
    return item;
  }
  return ReadBody(*header, begin, std::move(item));
}

Result<LogItem> LogFileReader::ReadBody(const RecordHeader& header, uint64_t begin, LogItem item) {
  const std::string name = "record " + std::to_string(header.lsn.value);
  const size_t padded = PaddedSize(header.body_size);
  const auto buffer = std::make_shared<const AlignedBuffer>(std::max<size_t>(padded, 1));
  if (padded <= kWindowBytes) {
    LB_ASSIGN(const std::span<const uint8_t> bytes, Peek(begin, padded));
    std::copy(bytes.begin(), bytes.end(), buffer->data);
  } else {
    LB_ASSIGN(const size_t got, file_->ReadAt(begin, {buffer->data, padded}));
    if (got != padded) {
      return Unavailable("'" + file_->path() + "' became shorter while it was read");
    }
  }
  if (Crc32c(0, buffer->data, header.body_size) != header.body_crc) {
    return Bad(name + " has a body with a wrong checksum");
  }
  if (!OnlyZeros({buffer->data + header.body_size, padded - header.body_size})) {
    return Bad(name + " has bytes in its padding");
  }
  item.record.body = {Slice(buffer->data, header.body_size, buffer)};
  return item;
}

Result<std::optional<uint64_t>> LogFileReader::FindWrittenAfter(Lsn lsn, uint64_t offset, uint64_t salt) {
  for (; offset + kRecordHeaderBytes <= size_; offset += kRecordAlignment) {
    LB_ASSIGN(const std::span<const uint8_t> bytes, Peek(offset, kRecordHeaderBytes));
    const std::optional<RecordHeader> header = DecodeRecordHeader(bytes.first<kRecordHeaderBytes>(), salt);
    if (header && header->synced_lsn >= lsn) {
      return std::optional<uint64_t>(offset);
    }
  }
  return std::optional<uint64_t>();
}

Status CheckLogFile(File& file, uint64_t end, Lsn last_lsn) {
  const auto bad = [&](uint64_t offset, const std::string& what) {
    return DataLoss("log file '" + file.path() + "' is damaged at offset " + std::to_string(offset) + ": " + what);
  };
  LB_ASSIGN(LogFileReader reader, LogFileReader::Open(file));
  LB_ASSIGN(const std::optional<LogFileHeader> header, reader.ReadHeader());
  if (!header) {
    return bad(0, "wrong file header");
  }
  Lsn lsn{header->first_lsn.value - 1};
  uint64_t offset = kLogFileHeaderBytes;
  while (offset < end) {
    LB_ASSIGN(const LogItem item, reader.ReadItem(offset, header->salt));
    if (item.kind != LogItem::Kind::kRecord || item.record.lsn != lsn.Next()) {
      return bad(offset, "record " + std::to_string(lsn.value + 1) + " is not there any more");
    }
    lsn = item.record.lsn;
    offset = item.end;
  }
  if (offset != end || lsn != last_lsn) {
    return bad(offset, "expected record " + std::to_string(last_lsn.value) + " to end at " + std::to_string(end));
  }
  return {};
}

}  // namespace longbow::storage
