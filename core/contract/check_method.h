#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/adapter/method.h"

namespace rankfold {

/// How far two ways to compute the same thing are apart: the largest relative error by what was
/// compared (a tensor, or a clause of the contract), and what is wrong beyond rounding.
struct CheckReport {
  std::string name;
  std::map<std::string, double> errors;  ///< |got - expected| / |expected|, in the 2-norm
  std::vector<std::string> failures;     ///< one line each; empty: the check passed
  std::size_t accepted = 0;              ///< stacks and settings that the method ran on

  double worst() const;  ///< not a number where an error is none
  /// Keeps the larger error of `what`; beyond `tolerance` (or not a number) it is a failure, and so
  /// is nothing to compare. Norms of `expected` below `floor` are taken for that.
  void compare(const std::string& what, std::span<const double> got,
               std::span<const double> expected, double tolerance, double floor = 0);
};

/// The larger one; not a number where one of them is none.
double larger_error(double first, double second);

/// What the contract is checked on: every stack and settings, or the first that the method accepts.
enum class ContractScope { all, one_case };

/// The contract of every method, in double, on small stacks whose sizes all differ, at ranks 1 and
/// 3, with every choice of every option, or at the method's own small cases: counts against the
/// parameters held, every gradient against central differences, application against reconstruction,
/// sums of shared gradients over sites, accumulation, equal starts from equal seeds, untouched
/// inputs, single against double precision, refused ranks. A method that accepts no stack fails.
/// Adapters run on `device`, which may have memory of its own.
CheckReport check_contract(const Method& method, ContractScope scope = ContractScope::all,
                           const std::shared_ptr<const Device>& device = make_cpu_device());

/// Compares with tensors that other software computed: `folder` holds case.json (stack, settings)
/// and tensors.safetensors (factor.*, base.*, x.*, gy.*; y.*, delta.*, grad.*, gx.*) as
/// docs/adding-a-method.md describes them. Tolerance 1e-12 of each tensor's norm. Throws Error
/// naming file, key or tensor where the folder is not such a case or belongs to another method: a
/// key that is unknown, a tensor that is missing, has another shape or belongs to nothing.
CheckReport check_golden(const Method& method, const std::filesystem::path& folder);

/// The method that a case of golden data is about.
std::string golden_method(const std::filesystem::path& folder);

}  // namespace rankfold
