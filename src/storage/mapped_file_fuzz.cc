// Opens a mapped file: the input as it is, or as a header, a footer and sections whose checksums are right however
// impossible the rest is. What is taken is read by every way there is.
#include <algorithm>
#include <cstring>
#include <string>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/memory_file_system.h"
#include "storage/mapped_file.h"

namespace {

using namespace longbow;
using namespace longbow::storage;

// Places in the header page, docs/formats/mapped.md.
constexpr size_t kCrcAt = 12;
constexpr size_t kFileBytesAt = 16;
constexpr size_t kFooterOffsetAt = 24;
constexpr size_t kFooterBytesAt = 32;
constexpr size_t kFooterCrcAt = 36;
constexpr size_t kKindAt = 40;
constexpr size_t kSectionsAt = 44;
constexpr size_t kRowsAt = 48;
constexpr size_t kShapeAt = 56;
constexpr size_t kHeaderBytes = 72;
constexpr size_t kEntryBytes = 24;
constexpr char kPath[] = "/data/x.mapped";

template <typename T>
T At(const std::string& bytes, size_t at) {
  T value{};
  if (at < bytes.size()) {
    std::memcpy(&value, bytes.data() + at, std::min(sizeof(T), bytes.size() - at));
  }
  return value;
}

template <typename T>
void Put(std::string& bytes, size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof(T));
}

// The table's checksums as they would be if its sections were what stands at their places.
void SumSections(uint32_t sections, const std::string& file, std::string& footer) {
  size_t sum_at = sections * kEntryBytes;
  for (uint32_t i = 0; i < sections && (i + 1) * kEntryBytes <= footer.size(); ++i) {
    const auto offset = At<uint64_t>(footer, i * kEntryBytes + 8);
    const auto size = At<uint64_t>(footer, i * kEntryBytes + 16);
    if (offset > file.size() || size > file.size() - offset) {
      return;
    }
    for (uint64_t begin = 0; begin < size && sum_at + 4 <= footer.size(); begin += kMappedGroupBytes, sum_at += 4) {
      Put(footer, sum_at, Crc32c(0, file.data() + offset + begin, std::min<uint64_t>(kMappedGroupBytes, size - begin)));
    }
  }
}

// shape: what of it tells the truth. Header fields | footer bytes u8 | footer | sections.
std::string Assembled(uint8_t shape, const std::string& input) {
  std::string page(kMapAlignment, '\0');
  input.copy(page.data(), kHeaderBytes);
  const std::string rest = input.substr(std::min(input.size(), kHeaderBytes));
  const size_t footer_bytes = At<uint8_t>(rest, 0);
  std::string footer = rest.substr(std::min<size_t>(1, rest.size()), footer_bytes);
  std::string file = page + rest.substr(std::min(rest.size(), 1 + footer.size()));
  file.resize((file.size() + kMapAlignment - 1) / kMapAlignment * kMapAlignment);
  if ((shape & 2) != 0) {
    SumSections(At<uint32_t>(page, kSectionsAt), file, footer);
  }
  if ((shape & 4) != 0) {
    Put<uint64_t>(page, kFooterOffsetAt, file.size());
    Put<uint32_t>(page, kFooterBytesAt, static_cast<uint32_t>(footer.size()));
    Put<uint64_t>(page, kFileBytesAt, file.size() + footer.size());
  }
  Put<uint32_t>(page, kFooterCrcAt, Crc32c(0, footer.data(), footer.size()));
  Put<uint32_t>(page, kCrcAt, 0);
  Put<uint32_t>(page, kCrcAt, Crc32c(0, page.data(), page.size()));
  return page + file.substr(kMapAlignment) + footer;
}

void ReadAll(const MappedFile& file) {
  const auto damages = file.Verify([] { return true; });
  LB_CHECK(damages.ok());
  for (const MappedSection section :
       {MappedSection::kRows, MappedSection::kInverseNorms, MappedSection::kColumns, MappedSection::kOrdinals}) {
    const uint64_t size = file.SizeOf(section);
    const auto bytes = file.Map(section);
    LB_CHECK(bytes.ok() == file.CheckSize(section, size).ok());  // one of no bytes may be there, or not
    if (!bytes.ok()) {
      continue;
    }
    LB_CHECK(bytes->size() == size);
    std::string over(size, 'x');
    LB_CHECK(file.MapOver(section, over.data()).ok() && over == bytes->view());
    const bool is_damaged = std::any_of(damages->begin(), damages->end(),
                                        [&](const MappedFile::Damage& damage) { return damage.section == section; });
    LB_CHECK(file.CheckMapped(section, *bytes).ok() || is_damaged);
    LB_CHECK(size == 0 || !file.CheckMapped(section, bytes->Sub(0, size - 1)).ok());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string content = (data[0] & 1) != 0 ? input : Assembled(data[0], input);
  MemoryFileSystem fs;
  LB_CHECK(fs.CreateDirectories("/data").ok());
  LB_CHECK(WriteWholeFile(fs, kPath, content).ok());
  std::string page = content.substr(0, kMapAlignment);
  page.resize(kMapAlignment);
  const FileDigest digest{content.size(), Crc32c(0, page.data(), page.size())};
  MappedContent expected{
      .kind = static_cast<MappedKind>(At<uint32_t>(page, kKindAt)), .rows = At<uint64_t>(page, kRowsAt), .shape = {}};
  std::memcpy(expected.shape.data(), page.data() + kShapeAt, sizeof(expected.shape));
  if (const auto file = MappedFile::Open(fs, kPath, digest, expected); file.ok()) {
    ReadAll(*file);
    ++expected.rows;
    LB_CHECK(!MappedFile::Open(fs, kPath, digest, expected).ok());
    LB_CHECK(!MappedFile::Open(fs, kPath, {digest.size_bytes, ~digest.crc32c}, expected).ok());
  }
  return 0;
}
