#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "source_paths.h"

// Dependencies point one way:
//   core: base <- device <- linalg <- network <- adapter <- contract, reach, fit
//   core <- decompositions <- experiments; core, experiments/runs <- analysis <- the command line
//   experiments: tasks <- runs; models; runs, models <- adapter_files <- training <- sweep, bench
//     <- commands; training also includes tokenizers and analysis/logs
//   analysis: drawings, logs, statistics, published <- figures <- tables <- report

namespace rankfold {
namespace {

using Rooms = std::set<std::string>;

/// All that the lists hold.
Rooms join(std::initializer_list<Rooms> lists) {
  Rooms all;
  for (const Rooms& list : lists) all.insert(list.begin(), list.end());
  return all;
}

/// By room, the rooms that it may include.
const std::map<std::string, Rooms>& allowed() {
  static const std::map<std::string, Rooms> rooms = [] {
    const Rooms base = {"core/base"};
    const Rooms device = join({base, {"core/device"}});
    const Rooms linalg = join({device, {"core/linalg"}});
    const Rooms network = join({linalg, {"core/network"}});
    const Rooms adapter = join({network, {"core/adapter"}});
    const Rooms core = join({adapter, {"core", "core/contract", "core/reach", "core/fit"}});
    const Rooms methods = join({core, {"decompositions"}});
    const Rooms runs = join({core, {"experiments/tasks", "experiments/runs"}});
    const Rooms logs = join({runs, {"analysis/logs"}});
    const Rooms figures = join(
        {logs,
         {"analysis/statistics", "analysis/drawings", "analysis/published", "analysis/figures"}});
    const Rooms analysis = join({figures, {"analysis/tables", "analysis/report"}});
    const Rooms blocks = join({methods, {"experiments/models", "experiments/models/blocks"}});
    const Rooms models = join({blocks, {"experiments/models/families"}});
    const Rooms files = join({models, runs, {"experiments/adapter_files"}});
    const Rooms tokenizers =
        join({core,
              {"experiments/tokenizers", "experiments/tokenizers/decoders",
               "experiments/tokenizers/models", "experiments/tokenizers/normalizers",
               "experiments/tokenizers/splitters"}});
    const Rooms training = join({files, logs, {"experiments/tokenizers", "experiments/training"}});
    const Rooms sweep = join({training, analysis, {"experiments/sweep"}});
    const Rooms bench = join({training, {"experiments/bench"}});
    return std::map<std::string, Rooms>{
        {"core", adapter},
        {"core/base", base},
        {"core/device", device},
        {"core/linalg", linalg},
        {"core/network", network},
        {"core/adapter", adapter},
        {"core/contract", join({adapter, {"core/contract"}})},
        {"core/reach", join({adapter, {"core/reach"}})},
        {"core/fit", join({adapter, {"core/fit"}})},
        {"decompositions", join({adapter, {"core", "decompositions"}})},
        {"analysis/logs", logs},
        {"analysis/parquet", join({runs, {"analysis/parquet"}})},
        {"analysis/statistics", join({runs, {"analysis/statistics"}})},
        {"analysis/drawings", join({core, {"analysis/drawings"}})},
        {"analysis/published", join({runs, {"analysis/published"}})},
        {"analysis/figures", figures},
        {"analysis/tables", join({figures, {"analysis/tables"}})},
        {"analysis/report", analysis},
        {"experiments/tokenizers", tokenizers},
        {"experiments/tokenizers/decoders", tokenizers},
        {"experiments/tokenizers/models", tokenizers},
        {"experiments/tokenizers/normalizers", tokenizers},
        {"experiments/tokenizers/splitters", tokenizers},
        {"experiments/tasks", join({core, {"experiments/tasks"}})},
        {"experiments/runs", runs},
        {"experiments/models", models},
        {"experiments/models/blocks", blocks},
        {"experiments/models/families", models},
        {"experiments/adapter_files", files},
        {"experiments/training", training},
        {"experiments/sweep", sweep},
        {"experiments/bench", bench},
        {"experiments/commands", join({sweep, bench, {"experiments/commands"}})},
    };
  }();
  return rooms;
}

TEST(Rooms, AreAllKnown) {
  const std::filesystem::path source = RANKFOLD_SOURCE_DIR;
  for (const char* top : {"core", "decompositions", "experiments", "analysis"})
    for (const auto& entry : std::filesystem::recursive_directory_iterator(source / top)) {
      if (entry.path().extension() != ".h" && entry.path().extension() != ".cpp") continue;
      const std::string room = entry.path().parent_path().lexically_relative(source).string();
      EXPECT_TRUE(allowed().contains(room) || room == "experiments") << entry.path();
    }
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

TEST(Rooms, HaveNoFileOfMoreThan400Lines) {
  const std::filesystem::path source = RANKFOLD_SOURCE_DIR;
  Rooms longer;
  for (const char* top : {"core", "decompositions", "experiments", "analysis"})
    for (const auto& entry : std::filesystem::recursive_directory_iterator(source / top)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path());
      int lines = 0;
      for (std::string line; std::getline(file, line);) ++lines;
      if (lines > 400) longer.insert(entry.path().lexically_relative(source).string());
    }
  EXPECT_EQ(longer, Rooms());
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
