// Opens a log whose only file is the input: as it is, or as records with right checksums and impossible contents.
#include <array>
#include <cstring>

#include "base/check.h"
#include "base/memory_file_system.h"
#include "storage/log.h"
#include "storage/log_format.h"

namespace {

using namespace longbow;
using namespace longbow::storage;

constexpr uint64_t kSalt = 7;

// Takes bytes off the input; zeros when it is used up.
class Bytes {
 public:
  Bytes(const uint8_t* data, size_t size) : at_(data), end_(data + size) {}
  size_t left() const { return static_cast<size_t>(end_ - at_); }
  template <typename T>
  T Take() {
    T value{};
    const size_t size = std::min(sizeof(T), left());
    if (size > 0) {
      std::memcpy(&value, at_, size);
    }
    at_ += size;
    return value;
  }
  std::string TakeText(size_t size) {
    size = std::min(size, left());
    std::string text(reinterpret_cast<const char*>(at_), size);
    at_ += size;
    return text;
  }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
};

void AppendRecord(Bytes& bytes, uint64_t lsn, std::string* content) {
  const auto shape = bytes.Take<uint8_t>();
  RecordHeader header{.kind = static_cast<RecordKind>(bytes.Take<uint8_t>()), .lsn = {lsn}, .synced_lsn = {lsn - 1}};
  const std::string body = bytes.TakeText(bytes.Take<uint8_t>());
  header.body_size = body.size();
  header.body_crc = BodyCrc({Slice::Own(body)});
  // Each of these makes a field lie.
  header.version = (shape & 1) != 0 ? bytes.Take<uint16_t>() : header.version;
  header.lsn = (shape & 2) != 0 ? Lsn{bytes.Take<uint64_t>()} : header.lsn;
  header.synced_lsn = (shape & 4) != 0 ? Lsn{bytes.Take<uint64_t>()} : header.synced_lsn;
  header.body_size = (shape & 8) != 0 ? bytes.Take<uint64_t>() : header.body_size;
  header.body_crc = (shape & 16) != 0 ? bytes.Take<uint32_t>() : header.body_crc;
  std::array<uint8_t, kRecordHeaderBytes> encoded{};
  Encode(header, kSalt, encoded);
  content->append(reinterpret_cast<const char*>(encoded.data()), encoded.size());
  content->append(body);
  content->append(PaddedSize(body.size()) - body.size(), '\0');
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Bytes bytes(data, size);
  const auto shape = bytes.Take<uint8_t>();
  const uint64_t acknowledged = bytes.Take<uint8_t>() % 8;
  std::string content;
  if ((shape & 1) != 0) {
    content = bytes.TakeText(size);
  } else {
    const auto header = Encode(LogFileHeader{.first_lsn = {1}, .salt = kSalt});
    content.assign(header.begin(), header.end());
    for (uint64_t lsn = 1; lsn <= bytes.Take<uint8_t>() % 8u + 1 && bytes.left() > 0; ++lsn) {
      AppendRecord(bytes, lsn, &content);
    }
    content += bytes.TakeText(size);
  }
  MemoryFileSystem fs;
  LB_CHECK(fs.CreateDirectories("/log").ok());
  LB_CHECK(WriteWholeFile(fs, "/log/" + LogFileName({1}), content).ok());
  const auto mark = EncodeCommitMark({acknowledged});
  LB_CHECK(WriteWholeFile(fs, "/log/COMMITTED",
                          std::string(mark.begin(), mark.end()) + std::string(mark.begin(), mark.end()))
               .ok());
  const LogOptions options{.file_size_bytes = 4'096, .ignore_commit_mark = (shape & 2) != 0, .seed = 1};
  uint64_t replayed = 0;
  const auto count = [&](const LogRecord& record) {
    LB_CHECK(record.lsn.value == ++replayed);
    return Status();
  };
  const bool opened = Log::Open(fs, "/log", options, {}, count).ok();
  if (opened) {
    // What was taken once is taken again, record by record.
    LB_CHECK(options.ignore_commit_mark || replayed >= acknowledged);
    const uint64_t before = replayed;
    replayed = 0;
    LB_CHECK(Log::Open(fs, "/log", options, {}, count).ok());
    LB_CHECK(replayed == before);
  } else {
    LB_CHECK(ReadWholeFile(fs, "/log/" + LogFileName({1})).value() == content);  // a refusal changes nothing
  }
  return 0;
}
