#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>

#include "core/base/files.h"
#include "source_paths.h"

namespace rankfold {
namespace {

/// What a plug-in or a program finds in a prefix: the headers that cmake/install.cmake lists.
TEST(InstalledHeaders, IncludeOnlyInstalledOnes) {
  const std::filesystem::path source = RANKFOLD_SOURCE_DIR;
  const std::string list = read_text(source / "cmake" / "install.cmake");
  const std::regex path(R"((core|decompositions)/[a-z_0-9/]+\.h)");
  std::set<std::string> installed;
  for (std::sregex_iterator found(list.begin(), list.end(), path), end; found != end; ++found)
    installed.insert(found->str());
  EXPECT_GT(installed.size(), 20U);
  for (const std::string& header : installed) {
    std::ifstream file(source / header);
    ASSERT_TRUE(file.is_open()) << header;
    for (std::string line; std::getline(file, line);) {
      if (!line.starts_with("#include \"")) continue;
      const std::string included = line.substr(10, line.find('"', 10) - 10);
      EXPECT_TRUE(installed.contains(included)) << header << " includes " << included;
    }
  }
}

}  // namespace
}  // namespace rankfold
