#include "node/namespace_quotas.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace longbow::node {
namespace {

TEST(NamespaceQuotas, CountWhatIsThereAndWhatIsComing) {
  NamespaceUsage usage{.datasets = 1, .rows = 5, .bytes = 50};
  int sums = 0;
  NamespaceQuotas quotas([](const std::string& name) { return NamespaceQuota{.rows = name == "small" ? 10u : 0u}; },
                         [&](const std::string&) {
                           ++sums;
                           return usage;
                         });
  NamespaceQuotas::Grant first, second, third, other;
  EXPECT_TRUE(quotas.Admit("small", 3, 30, &first).ok());
  const Status refused = quotas.Admit("small", 3, 30, &second);
  EXPECT_EQ(refused.code(), StatusCode::kResourceExhausted);
  for (const char* part : {"namespace small", "10 rows", "holds 8", "3 more"}) {
    EXPECT_NE(refused.message().find(part), std::string_view::npos) << refused.message();
  }
  EXPECT_TRUE(quotas.Admit("small", 2, 20, &second).ok());
  first.End(false);  // the put failed
  EXPECT_TRUE(quotas.Admit("small", 3, 30, &third).ok());
  third.End(true);
  usage.rows = 8;
  second.End(true);
  EXPECT_FALSE(quotas.Admit("small", 3, 30, &first).ok());
  usage.rows = 0;  // deleted
  EXPECT_TRUE(quotas.Admit("small", 10, 30, &first).ok()) << "the sum is made again before anything is refused";
  const int before = sums;
  EXPECT_TRUE(quotas.Admit("wide", 1'000'000, 1, &other).ok());
  EXPECT_EQ(sums, before);
}

TEST(NamespaceQuotas, AreNotPassedByManyAtOnce) {
  std::atomic<uint64_t> rows{0};
  NamespaceQuotas quotas([](const std::string&) { return NamespaceQuota{.rows = 1'000}; },
                         [&](const std::string&) { return NamespaceUsage{.datasets = 1, .rows = rows, .bytes = 0}; });
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 1'000; ++j) {
        NamespaceQuotas::Grant grant;
        if (quotas.Admit("a", 3, 1, &grant).ok()) {
          rows += 3;
          grant.End(true);
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_LE(rows.load(), 1'000u);
  EXPECT_GT(rows.load(), 1'000u - 3) << "and all of it can be used";
}

TEST(NamespaceQuotas, BytesAndDatasets) {
  NamespaceQuotas quotas([](const std::string&) { return NamespaceQuota{.datasets = 2, .bytes = 1 << 20}; },
                         [&](const std::string&) { return NamespaceUsage{}; });
  NamespaceQuotas::Grant grant;
  const Status refused = quotas.Admit("a", 1, 2 << 20, &grant);
  EXPECT_NE(refused.message().find("1 MiB of rows"), std::string_view::npos) << refused.message();
  EXPECT_TRUE(quotas.AdmitDataset("a", [] { return uint64_t{1}; }).ok());
  EXPECT_EQ(quotas.AdmitDataset("a", [] { return uint64_t{2}; }).code(), StatusCode::kResourceExhausted);
  const NamespaceQuotas none(nullptr, nullptr);
  EXPECT_TRUE(none.AdmitDataset("a", nullptr).ok());
}

}  // namespace
}  // namespace longbow::node
