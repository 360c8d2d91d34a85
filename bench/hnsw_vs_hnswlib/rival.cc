#include "rival.h"

#include <hnswlib/hnswlib.h>

#include <memory>

struct Rival {
  std::unique_ptr<hnswlib::SpaceInterface<float>> space;
  std::unique_ptr<hnswlib::HierarchicalNSW<float>> graph;
};

Rival* RivalCreate(size_t dimension, size_t rows, size_t m, size_t ef_construction, bool inner_product) {
  auto rival = std::make_unique<Rival>();
  if (inner_product) {
    rival->space = std::make_unique<hnswlib::InnerProductSpace>(dimension);
  } else {
    rival->space = std::make_unique<hnswlib::L2Space>(dimension);
  }
  rival->graph = std::make_unique<hnswlib::HierarchicalNSW<float>>(rival->space.get(), rows, m, ef_construction);
  return rival.release();
}

void RivalFree(Rival* rival) { std::unique_ptr<Rival> owned(rival); }

void RivalInsert(Rival* rival, const float* row, size_t id) { rival->graph->addPoint(row, id); }

size_t RivalSearch(Rival* rival, const float* query, size_t k, size_t ef, uint32_t* ids) {
  rival->graph->setEf(ef);
  auto farthest_first = rival->graph->searchKnn(query, k);
  const size_t n = farthest_first.size();
  for (size_t i = n; i-- > 0; farthest_first.pop()) {
    ids[i] = static_cast<uint32_t>(farthest_first.top().second);
  }
  return n;
}
