// Where snapshots of this node, or of this command, go to and come from.
#pragma once

#include <memory>
#include <string>

#include "base/cancellation.h"
#include "base/file.h"
#include "base/status.h"
#include "storage/s3_target.h"
#include "storage/snapshot_target.h"

namespace longbow::engine {

using storage::S3Settings;
using storage::SnapshotTarget;
using storage::TargetAccess;

// What an operator configured. Clients only choose between the two: they never name a path or a bucket.
struct SnapshotPlaces {
  std::string folder;  // "local"; empty: there is none
  S3Settings s3;       // "s3"; no bucket: there is none
};

// `word`: "local", "s3", or empty for the only one, S3 if there are both. INVALID_ARGUMENT for another word,
// FAILED_PRECONDITION if there is no such place; else as OpenFolderTarget and OpenS3Target.
Result<std::unique_ptr<SnapshotTarget>> OpenPlace(FileSystem& fs, const SnapshotPlaces& places, const std::string& word,
                                                  TargetAccess access, const Cancellation* cancellation);

// For an operator's command: a folder, or "s3://bucket/prefix" with the other settings as they are.
Result<std::unique_ptr<SnapshotTarget>> OpenPath(FileSystem& fs, const std::string& path, S3Settings s3,
                                                 TargetAccess access);

// To be called before main returns, once no target is left.
void FinishPlaces();

}  // namespace longbow::engine
