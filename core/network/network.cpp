#include "core/network/network.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/network/start.h"

namespace rankfold {

Declaration weight_update(Network network) {
  Declaration declaration;
  declaration.stages.push_back({std::move(network), Activation::none});
  return declaration;
}

namespace {

class FactorCheck {
 public:
  explicit FactorCheck(const std::string& what) : what_(what) {}

  void add(const std::vector<Operand>& product) {
    for (const Operand& operand : product)
      if (const auto* block = std::get_if<Block>(&operand))
        add(block->product);
      else
        add(std::get<Factor>(operand));
  }

  /// A factor may stand in several products, and is the same one everywhere.
  void add(const Factor& factor) {
    const auto known =
        std::ranges::find(seen_, factor.name, [](const Factor* other) { return other->name; });
    if (factor.trainable && factor.storage != Storage::file)
      throw UsageError("{}: factor '{}' is trainable, expected it in the adapter's file", what_,
                       factor.name);
    if (known == seen_.end())
      seen_.push_back(&factor);
    else if (!is_same(**known, factor))
      refuse(factor);
  }

  void add_magnitude(const Factor& factor) {
    if (std::ranges::any_of(seen_, [&](const Factor* other) { return other->name == factor.name; }))
      refuse(factor);
    seen_.push_back(&factor);
  }

 private:
  static bool is_same(const Factor& one, const Factor& other) {
    return std::ranges::equal(one.modes, other.modes, {}, &Mode::size, &Mode::size) &&
           one.initialiser == other.initialiser && one.owner == other.owner &&
           one.trainable == other.trainable && one.storage == other.storage;
  }

  [[noreturn]] void refuse(const Factor& factor) const {
    throw UsageError("{}: two factors are named '{}', expected a name for each", what_,
                     factor.name);
  }

  const std::string& what_;
  std::vector<const Factor*> seen_;
};

}  // namespace

void check_factors(const Declaration& declaration, const std::string& what) {
  FactorCheck check(what);
  for (const Stage& stage : declaration.stages)
    for (const Term& term : stage.network.terms) check.add(term.product);
  if (declaration.normalisation)
    for (const Factor& magnitude : declaration.normalisation->magnitudes)
      check.add_magnitude(magnitude);
}

bool is_sum_of_products(const Declaration& declaration) {
  return declaration.place == Place::beside && declaration.stages.size() == 1 &&
         declaration.stages.front().activation == Activation::none &&
         std::ranges::none_of(declaration.stages.front().network.terms, &Term::constant);
}

bool is_linear(const Declaration& declaration) {
  return std::ranges::all_of(
      declaration.stages, [](const Stage& stage) { return stage.activation == Activation::none; });
}

Declaration beside_weight(Declaration declaration, std::size_t out, std::size_t in) {
  if (declaration.place == Place::beside || declaration.stages.size() != 1 ||
      !is_linear(declaration) || declaration.normalisation)
    return declaration;
  Network& network = declaration.stages.front().network;
  if (std::ranges::any_of(network.terms, &Term::constant)) return declaration;
  // The factor's modes are those that the map and the weight have in common, and its other side.
  const bool after = declaration.place == Place::after;
  const Mode other{"frozen_side", after ? in : out};
  std::vector<Mode> modes = after ? network.in : network.out;
  modes.insert(after ? modes.end() : modes.begin(), other);
  const Factor weight{frozen_factor, std::move(modes), zeros(), Owner::site,
                      false,         Storage::weight};
  for (Term& term : network.terms) term.product.emplace_back(weight);
  (after ? network.in : network.out) = {other};
  declaration.place = Place::beside;
  declaration.start = [own = std::move(declaration.start)](Start& start) {
    if (own) own(start);
    start.set_factor(frozen_factor, start.weight());
  };
  return declaration;
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
