// The store as one caller may use it. Handlers reach the store through this and nothing else, so none can forget to ask
// whether the caller may.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "access/grant.h"
#include "base/cancellation.h"
#include "base/status.h"
#include "engine/store.h"
#include "node/namespace_quotas.h"

namespace longbow::node {

// What the datasets of a namespace hold. A pass over the names of all.
NamespaceUsage UsageOf(const engine::Store& store, const std::string& name_space);
void AddUsage(const std::vector<std::shared_ptr<engine::Collection>>& collections,
              std::map<std::string, NamespaceUsage>* by_name);

// The functions of engine::Store, each with the right that it takes. PERMISSION_DENIED, before anything is looked up,
// for a dataset or namespace of others: whether it exists stays unknown. Lists hold what the caller may see. Thread
// safe.
class StoreAccess {
 public:
  StoreAccess(engine::Store& store, NamespaceQuotas& quotas, access::Grant grant)
      : store_(&store), quotas_(&quotas), grant_(std::move(grant)) {}

  const access::Grant& grant() const { return grant_; }

  // ---- read ----
  Result<std::shared_ptr<engine::Collection>> Find(const std::string& name) const;
  std::vector<std::shared_ptr<engine::Collection>> List() const;
  std::vector<std::string> Namespaces() const;
  // PERMISSION_DENIED or the count, which is 0 for namespaces that are not there.
  Result<size_t> CountCollections(const std::string& name_space) const;
  // NOT_FOUND if there is no such namespace.
  Result<NamespaceUsage> Usage(const std::string& name_space) const;
  Result<std::vector<engine::QueryResult>> Search(const SearchRequest& request, const Cancellation* cancellation) const;
  Result<std::vector<Hit>> SearchById(const std::string& collection, const std::string& id, int64_t k,
                                      const Cancellation* cancellation) const;
  Result<uint64_t> Count(const std::string& collection, const Predicate& filter,
                         const Cancellation* cancellation) const;

  // ---- write, puts within the quota of the namespace: RESOURCE_EXHAUSTED ----
  void Put(const std::string& collection, RowBatch batch, const Cancellation* cancellation,
           engine::Store::Done done) const;
  Status Delete(const std::string& collection, const std::vector<std::string>& ids) const;
  Result<uint64_t> DeleteWhere(const std::string& collection, const Predicate& filter,
                               const Cancellation* cancellation) const;
  Status DeleteOrdinal(const std::string& collection, uint64_t ordinal) const;
  Result<uint64_t> Update(const std::string& collection, const std::vector<std::string>& ids, const Predicate& filter,
                          const std::vector<PayloadColumn>& values, const Cancellation* cancellation) const;
  Status SetTtl(const std::string& collection, int64_t ttl_seconds, const std::optional<std::string>& column) const;
  Status DropCollection(const std::string& name) const;
  Status CreateNamespace(const std::string& name) const;
  Status DropNamespace(const std::string& name) const;

  // ---- the whole node ----
  Status Checkpoint() const;
  Result<std::vector<engine::JobStatus>> Compactions() const;
  Status CancelCompaction(const std::string& id) const;
  // Tells nothing of any data: everybody may ask.
  Status WriteHealth() const { return store_->WriteHealth(); }

  // PERMISSION_DENIED unless the caller has `right` for the namespace that the dataset's name is in.
  Status MayUse(const std::string& dataset, access::Right right) const;

 private:
  Status MayUseNamespace(const std::string& name, access::Right right) const;
  Status MayRunNode(access::Right right) const;

  engine::Store* store_;
  NamespaceQuotas* quotas_;
  access::Grant grant_;
};

}  // namespace longbow::node
