// Longbow's HNSW beside hnswlib: the same rows, queries, M and ef_construction, one process, runs in alternation.
// Prints a table and writes one JSON document with every raw number. See README.md.
#include <sys/utsname.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "curve.h"
#include "index/flat_search.h"
#include "index/hnsw.h"
#include "kernels/dispatch.h"
#include "npy.h"
#include "rival.h"

namespace longbow::bench {
namespace {

struct Arguments {
  std::string base = "demo/data/vectors.f16.npy";
  std::string queries = "demo/data/queries.f16.npy";
  std::string out;  // JSON; empty: none
  bool inner_product = false;
  size_t k = 10;
  uint32_t m = 16;
  uint32_t ef_construction = 200;
  uint32_t threads = 1;  // of building
  uint32_t runs = 3;
  std::vector<uint32_t> efs = {10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640};
};

double CpuSeconds(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

void InParallel(uint32_t threads, size_t n, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next{0};
  std::vector<std::thread> workers;
  for (uint32_t t = 0; t < threads; ++t) {
    workers.emplace_back([&] {
      for (size_t i = next.fetch_add(1); i < n; i = next.fetch_add(1)) {
        work(i);
      }
    });
  }
  for (std::thread& worker : workers) {
    worker.join();
  }
}

// One side of the comparison. Search returns how many ids it wrote.
struct Contestant {
  std::string name;
  std::function<void()> build;
  std::function<size_t(const float* query, uint32_t ef, uint32_t* ids)> search;
  std::vector<double> build_cpu_s;
  std::vector<double> build_wall_s;
  std::vector<std::vector<Point>> curves;  // one per run
};

class Comparison {
 public:
  Comparison(Arguments arguments, const kernels::Kernels& kernels, Matrix<float> base, Matrix<float> queries)
      : a_(std::move(arguments)), kernels_(kernels), base_(std::move(base)), queries_(std::move(queries)) {}

  Status Run() {
    LB_TRY(MakeRows());
    LB_TRY(FindTruth());
    AddLongbow();
    AddHnswlib();
    for (uint32_t run = 0; run < a_.runs; ++run) {
      for (Contestant& c : contestants_) {
        const double cpu = CpuSeconds(CLOCK_PROCESS_CPUTIME_ID);
        const double wall = CpuSeconds(CLOCK_MONOTONIC);
        c.build();
        c.build_cpu_s.push_back(CpuSeconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
        c.build_wall_s.push_back(CpuSeconds(CLOCK_MONOTONIC) - wall);
        c.curves.emplace_back();
        std::printf("run %u  %-8s build %.1f CPU s\n", run, c.name.c_str(), c.build_cpu_s.back());
        std::fflush(stdout);
      }
      for (const uint32_t ef : a_.efs) {
        for (Contestant& c : contestants_) {
          c.curves.back().push_back(Measure(c, ef));
        }
      }
      PrintRun(run);
    }
    return Report();
  }

 private:
  Status MakeRows() {
    const Metric metric = a_.inner_product ? Metric::kInnerProduct : Metric::kL2;
    LB_ASSIGN(rows_, index::VectorRows::Create(static_cast<uint32_t>(base_.columns), static_cast<uint32_t>(base_.rows),
                                               metric, kernels_));
    return {};
  }

  // Exact answers by flat search, whose rows are then built upon.
  Status FindTruth() {
    std::copy(base_.values.begin(), base_.values.end(), rows_->MutableRow(0));
    truth_.resize(queries_.rows);
    index::SearchOptions options;
    options.k = static_cast<uint32_t>(a_.k);
    options.filter.end = static_cast<index::LocalId>(base_.rows);
    for (size_t q = 0; q < queries_.rows; ++q) {
      LB_ASSIGN(const auto nearest, index::FlatSearch(*rows_, queries_.row(q), options));
      for (const index::Neighbor& neighbor : nearest) {
        truth_[q].insert(neighbor.id);
      }
    }
    return {};
  }

  void AddLongbow() {
    Contestant c;
    c.name = "longbow";
    c.build = [this] {
      graph_.reset();
      // hnswlib copies its rows while it builds: so do we.
      Check(MakeRows());
      auto graph = index::Hnsw::Create(rows_, {.m = a_.m, .ef_construction = a_.ef_construction});
      Check(graph.status());
      graph_ = std::move(*graph);
      InParallel(a_.threads, base_.rows, [this](size_t i) {
        std::copy(base_.row(i), base_.row(i) + base_.columns, rows_->MutableRow(static_cast<index::LocalId>(i)));
        graph_->Insert(static_cast<index::LocalId>(i));
      });
    };
    c.search = [this](const float* query, uint32_t ef, uint32_t* ids) {
      index::SearchOptions options;
      options.k = static_cast<uint32_t>(a_.k);
      options.ef = ef;
      options.filter.end = static_cast<index::LocalId>(base_.rows);
      auto nearest = graph_->Search(query, options);
      Check(nearest.status());
      for (size_t i = 0; i < nearest->size(); ++i) {
        ids[i] = (*nearest)[i].id;
      }
      return nearest->size();
    };
    contestants_.push_back(std::move(c));
  }

  void AddHnswlib() {
    Contestant c;
    c.name = "hnswlib";
    c.build = [this] {
      rival_.reset();
      rival_.reset(RivalCreate(base_.columns, base_.rows, a_.m, a_.ef_construction, a_.inner_product));
      RivalInsert(rival_.get(), base_.row(0), 0);
      InParallel(a_.threads, base_.rows - 1, [this](size_t i) { RivalInsert(rival_.get(), base_.row(i + 1), i + 1); });
    };
    c.search = [this](const float* query, uint32_t ef, uint32_t* ids) {
      return RivalSearch(rival_.get(), query, a_.k, ef, ids);
    };
    contestants_.push_back(std::move(c));
  }

  static void Check(const Status& status) {
    if (!status.ok()) {
      std::fprintf(stderr, "%s\n", status.ToString().c_str());
      std::exit(1);
    }
  }

  // All queries once, one thread.
  Point Measure(const Contestant& c, uint32_t ef) {
    std::vector<uint32_t> ids(queries_.rows * a_.k);
    std::vector<size_t> found(queries_.rows);
    const double start = CpuSeconds(CLOCK_THREAD_CPUTIME_ID);
    for (size_t q = 0; q < queries_.rows; ++q) {
      found[q] = c.search(queries_.row(q), ef, ids.data() + q * a_.k);
    }
    const double seconds = CpuSeconds(CLOCK_THREAD_CPUTIME_ID) - start;
    size_t right = 0;
    for (size_t q = 0; q < queries_.rows; ++q) {
      for (size_t i = 0; i < found[q]; ++i) {
        right += truth_[q].count(ids[q * a_.k + i]);
      }
    }
    return {ef, static_cast<double>(right) / static_cast<double>(queries_.rows * a_.k),
            seconds * 1e6 / static_cast<double>(queries_.rows)};
  }

  void PrintRun(uint32_t run) {
    std::printf("run %u  %5s  %22s  %22s\n", run, "ef", "longbow recall, us", "hnswlib recall, us");
    for (size_t i = 0; i < a_.efs.size(); ++i) {
      const Point& ours = contestants_[0].curves.back()[i];
      const Point& theirs = contestants_[1].curves.back()[i];
      std::printf("       %5u  %14.4f %7.1f  %14.4f %7.1f\n", a_.efs[i], ours.recall, ours.microseconds, theirs.recall,
                  theirs.microseconds);
    }
    std::fflush(stdout);
  }

  Status Report() {
    nlohmann::json report;
    report["benchmark"] = "hnsw_vs_hnswlib";
    report["machine"] = Machine();
    report["isa"] = std::string(kernels::IsaName(kernels_.isa));
    report["parameters"] = {{"base", NameOf(a_.base)},
                            {"queries", NameOf(a_.queries)},
                            {"rows", base_.rows},
                            {"dimension", base_.columns},
                            {"query_count", queries_.rows},
                            {"metric", a_.inner_product ? "dot_product" : "euclidean"},
                            {"k", a_.k},
                            {"m", a_.m},
                            {"ef_construction", a_.ef_construction},
                            {"build_threads", a_.threads},
                            {"runs", a_.runs}};
    for (const Contestant& c : contestants_) {
      nlohmann::json& side = report[c.name];
      side["build_cpu_s"] = c.build_cpu_s;
      side["build_wall_s"] = c.build_wall_s;
      for (const auto& curve : c.curves) {
        nlohmann::json points = nlohmann::json::array();
        for (const Point& p : curve) {
          points.push_back({{"ef", p.ef}, {"recall", p.recall}, {"cpu_us", p.microseconds}});
        }
        side["curves"].push_back(points);
      }
    }
    Compare(report);
    if (!a_.out.empty()) {
      std::ofstream(a_.out) << report.dump(1) << "\n";
    }
    return {};
  }

  // Ratios within each run; their median, lowest and highest.
  void Compare(nlohmann::json& report) {
    const auto add = [&](const std::string& name, std::vector<double> ratios) {
      if (ratios.empty()) {
        return;
      }
      std::sort(ratios.begin(), ratios.end());
      const double median = ratios[ratios.size() / 2];
      report["longbow_over_hnswlib"][name] = {
          {"median", median}, {"min", ratios.front()}, {"max", ratios.back()}, {"runs", ratios.size()}};
      std::printf("%-22s %.2f [%.2f - %.2f] of %zu runs\n", name.c_str(), median, ratios.front(), ratios.back(),
                  ratios.size());
    };
    std::vector<double> build;
    for (uint32_t run = 0; run < a_.runs; ++run) {
      build.push_back(contestants_[0].build_cpu_s[run] / contestants_[1].build_cpu_s[run]);
    }
    add("build CPU", build);
    for (const double recall : {0.90, 0.95, 0.99, 0.999}) {
      std::vector<double> ratios;
      for (uint32_t run = 0; run < a_.runs; ++run) {
        const auto ours = MicrosecondsAt(contestants_[0].curves[run], recall);
        const auto theirs = MicrosecondsAt(contestants_[1].curves[run], recall);
        if (ours && theirs) {
          ratios.push_back(*theirs / *ours);
        }
      }
      char name[32];
      std::snprintf(name, sizeof(name), "QPS at recall %.3f", recall);
      add(name, ratios);
    }
  }

  static std::string NameOf(const std::string& path) { return std::filesystem::path(path).filename(); }

  static nlohmann::json Machine() {
    utsname name;
    uname(&name);
    std::string cpu = "unknown";
    std::ifstream in("/proc/cpuinfo");
    for (std::string line; std::getline(in, line);) {
      if (line.starts_with("model name")) {
        cpu = line.substr(line.find(':') + 2);
        break;
      }
    }
    return {{"cpu", cpu},
            {"cores", std::thread::hardware_concurrency()},
            {"kernel", name.release},
            {"compiler", __VERSION__}};
  }

  struct RivalDeleter {
    void operator()(Rival* rival) const { RivalFree(rival); }
  };

  const Arguments a_;
  const kernels::Kernels& kernels_;
  const Matrix<float> base_;
  const Matrix<float> queries_;
  std::vector<std::set<uint32_t>> truth_;
  std::shared_ptr<index::VectorRows> rows_;
  std::unique_ptr<index::Hnsw> graph_;
  std::unique_ptr<Rival, RivalDeleter> rival_;
  std::vector<Contestant> contestants_;
};

Result<Arguments> Parse(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    const std::string value = argv[i + 1];
    const auto number = [&] { return static_cast<uint32_t>(std::strtoul(value.c_str(), nullptr, 10)); };
    if (flag == "--base") {
      a.base = value;
    } else if (flag == "--queries") {
      a.queries = value;
    } else if (flag == "--out") {
      a.out = value;
    } else if (flag == "--metric" && (value == "euclidean" || value == "dot_product")) {
      a.inner_product = value == "dot_product";
    } else if (flag == "--m" && number() > 0) {
      a.m = number();
    } else if (flag == "--ef-construction" && number() > 0) {
      a.ef_construction = number();
    } else if (flag == "--threads" && number() > 0) {
      a.threads = number();
    } else if (flag == "--runs" && number() > 0) {
      a.runs = number();
    } else {
      return InvalidArgument("unknown flag or bad value: " + flag + " " + value);
    }
  }
  if (argc % 2 == 0) {
    return InvalidArgument(std::string(argv[argc - 1]) + " needs a value");
  }
  return a;
}

Status Main(int argc, char** argv) {
  LB_ASSIGN(Arguments arguments, Parse(argc, argv));
  LB_ASSIGN(const kernels::Kernels* kernels, kernels::KernelsFromEnvironment());
  LB_ASSIGN(auto base, ReadFloats(arguments.base));
  LB_ASSIGN(auto queries, ReadFloats(arguments.queries));
  if (base.columns != queries.columns || base.rows == 0 || queries.rows == 0) {
    return InvalidArgument("base has dimension " + std::to_string(base.columns) + " and " + std::to_string(base.rows) +
                           " rows, queries dimension " + std::to_string(queries.columns) + " and " +
                           std::to_string(queries.rows) + " rows");
  }
  return Comparison(std::move(arguments), *kernels, std::move(base), std::move(queries)).Run();
}

}  // namespace
}  // namespace longbow::bench

int main(int argc, char** argv) {
  const longbow::Status status = longbow::bench::Main(argc, argv);
  if (!status.ok()) {
    std::fprintf(stderr,
                 "%s\nusage: hnsw_vs_hnswlib [--base F.npy] [--queries F.npy] [--metric euclidean|dot_product] [--m 16]"
                 " [--ef-construction 200] [--threads 1] [--runs 3] [--out F.json]\n",
                 status.ToString().c_str());
    return 1;
  }
  return 0;
}
