#pragma once

#include <string>
#include <vector>

#include "core/adapter/registry.h"

namespace rankfold {

/// A file of the page, by its path below the page's folder.
struct PageFile {
  std::string path, text;
};

/// The page on all methods of a registry: methods.md, and methods/NAME.svg with the network of each
/// (network_diagram). All of it follows from the registry: texts, options and presets as the method
/// has them, its factors and counts on RoBERTa-base and Llama-2-7B, and what the planner predicts a
/// layer to cost at nominal_rates, so that its bytes are the same on every machine. Where a method
/// refuses a model, its message stands in place of the count.
std::vector<PageFile> methods_page(const Registry& registry);

}  // namespace rankfold
