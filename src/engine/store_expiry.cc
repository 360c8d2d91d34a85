// What a store does about rows that end: their time to live, and the entries that delete them.
#include <future>

#include "base/kill_point.h"
#include "engine/entry.h"
#include "engine/store.h"

namespace longbow::engine {

using storage::LogRecord;
using storage::RecordKind;

Status Store::SetTtl(const std::string& name, int64_t ttl_seconds, const std::optional<std::string>& column) {
  LB_ASSIGN(const std::shared_ptr<Collection> collection, Find(name));
  LB_TRY(WriteHealth());
  std::unique_lock order(collection->propose_mu);
  if (collection->dropped) {
    return NotFound("dataset " + name + " not found");
  }
  LB_ASSIGN(CollectionSchema changed, collection->proposed_schema.WithTtl(ttl_seconds, column));
  LogRecord record;
  record.kind = RecordKind::kSetSchema;
  record.shard = collection->shard.id();
  LB_ASSIGN(Slice body, EncodeSetSchema(*changed.columns));
  record.index = collection->last_index = collection->last_index.Next();
  record.body = {std::move(body)};
  collection->proposed_schema = std::move(changed);
  auto answer = std::make_shared<std::promise<Status>>();
  Propose(std::move(record), {}, collection, [answer](Status status) { answer->set_value(std::move(status)); });
  order.unlock();
  return answer->get_future().get();
}

Status Store::ExpireRows() {
  std::lock_guard one_at_a_time(expiry_mu_);
  const int64_t now_ns = environment_.clock.WallNowNs();
  for (const auto& collection : List()) {
    const std::shared_ptr<const View> view = collection->shard.Pin();
    if (view->next_expiry_ns > now_ns || !WriteHealth().ok()) {
      continue;
    }
    std::unique_lock order(collection->propose_mu);
    if (collection->dropped) {
      continue;
    }
    LogRecord record;
    record.kind = RecordKind::kExpire;
    record.shard = collection->shard.id();
    record.index = collection->last_index = collection->last_index.Next();
    record.body = {EncodeExpire(now_ns)};
    LB_KILL_POINT("expiry.begin");
    LB_TRY(ProposeAndWait(std::move(record), {}, &order, collection));
    LB_KILL_POINT("expiry.applied");
    metrics_.rows_expired.Add(static_cast<double>(collection->shard.Pin()->expired_rows - view->expired_rows));
  }
  return {};
}

}  // namespace longbow::engine
