#include "cli/churn.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "base/random.h"
#include "cli/build_subject.h"
#include "cli/cpu_clock.h"
#include "cli/exact_answers.h"
#include "cli/measure_search.h"
#include "cli/row_mask.h"

namespace longbow::cli {
namespace {

constexpr uint64_t kSeed = 7;

class Churn {
 public:
  Churn(const BenchOptions& options, const index::VectorRows& rows, const Matrix<float>& queries,
        const kernels::Kernels& kernels, BenchReport* report)
      : options_(options), rows_(rows), queries_(queries), kernels_(kernels), report_(report), random_(kSeed) {}

  Status Run() {
    const ChurnPlan plan = *options_.churn;
    const uint32_t living = LivingRows(rows_.capacity(), plan);
    report_->churned_rows = static_cast<uint32_t>(static_cast<uint64_t>(living) * plan.percent / 100);
    if (report_->churned_rows == 0) {
      return InvalidArgument("flag --churn: " + std::to_string(rows_.capacity()) + " base rows are too few: of the " +
                             std::to_string(living) + " that can live at once, " + std::to_string(plan.percent) +
                             " % is no row");
    }
    LB_ASSIGN(subject_, MakeSubject(SubjectOptionsOf(options_, rows_.dimension(), rows_.capacity(), {}), kernels_));
    LB_ASSIGN(report_->build, BuildMeasured(*subject_, rows_.data(), living));
    base_rows_.resize(living);
    std::iota(base_rows_.begin(), base_rows_.end(), 0);
    living_ids_ = base_rows_;
    for (uint32_t round = 0; round <= plan.rounds; ++round) {
      LB_TRY(Round(round));
    }
    return {};
  }

 private:
  Status Round(uint32_t number) {
    ChurnRound round{.round = number};
    const double cpu = ProcessCpuSeconds();
    const double wall = WallSeconds();
    if (number > 0) {
      LB_TRY(Replace());
    }
    round.seconds = WallSeconds() - wall;
    round.cpu_s = ProcessCpuSeconds() - cpu;
    round.unreachable = subject_->CountUnreachable();
    RowMask mask = EmptyMask(rows_.capacity());
    std::vector<uint32_t> living_rows;
    for (const uint32_t id : living_ids_) {
      AddRow(mask, base_rows_[id]);
      living_rows.push_back(base_rows_[id]);
    }
    LB_ASSIGN(const ExactAnswers answers, FindExactAnswers(rows_, queries_, options_.k, &mask, options_.threads));
    LB_ASSIGN(round.curve, Recalls(*subject_, base_rows_, answers));
    LB_ASSIGN(const std::unique_ptr<Subject> fresh, BuildFresh(living_rows));
    LB_ASSIGN(round.fresh_curve, Recalls(*fresh, living_rows, answers));
    std::fprintf(stderr, "round %u of %u done\n", number, options_.churn->rounds);
    report_->churn.push_back(std::move(round));
    return {};
  }

  Status Replace() {
    for (uint32_t i = 0; i < report_->churned_rows; ++i) {
      std::swap(living_ids_[random_.Below(living_ids_.size())], living_ids_.back());
      LB_TRY(subject_->Delete(living_ids_.back()));
      living_ids_.pop_back();
    }
    for (uint32_t i = 0; i < report_->churned_rows; ++i) {
      LB_ASSIGN(const index::LocalId id, subject_->Insert(rows_.row(next_row_)));
      base_rows_.resize(std::max<size_t>(base_rows_.size(), id + 1));
      base_rows_[id] = next_row_++;
      living_ids_.push_back(id);
    }
    subject_->FinishBackgroundWork();
    return {};
  }

  // Of rows in random order, as a table that has been written to for long would be rebuilt.
  Result<std::unique_ptr<Subject>> BuildFresh(const std::vector<uint32_t>& living_rows) {
    const auto count = static_cast<uint32_t>(living_rows.size());
    std::vector<float> compact;
    compact.reserve(static_cast<size_t>(count) * rows_.dimension());
    for (const uint32_t row : living_rows) {
      compact.insert(compact.end(), rows_.row(row), rows_.row(row) + rows_.dimension());
    }
    LB_ASSIGN(std::unique_ptr<Subject> fresh,
              MakeSubject(SubjectOptionsOf(options_, rows_.dimension(), count, {}), kernels_));
    LB_TRY(fresh->Build(compact.data(), count));
    return fresh;
  }

  Result<std::vector<CurvePoint>> Recalls(Subject& subject, const std::vector<uint32_t>& base_rows,
                                          const ExactAnswers& answers) const {
    const SearchRun run{.subject = &subject,
                        .queries = &queries_,
                        .answers = &answers,
                        .base_rows = &base_rows,
                        .k = options_.k,
                        .threads = options_.threads};
    std::vector<CurvePoint> curve;
    for (const uint32_t ef : options_.efs) {
      LB_ASSIGN(const CurvePoint point, MeasureRecall(run, ef));
      curve.push_back(point);
    }
    return curve;
  }

  const BenchOptions& options_;
  const index::VectorRows& rows_;
  const Matrix<float>& queries_;
  const kernels::Kernels& kernels_;
  BenchReport* const report_;
  Random random_;
  std::unique_ptr<Subject> subject_;
  std::vector<uint32_t> base_rows_;   // by the subject's ids
  std::vector<uint32_t> living_ids_;  // of the subject, in no order
  uint32_t next_row_ = LivingRows(rows_.capacity(), *options_.churn);
};

}  // namespace

uint32_t LivingRows(uint32_t rows, const ChurnPlan& plan) {
  return static_cast<uint32_t>(static_cast<uint64_t>(rows) * 100 / (100 + plan.rounds * plan.percent));
}

Status RunChurn(const BenchOptions& options, const index::VectorRows& rows, const Matrix<float>& queries,
                const kernels::Kernels& kernels, BenchReport* report) {
  return Churn(options, rows, queries, kernels, report).Run();
}

}  // namespace longbow::cli
