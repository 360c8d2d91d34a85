#include <arrow/util/compression.h>
#include <benchmark/benchmark.h>

#include "wire/flight_data.h"
#include "wire/requests.h"
#include "wire/sample_stream.h"

namespace longbow::wire {
namespace {

// A batch of 2048 vectors of dimension 768 (6.3 MB) as a transport delivers it: slices of 52 KB.
struct Input {
  Input() : rows(SampleBatch(2048, 768, false)) {
    const auto messages = ArrowStream({rows}, arrow::ipc::IpcWriteOptions::Defaults());
    schema = Cut(messages[0], 52'000);
    batch = Cut(messages[1], 52'000);
  }
  std::shared_ptr<arrow::RecordBatch> rows;
  net::Message schema, batch;
};

void Decode(benchmark::State& state) {
  const Input input;
  BatchDecoder decoder;
  if (!decoder.Feed(*ParseFlightData(input.schema)).ok()) {
    state.SkipWithError("schema");
  }
  for (auto _ : state) {
    const auto batch = decoder.Feed(*ParseFlightData(input.batch));
    benchmark::DoNotOptimize(batch->value().rows->num_rows());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(TotalSize(input.batch)));
}

void Encode(benchmark::State& state) {
  const Input input;
  BatchEncoder encoder(input.rows->schema());
  for (auto _ : state) {
    benchmark::DoNotOptimize(encoder.Batch(*input.rows)->size());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(TotalSize(input.batch)));
}

void DecodeFromLog(benchmark::State& state) {
  const Input input;
  const auto encoded = EncodeRows(input.rows)->encoded;
  const Slices one = {Slice::Own(Flat(encoded))};
  for (auto _ : state) {
    benchmark::DoNotOptimize((*DecodeRows(one))->num_rows());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(TotalSize(one)));
}

void SearchTicket768(benchmark::State& state) {
  std::string ticket = R"({"search":{"dataset":"docs","k":10,"vector":[0)";
  for (int i = 1; i < 768; ++i) {
    ticket += ",0.0" + std::to_string(100'000 + i * 977);
  }
  ticket += "]}}";
  for (auto _ : state) {
    benchmark::DoNotOptimize(ParseTicket(ticket).ok());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(ticket.size()));
}

BENCHMARK(Decode);
BENCHMARK(Encode);
BENCHMARK(DecodeFromLog);
BENCHMARK(SearchTicket768);

}  // namespace
}  // namespace longbow::wire
