// Long work on graphs ends soon after it is cancelled, wherever it stands.
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <functional>

#include "index/lean_graph.h"
#include "index/projection.h"
#include "index/recall_model.h"
#include "index/sealed_graph.h"
#include "index/test_rows.h"

namespace longbow::index {
namespace {

using std::chrono::microseconds;

constexpr uint32_t kRows = 12000 / kFewer;
constexpr uint32_t kDimension = 128;

microseconds ThreadCpu() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return microseconds(time.tv_sec * 1'000'000 + time.tv_nsec / 1000);
}

class CancelledBuild : public testing::Test {
 protected:
  void SetUp() override {
    ClusteredPoints points(kDimension, 20, 5);
    rows_ = MakeRows(kDimension, kRows, Metric::kL2);
    for (LocalId id = 0; id < kRows; ++id) {
      SetRow(*rows_, id, points.Next());
    }
    graph_ = MakeActive(rows_, {.ef_construction = 40});
    InsertAll(*graph_, 0, kRows, 2);
  }

  // Lets the work run to its end once, and then for parts of that time. What it does after its time is over is counted
  // in CPU time, as the machine may be busy.
  void ExpectEndsSoon(const std::function<Status(const Cancellation*)>& work) {
    const microseconds before = ThreadCpu();
    ASSERT_TRUE(work(nullptr).ok());
    const microseconds full = ThreadCpu() - before;
    for (int part = 0; part < 8; ++part) {
      const microseconds allowed = full * part / 16;  // of which the half at most, so that it never is enough
      const Cancellation cancellation(Cancellation::Clock::now() + allowed);
      const microseconds start = ThreadCpu();
      EXPECT_EQ(work(&cancellation).code(), StatusCode::kDeadlineExceeded);
      const microseconds over = ThreadCpu() - start - allowed;
      EXPECT_LT(over, std::max<microseconds>(std::chrono::milliseconds(30 * kFewer), full / 8))
          << "after " << allowed.count() << " of " << full.count() << " us";
    }
  }

  std::shared_ptr<VectorRows> rows_;
  std::unique_ptr<ActiveGraph> graph_;
};

TEST_F(CancelledBuild, OfASealedGraph) {
  ExpectEndsSoon([this](const Cancellation* cancellation) {
    return SealedGraph::Build(*graph_, {.cancellation = cancellation}).status();
  });
}

TEST_F(CancelledBuild, OfALeanGraph) {
  ExpectEndsSoon([this](const Cancellation* cancellation) {
    return LeanGraph::Build(*graph_, {.cancellation = cancellation}).status();
  });
}

TEST_F(CancelledBuild, OfARecallModel) {
  ExpectEndsSoon([this](const Cancellation* cancellation) {
    return RecallModel::Calibrate(*graph_, *rows_, {.living = {.end = kRows}, .cancellation = cancellation}).status();
  });
}

TEST_F(CancelledBuild, OfAProjection) {
  const auto space = CodeSpace::Learn(*rows_, 0, kRows);
  std::vector<LocalId> order(kRows);
  for (LocalId id = 0; id < kRows; ++id) {
    order[id] = kRows - 1 - id;
  }
  ExpectEndsSoon(
      [&](const Cancellation* cancellation) { return Projection::Build(space, *rows_, order, cancellation).status(); });
}

TEST_F(CancelledBuild, ACancelledRepairIsDoneByTheNext) {
  graph_->Repair();
  for (LocalId id = 7; id < kRows; id += 50) {
    graph_->DropLinksTo(id);
  }
  const uint32_t broken = graph_->CountUnreachableRows();
  ASSERT_GT(broken, 100u / kFewer);
  Cancellation cancellation;
  cancellation.Cancel();
  const RepairReport report = graph_->Repair(&cancellation);
  EXPECT_EQ(report.links_added, 0u);
  EXPECT_EQ(graph_->CountUnreachableRows(), broken);
  EXPECT_GT(graph_->Repair().links_added, broken / 2);  // a link may bring several rows back
  EXPECT_EQ(graph_->CountUnreachableRows(), 0u);
}

}  // namespace
}  // namespace longbow::index
