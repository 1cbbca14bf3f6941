#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace rankfold {

/// A named index with a size.
struct Mode {
  std::string name;
  std::size_t size = 0;
};

/// How the entries of a factor start. Drawn by position; an orthogonal factor, read as a matrix of
/// its first mode by the others, is `value` times one with orthonormal columns, or rows where there
/// are fewer of them (QR of normal numbers).
struct Initialiser {
  enum class Kind { constant, uniform, normal, orthogonal } kind = Kind::constant;
  double value = 0.0;  ///< the constant, the bound of U(-bound, bound), or the standard deviation

  bool operator==(const Initialiser&) const = default;
};
inline Initialiser zeros() {
  return {};
}
inline Initialiser constant(double value) {
  return {Initialiser::Kind::constant, value};
}
inline Initialiser uniform(double bound) {
  return {Initialiser::Kind::uniform, bound};
}
inline Initialiser normal(double deviation) {
  return {Initialiser::Kind::normal, deviation};
}
inline Initialiser orthogonal(double scale = 1) {
  return {Initialiser::Kind::orthogonal, scale};
}

/// Which sites own a copy of a factor together.
enum class Owner { model, layer, matrix, site };

/// Where the values of a factor are found again: in the adapter's file; drawn as at its start, from
/// the seed and the settings (frozen factors only); or by its start from the frozen weight as well.
enum class Storage { file, seed, weight };

/// A tensor over modes. Sites of one owner share one copy and must agree on its shape.
struct Factor {
  std::string name;  ///< as in the paper
  std::vector<Mode> modes;
  Initialiser initialiser = {};
  Owner owner = Owner::site;
  bool trainable = true;
  Storage storage = Storage::file;
};

/// The value of a stack mode that a site reads: `count` values from `begin`. One value drops the
/// mode; a longer range keeps it, as a split of out or in.
struct Selection {
  std::string mode;
  std::size_t begin = 0, count = 1;
};

struct Block;
using Operand = std::variant<Factor, Block>;

/// A product of operands summed over every mode that is not listed, whose listed modes are read
/// row-major as other modes of equal product (a tensor train over i1 i2 i3 read as in, bottleneck).
/// Where the borders of the two readings nest it is a free reshape of the operands; where they do
/// not, the block is materialised first.
struct Block {
  std::vector<Operand> product;
  std::vector<Mode> modes;  ///< the modes of the product that stay
  std::vector<Mode> as;     ///< how they are read
};

/// scale * product of operands, summed over every mode that is neither out nor in. A mode may stand
/// in any number of operands (CP, diagonals, Hadamard products). A term without any in mode that is
/// marked `constant` is added to every row instead of multiplying X (a bias).
struct Term {
  double scale = 1.0;
  std::vector<Operand> product = {};
  bool constant = false;
};

/// A linear map [out, in] as a sum of terms; `out` and `in` split into modes, row-major. A mode
/// that stands in both makes it diagonal in that mode (a vector times X, entry by entry): after or
/// before a weight alone.
struct Network {
  std::vector<Mode> out, in;
  std::vector<Term> terms;
  std::vector<Selection> select = {};
};

/// Where an adapter acts: dW beside the frozen weight; after it, on its output
/// (y = z + f(z), z = W x + b); before it, on its input (y = W (x + f(x)) + b).
enum class Place { beside, after, before };

enum class Activation { none, relu, gelu, silu, tanh };

/// One step of an adapter's map: x -> activation(network x).
struct Stage {
  Network network;
  Activation activation = Activation::none;
};

/// How W' follows from the frozen W and the update dW of the network where it is not their sum.
/// Norms that are `detached` are constants to the gradient. `magnitudes` belong to the site.
///   rows:              V = W + dW, W'[i,:] = m[i] V[i,:] / |V[i,:]|
///   rows_then_columns: H as W' above, W'[:,j] = n[j] H[:,j] / |H[:,j]|
///   whole:             W' = a W / |W|_F + b dW / |dW|_F
struct Normalisation {
  enum class Kind { rows, rows_then_columns, whole } kind = Kind::rows;
  bool detached = false;
  std::vector<Factor> magnitudes = {};  ///< {m[out]}; {m[out], n[in]}; {a[1], b[1]}
};

class Start;

/// What of the task a start reads, besides the frozen weight: the inputs of the site, or the
/// gradient of its weight, of some batches under the frozen network.
enum class StartSamples { none, inputs, gradient };

/// What a method says about one site: where it acts, and the stages of f, applied in order. A
/// weight update dW is one stage beside the weight; no stage leaves the site as it is.
struct Declaration {
  Place place = Place::beside;
  std::vector<Stage> stages = {};
  std::optional<Normalisation> normalisation = {};
  /// Changes how the site's factors start where that is no matter of independent draws: by the
  /// frozen weight, or by each other. Called for one site after the other, each once its factors
  /// are drawn.
  std::function<void(Start&)> start = {};
  StartSamples samples = StartSamples::none;
};

/// dW as one network.
Declaration weight_update(Network network);
/// Throws UsageError (prefixed by `what`: method and site) where one name stands for two factors,
/// which would share their values, and for a trainable factor that is in no file.
void check_factors(const Declaration& declaration, const std::string& what);
/// Whether the declaration is one such network beside its weight: no activation, no constant term.
bool is_sum_of_products(const Declaration& declaration);
/// Whether the map is linear in X up to a bias: no stage has an activation. Then it is an update of
/// the weight wherever it acts: with F the product of the stages, W' - W is F beside the weight,
/// F W after it and W F before it.
bool is_linear(const Declaration& declaration);
/// The name that beside_weight gives the frozen weight.
inline constexpr const char* frozen_factor = "frozen_weight";
/// A linear map of one stage after or before the weight [out, in], without constant terms, as one
/// network beside it that has the weight as a frozen factor of Storage::weight; what is no such map
/// is given back as it is.
Declaration beside_weight(Declaration declaration, std::size_t out, std::size_t in);

/// The modes of a tensor train over `shape` with inner ranks `rank`, as factors <prefix>1 ...
/// <prefix>d of shape (r, k_i, r) with boundary ranks 1, read as `as`. Throws UsageError naming
/// `what` when the product of `shape` is not that of `as`.
Block tensor_train(const std::string& prefix, const std::vector<std::size_t>& shape,
                   std::size_t rank, const std::vector<Mode>& as,
                   const std::vector<Initialiser>& initialisers, Owner owner,
                   const std::string& what);

}  // namespace rankfold
