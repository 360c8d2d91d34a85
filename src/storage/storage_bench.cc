// What the bytes cost, on the disk under $TMPDIR (default /tmp): the log beside plain writes, and segment files.
#include <arrow/api.h>
#include <benchmark/benchmark.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <thread>

#include "base/limits.h"
#include "base/random.h"
#include "storage/log.h"
#include "storage/segment_file.h"

namespace longbow::storage {
namespace {

// A folder of its own, gone afterwards.
class Folder {
 public:
  Folder() : path_((std::filesystem::temp_directory_path() / "longbow_bench_XXXXXX").string()) {
    if (::mkdtemp(path_.data()) == nullptr) {
      std::abort();
    }
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Slice RandomSlice(size_t size) {
  std::string bytes(size, '\0');
  Random random(1);
  for (size_t i = 0; i + 8 <= size; i += 8) {
    const uint64_t word = random.Next();
    std::copy_n(reinterpret_cast<const char*>(&word), 8, bytes.data() + i);
  }
  return Slice::Own(std::move(bytes));
}

std::unique_ptr<Log> OpenLog(const Folder& folder) {
  return Log::Open(RealFileSystem(), folder.path() + "/log", {.file_size_bytes = limits::kLogFileSizeBytes}, {},
                   [](const LogRecord&) { return Status(); })
      .value();
}

// state.range(0): bytes per record; range(1): threads that each append one record and wait for it.
void LogAppend(benchmark::State& state) {
  const Folder folder;
  const std::unique_ptr<Log> log = OpenLog(folder);
  const Slice body = RandomSlice(static_cast<size_t>(state.range(0)));
  const auto appends = static_cast<uint64_t>(state.range(0) > 100'000 ? 1 : 100);  // per thread and iteration
  for (auto _ : state) {
    std::vector<std::thread> threads;
    for (int64_t t = 0; t < state.range(1); ++t) {
      threads.emplace_back([&] {
        for (uint64_t i = 0; i < appends; ++i) {
          std::promise<bool> done;
          log->Append({.body = {body}}, [&](Lsn, const Status& status) { done.set_value(status.ok()); });
          if (!done.get_future().get()) {
            std::abort();
          }
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    state.PauseTiming();
    if (!log->Cut(log->last_lsn()).ok()) {
      std::abort();
    }
    state.ResumeTiming();
  }
  const int64_t records = state.iterations() * state.range(1) * static_cast<int64_t>(appends);
  state.SetItemsProcessed(records);
  state.SetBytesProcessed(records * state.range(0));
  state.counters["records/sync"] = static_cast<double>(log->stats().records) / static_cast<double>(log->stats().syncs);
}
BENCHMARK(LogAppend)
    ->UseRealTime()
    ->ArgsProduct({{200}, {1, 8, 64}})
    ->ArgsProduct({{1 << 20, 8 << 20}, {1, 4}})
    ->Args({64 << 20, 1});

// The same bytes, written to preallocated files and synced, without a log.
void PlainWriteAndSync(benchmark::State& state) {
  const Folder folder;
  const Slice body = RandomSlice(static_cast<size_t>(state.range(0)));
  std::unique_ptr<File> file;
  uint64_t offset = limits::kLogFileSizeBytes;
  for (auto _ : state) {
    if (offset >= limits::kLogFileSizeBytes) {
      file = RealFileSystem().Open(folder.path() + "/plain", OpenMode::kCreateOrTruncate).value();
      offset = 0;
      if (!file->Allocate(0, limits::kLogFileSizeBytes).ok()) {
        std::abort();
      }
    }
    if (!file->WriteAt(offset, {body}).ok() || !file->Sync().ok()) {
      std::abort();
    }
    offset += body.size();
  }
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(PlainWriteAndSync)->UseRealTime()->Arg(200)->Arg(1 << 20)->Arg(8 << 20)->Arg(64 << 20);

// Replay of 256 MiB in records of 1 MiB and of 1 KiB, from the page cache.
void LogReplay(benchmark::State& state) {
  const Folder folder;
  constexpr int64_t kBytes = 256 << 20;
  {
    const std::unique_ptr<Log> log = OpenLog(folder);
    const Slice body = RandomSlice(static_cast<size_t>(state.range(0)));
    for (int64_t i = 0; i < kBytes / state.range(0); ++i) {
      log->Append({.body = {body}}, [](Lsn, const Status&) {});
    }
  }
  for (auto _ : state) {
    benchmark::DoNotOptimize(OpenLog(folder)->last_lsn());
  }
  state.SetBytesProcessed(state.iterations() * kBytes);
}
BENCHMARK(LogReplay)->UseRealTime()->Arg(1 << 20)->Arg(1 << 10);

constexpr int64_t kRows = 100'000;
constexpr int32_t kDimension = 384;

std::shared_ptr<arrow::RecordBatch> VectorBatch() {
  arrow::Int64Builder ids;
  arrow::StringBuilder names;
  arrow::FloatBuilder values;
  Random random(2);
  bool ok = true;
  for (int64_t row = 0; row < kRows; ++row) {
    ok &= ids.Append(row).ok() && names.Append("package-" + std::to_string(random.Below(50'000))).ok();
    for (int32_t d = 0; d < kDimension; ++d) {
      ok &= values.Append(static_cast<float>(random.Fraction())).ok();
    }
  }
  if (!ok) {
    std::abort();
  }
  const auto vectors = arrow::FixedSizeListArray::FromArrays(values.Finish().ValueOrDie(), kDimension).ValueOrDie();
  const auto schema = arrow::schema({arrow::field("id", arrow::int64()), arrow::field("name", arrow::utf8()),
                                     arrow::field("vector", vectors->type())});
  return arrow::RecordBatch::Make(schema, kRows, {ids.Finish().ValueOrDie(), names.Finish().ValueOrDie(), vectors});
}

void SegmentWrite(benchmark::State& state) {
  const Folder folder;
  const auto batch = VectorBatch();
  int64_t bytes = 0;
  for (auto _ : state) {
    const std::string path = folder.path() + "/" + std::to_string(bytes);
    bytes +=
        static_cast<int64_t>(WriteSegmentFile(RealFileSystem(), path, batch->schema(), {batch}).value().size_bytes);
    state.PauseTiming();
    std::filesystem::remove(path);
    state.ResumeTiming();
  }
  state.SetBytesProcessed(bytes);
}
BENCHMARK(SegmentWrite)->UseRealTime()->Unit(benchmark::kMillisecond);

void SegmentRead(benchmark::State& state) {
  const Folder folder;
  const auto batch = VectorBatch();
  const std::string path = folder.path() + "/segment";
  const FileDigest digest = WriteSegmentFile(RealFileSystem(), path, batch->schema(), {batch}).value();
  for (auto _ : state) {
    benchmark::DoNotOptimize(ReadSegmentFile(RealFileSystem(), path, digest).value().size());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(digest.size_bytes));
}
BENCHMARK(SegmentRead)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace longbow::storage
