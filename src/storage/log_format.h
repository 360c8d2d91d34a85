// The bytes of the log's files, encoded and decoded; the grammar with its reasons is docs/formats/log.md.
//
//   file        = file header (64) , { record } , { 0 }
//   record      = record header (72) , body , 0 to 7 zero bytes up to a multiple of 8
//   COMMITTED   = commit mark (24) , commit mark (24)
// All integers little-endian.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "storage/log.h"

namespace longbow::storage {

inline constexpr uint16_t kLogVersion = 1;
inline constexpr size_t kLogFileHeaderBytes = 64;
inline constexpr size_t kRecordHeaderBytes = 72;
inline constexpr size_t kRecordAlignment = 8;
inline constexpr size_t kCommitMarkBytes = 24;

// This layout is the same in every version, so that any program can tell a newer file from a damaged one.
struct LogFileHeader {
  uint32_t version = kLogVersion;
  Lsn first_lsn;
  // Random per file, mixed into each record's header checksum: bytes that only look like a record, such as a log stored
  // in a row, or blocks of another file, are not taken for one.
  uint64_t salt = 0;
  // Drawn when the log began, the same in all its files; 0 in logs that began before there were any. Tells the files of
  // one data folder from those of another.
  uint64_t log_id = 0;
};

struct RecordHeader {
  uint16_t version = kLogVersion;
  RecordKind kind = RecordKind::kRows;
  ShardId shard;
  Lsn lsn;
  // Every record up to this LSN was durable before this one was written. A bad record with an LSN not above the
  // synced_lsn of a good one is therefore damage; otherwise both may be of one group that was never acknowledged.
  Lsn synced_lsn;
  Term term;
  LogIndex index;
  int64_t time_ns = 0;
  uint64_t body_size = 0;
  uint32_t body_crc = 0;
};

std::array<uint8_t, kLogFileHeaderBytes> Encode(const LogFileHeader& header);
void Encode(const RecordHeader& header, uint64_t salt, std::span<uint8_t, kRecordHeaderBytes> out);
// One of the two marks of COMMITTED. They are written in turn, so that a write that is cut off spoils the older one
// only.
std::array<uint8_t, kCommitMarkBytes> EncodeCommitMark(Lsn lsn);

// None if magic or checksum are wrong; the version is for the caller to judge.
std::optional<LogFileHeader> DecodeLogFileHeader(std::span<const uint8_t, kLogFileHeaderBytes> bytes);
std::optional<RecordHeader> DecodeRecordHeader(std::span<const uint8_t, kRecordHeaderBytes> bytes, uint64_t salt);
// The newest good mark in the content of COMMITTED.
std::optional<Lsn> DecodeCommitMarks(std::string_view content);

// "00000000000000000001.log", and back; none if the name is not exactly of this form or names LSN 0.
std::string LogFileName(Lsn first_lsn);
std::optional<Lsn> ParseLogFileName(std::string_view name);

inline uint64_t PaddedSize(uint64_t body_size) {
  return (body_size + kRecordAlignment - 1) / kRecordAlignment * kRecordAlignment;
}
inline uint64_t RecordSize(uint64_t body_size) { return kRecordHeaderBytes + PaddedSize(body_size); }

uint32_t BodyCrc(const Slices& body);

}  // namespace longbow::storage
