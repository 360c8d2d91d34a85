// `longbow doctor [DIR]`: what of this machine would hurt a node, and what to do about it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/machine_facts.h"

namespace longbow::cli {

enum class Grade {
  kFine,
  kAdvice,  // works, slower or with less room than it could
  kBad,     // will fail or lose under load
};

struct Finding {
  Grade grade = Grade::kFine;
  std::string what;
  std::string found;
  std::string advice;  // empty where nothing is to be done
};

// In the order in which they are shown.
std::vector<Finding> Judge(const MachineFacts& machine, const std::optional<DiskFacts>& disk);

// Prints the findings. Returns the exit status: 0 nothing is bad, 1 something is, 2 for a command line that is wrong or
// a folder that cannot be written.
int RunDoctor(std::span<const std::string> arguments);

}  // namespace longbow::cli
