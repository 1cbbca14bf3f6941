#include "analysis/gnuplot.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "core/error.h"
#include "core/files.h"
#include "core/text.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

/// A new folder that goes away with its content.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::error_code failure;
    fs::path parent = fs::temp_directory_path(failure);
    if (failure) parent = "/tmp";
    std::string pattern = (parent / "rankfold-tmp-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
      throw Error("{}: cannot make a temporary folder: {}", pattern, std::strerror(errno));
    }
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// This process's environment without what changes gnuplot's output.
std::vector<std::string> gnuplot_environment() {
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

struct Finished {
  int spawn_error = 0;  // errno's meaning; 0 where the program was started
  int exit_status = 0;  // 128 and more after a signal
};

Finished run(const fs::path& folder, std::vector<std::string> command) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "messages", O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  std::vector<std::string> environment = gnuplot_environment();
  pid_t process = 0;
  Finished result;
  result.spawn_error = ::posix_spawnp(&process, command[0].c_str(), &actions, nullptr,
                                      pointers(command).data(), pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  if (result.spawn_error != 0) return result;
  int status = 0;
  while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  result.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

/// What gnuplot complained of in one line: the last line it wrote that says something.
std::string last_message(const fs::path& file) {
  std::string message = "no message";
  std::error_code failure;
  if (!fs::exists(file, failure)) return message;
  for (const std::string& line : split(read_text(file), '\n')) {
    const std::string_view text = trim(line);
    if (!text.empty() && text != "^") message = printable(text, 300);
  }
  return message;
}

/// Replaces the digits of a PDF's date of creation, "/CreationDate (D:20240131235959Z)", by those
/// of one day, so that drawing again gives the same bytes.
void remove_date(std::string& pdf) {
  const std::string_view key = "/CreationDate (D:";
  const std::string_view date = "20000101000000";
  const std::size_t found = pdf.find(key);
  if (found == std::string::npos || found + key.size() + date.size() > pdf.size()) return;
  pdf.replace(found + key.size(), date.size(), date);
}

}  // namespace

std::string gnuplot_text(std::string_view text, std::size_t limit) {
  std::string quoted = "'";
  std::size_t characters = 0;
  for (std::size_t i = 0; i < text.size(); ++characters) {
    if (characters == limit) {
      quoted += "\u2026";
      break;
    }
    const std::size_t size = utf8_length(std::string_view(text).substr(i));
    const char c = text[i];
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    if (size == 0 || control) {
      quoted += '?';
    } else if (c == '\'' || c == '`') {
      // gnuplot's own way to write a quote, doubling it, fails where two follow each other.
      quoted += "\u2019";
    } else {
      quoted += text.substr(i, size);
    }
    i += std::max<std::size_t>(size, 1);
  }
  return quoted + "'";
}

bool gnuplot_is_installed() {
  const TemporaryFolder folder;
  const Finished finished = run(folder.path(), {"gnuplot", "--version"});
  return finished.spawn_error == 0 && finished.exit_status == 0;
}

std::string run_gnuplot(const std::string& script, const std::string& name) {
  const TemporaryFolder folder;
  write_atomically(folder.path() / "script", script);
  const Finished finished = run(folder.path(), {"gnuplot", "--default-settings", "script"});
  if (finished.spawn_error != 0) {
    throw Error("gnuplot cannot be started: {} (Debian: apt-get install gnuplot-nox)",
                std::strerror(finished.spawn_error));
  }
  const std::string message = last_message(folder.path() / "messages");
  if (finished.exit_status != 0) {
    throw Error("gnuplot failed with exit status {}: {}", finished.exit_status, message);
  }
  std::error_code failure;
  const auto size = fs::file_size(folder.path() / name, failure);
  if (failure || size == 0) throw Error("gnuplot wrote no figure: {}", message);
  std::string figure = read_text(folder.path() / name);
  if (figure.starts_with("%PDF")) remove_date(figure);
  return figure;
}

}  // namespace rankfold
