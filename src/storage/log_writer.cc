// hot path: one pass per group; a small body is copied once, a large one not at all.
#include "storage/log_writer.h"

#include <algorithm>

namespace longbow::storage {
namespace {

// Below this a copy is cheaper than one more piece for the kernel to follow.
constexpr size_t kCopiedBodyMaxBytes = 4'096;
constexpr size_t kRewriteBytes = 1u << 20;

bool IsCopied(const SummedRecord& summed) { return TotalSize(summed.record.body) <= kCopiedBodyMaxBytes; }

size_t StagedSize(const SummedRecord& summed) {
  const size_t body = TotalSize(summed.record.body);
  return kRecordHeaderBytes + (IsCopied(summed) ? PaddedSize(body) : PaddedSize(body) - body);
}

// Writes what stands in [begin, end) once more. After a failed fsync Linux counts pages as clean that never reached the
// disk; a program that opens the file anew reads them, but only writing makes them dirty and so durable again.
Status Rewrite(File& file, uint64_t begin, uint64_t end) {
  std::vector<uint8_t> bytes;
  for (uint64_t offset = begin; offset < end; offset += bytes.size()) {
    bytes.resize(std::min<uint64_t>(kRewriteBytes, end - offset));
    LB_ASSIGN(const size_t got, file.ReadAt(offset, bytes));
    if (got != bytes.size()) {
      return Unavailable("'" + file.path() + "' became shorter while it was read");
    }
    LB_TRY(file.WriteAt(offset, {Slice(bytes.data(), bytes.size(), nullptr)}));
  }
  return {};
}

// Collects pieces of a group; neighbouring bytes of the staging area become one piece.
class Gatherer {
 public:
  Gatherer(std::vector<uint8_t>& staging, size_t staged_size) : staging_(staging) {
    // Grows only, and its old bytes may stay: every byte that is used is written first.
    staging_.resize(std::max(staging_.size(), staged_size));
  }

  uint8_t* Stage(size_t size) {
    uint8_t* at = staging_.data() + used_;
    used_ += size;
    return at;
  }
  void StageZeros(size_t size) { std::fill_n(Stage(size), size, uint8_t{0}); }
  void Refer(const Slice& piece) {
    Flush();
    pieces_.push_back(piece);
  }
  Slices Take() {
    Flush();
    return std::move(pieces_);
  }

 private:
  void Flush() {
    if (used_ > flushed_) {
      pieces_.emplace_back(staging_.data() + flushed_, used_ - flushed_, nullptr);
      flushed_ = used_;
    }
  }

  std::vector<uint8_t>& staging_;
  size_t used_ = 0;
  size_t flushed_ = 0;
  Slices pieces_;
};

}  // namespace

std::string CommitMarkPath(const std::string& directory) { return directory + "/COMMITTED"; }

Result<std::unique_ptr<LogWriter>> LogWriter::Create(FileSystem& fs, std::string directory, const LogOptions& options,
                                                     LogContents contents, Lsn next_lsn, uint64_t seed) {
  std::unique_ptr<LogWriter> writer(new LogWriter(fs, std::move(directory), options, seed));
  if (contents.unborn_file) {
    LB_TRY(fs.Remove(*contents.unborn_file));
    LB_TRY(fs.SyncDirectory(writer->directory_));
  }
  const bool continues = !contents.files.empty() && contents.last_lsn.Next() == next_lsn;
  if (continues) {
    LB_TRY(writer->ContinueLastFile(contents));
  }
  const auto bytes = EncodeCommitMark({next_lsn.value - 1});
  const std::string mark(bytes.begin(), bytes.end());
  LB_TRY(WriteWholeFile(fs, CommitMarkPath(writer->directory_), mark + mark));
  LB_ASSIGN(writer->mark_, fs.Open(CommitMarkPath(writer->directory_), OpenMode::kReadWrite));
  {
    MutexLock lock(writer->mu_);
    writer->files_ = std::move(contents.files);
  }
  if (!continues) {
    LB_TRY(writer->BeginFile(next_lsn));
  }
  return writer;
}

Status LogWriter::ContinueLastFile(const LogContents& contents) {
  const LogFileEntry& last = contents.files.back();
  LB_ASSIGN(file_, fs_.Open(last.path, OpenMode::kReadWrite));
  offset_ = last.used_bytes;
  salt_ = contents.salt;
  LB_TRY(Rewrite(*file_, contents.unsure_offset, offset_));
  if (contents.torn) {
    LB_TRY(file_->Truncate(offset_));
  }
  LB_TRY(file_->Allocate(0, std::max(options_.file_size_bytes, offset_)));
  LB_TRY(file_->Sync());
  // The file's name may be all that the last life of this program did not come to sync.
  return fs_.SyncDirectory(directory_);
}

Status LogWriter::BeginFile(Lsn first_lsn) {
  const std::string path = directory_ + "/" + LogFileName(first_lsn);
  const LogFileHeader header{.first_lsn = first_lsn, .salt = random_.Next()};
  const auto bytes = Encode(header);
  LB_ASSIGN(file_, fs_.Open(path, OpenMode::kCreate));
  LB_TRY(file_->Allocate(0, std::max<uint64_t>(options_.file_size_bytes, bytes.size())));
  LB_TRY(file_->WriteAt(0, {Slice(bytes.data(), bytes.size(), nullptr)}));
  LB_TRY(file_->Sync());
  LB_TRY(fs_.SyncDirectory(directory_));
  offset_ = bytes.size();
  salt_ = header.salt;
  MutexLock lock(mu_);
  files_.push_back({.path = path, .first_lsn = first_lsn, .used_bytes = offset_});
  return {};
}

Slices LogWriter::Gather(std::span<const SummedRecord> records) {
  size_t staged_size = 0;
  for (const SummedRecord& summed : records) {
    staged_size += StagedSize(summed);
  }
  Gatherer gatherer(staging_, staged_size);
  const Lsn synced_lsn{records.front().record.lsn.value - 1};
  for (const SummedRecord& summed : records) {
    const LogRecord& record = summed.record;
    const size_t size = TotalSize(record.body);
    const RecordHeader header{.kind = record.kind,
                              .shard = record.shard,
                              .lsn = record.lsn,
                              .synced_lsn = synced_lsn,
                              .term = record.term,
                              .index = record.index,
                              .time_ns = record.time_ns,
                              .body_size = size,
                              .body_crc = summed.body_crc};
    Encode(header, salt_,
           std::span<uint8_t, kRecordHeaderBytes>(gatherer.Stage(kRecordHeaderBytes), kRecordHeaderBytes));
    for (const Slice& piece : record.body) {
      if (IsCopied(summed)) {
        std::copy(piece.begin(), piece.end(), gatherer.Stage(piece.size()));
      } else {
        gatherer.Refer(piece);
      }
    }
    gatherer.StageZeros(PaddedSize(size) - size);
  }
  return gatherer.Take();
}

Status LogWriter::WriteGroup(std::span<const SummedRecord> records) {
  if (room_bytes() == 0) {
    LB_TRY(BeginFile(records.front().record.lsn));
  }
  const Slices pieces = Gather(records);
  LB_TRY(file_->WriteAt(offset_, pieces));
  LB_TRY(SyncRecords());
  const size_t size = TotalSize(pieces);
  offset_ += size;
  LB_TRY(StoreMark(records.back().record.lsn));
  records_ += records.size();
  bytes_ += size;
  MutexLock lock(mu_);
  files_.back().used_bytes = offset_;
  return {};
}

Status LogWriter::SyncRecords() {
  const auto begin = options_.clock->SteadyNow();
  LB_TRY(file_->Sync());
  const std::chrono::nanoseconds took = options_.clock->SteadyNow() - begin;
  ++syncs_;
  sync_time_.store(sync_time_.load() + took);
  if (options_.on_sync) {
    options_.on_sync(took);
  }
  return {};
}

// Not synced: it has to outlive this process, not the machine. After a power cut an older mark is found, and what is
// missing above it is what the log's own records cannot show either.
Status LogWriter::StoreMark(Lsn lsn) {
  const auto bytes = EncodeCommitMark(lsn);
  const uint64_t offset = mark_slot_ * kCommitMarkBytes;
  mark_slot_ = 1 - mark_slot_;
  return mark_->WriteAt(offset, {Slice(bytes.data(), bytes.size(), nullptr)});
}

Status LogWriter::Cut(Lsn upto) {
  std::vector<LogFileEntry> removed;
  {
    MutexLock lock(mu_);
    size_t count = 0;
    while (count + 1 < files_.size() && files_[count + 1].first_lsn.value <= upto.value + 1) {
      ++count;
    }
    const auto end = files_.begin() + static_cast<ptrdiff_t>(count);
    removed.assign(files_.begin(), end);
    files_.erase(files_.begin(), end);
  }
  // Whichever of them a crash leaves, Open does not read files that end before the checkpoint.
  for (const LogFileEntry& entry : removed) {
    LB_TRY(fs_.Remove(entry.path));
  }
  return removed.empty() ? Status() : fs_.SyncDirectory(directory_);
}

LogStats LogWriter::stats() const {
  return {.records = records_, .bytes = bytes_, .syncs = syncs_, .sync_time = sync_time_};
}

uint64_t LogWriter::size_bytes() const {
  MutexLock lock(mu_);
  uint64_t size = 0;
  for (const LogFileEntry& entry : files_) {
    size += entry.used_bytes;
  }
  return size;
}

}  // namespace longbow::storage
