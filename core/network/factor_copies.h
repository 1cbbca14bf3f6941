#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/network/network.h"
#include "core/network/stack.h"

namespace rankfold {

/// One copy of a factor: a site's own, or that of all sites of one owner.
struct FactorCopy {
  std::string factor;  ///< its name in the declarations
  std::vector<std::size_t> shape;
  std::optional<std::size_t> size;  ///< its numbers; nothing where 64 bits cannot count them
  Owner owner = Owner::site;
  bool trainable = true;
  Storage storage = Storage::file;
  Initialiser initialiser = {};
  std::size_t first_user = 0;  ///< the first site that reads it
};

/// The table of all copies of a method's factors over some sites: whatever keeps something for each
/// copy (values, sizes, columns of a Jacobian) numbers it as this table does. Copies are numbered
/// in the order in which the sites' terms, then their magnitudes, name them.
class FactorCopies {
 public:
  /// `method` is named by errors.
  explicit FactorCopies(std::string method) : method_(std::move(method)) {}

  /// The next site, with factors whose names check_factors holds apart. Throws UsageError naming
  /// both sites where it shares a factor that has another shape there.
  void add(const Site& site, const Declaration& declaration);

  const std::vector<FactorCopy>& all() const { return copies_; }
  /// The copies that a site reads, each once, by the position in which the site was added.
  const std::vector<std::size_t>& of_site(std::size_t site) const { return users_.at(site).copies; }
  /// The copy of a factor of the site's declaration.
  std::size_t number(const Factor& factor, std::size_t site) const;

  /// What tells the copies of a factor apart: "" of the model, a layer, a matrix type, or the
  /// site's name.
  std::string key(std::size_t copy) const;
  /// "<factor>" where the model owns it, else "<factor>.<key>": its name in adapters and files.
  std::string name(std::size_t copy) const;
  /// Numbers to train. Throws Error where they or those of a factor are more than can be counted.
  std::size_t trainable_size() const;

 private:
  struct User {
    std::string site;
    std::size_t layer;
    MatrixType matrix;
    std::vector<std::size_t> copies;
  };
  /// A copy that several sites may read: the layer or matrix type that owns it, else 0.
  struct Shared {
    std::size_t owner, copy;
  };

  void add_product(const std::vector<Operand>& product);
  void add_factor(const Factor& factor);
  std::optional<std::size_t> find(const Factor& factor) const;

  std::string method_;
  std::vector<FactorCopy> copies_;
  std::vector<User> users_;
  std::vector<Shared> shared_;
};

}  // namespace rankfold
