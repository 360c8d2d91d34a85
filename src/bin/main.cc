// longbow: one executable, a subcommand for each thing it does.
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/suggest.h"
#include "bin/options.h"
#include "bin/serve.h"
#include "bin/version.h"
#include "cli/bench.h"
#include "cli/doctor.h"
#include "cli/estimate_command.h"
#include "cli/fsck.h"
#include "cli/keys_command.h"
#include "cli/snapshot_commands.h"
#include "cli/transfer_commands.h"
#include "kernels/dispatch.h"

namespace longbow::bin {
namespace {

constexpr int kExitOk = 0;
constexpr int kExitUsage = 2;  // nothing was started or created

constexpr std::string_view kCommands[] = {"serve",  "config", "fsck", "doctor", "snapshot", "snapshots", "restore",
                                          "export", "import", "keys", "bench",  "estimate", "version",   "help"};
constexpr char kHelp[] = R"(longbow: Arrow-native vector database

  longbow serve [options]    run a node until SIGTERM or SIGINT; prints one line when it is ready
  longbow config [options]   print the configuration that serve would run with, as TOML, and where each value comes from
  longbow fsck DIR           check every byte of a data folder that no node uses, and repair it; --help tells more
  longbow doctor [DIR]       what of this machine, and of the disk under DIR, would hurt a node; --help tells more
  longbow snapshot ...       copy a data folder that no node uses to a folder or to S3; --help tells more
  longbow snapshots ...      list the snapshots there; --help tells more
  longbow restore ...        make a data folder of a snapshot; --help tells more
  longbow export ...         one dataset as a Parquet or Arrow file; --help tells more
  longbow import ...         a dataset from such a file; --help tells more
  longbow keys ...           make, list, revoke and rotate keys, and limit namespaces; --help tells more
  longbow bench index ...    recall, speed and memory of an index on .npy files; --help tells more
  longbow estimate ...       bytes and minutes that an index would take on this machine; --help tells more
  longbow version            print the version
  longbow help               print this

An option may be a flag (--data-path=./data), an environment variable (LONGBOW_DATA_PATH or DATA_PATH) or a key of the
TOML file that --config or LONGBOW_CONFIG names (data_path = "./data"); the first of these that is set wins.
Durations are written 200ms, 5m or 1h30m; sizes 1048576 or 64MiB.
LONGBOW_ISA forces an instruction set: scalar, avx2, avx512, avx512vnni or neon.

Options:
)";

void Print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

int Fail(std::string_view message) {
  std::fprintf(stderr, "longbow: %.*s\n", static_cast<int>(message.size()), message.data());
  return kExitUsage;
}

int Help() {
  Print(kHelp + DescribeOptions(ServeTable()));
  return kExitOk;
}

int PrintConfig(const Config& config, const node::ServeOptions& options) {
  Print("# longbow " + std::string(Version()) + ", instruction set " +
        std::string(kernels::IsaName(options.kernels->isa)) + "\n" + config.ToToml());
  return kExitOk;
}

bool AsksForHelp(std::span<const std::string> arguments) {
  for (const std::string& argument : arguments) {
    if (argument == "--help" || argument == "-h") {
      return true;
    }
  }
  return false;
}

int UnknownCommand(const std::string& command) {
  const std::string near = Nearest(command, kCommands);
  return Fail("unknown command '" + command + "'" + (near.empty() ? "" : "; did you mean '" + near + "'?") +
              " (serve, config, fsck, doctor, snapshot, snapshots, restore, export, import, keys, bench, estimate, "
              "version or help)");
}

int Run(std::span<const std::string> arguments) {
  if (arguments.empty()) {
    return Fail(
        "which command? serve, config, fsck, doctor, snapshot, snapshots, restore, export, import, keys, bench, "
        "estimate, version or help");
  }
  const std::string& command = arguments.front();
  arguments = arguments.subspan(1);
  if (command == "help" || command == "--help" || command == "-h") {
    return Help();
  }
  if (command == "version" || command == "--version") {
    Print(VersionLine() + "\n");
    return kExitOk;
  }
  if (command == "fsck") {
    return cli::RunFsck(arguments);
  }
  if (command == "doctor") {
    return cli::RunDoctor(arguments);
  }
  if (command == "snapshot") {
    return cli::RunSnapshot(arguments);
  }
  if (command == "snapshots") {
    return cli::RunSnapshots(arguments);
  }
  if (command == "restore") {
    return cli::RunRestore(arguments);
  }
  if (command == "export") {
    return cli::RunExport(arguments);
  }
  if (command == "import") {
    return cli::RunImport(arguments);
  }
  if (command == "keys") {
    return cli::RunKeys(arguments);
  }
  if (command == "bench") {
    return cli::RunBench(arguments);
  }
  if (command == "estimate") {
    return cli::RunEstimate(arguments);
  }
  if (command != "serve" && command != "config") {
    return UnknownCommand(command);
  }
  if (AsksForHelp(arguments)) {
    return Help();
  }
  const Result<Config> config = LoadConfig(arguments, ProcessEnvironment(), RealFileSystem());
  if (!config.ok()) {
    return Fail(config.status().message());
  }
  const Result<node::ServeOptions> options = ToServeOptions(*config, RealFileSystem());
  if (!options.ok()) {
    return Fail(options.status().message());
  }
  return command == "serve" ? Serve(*config, *options) : PrintConfig(*config, *options);
}

}  // namespace
}  // namespace longbow::bin

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  return longbow::bin::Run(arguments);
}
