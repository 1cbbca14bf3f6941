#include "core/adapter/method.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "core/adapter/network_adapter.h"
#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

/// No factor of a real model comes near it; keeps products of sizes within 64 bits.
constexpr std::size_t largest_rank = 1'000'000;
/// No published tensor train has more than a dozen modes.
constexpr std::size_t most_modes = 64;
/// Bytes of what was given that an error repeats.
constexpr std::size_t shown = 80;

[[noreturn]] void refuse(const Method& method, const std::string& key, const std::string& found,
                         const std::string& expected) {
  throw UsageError("[{}] {} is '{}', expected {}", method.name, key, printable(found, shown),
                   expected);
}

void check_option(const Method& method, const std::string& name, const std::string& value) {
  std::vector<std::string> known;
  for (const MethodOption& option : method.options) known.push_back(option.name);
  const auto option = std::ranges::find(method.options, name, &MethodOption::name);
  if (option == method.options.end()) {
    if (known.empty())
      throw UsageError("[{}] has no options, got '{}'", method.name, printable(name, shown));
    throw unknown_name(fmt::format("option of {}", method.name), name, known);
  }
  if (!option->choices.empty() &&
      std::ranges::find(option->choices, value) == option->choices.end())
    refuse(method, name, value, fmt::format("one of {}", fmt::join(option->choices, ", ")));
}

void parse_rank(const Method& method, const std::string& text, const Stack& stack,
                MethodSettings& settings) {
  if (!method.has_rank) {
    if (!text.empty())
      throw UsageError("[{}] has no rank, got '{}'", method.name, printable(text, shown));
    return;
  }
  if (text.empty()) throw UsageError("[{}] needs a rank: --rank R", method.name);
  const std::vector<std::string> modes =
      method.rank_modes ? method.rank_modes(settings) : std::vector<std::string>();
  const auto limit = method.rank_limit ? method.rank_limit(stack) : std::nullopt;
  const std::size_t most = std::min(limit.value_or(largest_rank), largest_rank);
  const std::vector<std::string> parts =
      modes.empty() ? std::vector<std::string>{text} : split(text, 'x');
  for (const std::string& part : parts) {
    const bool digits = std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
    const auto rank = digits ? parse_number<std::size_t>(part) : std::nullopt;
    if (!rank || *rank == 0 || *rank > most || (parts.size() > 1 && parts.size() != modes.size()))
      refuse(method, "rank", text,
             fmt::format("a whole number from 1 to {}{}{}", most,
                         limit ? " (the smallest side of the adapted weights)" : "",
                         modes.empty() ? ""
                                       : fmt::format(", or {} of them, {}", modes.size(),
                                                     join(modes, " x "))));
    settings.ranks.push_back(*rank);
  }
  settings.rank = std::ranges::max(settings.ranks);
  if (settings.ranks.size() < modes.size()) settings.ranks.resize(modes.size(), settings.rank);
}

}  // namespace

const std::string& MethodSettings::text(const std::string& option) const {
  const auto found = options.find(option);
  if (found == options.end()) throw Error("option '{}' was read but never declared", option);
  return found->second;
}

double MethodSettings::number(const std::string& option) const {
  const auto value = parse_number<double>(text(option));
  if (!value || !std::isfinite(*value))
    throw UsageError("option {} is '{}', expected a number", option,
                     printable(text(option), shown));
  return *value;
}

std::size_t MethodSettings::count(const std::string& option) const {
  const auto value = parse_number<std::size_t>(text(option));
  if (!value || *value == 0 || *value > largest_rank)
    throw UsageError("option {} is '{}', expected a whole number from 1 to {}", option,
                     printable(text(option), shown), largest_rank);
  return *value;
}

bool MethodSettings::flag(const std::string& option) const {
  const std::string& value = text(option);
  if (value != "true" && value != "false")
    throw UsageError("option {} is '{}', expected true or false", option, printable(value, shown));
  return value == "true";
}

std::vector<std::size_t> MethodSettings::shape(const std::string& option) const {
  std::vector<std::size_t> sizes;
  if (text(option).empty()) return sizes;
  for (const std::string& part : split(text(option), ',')) {
    const auto size = parse_number<std::size_t>(trim(part));
    if (!size || *size == 0 || *size > largest_rank)
      throw UsageError("option {} is '{}', expected positive whole numbers such as 8,12,8,8",
                       option, printable(text(option), shown));
    sizes.push_back(*size);
  }
  if (sizes.size() > most_modes)
    throw UsageError("option {} has {} numbers, expected at most {}", option, sizes.size(),
                     most_modes);
  return sizes;
}

MethodSettings resolve_settings(const Method& method, const MethodRequest& request,
                                const Stack& stack) {
  MethodSettings settings;
  settings.alpha = method.alpha;
  for (const MethodOption& option : method.options) settings.options[option.name] = option.fallback;
  if (!request.preset.empty()) {
    std::vector<std::string> known;
    for (const Preset& preset : method.presets) known.push_back(preset.name);
    const auto preset = std::ranges::find(method.presets, request.preset, &Preset::name);
    if (preset == method.presets.end())
      throw unknown_name(fmt::format("preset of {}", method.name), request.preset, known);
    for (const auto& [name, value] : preset->values) {
      if (name == "alpha")
        settings.alpha = parse_number<double>(value).value();
      else
        settings.options.at(name) = value;
    }
  }
  for (const auto& [name, value] : request.options) {
    check_option(method, name, value);
    settings.options[name] = value;
  }
  if (request.alpha) {
    if (method.alpha == 0)
      throw UsageError("[{}] has no alpha, got {}", method.name, *request.alpha);
    if (!std::isfinite(*request.alpha) || *request.alpha <= 0)
      throw UsageError("[{}] alpha is {}, expected a positive number", method.name, *request.alpha);
    settings.alpha = *request.alpha;
  }
  parse_rank(method, request.rank, stack, settings);
  return settings;
}

double alpha_over_rank(const MethodSettings& settings, std::size_t rank) {
  const auto divisor = static_cast<double>(rank);
  const auto rslora = settings.options.find("rslora");
  const bool root = rslora != settings.options.end() && settings.flag("rslora");
  return settings.alpha / (root ? std::sqrt(divisor) : divisor);
}

namespace {

/// Collects the copies of every factor over the sites.
class Counter {
 public:
  explicit Counter(const Method& method) : method_(method) {}

  void add(const Operand& operand, const Site& site) {
    if (const auto* block = std::get_if<Block>(&operand)) {
      for (const Operand& inner : block->product) add(inner, site);
      return;
    }
    const Factor& factor = std::get<Factor>(operand);
    shape_.clear();
    std::size_t size = 1;
    for (const Mode& mode : factor.modes) {
      shape_.push_back(mode.size);
      if (__builtin_mul_overflow(size, mode.size, &size))
        throw Error("[{}] factor '{}' has more numbers than can be counted", method_.name,
                    factor.name);
    }
    if (factor.owner == Owner::site ? !is_new_here(factor, site) : !is_new_owner(factor, site))
      return;
    if (factor.trainable && __builtin_add_overflow(count_.trainable, size, &count_.trainable))
      throw Error("[{}] has more parameters than can be counted", method_.name);
    for (FactorCount& known : count_.factors)
      if (known.name == factor.name && known.shape == shape_) {
        ++known.copies;
        return;
      }
    count_.factors.push_back({factor.name, shape_, 1, factor.trainable});
  }

  Count take() { return std::move(count_); }

 private:
  struct Shared {
    std::string name;
    Owner owner;
    std::size_t key;
    std::vector<std::size_t> shape;
    const Site* first;
  };

  /// A site's own factor may stand in several terms.
  bool is_new_here(const Factor& factor, const Site& site) {
    if (site_ != &site) here_.clear();
    site_ = &site;
    if (std::ranges::find(here_, factor.name) != here_.end()) return false;
    here_.push_back(factor.name);
    return true;
  }

  bool is_new_owner(const Factor& factor, const Site& site) {
    const std::size_t key = factor.owner == Owner::layer    ? site.layer
                            : factor.owner == Owner::matrix ? static_cast<std::size_t>(site.matrix)
                                                            : 0;
    for (const Shared& shared : shared_) {
      if (shared.key != key || shared.name != factor.name) continue;
      if (shared.shape != shape_)
        throw UsageError(
            "[{}] sites {} and {} share factor '{}' but need unequal shapes: {} and {}; choose "
            "targets of one shape",
            method_.name, shared.first->name, site.name, factor.name, fmt::join(shared.shape, "x"),
            fmt::join(shape_, "x"));
      return false;
    }
    shared_.push_back({factor.name, factor.owner, key, shape_, &site});
    return true;
  }

  const Method& method_;
  Count count_;
  std::vector<Shared> shared_;
  const Site* site_ = nullptr;
  std::vector<std::string> here_;  ///< factors of that site
  std::vector<std::size_t> shape_;
};

}  // namespace

namespace {

Declaration declare_site(const Method& method, const Site& site, const Stack& stack,
                         const MethodSettings& settings) {
  Declaration declaration = method.declare(site, stack, settings);
  check_factors(declaration, fmt::format("[{}] site {}", method.name, site.name));
  return declaration;
}

void count_site(const Declaration& declaration, const Site& site, Counter& counter) {
  for (const Stage& stage : declaration.stages)
    for (const Term& term : stage.network.terms)
      for (const Operand& operand : term.product) counter.add(operand, site);
  if (declaration.normalisation)
    for (const Factor& magnitude : declaration.normalisation->magnitudes)
      counter.add(magnitude, site);
}

}  // namespace

Count count_parameters(const Method& method, const Stack& stack, const MethodSettings& settings) {
  Counter counter(method);
  for (const Site& site : stack.sites)
    count_site(declare_site(method, site, stack, settings), site, counter);
  return counter.take();
}

template <class T>
std::unique_ptr<Adapter<T>> make_adapter(const Method& method, const Stack& stack,
                                         const MethodSettings& settings,
                                         std::shared_ptr<const Device> device) {
  std::vector<Declaration> declarations;
  for (const Site& site : stack.sites)
    declarations.push_back(declare_site(method, site, stack, settings));
  return std::make_unique<NetworkAdapter<T>>(method.name, stack, declarations, std::move(device));
}

template std::unique_ptr<Adapter<float>> make_adapter(const Method&, const Stack&,
                                                      const MethodSettings&,
                                                      std::shared_ptr<const Device>);
template std::unique_ptr<Adapter<double>> make_adapter(const Method&, const Stack&,
                                                       const MethodSettings&,
                                                       std::shared_ptr<const Device>);

namespace {

void expect_plain_update(const std::string& wrapper, const std::string& inner,
                         const Declaration& declaration) {
  if (!is_sum_of_products(declaration) || declaration.normalisation)
    throw UsageError("[{}] changes weight updates that are sums of products, which {} is not",
                     wrapper, inner);
}

}  // namespace

Method compose(const Wrapper& wrapper, const Method& inner) {
  Method method = inner;
  method.is_reference = false;
  method.name = fmt::format("{}({})", wrapper.name, inner.name);
  method.summary = fmt::format("{}, over {}: {}", wrapper.summary, inner.name, inner.summary);
  method.formula = fmt::format("{}; {}", wrapper.formula, inner.formula);
  method.reference = fmt::format("{}; {}", wrapper.reference, inner.reference);
  for (const MethodOption& option : wrapper.options) {
    if (std::ranges::find(inner.options, option.name, &MethodOption::name) != inner.options.end())
      throw UsageError("[{}] cannot go over {}: both have an option '{}'", wrapper.name, inner.name,
                       option.name);
    method.options.push_back(option);
  }
  method.declare = [name = method.name, inner_name = inner.name, declare = inner.declare,
                    wrap = wrapper.wrap, by_steps = static_cast<bool>(inner.truncation)](
                       const Site& site, const Stack& stack, const MethodSettings& settings) {
    if (by_steps)
      throw UsageError("[{}] changes weight updates that train by their gradients, which {} is not",
                       name, inner_name);
    Declaration declaration = declare(site, stack, settings);
    expect_plain_update(name, inner_name, declaration);
    wrap(declaration, site, settings);
    return declaration;
  };
  return method;
}

Method with_site_settings(const Method& method, std::map<std::string, MethodSettings> settings) {
  Method result = method;
  result.declare = [declare = method.declare, sites = std::move(settings)](
                       const Site& site, const Stack& stack, const MethodSettings& common) {
    const auto own = sites.find(site.name);
    return declare(site, stack, own == sites.end() ? common : own->second);
  };
  return result;
}

namespace {

/// Names stand in paths, in keys of sweep files and between parentheses.
bool is_word(const std::string& name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

void check_options(const Method& method) {
  std::vector<std::string> known;
  for (const MethodOption& option : method.options) {
    if (!is_word(option.name))
      throw Error("method '{}' has an option '{}', expected a word of letters, digits, - and _",
                  method.name, printable(option.name));
    if (std::ranges::find(known, option.name) != known.end())
      throw Error("method '{}' has two options '{}', expected one", method.name, option.name);
    if (!option.choices.empty() &&
        std::ranges::find(option.choices, option.fallback) == option.choices.end())
      throw Error("method '{}', option {}: the default is '{}', expected one of {}", method.name,
                  option.name, printable(option.fallback), fmt::join(option.choices, ", "));
    known.push_back(option.name);
  }
  known.emplace_back("alpha");
  for (const Preset& preset : method.presets)
    for (const auto& [name, value] : preset.values) {
      if (std::ranges::find(known, name) == known.end())
        throw Error("method '{}', preset {} sets '{}', expected one of {}", method.name,
                    printable(preset.name), printable(name), fmt::join(known, ", "));
      if (name == "alpha" && !parse_number<double>(value))
        throw Error("method '{}', preset {}: alpha is '{}', expected a number", method.name,
                    printable(preset.name), printable(value));
    }
}

}  // namespace

Registry::Registry(std::vector<Method> methods, std::vector<Wrapper> wrappers) {
  for (Method& method : methods) add(std::move(method));
  for (Wrapper& wrapper : wrappers) add(std::move(wrapper));
}

void Registry::add(Method method) {
  if (!is_word(method.name))
    throw Error("a method is named '{}', expected a word of letters, digits, - and _",
                printable(method.name));
  if (!method.declare) throw Error("method '{}' has no declare, expected a function", method.name);
  check_options(method);
  const auto place = std::ranges::lower_bound(methods_, method.name, {}, &Method::name);
  if (place != methods_.end() && place->name == method.name)
    throw Error("two methods are named '{}', expected a name of its own", method.name);
  methods_.insert(place, std::move(method));
}

void Registry::add(Wrapper wrapper) {
  if (!wrapper.wrap) throw Error("wrapper '{}' has no wrap, expected a function", wrapper.name);
  Method over_lora = compose(wrapper, at("lora"));
  over_lora.name = wrapper.name;
  add(std::move(over_lora));
  wrappers_.push_back(std::move(wrapper));
}

const Method& Registry::at(std::string_view name) const& {
  const auto found = std::ranges::lower_bound(methods_, name, {}, &Method::name);
  if (found != methods_.end() && found->name == name) return *found;
  const std::size_t open = name.find('(');
  if (open == std::string_view::npos || !name.ends_with(')'))
    throw unknown_name("method", name, names());
  if (const auto known = composed_.find(name); known != composed_.end()) return known->second;
  if (const auto depth = static_cast<std::size_t>(std::ranges::count(name, '('));
      depth > most_wrappers)
    throw UsageError("method '{}' has {} wrappers over each other, expected at most {}",
                     printable(name, 80), depth, most_wrappers);
  const auto wrapper = std::ranges::find(wrappers_, name.substr(0, open), &Wrapper::name);
  if (wrapper == wrappers_.end()) {
    std::vector<std::string> known;
    for (const Wrapper& each : wrappers_) known.push_back(each.name);
    throw unknown_name("method over methods", name.substr(0, open), known);
  }
  const Method& inner = at(name.substr(open + 1, name.size() - open - 2));
  return composed_.emplace(std::string(name), compose(*wrapper, inner)).first->second;
}

std::vector<std::string> Registry::names() const {
  std::vector<std::string> names;
  for (const Method& method : methods_) names.push_back(method.name);
  return names;
}

}  // namespace rankfold
