// One page of a search: which of the rows that were found are on it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "engine/page_cursor.h"
#include "engine/view.h"
#include "model/query.h"

namespace longbow::engine {

// A row by its distance; nearest first, then in the order of puts.
struct Found {
  double distance = 0;
  uint64_t ordinal = 0;

  friend bool operator<(const Found& a, const Found& b) {
    return a.distance < b.distance || (a.distance == b.distance && a.ordinal < b.ordinal);
  }
};

// Pages follow one another by distance and ordinal, so that what is put or deleted meanwhile does not move the rest: a
// row that comes in front of where the last page ended is on no page. A request without cursor is one page.
class SearchPage {
 public:
  // Errors as DecodePage; INVALID_ARGUMENT beyond the kSearchKMax nearest rows.
  static Result<SearchPage> Of(const View& view, ShardId shard, const SearchRequest& request);

  bool paged() const { return position_.has_value(); }
  // How many rows to look for: those of the pages so far, those of this one, and one that tells whether more are there.
  uint64_t wanted_rows(bool limited) const { return shown() + rows_ + (paged() || limited ? 1 : 0); }
  // Takes out what earlier pages had.
  void DropEarlier(std::vector<Found>* found) const;
  // Whether there are rows for the page, and one more.
  bool IsMoreThan(const std::vector<Found>& found) const { return found.size() > rows_; }
  // Leaves the page; the cursor of the next one, empty if there is none.
  std::string Cut(std::vector<Found>* found) const;

 private:
  uint64_t shown() const { return position_ ? position_->shown : 0; }

  uint64_t rows_ = 0;
  std::optional<PagePosition> position_;
};

}  // namespace longbow::engine
