#include "node/verbs.h"

#include <string>

#include "node/actions.h"
#include "node/exchange_stream.h"
#include "node/flight_service.h"
#include "node/http_endpoints.h"

namespace longbow::node {

Status MayCall(const Verb& verb, const access::Grant& grant) {
  if (verb.scope == Scope::kPublic) {
    return {};
  }
  LB_TRY(grant.Allow(verb.right, verb.name));
  if (verb.scope == Scope::kNode && !grant.EveryNamespace()) {
    return {StatusCode::kPermissionDenied, std::string(verb.name) + " concerns the whole node, this key is for " +
                                               "namespace '" + grant.name_space + "'"};
  }
  return {};
}

std::string_view ScopeName(Scope scope) {
  switch (scope) {
    case Scope::kPublic:
      return "public";
    case Scope::kAnyKey:
      return "any_key";
    case Scope::kDataset:
      return "dataset";
    case Scope::kNamespace:
      return "namespace";
    case Scope::kVisible:
      return "visible";
    case Scope::kNode:
      return "node";
  }
  return "?";
}

std::vector<ListedVerb> AllVerbs() {
  std::vector<ListedVerb> all;
  const auto add = [&](std::string_view kind, const std::vector<Verb>& verbs) {
    for (const Verb& verb : verbs) {
      all.push_back({kind, verb});
    }
  };
  add("rpc", RpcVerbs());
  add("exchange", ExchangeVerbs());
  add("action", ActionVerbs());
  add("http", HttpVerbs());
  return all;
}

}  // namespace longbow::node
