#pragma once

#include <filesystem>
#include <set>
#include <string>

#include "core/base/files.h"
#include "core/base/text.h"

namespace rankfold {

/// The methods of the row of docs/commands.md's table of refused methods that names `command`.
inline std::set<std::string> refused_on_page(const std::string& command) {
  const std::string page =
      read_text(std::filesystem::path(RANKFOLD_SOURCE_DIR) / "docs/commands.md");
  std::set<std::string> methods;
  for (const auto& line : split(page.substr(page.find("### Refused methods")), '\n')) {
    const auto cells = split(std::string(line), '|');
    if (cells.size() < 4 || cells[1].find("`" + command + "`") == std::string::npos) continue;
    for (const auto& name : split(std::string(cells[2]), ','))
      methods.emplace(trim(std::string(name)));
    break;
  }
  return methods;
}

}  // namespace rankfold
