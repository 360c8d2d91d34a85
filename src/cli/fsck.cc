#include "cli/fsck.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <vector>

#include "base/config.h"
#include "base/file.h"
#include "base/limits.h"
#include "engine/folder_check.h"
#include "kernels/dispatch.h"

namespace longbow::cli {
namespace {

using enum OptionType;
using engine::FileReport;
using engine::FileState;

constexpr std::array kTable = {
    Option{.name = "repair",
           .type = kBool,
           .default_text = "false",
           .help =
               "Repair what can be repaired without loss: remove damaged files that are derived from others, cut off "
               "the rest of a write that never finished."},
    Option{.name = "accept_loss",
           .type = kBool,
           .default_text = "false",
           .help =
               "With --repair: where the log ends before what was acknowledged, or its mark is damaged, end it with "
               "its last whole record."},
    Option{.name = "quiet", .type = kBool, .default_text = "false", .help = "Print only what is not sound."},
};

constexpr char kHelp[] = R"(longbow fsck: check every byte of a data folder that no node uses

  longbow fsck DIR [options]

Exit status: 0 all is sound, or was made so; 1 a repair would make it so; 2 the command line is wrong, or DIR is no data
folder or in use; 3 something is lost, or a repair needs --accept-loss.

Options:
)";

int Fail(std::string_view message) {
  std::fprintf(stderr, "longbow fsck: %.*s\n", static_cast<int>(message.size()), message.data());
  return 2;
}

const char* Word(const FileReport& file) {
  if (file.repaired) {
    return "repaired";
  }
  switch (file.state) {
    case FileState::kSound:
      return "ok";
    case FileState::kRepairable:
      return "damaged";
    case FileState::kLossy:
      return "LOSSY";
    case FileState::kLost:
      return "LOST";
  }
  return "?";
}

int Print(const engine::FolderReport& report, bool quiet) {
  int exit_status = 0;
  for (const FileReport& file : report.files) {
    if (!quiet || file.state != FileState::kSound) {
      std::printf("%-8s  %-36s %s\n", Word(file), file.file.c_str(), file.found.c_str());
      if (!file.remedy.empty()) {
        std::printf("          %s\n", file.remedy.c_str());
      }
    }
    if (!file.repaired && file.state != FileState::kSound) {
      exit_status = std::max(exit_status, file.state == FileState::kRepairable ? 1 : 3);
    }
  }
  std::printf("%llu collections, %llu rows, checkpoint at record %llu, log to record %llu: %s\n",
              static_cast<unsigned long long>(report.collections), static_cast<unsigned long long>(report.rows),
              static_cast<unsigned long long>(report.checkpoint.value),
              static_cast<unsigned long long>(std::max(report.checkpoint, report.last_lsn).value),
              exit_status == 0   ? "sound"
              : exit_status == 1 ? "can be repaired"
                                 : "not sound");
  return exit_status;
}

}  // namespace

int RunFsck(std::span<const std::string> arguments) {
  std::string folder;
  std::vector<std::string> flags;
  for (const std::string& argument : arguments) {
    if (argument == "--help" || argument == "-h") {
      std::printf("%s%s", kHelp, DescribeOptions(kTable).c_str());
      return 0;
    }
    if (argument.starts_with("-")) {
      flags.push_back(argument);
    } else if (folder.empty()) {
      folder = argument;
    } else {
      return Fail("one folder at a time: got '" + folder + "' and '" + argument + "'");
    }
  }
  const Result<Config> config = Config::Load(kTable, {}, flags, {}, RealFileSystem());
  if (!config.ok()) {
    return Fail(config.status().message());
  }
  if (folder.empty()) {
    return Fail("which folder? longbow fsck DIR");
  }
  engine::FolderCheckOptions options{.repair = config->Bool("repair"), .accept_loss = config->Bool("accept_loss")};
  if (options.accept_loss && !options.repair) {
    return Fail("accept_loss is of no use without --repair");
  }
  const Result<const kernels::Kernels*> kernels = kernels::KernelsFromEnvironment();
  if (!kernels.ok()) {
    return Fail(kernels.status().message());
  }
  options.segment.kernels = *kernels;
  options.segment.rows_max = limits::kSegmentRowsMax;  // whatever the node was told: what it closed stays closed
  const Result<engine::FolderReport> report = engine::CheckFolder(RealFileSystem(), folder, options);
  if (!report.ok()) {
    return Fail(report.status().message());
  }
  return Print(*report, config->Bool("quiet"));
}

}  // namespace longbow::cli
