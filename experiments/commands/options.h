#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace rankfold {

/// One option of a command; the same table drives parsing, --help and sweep files.
struct Option {
  std::string name;      ///< without the dashes
  std::string value;     ///< placeholder in --help; "": a flag
  std::string fallback;  ///< default as text, for --help; "": none
  std::string meaning;
  bool required = false;
  bool several = false;    ///< may be repeated and take several values
  bool repeated = false;   ///< may be repeated, one value each time
  std::string alone = {};  ///< the value where it stands without one ("=" brings another)
};

/// An argument without a name: "NAME".
struct Positional {
  std::string name;
  bool required = true;
  bool several = false;  ///< more may follow the last one
};

/// What a command was given.
class Arguments {
 public:
  Arguments(std::map<std::string, std::vector<std::string>> values,
            std::vector<std::string> positionals)
      : values_(std::move(values)), positionals_(std::move(positionals)) {}

  bool has(const std::string& name) const { return values_.contains(name); }
  /// Of the options that were given.
  std::vector<std::string> names() const;
  /// The value, or `fallback` where the option was not given.
  std::string text(const std::string& name, const std::string& fallback = "") const;
  /// A positive whole number. Throws UsageError naming the option.
  std::size_t count(const std::string& name, std::size_t fallback) const;
  /// A finite number. Throws UsageError naming the option.
  double number(const std::string& name, double fallback) const;
  /// All values of an option that may stand several times.
  std::vector<std::string> texts(const std::string& name) const;
  /// "key=value" pairs of an option; throws UsageError for one without '=' or a repeated key.
  std::map<std::string, std::string> pairs(const std::string& name) const;
  const std::vector<std::string>& positionals() const { return positionals_; }
  std::string positional(std::size_t index) const;

 private:
  std::map<std::string, std::vector<std::string>> values_;
  std::vector<std::string> positionals_;
};

/// Parses with Boost.Program_options: "--name value" and "--name=value", no abbreviations; an
/// option with a meaning of its own takes a value behind "=" only. Throws
/// UsageError for an unknown option (with the nearest one), one given twice, one without its value
/// or with an empty one, a missing required one, and a wrong number of positionals.
Arguments parse_arguments(const std::string& command, const std::vector<Option>& options,
                          const std::vector<Positional>& positionals,
                          const std::vector<std::string>& arguments);

/// The table as lines of --help.
std::string describe_options(const std::vector<Option>& options);

}  // namespace rankfold
