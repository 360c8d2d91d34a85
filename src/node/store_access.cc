#include "node/store_access.h"

#include <arrow/api.h>

#include <algorithm>
#include <mutex>

#include "engine/dataset_name.h"

namespace longbow::node {

using access::Right;

namespace {

void AddTo(NamespaceUsage& usage, const engine::Collection& collection) {
  const std::shared_ptr<const engine::View> view = collection.shard.Pin();
  ++usage.datasets;
  usage.rows += view->live_rows;
  if (view->end_ordinal > 0) {
    const double share = static_cast<double>(view->live_rows) / static_cast<double>(view->end_ordinal);
    usage.bytes += static_cast<uint64_t>(static_cast<double>(view->size_bytes) * share);
  }
}

}  // namespace

NamespaceUsage UsageOf(const engine::Store& store, const std::string& name_space) {
  NamespaceUsage usage;
  for (const auto& collection : store.List()) {
    if (engine::NamespaceOf(collection->name) == name_space) {
      AddTo(usage, *collection);
    }
  }
  return usage;
}

void AddUsage(const std::vector<std::shared_ptr<engine::Collection>>& collections,
              std::map<std::string, NamespaceUsage>* by_name) {
  for (const auto& collection : collections) {
    AddTo((*by_name)[engine::NamespaceOf(collection->name)], *collection);
  }
}

Status StoreAccess::MayUseNamespace(const std::string& name, Right right) const {
  LB_TRY(grant_.AllowNamespace(name));
  return grant_.Allow(right, "this");
}

Status StoreAccess::MayUse(const std::string& dataset, Right right) const {
  if (grant_.EveryNamespace()) {
    return grant_.Allow(right, "this");
  }
  return MayUseNamespace(engine::NamespaceOf(engine::CanonicalName(dataset)), right);
}

Status StoreAccess::MayRunNode(Right right) const {
  LB_TRY(grant_.AllowNamespace(access::kAllNamespaces));
  return grant_.Allow(right, "this");
}

Result<std::shared_ptr<engine::Collection>> StoreAccess::Find(const std::string& name) const {
  LB_TRY(MayUse(name, Right::kRead));
  return store_->Find(name);
}

std::vector<std::shared_ptr<engine::Collection>> StoreAccess::List() const {
  std::vector<std::shared_ptr<engine::Collection>> all = store_->List();
  if (!grant_.EveryNamespace()) {
    std::erase_if(all, [&](const auto& collection) { return !grant_.Covers(engine::NamespaceOf(collection->name)); });
  }
  return all;
}

std::vector<std::string> StoreAccess::Namespaces() const {
  std::vector<std::string> names = store_->Namespaces();
  std::erase_if(names, [&](const std::string& name) { return !grant_.Covers(name); });
  return names;
}

Result<size_t> StoreAccess::CountCollections(const std::string& name_space) const {
  LB_TRY(MayUseNamespace(name_space, Right::kRead));
  return store_->CountCollections(name_space);
}

Result<NamespaceUsage> StoreAccess::Usage(const std::string& name_space) const {
  LB_TRY(MayUseNamespace(name_space, Right::kRead));
  const NamespaceUsage usage = UsageOf(*store_, name_space);
  const std::vector<std::string> names = usage.datasets > 0 ? std::vector<std::string>() : store_->Namespaces();
  if (usage.datasets == 0 && !std::binary_search(names.begin(), names.end(), name_space)) {
    return NotFound("namespace not found: " + name_space);
  }
  return usage;
}

Result<std::vector<engine::QueryResult>> StoreAccess::Search(const SearchRequest& request,
                                                             const Cancellation* cancellation) const {
  LB_TRY(MayUse(request.collection, Right::kRead));
  return store_->Search(request, cancellation);
}

Result<std::vector<Hit>> StoreAccess::SearchById(const std::string& collection, const std::string& id, int64_t k,
                                                 const Cancellation* cancellation) const {
  LB_TRY(MayUse(collection, Right::kRead));
  return store_->SearchById(collection, id, k, cancellation);
}

void StoreAccess::Put(const std::string& collection, RowBatch batch, const Cancellation* cancellation,
                      engine::Store::Done done) const {
  const std::string name = engine::CanonicalName(collection);
  const std::string name_space = engine::NamespaceOf(name);
  const auto quota = std::make_shared<NamespaceQuotas::Grant>();
  std::unique_lock making(quotas_->making_mu(), std::defer_lock);
  const Status admitted = [&]() -> Status {
    LB_TRY(MayUse(collection, Right::kWrite));
    LB_TRY(quotas_->Admit(name_space, static_cast<uint64_t>(batch.rows->num_rows()), TotalSize(batch.encoded),
                          quota.get()));
    if (quotas_->LimitsDatasets(name_space) && !store_->Find(name).ok()) {
      making.lock();  // the store makes the dataset before Put returns
      if (!store_->Find(name).ok()) {
        return quotas_->AdmitDataset(name_space, [&] { return store_->CountCollections(name_space); });
      }
    }
    return {};
  }();
  if (!admitted.ok()) {
    return done(admitted);
  }
  store_->Put(collection, std::move(batch), cancellation, [quota, done = std::move(done)](Status status) {
    quota->End(status.ok());
    done(std::move(status));
  });
}

Status StoreAccess::Delete(const std::string& collection, const std::vector<std::string>& ids) const {
  LB_TRY(MayUse(collection, Right::kWrite));
  return store_->Delete(collection, ids);
}

Result<uint64_t> StoreAccess::Count(const std::string& collection, const Predicate& filter,
                                    const Cancellation* cancellation) const {
  LB_TRY(MayUse(collection, Right::kRead));
  return store_->Count(collection, filter, cancellation);
}

Result<uint64_t> StoreAccess::DeleteWhere(const std::string& collection, const Predicate& filter,
                                          const Cancellation* cancellation) const {
  LB_TRY(MayUse(collection, Right::kWrite));
  return store_->DeleteWhere(collection, filter, cancellation);
}

Status StoreAccess::DeleteOrdinal(const std::string& collection, uint64_t ordinal) const {
  LB_TRY(MayUse(collection, Right::kWrite));
  return store_->DeleteOrdinal(collection, ordinal);
}

Result<uint64_t> StoreAccess::Update(const std::string& collection, const std::vector<std::string>& ids,
                                     const Predicate& filter, const std::vector<PayloadColumn>& values,
                                     const Cancellation* cancellation) const {
  LB_TRY(MayUse(collection, Right::kWrite));
  return store_->Update(collection, ids, filter, values, cancellation);
}

Status StoreAccess::SetTtl(const std::string& collection, int64_t ttl_seconds,
                           const std::optional<std::string>& column) const {
  LB_TRY(MayUse(collection, Right::kWrite));
  return store_->SetTtl(collection, ttl_seconds, column);
}

Status StoreAccess::DropCollection(const std::string& name) const {
  LB_TRY(MayUse(name, Right::kWrite));
  return store_->DropCollection(name);
}

Status StoreAccess::CreateNamespace(const std::string& name) const {
  LB_TRY(MayUseNamespace(name, Right::kWrite));
  return store_->CreateNamespace(name);
}

Status StoreAccess::DropNamespace(const std::string& name) const {
  LB_TRY(MayUseNamespace(name, Right::kWrite));
  return store_->DropNamespace(name);
}

Status StoreAccess::Checkpoint() const {
  LB_TRY(MayRunNode(Right::kAdmin));
  return store_->Checkpoint();
}

Result<std::vector<engine::JobStatus>> StoreAccess::Compactions() const {
  LB_TRY(MayRunNode(Right::kRead));
  return store_->Compactions();
}

Status StoreAccess::CancelCompaction(const std::string& id) const {
  LB_TRY(MayRunNode(Right::kAdmin));
  return store_->CancelCompaction(id);
}

}  // namespace longbow::node
