#include "experiments/adapter_files/updated_modules.h"

#include <algorithm>
#include <cmath>
#include <span>

#include <fmt/format.h>

#include "core/adapter/added_bias.h"
#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

std::string missing_bias(std::string_view method, const Site& site) {
  return fmt::format(
      "[{}] trains a bias for {}, which the model has no place for; expected a method without one, "
      "or other targets",
      method, site.name);
}

}  // namespace

std::vector<float>& UpdatedModules::values_of(const std::string& name,
                                              const std::vector<std::size_t>& shape) {
  const auto known = tensors_.find(name);
  if (known != tensors_.end()) return known->second.values;
  return tensors_.emplace(name, Values{shape, read_(name, shape)}).first->second.values;
}

/// The model's own: that of an adapter may come from a file.
const Site& UpdatedModules::find_site(const Site& site) const {
  const auto found = std::ranges::find(catalogue_.sites, site.name, &Site::name);
  if (found == catalogue_.sites.end())
    throw Error("site '{}' is none of {}", printable(site.name, 200), catalogue_.model);
  if (found->out != site.out || found->in != site.in)
    throw Error("site {} is [{}, {}], in {} it is [{}, {}]", site.name, site.out, site.in,
                catalogue_.model, found->out, found->in);
  return *found;
}

void UpdatedModules::add(const Adapter<float>& adapter, std::size_t index, float sign) {
  const Site& site = find_site(adapter.stack().sites[index]);
  const StoredMatrix stored = stored_matrix(shape_, site);
  std::vector<float> update(site.out * site.in);
  adapter.reconstruct(index, {update.data(), site.out, site.in});
  std::vector<float>& weight =
      values_of(stored.module + ".weight", stored.transposed ? std::vector{site.in, stored.rows}
                                                             : std::vector{stored.rows, site.in});
  const auto add_to = [&](float& value, float change) {
    value += sign * change;
    if (!std::isfinite(value))
      throw Error("the weight {} is not finite with the update of method {}", site.name,
                  adapter.method());
  };
  for (std::size_t row = 0; row < site.out; ++row)
    for (std::size_t column = 0; column < site.in; ++column)
      add_to(weight[stored.place(row, column, site.in)], update[row * site.in + column]);
  if (!adapter.adds_bias(index)) return;
  const std::vector<float> added = added_bias(adapter, index);
  for (std::size_t row = 0; row < site.out; ++row) {
    const StoredBias bias = stored_bias(shape_, site, row);
    if (bias.tensor.empty()) throw Error("{}", missing_bias(adapter.method(), site));
    add_to(values_of(bias.tensor, {bias.size})[bias.place], added[row]);
  }
}

void expect_places_for_biases(const Adapter<float>& adapter, const ModelShape& shape) {
  const std::vector<Site>& sites = adapter.stack().sites;
  for (std::size_t index = 0; index < sites.size(); ++index) {
    if (!adapter.adds_bias(index)) continue;
    for (std::size_t row = 0; row < sites[index].out; ++row)
      if (stored_bias(shape, sites[index], row).tensor.empty())
        throw UsageError("{}", missing_bias(adapter.method(), sites[index]));
  }
}

std::vector<TensorToWrite> UpdatedModules::list() const {
  std::vector<TensorToWrite> list;
  for (const auto& [name, tensor] : tensors_)
    list.push_back(make_tensor(name, tensor.shape, std::span<const float>(tensor.values)));
  return list;
}

}  // namespace rankfold
