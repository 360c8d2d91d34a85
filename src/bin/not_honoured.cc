// Names of settings that Longbow's deployments have and this version does not.
#include <array>

#include "bin/options.h"

namespace longbow::bin {
namespace {

constexpr std::array<std::string_view, 37> kNotHonoured = {
    "ttl",
    "grpc_max_send_msg_size",
    "grpc_keepalive_min_time",
    "grpc_keepalive_permit_without_stream",
    "gossip_enabled",
    "gossip_port",
    "gossip_interval",
    "gossip_advertise_addr",
    "gossip_discovery_provider",
    "gossip_static_peers",
    "gossip_dns_record",
    "storage_async_fsync",
    "storage_doput_batch_size",
    "storage_use_iouring",
    "storage_use_direct_io",
    "memory_eviction_headroom",
    "memory_eviction_policy",
    "memory_reject_writes",
    "hybrid_search_enabled",
    "hybrid_text_columns",
    "hybrid_alpha",
    "gpu_enabled",
    "gpu_device_id",
    "gc_ballast_g",
    "gogc",
    "gomemlimit",
    "hnsw_sq8_enabled",
    "compaction_target_batch_size",
    "compaction_min_batches",
    "auto_sharding_enabled",
    "auto_sharding_threshold",
    "auto_sharding_split_threshold",
    "ring_sharding_enabled",
    "ingestion_worker_count",
    "storage_backend",
};

}  // namespace

std::span<const std::string_view> NotHonoured() { return kNotHonoured; }

}  // namespace longbow::bin
