#include "cli/snapshot_commands.h"

#include <array>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <ctime>
#include <vector>

#include "base/clock.h"
#include "base/config.h"
#include "base/file.h"
#include "base/random.h"
#include "cli/command.h"
#include "cli/offline_store.h"
#include "cli/progress_line.h"
#include "cli/s3_options.h"
#include "engine/snapshot.h"
#include "engine/snapshot_places.h"
#include "engine/snapshot_removal.h"

namespace longbow::cli {
namespace {

constexpr Option kData{.name = "data", .default_text = "", .help = "Data folder."};
constexpr Option kFrom{
    .name = "from", .default_text = "", .help = "Where the snapshots are: a folder, or s3://BUCKET/PREFIX."};
constexpr Option kTo{.name = "to", .default_text = "", .help = "Where to keep it: a folder, or s3://BUCKET/PREFIX."};
constexpr Option kId{
    .name = "snapshot", .default_text = "", .help = "Which one, by its id; empty = the youngest of a whole store."};
constexpr Option kRemove{.name = "remove", .default_text = "", .help = "Remove the snapshot of this id."};
constexpr Option kKeep{.name = "keep",
                       .type = OptionType::kInt,
                       .default_text = "0",
                       .help = "Remove all but so many of the youngest, of the store and of each dataset; 0 = none."};
constexpr Option kCollection{.name = "collection", .default_text = "", .help = "Only this dataset; empty = all."};

constexpr std::array kSnapshotTable = {
    kData,           kTo, kCollection, kS3Endpoint, kS3Region, kS3UsePathStyle, kAwsAccessKeyId, kAwsSecretAccessKey,
    kAwsSessionToken};
constexpr std::array kListTable = {kFrom,           kRemove,         kKeep,           kS3Endpoint,
                                   kS3Region,       kS3UsePathStyle, kAwsAccessKeyId, kAwsSecretAccessKey,
                                   kAwsSessionToken};
constexpr std::array kRestoreTable = {
    kFrom, kId, kData, kS3Endpoint, kS3Region, kS3UsePathStyle, kAwsAccessKeyId, kAwsSecretAccessKey, kAwsSessionToken};

constexpr std::string_view kSnapshotNeeds[] = {"data", "to"};
constexpr std::string_view kListNeeds[] = {"from"};
constexpr std::string_view kRestoreNeeds[] = {"from", "data"};

constexpr Command kSnapshot{"snapshot",
                            R"(longbow snapshot: copy a data folder that no node uses to where snapshots are kept

  longbow snapshot --data DIR --to PLACE [options]

Files that an earlier snapshot there has are not copied again. A running node takes snapshots by the action
CreateSnapshot. Exit status: 0 done; 1 not; 2 the command line is wrong.

Options:
)",
                            kSnapshotTable, kSnapshotNeeds};
constexpr Command kSnapshots{"snapshots",
                             R"(longbow snapshots: list the snapshots of a place, oldest first, or remove some

  longbow snapshots --from PLACE [options]

With --remove or --keep nothing may be writing snapshots there. Exit status: 0 all can be read, or were removed; 1 not;
2 the command line is wrong.

Options:
)",
                             kListTable, kListNeeds};
constexpr Command kRestore{"restore", R"(longbow restore: make a data folder of a snapshot

  longbow restore --from PLACE --data DIR [--snapshot ID] [options]

DIR must be missing or empty; if a restore was interrupted there, the same command goes on. Every byte is checked. Exit
status: 0 done; 1 not; 2 the command line is wrong.

Options:
)",
                           kRestoreTable, kRestoreNeeds};

std::string TimeOf(int64_t wall_ns) {
  const auto seconds = static_cast<std::time_t>(wall_ns / 1'000'000'000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts)};
}

double Megabytes(uint64_t bytes) { return static_cast<double>(bytes) / 1e6; }

uint64_t RowsOf(const auto& index) {
  uint64_t rows = 0;
  for (const auto& collection : index.collections) {
    rows += collection.rows;
  }
  return rows;
}

void PrintDone(const char* what, const auto& index, const engine::SnapshotProgress& progress,
               std::chrono::steady_clock::time_point started) {
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  std::printf("%s %s: %zu datasets, %" PRIu64 " rows, up to record %" PRIu64
              "; %zu files, %.1f MB, of which %.1f MB were copied, in %.1f s\n",
              what, index.id.c_str(), index.collections.size(), RowsOf(index), index.lsn.value, index.files.size(),
              Megabytes(index.size_bytes()), Megabytes(progress.bytes_copied), took.count());
}

Status Snapshot(const Config& config) {
  const auto started = std::chrono::steady_clock::now();
  LB_ASSIGN(const auto target, engine::OpenPath(RealFileSystem(), config.String("to"), ToS3Settings(config),
                                                engine::TargetAccess::kWrite));
  LB_ASSIGN(const auto offline, OfflineStore::Open(config.String("data"), "longbow snapshot"));
  LB_ASSIGN(const auto manifest, offline->store().PinCheckpoint());
  LB_ASSIGN(const uint64_t number, SystemSeed());
  engine::KnownContents known;
  engine::SnapshotProgress progress;
  const int64_t now_ns = RealClock().WallNowNs();
  const ProgressLine line(progress);
  LB_ASSIGN(const auto index,
            engine::WriteSnapshot(offline->store().folder(), *manifest,
                                  {engine::MakeSnapshotId(now_ns, number), config.String("collection"), now_ns},
                                  *target, &known, nullptr, &progress));
  PrintDone("wrote snapshot", index, progress, started);
  return {};
}

// Of both options together it would not be clear which one counts.
Status RemoveSome(const Config& config) {
  const int64_t keep = config.Int("keep");
  const std::string id = config.String("remove");
  if (keep < 0 || (keep > 0 && !id.empty())) {
    return InvalidArgument("expected --remove=ID or --keep=N with N of 1 or more");
  }
  LB_ASSIGN(const auto target, engine::OpenPath(RealFileSystem(), config.String("from"), ToS3Settings(config),
                                                engine::TargetAccess::kWrite));
  std::vector<std::string> ids{id};
  if (keep > 0) {
    LB_ASSIGN(const std::vector<engine::ListedSnapshot> snapshots, engine::ListSnapshots(*target));
    ids = engine::OlderSnapshots(snapshots, static_cast<size_t>(keep));
  }
  LB_ASSIGN(const engine::RemovedSnapshots removed, engine::RemoveSnapshots(*target, ids, nullptr));
  for (const std::string& gone : removed.ids) {
    std::printf("removed snapshot %s\n", gone.c_str());
  }
  std::printf("%zu snapshots removed, and %" PRIu64 " objects of %.1f MB\n", removed.ids.size(), removed.objects,
              Megabytes(removed.bytes));
  return {};
}

Status Snapshots(const Config& config) {
  if (config.Int("keep") != 0 || !config.String("remove").empty()) {
    return RemoveSome(config);
  }
  LB_ASSIGN(const auto source, engine::OpenPath(RealFileSystem(), config.String("from"), ToS3Settings(config),
                                                engine::TargetAccess::kRead));
  LB_ASSIGN(const std::vector<engine::ListedSnapshot> snapshots, engine::ListSnapshots(*source));
  std::printf("%-34s %-23s %12s %12s %10s  %s\n", "snapshot", "taken", "record", "rows", "MB", "datasets");
  Status damaged;
  for (const engine::ListedSnapshot& snapshot : snapshots) {
    const auto& index = snapshot.index;
    if (!snapshot.status.ok()) {
      std::printf("%-34s %s\n", index.id.c_str(), std::string(snapshot.status.message()).c_str());
      damaged = DataLoss("not all snapshots can be read");
      continue;
    }
    std::printf("%-34s %-23s %12" PRIu64 " %12" PRIu64 " %10.1f  %s\n", index.id.c_str(),
                TimeOf(index.taken_at_ns).c_str(), index.lsn.value, RowsOf(index), Megabytes(index.size_bytes()),
                index.collection.empty() ? std::to_string(index.collections.size()).c_str() : index.collection.c_str());
  }
  return damaged;
}

Status Restore(const Config& config) {
  const auto started = std::chrono::steady_clock::now();
  LB_ASSIGN(const auto source, engine::OpenPath(RealFileSystem(), config.String("from"), ToS3Settings(config),
                                                engine::TargetAccess::kRead));
  LB_ASSIGN(const engine::SegmentOptions segment, OfflineSegmentOptions());
  engine::SnapshotProgress progress;
  const ProgressLine line(progress);
  LB_ASSIGN(const auto index, engine::RestoreSnapshot(RealFileSystem(), *source,
                                                      {config.String("snapshot"), config.String("data"), segment},
                                                      RealClock(), &progress));
  PrintDone("restored snapshot", index, progress, started);
  return {};
}

}  // namespace

int RunSnapshot(std::span<const std::string> arguments) { return RunCommand(kSnapshot, arguments, Snapshot); }
int RunSnapshots(std::span<const std::string> arguments) { return RunCommand(kSnapshots, arguments, Snapshots); }
int RunRestore(std::span<const std::string> arguments) { return RunCommand(kRestore, arguments, Restore); }

}  // namespace longbow::cli
