#include "engine/search_page.h"

#include "base/limits.h"

namespace longbow::engine {

Result<SearchPage> SearchPage::Of(const View& view, ShardId shard, const SearchRequest& request) {
  SearchPage page;
  page.rows_ = static_cast<uint64_t>(request.k);
  if (!request.cursor) {
    return page;
  }
  PagePosition first;
  first.kind = PageKind::kSearch;
  first.shard = shard;
  first.schema_version = view.schema->version;
  first.request = FingerprintOf(request);
  if (!request.cursor->empty()) {
    LB_ASSIGN(first, DecodePage(*request.cursor, first));
  }
  if (first.shown + page.rows_ > limits::kSearchKMax) {
    return InvalidArgument("cursor: the pages of a search end after " + std::to_string(limits::kSearchKMax) +
                           " rows: narrow the filter, or scan");
  }
  page.position_ = first;
  return page;
}

void SearchPage::DropEarlier(std::vector<Found>* found) const {
  if (position_ && position_->shown > 0) {
    const Found last{position_->distance, position_->ordinal};
    std::erase_if(*found, [&](const Found& row) { return !(last < row); });
  }
}

std::string SearchPage::Cut(std::vector<Found>* found) const {
  const bool more = IsMoreThan(*found);
  if (more) {
    found->resize(rows_);
  }
  if (!more || !position_) {
    return {};
  }
  PagePosition next = *position_;
  next.distance = found->back().distance;
  next.ordinal = found->back().ordinal;
  next.shown += static_cast<uint32_t>(rows_);
  return EncodePage(next);
}

}  // namespace longbow::engine
