#include "graph/edge_image.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "base/crc32c.h"
#include "base/limits.h"

namespace longbow::graph {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie in memory");

constexpr char kMagic[] = "LNBWEDGE";
constexpr size_t kMagicBytes = 8;
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderBytes = 64;
constexpr size_t kHeaderCrcAt = 60;
constexpr size_t kEdgeBytes = 16;
constexpr size_t kPieceBytes = size_t{1} << 20;

struct Counts {
  uint64_t predicates = 0;
  uint64_t nodes = 0;
  uint64_t edges = 0;
  uint64_t body_bytes = 0;
};

template <typename Number>
void Put(std::string& out, Number number) {
  char bytes[sizeof(Number)];
  std::memcpy(bytes, &number, sizeof(Number));
  out.append(bytes, sizeof(Number));
}

void PutText(std::string& out, std::string_view text) {
  Put(out, static_cast<uint32_t>(text.size()));
  out.append(text);
}

size_t KeyBytes(const RowKey& key) {
  const auto* text = std::get_if<std::string>(&key);
  return 1 + (text == nullptr ? sizeof(uint64_t) : sizeof(uint32_t) + text->size());
}

std::string EncodeHeader(const Counts& counts) {
  std::string header(kMagic, kMagicBytes);
  Put(header, kVersion);
  Put(header, uint32_t{0});
  Put(header, counts.predicates);
  Put(header, counts.nodes);
  Put(header, counts.edges);
  Put(header, counts.body_bytes);
  header.resize(kHeaderCrcAt, '\0');
  Put(header, Crc32c(0, header.data(), header.size()));
  return header;
}

// What is visible, numbered anew without holes.
class Numbering {
 public:
  Numbering(const EdgeGraph& graph, uint64_t version)
      : nodes_(graph.nodes_end(), kNone), predicates_(graph.predicates_end(), kNone) {
    const uint32_t end = graph.edges_end();
    for (uint32_t e = 0; e < end; ++e) {
      const EdgeGraph::Record& edge = graph.RecordOf(e);
      if (edge.VisibleAt(version)) {
        edges.push_back(e);
        Number(&nodes_[edge.subject], edge.subject, &nodes);
        Number(&nodes_[edge.object], edge.object, &nodes);
        Number(&predicates_[edge.predicate], edge.predicate, &predicates);
      }
    }
  }
  uint32_t NodeOf(uint32_t node) const { return nodes_[node]; }
  uint32_t PredicateOf(uint32_t predicate) const { return predicates_[predicate]; }

  std::vector<uint32_t> edges;
  std::vector<uint32_t> nodes;
  std::vector<uint32_t> predicates;

 private:
  static void Number(uint32_t* number, uint32_t thing, std::vector<uint32_t>* list) {
    if (*number == kNone) {
      *number = static_cast<uint32_t>(list->size());
      list->push_back(thing);
    }
  }
  std::vector<uint32_t> nodes_;
  std::vector<uint32_t> predicates_;
};

// Gathers what is written into pieces and their checksum.
class Pieces {
 public:
  explicit Pieces(const std::function<Status(std::string_view)>& sink) : sink_(sink) {}

  std::string& buffer() { return buffer_; }
  Status FlushIfLarge() { return buffer_.size() < kPieceBytes ? Status() : Flush(); }
  Status Flush() {
    crc_ = Crc32c(crc_, buffer_.data(), buffer_.size());
    LB_TRY(sink_(buffer_));
    buffer_.clear();
    return {};
  }
  uint32_t crc() const { return crc_; }

 private:
  const std::function<Status(std::string_view)>& sink_;
  std::string buffer_;
  uint32_t crc_ = 0;
};

Status Damaged(size_t offset, const std::string& reason) {
  return DataLoss("damaged at offset " + std::to_string(offset) + ": " + reason);
}

Result<Counts> DecodeHeader(std::string_view image) {
  if (image.size() < kHeaderBytes + sizeof(uint32_t)) {
    return Damaged(0, "it has " + std::to_string(image.size()) + " bytes, less than a header");
  }
  const auto number = [&](size_t offset, auto* value) { std::memcpy(value, image.data() + offset, sizeof(*value)); };
  uint32_t crc = 0;
  number(kHeaderCrcAt, &crc);
  if (image.substr(0, kMagicBytes) != std::string_view(kMagic, kMagicBytes) ||
      crc != Crc32c(0, image.data(), kHeaderCrcAt)) {
    return Damaged(0, "the header's checksum does not fit");
  }
  uint32_t version = 0;
  number(8, &version);
  if (version != kVersion) {
    return FailedPrecondition("format " + std::to_string(version) + ", this program knows format " +
                              std::to_string(kVersion) + ": start the version that wrote it");
  }
  Counts counts;
  number(16, &counts.predicates);
  number(24, &counts.nodes);
  number(32, &counts.edges);
  number(40, &counts.body_bytes);
  if (EncodeHeader(counts) != image.substr(0, kHeaderBytes)) {
    return Damaged(12, "bytes that must be zero are not");
  }
  if (counts.body_bytes != image.size() - kHeaderBytes - sizeof(uint32_t)) {
    return Damaged(
        40, "the body has " + std::to_string(counts.body_bytes) + " bytes, the file " + std::to_string(image.size()));
  }
  number(image.size() - sizeof(uint32_t), &crc);
  if (crc != Crc32c(0, image.data() + kHeaderBytes, counts.body_bytes)) {
    return Damaged(kHeaderBytes, "the body's checksum does not fit");
  }
  return counts;
}

// Reads a body; nothing that a count says is believed before there are bytes for it.
class BodyReader {
 public:
  BodyReader(std::string_view body, const Counts& counts) : rest_(body), size_(body.size()), counts_(counts) {}

  Result<std::shared_ptr<EdgeGraph>> Run() {
    for (uint64_t i = 0; i < counts_.predicates; ++i) {
      std::string_view name;
      if (!Text(&name) || name.empty() || name.size() > limits::kNameSizeMaxBytes) {
        return Wrong("predicate " + std::to_string(i) + " is cut off, empty or too long");
      }
      predicates_.emplace_back(name);
    }
    for (uint64_t i = 0; i < counts_.nodes; ++i) {
      RowKey key;
      if (!Key(&key)) {
        return Wrong("node " + std::to_string(i) + " is cut off or of an unknown kind");
      }
      nodes_.push_back(std::move(key));
    }
    if (rest_.size() % kEdgeBytes != 0 || rest_.size() / kEdgeBytes != counts_.edges) {
      return Wrong("there are " + std::to_string(rest_.size()) + " bytes for " + std::to_string(counts_.edges) +
                   " edges");
    }
    auto graph = std::make_shared<EdgeGraph>();
    for (uint64_t i = 0; i < counts_.edges; ++i) {
      LB_TRY(TakeEdge(i, graph.get()));
    }
    if (graph->nodes_end() != nodes_.size() || graph->predicates_end() != predicates_.size()) {
      return Wrong("a node or a predicate stands twice, or has no edge");
    }
    return graph;
  }

 private:
  Status TakeEdge(uint64_t i, EdgeGraph* graph) {
    uint32_t subject = 0;
    uint32_t predicate = 0;
    uint32_t object = 0;
    float weight = 0;
    if (!Number(&subject) || !Number(&predicate) || !Number(&object) || !Number(&weight) || subject >= nodes_.size() ||
        object >= nodes_.size() || predicate >= predicates_.size() || !std::isfinite(weight)) {
      return Wrong("edge " + std::to_string(i) + " names what is not there, or its weight is no number");
    }
    graph->Add({nodes_[subject], predicates_[predicate], nodes_[object], weight}, 0);
    return graph->live_edges() == i + 1 ? Status() : Wrong("edge " + std::to_string(i) + " stands twice");
  }

  template <typename Value>
  bool Number(Value* value) {
    if (rest_.size() < sizeof(Value)) {
      return false;
    }
    std::memcpy(value, rest_.data(), sizeof(Value));
    rest_.remove_prefix(sizeof(Value));
    return true;
  }
  bool Text(std::string_view* text) {
    uint32_t size = 0;
    if (!Number(&size) || size > rest_.size()) {
      return false;
    }
    *text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }
  bool Key(RowKey* key) {
    uint8_t kind = 0;
    uint64_t number = 0;
    std::string_view text;
    if (!Number(&kind) || kind > 1) {
      return false;
    }
    if (kind == 0) {
      const bool read = Number(&number);
      *key = number;
      return read;
    }
    const bool read = Text(&text);
    *key = std::string(text);
    return read;
  }
  Status Wrong(const std::string& reason) const { return Damaged(kHeaderBytes + size_ - rest_.size(), reason); }

  std::string_view rest_;
  const size_t size_;
  const Counts& counts_;
  std::vector<std::string> predicates_;
  std::vector<RowKey> nodes_;
};

}  // namespace

Status WriteImage(const EdgeGraph& graph, uint64_t version, const std::function<Status(std::string_view)>& sink) {
  const Numbering visible(graph, version);
  Counts counts{visible.predicates.size(), visible.nodes.size(), visible.edges.size(),
                visible.edges.size() * kEdgeBytes};
  for (const uint32_t predicate : visible.predicates) {
    counts.body_bytes += sizeof(uint32_t) + graph.PredicateOf(predicate).size();
  }
  for (const uint32_t node : visible.nodes) {
    counts.body_bytes += KeyBytes(graph.KeyOf(node));
  }
  LB_TRY(sink(EncodeHeader(counts)));
  Pieces pieces(sink);
  for (const uint32_t predicate : visible.predicates) {
    PutText(pieces.buffer(), graph.PredicateOf(predicate));
    LB_TRY(pieces.FlushIfLarge());
  }
  for (const uint32_t node : visible.nodes) {
    const RowKey& key = graph.KeyOf(node);
    Put(pieces.buffer(), static_cast<uint8_t>(key.index()));
    if (const auto* number = std::get_if<uint64_t>(&key)) {
      Put(pieces.buffer(), *number);
    } else {
      PutText(pieces.buffer(), std::get<std::string>(key));
    }
    LB_TRY(pieces.FlushIfLarge());
  }
  for (const uint32_t e : visible.edges) {
    const EdgeGraph::Record& edge = graph.RecordOf(e);
    Put(pieces.buffer(), visible.NodeOf(edge.subject));
    Put(pieces.buffer(), visible.PredicateOf(edge.predicate));
    Put(pieces.buffer(), visible.NodeOf(edge.object));
    Put(pieces.buffer(), edge.weight);
    LB_TRY(pieces.FlushIfLarge());
  }
  LB_TRY(pieces.Flush());
  std::string trailer;
  Put(trailer, pieces.crc());
  return sink(trailer);
}

Result<std::shared_ptr<EdgeGraph>> ReadImage(std::string_view image) {
  LB_ASSIGN(const Counts counts, DecodeHeader(image));
  return BodyReader(image.substr(kHeaderBytes, counts.body_bytes), counts).Run();
}

}  // namespace longbow::graph
