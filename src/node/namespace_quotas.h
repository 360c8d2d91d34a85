// How much the datasets of a namespace may hold together.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/status.h"

namespace longbow::node {

// 0: no limit. Rows are live ones; bytes are the mean Arrow bytes of a row put, times live rows.
struct NamespaceQuota {
  uint64_t datasets = 0;
  uint64_t rows = 0;
  uint64_t bytes = 0;
};

struct NamespaceUsage {
  uint64_t datasets = 0;
  uint64_t rows = 0;
  uint64_t bytes = 0;
};

// Admits puts. What a namespace holds is added up over its datasets only when a sum of upper bounds (what the last sum
// said and all that was put since, as if it replaced nothing) would pass the limit; so a put far from it costs a map
// lookup, and one near it a pass over the datasets. Rows that are on their way count from the moment they are admitted:
// no number of clients at once gets past the limit. Thread safe.
class NamespaceQuotas {
 public:
  using QuotaOf = std::function<NamespaceQuota(const std::string& name_space)>;
  using SumUp = std::function<NamespaceUsage(const std::string& name_space)>;

  // No `quota_of`: no limits.
  NamespaceQuotas(QuotaOf quota_of, SumUp sum_up) : quota_of_(std::move(quota_of)), sum_up_(std::move(sum_up)) {}

  // Rows on their way; ends when they are visible or refused.
  class Grant {
   public:
    Grant() = default;
    Grant(const Grant&) = delete;
    Grant& operator=(const Grant&) = delete;
    ~Grant() { End(false); }
    // `stored`: they are visible now, and so in the next sum.
    void End(bool stored);

   private:
    friend class NamespaceQuotas;
    NamespaceQuotas* from_ = nullptr;
    std::string name_space_;
    uint64_t rows_ = 0;
    uint64_t bytes_ = 0;
  };
  // RESOURCE_EXHAUSTED names the namespace, its limit and what it holds. Nothing is granted then.
  Status Admit(const std::string& name_space, uint64_t rows, uint64_t bytes, Grant* grant);
  // One more dataset; `count` says how many are there, and is asked only where it matters.
  Status AdmitDataset(const std::string& name_space, const std::function<uint64_t()>& count) const;
  bool LimitsDatasets(const std::string& name_space) const {
    return quota_of_ != nullptr && quota_of_(name_space).datasets > 0;
  }
  // Held by who makes a dataset where they are limited, from the count until it is there.
  std::mutex& making_mu() { return making_mu_; }

 private:
  struct Held {
    uint64_t rows = 0, bytes = 0;                // at most so much is visible
    uint64_t rows_coming = 0, bytes_coming = 0;  // and so much on its way
  };
  static Status Fits(const std::string& name_space, const NamespaceQuota& quota, const Held& held, uint64_t rows,
                     uint64_t bytes);

  const QuotaOf quota_of_;
  const SumUp sum_up_;
  std::mutex making_mu_;
  std::mutex mu_;
  std::unordered_map<std::string, Held> held_;  // guarded by mu_; of namespaces that have a limit
};

}  // namespace longbow::node
