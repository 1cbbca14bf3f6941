#pragma once

#include <string>

#include "core/adapter/method.h"
#include "core/base/error.h"

namespace rankfold {

/// x + s B A x before the weight, or z + s B A z after it; in one linear stage or two, with a bias
/// in the last where `bias` says so.
struct AroundWeight {
  Place place = Place::before;
  bool two_stages = false, bias = false;
};

inline Method around_weight(const AroundWeight& kind) {
  return {.name = "around_weight",
          .summary = "a low-rank map of the weight's inputs or outputs",
          .formula = "y = W (x + alpha/r B A x)",
          .reference = "made up for tests",
          .alpha = 2,
          .rank_limit = {},
          .declare = [kind](const Site& site, const Stack&, const MethodSettings& settings) {
            const std::size_t side = kind.place == Place::after ? site.out : site.in;
            const Mode to{"to", side}, from{"from", side}, r{"r", settings.rank};
            const Factor b{"B", {to, r}, zeros()}, a{"A", {r, from}, normal(1)};
            const double scale = alpha_over_rank(settings, settings.rank);
            Declaration declaration{.place = kind.place};
            if (kind.two_stages)
              declaration.stages = {{{.out = {r}, .in = {from}, .terms = {{1, {a}}}}},
                                    {{.out = {to}, .in = {r}, .terms = {{scale, {b}}}}}};
            else
              declaration.stages = {{{.out = {to}, .in = {from}, .terms = {{scale, {b, a}}}}}};
            if (kind.bias)
              declaration.stages.back().network.terms.push_back(
                  {1, {Factor{"shift", {to}, zeros()}}, true});
            return declaration;
          }};
}

/// lora whose rank must be even, with small cases of its own.
inline Method even_rank(bool with_cases = true) {
  Method method{
      .name = "even_rank",
      .summary = "lora of even ranks",
      .formula = "dW = B A",
      .reference = "made up for tests",
      .options = {{"groups", "2", {}, "divides the rank"}},
      .alpha = 0,
      .declare = [](const Site& site, const Stack&, const MethodSettings& settings) {
        if (settings.rank % settings.count("groups") != 0)
          throw UsageError("[even_rank] rank is {}, expected a multiple of {}", settings.rank,
                           settings.count("groups"));
        const Mode out{"out", site.out}, in{"in", site.in}, r{"r", settings.rank};
        return weight_update(
            {.out = {out},
             .in = {in},
             .terms = {{1, {Factor{"B", {out, r}, zeros()}, Factor{"A", {r, in}, normal(1)}}}}});
      }};
  if (with_cases)
    method.small_cases = [](const Stack&) {
      return std::vector<MethodRequest>{{"2", {}, "", {}}, {"3", {}, "", {{"groups", "3"}}}};
    };
  return method;
}

}  // namespace rankfold
