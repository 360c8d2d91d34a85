// Opens images of small graphs that the input changed, with the checksums that the changed bytes should have, and
// searches what was taken. The input is a list of changes, so that it stays useful when the format changes.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <random>
#include <set>
#include <string>

#include "base/check.h"
#include "base/crc32c.h"
#include "index/lean_graph.h"
#include "index/sealed_graph.h"
#include "kernels/dispatch.h"

namespace {

using namespace longbow;
using namespace longbow::index;

constexpr LocalId kRows = 40;
constexpr size_t kHeaderBytes = 64;
constexpr size_t kEntryBytes = 24;
constexpr size_t kGroupBytes = size_t{4} << 20;

// An image, the rows that it is of, and questions.
struct Subject {
  std::shared_ptr<VectorRows> rows;
  bool lean = false;
  std::string image;
  std::vector<std::vector<float>> queries;
};

std::string Join(const Slices& pieces) {
  std::string bytes;
  for (const Slice& piece : pieces) {
    bytes += piece.view();
  }
  return bytes;
}

Subject Make(uint32_t dimension, Metric metric, bool lean, const SealOptions& options) {
  Subject subject{.lean = lean};
  subject.rows = VectorRows::Create(dimension, kRows, metric, *kernels::KernelsFromEnvironment().value()).value();
  std::mt19937_64 random(dimension);
  std::normal_distribution<float> normal(0, 1);
  std::vector<float> values(dimension);
  for (LocalId id = 0; id < kRows + 2; ++id) {
    std::generate(values.begin(), values.end(), [&] { return normal(random); });
    if (id < kRows) {
      std::copy(values.begin(), values.end(), subject.rows->MutableRow(id));
    } else {
      subject.queries.push_back(values);
    }
  }
  subject.rows->FinishRows(0, kRows);
  const auto active = ActiveGraph::Create(subject.rows, kRows, {}).value();
  for (LocalId id = 0; id < kRows; ++id) {
    active->Insert(id);
  }
  subject.image = lean ? Join(LeanGraph::Build(*active, options).value()->Image())
                       : Join(SealedGraph::Build(*active, options).value()->Image());
  return subject;
}

const std::vector<Subject>& Subjects() {
  static const std::vector<Subject> subjects = [] {
    std::vector<Subject> made;
    made.push_back(Make(20, Metric::kL2, false, {}));
    made.push_back(Make(48, Metric::kCosine, false, {.kept_variance = 0.3f, .code_ratio_max = 0.67f}));
    made.push_back(Make(20, Metric::kL2, true, {}));
    made.push_back(Make(20, Metric::kInnerProduct, true, {}));
    return made;
  }();
  return subjects;
}

template <typename T>
T At(const std::string& bytes, size_t at) {
  T value{};
  if (at < bytes.size()) {
    std::memcpy(&value, bytes.data() + at, std::min(sizeof(T), bytes.size() - at));
  }
  return value;
}

// As if the image had been written so: docs/formats/graph.md.
void SumUp(std::string& image) {
  const auto header_bytes = At<uint64_t>(image, 24);
  const auto sections = At<uint32_t>(image, 36);
  if (header_bytes > image.size() || header_bytes < kHeaderBytes || sections > header_bytes / kEntryBytes) {
    return;
  }
  size_t sum_at = kHeaderBytes + sections * kEntryBytes;
  for (uint32_t i = 0; i < sections; ++i) {
    const auto offset = At<uint64_t>(image, kHeaderBytes + i * kEntryBytes + 8);
    const auto size = At<uint64_t>(image, kHeaderBytes + i * kEntryBytes + 16);
    if (offset > image.size() || size > image.size() - offset || sum_at + 4 > header_bytes) {
      break;
    }
    if (const size_t end = std::min<size_t>(offset + (size + 63) / 64 * 64, image.size()); end > offset) {
      LB_CHECK(end - offset <= kGroupBytes);
      const uint32_t crc = Crc32c(0, image.data() + offset, end - offset);
      std::memcpy(image.data() + sum_at, &crc, sizeof(crc));
      sum_at += sizeof(crc);
    }
  }
  std::memset(image.data() + 12, 0, 4);
  const uint32_t crc = Crc32c(0, image.data(), header_bytes);
  std::memcpy(image.data() + 12, &crc, sizeof(crc));
}

// Changes: place u16 | bytes u8 | what stands there instead. A place behind the end cuts or lengthens it.
void Change(const std::string& changes, std::string& image) {
  for (size_t at = 0; at < changes.size();) {
    const size_t place = At<uint16_t>(changes, at);
    const size_t size =
        std::min<size_t>(At<uint8_t>(changes, at + 2), changes.size() - std::min(changes.size(), at + 3));
    if (place + size <= image.size()) {
      std::copy_n(changes.data() + std::min(changes.size(), at + 3), size, image.data() + place);
    } else {
      image.resize(std::min(place, image.size() + 256));
    }
    at += 3 + size;
  }
}

void SearchAll(const VectorIndex& graph, const Subject& subject) {
  for (const std::vector<float>& query : subject.queries) {
    for (const bool exact : {true, false}) {
      const auto found = graph.Search(
          query.data(), {.k = 10, .ef = 20, .filter = {.begin = 1, .end = kRows}, .exact_distances = exact});
      LB_CHECK(found.ok() && found->size() <= 10);
      std::set<LocalId> ids;
      for (const Neighbor& neighbor : *found) {
        LB_CHECK(neighbor.id >= 1 && neighbor.id < kRows && ids.insert(neighbor.id).second);
        LB_CHECK(!std::isnan(neighbor.distance));
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) {
    return 0;
  }
  const Subject& subject = Subjects()[data[0] % Subjects().size()];
  std::string image = subject.image;
  Change(std::string(reinterpret_cast<const char*>(data) + 2, size - 2), image);
  if ((data[1] & 1) == 0) {
    SumUp(image);
  }
  const bool as_lean = subject.lean != ((data[1] & 2) != 0);
  if (as_lean) {
    if (const auto graph = LeanGraph::Open(Slice::Own(std::move(image)), subject.rows); graph.ok()) {
      SearchAll(**graph, subject);
    }
  } else if (const auto graph = SealedGraph::Open(Slice::Own(std::move(image)), subject.rows); graph.ok()) {
    SearchAll(**graph, subject);
  }
  return 0;
}
