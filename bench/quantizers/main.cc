// Recall against bytes against speed, for every quantizer: see README.md.
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/cpu_clock.h"
#include "contenders.h"
#include "data_set.h"
#include "kernels/code_scan_dispatch.h"
#include "kernels/dispatch.h"
#include "measure.h"

namespace longbow::bench {
namespace {

using Arguments = std::map<std::string, std::string>;

Result<Arguments> ReadArguments(int argc, char** argv) {
  Arguments arguments = {{"--base", ""}, {"--query", ""}, {"--gt", ""},  {"--metric", "l2"},
                         {"--json", ""}, {"--only", ""},  {"--name", ""}};
  for (int i = 1; i < argc; i += 2) {
    const auto known = arguments.find(argv[i]);
    if (known == arguments.end() || i + 1 == argc) {
      return InvalidArgument(std::string(argv[i]) +
                             ": unknown, or without its value; bench/quantizers/README.md has all");
    }
    known->second = argv[i + 1];
  }
  if (arguments["--base"].empty() != arguments["--query"].empty()) {
    return InvalidArgument("--base and --query go together");
  }
  if (arguments["--metric"] != "l2" && arguments["--metric"] != "ip") {
    return InvalidArgument("--metric must be l2 or ip, got " + arguments["--metric"]);
  }
  return arguments;
}

nlohmann::ordered_json ToJson(const Measurement& m) {
  nlohmann::ordered_json json = {{"name", m.name},
                                 {"bytes", m.bytes},
                                 {"block_bytes", m.block_bytes},
                                 {"train_s", m.train_s},
                                 {"encode_us", m.encode_us},
                                 {"prepare_us", m.prepare_us},
                                 {"scan_ns", m.scan_ns},
                                 {"ids_ns", m.ids_ns},
                                 {"packed_ns", m.packed_ns},
                                 {"recall", m.recall},
                                 {"packed_recall", m.packed_recall},
                                 {"rerank_recall", m.rerank_recall},
                                 {"error", m.error}};
  if (m.outside_bound >= 0) {
    json["outside_bound"] = m.outside_bound;
  }
  return json;
}

void Print(const Measurement& m) {
  std::printf("| %-8s | %5zu | %6.4f | %6.4f | %8.5f | %6.1f | %6.1f | ", m.name.c_str(), m.bytes, m.recall,
              m.rerank_recall, m.error, m.scan_ns, m.ids_ns);
  if (m.block_bytes > 0) {
    std::printf("%5.2f (%.4f) | ", m.packed_ns, m.packed_recall);
  } else {
    std::printf("              | ");
  }
  std::printf("%6.1f | %7.2f | %6.2f |\n", m.prepare_us, m.encode_us, m.train_s);
  std::fflush(stdout);
}

bool IsWanted(const std::string& only, const std::string& name) {
  return only.empty() || ("," + only + ",").find("," + name + ",") != std::string::npos;
}

Status Run(int argc, char** argv) {
  LB_ASSIGN(Arguments arguments, ReadArguments(argc, argv));
  LB_ASSIGN(const kernels::Kernels* kernels, kernels::KernelsFromEnvironment());
  LB_ASSIGN(const kernels::CodeKernels* code_kernels, kernels::CodeKernelsOf(kernels->isa));
  DataSet data;
  if (arguments["--base"].empty()) {
    data = MakeClusteredSet(*kernels);
    data.name = "clusters";
  } else {
    const Metric metric = arguments["--metric"] == "ip" ? Metric::kInnerProduct : Metric::kL2;
    LB_ASSIGN(data, ReadDataSet({arguments["--base"], arguments["--query"], arguments["--gt"]}, metric, *kernels));
    data.name = "files";
  }
  data.name = arguments["--name"].empty() ? data.name : arguments["--name"];
  nlohmann::ordered_json report = {{"dataset", data.name},
                                   {"rows", data.base.rows},
                                   {"dimension", data.base.columns},
                                   {"queries", data.queries.rows},
                                   {"metric", data.metric == Metric::kL2 ? "l2" : "ip"},
                                   {"k", kNeighbors},
                                   {"threads", 1},
                                   {"isa", kernels::IsaName(kernels->isa)},
                                   {"quantizers", nlohmann::ordered_json::array()}};
  std::printf(
      "| codes | bytes | recall | best 30 re-ranked | error | ns in order | ns by id | ns packed (recall) | "
      "prepare us | encode us | train s |\n|---|---|---|---|---|---|---|---|---|---|---|\n");
  const auto add = [&](Measurement m, double train_s) {
    m.train_s = train_s;
    Print(m);
    report["quantizers"].push_back(ToJson(m));
  };
  if (IsWanted(arguments["--only"], "float32")) {
    add(MeasureExact(data, *kernels), 0);
  }
  for (const Contender& contender : AllContenders(data.base.columns)) {
    if (!IsWanted(arguments["--only"], contender.name)) {
      continue;
    }
    const double start = cli::ThreadCpuSeconds();
    LB_ASSIGN(const auto quantizer,
              contender.train({data.base.values.data(), data.base.rows, data.base.columns}, *code_kernels));
    const double train_s = cli::ThreadCpuSeconds() - start;
    LB_ASSIGN(Measurement m, MeasureQuantizer(data, *quantizer, *kernels));
    m.name = contender.name;
    add(std::move(m), train_s);
  }
  if (!arguments["--json"].empty()) {
    std::ofstream out(arguments["--json"]);
    out << report.dump(1) << '\n';
    if (!out.flush()) {
      return InvalidArgument(arguments["--json"] + ": cannot be written");
    }
  }
  return {};
}

}  // namespace
}  // namespace longbow::bench

int main(int argc, char** argv) {
  if (const longbow::Status status = longbow::bench::Run(argc, argv); !status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return 1;
  }
  return 0;
}
