// Reads edges: the input as it is, or as a body and counts behind a right header. What is taken is written and read
// again, the same.
#include <cstring>
#include <string>

#include "base/check.h"
#include "base/crc32c.h"
#include "graph/edge_image.h"

namespace {

template <typename Number>
void Put(std::string& out, Number number) {
  out.append(reinterpret_cast<const char*>(&number), sizeof(number));
}

std::string WithHeader(std::string_view counts, std::string_view body) {
  std::string image = "LNBWEDGE";
  Put(image, uint32_t{1});
  Put(image, uint32_t{0});
  for (const char count : counts) {
    Put(image, static_cast<uint64_t>(static_cast<uint8_t>(count)));
  }
  Put(image, uint64_t{body.size()});
  image.resize(60, '\0');
  Put(image, longbow::Crc32c(0, image.data(), image.size()));
  image.append(body);
  Put(image, longbow::Crc32c(0, body.data(), body.size()));
  return image;
}

std::string Written(const longbow::graph::EdgeGraph& graph) {
  std::string image;
  LB_CHECK(longbow::graph::WriteImage(graph, 0, [&](std::string_view piece) {
             image.append(piece);
             return longbow::Status();
           }).ok());
  return image;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longbow;
  if (size < 4) {
    return 0;
  }
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string image =
      data[0] == '0' ? std::string(input.substr(1)) : WithHeader(input.substr(1, 3), input.substr(4));
  const auto read = graph::ReadImage(image);
  if (read.ok()) {
    const std::string first = Written(**read);
    const auto again = graph::ReadImage(first);
    LB_CHECK(again.ok());
    LB_CHECK(Written(**again) == first);
  }
  return 0;
}
