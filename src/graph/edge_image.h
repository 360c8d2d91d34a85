// The edges of a collection as bytes; the page is docs/formats/edges.md.
//
//   image  = header (64) , body , u32 CRC32C of body            all integers little-endian
//   header = "LNBWEDGE" , u32 version , u32 0 , u64 predicates , u64 nodes , u64 edges , u64 bytes of body , 12 x 0 ,
//            u32 CRC32C of bytes 0 to 59
//   body   = { text } predicates , { u8 0 , u64 | u8 1 , text } nodes ,
//            { u32 subject , u32 predicate , u32 object , f32 weight } edges, in the order they were added
//   text   = u32 size , bytes
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "base/status.h"
#include "graph/edge_graph.h"

namespace longbow::graph {

// Hands the image of what is visible at a version to `sink`, in pieces of about a MiB, and returns its error.
Status WriteImage(const EdgeGraph& graph, uint64_t version, const std::function<Status(std::string_view)>& sink);

// Every byte is checked: sizes, checksums, numbers, names that stand twice, edges that stand twice or whose weight is
// no number. DATA_LOSS says what is wrong, and where; FAILED_PRECONDITION: a newer program wrote it.
Result<std::shared_ptr<EdgeGraph>> ReadImage(std::string_view image);

}  // namespace longbow::graph
