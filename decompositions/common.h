#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/adapter/method.h"
#include "core/network/start.h"

namespace rankfold {

/// The option that divides alpha by the root of the rank (rsLoRA, arXiv 2312.03732).
inline MethodOption rslora_option() {
  return {
      "rslora", "false", {"true", "false"}, "scale by alpha / sqrt(rank) instead of alpha / rank"};
}

/// The option of methods whose scale is no alpha over the rank.
inline MethodOption scale_option() {
  return {"scale", "1", {}, "what the update is multiplied with"};
}

/// min(out, in) over the sites: the limit where the rank is a matrix rank.
inline std::optional<std::size_t> smallest_side(const Stack& stack) {
  std::optional<std::size_t> smallest;
  for (const Site& site : stack.sites)
    smallest = std::min({smallest.value_or(site.out), site.out, site.in});
  return smallest;
}

/// The largest sides of a stack: those of factors of which a site uses the leading part.
struct LargestSides {
  std::size_t out = 0, in = 0;
  explicit LargestSides(const Stack& stack);
};

/// Throws UsageError unless the site stands for rows of virtual tokens.
void expect_virtual(const std::string& method, const Site& site);

/// Where the site stands in its stack.
std::size_t site_position(const Stack& stack, const Site& site);

/// |row i| or |column j| of a matrix of so many rows.
std::vector<double> row_norms(const std::vector<double>& matrix, std::size_t rows);
std::vector<double> column_norms(const std::vector<double>& matrix, std::size_t rows);

/// W's r leading singular directions: left = U_r diag(s_r) [out, r], right = V_r^T [r, in].
struct SingularPart {
  std::vector<double> left, right, values;
};
SingularPart leading_part(Start& start, std::size_t rank);

/// Outputs of one head. Throws UsageError naming method and site where its heads do not divide
/// them.
std::size_t head_size(const std::string& method, const Site& site);

/// The factor, frozen and in no file: drawn from the seed and the settings.
Factor from_seed(Factor factor);

/// The first `count` of torch.randperm(size) behind a generator of that seed: on the CPU it swaps
/// from the front by the Mersenne twister's 32-bit numbers.
std::vector<std::size_t> torch_permutation(std::size_t size, std::size_t count, std::uint32_t seed);

/// The primes of a size, rising.
std::vector<std::size_t> prime_factors(std::size_t size);

/// A size as a product of three sizes, or two, as equal as its primes allow; falling.
std::vector<std::size_t> balanced_axes(std::size_t size);

}  // namespace rankfold
