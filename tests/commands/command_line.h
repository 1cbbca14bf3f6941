#pragma once

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "experiments/commands/command.h"

namespace rankfold {

/// What a call of the command line gave.
struct Outcome {
  int status = 0;
  std::string out, err;
  nlohmann::json json() const { return nlohmann::json::parse(out); }
  std::size_t error_lines() const {
    return static_cast<std::size_t>(std::ranges::count(err, '\n'));
  }
};

inline Outcome call(const std::vector<std::string>& words) {
  std::ostringstream out, err;
  const int status = run_command(words, out, err);
  return {status, out.str(), err.str()};
}

/// The same from one line without quoting.
inline Outcome call(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return call(words);
}

}  // namespace rankfold
