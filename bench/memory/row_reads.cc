// How long it takes to read the rows that a search ranks, some 16 of 1,536 bytes, from a file that is larger than
// memory.
//
//   c++ -std=c++20 -O2 bench/memory/row_reads.cc -o build/row_reads && build/row_reads FOLDER [MiB of the file]
//   [queries]
//
// Three ways take turns, query by query, on rows that nobody else reads: page faults on a mapping with MADV_RANDOM; the
// same after MADV_WILLNEED for all of them; one io_uring submission of all reads, which waits for all. Cold: the file's
// pages were dropped. Warm: all of it was read before. Prints p50, p99 and CPU time of the calling thread in
// microseconds for each.
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace {

constexpr size_t kRowBytes = 1536;
constexpr size_t kRows = 16;  // of a query
constexpr size_t kPage = 4096;

void Check(bool ok, const char* what) {
  if (!ok) {
    std::perror(what);
    std::exit(1);
  }
}

// The least of io_uring that reads need, without a library.
class Ring {
 public:
  explicit Ring(unsigned entries) {
    io_uring_params parameters{};
    fd_ = static_cast<int>(syscall(__NR_io_uring_setup, entries, &parameters));
    Check(fd_ >= 0, "io_uring_setup");
    const auto map = [&](size_t size, off_t offset) {
      void* const at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_, offset);
      Check(at != MAP_FAILED, "mmap of a ring");
      return static_cast<char*>(at);
    };
    char* const sq = map(parameters.sq_off.array + parameters.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
    char* const cq = map(parameters.cq_off.cqes + parameters.cq_entries * sizeof(io_uring_cqe), IORING_OFF_CQ_RING);
    entries_ = reinterpret_cast<io_uring_sqe*>(map(parameters.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES));
    sq_tail_ = reinterpret_cast<unsigned*>(sq + parameters.sq_off.tail);
    sq_mask_ = *reinterpret_cast<unsigned*>(sq + parameters.sq_off.ring_mask);
    sq_array_ = reinterpret_cast<unsigned*>(sq + parameters.sq_off.array);
    cq_head_ = reinterpret_cast<unsigned*>(cq + parameters.cq_off.head);
    cq_tail_ = reinterpret_cast<unsigned*>(cq + parameters.cq_off.tail);
    cq_mask_ = *reinterpret_cast<unsigned*>(cq + parameters.cq_off.ring_mask);
    results_ = reinterpret_cast<io_uring_cqe*>(cq + parameters.cq_off.cqes);
  }
  void AddRead(int file, uint64_t offset, void* out, unsigned size) {
    const unsigned tail = *sq_tail_;
    const unsigned slot = tail & sq_mask_;
    io_uring_sqe& entry = entries_[slot];
    std::memset(&entry, 0, sizeof(entry));
    entry.opcode = IORING_OP_READ;
    entry.fd = file;
    entry.off = offset;
    entry.addr = reinterpret_cast<uint64_t>(out);
    entry.len = size;
    sq_array_[slot] = slot;
    std::atomic_ref(*sq_tail_).store(tail + 1, std::memory_order_release);
  }
  void SubmitAndWait(unsigned count) {
    Check(syscall(__NR_io_uring_enter, fd_, count, count, IORING_ENTER_GETEVENTS, nullptr, 0) == count,
          "io_uring_enter");
    unsigned head = *cq_head_;
    for (unsigned i = 0; i < count; ++i, ++head) {
      while (head == std::atomic_ref(*cq_tail_).load(std::memory_order_acquire)) {
      }
      Check(results_[head & cq_mask_].res > 0, "read by io_uring");
    }
    std::atomic_ref(*cq_head_).store(head, std::memory_order_release);
  }

 private:
  int fd_ = -1;
  io_uring_sqe* entries_ = nullptr;
  unsigned *sq_tail_ = nullptr, *sq_array_ = nullptr, *cq_head_ = nullptr, *cq_tail_ = nullptr;
  unsigned sq_mask_ = 0, cq_mask_ = 0;
  io_uring_cqe* results_ = nullptr;
};

double CpuSeconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

struct Figures {
  std::vector<double> wall_us;
  double cpu_us = 0;
  void Print(const char* name) {
    std::sort(wall_us.begin(), wall_us.end());
    std::printf("  %-22s p50 %8.1f  p99 %8.1f  CPU %6.1f\n", name, wall_us[wall_us.size() / 2],
                wall_us[wall_us.size() * 99 / 100], cpu_us / static_cast<double>(wall_us.size()));
  }
};

uint64_t checksum = 0;  // so that nothing is left out

uint64_t Touch(const uint8_t* row) {
  uint64_t sum = 0;
  for (size_t i = 0; i < kRowBytes; i += 64) {
    sum += row[i];
  }
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string path = std::string(argc > 1 ? argv[1] : ".") + "/row_reads.tmp";
  const size_t size = (argc > 2 ? std::stoul(argv[2]) : 2048) << 20;
  const size_t queries = argc > 3 ? std::stoul(argv[3]) : 600;
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  Check(file >= 0, path.c_str());
  unlink(path.c_str());
  std::mt19937_64 random(1);
  std::vector<uint64_t> block(1 << 17);
  for (size_t written = 0; written < size; written += block.size() * 8) {
    std::generate(block.begin(), block.end(), [&] { return random(); });
    Check(write(file, block.data(), block.size() * 8) == static_cast<ssize_t>(block.size() * 8), "write");
  }
  Check(fsync(file) == 0, "fsync");
  auto* const rows = static_cast<uint8_t*>(mmap(nullptr, size, PROT_READ, MAP_SHARED, file, 0));
  Check(rows != MAP_FAILED && madvise(rows, size, MADV_RANDOM) == 0, "mmap");
  posix_fadvise(file, 0, 0, POSIX_FADV_RANDOM);
  Ring ring(32);
  std::vector<uint8_t> buffers(kRows * kRowBytes);
  for (const bool warm : {false, true}) {
    Figures figures[3];
    if (warm) {
      for (size_t at = 0; at < size; at += kPage) {
        checksum += rows[at];
      }
    } else {
      // Pages that are mapped are not dropped.
      madvise(rows, size, MADV_DONTNEED);
      Check(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0, "fadvise");
    }
    for (size_t query = 0; query < queries * 3; ++query) {
      uint64_t offsets[kRows];
      for (uint64_t& offset : offsets) {
        offset = random() % (size / kRowBytes) * kRowBytes;
      }
      Figures& figure = figures[query % 3];
      const auto begin = std::chrono::steady_clock::now();
      const double cpu = CpuSeconds();
      if (query % 3 == 2) {
        for (size_t i = 0; i < kRows; ++i) {
          ring.AddRead(file, offsets[i], buffers.data() + i * kRowBytes, kRowBytes);
        }
        ring.SubmitAndWait(kRows);
        for (size_t i = 0; i < kRows; ++i) {
          checksum += Touch(buffers.data() + i * kRowBytes);
        }
      } else {
        if (query % 3 == 1) {
          for (const uint64_t offset : offsets) {
            const uint64_t first = offset / kPage * kPage;
            madvise(rows + first, offset + kRowBytes - first, MADV_WILLNEED);
          }
        }
        for (const uint64_t offset : offsets) {
          checksum += Touch(rows + offset);
        }
      }
      figure.cpu_us += (CpuSeconds() - cpu) * 1e6;
      figure.wall_us.push_back(
          std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
    }
    std::printf("%s, %zu rows of %zu bytes, of %zu MiB, us a query:\n", warm ? "warm" : "cold", kRows, kRowBytes,
                size >> 20);
    figures[0].Print("page faults");
    figures[1].Print("WILLNEED, then faults");
    figures[2].Print("io_uring, one batch");
  }
  std::printf("(%llu)\n", static_cast<unsigned long long>(checksum));
}
