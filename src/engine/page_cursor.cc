#include "engine/page_cursor.h"

#include <bit>
#include <cstring>

#include "base/crc32c.h"
#include "engine/selection_cache.h"

namespace longbow::engine {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kSizeBytes = 1 + 1 + 4 + 8 + 8 + 8 + 8 + 4 + 4;
constexpr char kLetters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void PutNumber(std::string& out, uint64_t value, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
  }
}

uint64_t TakeNumber(std::string_view& bytes, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) {
    value |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  }
  bytes.remove_prefix(size);
  return value;
}

// RFC 4648, section 5.
std::string ToBase64(std::string_view bytes) {
  std::string text;
  uint32_t bits = 0;
  int count = 0;
  for (const char byte : bytes) {
    bits = bits << 8 | static_cast<uint8_t>(byte);
    for (count += 8; count >= 6; count -= 6) {
      text.push_back(kLetters[bits >> (count - 6) & 63]);
    }
  }
  if (count > 0) {
    text.push_back(kLetters[bits << (6 - count) & 63]);
  }
  return text;
}

// Empty if it is none.
std::string FromBase64(std::string_view text) {
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char letter : text) {
    const char* at = letter == 0 ? nullptr : std::strchr(kLetters, letter);
    if (at == nullptr) {
      return {};
    }
    bits = bits << 6 | static_cast<uint32_t>(at - kLetters);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes.push_back(static_cast<char>(bits >> count & 0xff));
    }
  }
  return bytes;
}

// FNV-1a: the same in every build.
uint64_t HashOf(std::string_view bytes, uint64_t hash = 0xcbf29ce484222325u) {
  for (const char byte : bytes) {
    hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3u;
  }
  return hash;
}

}  // namespace

std::string EncodePage(const PagePosition& position) {
  std::string bytes;
  PutNumber(bytes, kVersion, 1);
  PutNumber(bytes, static_cast<uint64_t>(position.kind), 1);
  PutNumber(bytes, position.shard.value, 4);
  PutNumber(bytes, position.schema_version, 8);
  PutNumber(bytes, position.request, 8);
  PutNumber(bytes, position.ordinal, 8);
  PutNumber(bytes, std::bit_cast<uint64_t>(position.distance), 8);
  PutNumber(bytes, position.shown, 4);
  PutNumber(bytes, Crc32c(0, bytes.data(), bytes.size()), 4);
  return ToBase64(bytes);
}

Result<PagePosition> DecodePage(std::string_view cursor, const PagePosition& expected) {
  const std::string bytes = cursor.size() > 2 * kSizeBytes ? std::string() : FromBase64(cursor);
  std::string_view rest = bytes;
  if (bytes.size() != kSizeBytes || TakeNumber(rest, 1) != kVersion) {
    return InvalidArgument("cursor: this is no cursor of this version: give back what the page before brought");
  }
  PagePosition position;
  position.kind = static_cast<PageKind>(TakeNumber(rest, 1));
  position.shard = ShardId{static_cast<uint32_t>(TakeNumber(rest, 4))};
  position.schema_version = TakeNumber(rest, 8);
  position.request = TakeNumber(rest, 8);
  position.ordinal = TakeNumber(rest, 8);
  position.distance = std::bit_cast<double>(TakeNumber(rest, 8));
  position.shown = static_cast<uint32_t>(TakeNumber(rest, 4));
  if (TakeNumber(rest, 4) != Crc32c(0, bytes.data(), kSizeBytes - 4)) {
    return InvalidArgument("cursor: its checksum is wrong: give back what the page before brought");
  }
  if (position.kind != expected.kind) {
    return InvalidArgument(expected.kind == PageKind::kScan ? "cursor: it belongs to a search, and this is a scan"
                                                            : "cursor: it belongs to a scan, and this is a search");
  }
  if (position.shard != expected.shard) {
    return InvalidArgument("cursor: it belongs to another dataset, or to an earlier one of this name");
  }
  if (position.request != expected.request) {
    return InvalidArgument("cursor: it belongs to a request with another filter or query: begin again");
  }
  if (position.schema_version != expected.schema_version) {
    return FailedPrecondition("cursor: it belongs to version " + std::to_string(position.schema_version) +
                              " of the dataset's schema, which is at " + std::to_string(expected.schema_version) +
                              ": begin again");
  }
  return position;
}

uint64_t FingerprintOf(const Predicate& filter) { return HashOf(SelectionCache::KeyOf(filter, 0)); }

uint64_t FingerprintOf(const SearchRequest& request) {
  uint64_t hash = FingerprintOf(request.filter);
  const auto add = [&hash](double number) {
    hash = HashOf({reinterpret_cast<const char*>(&number), sizeof(number)}, hash);
  };
  for (const QueryVector& vector : request.vectors) {
    for (const double number : vector.numbers()) {
      add(number);
    }
  }
  add(request.radius.value_or(-1));
  add(request.score_min ? 1 : 0);
  add(request.score_min.value_or(0));
  return hash;
}

}  // namespace longbow::engine
