// A small coverage-guided fuzzer for LLVMFuzzerTestOneInput, for compilers without libFuzzer: inputs that reach a new
// edge are kept and changed further. The way of AFL and libFuzzer, without their refinements.
//
//   x_fuzz CORPUS_FOLDER [seconds] [seed]
//
// All files of the corpus are run first, so this is also how CI repeats old findings. The input at work is in
// crash-<pid>.input of the working folder: it stays there if the process dies, and goes if it ends well.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr size_t kEdges = 1 << 16;
constexpr size_t kInputBytesMax = 1 << 14;
constexpr unsigned kOneInputSeconds = 20;

uint8_t seen_edges[kEdges];  // no std::array: its operators would be counted too
size_t new_edges = 0;
uintptr_t last_place = 0;

}  // namespace

// gcc calls it in each basic block (-fsanitize-coverage=trace-pc).
extern "C" __attribute__((no_sanitize_coverage, no_sanitize("address", "undefined"))) void __sanitizer_cov_trace_pc() {
  const auto place = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
  uint8_t& seen = seen_edges[(place ^ (last_place >> 1)) % kEdges];
  new_edges += seen == 0 ? 1 : 0;
  seen = 1;
  last_place = place;
}

namespace {

using Input = std::vector<uint8_t>;

// The input at work, where a crash leaves it.
class CrashFile {
 public:
  CrashFile() : path_("crash-" + std::to_string(getpid()) + ".input") {
    const int fd = open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || ftruncate(fd, kInputBytesMax) != 0) {
      std::perror(path_.c_str());
      std::exit(2);
    }
    bytes_ = static_cast<uint8_t*>(mmap(nullptr, kInputBytesMax, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    fd_ = fd;
  }
  ~CrashFile() { unlink(path_.c_str()); }

  void Keep(const Input& input) {
    if (input.size() != size_) {
      size_ = input.size();
      if (ftruncate(fd_, static_cast<off_t>(size_)) != 0 || (size_ > 0 && bytes_ == MAP_FAILED)) {
        std::exit(2);
      }
    }
    std::copy(input.begin(), input.end(), bytes_);
  }

 private:
  const std::string path_;
  int fd_ = -1;
  size_t size_ = kInputBytesMax;
  uint8_t* bytes_ = nullptr;
};

class Fuzzer {
 public:
  explicit Fuzzer(uint64_t seed) : random_(seed) {}

  void LoadCorpus(const std::string& folder) {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    for (const auto& path : paths) {
      std::ifstream file(path, std::ios::binary);
      Input input((std::istreambuf_iterator<char>(file)), {});
      input.resize(std::min(input.size(), kInputBytesMax));
      Run(input);
      corpus_.push_back(std::move(input));
    }
    if (corpus_.empty()) {
      corpus_.emplace_back();
    }
  }

  void RunFor(std::chrono::seconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < end) {
      for (int i = 0; i < 64; ++i) {
        Input input = Mutated();
        if (Run(input) > 0) {
          corpus_.push_back(std::move(input));
        }
      }
    }
  }

  size_t runs() const { return runs_; }
  size_t kept() const { return corpus_.size(); }

 private:
  size_t Below(size_t bound) { return bound == 0 ? 0 : random_() % bound; }

  // How many edges were new.
  size_t Run(const Input& input) {
    crash_.Keep(input);
    alarm(kOneInputSeconds);  // a hang ends the process like a crash
    new_edges = 0;
    last_place = 0;
    // A copy of the exact size, so that a read past the end is seen.
    const std::vector<uint8_t> exact(input);
    LLVMFuzzerTestOneInput(exact.data(), exact.size());
    ++runs_;
    return new_edges;
  }

  Input Mutated() {
    Input input = corpus_[Below(corpus_.size())];
    for (size_t changes = 1 + Below(6); changes > 0; --changes) {
      Change(input);
    }
    input.resize(std::min(input.size(), kInputBytesMax));
    return input;
  }

  void Change(Input& input) {
    static constexpr uint64_t kOdd[] = {0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fffffff, 0xffffffff, UINT64_MAX, 1ull << 63};
    const size_t at = Below(input.size());
    const auto here = input.begin() + static_cast<ptrdiff_t>(at);
    switch (input.empty() ? 4 : Below(7)) {
      case 0:
        input[at] = static_cast<uint8_t>(random_());
        break;
      case 1:
        input[at] = static_cast<uint8_t>(input[at] ^ (1u << Below(8)));
        break;
      case 2: {
        const uint64_t value = kOdd[Below(std::size(kOdd))] + Below(3) - 1;
        std::memcpy(&input[at], &value, std::min(size_t{1} << Below(4), input.size() - at));
        break;
      }
      case 3:
        input.erase(here, input.begin() + static_cast<ptrdiff_t>(std::min(input.size(), at + 1 + Below(16))));
        break;
      case 4:
        input.insert(input.begin() + static_cast<ptrdiff_t>(at), 1 + Below(8), static_cast<uint8_t>(random_()));
        break;
      case 5: {  // a piece of another input
        const Input& other = corpus_[Below(corpus_.size())];
        const size_t begin = Below(other.size());
        const size_t size = std::min(other.size() - begin, 1 + Below(64));
        input.insert(here, other.begin() + static_cast<ptrdiff_t>(begin),
                     other.begin() + static_cast<ptrdiff_t>(begin + size));
        break;
      }
      default: {  // a piece of itself, elsewhere
        const Input piece(here, input.begin() + static_cast<ptrdiff_t>(std::min(input.size(), at + 1 + Below(32))));
        input.insert(input.begin() + static_cast<ptrdiff_t>(Below(input.size())), piece.begin(), piece.end());
      }
    }
  }

  std::mt19937_64 random_;
  CrashFile crash_;
  std::vector<Input> corpus_;
  size_t runs_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s CORPUS_FOLDER [seconds] [seed]\n", argv[0]);
    return 2;
  }
  const int seconds = argc > 2 ? std::atoi(argv[2]) : 0;
  const uint64_t seed = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : std::random_device()();
  Fuzzer fuzzer(seed);
  fuzzer.LoadCorpus(argv[1]);
  const size_t first = fuzzer.kept();
  fuzzer.RunFor(std::chrono::seconds(seconds));
  const auto edges = std::count(std::begin(seen_edges), std::end(seen_edges), 1);
  std::printf("%s: %zu runs, %zu inputs of the corpus, %zu more kept, %td edges, seed %llu\n",
              std::filesystem::path(argv[0]).filename().c_str(), fuzzer.runs(), first, fuzzer.kept() - first, edges,
              static_cast<unsigned long long>(seed));
  return 0;
}
