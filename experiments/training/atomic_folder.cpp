#include "experiments/training/atomic_folder.h"

#include <unistd.h>

#include "core/error.h"

namespace rankfold {

namespace fs = std::filesystem;

AtomicFolder::AtomicFolder(const fs::path& target) : target_(target) {
  std::error_code failure;
  if (fs::exists(target_) && (!fs::is_directory(target_) || !fs::is_empty(target_)))
    throw UsageError("--out {} exists and is not empty; expected a new folder", target_.string());
  fs::path parent = fs::absolute(target_).lexically_normal();
  if (!parent.has_filename()) parent = parent.parent_path();
  target_ = parent;
  parent = parent.parent_path();
  fs::create_directories(parent, failure);
  temporary_ = parent / fmt::format(".{}.{}.partial", target_.filename().string(), ::getpid());
  if (!failure) fs::create_directory(temporary_, failure);
  if (failure) throw Error("--out {}: cannot be made: {}", target.string(), failure.message());
}

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(temporary_, ignored);
}

void AtomicFolder::commit() {
  std::error_code failure;
  fs::rename(temporary_, target_, failure);  // it replaces an empty folder
  if (failure) throw Error("--out {}: {}", target_.string(), failure.message());
  committed_ = true;
}

}  // namespace rankfold
