#include "core/base/atomic_folder.h"

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {

namespace fs = std::filesystem;

AtomicFolder::AtomicFolder(const fs::path& target) {
  std::error_code failure;
  const bool exists = fs::exists(target, failure);
  if (exists && (!fs::is_directory(target, failure) || !fs::is_empty(target, failure)))
    throw UsageError("--out {} exists and is not empty; expected a new folder",
                     printable(target.string()));
  target_ = fs::absolute(target).lexically_normal();
  if (!target_.has_filename()) target_ = target_.parent_path();
  fs::create_directories(target_.parent_path(), failure);
  if (failure)
    throw Error("--out {}: cannot be made: {}", printable(target.string()), failure.message());
  remove_leftovers(target_.parent_path());
  scratch_.emplace(target_.parent_path());
}

void AtomicFolder::commit() {
  std::error_code failure;
  fs::rename(scratch_->path(), target_, failure);  // it replaces an empty folder
  if (failure) throw Error("--out {}: {}", printable(target_.string()), failure.message());
  scratch_->keep();
}

}  // namespace rankfold
