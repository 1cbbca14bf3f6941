#include "core/fit/scaled_source.h"

#include <set>

#include "core/base/error.h"

namespace rankfold {
namespace {

std::vector<std::size_t> find_carriers(const std::vector<SiteNetwork>& networks,
                                       const std::vector<std::size_t>& sites,
                                       const std::vector<FitParameter>& parameters) {
  std::set<std::size_t> chosen, passed_over;
  for (const std::size_t site : sites)
    for (const FitTerm& term : networks[site].terms) {
      std::size_t carried = 0;
      for (const FitOperand& operand : term.operands) carried += chosen.count(operand.parameter);
      if (carried > 1) return {};
      for (const FitOperand& operand : term.operands) {
        const std::size_t number = operand.parameter;
        if (!parameters[number].trainable || chosen.contains(number)) continue;
        if (carried == 0 && !passed_over.contains(number)) {
          chosen.insert(number);
          carried = 1;
        } else {
          passed_over.insert(number);
        }
      }
      if (carried == 0) return {};
    }
  return {chosen.begin(), chosen.end()};
}

}  // namespace

template <class T>
FitScale find_scale(const std::vector<SiteNetwork>& networks, const std::vector<std::size_t>& sites,
                    const std::vector<FitParameter>& parameters, double largest,
                    const std::string& what) {
  constexpr double most = sizeof(T) == 4 ? 1e12 : 1e100;
  const bool in_range = largest >= 1 / most && largest <= most;
  if (in_range) return {};
  FitScale scale{0, largest == 0, find_carriers(networks, sites, parameters)};
  if (scale.carriers.empty() && largest > most)
    throw Error(
        "{}: holds numbers up to {:.3g}, whose squares are out of range, and the method adds "
        "frozen "
        "products that cannot be scaled with them",
        what, largest);
  if (!scale.zero && !scale.carriers.empty()) scale.exponent = std::ilogb(largest);
  return scale;
}

template FitScale find_scale<float>(const std::vector<SiteNetwork>&,
                                    const std::vector<std::size_t>&,
                                    const std::vector<FitParameter>&, double, const std::string&);
template FitScale find_scale<double>(const std::vector<SiteNetwork>&,
                                     const std::vector<std::size_t>&,
                                     const std::vector<FitParameter>&, double, const std::string&);

}  // namespace rankfold
