// What an action that answers in JSON sends: one Result message with one object.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace longbow::node {

// Names that are no UTF-8 are shown with replacement characters.
inline std::vector<std::string> JsonAnswer(const nlohmann::json& json) {
  return {json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
}

}  // namespace longbow::node
