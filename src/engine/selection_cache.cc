#include "engine/selection_cache.h"

#include <algorithm>

namespace longbow::engine {
namespace {

void AppendText(const std::string& text, std::string* key) {
  key->append(std::to_string(text.size()));
  key->push_back(':');
  key->append(text);
}

void AppendNode(const Predicate& predicate, std::string* key) {
  key->push_back(static_cast<char>('A' + static_cast<int>(predicate.op)));
  AppendText(predicate.field, key);
  key->append(std::to_string(predicate.values.size()));
  for (const std::string& value : predicate.values) {
    key->push_back(',');
    AppendText(value, key);
  }
  key->push_back('(');
  for (const Predicate& child : predicate.children) {
    AppendNode(child, key);
  }
  key->push_back(')');
}

}  // namespace

std::shared_ptr<const Selection> SelectionCache::Find(const std::string& key, uint32_t rows) {
  const std::lock_guard lock(mu_);
  const auto found = std::ranges::find(kept_, key, &Kept::key);
  if (found == kept_.end() || found->selection->rows != rows) {
    return nullptr;
  }
  kept_.splice(kept_.begin(), kept_, found);
  return found->selection;
}

void SelectionCache::Keep(const std::string& key, std::shared_ptr<const Selection> selection) {
  const std::lock_guard lock(mu_);
  kept_.remove_if([&](const Kept& kept) { return kept.key == key; });
  kept_.push_front({key, std::move(selection)});
  if (kept_.size() > kSelectionsMax) {
    kept_.pop_back();
  }
}

void SelectionCache::Clear() {
  const std::lock_guard lock(mu_);
  kept_.clear();
}

size_t SelectionCache::size_bytes() const {
  const std::lock_guard lock(mu_);
  size_t size_bytes = 0;
  for (const Kept& kept : kept_) {
    size_bytes += sizeof(Kept) + kept.key.size() + kept.selection->bits.size() * sizeof(uint64_t);
  }
  return size_bytes;
}

std::string SelectionCache::KeyOf(const Predicate& predicate, uint64_t schema_version) {
  std::string key = std::to_string(schema_version);
  AppendNode(predicate, &key);
  return key;
}

}  // namespace longbow::engine
