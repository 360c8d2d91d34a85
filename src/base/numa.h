// Machines with more than one memory controller: which CPUs are near which memory, and threads and arrays put there.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace longbow {

struct NumaNode {
  uint32_t id = 0;             // the kernel's
  std::vector<uint32_t> cpus;  // ascending, never empty
};

// "0-3,8" as the kernel writes it: {0, 1, 2, 3, 8}; "" is none. INVALID_ARGUMENT for anything else.
Result<std::vector<uint32_t>> ParseCpuList(std::string_view text);

// The nodes that have CPUs this process may run on, by id, each with those. Nodes of memory alone are left out. Empty
// where the system does not tell. `folder`: another one in tests, laid out like it. INVALID_ARGUMENT if it holds
// nonsense.
Result<std::vector<NumaNode>> ReadNumaNodes(const std::string& folder = "/sys/devices/system/node");

// "1 node", "2 nodes: 0 (4 CPUs), 1 (4 CPUs)", "not known": for people.
std::string NumaText(std::span<const NumaNode> nodes);

// What is asked of the kernel. Tests record it. Thread safe.
class NumaCalls {
 public:
  virtual ~NumaCalls() = default;
  // The calling thread, and those it starts, run on these CPUs only. UNAVAILABLE with the kernel's reason.
  virtual Status PinThread(std::span<const uint32_t> cpus) = 0;
  // Pages of [data, data + size_bytes) that are touched from now on come from the node as long as it has any, then from
  // others. data: at the start of a page. UNAVAILABLE with the kernel's reason.
  virtual Status PreferNode(void* data, size_t size_bytes, uint32_t node) = 0;
};
NumaCalls& RealNumaCalls();

// Deals threads and groups of arrays out to nodes in turn. Built in bin/, and only where there are several nodes: who
// holds a null pointer to one places nothing and asks the kernel nothing. Thread safe.
class NumaPlacer {
 public:
  // nodes: at least one. `calls` outlives it.
  NumaPlacer(std::vector<NumaNode> nodes, NumaCalls& calls) : nodes_(std::move(nodes)), calls_(calls) {}

  // Whether the kernel lets us: pins a thread of its own to each node and asks for a page of each. UNAVAILABLE says
  // what it refused (containers often forbid it). Once this went well, later refusals cost speed only and are ignored.
  Status Try() const;

  size_t nodes() const { return nodes_.size(); }
  // The place of thread `number` of a pool: below nodes().
  uint32_t PlaceOfThread(size_t number) const { return static_cast<uint32_t>(number % nodes_.size()); }
  // The calling thread stays on the CPUs of that place.
  void PinThread(uint32_t place) const { (void)calls_.PinThread(nodes_[place].cpus); }
  // For arrays that are used together.
  uint32_t NextPlace() { return next_.fetch_add(1, std::memory_order_relaxed) % static_cast<uint32_t>(nodes_.size()); }
  void PlaceMemory(void* data, size_t size_bytes, uint32_t place) const {
    (void)calls_.PreferNode(data, size_bytes, nodes_[place].id);
  }

 private:
  const std::vector<NumaNode> nodes_;
  NumaCalls& calls_;
  std::atomic<uint32_t> next_{0};
};

// Where a group of arrays belongs.
struct MemoryPlace {
  const NumaPlacer* placer = nullptr;  // null: anywhere
  uint32_t place = 0;
};

}  // namespace longbow
