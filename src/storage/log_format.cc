#include "storage/log_format.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

#include "base/crc32c.h"

namespace longbow::storage {
namespace {

static_assert(std::endian::native == std::endian::little, "integers are copied as they lie in memory");

constexpr uint64_t kFileMagic = 0x474f4c574f424e4c;  // "LNBOWLOG"
constexpr uint64_t kMarkMagic = 0x4b524d574f424e4c;  // "LNBOWMRK"
constexpr uint32_t kRecordMagic = 0x4345524c;        // "LREC"

constexpr size_t kLsnDigits = 20;
constexpr std::string_view kSuffix = ".log";

// File header: magic, version, zero, first lsn, salt, log id, zeros, CRC32C of all before it.
constexpr size_t kFileVersionAt = 8;
constexpr size_t kFileFirstLsnAt = 16;
constexpr size_t kFileSaltAt = 24;
constexpr size_t kFileLogIdAt = 32;
constexpr size_t kFileCrcAt = 60;

// Record header: magic, CRC32C of all after it, then these.
constexpr size_t kCrcAt = 4;
constexpr size_t kVersionAt = 8;
constexpr size_t kKindAt = 10;
constexpr size_t kShardAt = 12;
constexpr size_t kLsnAt = 16;
constexpr size_t kSyncedLsnAt = 24;
constexpr size_t kTermAt = 32;
constexpr size_t kIndexAt = 40;
constexpr size_t kTimeAt = 48;
constexpr size_t kBodySizeAt = 56;
constexpr size_t kBodyCrcAt = 64;  // four zero bytes follow

// Commit mark: magic, lsn, CRC32C of both, four zero bytes.
constexpr size_t kMarkLsnAt = 8;
constexpr size_t kMarkCrcAt = 16;

template <typename Int>
void Put(std::span<uint8_t> out, size_t at, Int value) {
  std::memcpy(out.data() + at, &value, sizeof(value));
}

template <typename Int>
Int Get(std::span<const uint8_t> bytes, size_t at) {
  Int value{};
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

uint32_t RecordHeaderCrc(std::span<const uint8_t, kRecordHeaderBytes> bytes, uint64_t salt) {
  return Crc32c(Crc32c(0, &salt, sizeof(salt)), bytes.data() + kVersionAt, kRecordHeaderBytes - kVersionAt);
}

}  // namespace

std::array<uint8_t, kLogFileHeaderBytes> Encode(const LogFileHeader& header) {
  std::array<uint8_t, kLogFileHeaderBytes> bytes{};
  Put(bytes, 0, kFileMagic);
  Put(bytes, kFileVersionAt, header.version);
  Put(bytes, kFileFirstLsnAt, header.first_lsn.value);
  Put(bytes, kFileSaltAt, header.salt);
  Put(bytes, kFileLogIdAt, header.log_id);
  Put(bytes, kFileCrcAt, Crc32c(0, bytes.data(), kFileCrcAt));
  return bytes;
}

void Encode(const RecordHeader& header, uint64_t salt, std::span<uint8_t, kRecordHeaderBytes> out) {
  std::memset(out.data(), 0, out.size());
  Put(out, 0, kRecordMagic);
  Put(out, kVersionAt, header.version);
  Put(out, kKindAt, static_cast<uint16_t>(header.kind));
  Put(out, kShardAt, header.shard.value);
  Put(out, kLsnAt, header.lsn.value);
  Put(out, kSyncedLsnAt, header.synced_lsn.value);
  Put(out, kTermAt, header.term.value);
  Put(out, kIndexAt, header.index.value);
  Put(out, kTimeAt, header.time_ns);
  Put(out, kBodySizeAt, header.body_size);
  Put(out, kBodyCrcAt, header.body_crc);
  Put(out, kCrcAt, RecordHeaderCrc(out, salt));
}

std::array<uint8_t, kCommitMarkBytes> EncodeCommitMark(Lsn lsn) {
  std::array<uint8_t, kCommitMarkBytes> bytes{};
  Put(bytes, 0, kMarkMagic);
  Put(bytes, kMarkLsnAt, lsn.value);
  Put(bytes, kMarkCrcAt, Crc32c(0, bytes.data(), kMarkCrcAt));
  return bytes;
}

std::optional<LogFileHeader> DecodeLogFileHeader(std::span<const uint8_t, kLogFileHeaderBytes> bytes) {
  if (Get<uint64_t>(bytes, 0) != kFileMagic ||
      Get<uint32_t>(bytes, kFileCrcAt) != Crc32c(0, bytes.data(), kFileCrcAt)) {
    return std::nullopt;
  }
  return LogFileHeader{.version = Get<uint32_t>(bytes, kFileVersionAt),
                       .first_lsn = {Get<uint64_t>(bytes, kFileFirstLsnAt)},
                       .salt = Get<uint64_t>(bytes, kFileSaltAt),
                       .log_id = Get<uint64_t>(bytes, kFileLogIdAt)};
}

std::optional<RecordHeader> DecodeRecordHeader(std::span<const uint8_t, kRecordHeaderBytes> bytes, uint64_t salt) {
  if (Get<uint32_t>(bytes, 0) != kRecordMagic || Get<uint32_t>(bytes, kCrcAt) != RecordHeaderCrc(bytes, salt)) {
    return std::nullopt;
  }
  return RecordHeader{.version = Get<uint16_t>(bytes, kVersionAt),
                      .kind = static_cast<RecordKind>(Get<uint16_t>(bytes, kKindAt)),
                      .shard = {Get<uint32_t>(bytes, kShardAt)},
                      .lsn = {Get<uint64_t>(bytes, kLsnAt)},
                      .synced_lsn = {Get<uint64_t>(bytes, kSyncedLsnAt)},
                      .term = {Get<uint64_t>(bytes, kTermAt)},
                      .index = {Get<uint64_t>(bytes, kIndexAt)},
                      .time_ns = Get<int64_t>(bytes, kTimeAt),
                      .body_size = Get<uint64_t>(bytes, kBodySizeAt),
                      .body_crc = Get<uint32_t>(bytes, kBodyCrcAt)};
}

std::optional<Lsn> DecodeCommitMarks(std::string_view content) {
  std::optional<Lsn> newest;
  if (content.size() != 2 * kCommitMarkBytes) {
    return newest;
  }
  for (size_t at = 0; at < content.size(); at += kCommitMarkBytes) {
    const Lsn lsn{Get<uint64_t>({reinterpret_cast<const uint8_t*>(content.data()), content.size()}, at + kMarkLsnAt)};
    // Encoding is a function of the LSN alone, so one comparison checks magic, checksum and the zero bytes.
    if (std::memcmp(EncodeCommitMark(lsn).data(), content.data() + at, kCommitMarkBytes) == 0) {
      newest = std::max(newest.value_or(lsn), lsn);
    }
  }
  return newest;
}

std::string LogFileName(Lsn first_lsn) {
  const std::string digits = std::to_string(first_lsn.value);
  return std::string(kLsnDigits - digits.size(), '0') + digits + std::string(kSuffix);
}

std::optional<Lsn> ParseLogFileName(std::string_view name) {
  Lsn lsn;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), lsn.value);
  if (error != std::errc() || lsn.value == 0 || name != LogFileName(lsn)) {
    return std::nullopt;
  }
  return lsn;
}

uint32_t BodyCrc(const Slices& body) {
  uint32_t crc = 0;
  for (const Slice& piece : body) {
    crc = Crc32c(crc, piece.data(), piece.size());
  }
  return crc;
}

}  // namespace longbow::storage
