// hot path: one pass per group; a small body is copied once, a large one not at all.
#include "storage/log_writer.h"

#include <algorithm>

#include "base/kill_point.h"
#include "storage/log_file_reader.h"

namespace longbow::storage {
namespace {

// Below this a copy is cheaper than one more piece for the kernel to follow.
constexpr size_t kCopiedBodyMaxBytes = 4'096;
constexpr size_t kRewriteBytes = 1u << 20;
// Of a large group the disk gets so much at a time, so that it writes one piece while the next is copied.
constexpr size_t kStartedBytes = 1u << 20;

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

Result<std::unique_ptr<LogWriter>> LogWriter::Create(FileSystem& fs, std::string directory, const LogOptions& options,
                                                     LogContents contents, Lsn next_lsn, uint64_t seed) {
  std::unique_ptr<LogWriter> writer(new LogWriter(fs, std::move(directory), options, seed));
  writer->last_lsn_ = writer->synced_lsn_ = {next_lsn.value - 1};
  writer->id_ = contents.files.empty() && contents.id == 0 ? writer->random_.Next() | 1 : contents.id;
  if (contents.unborn_file) {
    LB_KILL_POINT("log.open.unborn_file");
    LB_TRY(fs.Remove(*contents.unborn_file));
    LB_TRY(fs.SyncDirectory(writer->directory_));
  }
  const bool continues = !contents.files.empty() && contents.last_lsn.Next() == next_lsn;
  if (continues) {
    LB_TRY(writer->ContinueLastFile(contents));
  }
  LB_TRY(writer->WriteMarkFile(writer->synced_lsn_));
  LB_KILL_POINT("log.open.marked");
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
  offset_ = synced_offset_ = last.used_bytes;
  salt_ = contents.salt;
  LB_KILL_POINT("log.open.rewrite");
  LB_TRY(Rewrite(*file_, contents.unsure_offset, offset_));
  LB_KILL_POINT("log.open.rewritten");
  if (contents.torn) {
    LB_TRY(file_->Truncate(offset_));
    LB_KILL_POINT("log.open.truncated");
  }
  reserved_ = std::max(options_.file_size_bytes, offset_);
  LB_TRY(file_->Allocate(0, reserved_));
  LB_KILL_POINT("log.open.reserved");
  LB_TRY(file_->Sync());
  LB_KILL_POINT("log.open.synced");
  // The file's name may be all that the last life of this program did not come to sync.
  return fs_.SyncDirectory(directory_);
}

Status LogWriter::BeginFile(Lsn first_lsn) {
  const std::string path = directory_ + "/" + LogFileName(first_lsn);
  const LogFileHeader header{.first_lsn = first_lsn, .salt = random_.Next(), .log_id = id_};
  const auto bytes = Encode(header);
  const uint64_t reserved = std::max<uint64_t>(options_.file_size_bytes, bytes.size());
  LB_KILL_POINT("log.file.begin");
  LB_ASSIGN(std::unique_ptr<File> file, fs_.Open(path, OpenMode::kCreate));
  LB_KILL_POINT("log.file.created");
  LB_TRY(file->Allocate(0, reserved));
  LB_KILL_POINT("log.file.reserved");
  LB_TRY(file->WriteAt(0, {Slice(bytes.data(), bytes.size(), nullptr)}));
  LB_KILL_POINT("log.file.header_written");
  LB_TRY(file->Sync());
  LB_KILL_POINT("log.file.synced");
  LB_TRY(fs_.SyncDirectory(directory_));
  LB_KILL_POINT("log.file.named");
  file_ = std::move(file);
  offset_ = synced_offset_ = bytes.size();
  reserved_ = reserved;
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
  for (const SummedRecord& summed : records) {
    const LogRecord& record = summed.record;
    const size_t size = TotalSize(record.body);
    const RecordHeader header{.kind = record.kind,
                              .shard = record.shard,
                              .lsn = record.lsn,
                              .synced_lsn = synced_lsn_,
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

// So that a full disk is met before the first byte is written.
Status LogWriter::Reserve(uint64_t size) {
  if (offset_ + size > reserved_) {
    LB_TRY(file_->Allocate(offset_, size));
    reserved_ = offset_ + size;
    LB_KILL_POINT("log.group.reserved");
  }
  return {};
}

Status LogWriter::WritePieces(const Slices& pieces, uint64_t size) {
  if (options_.sync != SyncPolicy::kFsync || size < 2 * kStartedBytes) {
    return file_->WriteAt(offset_, pieces);
  }
  uint64_t offset = offset_;
  Slices run;
  size_t run_size = 0;
  const auto write_run = [&]() -> Status {
    LB_TRY(file_->WriteAt(offset, run));
    file_->StartWriting(offset, run_size);
    offset += run_size;
    run.clear();
    run_size = 0;
    return {};
  };
  for (const Slice& piece : pieces) {
    for (size_t begin = 0; begin < piece.size();) {
      const size_t take = std::min(piece.size() - begin, kStartedBytes - run_size);
      run.push_back(piece.Sub(begin, take));
      run_size += take;
      begin += take;
      if (run_size == kStartedBytes) {
        LB_TRY(write_run());
      }
    }
  }
  return run.empty() ? Status() : write_run();
}

Status LogWriter::WriteGroup(std::span<const SummedRecord> records) {
  outcome_unknown_ = options_.sync == SyncPolicy::kFsync && has_unsynced();
  if (room_bytes() == 0) {
    LB_TRY(Sync());  // whatever the policy: only the last file may have a torn end
    LB_TRY(BeginFile(records.front().record.lsn));
  }
  const Slices pieces = Gather(records);
  const size_t size = TotalSize(pieces);
  LB_TRY(Reserve(size));
  LB_KILL_POINT("log.group.begin");
  outcome_unknown_ = true;
  LB_TRY(WritePieces(pieces, size));
  LB_KILL_POINT("log.group.written");
  outcome_unknown_ = options_.sync == SyncPolicy::kFsync;
  last_lsn_ = records.back().record.lsn;
  offset_ += size;
  records_ += records.size();
  bytes_ += size;
  MutexLock lock(mu_);
  files_.back().used_bytes = offset_;
  return {};
}

Status LogWriter::Sync() {
  if (!has_unsynced()) {
    return {};
  }
  LB_KILL_POINT("log.sync.begin");
  LB_TRY(SyncRecords());
  LB_KILL_POINT("log.sync.synced");
  LB_TRY(StoreMark(last_lsn_));
  LB_KILL_POINT("log.sync.marked");
  synced_lsn_ = last_lsn_;
  synced_offset_ = offset_;
  outcome_unknown_ = false;
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

Status LogWriter::WriteMarkFile(Lsn lsn) {
  const auto bytes = EncodeCommitMark(lsn);
  const std::string mark(bytes.begin(), bytes.end());
  LB_TRY(WriteWholeFile(fs_, CommitMarkPath(directory_), mark + mark));
  LB_ASSIGN(mark_, fs_.Open(CommitMarkPath(directory_), OpenMode::kReadWrite));
  mark_slot_ = 0;
  return {};
}

// Not synced: it has to outlive this process, not the machine. After a power cut an older mark is found, and what is
// missing above it is what the log's own records cannot show either. It names durable records only: a mark above what
// the disk kept would make a torn end look like damage.
Status LogWriter::StoreMark(Lsn lsn) {
  const auto bytes = EncodeCommitMark(lsn);
  const uint64_t offset = mark_slot_ * kCommitMarkBytes;
  mark_slot_ = 1 - mark_slot_;
  return mark_->WriteAt(offset, {Slice(bytes.data(), bytes.size(), nullptr)});
}

// Under kFsync what is not synced was acknowledged to nobody.
void LogWriter::ForgetUnacknowledged() {
  if (options_.sync != SyncPolicy::kFsync || !has_unsynced()) {
    return;
  }
  last_lsn_ = synced_lsn_;
  offset_ = synced_offset_;
  MutexLock lock(mu_);
  files_.back().used_bytes = offset_;
}

// In an order in which a crash between any two steps leaves what Open takes: at worst the refused records come back.
Status LogWriter::Recover() {
  LB_KILL_POINT("log.recover.begin");
  ForgetUnacknowledged();
  if (file_ != nullptr) {
    // A mark whose writing failed may have named records that are about to go.
    LB_TRY(WriteMarkFile(synced_lsn_));
    LB_KILL_POINT("log.recover.marked");
    LB_TRY(SealFile());
    LB_KILL_POINT("log.recover.sealed");
    synced_lsn_ = last_lsn_;
    synced_offset_ = offset_;
    LB_TRY(StoreMark(last_lsn_));
    file_.reset();  // another attempt begins below
  }
  LB_TRY(RemoveFileWithoutRecords());
  LB_KILL_POINT("log.recover.removed");
  LB_TRY(BeginFile(last_lsn_.Next()));
  LB_KILL_POINT("log.recover.begun");
  outcome_unknown_ = false;
  return {};
}

// Leaves exactly the acknowledged records in the file, durable and seen to be there.
Status LogWriter::SealFile() {
  const std::string path = file_->path();
  LB_ASSIGN(file_, fs_.Open(path, OpenMode::kReadWrite));  // anew: errors of the old descriptor are not told again
  if (synced_offset_ < offset_) {
    // Acknowledged under another policy than kFsync, and dropped by the failed sync, if the kernel does that: they are
    // worth writing again only if they can still be read.
    LB_TRY(CheckLogFile(*file_, offset_, last_lsn_));
    LB_TRY(Rewrite(*file_, synced_offset_, offset_));
  }
  LB_TRY(file_->Truncate(offset_));
  LB_KILL_POINT("log.recover.truncated");
  LB_TRY(file_->Sync());
  LB_KILL_POINT("log.recover.synced");
  reserved_ = offset_;
  file_->DropCache();
  return CheckLogFile(*file_, offset_, last_lsn_);
}

// The file that the failed group began, or the current one if it never took a record: its name is needed again.
Status LogWriter::RemoveFileWithoutRecords() {
  const std::string path = directory_ + "/" + LogFileName(last_lsn_.Next());
  LB_ASSIGN(const bool exists, fs_.Exists(path));
  if (!exists) {
    return {};
  }
  {
    MutexLock lock(mu_);
    if (!files_.empty() && files_.back().path == path) {
      files_.pop_back();
    }
  }
  LB_TRY(fs_.Remove(path));
  return fs_.SyncDirectory(directory_);
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
    LB_KILL_POINT("log.cut.remove");
    LB_TRY(fs_.Remove(entry.path));
    LB_KILL_POINT("log.cut.removed");
  }
  if (!removed.empty()) {
    LB_TRY(fs_.SyncDirectory(directory_));
    LB_KILL_POINT("log.cut.synced");
  }
  return {};
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
