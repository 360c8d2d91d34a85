#include "cli/transfer_commands.h"

#include <array>
#include <chrono>
#include <cinttypes>
#include <cstdio>

#include "base/file.h"
#include "cli/command.h"
#include "cli/offline_store.h"
#include "engine/transfer.h"

namespace longbow::cli {
namespace {

constexpr Option kData{.name = "data", .default_text = "", .help = "Data folder, which no node uses."};
constexpr Option kCollection{.name = "collection", .default_text = "", .help = "Name of the dataset."};

constexpr std::array kExportTable = {
    kData, kCollection,
    Option{.name = "to", .default_text = "", .help = "New file; its ending says which: .parquet, .arrow or .feather."}};
constexpr std::array kImportTable = {
    kData,
    kCollection,
    Option{.name = "from", .default_text = "", .help = "Parquet or Arrow IPC file."},
    Option{.name = "id_column",
           .default_text = "id",
           .help = "Column of the file that becomes id: integers or texts; without one rows are numbered."},
    Option{.name = "vector_column",
           .default_text = "vector",
           .help = "Column of the file that becomes vector: fixed-size lists, or lists of one length."},
    Option{.name = "metric",
           .default_text = "",
           .help = "euclidean, cosine, dot_product, ...; empty = the one that the file names, else euclidean."},
    Option{.name = "append",
           .type = OptionType::kBool,
           .default_text = "false",
           .help = "The dataset may be there; rows replace those with the same id."}};

constexpr std::string_view kExportNeeds[] = {"data", "collection", "to"};
constexpr std::string_view kImportNeeds[] = {"data", "collection", "from"};

constexpr Command kExport{"export", R"(longbow export: one dataset as a file that any Parquet or Arrow tool reads

  longbow export --data DIR --collection NAME --to FILE.parquet

Live rows, all columns, with what `longbow import` needs to make the same dataset again. Exit status: 0 done; 1 not; 2
the command line is wrong.

Options:
)",
                          kExportTable, kExportNeeds};
constexpr Command kImport{"import", R"(longbow import: a dataset from a Parquet or Arrow IPC file

  longbow import --data DIR --collection NAME --from FILE [options]

DIR is made if it is not there. Every row is checked before the first one is written. Exit status: 0 done; 1 not; 2 the
command line, or the file, is wrong.

Options:
)",
                          kImportTable, kImportNeeds};

void PrintDone(const char* what, uint64_t rows, std::chrono::steady_clock::time_point started) {
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  std::printf("%s %" PRIu64 " rows in %.1f s\n", what, rows, took.count());
}

Status Export(const Config& config) {
  const auto started = std::chrono::steady_clock::now();
  LB_ASSIGN(const auto offline, OfflineStore::Open(config.String("data"), "longbow export"));
  LB_ASSIGN(const uint64_t rows, engine::ExportCollection(offline->store(), RealFileSystem(),
                                                          config.String("collection"), config.String("to")));
  PrintDone("exported", rows, started);
  return {};
}

Status Import(const Config& config) {
  const auto started = std::chrono::steady_clock::now();
  LB_ASSIGN(const auto offline, OfflineStore::Open(config.String("data"), "longbow import", /*may_create=*/true));
  LB_ASSIGN(const uint64_t rows, engine::ImportCollection(offline->store(), RealFileSystem(),
                                                          {.collection = config.String("collection"),
                                                           .path = config.String("from"),
                                                           .id_column = config.String("id_column"),
                                                           .vector_column = config.String("vector_column"),
                                                           .metric = config.String("metric"),
                                                           .append = config.Bool("append")}));
  PrintDone("imported", rows, started);
  return {};
}

}  // namespace

int RunExport(std::span<const std::string> arguments) { return RunCommand(kExport, arguments, Export); }
int RunImport(std::span<const std::string> arguments) { return RunCommand(kImport, arguments, Import); }

}  // namespace longbow::cli
