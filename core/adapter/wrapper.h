#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "core/adapter/method.h"

namespace rankfold {

/// Changes the weight update of another method: `dora(lotr)` is the wrapper dora over lotr.
struct Wrapper {
  std::string name;
  std::string summary;
  std::string formula;  ///< of W', with dW for the other method's update
  std::string reference;
  std::vector<MethodOption> options = {};
  /// Changes the declaration of one site, which is a plain weight update.
  std::function<void(Declaration&, const Site&, const MethodSettings&)> wrap;
};

/// The method `wrapper(inner)`. Its declarations throw UsageError where `inner` is no plain weight
/// update or trains by truncation; so does this where both have an option of one name.
Method compose(const Wrapper& wrapper, const Method& inner);

/// The most wrappers over one method.
inline constexpr std::size_t most_wrappers = 8;

}  // namespace rankfold
