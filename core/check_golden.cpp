#include <algorithm>
#include <cmath>
#include <numeric>

#include <nlohmann/json.hpp>

#include "core/check_method.h"
#include "core/error.h"
#include "core/files.h"
#include "core/safetensors.h"
#include "core/text.h"

namespace rankfold {
namespace {

constexpr double tolerance = 1e-12;

nlohmann::json read_case(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "case.json";
  try {
    nlohmann::json document = nlohmann::json::parse(read_text(file));
    if (!document.is_object() || !document.contains("method"))
      throw Error("{}: no key 'method'", file.string());
    return document;
  } catch (const nlohmann::json::exception& error) {
    throw Error("{}: {}", file.string(), printable(error.what()));
  }
}

std::string as_text(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  std::vector<std::string> parts;
  for (const nlohmann::json& part : value) parts.push_back(part.dump());
  return join(parts, ",");
}

MatrixType matrix_type(const std::string& name) {
  if (const auto type = find_matrix_type(name)) return *type;
  throw Error("case.json: unknown matrix '{}'", name);
}

/// Sites "0", "1", ... ordered by layer, then matrix, shaped like the base tensors.
Stack golden_stack(const nlohmann::json& document, const SafetensorsFile& tensors) {
  const std::vector<std::string> matrices =
      split(document.at("matrix_names").get<std::string>(), ' ');
  std::vector<Site> sites;
  for (std::size_t layer = 0; layer < document.at("layers").get<std::size_t>(); ++layer)
    for (const std::string& matrix : matrices) {
      const std::string name = std::to_string(sites.size());
      const std::vector<std::size_t>& shape = tensors.at("base." + name).shape;
      if (shape.size() != 2) throw Error("{}: base.{} is no matrix", tensors.path().string(), name);
      sites.push_back({name, matrix_type(matrix), layer, shape[0], shape[1],
                       document.at("heads").get<std::size_t>()});
    }
  return Stack(std::move(sites));
}

MethodRequest golden_request(const Method& method, const nlohmann::json& document) {
  MethodRequest request;
  if (document.contains("rank") && method.has_rank) request.rank = document.at("rank").dump();
  if (document.contains("alpha") && method.alpha != 0)
    request.alpha = document.at("alpha").get<double>();
  for (const MethodOption& option : method.options) {
    std::string key = option.name;
    std::ranges::replace(key, '-', '_');
    if (document.contains(key)) request.options[option.name] = as_text(document.at(key));
    if (key == "norm" && document.contains("norm_detached"))
      request.options["norm"] = document.at("norm_detached").get<bool>() ? "detached" : "graph";
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

}  // namespace

double CheckReport::worst() const {
  double largest = 0;
  for (const auto& [what, error] : errors) largest = error <= largest ? largest : error;
  return largest;
}

void CheckReport::compare(const std::string& what, std::span<const double> got,
                          std::span<const double> expected, double allowed, double floor) {
  if (got.size() != expected.size()) {
    failures.push_back(
        fmt::format("{}: {} numbers, expected {}", what, got.size(), expected.size()));
    return;
  }
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    difference += (got[i] - expected[i]) * (got[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  norm = std::max(norm, floor * floor);
  const double error = norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
  const auto [entry, is_new] = errors.try_emplace(what, error);
  if (!is_new && !(error <= entry->second)) entry->second = error;
  if (!(error <= allowed))
    failures.push_back(
        fmt::format("{}: relative error {:.2e}, allowed {:.0e}", what, error, allowed));
}

std::string golden_method(const std::filesystem::path& folder) {
  return read_case(folder).at("method").get<std::string>();
}

CheckReport check_golden(const Method& method, const std::filesystem::path& folder) {
  const nlohmann::json document = read_case(folder);
  CheckReport report;
  report.name = folder.filename().string();
  try {
    if (document.at("method") != method.name)
      throw Error("{}: is about method {}, expected {}", folder.string(),
                  document.at("method").dump(), method.name);
    const SafetensorsFile tensors(folder / "tensors.safetensors");
    const Stack stack = golden_stack(document, tensors);
    const MethodSettings settings =
        resolve_settings(method, golden_request(method, document), stack);
    const auto adapter = make_adapter<double>(method, stack, settings, make_openblas_backend());
    for (Parameter<double>& parameter : adapter->parameters())
      std::ranges::copy(tensors.read<double>("factor." + golden_name(parameter, stack, tensors)),
                        parameter.value.data());
    if (document.contains("parameters") &&
        adapter->parameter_count() != document.at("parameters").get<std::size_t>())
      report.failures.push_back(fmt::format("{} parameters, expected {}",
                                            adapter->parameter_count(),
                                            document.at("parameters").dump()));
    std::vector<std::vector<double>> base;
    std::vector<FrozenLinear<double>> frozen;
    for (const Site& site : stack.sites) base.push_back(tensors.read<double>("base." + site.name));
    for (const auto& weight : base) frozen.push_back({weight.data(), nullptr});
    adapter->set_frozen(frozen);

    double loss = 0;
    for (std::size_t index = 0; index < stack.sites.size(); ++index) {
      const Site& site = stack.sites[index];
      const std::vector<double> x = tensors.read<double>("x." + site.name);
      const std::vector<double> dy = tensors.read<double>("gy." + site.name);
      const std::size_t tokens = x.size() / site.in;
      std::vector<double> y(tokens * site.out), dx(x.size(), 0.0);
      if (dy.size() != y.size())
        throw Error("{}: gy.{} does not fit x", folder.string(), site.name);
      Trace<double> trace;
      adapter->forward(index, {x.data(), tokens, site.in}, {y.data(), tokens, site.out}, &trace);
      adapter->backward(index, {x.data(), tokens, site.in}, {dy.data(), tokens, site.out}, trace,
                        {dx.data(), tokens, site.in});
      loss += std::inner_product(y.begin(), y.end(), dy.begin(), 0.0);
      report.compare("y." + site.name, y, tensors.read<double>("y." + site.name), tolerance);
      report.compare("gx." + site.name, dx, tensors.read<double>("gx." + site.name), tolerance);
      if (adapter->is_weight_update()) {
        std::vector<double> delta(site.out * site.in);
        adapter->reconstruct(index, {delta.data(), site.out, site.in});
        report.compare("delta." + site.name, delta, tensors.read<double>("delta." + site.name),
                       tolerance);
      }
    }
    if (document.contains("loss"))
      report.compare("loss", {&loss, 1}, std::vector{document.at("loss").get<double>()}, tolerance);
    for (const Parameter<double>& parameter : adapter->parameters())
      report.compare("grad." + parameter.name, parameter.gradient.span(),
                     tensors.read<double>("grad." + golden_name(parameter, stack, tensors)),
                     tolerance);
    report.accepted = 1;
  } catch (const nlohmann::json::exception& error) {
    throw Error("{}: {}", (folder / "case.json").string(), printable(error.what()));
  }
  return report;
}

}  // namespace rankfold
