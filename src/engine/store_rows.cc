// Rows by filter: counted, deleted, updated. What a filter means is settled before the entry is written, by rows named
// in it, so that a replay does the same whatever the clock says then.
#include "base/kill_point.h"
#include "engine/entry.h"
#include "engine/matching_rows.h"
#include "engine/store.h"

namespace longbow::engine {
namespace {

using storage::LogRecord;
using storage::RecordKind;

constexpr uint64_t kRowsPerUpdateMax = 1'000'000;  // written anew by one entry
constexpr size_t kKeysSizeMaxBytes = 256u << 20;   // ids that one entry names

Status TooManyIds(size_t size_bytes) {
  return ResourceExhausted("the ids of these rows take " + std::to_string(size_bytes) +
                           " bytes, one entry of the log " + std::to_string(kKeysSizeMaxBytes) +
                           " at most: narrow the filter");
}

Status CheckRowCount(uint64_t rows) {
  if (rows > kRowsPerUpdateMax) {
    return ResourceExhausted("the update concerns " + std::to_string(rows) + " rows, one takes at most " +
                             std::to_string(kRowsPerUpdateMax) + ": narrow the filter");
  }
  return {};
}

// The live rows with these ids, each once.
Result<MatchingRows> RowsWithIds(const Shard& shard, const std::string& name, const std::vector<std::string>& ids) {
  const std::shared_ptr<const View> view = shard.Pin();
  std::vector<RowKey> keys;
  keys.reserve(ids.size());
  for (const std::string& id : ids) {
    LB_ASSIGN(RowKey key, ParseKey(*view->schema, id));
    if (!shard.Locate(key).live) {
      return NotFound("id " + id + " not found in dataset " + name);
    }
    keys.push_back(std::move(key));
  }
  Shard::LocatedAll located = shard.LocateAll(keys);
  return MatchingRows{std::move(located.view), std::move(located.ordinals)};
}

Status CheckHaveVectors(const View& view, const std::vector<uint64_t>& ordinals) {
  if (view.schema->vector_column < 0) {
    return {};
  }
  for (const uint64_t ordinal : ordinals) {
    if (!view.Find(ordinal).segment->segment->searchable()) {
      return FailedPrecondition("row " + std::to_string(ordinal) +
                                " has no vector, since it was put before the dataset got a vector column: put it "
                                "again with one");
    }
  }
  return {};
}

}  // namespace

// Writers of the collection wait until the lock goes, and all that was proposed before is applied: what is read now is
// what the next entry will find.
Result<std::unique_lock<std::mutex>> Store::HoldWriters(Collection& collection, const std::string& name) {
  std::unique_lock order(collection.propose_mu);
  for (uint64_t left; (left = collection.entries_in_flight.load(std::memory_order_acquire)) != 0;) {
    collection.entries_in_flight.wait(left, std::memory_order_acquire);
  }
  if (collection.dropped) {
    return NotFound("dataset " + name + " not found");
  }
  LB_TRY(WriteHealth());
  return order;
}

Status Store::ProposeKeys(const std::shared_ptr<Collection>& collection, std::unique_lock<std::mutex>& order,
                          RecordKind kind, Slice body) {
  LogRecord record;
  record.kind = kind;
  record.shard = collection->shard.id();
  record.index = collection->last_index = collection->last_index.Next();
  record.body = {std::move(body)};
  return ProposeAndWait(std::move(record), {}, &order, collection);
}

Result<uint64_t> Store::Count(const std::string& name, const Predicate& filter,
                              const Cancellation* cancellation) const {
  LB_ASSIGN(const std::shared_ptr<Collection> collection, Find(name));
  return CountMatching(collection->shard, filter, cancellation);
}

Result<uint64_t> Store::DeleteWhere(const std::string& name, const Predicate& filter,
                                    const Cancellation* cancellation) {
  LB_ASSIGN(const std::shared_ptr<Collection> collection, Find(name));
  LB_TRY(WriteHealth());
  LB_ASSIGN(std::unique_lock<std::mutex> order, HoldWriters(*collection, name));
  LB_ASSIGN(const MatchingRows rows, FindMatching(collection->shard, filter, cancellation));
  if (rows.ordinals.empty()) {
    return 0;
  }
  Slice body = EncodeKeys(KeysOf(*rows.view, rows.ordinals));
  if (body.size() > kKeysSizeMaxBytes) {
    return TooManyIds(body.size());
  }
  LB_KILL_POINT("delete_where.begin");
  LB_TRY(ProposeKeys(collection, order, RecordKind::kDelete, std::move(body)));
  LB_KILL_POINT("delete_where.applied");
  metrics_.rows_deleted.Add(static_cast<double>(rows.ordinals.size()));
  return rows.ordinals.size();
}

Status Store::DeleteOrdinal(const std::string& name, uint64_t ordinal) {
  LB_ASSIGN(const std::shared_ptr<Collection> collection, Find(name));
  LB_TRY(WriteHealth());
  LB_ASSIGN(std::unique_lock<std::mutex> order, HoldWriters(*collection, name));
  const std::shared_ptr<const View> view = collection->shard.PinNow();
  if (ordinal >= view->end_ordinal) {
    return NotFound("vector id " + std::to_string(ordinal) + " not found in dataset " + name +
                    " (index len=" + std::to_string(view->end_ordinal) + ")");
  }
  if (!view->IsLive(ordinal)) {
    return {};
  }
  LB_TRY(ProposeKeys(collection, order, RecordKind::kDelete, EncodeKeys(KeysOf(*view, {ordinal}))));
  metrics_.rows_deleted.Add();
  return {};
}

// Room for the copies of so many rows, in memory and before the index.
Status Store::AdmitUpdate(const std::shared_ptr<Collection>& collection, uint64_t rows,
                          const Cancellation* cancellation, MemoryBudget::Grant* grant) {
  LB_TRY(CheckRowCount(rows));
  const std::shared_ptr<const View> view = collection->shard.Pin();
  const uint64_t row_bytes = view->size_bytes / std::max<uint64_t>(1, view->end_ordinal);
  LB_ASSIGN(*grant, budget_.Admit(rows * row_bytes / 2 * 3, cancellation));
  return indexer_->WaitForRoom(*collection, rows, TailRowsMax(*collection), cancellation);
}

Result<uint64_t> Store::Update(const std::string& name, const std::vector<std::string>& ids, const Predicate& filter,
                               const std::vector<PayloadColumn>& values, const Cancellation* cancellation) {
  LB_ASSIGN(const std::shared_ptr<Collection> collection, Find(name));
  LB_TRY(WriteHealth());
  if (collection->shard.Pin()->schema->id_column < 0) {
    return FailedPrecondition("dataset " + name +
                              " has no id column: its rows are known by their place, which an update would change");
  }
  const auto find = [&]() -> Result<MatchingRows> {
    return ids.empty() ? FindMatching(collection->shard, filter, cancellation)
                       : RowsWithIds(collection->shard, name, ids);
  };
  uint64_t about = ids.size();
  if (ids.empty()) {
    LB_ASSIGN(about, CountMatching(collection->shard, filter, cancellation));
  }
  MemoryBudget::Grant grant;
  LB_TRY(AdmitUpdate(collection, about, cancellation, &grant));
  LB_ASSIGN(std::unique_lock<std::mutex> order, HoldWriters(*collection, name));
  LB_ASSIGN(const MatchingRows rows, find());
  UpdateEntry entry;
  LB_ASSIGN(entry.values, PayloadRow(*rows.view->schema, values));
  const uint64_t count = rows.ordinals.size();
  if (count == 0) {
    return 0;
  }
  LB_TRY(CheckRowCount(count));
  LB_TRY(CheckHaveVectors(*rows.view, rows.ordinals));
  entry.keys = KeysOf(*rows.view, rows.ordinals);
  LB_ASSIGN(Slice body, EncodeUpdate(entry));
  if (body.size() > kKeysSizeMaxBytes) {
    return TooManyIds(body.size());
  }
  collection->rows_in_flight.fetch_add(count, std::memory_order_relaxed);
  LB_KILL_POINT("update.begin");
  const Status status = ProposeKeys(collection, order, RecordKind::kUpdate, std::move(body));
  LB_KILL_POINT("update.applied");
  collection->rows_in_flight.fetch_sub(count, std::memory_order_relaxed);
  LB_TRY(status);
  metrics_.rows_updated.Add(static_cast<double>(count));
  return count;
}

}  // namespace longbow::engine
