#include "engine/state.h"

#include <algorithm>

#include "engine/entry.h"

namespace longbow::engine {
namespace {

using storage::RecordKind;

std::string Where(const storage::LogRecord& record) {
  return " (lsn " + std::to_string(record.lsn.value) + ", shard " + std::to_string(record.shard.value) + ")";
}

}  // namespace

Status State::Apply(const storage::LogRecord& record, const Proposed& proposed) {
  switch (record.kind) {
    case RecordKind::kRows:
    case RecordKind::kDelete:
    case RecordKind::kSetSchema:
    case RecordKind::kExpire:
    case RecordKind::kUpdate:
      LB_TRY(ApplyToShard(record, proposed));
      break;
    case RecordKind::kCreateCollection:
      LB_TRY(ApplyCreate(record, proposed));
      break;
    case RecordKind::kDropCollection:
      if (collections_.erase(record.shard) == 0) {
        return DataLoss("the log drops a collection that does not exist" + Where(record));
      }
      break;
    case RecordKind::kCreateNamespace: {
      LB_ASSIGN(const std::string name, DecodeName(record.body));
      namespaces_.insert(name);
      break;
    }
    case RecordKind::kDropNamespace: {
      LB_ASSIGN(const std::string name, DecodeName(record.body));
      namespaces_.erase(name);
      break;
    }
    default:
      return FailedPrecondition("the log holds a record of kind " + std::to_string(static_cast<int>(record.kind)) +
                                Where(record) + ", which this version does not know: start the version that wrote it");
  }
  applied_ = record.lsn;
  return {};
}

Status State::ApplyToShard(const storage::LogRecord& record, const Proposed& proposed) {
  const auto found = collections_.find(record.shard);
  if (found == collections_.end()) {
    return DataLoss("the log writes to a collection that does not exist" + Where(record));
  }
  Collection& collection = *found->second;
  if (record.kind == RecordKind::kDelete) {
    LB_ASSIGN(const std::vector<RowKey> keys, DecodeKeys(record.body));
    collection.shard.ApplyDelete(keys, record.index);
    return {};
  }
  if (record.kind == RecordKind::kExpire) {
    LB_ASSIGN(const int64_t time_ns, DecodeExpire(record.body));
    collection.shard.ApplyExpire(time_ns, record.index);
    return {};
  }
  if (record.kind == RecordKind::kUpdate) {
    LB_ASSIGN(const UpdateEntry entry, DecodeUpdate(record.body));
    return collection.shard.ApplyUpdate(entry.keys, *entry.values, record.index, record.time_ns);
  }
  if (record.kind == RecordKind::kSetSchema) {
    LB_ASSIGN(const std::shared_ptr<arrow::Schema> columns, DecodeSetSchema(record.body));
    return collection.shard.ApplySchema(columns, record.index);
  }
  if (proposed.rows != nullptr) {
    return collection.shard.ApplyRows(proposed.rows, record.index, record.time_ns);
  }
  LB_ASSIGN(const std::shared_ptr<arrow::RecordBatch> rows, DecodeRows(record.body));
  return collection.shard.ApplyRows(rows, record.index, record.time_ns);
}

Status State::ApplyCreate(const storage::LogRecord& record, const Proposed& proposed) {
  if (collections_.contains(record.shard)) {
    return DataLoss("the log creates a collection twice" + Where(record));
  }
  if (proposed.collection != nullptr) {
    collections_.emplace(record.shard, proposed.collection);
    next_shard_ = std::max(next_shard_, record.shard.Next());
    return {};
  }
  LB_ASSIGN(const CreateCollectionEntry entry, DecodeCreateCollection(record.body));
  return AddCollection(entry.name, record.shard, entry.columns).status();
}

Result<std::shared_ptr<Collection>> State::AddCollection(const std::string& name, ShardId shard,
                                                         const std::shared_ptr<arrow::Schema>& columns) {
  LB_ASSIGN(const CollectionSchema schema, CollectionSchema::FromArrow(columns));
  auto collection = std::make_shared<Collection>(name, shard, schema, segment_options_);
  collections_.emplace(shard, collection);
  next_shard_ = std::max(next_shard_, shard.Next());
  return collection;
}

void State::SetPosition(Lsn applied, ShardId next_shard) {
  applied_ = applied;
  next_shard_ = std::max(next_shard_, next_shard);
}

}  // namespace longbow::engine
