// Divides a loop between the threads of a pool.
#pragma once

#include <cstddef>
#include <functional>

#include "base/thread_pool.h"

namespace longbow::quantize {

// Calls work(begin, end) for consecutive parts of [0, n), each at most `chunk` long; returns when all are done. The
// calls run on the pool and in the caller; with no pool (nullptr), or where the pool takes no more, all in the caller.
// The caller must not be a thread of the pool. The parts do not depend on the threads, so results need not either.
void ParallelChunks(ThreadPool* pool, size_t n, size_t chunk, const std::function<void(size_t, size_t)>& work);

}  // namespace longbow::quantize
