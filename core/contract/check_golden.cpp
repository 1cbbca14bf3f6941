#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/json_field.h"
#include "core/base/json_reader.h"
#include "core/base/safetensors.h"
#include "core/base/text.h"
#include "core/contract/check_method.h"
#include "core/linalg/linear_algebra.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

constexpr double tolerance = 1e-12;
constexpr std::int64_t most = 1'000'000;  // layers, heads: more than any model has

/// case.json, whose every key is understood or known to describe alone.
class Case {
 public:
  explicit Case(const fs::path& folder) : file_(folder / "case.json"), document_(read_json(file_)) {
    fields().member("method").string();
  }
  JsonField fields() const { return {document_, file_}; }
  bool has(const std::string& key) const { return document_.contains(key); }

  /// Keys of the case itself, besides the options of the method.
  void expect_known_keys(const Method& method) const {
    constexpr std::array<std::string_view, 16> known = {
        "method",   "rank", "alpha",   "layers", "matrix_names", "heads",  "parameters", "loss",
        "matrices", "case", "formula", "hidden", "order",        "copies", "modes",      "scale"};
    for (const auto& [key, value] : document_.items())
      if (std::ranges::find(known, key) == known.end() &&
          !(key == "norm_detached" && find_option(method, "norm")) && !find_option(method, key))
        throw Error("{}: key '{}' is no option of {} and nothing else that is known",
                    printable(file_.string()), printable(key, 80), method.name);
  }

  static const MethodOption* find_option(const Method& method, std::string key) {
    std::ranges::replace(key, '_', '-');
    const auto found = std::ranges::find(method.options, key, &MethodOption::name);
    return found == method.options.end() ? nullptr : &*found;
  }

 private:
  fs::path file_;
  nlohmann::json document_;
};

/// A string as it is, a list of numbers with commas between them, a number as JSON has it.
std::string as_text(const JsonField& field) {
  if (field.is_string()) return field.string();
  const nlohmann::json& value = field.value();
  if (value.is_number() || value.is_boolean()) return value.dump();
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < field.array_size(); ++i)
    parts.push_back(std::to_string(field.element(i).integer(0, INT64_MAX)));
  return join(parts, ",");
}

/// tensors.safetensors, of which every tensor is to be read, with the shape that is expected.
class Tensors {
 public:
  explicit Tensors(const fs::path& file) : file_(file) {}

  const SafetensorsFile& file() const { return file_; }
  const TensorEntry& matrix(const std::string& name) const {
    const TensorEntry& entry = file_.at(name);
    if (entry.shape.size() != 2)
      throw Error("{}: tensor '{}' is {}, expected a matrix", path(), name, text_of(entry.shape));
    return entry;
  }
  std::vector<double> read(const std::string& name, const std::vector<std::size_t>& shape) {
    const TensorEntry& entry = file_.at(name);
    if (entry.shape != shape)
      throw Error("{}: tensor '{}' is {}, expected {}", path(), printable(name, 80),
                  text_of(entry.shape), text_of(shape));
    used_.insert(name);
    return file_.read<double>(name);
  }
  std::size_t numbers() const {
    std::size_t sum = 0;
    for (const TensorEntry& entry : file_.entries()) sum += entry.elements();
    return sum;
  }
  void expect_all_used() const {
    for (const TensorEntry& entry : file_.entries())
      if (!used_.contains(entry.name))
        throw Error("{}: tensor '{}' is none that this case has", path(),
                    printable(entry.name, 80));
  }

 private:
  std::string path() const { return printable(file_.path().string()); }
  static std::string text_of(const std::vector<std::size_t>& shape) {
    return shape.empty() ? "a scalar" : fmt::format("{}", fmt::join(shape, "x"));
  }

  SafetensorsFile file_;
  std::set<std::string> used_;
};

/// Sites "0", "1", ... ordered by layer, then matrix, shaped like the base tensors.
Stack golden_stack(const Case& golden, const Tensors& tensors) {
  const JsonField names = golden.fields().member("matrix_names");
  std::vector<MatrixType> matrices;
  for (const std::string& name : split(names.string(), ' ')) {
    const auto type = find_matrix_type(name);
    if (!type) names.refuse(fmt::format("'{}'", name), "names of matrices such as q, v");
    matrices.push_back(*type);
  }
  const auto count = [&](const char* key) {
    return static_cast<std::size_t>(golden.fields().member(key).integer(1, most));
  };
  std::vector<Site> sites;
  for (std::size_t layer = 0; layer < count("layers"); ++layer)
    for (const MatrixType matrix : matrices) {
      const std::string name = std::to_string(sites.size());
      const std::vector<std::size_t>& shape = tensors.matrix("base." + name).shape;
      sites.push_back({name, matrix, layer, shape[0], shape[1], count("heads")});
    }
  if (golden.has("matrices") && count("matrices") != sites.size())
    golden.fields()
        .member("matrices")
        .refuse(std::to_string(count("matrices")),
                fmt::format("{}, one for each layer and name", sites.size()));
  return Stack(std::move(sites));
}

MethodRequest golden_request(const Method& method, const Case& golden) {
  golden.expect_known_keys(method);
  MethodRequest request;
  if (golden.has("rank")) request.rank = as_text(golden.fields().member("rank"));
  if (golden.has("alpha")) request.alpha = golden.fields().member("alpha").number();
  for (const MethodOption& option : method.options) {
    std::string key = option.name;
    std::ranges::replace(key, '-', '_');
    if (golden.has(key)) request.options[option.name] = as_text(golden.fields().member(key));
    if (key == "norm" && golden.has("norm_detached"))
      request.options["norm"] =
          golden.fields().member("norm_detached").boolean() ? "detached" : "graph";
  }
  return request;
}

/// A factor's name in the files: copies of a site, or of a matrix type, may be numbered by layer
/// and matrix instead of named.
std::string golden_name(const Parameter<double>& parameter, const Stack& stack,
                        const SafetensorsFile& tensors) {
  if (tensors.find("factor." + parameter.name) || parameter.name == parameter.factor)
    return parameter.name;
  const std::string key = parameter.name.substr(parameter.factor.size() + 1);
  for (const Site& site : stack.sites) {
    if (site.name == key)
      return fmt::format("{}.{}.{}", parameter.factor, stack.layer_position(site),
                         stack.matrix_position(site));
    if (to_string(site.matrix) == key)
      return fmt::format("{}.{}", parameter.factor, stack.matrix_position(site));
  }
  return parameter.name;
}

/// Throws Error before memory is taken for factors that the file cannot hold.
void expect_room(const Method& method, const Stack& stack, const MethodSettings& settings,
                 const Tensors& tensors) {
  const std::size_t found = count_parameters(method, stack, settings).trainable;
  if (found > tensors.numbers())
    throw Error("{}: has {} numbers, expected factors of {} as case.json has it",
                printable(tensors.file().path().string()), tensors.numbers(), found);
}

}  // namespace

double CheckReport::worst() const {
  double largest = 0;
  for (const auto& [what, error] : errors) largest = larger_error(largest, error);
  return largest;
}

void CheckReport::compare(const std::string& what, std::span<const double> got,
                          std::span<const double> expected, double allowed, double floor) {
  if (got.size() != expected.size() || expected.empty()) {
    failures.push_back(expected.empty() ? fmt::format("{}: has no numbers to compare", what)
                                        : fmt::format("{}: {} numbers, expected {}", what,
                                                      got.size(), expected.size()));
    return;
  }
  std::vector<double> difference(got.size());
  std::ranges::transform(got, expected, difference.begin(), std::minus<>());
  const double size = std::max(norm<double>(expected), floor), apart = norm<double>(difference);
  const double error = size > 0 || std::isnan(size) ? apart / size : apart;
  const auto entry = errors.try_emplace(what, error).first;
  entry->second = larger_error(entry->second, error);
  if (!(error <= allowed))
    failures.push_back(
        fmt::format("{}: relative error {:.2e}, allowed {:.0e}", what, error, allowed));
}

double larger_error(double first, double second) {
  return std::isnan(first) || first >= second ? first : second;
}

std::string golden_method(const fs::path& folder) {
  return Case(folder).fields().member("method").string();
}

CheckReport check_golden(const Method& method, const fs::path& folder) {
  const Case golden(folder);
  CheckReport report;
  report.name = folder.filename().string();
  if (const JsonField name = golden.fields().member("method"); name.string() != method.name)
    name.refuse(fmt::format("'{}'", name.string()), method.name);
  Tensors tensors(folder / "tensors.safetensors");
  const Stack stack = golden_stack(golden, tensors);
  const MethodSettings settings = resolve_settings(method, golden_request(method, golden), stack);
  expect_room(method, stack, settings, tensors);
  const auto adapter = make_adapter<double>(method, stack, settings, make_cpu_device());
  for (Parameter<double>& parameter : adapter->parameters())
    std::ranges::copy(
        tensors.read("factor." + golden_name(parameter, stack, tensors.file()), parameter.shape),
        HostWrite<double>(parameter.value).data());
  if (golden.has("parameters")) {
    const auto expected =
        static_cast<std::size_t>(golden.fields().member("parameters").integer(0, INT64_MAX));
    if (adapter->parameter_count() != expected)
      report.failures.push_back(
          fmt::format("{} parameters, expected {}", adapter->parameter_count(), expected));
  }
  std::vector<std::vector<double>> base;
  std::vector<FrozenLinear<double>> frozen;
  for (const Site& site : stack.sites)
    base.push_back(tensors.read("base." + site.name, {site.out, site.in}));
  for (const auto& weight : base) frozen.push_back({weight.data(), nullptr});
  adapter->set_frozen(frozen);

  double loss = 0;
  for (std::size_t index = 0; index < stack.sites.size(); ++index) {
    const Site& site = stack.sites[index];
    const std::size_t tokens = tensors.matrix("x." + site.name).shape[0];
    const std::vector<double> x = tensors.read("x." + site.name, {tokens, site.in});
    const std::vector<double> dy = tensors.read("gy." + site.name, {tokens, site.out});
    std::vector<double> y(tokens * site.out), dx(x.size(), 0.0);
    Trace<double> trace;
    adapter->forward(index, {x.data(), tokens, site.in}, {y.data(), tokens, site.out}, &trace);
    adapter->backward(index, {x.data(), tokens, site.in}, {dy.data(), tokens, site.out}, trace,
                      {dx.data(), tokens, site.in});
    loss += std::inner_product(y.begin(), y.end(), dy.begin(), 0.0);
    report.compare("y." + site.name, y, tensors.read("y." + site.name, {tokens, site.out}),
                   tolerance);
    report.compare("gx." + site.name, dx, tensors.read("gx." + site.name, {tokens, site.in}),
                   tolerance);
    if (adapter->is_weight_update(index)) {
      std::vector<double> delta(site.out * site.in);
      adapter->reconstruct(index, {delta.data(), site.out, site.in});
      report.compare("delta." + site.name, delta,
                     tensors.read("delta." + site.name, {site.out, site.in}), tolerance);
    }
  }
  if (golden.has("loss"))
    report.compare("loss", {&loss, 1}, std::vector{golden.fields().member("loss").number()},
                   tolerance);
  // A gradient may vanish: what rounding leaves of it is judged by the others.
  std::vector<std::vector<double>> expected;
  double largest = 0;
  for (const Parameter<double>& parameter : adapter->parameters()) {
    if (!parameter.trainable) continue;
    expected.push_back(
        tensors.read("grad." + golden_name(parameter, stack, tensors.file()), parameter.shape));
    largest = larger_error(largest, norm<double>(expected.back()));
  }
  std::size_t next = 0;
  for (const Parameter<double>& parameter : adapter->parameters())
    if (parameter.trainable)
      report.compare("grad." + parameter.name, HostRead<double>(parameter.gradient).span(),
                     expected[next++], tolerance, 1e-3 * largest);
  tensors.expect_all_used();
  report.accepted = 1;
  return report;
}

}  // namespace rankfold
