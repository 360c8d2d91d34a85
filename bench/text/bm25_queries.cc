// BM25 of src/text alone, for bench.py:
//
//   c++ -std=c++20 -O2 -Isrc bench/text/bm25_queries.cc build/release/src/text/liblongbow_text.a
//       build/release/src/base/liblongbow_base.a -lstemmer -lstreamvbyte -licuuc -o build/bm25_queries
//   build/bm25_queries TEXTS QUERIES K ROUNDS STEMMER
//
// TEXTS and QUERIES: a line each. Prints a JSON object: seconds to build, then for each round the seconds of CPU that
// all queries took on one thread, tokenizing included, and once the rows found with their scores.
#include <ctime>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "text/bm25.h"
#include "text/tokenizer.h"

namespace {

std::vector<std::string> LinesOf(const char* path) {
  std::ifstream in(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    lines.push_back(line);
  }
  return lines;
}

double CpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace longbow;
  if (argc != 6) {
    std::cerr << "usage: bm25_queries TEXTS QUERIES K ROUNDS STEMMER\n";
    return 2;
  }
  const std::vector<std::string> texts = LinesOf(argv[1]);
  const std::vector<std::string> queries = LinesOf(argv[2]);
  const size_t k = std::stoul(argv[3]);
  auto tokenizer = text::Tokenizer::Create({.stemmer = argv[5]});
  if (!tokenizer.ok()) {
    std::cerr << tokenizer.status().ToString() << "\n";
    return 1;
  }
  double begin = CpuSeconds();
  text::InvertedIndexBuilder builder;
  for (const std::string& line : texts) {
    builder.BeginRow();
    (*tokenizer)->Begin(line);
    for (std::string_view term; (*tokenizer)->Next(&term);) {
      builder.Add(term);
    }
  }
  const auto index = builder.Finish();
  std::cout << "{\"build_s\": " << CpuSeconds() - begin << ", \"bytes\": " << index->image().size()
            << ", \"rounds\": [";
  const std::vector<text::TextPart> parts = {{index->rows(), {index.get()}, nullptr}};
  std::vector<std::vector<text::TextHit>> found(queries.size());
  for (size_t round = 0; round < std::stoul(argv[4]); ++round) {
    begin = CpuSeconds();
    for (size_t q = 0; q < queries.size(); ++q) {
      const std::vector<std::vector<std::string>> terms = {(*tokenizer)->Terms(queries[q])};
      found[q] = *text::SearchText(parts, terms, k, {}, nullptr);
    }
    std::cout << (round == 0 ? "" : ", ") << CpuSeconds() - begin;
  }
  std::cout << "], \"hits\": [";
  for (size_t q = 0; q < found.size(); ++q) {
    std::cout << (q == 0 ? "[" : ", [");
    for (size_t i = 0; i < found[q].size(); ++i) {
      std::cout << (i == 0 ? "[" : ", [") << found[q][i].row << ", " << found[q][i].score << "]";
    }
    std::cout << "]";
  }
  std::cout << "]}\n";
}
