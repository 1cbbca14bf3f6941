#include "analysis/figures/drawing_tool.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "core/base/error.h"
#include "core/base/files.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> environment() {
  std::vector<std::string> variables = {"LC_ALL=C.UTF-8", "TZ=UTC"};
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const bool left_out = text.starts_with("GNUTERM=") || text.starts_with("GNUPLOT_LIB=") ||
                          text.starts_with("TZ=") || text.starts_with("LC_ALL=");
    if (!left_out) variables.emplace_back(text);
  }
  return variables;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace

fs::path drawing_place() {
  std::error_code failure;
  const fs::path place = fs::temp_directory_path(failure);
  return failure ? fs::path("/tmp") : place;
}

ToolResult run_drawing_tool(const fs::path& folder, std::vector<std::string> command) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "messages", O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  std::vector<std::string> variables = environment();
  pid_t process = 0;
  ToolResult result;
  result.spawn_error = ::posix_spawnp(&process, command[0].c_str(), &actions, nullptr,
                                      pointers(command).data(), pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  if (result.spawn_error != 0) return result;
  int status = 0;
  while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  result.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  std::error_code failure;
  if (fs::exists(folder / "messages", failure)) result.output = read_text(folder / "messages");
  return result;
}

}  // namespace rankfold
