#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/files.h"
#include "folder_events.h"
#include "source_paths.h"
#include "temporary_folder.h"

namespace rankfold {

namespace fs = std::filesystem;

struct Result {
  int status = 0;  ///< 128 + number where a signal ended it
  std::string out, err;
};

/// The program itself, with a tiny model and task.
class Process : public testing::Test {
 protected:
  void SetUp() override {
    program_ = fs::read_symlink("/proc/self/exe").parent_path() / "rankfold";
    if (!fs::exists(program_)) GTEST_SKIP() << program_ << " is not built";
    write_task();
  }

  /// golden/models/bert with a vocabulary, and a few sentences in the form of SST-2.
  void write_task() {
    const fs::path golden = RANKFOLD_GOLDEN_DIR "/models/bert";
    fs::create_directories(folder_.path / "tiny");
    for (const char* name : {"config.json", "model.safetensors"})
      fs::copy_file(golden / name, folder_.path / "tiny" / name);
    std::string vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ngood\nbad\n";
    for (int i = 7; i < 101; ++i) vocabulary += "w" + std::to_string(i) + "\n";
    write_atomically(folder_.path / "tiny" / "vocab.txt", vocabulary);
    for (const auto& [name, rows] : {std::pair("train.tsv", 64), std::pair("dev.tsv", 16)}) {
      std::string text = "sentence\tlabel\n";
      for (int i = 0; i < rows; ++i)
        text += std::string(i % 2 == 0 ? "bad" : "good") + " w" + std::to_string(7 + i % 90) +
                "\t" + std::to_string(i % 2) + "\n";
      write_atomically(folder_.path / "data" / name, text);
    }
  }

  pid_t start(std::vector<std::string> words) {
    words.insert(words.begin(), program_.string());
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const std::string out = (folder_.path / "stdout").string(),
                      err = (folder_.path / "stderr").string();
    posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pid_t process = 0;
    EXPECT_EQ(posix_spawn(&process, program_.c_str(), &actions, nullptr, pointers.data(), environ),
              0);
    posix_spawn_file_actions_destroy(&actions);
    return process;
  }

  Result wait(pid_t process) {
    int status = 0;
    ::waitpid(process, &status, 0);
    return {WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status),
            read_text(folder_.path / "stdout"), read_text(folder_.path / "stderr")};
  }
  Result run(const std::vector<std::string>& words) { return wait(start(words)); }

  std::vector<std::string> sweep(const std::string& epochs, const std::string& ranks) const {
    return {"sweep",
            "--model",
            (folder_.path / "tiny").string(),
            "--data",
            (folder_.path / "data").string(),
            "--task",
            "sst2",
            "--method",
            "lora",
            "--lr",
            "1e-2",
            "--max-length",
            "16",
            "--batch",
            "8",
            "--rank",
            ranks,
            "--epochs",
            epochs,
            "--out",
            (folder_.path / "out").string()};
  }

  std::vector<fs::path> finished() const {
    std::vector<fs::path> found;
    std::error_code failure;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path / "out", failure))
      if (entry.path().filename() == "run.json") found.push_back(entry.path());
    return found;
  }

  /// Whether it happens within a minute, by what processes do below the test's folder.
  template <class Condition>
  bool happens(const Condition& condition) const {
    return FolderEvents(folder_.path).bring(condition);
  }

  /// The processes whose parent is this one.
  static std::vector<pid_t> children(pid_t parent) {
    std::vector<pid_t> found;
    const std::string file =
        "/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) + "/children";
    std::istringstream text(fs::exists(file) ? read_text(file) : "");
    for (pid_t child; text >> child;) found.push_back(child);
    return found;
  }

  TemporaryFolder folder_;
  fs::path program_;
};

}  // namespace rankfold
