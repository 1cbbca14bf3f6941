#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace rankfold {

/// A new folder that goes away with its content.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

struct ToolResult {
  int spawn_error = 0;  ///< errno's meaning; 0 where the program was started
  int exit_status = 0;  ///< 128 and more after a signal
  std::string output;   ///< what it wrote on both of its outputs
};

/// Runs a program found on PATH in the folder, with nothing to read and without the variables of
/// the environment that change what gnuplot draws. Its output passes through a file `messages`
/// there.
ToolResult run_drawing_tool(const std::filesystem::path& folder, std::vector<std::string> command);

}  // namespace rankfold
