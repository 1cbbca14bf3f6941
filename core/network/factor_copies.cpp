#include "core/network/factor_copies.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/error.h"

namespace rankfold {
namespace {

bool has_shape(const Factor& factor, const std::vector<std::size_t>& shape) {
  return std::ranges::equal(factor.modes, shape, {}, &Mode::size);
}

std::vector<std::size_t> shape_of(const Factor& factor) {
  std::vector<std::size_t> shape;
  shape.reserve(factor.modes.size());
  for (const Mode& mode : factor.modes) shape.push_back(mode.size);
  return shape;
}

std::optional<std::size_t> size_of(const std::vector<std::size_t>& shape) {
  std::size_t size = 1;
  for (const std::size_t extent : shape)
    if (__builtin_mul_overflow(size, extent, &size)) return std::nullopt;
  return size;
}

/// Which of an owner kind's owners the site has.
std::size_t owner_of(Owner owner, std::size_t layer, MatrixType matrix) {
  switch (owner) {
    case Owner::layer:
      return layer;
    case Owner::matrix:
      return static_cast<std::size_t>(matrix);
    case Owner::model:
    case Owner::site:
      break;
  }
  return 0;
}

}  // namespace

void FactorCopies::add(const Site& site, const Declaration& declaration) {
  users_.push_back({site.name, site.layer, site.matrix, {}});
  for (const Stage& stage : declaration.stages)
    for (const Term& term : stage.network.terms) add_product(term.product);
  if (declaration.normalisation)
    for (const Factor& magnitude : declaration.normalisation->magnitudes) add_factor(magnitude);
}

void FactorCopies::add_product(const std::vector<Operand>& product) {
  for (const Operand& operand : product) {
    if (const auto* block = std::get_if<Block>(&operand))
      add_product(block->product);
    else
      add_factor(std::get<Factor>(operand));
  }
}

void FactorCopies::add_factor(const Factor& factor) {
  User& user = users_.back();
  if (const std::optional<std::size_t> known = find(factor)) {
    const FactorCopy& copy = copies_[*known];
    if (!has_shape(factor, copy.shape))
      throw UsageError(
          "[{}] sites {} and {} share factor '{}' but need unequal shapes: {} and {}; choose "
          "targets of one shape",
          method_, users_[copy.first_user].site, user.site, factor.name, fmt::join(copy.shape, "x"),
          fmt::join(shape_of(factor), "x"));
    if (std::ranges::find(user.copies, *known) == user.copies.end()) user.copies.push_back(*known);
    return;
  }
  std::vector<std::size_t> shape = shape_of(factor);
  const std::optional<std::size_t> size = size_of(shape);
  user.copies.push_back(copies_.size());
  if (factor.owner != Owner::site)
    shared_.push_back({owner_of(factor.owner, user.layer, user.matrix), copies_.size()});
  copies_.push_back({factor.name, std::move(shape), size, factor.owner, factor.trainable,
                     factor.storage, factor.initialiser, users_.size() - 1});
}

/// The copy that the last site shares with others or has named before.
std::optional<std::size_t> FactorCopies::find(const Factor& factor) const {
  const User& user = users_.back();
  if (factor.owner == Owner::site) {
    for (const std::size_t copy : user.copies)
      if (copies_[copy].factor == factor.name) return copy;
    return std::nullopt;
  }
  const std::size_t owner = owner_of(factor.owner, user.layer, user.matrix);
  for (const Shared& shared : shared_) {
    if (shared.owner != owner) continue;
    const FactorCopy& copy = copies_[shared.copy];
    if (copy.owner == factor.owner && copy.factor == factor.name) return shared.copy;
  }
  return std::nullopt;
}

std::size_t FactorCopies::number(const Factor& factor, std::size_t site) const {
  const User& user = users_.at(site);
  for (const std::size_t copy : user.copies)
    if (copies_[copy].factor == factor.name) return copy;
  throw Error("[{}] site {}: has no factor '{}'", method_, user.site, factor.name);
}

std::string FactorCopies::key(std::size_t copy) const {
  const User& user = users_[copies_.at(copy).first_user];
  switch (copies_[copy].owner) {
    case Owner::model:
      return "";
    case Owner::layer:
      return std::to_string(user.layer);
    case Owner::matrix:
      return std::string(to_string(user.matrix));
    case Owner::site:
      return user.site;
  }
  return "";
}

std::string FactorCopies::name(std::size_t copy) const {
  const std::string owner = key(copy);
  return owner.empty() ? copies_[copy].factor : copies_[copy].factor + "." + owner;
}

std::size_t FactorCopies::trainable_size() const {
  std::size_t total = 0;
  for (const FactorCopy& copy : copies_) {
    if (!copy.size)
      throw Error("[{}] factor '{}' has more numbers than can be counted", method_, copy.factor);
    if (copy.trainable && __builtin_add_overflow(total, *copy.size, &total))
      throw Error("[{}] has more parameters than can be counted", method_);
  }
  return total;
}

}  // namespace rankfold
