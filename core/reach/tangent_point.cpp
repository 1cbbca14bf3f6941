#include "core/reach/tangent_point.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/network/start.h"

namespace rankfold {
namespace {

void add_parameters(TangentPoint& point, const FactorCopies& copies) {
  for (std::size_t copy = 0; copy < copies.size(); ++copy) {
    const FactorForm& form = copies.form(copy);
    Parameter<double> parameter;
    parameter.name = copies.name(copy);
    parameter.factor = form.factor;
    parameter.shape = form.shape;
    parameter.trainable = form.trainable;
    parameter.storage = form.storage;
    const std::size_t size = form.size.value();
    parameter.value = Buffer<double>(point.device, size);
    RandomStream(tangent_seed, fmt::format("tangent/{}.{}", form.factor, copies.key(copy)))
        .fill_normal(parameter.value.span(), 0, 1);
    point.offsets.push_back(point.size);
    if (form.trainable) {
      parameter.gradient = Buffer<double>(point.device, size);
      point.size += size;
    }
    point.parameters.push_back(std::move(parameter));
  }
}

std::vector<double> random_weight(const Site& site) {
  std::vector<double> weight(site.out * site.in);
  RandomStream(tangent_seed, "tangent weight/" + site.name)
      .fill_normal(std::span<double>(weight), 0, 1);
  return weight;
}

/// Frozen factors that are in no file follow from the settings and the weight.
void start_frozen(TangentPoint& point, const TangentSite& compiled, const DeclaredSite& declared,
                  const std::string& method) {
  const auto derived = [&](std::size_t factor) { return !point.parameters[factor].is_stored(); };
  if (!declared.declaration.start || std::ranges::none_of(compiled.factors, derived)) return;
  const auto find = [&](std::string_view name) -> Parameter<double>& {
    for (const std::size_t factor : compiled.factors)
      if (point.parameters[factor].factor == name) return point.parameters[factor];
    throw Error("[{}] site {}: its start asks for a factor '{}' that it does not have", method,
                declared.site.name, name);
  };
  Start start(declared.site, "tangent", tangent_seed,
              {[&](std::string_view name) {
                 const auto values = find(name).value.span();
                 return std::vector<double>(values.begin(), values.end());
               },
               [&](std::string_view name, std::span<const double> values) {
                 Parameter<double>& parameter = find(name);
                 if (parameter.trainable) return;
                 if (values.size() != parameter.value.size())
                   throw Error("[{}] site {}: factor '{}' starts with {} numbers, expected {}",
                               method, declared.site.name, name, values.size(),
                               parameter.value.size());
                 std::ranges::copy(values, parameter.value.data());
               },
               [&] { return random_weight(declared.site); }});
  declared.declaration.start(start);
}

}  // namespace

FactorCopies number_copies(const std::string& method, const std::vector<DeclaredSite>& sites) {
  FactorCopies copies(method);
  for (const DeclaredSite& declared : sites) copies.add(declared.site, declared.declaration);
  return copies;
}

TangentPoint make_point(const std::string& method, const std::vector<DeclaredSite>& sites,
                        bool own_frozen, const std::shared_ptr<const Device>& device) {
  expect_host_memory(*device, "degrees of freedom");
  TangentPoint point{device, {}, {}, {}, 0};
  const FactorCopies copies = number_copies(method, sites);
  add_parameters(point, copies);
  PlanCache cache;
  for (const DeclaredSite& declared : sites) {
    TangentSite compiled;
    const std::size_t position = point.sites.size();
    const auto own = copies.of_site(position);
    compiled.factors.assign(own.begin(), own.end());
    const auto find = [&](const Factor& factor) { return copies.number(factor, position); };
    compiled.network = compile_network(declared.declaration.stages.front().network, 1, find, cache,
                                       fmt::format("[{}] site {}", method, declared.site.name));
    if (const auto& norm = declared.declaration.normalisation) {
      for (const Factor& magnitude : norm->magnitudes)
        compiled.magnitudes.push_back(find(magnitude));
      compiled.normalised.emplace(norm->kind, false, declared.site.out, declared.site.in, device);
      compiled.frozen = random_weight(declared.site);
    }
    if (own_frozen) start_frozen(point, compiled, declared, method);
    point.sites.push_back(std::move(compiled));
  }
  return point;
}

/// dense += dW of a site.
void add_update(const TangentPoint& point, const TangentSite& site, std::vector<double>& dense,
                std::vector<double>& memory) {
  memory.resize(std::max(memory.size(), site.reconstruction->memory_size()));
  site.reconstruction->add_to(*point.device, point.parameters, dense.data(), memory.data());
}

std::array<double*, 2> magnitudes(TangentPoint& point, const TangentSite& site, bool gradients) {
  std::array<double*, 2> found{};
  for (std::size_t i = 0; i < site.magnitudes.size(); ++i) {
    Parameter<double>& magnitude = point.parameters[site.magnitudes[i]];
    found[i] = gradients ? magnitude.gradient.data() : magnitude.value.data();
  }
  return found;
}

}  // namespace rankfold
