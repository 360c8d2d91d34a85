#include "cli/command.h"

#include <cstdio>
#include <cstdlib>

#include "base/file.h"
#include "base/kill_point.h"
#include "engine/snapshot_places.h"

namespace longbow::cli {
namespace {

int Fail(const Command& command, const Status& status) {
  std::fprintf(stderr, "longbow %s: %s\n", command.name, std::string(status.message()).c_str());
  return status.code() == StatusCode::kInvalidArgument ? 2 : 1;
}

// Only what names the S3 store: other variables configure nodes.
Environment S3Environment() {
  Environment environment;
  for (const auto& [name, value] : ProcessEnvironment()) {
    const std::string_view plain = std::string_view(name).substr(name.starts_with("LONGBOW_") ? 8 : 0);
    if (plain.starts_with("S3_") || plain.starts_with("AWS_")) {
      environment.emplace(name, value);
    }
  }
  return environment;
}

constexpr std::string_view kForNodes[] = {"s3_bucket", "s3_prefix", "s3_enabled"};

}  // namespace

int RunCommand(const Command& command, std::span<const std::string> arguments, Status (*run)(const Config& config)) {
  for (const std::string& argument : arguments) {
    if (argument == "--help" || argument == "-h") {
      std::printf("%s%s", command.help, DescribeOptions(command.table).c_str());
      return 0;
    }
  }
  // For crash tests, as in `longbow serve`.
  if (const char* text = std::getenv("LONGBOW_KILL_AT"); text != nullptr) {
    if (const Status armed = ArmKillPoint(text); !armed.ok()) {
      return Fail(command, armed);
    }
  }
  const Result<Config> config = Config::Load(command.table, kForNodes, arguments, S3Environment(), RealFileSystem());
  if (!config.ok()) {
    return Fail(command, config.status());
  }
  for (const std::string_view name : command.required) {
    if (config->String(name).empty()) {
      return Fail(command, InvalidArgument("--" + std::string(name) + " is missing: longbow " + command.name +
                                           " --help tells more"));
    }
  }
  const Status status = run(*config);
  engine::FinishPlaces();
  return status.ok() ? 0 : Fail(command, status);
}

}  // namespace longbow::cli
