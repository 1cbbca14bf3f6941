// A plug-in with the fault that the environment variable FAULT names; without one it is sound: the
// method `twice`, whose function has the name of a built-in one, and the wrapper `halved`.

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "core/base/error.h"
#include "core/plugin.h"

static std::string fault() {
  const char* given = std::getenv("FAULT");
  return given == nullptr ? "" : given;
}

namespace rankfold {

static Declaration declare(const Site& site, const Stack&, const MethodSettings& settings) {
  if (fault() == "declare throws") throw std::runtime_error("no such site");
  if (fault() == "declare throws a number") throw 7;
  if (fault() == "declare refuses") throw UsageError("[twice] wants square sites");
  if (fault() == "declare returns nonsense")
    return weight_update({.out = {{"out", site.out + 1}},
                          .in = {{"in", site.in}},
                          .terms = {{.product = {Factor{"D", {{"out", 0}, {"x", 3}}}}}}});
  const Mode out{"out", site.out}, in{"in", site.in}, r{"r", settings.rank};
  Declaration declaration = weight_update(
      {.out = {out},
       .in = {in},
       .terms = {
           {.scale = 2, .product = {Factor{"B", {out, r}}, Factor{"A", {r, in}, normal(1)}}}}});
  if (fault() == "start throws")
    declaration.start = [](Start&) { throw std::runtime_error("no such start"); };
  return declaration;
}

Method lora() {
  Method method{.name = "twice",
                .summary = "a low-rank product, doubled",
                .formula = "dW[out,in] = 2 sum_r B[out,r] A[r,in]",
                .reference = "a test",
                .alpha = 0,
                .declare = declare};
  if (fault() == "name taken") method.name = "lotr";
  if (fault() == "name of a wrapper") method.name = "dora";
  if (fault() == "name with a slash") method.name = "../twice";
  if (fault() == "no declare") method.declare = {};
  if (fault() == "preset of nothing") method.presets = {{"paper", "", {{"size", "1"}}}};
  if (fault() == "rank modes throw")
    method.rank_modes = [](const MethodSettings&) -> std::vector<std::string> { throw 7; };
  if (fault() == "rank limit throws")
    method.rank_limit = [](const Stack&) -> std::optional<std::size_t> { throw 7; };
  return method;
}

static Wrapper halved() {
  return {.name = "halved",
          .summary = "half the update",
          .formula = "W' = W + dW / 2",
          .reference = "a test",
          .wrap = [](Declaration& declaration, const Site&, const MethodSettings&) {
            if (fault() == "wrap throws") throw std::runtime_error("no such wrap");
            for (Term& term : declaration.stages.front().network.terms) term.scale /= 2;
          }};
}

}  // namespace rankfold

extern "C" int rankfold_plugin_version() {
  return rankfold::plugin_version() + (fault() == "version" ? 1'000'000 : 0);
}

extern "C" void rankfold_register(rankfold::Registry& registry) {
  if (fault() == "register throws") throw std::runtime_error("out of names");
  if (fault() == "register throws a number") throw 7;
  if (fault() == "nothing") return;
  registry.add(rankfold::lora());
  registry.add(rankfold::halved());
}
