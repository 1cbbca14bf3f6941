#pragma once

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "core/adapter/adapter.h"
#include "core/adapter/method.h"
#include "core/base/random.h"
#include "core/fit/update_source.h"

namespace rankfold {

/// Matrices in memory.
template <class T>
class Matrices final : public UpdateSource<T> {
 public:
  explicit Matrices(std::vector<std::vector<T>> matrices) : matrices_(std::move(matrices)) {}
  const T* read(std::size_t site, std::vector<T>&) const override { return matrices_[site].data(); }
  const std::vector<T>& at(std::size_t site) const { return matrices_[site]; }

 private:
  std::vector<std::vector<T>> matrices_;
};

inline Stack square_stack(std::size_t layers, std::size_t side, std::size_t heads = 4) {
  std::vector<Site> sites;
  for (std::size_t layer = 0; layer < layers; ++layer)
    for (const MatrixType type : {MatrixType::q, MatrixType::v})
      sites.push_back(
          {fmt::format("layer.{}.{}", layer, to_string(type)), type, layer, side, side, heads});
  return Stack(sites);
}

struct Case {
  std::string method, rank;
  std::map<std::string, std::string> options = {};
};

inline std::string name_of(const Case& given) {
  std::string name = given.method;
  for (const auto& [key, value] : given.options) name += "_" + key + "_" + value;
  for (char& character : name)
    if (!std::isalnum(static_cast<unsigned char>(character))) character = '_';
  return name;
}

inline MethodSettings settings_of(const Method& method, const Case& given, const Stack& stack) {
  return resolve_settings(method, {method.has_rank ? given.rank : "", {}, "", given.options},
                          stack);
}

template <class T>
Matrices<T> random_updates(const Method& method, const MethodSettings& settings, const Stack& stack,
                           std::uint64_t seed) {
  const auto adapter = make_adapter<T>(method, stack, settings, make_cpu_device());
  const auto is_frozen = [](const auto& parameter) { return !parameter.trainable; };
  if (std::ranges::any_of(adapter->parameters(), is_frozen)) adapter->initialise(0);
  for (auto& parameter : adapter->parameters())
    if (parameter.trainable)
      RandomStream(seed, "test/" + parameter.name).fill_normal(parameter.value.span(), 0, 1);
  std::vector<std::vector<T>> matrices;
  for (std::size_t i = 0; i < stack.sites.size(); ++i) {
    const Site& site = stack.sites[i];
    matrices.emplace_back(site.out * site.in);
    adapter->reconstruct(i, {matrices.back().data(), site.out, site.in});
  }
  return Matrices<T>(std::move(matrices));
}

template <class T>
Matrices<T> noise(const Stack& stack) {
  std::vector<std::vector<T>> matrices;
  for (const Site& site : stack.sites) {
    matrices.emplace_back(site.out * site.in);
    RandomStream(5, "test/noise/" + site.name).fill_normal(std::span<T>(matrices.back()), 0, 1);
  }
  return Matrices<T>(std::move(matrices));
}

/// The error of what the adapter says its updates are.
template <class T>
double reconstruction_error(const Adapter<T>& adapter, const Matrices<T>& updates) {
  double residual = 0, whole = 0;
  for (std::size_t i = 0; i < adapter.stack().sites.size(); ++i) {
    const Site& site = adapter.stack().sites[i];
    std::vector<T> dense(site.out * site.in);
    adapter.reconstruct(i, {dense.data(), site.out, site.in});
    for (std::size_t j = 0; j < dense.size(); ++j) {
      const double value = updates.at(i)[j], difference = value - static_cast<double>(dense[j]);
      residual += difference * difference;
      whole += value * value;
    }
  }
  return std::sqrt(residual / whole);
}

inline std::vector<Case> direct_cases() {
  return {{"lora", "3"},
          {"lotr", "3"},
          {"lotr", "3", {{"stack", "per-type"}}},
          {"tucker3", "3x4x2"},
          {"tt_lora", "3", {{"shape", "8,6,6,8"}}},
          {"fact_tt", "3"},
          {"fact_tk", "3"},
          {"metatt", "3"},
          {"metatt", "3", {{"order", "5d"}}},
          {"tenslora", "3", {{"layout", "qkv_depth"}}},
          {"tenslora", "3", {{"layout", "att_qkv_depth"}}},
          {"loretta_rep", "3", {{"bottleneck", "4"}}},
          {"lokr", "8"},
          {"dlrt", "3"},
          {"full", ""}};
}

inline std::vector<Case> all_cases() {
  std::vector<Case> cases = direct_cases();
  for (const Case& each :
       std::vector<Case>{{"tenslora", "3", {{"layout", "depth"}, {"kind", "cp"}}},
                         {"lorta", "3"},
                         {"cara", "3"},
                         {"block_term", "2", {{"blocks", "2"}}},
                         {"loha", "2"},
                         {"lokr", "2", {{"decompose-both", "true"}}},
                         {"tensor_ring", "2"},
                         {"nola", "3"},
                         {"vera", "3"},
                         {"randlora", "12"},
                         {"fourierft", "", {{"frequencies", "40"}}},
                         {"quanta", "", {{"axes", "4,4,3"}}},
                         {"none", ""}})
    cases.push_back(each);
  return cases;
}

}  // namespace rankfold
