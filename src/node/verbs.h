// What a call may ask for, and what it takes. A verb is served from a table whose lines begin with one of these; what
// stands in no table cannot be reached. `AllVerbs` is what the tests of access are generated from.
#pragma once

#include <string_view>
#include <vector>

#include "access/grant.h"
#include "base/status.h"

namespace longbow::node {

// What a verb touches, and so which keys reach it.
enum class Scope : uint8_t {
  kPublic,     // nothing of anybody's: no key is asked for
  kAnyKey,     // nothing of anybody's, but not for strangers
  kDataset,    // datasets that the request names: StoreAccess asks for their namespaces
  kNamespace,  // a namespace that the request names: likewise
  kVisible,    // everything that the caller may see: StoreAccess leaves out the rest
  kNode,       // the whole node: keys of all namespaces only
};

// All three have to be said: nothing is open because somebody forgot a word.
struct Verb {
  constexpr Verb(std::string_view verb_name, access::Right verb_right, Scope verb_scope)
      : name(verb_name), right(verb_right), scope(verb_scope) {}

  std::string_view name;
  access::Right right;
  Scope scope;
};

// OK, or PERMISSION_DENIED: what can be said before the request is read.
Status MayCall(const Verb& verb, const access::Grant& grant);

std::string_view ScopeName(Scope scope);

struct ListedVerb {
  std::string_view kind;  // rpc, action, exchange, http
  Verb verb;
};
// All verbs of the node.
std::vector<ListedVerb> AllVerbs();

}  // namespace longbow::node
