#include "core/adapter/wrapper.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/error.h"

namespace rankfold {
namespace {

void expect_plain_update(const std::string& wrapper, const std::string& inner,
                         const Declaration& declaration) {
  if (!is_sum_of_products(declaration) || declaration.normalisation)
    throw UsageError("[{}] changes weight updates that are sums of products, which {} is not",
                     wrapper, inner);
}

}  // namespace

Method compose(const Wrapper& wrapper, const Method& inner) {
  Method method = inner;
  method.is_reference = false;
  method.name = fmt::format("{}({})", wrapper.name, inner.name);
  method.summary = fmt::format("{}, over {}: {}", wrapper.summary, inner.name, inner.summary);
  method.formula = fmt::format("{}; {}", wrapper.formula, inner.formula);
  method.reference = fmt::format("{}; {}", wrapper.reference, inner.reference);
  for (const MethodOption& option : wrapper.options) {
    if (std::ranges::find(inner.options, option.name, &MethodOption::name) != inner.options.end())
      throw UsageError("[{}] cannot go over {}: both have an option '{}'", wrapper.name, inner.name,
                       option.name);
    method.options.push_back(option);
  }
  method.declare = [name = method.name, inner_name = inner.name, declare = inner.declare,
                    wrap = wrapper.wrap, by_steps = static_cast<bool>(inner.truncation)](
                       const Site& site, const Stack& stack, const MethodSettings& settings) {
    if (by_steps)
      throw UsageError("[{}] changes weight updates that train by their gradients, which {} is not",
                       name, inner_name);
    Declaration declaration = declare(site, stack, settings);
    expect_plain_update(name, inner_name, declaration);
    wrap(declaration, site, settings);
    return declaration;
  };
  return method;
}

}  // namespace rankfold
