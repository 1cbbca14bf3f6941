#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "core/base/files.h"
#include "decompositions/registry.h"
#include "source_paths.h"

namespace rankfold {
namespace {

/// README.md says: "in one file, half of them of fewer than 50 lines, none of more than 110".
TEST(FilesOfMethods, AreAsLongAsTheReadmeSays) {
  std::vector<std::ptrdiff_t> lines;
  for (const std::string& name : builtin_registry().names()) {
    const std::filesystem::path file =
        std::filesystem::path(RANKFOLD_SOURCE_DIR) / "decompositions" / (name + ".cpp");
    const std::string text = read_text(file);
    lines.push_back(std::ranges::count(text, '\n'));
    EXPECT_LE(lines.back(), 110) << name;
  }
  std::ranges::sort(lines);
  EXPECT_LT(lines[lines.size() / 2], 50);
}

}  // namespace
}  // namespace rankfold
