#include "storage/mapped_file.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <limits>

#include "base/crc32c.h"
#include "base/kill_point.h"

namespace longbow::storage {
namespace {

constexpr char kMagic[8] = {'L', 'B', 'M', 'A', 'P', 'P', 'E', 'D'};
constexpr uint32_t kVersion = 1;
constexpr uint32_t kSectionsMax = 16;
// A process has some 65,000 mappings, and there are folders of 10,000 small collections: less than this is copied.
constexpr uint64_t kMappedBytesMin = 64 << 10;
constexpr size_t kFooterMaxBytes = size_t{64} << 20;  // checksums of 16 TiB

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t crc;  // of the whole header page, this field as 0
  uint64_t file_bytes;
  uint64_t footer_offset;
  uint32_t footer_bytes;
  uint32_t footer_crc;
  uint32_t kind;
  uint32_t sections;
  uint64_t rows;
  uint32_t shape[3];
  uint32_t group_bytes;
};
static_assert(sizeof(Header) == 72 && std::is_trivially_copyable_v<Header>);

// In the footer, once for each section; all checksums follow.
struct TableEntry {
  uint32_t section;
  uint32_t zero;
  uint64_t offset;
  uint64_t size_bytes;
};
static_assert(sizeof(TableEntry) == 24);

uint64_t RoundedUp(uint64_t size_bytes) { return (size_bytes + kMapAlignment - 1) / kMapAlignment * kMapAlignment; }
uint64_t GroupsOf(uint64_t size_bytes) {
  return size_bytes / kMappedGroupBytes + (size_bytes % kMappedGroupBytes != 0 ? 1 : 0);
}

std::string HeaderPage(Header header) {
  std::string page(kMapAlignment, '\0');
  header.crc = 0;
  std::memcpy(page.data(), &header, sizeof(header));
  header.crc = Crc32c(0, page.data(), page.size());
  std::memcpy(page.data(), &header, sizeof(header));
  return page;
}

std::string FooterOf(const MappedLayout& layout) {
  std::string footer;
  const auto add = [&](const void* data, size_t size) { footer.append(static_cast<const char*>(data), size); };
  for (const MappedLayout::Section& section : layout.sections) {
    const TableEntry entry{static_cast<uint32_t>(section.section), 0, section.offset, section.size_bytes};
    add(&entry, sizeof(entry));
  }
  for (const MappedLayout::Section& section : layout.sections) {
    add(section.checksums.data(), section.checksums.size() * sizeof(uint32_t));
  }
  return footer;
}

// Null if the footer makes no sense for a file whose sections end before `sections_end`.
std::unique_ptr<MappedLayout> ParseFooter(const std::string& footer, uint32_t sections, uint64_t sections_end) {
  auto layout = std::make_unique<MappedLayout>();
  if (footer.size() < sections * sizeof(TableEntry)) {
    return nullptr;
  }
  const char* checksums = footer.data() + sections * sizeof(TableEntry);
  const char* const end = footer.data() + footer.size();
  uint64_t expected_offset = kMapAlignment;
  for (uint32_t i = 0; i < sections; ++i) {
    TableEntry entry;
    std::memcpy(&entry, footer.data() + i * sizeof(entry), sizeof(entry));
    if (entry.offset != expected_offset || entry.offset > sections_end ||
        entry.size_bytes > sections_end - entry.offset ||
        GroupsOf(entry.size_bytes) * sizeof(uint32_t) > static_cast<size_t>(end - checksums)) {
      return nullptr;
    }
    expected_offset = RoundedUp(entry.offset + entry.size_bytes);
    std::vector<uint32_t> sums(GroupsOf(entry.size_bytes));
    if (!sums.empty()) {
      std::memcpy(sums.data(), checksums, sums.size() * sizeof(uint32_t));
    }
    checksums += sums.size() * sizeof(uint32_t);
    layout->sections.push_back(
        {static_cast<MappedSection>(entry.section), entry.offset, entry.size_bytes, std::move(sums)});
  }
  return checksums == end && expected_offset == sections_end ? std::move(layout) : nullptr;
}

}  // namespace

// ---- Writing -------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<MappedFileWriter>> MappedFileWriter::Create(FileSystem& fs, const std::string& path,
                                                                   const MappedContent& content) {
  LB_ASSIGN(std::unique_ptr<File> file, fs.Open(path, OpenMode::kCreate));
  LB_KILL_POINT("mapped.created");
  return std::unique_ptr<MappedFileWriter>(new MappedFileWriter(fs, std::move(file), content));
}

Status MappedFileWriter::BeginSection(MappedSection section) {
  LB_TRY(Flush());
  end_ = RoundedUp(end_);
  layout_.sections.push_back({section, end_, 0, {}});
  return {};
}

Status MappedFileWriter::Append(const void* data, size_t size_bytes) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  layout_.sections.back().size_bytes += size_bytes;
  while (size_bytes > 0) {
    const size_t count = std::min(size_bytes, kMappedGroupBytes - pending_.size());
    pending_.insert(pending_.end(), bytes, bytes + count);
    bytes += count;
    size_bytes -= count;
    if (pending_.size() == kMappedGroupBytes) {
      LB_TRY(Flush());
    }
  }
  return {};
}

Status MappedFileWriter::Flush() {
  if (pending_.empty()) {
    return {};
  }
  layout_.sections.back().checksums.push_back(Crc32c(0, pending_.data(), pending_.size()));
  LB_TRY(file_->WriteAt(end_, {Slice(pending_.data(), pending_.size(), nullptr)}));
  end_ += pending_.size();
  pending_.clear();
  return {};
}

Result<FileDigest> MappedFileWriter::Finish() {
  LB_TRY(Flush());
  const std::string footer = FooterOf(layout_);
  const uint64_t footer_offset = RoundedUp(end_);
  LB_TRY(file_->WriteAt(footer_offset, {Slice::Own(footer)}));
  LB_KILL_POINT("mapped.written");
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.version = kVersion;
  header.file_bytes = footer_offset + footer.size();
  header.footer_offset = footer_offset;
  header.footer_bytes = static_cast<uint32_t>(footer.size());
  header.footer_crc = Crc32c(0, footer.data(), footer.size());
  header.kind = static_cast<uint32_t>(content_.kind);
  header.sections = static_cast<uint32_t>(layout_.sections.size());
  header.rows = content_.rows;
  std::copy(content_.shape.begin(), content_.shape.end(), header.shape);
  header.group_bytes = kMappedGroupBytes;
  const std::string page = HeaderPage(header);
  LB_TRY(file_->WriteAt(0, {Slice::Own(page)}));
  LB_KILL_POINT("mapped.headed");
  LB_TRY(file_->Sync());
  LB_KILL_POINT("mapped.synced");
  const std::string parent = std::filesystem::path(file_->path()).parent_path().string();
  LB_TRY(fs_.SyncDirectory(parent.empty() ? "." : parent));
  return FileDigest{.size_bytes = header.file_bytes, .crc32c = Crc32c(0, page.data(), page.size())};
}

// ---- Reading -------------------------------------------------------------------------------------------------------

Status MappedFile::Damaged(const std::string& what, uint64_t offset) const {
  return DataLoss("'" + path_ + "' is damaged at offset " + std::to_string(offset) + ": " + what +
                  "; it is made again from the segment file");
}

Result<MappedFile> MappedFile::Open(FileSystem& fs, const std::string& path, const FileDigest& digest,
                                    const MappedContent& content) {
  MappedFile mapped(fs, path);
  LB_ASSIGN(const std::unique_ptr<File> file, fs.Open(path, OpenMode::kRead));
  LB_ASSIGN(const uint64_t size, file->Size());
  if (size != digest.size_bytes) {
    return mapped.Damaged(std::to_string(digest.size_bytes) + " bytes expected, the file has " + std::to_string(size),
                          std::min(size, digest.size_bytes));
  }
  std::string page(kMapAlignment, '\0');
  LB_ASSIGN(const size_t got, file->ReadAt(0, {reinterpret_cast<uint8_t*>(page.data()), page.size()}));
  Header header;
  std::memcpy(&header, page.data(), sizeof(header));
  if (got != page.size() || Crc32c(0, page.data(), page.size()) != digest.crc32c ||
      std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0) {
    return mapped.Damaged("its header is not the one that the manifest names", 0);
  }
  if (header.version > kVersion) {
    return FailedPrecondition("'" + path + "' has format " + std::to_string(header.version) +
                              " at offset 8, this program knows format " + std::to_string(kVersion) +
                              ": start the version that wrote it");
  }
  MappedContent found{static_cast<MappedKind>(header.kind), header.rows, {}};
  std::copy(std::begin(header.shape), std::end(header.shape), found.shape.begin());
  if (page != HeaderPage(header) || header.version != kVersion || header.file_bytes != size ||
      header.group_bytes != kMappedGroupBytes || header.sections > kSectionsMax ||
      header.footer_bytes > kFooterMaxBytes || header.footer_offset > size ||
      header.footer_bytes != size - header.footer_offset) {
    return mapped.Damaged("impossible header", 0);
  }
  if (found != content) {
    return mapped.Damaged("it belongs to other rows", 0);
  }
  std::string footer(header.footer_bytes, '\0');
  LB_ASSIGN(const size_t footer_got,
            file->ReadAt(header.footer_offset, {reinterpret_cast<uint8_t*>(footer.data()), footer.size()}));
  if (footer_got != footer.size() || Crc32c(0, footer.data(), footer.size()) != header.footer_crc) {
    return mapped.Damaged("wrong checksum of the footer", header.footer_offset);
  }
  const std::unique_ptr<MappedLayout> layout = ParseFooter(footer, header.sections, header.footer_offset);
  if (layout == nullptr) {
    return mapped.Damaged("impossible footer", header.footer_offset);
  }
  mapped.layout_ = std::move(*layout);
  return mapped;
}

const MappedLayout::Section* MappedFile::Find(MappedSection section) const {
  for (const MappedLayout::Section& entry : layout_.sections) {
    if (entry.section == section) {
      return &entry;
    }
  }
  return nullptr;
}

uint64_t MappedFile::SizeOf(MappedSection section) const {
  const MappedLayout::Section* const entry = Find(section);
  return entry == nullptr ? 0 : entry->size_bytes;
}

Status MappedFile::CheckSize(MappedSection section, uint64_t size_bytes) const {
  const MappedLayout::Section* const entry = Find(section);
  const uint64_t found = entry == nullptr ? 0 : entry->size_bytes;
  return entry != nullptr && found == size_bytes
             ? Status()
             : Damaged("section " + std::to_string(static_cast<uint32_t>(section)) + " has " + std::to_string(found) +
                           " bytes, expected " + std::to_string(size_bytes),
                       entry == nullptr ? 0 : entry->offset);
}

Status MappedFile::ReadInto(File& file, const MappedLayout::Section& section, void* out) const {
  LB_ASSIGN(const size_t got, file.ReadAt(section.offset, {static_cast<uint8_t*>(out), section.size_bytes}));
  return got == section.size_bytes ? Status() : Damaged("cut short", section.offset + got);
}

Result<Slice> MappedFile::Map(MappedSection section) const {
  const MappedLayout::Section* const entry = Find(section);
  if (entry == nullptr) {
    return Damaged("section " + std::to_string(static_cast<uint32_t>(section)) + " is missing", 0);
  }
  LB_ASSIGN(const std::unique_ptr<File> file, fs_->Open(path_, OpenMode::kRead));
  if (entry->size_bytes < kMappedBytesMin) {
    std::string bytes(entry->size_bytes, '\0');
    LB_TRY(ReadInto(*file, *entry, bytes.data()));
    return Slice::Own(std::move(bytes));
  }
  return file->Map(entry->offset, entry->size_bytes);
}

Status MappedFile::MapOver(MappedSection section, void* address) const {
  const MappedLayout::Section* const entry = Find(section);
  if (entry == nullptr) {
    return Damaged("section " + std::to_string(static_cast<uint32_t>(section)) + " is missing", 0);
  }
  LB_ASSIGN(const std::unique_ptr<File> file, fs_->Open(path_, OpenMode::kRead));
  return entry->size_bytes < kMappedBytesMin ? ReadInto(*file, *entry, address)
                                             : file->MapOver(address, entry->offset, entry->size_bytes);
}

Status MappedFile::CheckMapped(MappedSection section, const Slice& bytes) const {
  const MappedLayout::Section* const entry = Find(section);
  LB_TRY(CheckSize(section, bytes.size()));
  for (size_t group = 0; group < entry->checksums.size(); ++group) {
    const size_t begin = group * kMappedGroupBytes;
    const size_t size = std::min(kMappedGroupBytes, bytes.size() - begin);
    if (Crc32c(0, bytes.data() + begin, size) != entry->checksums[group]) {
      return Damaged("wrong checksum of " + std::to_string(size) + " bytes", entry->offset + begin);
    }
  }
  return {};
}

Result<std::vector<MappedFile::Damage>> MappedFile::Verify(const std::function<bool()>& keep_on) const {
  LB_ASSIGN(const std::unique_ptr<File> file, fs_->Open(path_, OpenMode::kRead));
  std::vector<Damage> damages;
  std::vector<uint8_t> bytes(kMappedGroupBytes);
  for (const MappedLayout::Section& entry : layout_.sections) {
    for (size_t group = 0; group < entry.checksums.size(); ++group) {
      if (!keep_on()) {
        return Cancelled("verification was interrupted");
      }
      const uint64_t begin = group * kMappedGroupBytes;
      const auto size = static_cast<size_t>(std::min<uint64_t>(kMappedGroupBytes, entry.size_bytes - begin));
      const Result<size_t> got = file->ReadAt(entry.offset + begin, {bytes.data(), size});
      if (!got.ok() || *got != size || Crc32c(0, bytes.data(), size) != entry.checksums[group]) {
        damages.push_back({entry.section, begin, size});
      }
    }
  }
  return damages;
}

}  // namespace longbow::storage
