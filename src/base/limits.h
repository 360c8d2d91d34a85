// Every ceiling of the product, in one place. What a user may change is a config key whose default stands here.
#pragma once

#include <cstddef>
#include <cstdint>

namespace longbow::limits {

inline constexpr uint32_t kDimensionMax = 65'536;
inline constexpr uint32_t kSearchKMax = 100'000;
inline constexpr uint32_t kEfMax = 1'000'000;
inline constexpr double kRecallTargetMin = 0.5;         // and below 1
inline constexpr size_t kQueriesPerSearchMax = 10'000;  // vectors in one batch search
inline constexpr size_t kStreamSearchesMax = 64;        // of one stream that run or wait at a time
inline constexpr size_t kNameSizeMaxBytes = 1'024;      // dataset, namespace, column
inline constexpr size_t kIdSizeMaxBytes = 4'096;        // a text id
inline constexpr size_t kColumnsMax = 4'096;
inline constexpr size_t kFilterDepthMax = 32;
inline constexpr size_t kFilterNodesMax = 1'024;
inline constexpr int64_t kTtlMaxSeconds = 100ll * 365 * 24 * 3600;  // beyond: 0, which is for ever
inline constexpr size_t kIdsPerRequestMax = 100'000;
inline constexpr size_t kMessageSizeMaxBytes = 512u << 20;       // one gRPC message; the contract's default
inline constexpr size_t kIpcHeaderSizeMaxBytes = 16u << 20;      // metadata of one Arrow IPC message
inline constexpr int64_t kBatchRowsMax = 1 << 26;                // rows of one batch on the wire
inline constexpr int64_t kBatchSizeMaxBytes = int64_t{1} << 30;  // one batch after decompression
inline constexpr int64_t kDictionariesSizeMaxBytes = 256 << 20;  // all dictionaries of one stream
inline constexpr size_t kReceiveCacheMaxBytes = 128u << 20;      // memory kept for the next received columns
inline constexpr size_t kJsonDepthMax = 128;
inline constexpr size_t kTicketSizeMaxBytes = 64u << 20;
inline constexpr size_t kStreamUnacknowledgedMaxBytes = 64u << 20;  // of one put stream before it is read on
inline constexpr size_t kStreamUnacknowledgedMax = 256;             // batches, likewise
inline constexpr uint32_t kSegmentRowsMax = 1u << 20;               // rows of one segment
inline constexpr uint32_t kTailRowsMax = 1u << 17;      // rows not yet in the graph before puts have to wait
inline constexpr uint64_t kMemoryMinBytes = 32u << 20;  // of a budget: less, and a node could not take a single batch
inline constexpr uint64_t kLogFileSizeBytes = 64u << 20;
inline constexpr uint64_t kLogRecordSizeMaxBytes = 1u << 30;
inline constexpr uint64_t kLogQueueSizeMaxBytes = 1u << 30;  // bodies that wait for the log's thread

}  // namespace longbow::limits
