#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace rankfold {

/// Where the files of a drawing lie meanwhile: the system's folder for temporary files.
std::filesystem::path drawing_place();

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
