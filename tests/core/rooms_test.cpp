#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "source_paths.h"

// Dependencies point one way: core <- decompositions <- experiments, core <- analysis <- the
// command line. Inside experiments: tokenizers, tasks, models <- training <- sweep, bench <-
// commands; core <- core/fit <- sweep, bench, commands.

namespace rankfold {
namespace {

const std::map<std::string, std::set<std::string>>& allowed() {
  static const std::map<std::string, std::set<std::string>> rooms = {
      {"core", {"core"}},
      {"decompositions", {"core", "decompositions"}},
      {"core/fit", {"core", "core/fit"}},
      {"analysis", {"core", "analysis"}},
      {"analysis/parquet", {"core", "analysis", "analysis/parquet"}},
      {"experiments/tokenizers", {"core", "experiments/tokenizers"}},
      {"experiments/tasks", {"core", "experiments/tasks"}},
      {"experiments/models", {"core", "decompositions", "experiments/models"}},
      {"experiments/training",
       {"core", "core/fit", "decompositions", "analysis", "experiments/tokenizers",
        "experiments/tasks", "experiments/models", "experiments/training"}},
      {"experiments/sweep",
       {"core", "core/fit", "decompositions", "analysis", "experiments/tokenizers",
        "experiments/tasks", "experiments/models", "experiments/training", "experiments/sweep"}},
      {"experiments/bench",
       {"core", "core/fit", "decompositions", "experiments/models", "experiments/training",
        "experiments/bench"}},
      {"experiments/commands",
       {"core", "core/fit", "decompositions", "analysis", "experiments/tokenizers",
        "experiments/tasks", "experiments/models", "experiments/training", "experiments/sweep",
        "experiments/bench", "experiments/commands"}},
  };
  return rooms;
}

TEST(Rooms, IncludeOnlyWhatLiesBelowThem) {
  const std::filesystem::path source = RANKFOLD_SOURCE_DIR;
  int files = 0;
  for (const auto& [room, may_include] : allowed())
    for (const auto& entry : std::filesystem::directory_iterator(source / room)) {
      if (entry.path().extension() != ".h" && entry.path().extension() != ".cpp") continue;
      ++files;
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) {
        if (!line.starts_with("#include \"")) continue;
        const std::string included = line.substr(10, line.find('"', 10) - 10);
        const std::string folder = included.substr(0, included.rfind('/'));
        EXPECT_TRUE(may_include.contains(folder)) << entry.path() << " includes " << included;
      }
    }
  EXPECT_GT(files, 50);
}

/// Two types of one name in one program are undefined: the linker keeps one of their functions.
TEST(Rooms, DefineNoTypeOfAnothersName) {
  const std::filesystem::path source = RANKFOLD_SOURCE_DIR;
  std::map<std::string, std::filesystem::path> types;
  for (const auto& [room, may_include] : allowed())
    for (const auto& entry : std::filesystem::directory_iterator(source / room)) {
      if (entry.path().extension() != ".h") continue;
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string kind, name;
        words >> kind >> name;
        if (kind == "enum") words >> name;
        const bool is_type = line.starts_with("struct ") || line.starts_with("class ") ||
                             line.starts_with("enum class ");
        if (!is_type || line.ends_with(';')) continue;
        const auto [known, is_new] = types.emplace(name, entry.path());
        EXPECT_TRUE(is_new) << name << " in " << entry.path() << " and " << known->second;
      }
    }
  EXPECT_GT(types.size(), 100U);
}

}  // namespace
}  // namespace rankfold
