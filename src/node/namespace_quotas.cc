#include "node/namespace_quotas.h"

#include "base/memory_limit.h"

namespace longbow::node {
namespace {

Status Exceeded(const std::string& name_space, const std::string& what, const std::string& limit,
                const std::string& held) {
  return ResourceExhausted("namespace " + name_space + " may hold " + limit + " " + what + " and holds " + held +
                           ": delete some, or have the limit raised (`longbow keys limit`)");
}

}  // namespace

void NamespaceQuotas::Grant::End(bool stored) {
  if (from_ == nullptr) {
    return;
  }
  std::lock_guard lock(from_->mu_);
  Held& held = from_->held_[name_space_];
  held.rows_coming -= rows_;
  held.bytes_coming -= bytes_;
  if (stored) {
    held.rows += rows_;
    held.bytes += bytes_;
  }
  from_ = nullptr;
}

Status NamespaceQuotas::Fits(const std::string& name_space, const NamespaceQuota& quota, const Held& held,
                             uint64_t rows, uint64_t bytes) {
  if (const uint64_t all = held.rows + held.rows_coming; quota.rows > 0 && all + rows > quota.rows) {
    return Exceeded(name_space, "rows", std::to_string(quota.rows),
                    std::to_string(all) + ", and " + std::to_string(rows) + " more came");
  }
  if (const uint64_t all = held.bytes + held.bytes_coming; quota.bytes > 0 && all + bytes > quota.bytes) {
    return Exceeded(name_space, "of rows", SizeText(quota.bytes),
                    SizeText(all) + ", and " + SizeText(bytes) + " more came");
  }
  return {};
}

Status NamespaceQuotas::Admit(const std::string& name_space, uint64_t rows, uint64_t bytes, Grant* grant) {
  if (quota_of_ == nullptr) {
    return {};
  }
  const NamespaceQuota quota = quota_of_(name_space);
  if ((quota.rows == 0 && quota.bytes == 0) || rows == 0) {
    return {};
  }
  std::lock_guard lock(mu_);
  const auto [found, is_new] = held_.try_emplace(name_space);
  Held& held = found->second;
  if (is_new || !Fits(name_space, quota, held, rows, bytes).ok()) {
    const NamespaceUsage usage = sum_up_(name_space);
    held.rows = usage.rows;
    held.bytes = usage.bytes;
    LB_TRY(Fits(name_space, quota, held, rows, bytes));
  }
  held.rows_coming += rows;
  held.bytes_coming += bytes;
  grant->from_ = this;
  grant->name_space_ = name_space;
  grant->rows_ = rows;
  grant->bytes_ = bytes;
  return {};
}

Status NamespaceQuotas::AdmitDataset(const std::string& name_space, const std::function<uint64_t()>& count) const {
  const NamespaceQuota quota = quota_of_ == nullptr ? NamespaceQuota{} : quota_of_(name_space);
  const uint64_t datasets = quota.datasets > 0 ? count() : 0;
  if (quota.datasets > 0 && datasets >= quota.datasets) {
    return Exceeded(name_space, "datasets", std::to_string(quota.datasets), std::to_string(datasets));
  }
  return {};
}

}  // namespace longbow::node
