#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/network/network.h"
#include "core/network/stack.h"

namespace rankfold {

/// What copies of a factor that are alike have in common.
struct FactorForm {
  std::string factor;  ///< its name in the declarations
  std::vector<std::size_t> shape;
  std::optional<std::size_t>
      size;  ///< numbers of one copy; nothing where 64 bits cannot count them
  Owner owner = Owner::site;
  bool trainable = true;
  Storage storage = Storage::file;
  Initialiser initialiser = {};
  std::size_t copies = 0;
};

/// The table of all copies of a method's factors over some sites: a site's own, or one for all
/// sites of an owner. Whatever keeps something for each copy (values, sizes, columns of a Jacobian)
/// numbers it as this table does: in the order in which the sites' terms, then their magnitudes,
/// name them.
class FactorCopies {
 public:
  /// `method` is named by errors.
  explicit FactorCopies(std::string method) : method_(std::move(method)) {}

  /// The next site, which outlives the table, with factors whose names check_factors holds apart.
  /// Throws UsageError naming both sites where it shares a factor that has another shape there.
  void add(const Site& site, const Declaration& declaration);

  std::size_t size() const { return copies_.size(); }
  const FactorForm& form(std::size_t copy) const { return forms_[copies_.at(copy).form]; }
  /// The first site that reads the copy, by the position in which it was added.
  std::size_t first_user(std::size_t copy) const { return copies_.at(copy).first_user; }
  /// What tells the copies of a factor apart: "" of the model, a layer, a matrix type, or the
  /// site's name.
  std::string key(std::size_t copy) const;
  /// "<factor>" where the model owns it, else "<factor>.<key>": its name in adapters and files.
  std::string name(std::size_t copy) const;

  /// The copies that a site reads, each once.
  std::span<const std::size_t> of_site(std::size_t site) const;
  /// The copy of a factor of the site's declaration.
  std::size_t number(const Factor& factor, std::size_t site) const;

  /// In the order of their first copies.
  const std::vector<FactorForm>& forms() const { return forms_; }
  /// Numbers to train. Throws Error where they or those of a factor are more than can be counted.
  std::size_t trainable_size() const;

 private:
  struct Copy {
    std::size_t form, first_user;
  };
  struct User {
    const Site* site;
    std::size_t first_read;  ///< in `reads_`
  };
  /// A copy that several sites may read: the layer or matrix type that owns it, else 0.
  struct Shared {
    std::size_t owner, copy;
  };

  void add_product(const std::vector<Operand>& product);
  void add_factor(const Factor& factor);
  std::size_t find_form(const Factor& factor);
  std::optional<std::size_t> find_copy(const Factor& factor) const;

  std::string method_;
  std::vector<FactorForm> forms_;
  std::vector<Copy> copies_;
  std::vector<User> users_;
  std::vector<std::size_t> reads_;  ///< copies by site, one site after the other
  std::vector<Shared> shared_;
};

}  // namespace rankfold
