#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/adapter/method.h"
#include "core/adapter/wrapper.h"

namespace rankfold {

/// An explicit table of methods by name; a value that tests copy and extend.
class Registry {
 public:
  /// A wrapper of that name alone is the wrapper over lora, as its paper has it.
  explicit Registry(std::vector<Method> methods, std::vector<Wrapper> wrappers = {});
  /// Throws Error naming the method and what it lacks: a name that is taken or is no word of
  /// letters, digits, '-' and '_', no declare, an option or preset that cannot be set.
  void add(Method method);
  /// The same for a wrapper and the method that it is over lora.
  void add(Wrapper wrapper);
  /// A method, or `wrapper(method)`, nested up to most_wrappers deep. Throws UsageError naming the
  /// nearest one.
  const Method& at(std::string_view name) const&;
  Method at(std::string_view name) && { return std::as_const(*this).at(name); }
  /// Sorted by name. A temporary registry gives values, so that no reference outlives it.
  const std::vector<Method>& methods() const& { return methods_; }
  std::vector<Method> methods() && { return std::move(methods_); }
  std::vector<std::string> names() const;

  const std::vector<Wrapper>& wrappers() const& { return wrappers_; }

 private:
  std::vector<Method> methods_;
  std::vector<Wrapper> wrappers_;
  mutable std::map<std::string, Method, std::less<>> composed_;
};

}  // namespace rankfold
