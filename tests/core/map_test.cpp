#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <string>

#include "core/base/files.h"
#include "source_paths.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

/// Whether `path` is in the tree, or the program that its source makes; a star stands for the end
/// of a name.
bool is_there(const fs::path& path) {
  const std::string name = path.filename().string();
  const std::size_t star = name.find_first_of("*<");
  if (star == std::string::npos) return fs::exists(path) || fs::exists(path.string() + ".cpp");
  if (!fs::is_directory(path.parent_path())) return false;
  for (const auto& entry : fs::directory_iterator(path.parent_path()))
    if (entry.path().filename().string().starts_with(name.substr(0, star))) return true;
  return false;
}

TEST(Map, NamesNoFileOrRoomThatIsNotThere) {
  const fs::path source = RANKFOLD_SOURCE_DIR;
  const std::regex path(
      "`((?:core|decompositions|experiments|analysis|tests|benchmarks|examples|cmake|scripts)"
      "/[^` ]*)`");
  int found = 0;
  for (const char* page :
       {"README.md", "docs/architecture.md", "docs/performance.md", "docs/adding-a-method.md",
        "docs/commands.md", "docs/papers.md", "docs/peft.md", "docs/library.md"}) {
    const std::string text = read_text(source / page, std::size_t{1} << 22);
    for (std::sregex_iterator match(text.begin(), text.end(), path), end; match != end; ++match) {
      ++found;
      EXPECT_TRUE(is_there(source / (*match)[1].str())) << page << " names " << (*match)[1].str();
    }
  }
  EXPECT_GT(found, 60);
}

}  // namespace
}  // namespace rankfold
