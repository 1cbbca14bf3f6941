#pragma once

#include <cstdint>
#include <memory>

#include "core/adapter/method.h"
#include "core/fit/update_source.h"

namespace rankfold {

/// The method with maps around the weight written as updates beside it.
Method as_updates(const Method& method);

/// An adapter of such a method, its frozen factors drawn: by the source's frozen weights where
/// these enter. Throws UsageError where they do and the source does not know them.
template <class T>
std::unique_ptr<Adapter<T>> make_adapter_to_fit(const Method& method, const Stack& stack,
                                                const MethodSettings& settings,
                                                const UpdateSource<T>& source, std::uint64_t seed,
                                                std::shared_ptr<const Device> device);

}  // namespace rankfold
