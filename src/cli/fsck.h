// `longbow fsck DIR`: checks a data folder that no node uses, and repairs it on request.
#pragma once

#include <span>
#include <string>

namespace longbow::cli {

// Prints one line a file. Returns the exit status: 0 all is sound, or was made so; 1 a repair would make it so; 2 the
// command line is wrong, or the folder is none of ours or in use; 3 something is lost, or a repair needs --accept-loss.
int RunFsck(std::span<const std::string> arguments);

}  // namespace longbow::cli
