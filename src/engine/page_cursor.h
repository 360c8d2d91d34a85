// Where a page of a scan or search ended, as an opaque text that a client gives back.
//
//   base64url( u8 version 1, u8 kind, u32 shard, u64 schema version, u64 request, u64 ordinal, f64 distance, u32 shown,
//              u32 CRC32C of all that )      little-endian, without padding
//
// It names no state of the server: it holds after a restart, and costs nothing while nobody asks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/status.h"
#include "model/query.h"

namespace longbow::engine {

enum class PageKind : uint8_t { kScan = 1, kSearch = 2 };

struct PagePosition {
  PageKind kind = PageKind::kScan;
  ShardId shard;
  uint64_t schema_version = 0;
  uint64_t request = 0;  // FingerprintOf what is asked
  uint64_t ordinal = 0;  // of a scan: of the next row; of a search: of the last one
  double distance = 0;   // of a search: of the last row
  uint32_t shown = 0;    // of a search: rows on the pages so far
};

std::string EncodePage(const PagePosition& position);
// `expected`: what the request that comes with it would make; its place is ignored. INVALID_ARGUMENT: not whole, of
// another kind, dataset or request; FAILED_PRECONDITION: of an older schema.
Result<PagePosition> DecodePage(std::string_view cursor, const PagePosition& expected);

// Of what must stay the same from page to page: the filter; the query and its limits.
uint64_t FingerprintOf(const Predicate& filter);
uint64_t FingerprintOf(const SearchRequest& request);

}  // namespace longbow::engine
