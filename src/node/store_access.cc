#include "node/store_access.h"

#include "engine/dataset_name.h"

namespace longbow::node {

using access::Right;

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
  if (Status status = MayUse(collection, Right::kWrite); !status.ok()) {
    return done(std::move(status));
  }
  store_->Put(collection, std::move(batch), cancellation, std::move(done));
}

Status StoreAccess::Delete(const std::string& collection, const std::vector<std::string>& ids) const {
  LB_TRY(MayUse(collection, Right::kWrite));
  return store_->Delete(collection, ids);
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
