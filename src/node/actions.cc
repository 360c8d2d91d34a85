#include "node/actions.h"

#include <arrow/api.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "flight.pb.h"
#include "node/job_actions.h"
#include "node/json_answer.h"
#include "node/row_actions.h"
#include "node/searching.h"
#include "node/snapshot_actions.h"
#include "wire/flight_data.h"
#include "wire/requests.h"
#include "wire/results.h"

namespace longbow::node {
namespace {

namespace pb = arrow::flight::protocol;
using access::Right;

// Results of an action: one Result message each.
using Answers = std::vector<std::string>;
using Run = Result<Answers> (*)(Services& services, const std::string& body, const Cancellation* cancellation);

Result<Answers> VectorSearch(Services& services, const std::string& body, const Cancellation* cancellation) {
  LB_ASSIGN(const SearchRequest request, wire::ParseSearch(body));
  LB_ASSIGN(const std::vector<engine::QueryResult> results, Search(services, request, cancellation));
  Answers answers;
  for (const engine::QueryResult& result : results) {
    const auto hits = wire::HitBatch(result.hits, result.vectors, request.include_vectors, result.columns.get());
    const auto explained = ExplainedSchema(request, {&result, 1})->metadata();
    const auto metadata = explained == nullptr ? arrow::key_value_metadata({}, {}) : explained->Copy();
    if (const std::string page = PageMetadata(request, result); !page.empty()) {
      metadata->Append(wire::kPageKey, page);
    }
    LB_ASSIGN(std::string stream, wire::IpcStream(*hits->ReplaceSchemaMetadata(metadata)));
    answers.push_back(std::move(stream));
  }
  return answers;
}

Result<Answers> VectorSearchById(Services& services, const std::string& body, const Cancellation* cancellation) {
  LB_ASSIGN(const wire::SearchByIdRequest request, wire::ParseSearchById(body));
  SearchRequest search;
  search.collection = request.collection;
  search.id = request.id;
  search.k = request.k;
  search.filter = request.filter;
  search.include_vectors = request.include_vectors;
  search.vector_format = VectorFormat::kFloat32;  // JSON's numbers
  LB_ASSIGN(const std::vector<engine::QueryResult> results, Search(services, search, cancellation));
  return Answers{wire::HitsJson(results.front().hits, results.front().vectors)};
}

Result<Answers> HybridSearch(Services& services, const std::string& body, const Cancellation* cancellation) {
  LB_ASSIGN(const SearchRequest request, wire::ParseSearch(body));
  if (request.vectors.size() > 1) {
    return InvalidArgument("HybridSearch takes one vector, got " + std::to_string(request.vectors.size()) +
                           ": use VectorSearch for several");
  }
  LB_ASSIGN(const std::vector<engine::QueryResult> results, Search(services, request, cancellation));
  return Answers{wire::HybridHitsJson(results.front().hits)};
}

Result<Answers> CheckReadiness(Services& services, const std::string& body, const Cancellation*) {
  LB_ASSIGN(const wire::NameRequest request, wire::ParseName(body));
  if (request.dataset.empty()) {
    const Status ready = services.Readiness();
    return Answers{ready.ok() ? R"({"status":"READY"})"
                              : nlohmann::json{{"reason", ready.message()}, {"status", "BUSY"}}.dump()};
  }
  const auto found = services.store.Find(request.dataset);
  if (found.status().code() == StatusCode::kNotFound) {
    return Answers{R"({"reason":"dataset not found","status":"NOT_FOUND"})"};
  }
  LB_TRY(found.status());
  const std::shared_ptr<const engine::View> view = (*found)->shard.Pin();
  const uint64_t tail = view->TailRows();
  const uint64_t in_flight = (*found)->entries_in_flight.load();
  nlohmann::json answer{{"index_len", view->rows - tail}, {"status", "READY"}};
  if (tail + in_flight > 0) {
    answer["status"] = "BUSY";
    answer["reason"] = "dataset has " + std::to_string(tail) + " pending index jobs, " + std::to_string(in_flight) +
                       " pending ingestion jobs";
  }
  return Answers{answer.dump()};
}

Result<Answers> SetTtl(Services& services, const std::string& body, const Cancellation*) {
  LB_ASSIGN(const wire::SetTtlRequest request, wire::ParseSetTtl(body));
  LB_TRY(services.store.SetTtl(request.collection, request.ttl_seconds, request.expiry_column));
  return Answers{R"({"status": "set"})"};
}

Result<Answers> DeleteDataset(Services& services, const std::string& body, const Cancellation*) {
  LB_ASSIGN(const wire::NameRequest request, wire::ParseName(body));
  const std::string& name = request.dataset.empty() ? request.name : request.dataset;
  if (name.empty()) {
    return InvalidArgument("missing dataset name");
  }
  LB_TRY(services.store.DropCollection(name));
  return Answers{"deleted"};
}

// {"name"} deletes a namespace; {"dataset"} is the contract's other form and deletes a dataset.
Result<Answers> DeleteNamespace(Services& services, const std::string& body, const Cancellation* cancellation) {
  LB_ASSIGN(const wire::NameRequest request, wire::ParseName(body));
  if (!request.dataset.empty()) {
    // The original's client deletes datasets and namespaces by the same call.
    const std::vector<std::string> namespaces = services.store.Namespaces();
    if (services.store.Find(request.dataset).ok() ||
        !std::binary_search(namespaces.begin(), namespaces.end(), request.dataset)) {
      return DeleteDataset(services, body, cancellation);
    }
  }
  LB_TRY(services.store.DropNamespace(request.dataset.empty() ? request.name : request.dataset));
  return Answers{R"({"status": "deleted"})"};
}

Result<Answers> CreateNamespace(Services& services, const std::string& body, const Cancellation*) {
  LB_ASSIGN(const wire::NameRequest request, wire::ParseName(body));
  LB_TRY(services.store.CreateNamespace(request.name));
  return Answers{R"({"status": "created"})"};
}

Result<Answers> ListNamespaces(Services& services, const std::string&, const Cancellation*) {
  const std::vector<std::string> names = services.store.Namespaces();
  return JsonAnswer({{"count", names.size()}, {"namespaces", names}});
}

Result<Answers> TotalNamespaceCount(Services& services, const std::string&, const Cancellation*) {
  return Answers{nlohmann::json{{"count", services.store.Namespaces().size()}}.dump()};
}

Result<Answers> NamespaceDatasetCount(Services& services, const std::string& body, const Cancellation*) {
  LB_ASSIGN(const wire::NameRequest request, wire::ParseName(body));
  LB_ASSIGN(const size_t count, services.store.CountCollections(request.name));
  const std::vector<std::string> names = services.store.Namespaces();
  if (!std::binary_search(names.begin(), names.end(), request.name)) {
    return NotFound("namespace not found: " + request.name);
  }
  return Answers{nlohmann::json{{"count", count}}.dump()};
}

// Of one namespace, or of all that the caller may see: what they hold, and what they may.
Result<Answers> UsageOfNamespaces(Services& services, const std::string& body, const Cancellation*) {
  LB_ASSIGN(const wire::NameRequest request, wire::ParseName(body));
  std::map<std::string, NamespaceUsage> by_name;
  if (request.name.empty()) {
    for (const std::string& name : services.store.Namespaces()) {
      by_name[name];
    }
    AddUsage(services.store.List(), &by_name);
  } else {
    LB_ASSIGN(by_name[request.name], services.store.Usage(request.name));
  }
  nlohmann::json list = nlohmann::json::array();
  for (const auto& [name, usage] : by_name) {
    const access::NamespaceLimits most = services.shared.keys.LimitsOf(name);
    list.push_back({{"name", name},
                    {"datasets", usage.datasets},
                    {"rows", usage.rows},
                    {"bytes", usage.bytes},
                    {"limits", {{"datasets", most.datasets}, {"rows", most.rows}, {"bytes", most.bytes}}}});
  }
  return JsonAnswer({{"namespaces", std::move(list)}});
}

Result<Answers> ClusterStatus(Services&, const std::string&, const Cancellation*) {
  return Unavailable("gossip mesh not enabled: this version runs as a single node");
}

Result<Answers> ForceSnapshot(Services& services, const std::string&, const Cancellation*) {
  LB_TRY(services.store.Checkpoint());
  return Answers{R"({"status": "snapshot written"})"};
}

Result<Answers> ListVerbs(Services&, const std::string&, const Cancellation*) {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& [kind, verb] : AllVerbs()) {
    list.push_back({{"kind", kind},
                    {"name", verb.name},
                    {"right", access::RightName(verb.right)},
                    {"scope", ScopeName(verb.scope)}});
  }
  return JsonAnswer({{"verbs", std::move(list)}});
}

struct Action {
  Verb verb;  // its name is the type of the action
  const char* description;
  Run run;
  bool writes;  // waits for the disk: belongs to the write pool
};

constexpr Action kActions[] = {
    {{"VectorSearch", Right::kRead, Scope::kDataset},
     "Nearest rows to one or more vectors; one Arrow IPC stream per vector",
     VectorSearch,
     false},
    {{"VectorSearchByID", Right::kRead, Scope::kDataset},
     "Nearest rows to a stored row, as JSON",
     VectorSearchById,
     false},
    {{"HybridSearch", Right::kRead, Scope::kDataset},
     "Rows by a vector and by words, fused, as JSON",
     HybridSearch,
     false},
    {{"check_readiness", Right::kRead, Scope::kDataset}, "State of the node or of one dataset", CheckReadiness, false},
    {{"count", Right::kRead, Scope::kDataset}, "Number of rows, of those that pass a filter", CountRows, false},
    {{"delete", Right::kWrite, Scope::kDataset}, "Deletes rows by id or by filter", DeleteRows, true},
    {{"Delete", Right::kWrite, Scope::kDataset}, "Same as delete", DeleteRows, true},
    {{"delete-vector", Right::kWrite, Scope::kDataset}, "Deletes a row by its ordinal", DeleteVector, true},
    {{"update", Right::kWrite, Scope::kDataset}, "Sets columns of rows, by id or by filter", UpdateRows, true},
    {{"SetTtl", Right::kWrite, Scope::kDataset},
     "How long rows put from now on live, and by which column rows expire",
     SetTtl,
     true},
    {{"delete-dataset", Right::kWrite, Scope::kDataset}, "Deletes a dataset", DeleteDataset, true},
    {{"CreateNamespace", Right::kWrite, Scope::kNamespace}, "Creates a namespace", CreateNamespace, true},
    {{"DeleteNamespace", Right::kWrite, Scope::kNamespace},
     "Deletes an empty namespace ({\"name\"}) or a dataset ({\"dataset\"})",
     DeleteNamespace,
     true},
    {{"ListNamespaces", Right::kRead, Scope::kVisible}, "Names of all namespaces", ListNamespaces, false},
    {{"GetTotalNamespaceCount", Right::kRead, Scope::kVisible}, "Number of namespaces", TotalNamespaceCount, false},
    {{"GetNamespaceDatasetCount", Right::kRead, Scope::kNamespace},
     "Number of datasets in a namespace",
     NamespaceDatasetCount,
     false},
    {{"NamespaceUsage", Right::kRead, Scope::kNamespace},
     "What namespaces hold, and may hold",
     UsageOfNamespaces,
     false},
    {{"cluster-status", Right::kRead, Scope::kNode},
     "Members of the cluster; UNAVAILABLE on a single node",
     ClusterStatus,
     false},
    {{"ForceSnapshot", Right::kAdmin, Scope::kNode}, "Writes a checkpoint now", ForceSnapshot, true},
    {{"CreateSnapshot", Right::kAdmin, Scope::kNode},
     "Begins a snapshot to where this node keeps them",
     CreateSnapshot,
     true},
    {{"SnapshotStatus", Right::kAdmin, Scope::kNode}, "How far a snapshot is", SnapshotStatus, false},
    {{"CancelSnapshot", Right::kAdmin, Scope::kNode}, "Ends a snapshot that is being taken", CancelSnapshot, false},
    {{"ListSnapshots", Right::kAdmin, Scope::kNode}, "Snapshots that are complete", ListSnapshots, true},
    {{"ListJobs", Right::kRead, Scope::kNode}, "Compactions and snapshots: how far each is", ListJobs, false},
    {{"CancelJob", Right::kAdmin, Scope::kNode}, "Ends one of them", CancelJob, false},
    {{"DeleteSnapshot", Right::kAdmin, Scope::kNode},
     "Removes a snapshot and what only it needs",
     DeleteSnapshot,
     true},
    {{"ListVerbs", Right::kRead, Scope::kAnyKey},
     "Everything this node can be asked for, and what it takes",
     ListVerbs,
     false},
};

}  // namespace

std::vector<Verb> ActionVerbs() {
  std::vector<Verb> verbs;
  for (const Action& action : kActions) {
    verbs.push_back(action.verb);
  }
  return verbs;
}

Status ListActions(Services&, net::Call& call, const std::string&, const Cancellation*) {
  for (const Action& action : kActions) {
    pb::ActionType type;
    type.set_type(std::string(action.verb.name));
    type.set_description(action.description);
    call.Send({Slice::Own(type.SerializeAsString())});
  }
  return {};
}

void ActionCall::OnMessage(net::Message message) {
  got_action_ = true;
  auto request = std::make_shared<pb::Action>();
  if (!request->ParseFromString(Joined(message))) {
    return End(InvalidArgument("malformed Action message"));
  }
  const auto* action = std::find_if(std::begin(kActions), std::end(kActions),
                                    [&](const Action& known) { return request->type() == known.verb.name; });
  if (action == std::end(kActions)) {
    return End(Unimplemented("unknown action type " + request->type()));
  }
  if (Status may = MayCall(action->verb, services().store.grant()); !may.ok()) {
    return End(may);
  }
  RunOn(action->writes ? services().write_pool : services().search_pool, [this, request, action] {
    const Result<Answers> answers = action->run(services(), request->body(), cancellation());
    if (answers.ok()) {
      for (const std::string& body : *answers) {
        pb::Result result;
        result.set_body(body);
        call().Send({Slice::Own(result.SerializeAsString())});
      }
    }
    End(answers.status());
  });
}

void ActionCall::OnEnd() {
  if (!got_action_) {
    End(InvalidArgument("the call ended without an action"));
  }
}

}  // namespace longbow::node
