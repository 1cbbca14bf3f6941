#include "core/network.h"

#include <algorithm>

#include "core/error.h"

namespace rankfold {

Declaration weight_update(Network network) {
  Declaration declaration;
  declaration.stages.push_back({std::move(network), Activation::none});
  return declaration;
}

bool is_sum_of_products(const Declaration& declaration) {
  return declaration.place == Place::beside && declaration.stages.size() == 1 &&
         declaration.stages.front().activation == Activation::none &&
         std::ranges::none_of(declaration.stages.front().network.terms, &Term::constant);
}

Block tensor_train(const std::string& prefix, const std::vector<std::size_t>& shape,
                   std::size_t rank, const std::vector<Mode>& as,
                   const std::vector<Initialiser>& initialisers, Owner owner,
                   const std::string& what) {
  std::size_t expected = 1, given = 1;
  for (const Mode& mode : as) expected *= mode.size;
  for (const std::size_t size : shape)
    if (__builtin_mul_overflow(given, size, &given)) given = 0;
  if (shape.empty() || given != expected)
    throw UsageError("{}: the product of the shape {} is {}, expected {}", what,
                     fmt::join(shape, ","), given, expected);
  Block train;
  train.as = as;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const auto bond = [&](std::size_t border) {
      return Mode{fmt::format("{}_bond{}", prefix, border),
                  border == 0 || border == shape.size() ? 1 : rank};
    };
    const Mode mode{fmt::format("{}_mode{}", prefix, i + 1), shape[i]};
    train.modes.push_back(mode);
    train.product.push_back(Factor{
        fmt::format("{}{}", prefix, i + 1), {bond(i), mode, bond(i + 1)}, initialisers[i], owner});
  }
  return train;
}

}  // namespace rankfold
