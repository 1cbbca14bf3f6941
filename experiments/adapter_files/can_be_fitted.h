#pragma once

#include <filesystem>
#include <memory>

#include "core/adapter/registry.h"
#include "experiments/adapter_files/adapter_folder.h"

namespace rankfold {

/// Throws Error or UsageError where no adapter of the method and the settings can be fitted to the
/// updates of `adapter`: a method without a rank, one that is more than a sum of products, acts on
/// activations or has frozen factors that follow from the weights; alpha 0.
void check_can_be_fitted(const AdapterDescription& description, const DescribedMethod& described,
                         const Adapter<float>& adapter,
                         const std::shared_ptr<const Device>& device);

/// Throws as check_can_be_fitted where no adapter of the folder's method can be fitted again,
/// before a base model is asked for. A folder that does not tell its weights by itself passes.
void check_compresses(const std::filesystem::path& folder, const Registry& registry,
                      std::shared_ptr<const Device> device);

}  // namespace rankfold
