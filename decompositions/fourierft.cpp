#include <cmath>
#include <numbers>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/network/start.h"
#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {
namespace {

std::uint32_t read_seed(const MethodSettings& settings) {
  const auto seed = parse_number<std::uint32_t>(settings.text("location-seed"));
  if (!seed)
    throw UsageError("option location-seed is '{}', expected a whole number below 2^32",
                     printable(settings.text("location-seed")));
  return *seed;
}

}  // namespace

// dW = scale Re(ifft2(F)), F zero but for n trainable entries at random places (u, v):
// dW[out, in] = scale / (out in) sum_k c[k] (cos a cos b - sin a sin b), a = 2 pi u_k o / out,
// b = 2 pi v_k i / in. The cosines and sines are frozen factors.
static Declaration declare(const Site& site, const Stack&, const MethodSettings& settings) {
  const bool chosen = !settings.text("frequencies").empty();
  const std::size_t count =
      chosen ? settings.count("frequencies") : std::min<std::size_t>(1000, site.out * site.in);
  if (count > site.out * site.in)
    throw UsageError("[fourierft] site {}: {} frequencies, expected at most {}", site.name, count,
                     site.out * site.in);
  const Mode out{"out", site.out}, in{"in", site.in}, k{"k", count};
  const double scale =
      settings.number("scale") / (static_cast<double>(site.out) * static_cast<double>(site.in));
  const auto wave = [](const char* name, std::vector<Mode> modes) {
    return from_seed({name, std::move(modes), zeros(), Owner::matrix});
  };
  const Factor spectrum{"spectrum", {k}, zeros()};
  Declaration declaration = weight_update(
      {.out = {out},
       .in = {in},
       .terms = {{.scale = scale,
                  .product = {spectrum, wave("out_cos", {out, k}), wave("in_cos", {k, in})}},
                 {.scale = -scale,
                  .product = {spectrum, wave("out_sin", {out, k}), wave("in_sin", {k, in})}}}});
  const std::uint32_t seed = read_seed(settings);
  declaration.start = [count, seed](Start& start) {
    const std::size_t rows = start.site().out, columns = start.site().in;
    const std::vector<std::size_t> places = torch_permutation(rows * columns, count, seed);
    const auto fill = [&](const char* name, std::size_t size, bool is_out, bool is_cos) {
      std::vector<double> values(size * count);
      for (std::size_t j = 0; j < count; ++j)
        for (std::size_t i = 0; i < size; ++i) {
          const std::size_t frequency = is_out ? places[j] / columns : places[j] % columns;
          const double angle = 2 * std::numbers::pi * static_cast<double>(frequency * i % size) /
                               static_cast<double>(size);
          values[is_out ? i * count + j : j * size + i] =
              is_cos ? std::cos(angle) : std::sin(angle);
        }
      start.set_factor(name, values);
    };
    fill("out_cos", rows, true, true);
    fill("out_sin", rows, true, false);
    fill("in_cos", columns, false, true);
    fill("in_sin", columns, false, false);
  };
  return declaration;
}

Method fourierft() {
  return {.name = "fourierft",
          .summary = "a few trainable entries of the update's Fourier transform",
          .formula = "dW = scale * Re(ifft2(F)), F zero but for spectrum[k] at n random places",
          .reference = "Gao et al., FourierFT, arXiv 2405.03003; huggingface/peft FOURIERFT",
          .options =
              {{"frequencies", "", {}, "the number n of trainable entries (default 1000, or all)"},
               {"scale", "150", {}, "what the inverse transform is multiplied with"},
               {"location-seed", "777", {}, "of the places, which all sites of a shape share"}},
          .has_rank = false,
          .alpha = 0,
          .declare = declare};
}

}  // namespace rankfold
