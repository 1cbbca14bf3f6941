#include "core/network/factor_copies.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/error.h"

namespace rankfold {
namespace {

bool has_shape(const Factor& factor, const std::vector<std::size_t>& shape) {
  return std::ranges::equal(factor.modes, shape, {}, &Mode::size);
}

bool is_of(const Factor& factor, const FactorForm& form) {
  return form.factor == factor.name && has_shape(factor, form.shape) &&
         form.owner == factor.owner && form.trainable == factor.trainable &&
         form.storage == factor.storage && form.initialiser == factor.initialiser;
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

/// Which of the owners of a kind the site has.
std::size_t owner_of(Owner owner, const Site& site) {
  switch (owner) {
    case Owner::layer:
      return site.layer;
    case Owner::matrix:
      return static_cast<std::size_t>(site.matrix);
    case Owner::model:
    case Owner::site:
      break;
  }
  return 0;
}

}  // namespace

void FactorCopies::add(const Site& site, const Declaration& declaration) {
  users_.push_back({&site, reads_.size()});
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
  const User& user = users_.back();
  if (const std::optional<std::size_t> known = find_copy(factor)) {
    const std::vector<std::size_t>& shape = form(*known).shape;
    if (!has_shape(factor, shape))
      throw UsageError(
          "[{}] sites {} and {} share factor '{}' but need unequal shapes: {} and {}; choose "
          "targets of one shape",
          method_, users_[first_user(*known)].site->name, user.site->name, factor.name,
          fmt::join(shape, "x"), fmt::join(shape_of(factor), "x"));
    const auto here = of_site(users_.size() - 1);
    if (std::ranges::find(here, *known) == here.end()) reads_.push_back(*known);
    return;
  }
  reads_.push_back(copies_.size());
  if (factor.owner != Owner::site)
    shared_.push_back({owner_of(factor.owner, *user.site), copies_.size()});
  const std::size_t form = find_form(factor);
  ++forms_[form].copies;
  copies_.push_back({form, users_.size() - 1});
}

std::size_t FactorCopies::find_form(const Factor& factor) {
  for (std::size_t form = 0; form < forms_.size(); ++form)
    if (is_of(factor, forms_[form])) return form;
  std::vector<std::size_t> shape = shape_of(factor);
  const std::optional<std::size_t> size = size_of(shape);
  forms_.push_back({factor.name, std::move(shape), size, factor.owner, factor.trainable,
                    factor.storage, factor.initialiser});
  return forms_.size() - 1;
}

/// The copy that the last site shares with others or has named before.
std::optional<std::size_t> FactorCopies::find_copy(const Factor& factor) const {
  if (factor.owner == Owner::site) {
    for (const std::size_t copy : of_site(users_.size() - 1))
      if (form(copy).factor == factor.name) return copy;
    return std::nullopt;
  }
  const std::size_t owner = owner_of(factor.owner, *users_.back().site);
  for (const Shared& shared : shared_) {
    if (shared.owner != owner) continue;
    const FactorForm& known = form(shared.copy);
    if (known.owner == factor.owner && known.factor == factor.name) return shared.copy;
  }
  return std::nullopt;
}

std::span<const std::size_t> FactorCopies::of_site(std::size_t site) const {
  const std::size_t begin = users_.at(site).first_read,
                    end = site + 1 < users_.size() ? users_[site + 1].first_read : reads_.size();
  return std::span(reads_).subspan(begin, end - begin);
}

std::size_t FactorCopies::number(const Factor& factor, std::size_t site) const {
  for (const std::size_t copy : of_site(site))
    if (form(copy).factor == factor.name) return copy;
  throw Error("[{}] site {}: has no factor '{}'", method_, users_[site].site->name, factor.name);
}

std::string FactorCopies::key(std::size_t copy) const {
  const Site& site = *users_[first_user(copy)].site;
  switch (form(copy).owner) {
    case Owner::model:
      return "";
    case Owner::layer:
      return std::to_string(site.layer);
    case Owner::matrix:
      return std::string(to_string(site.matrix));
    case Owner::site:
      return site.name;
  }
  return "";
}

std::string FactorCopies::name(std::size_t copy) const {
  const std::string owner = key(copy);
  return owner.empty() ? form(copy).factor : form(copy).factor + "." + owner;
}

std::size_t FactorCopies::trainable_size() const {
  std::size_t total = 0;
  for (const FactorForm& form : forms_) {
    if (!form.size)
      throw Error("[{}] factor '{}' has more numbers than can be counted", method_, form.factor);
    std::size_t size = 0;
    if (form.trainable && (__builtin_mul_overflow(*form.size, form.copies, &size) ||
                           __builtin_add_overflow(total, size, &total)))
      throw Error("[{}] has more parameters than can be counted", method_);
  }
  return total;
}

}  // namespace rankfold
