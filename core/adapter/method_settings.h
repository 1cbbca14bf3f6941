#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace rankfold {

/// A key of `--set` that a method understands.
struct MethodOption {
  std::string name;
  std::string fallback;              ///< the default, as text
  std::vector<std::string> choices;  ///< empty: free text (number, shape)
  std::string meaning;
};

/// A published set-up: values for alpha and options by name, with their source.
struct Preset {
  std::string name, source;
  std::map<std::string, std::string> values;  ///< "alpha" or option names
};

/// What the user chose for a method; options already completed with the defaults.
struct MethodSettings {
  std::size_t rank = 0;  ///< the largest where every mode has its own
  double alpha = 0;
  std::map<std::string, std::string> options;
  std::vector<std::size_t> ranks = {};  ///< one a mode of Method::rank_modes

  const std::string& text(const std::string& option) const;
  double number(const std::string& option) const;
  std::size_t count(const std::string& option) const;               ///< a positive integer
  bool flag(const std::string& option) const;                       ///< true | false
  std::vector<std::size_t> shape(const std::string& option) const;  ///< "8,12,8,8"; empty text: {}
};

/// What a user asks for, as given.
struct MethodRequest {
  std::string rank;  ///< empty where the method has none
  std::optional<double> alpha;
  std::string preset;
  std::map<std::string, std::string> options;
};

/// alpha / rank, or alpha / sqrt(rank) where the option rslora is true.
double alpha_over_rank(const MethodSettings& settings, std::size_t rank);

}  // namespace rankfold
