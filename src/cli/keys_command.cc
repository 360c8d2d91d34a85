#include "cli/keys_command.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <functional>
#include <vector>

#include "access/access_file.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/parse_value.h"
#include "base/suggest.h"
#include "base/utc_time.h"
#include "cli/command.h"

namespace longbow::cli {
namespace {

using access::AccessFile;
using access::KeyRecord;

constexpr double kCountMax = 9e15;

constexpr Option kFile{.name = "file", .default_text = "", .help = "The file; what access_file of the node names."};
constexpr Option kNamespace{.name = "namespace",
                            .default_text = "",
                            .help =
                                "Which namespace it opens: a name (default is that of names without a slash), or * "
                                "for all and for what concerns the whole node."};
constexpr Option kRole{.name = "role",
                       .default_text = "",
                       .help = "read; write: rows, datasets and the namespace too; admin: snapshots, jobs too."};
constexpr Option kExpires{
    .name = "expires", .default_text = "never", .help = "How long it is good: 30d, 12h, 90m, or never."};
constexpr Option kNote{.name = "note", .default_text = "", .help = "For people: whose it is."};
constexpr Option kRequests{.name = "requests_per_second",
                           .type = OptionType::kFloat,
                           .default_text = "0",
                           .help = "Calls, and queries of a stream, a second; 0 = as many as they like.",
                           .min = 0,
                           .max = kCountMax};
constexpr Option kBytes{.name = "bytes_per_second",
                        .type = OptionType::kSize,
                        .default_text = "0",
                        .help = "Bytes a second, received and sent; 0 = as many as they like.",
                        .min = 0,
                        .max = kCountMax};
constexpr Option kId{.name = "id", .default_text = "", .help = "The key, by its id: what stands behind lb_ in it."};
constexpr Option kOverlap{.name = "overlap",
                          .default_text = "24h",
                          .help = "How long the old key is still good, so that its users can change: 7d, 1h, 0."};
constexpr Option kDatasets{.name = "datasets",
                           .type = OptionType::kInt,
                           .default_text = "0",
                           .help = "Datasets at most; 0 = no limit.",
                           .min = 0,
                           .max = kCountMax};
constexpr Option kRows{.name = "rows",
                       .type = OptionType::kInt,
                       .default_text = "0",
                       .help = "Live rows at most; 0 = no limit.",
                       .min = 0,
                       .max = kCountMax};
constexpr Option kRowBytes{.name = "bytes",
                           .type = OptionType::kSize,
                           .default_text = "0",
                           .help = "Bytes of live rows at most; 0 = no limit.",
                           .min = 0,
                           .max = kCountMax};

constexpr std::array kCreateTable = {kFile, kNamespace, kRole, kExpires, kNote, kRequests, kBytes};
constexpr std::array kListTable = {kFile};
constexpr std::array kRevokeTable = {kFile, kId};
constexpr std::array kRotateTable = {kFile, kId, kExpires, kOverlap};
constexpr std::array kLimitTable = {kFile, kNamespace, kDatasets, kRows, kRowBytes, kRequests, kBytes};

constexpr std::string_view kCreateNeeds[] = {"file", "namespace", "role"};
constexpr std::string_view kListNeeds[] = {"file"};
constexpr std::string_view kIdNeeds[] = {"file", "id"};
constexpr std::string_view kLimitNeeds[] = {"file", "namespace"};

constexpr char kHelp[] = R"(longbow keys: keys that open a node, and limits of namespaces

  longbow keys create --file F --namespace NS --role read|write|admin   make a key; prints it, this once
  longbow keys list --file F                                            all keys, without their secrets
  longbow keys revoke --file F --id ID                                  end a key now
  longbow keys rotate --file F --id ID                                  a new key like it; the old one ends later
  longbow keys limit --file F --namespace NS --rows 1000000             limits of a namespace, * for each other one

A node that has access_file=F asks every call for a key, and reads the file again within a second of a change: no
restart. The file holds salted hashes; what is printed cannot be had again. Each command has its own --help.
)";

constexpr access::NamespaceLimits kUnlimited;

Result<std::optional<int64_t>> EndOf(const Config& config, std::string_view option, int64_t now_ns) {
  Result<std::optional<int64_t>> lifetime = ParseLifetimeNs(config.String(option));
  if (!lifetime.ok()) {
    return InvalidArgument("--" + std::string(option) + ": " + std::string(lifetime.status().message()));
  }
  return *lifetime ? std::optional(now_ns + **lifetime) : std::nullopt;
}

Status CheckNamespace(const std::string& name) {
  if (name.find('/') != std::string::npos || name.size() > limits::kNameSizeMaxBytes) {
    return InvalidArgument("--namespace: expected a name without a slash, or *, got '" + name + "'");
  }
  return {};
}

access::Rates RatesOf(const Config& config) {
  return {.requests_per_second = config.Float("requests_per_second"),
          .bytes_per_second = static_cast<double>(config.Size("bytes_per_second"))};
}

// Secrets are hashed, but who has which rights is nobody's business either.
Status Change(const std::string& path, const std::function<Status(AccessFile&)>& change) {
  const mode_t before = umask(0077);
  const Status status = access::ChangeAccessFile(RealFileSystem(), path, change);
  umask(before);
  return status;
}

// The key alone on stdout, so that a script can take it; what people want to know on stderr.
void PrintKey(const access::MintedKey& key) {
  std::printf("%s\n", key.text.c_str());
  std::fprintf(stderr, "key %s: %s in namespace %s, %s. This is the only time it is shown.\n", key.record.id.c_str(),
               std::string(access::RightName(key.record.right)).c_str(), key.record.name_space.c_str(),
               key.record.expires_ns ? ("until " + UtcTime(*key.record.expires_ns)).c_str() : "for ever");
}

Status Create(const Config& config) {
  LB_TRY(CheckNamespace(config.String("namespace")));
  const int64_t now_ns = RealClock().WallNowNs();
  LB_ASSIGN(const std::optional<int64_t> end, EndOf(config, "expires", now_ns));
  LB_ASSIGN(access::MintedKey key, access::MintKey());
  const Result<access::Right> right = access::ParseRight(config.String("role"));
  if (!right.ok()) {
    return InvalidArgument("--role: " + std::string(right.status().message()));
  }
  key.record.right = *right;
  key.record.name_space = config.String("namespace");
  key.record.created_ns = now_ns;
  key.record.expires_ns = end;
  key.record.note = config.String("note");
  key.record.rates = RatesOf(config);
  LB_TRY(Change(config.String("file"), [&](AccessFile& file) -> Status {
    file.keys.push_back(key.record);
    return {};
  }));
  PrintKey(key);
  return {};
}

Status List(const Config& config) {
  LB_ASSIGN(const AccessFile file, access::ReadAccessFile(RealFileSystem(), config.String("file")));
  const int64_t now_ns = RealClock().WallNowNs();
  std::printf("%-16s %-6s %-20s %-20s %-20s %10s %12s  %s\n", "id", "role", "namespace", "created", "expires",
              "calls/s", "bytes/s", "note");
  for (const KeyRecord& key : file.keys) {
    const std::string end = !key.expires_ns ? "never" : key.ExpiredAt(now_ns) ? "EXPIRED" : UtcTime(*key.expires_ns);
    std::printf("%-16s %-6s %-20s %-20s %-20s %10.6g %12.6g  %s\n", key.id.c_str(),
                std::string(access::RightName(key.right)).c_str(), key.name_space.c_str(),
                UtcTime(key.created_ns).c_str(), end.c_str(), key.rates.requests_per_second, key.rates.bytes_per_second,
                key.note.c_str());
  }
  for (const access::NamedLimits& named : file.namespaces) {
    const access::NamespaceLimits& most = named.limits;
    std::printf("namespace %s: datasets %" PRIu64 ", rows %" PRIu64 ", bytes %" PRIu64
                ", calls/s %.6g, bytes/s %.6g (0 = no limit)\n",
                named.name.c_str(), most.datasets, most.rows, most.bytes, most.rates.requests_per_second,
                most.rates.bytes_per_second);
  }
  return {};
}

Status UnknownKey(const std::string& id) {
  return NotFound("no key " + id + " in the file: `longbow keys list` shows them");
}

Status Revoke(const Config& config) {
  const std::string& id = config.String("id");
  LB_TRY(Change(config.String("file"), [&](AccessFile& file) {
    return std::erase_if(file.keys, [&](const KeyRecord& key) { return key.id == id; }) > 0 ? Status() : UnknownKey(id);
  }));
  std::printf("revoked key %s\n", id.c_str());
  return {};
}

Status Rotate(const Config& config) {
  const int64_t now_ns = RealClock().WallNowNs();
  LB_ASSIGN(const std::optional<int64_t> end, EndOf(config, "expires", now_ns));
  std::optional<int64_t> old_end = now_ns;
  if (config.String("overlap") != "0") {
    LB_ASSIGN(old_end, EndOf(config, "overlap", now_ns));
    if (!old_end) {
      return InvalidArgument("--overlap: expected a time such as 24h, got 'never'");
    }
  }
  LB_ASSIGN(access::MintedKey key, access::MintKey());
  LB_TRY(Change(config.String("file"), [&](AccessFile& file) -> Status {
    KeyRecord* old = file.FindKey(config.String("id"));
    if (old == nullptr) {
      return UnknownKey(config.String("id"));
    }
    key.record.right = old->right;
    key.record.name_space = old->name_space;
    key.record.note = old->note;
    key.record.rates = old->rates;
    key.record.created_ns = now_ns;
    key.record.expires_ns = end;
    old->expires_ns = old->expires_ns ? std::min(*old->expires_ns, *old_end) : *old_end;
    file.keys.push_back(key.record);
    return {};
  }));
  PrintKey(key);
  return {};
}

Status Limit(const Config& config) {
  const std::string& name = config.String("namespace");
  LB_TRY(CheckNamespace(name));
  const access::NamespaceLimits most{.datasets = static_cast<uint64_t>(config.Int("datasets")),
                                     .rows = static_cast<uint64_t>(config.Int("rows")),
                                     .bytes = config.Size("bytes"),
                                     .rates = RatesOf(config)};
  LB_TRY(Change(config.String("file"), [&](AccessFile& file) -> Status {
    std::erase_if(file.namespaces, [&](const access::NamedLimits& named) { return named.name == name; });
    if (most != kUnlimited) {
      file.namespaces.push_back({name, most});
    }
    return {};
  }));
  std::printf("%s of namespace %s\n", most != kUnlimited ? "set the limits" : "removed the limits", name.c_str());
  return {};
}

struct Verb {
  std::string_view name;
  Command command;
  Status (*run)(const Config& config);
};

constexpr Verb kVerbs[] = {
    {"create",
     {"keys create", "longbow keys create: make a key; it is printed to stdout, this once\n\n", kCreateTable,
      kCreateNeeds},
     Create},
    {"list", {"keys list", "longbow keys list: all keys, without their secrets\n\n", kListTable, kListNeeds}, List},
    {"revoke", {"keys revoke", "longbow keys revoke: end a key now\n\n", kRevokeTable, kIdNeeds}, Revoke},
    {"rotate",
     {"keys rotate", "longbow keys rotate: make a key with the rights of another, which ends later\n\n", kRotateTable,
      kIdNeeds},
     Rotate},
    {"limit",
     {"keys limit",
      "longbow keys limit: the limits of a namespace, in place of those it had; without any: none. * is each\n"
      "namespace that has no limits of its own\n\n",
      kLimitTable, kLimitNeeds},
     Limit},
};

}  // namespace

Result<std::optional<int64_t>> ParseLifetimeNs(std::string_view text) {
  constexpr int64_t kDayNs = 86'400'000'000'000;
  constexpr int64_t kDaysMax = 36'500;
  if (text == "never") {
    return std::optional<int64_t>();
  }
  const Status wrong = InvalidArgument("expected a time such as 30d, 12h or 90m, up to 100 years, or never; got '" +
                                       std::string(text) + "'");
  if (text.ends_with('d')) {
    const Result<int64_t> days = ParseInt(text.substr(0, text.size() - 1));
    return days.ok() && *days > 0 && *days <= kDaysMax ? Result<std::optional<int64_t>>(*days * kDayNs) : wrong;
  }
  const Result<std::chrono::nanoseconds> time = ParseDuration(text);
  return time.ok() && time->count() > 0 && time->count() <= kDaysMax * kDayNs
             ? Result<std::optional<int64_t>>(time->count())
             : wrong;
}

int RunKeys(std::span<const std::string> arguments) {
  if (arguments.empty() || arguments.front() == "--help" || arguments.front() == "-h") {
    std::fputs(kHelp, arguments.empty() ? stderr : stdout);
    return arguments.empty() ? 2 : 0;
  }
  std::vector<std::string_view> names;
  for (const Verb& verb : kVerbs) {
    if (arguments.front() == verb.name) {
      return RunCommand(verb.command, arguments.subspan(1), verb.run);
    }
    names.push_back(verb.name);
  }
  const std::string near = Nearest(arguments.front(), names);
  std::fprintf(stderr, "longbow keys: expected create, list, revoke, rotate or limit, got '%s'%s\n",
               arguments.front().c_str(), near.empty() ? "" : ("; did you mean '" + near + "'?").c_str());
  return 2;
}

}  // namespace longbow::cli
