#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "core/base/folder_lock.h"
#include "core/base/scratch.h"
#include "experiments/runs/settings.h"

namespace rankfold {

/// The first setting in which two identities differ, in the order of run_settings, as
/// "lr is 1e-3 there and 5e-4 here"; "" where they are the same.
std::string first_difference(const RunSettings& there, const RunSettings& here);

/// The folder of a run while one process works in it: run.json, event files, a zeroth-order log,
/// adapter/, and meanwhile a checkpoint.
///
/// What an earlier run finished there (done or diverged) stays until this one has something to put
/// in its place: meanwhile the new files lie in a folder with a temporary name in it. What no run
/// of rankfold wrote is never removed: a folder that holds such files under a run's names is
/// refused. Other files and folders in it are left alone.
class RunFolder {
 public:
  /// Makes the folder where it is missing, locks it (see FolderLock), and looks at what lies there;
  /// nothing is removed yet. Throws Error naming the folder or the file: it cannot be made or
  /// written to, another process works in it, or a run.json, an adapter, an event file, a log or a
  /// checkpoint is none of rankfold's runs. A run.json that cannot be read is a run's where an
  /// event file beside it is that of a run of these (canonical) settings, with `force` of any.
  RunFolder(const std::filesystem::path& out, const RunSettings& settings, bool force);
  /// Without `finish` or `fail`: the files of this attempt beside an earlier run are removed, and
  /// the folder where it was made here and is empty.
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::filesystem::path& path() const { return out_; }
  /// Why the run.json that is there cannot be read; "" where it can or there is none.
  const std::string& unreadable() const { return unreadable_; }
  /// Removes what attempts left that were killed or failed. Returns place().
  const std::filesystem::path& begin();
  /// What an unfinished run goes on from (see Checkpoint): in the folder itself, whatever else lies
  /// there, until a run has finished.
  std::filesystem::path checkpoint() const { return out_ / "checkpoint.safetensors"; }
  void remove_checkpoint() const;
  /// Where the event file and adapter/ go.
  const std::filesystem::path& place() const { return place_; }
  /// Puts the attempt in the place of an earlier run and run.json, last, in the folder.
  void finish(const std::string& run_json);
  /// Writes run.json unless there is an earlier run to keep. Returns whether it did.
  bool fail(const std::string& run_json);

 private:
  std::filesystem::path out_, place_;
  bool made_;
  FolderLock lock_;
  std::string unreadable_;
  bool keeps_ = false;  ///< an earlier run is there
  std::optional<ScratchFolder> attempt_;
};

}  // namespace rankfold
