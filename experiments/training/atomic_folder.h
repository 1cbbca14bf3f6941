#pragma once

#include <filesystem>

namespace rankfold {

/// The folder of `--out`, made beside it and renamed when it is whole; without commit it is removed
/// again. Throws UsageError where the target exists and is not empty, Error where it cannot be
/// made.
class AtomicFolder {
 public:
  explicit AtomicFolder(const std::filesystem::path& target);
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  /// Where to write meanwhile.
  const std::filesystem::path& path() const { return temporary_; }
  void commit();

 private:
  std::filesystem::path target_, temporary_;
  bool committed_ = false;
};

}  // namespace rankfold
